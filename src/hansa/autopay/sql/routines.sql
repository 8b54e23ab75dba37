-- One statement decides and reserves: of two payments for the last unit of a budget, the second sees the first.
CREATE FUNCTION autopay.reserve(p_agent text, p_currency autopay.currency, p_amount bigint)
RETURNS uuid
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_id uuid;
    v_budget autopay.budgets;
BEGIN
    UPDATE autopay.budgets AS budget
       SET reserved = budget.reserved + p_amount,
           period_spent = CASE WHEN autopay.period_over(budget, v_at) THEN 0 ELSE budget.period_spent END,
           period_started_at = CASE WHEN autopay.period_over(budget, v_at) THEN v_at ELSE budget.period_started_at END,
           updated_at = v_at
     WHERE budget.agent_did = p_agent
       AND budget.currency = p_currency
       AND p_amount <= budget.payment_max
       AND budget.spent + budget.reserved + p_amount <= budget.cap
       AND (budget.period_cap IS NULL
            OR CASE WHEN autopay.period_over(budget, v_at) THEN 0 ELSE budget.period_spent END
               + budget.reserved + p_amount <= budget.period_cap)
    RETURNING budget.id INTO v_id;
    IF FOUND THEN
        RETURN v_id;
    END IF;

    SELECT * INTO v_budget FROM autopay.budgets WHERE agent_did = p_agent AND currency = p_currency;
    IF v_budget.id IS NULL THEN
        RAISE EXCEPTION 'there is no budget in %', p_currency
            USING ERRCODE = 'check_violation', CONSTRAINT = 'budget_known';
    ELSIF p_amount > v_budget.payment_max THEN
        RAISE EXCEPTION 'one payment may cost % at most, this one costs %', v_budget.payment_max, p_amount
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_within_its_cap',
                  DETAIL = jsonb_build_object('amount', p_amount, 'payment_max', v_budget.payment_max);
    END IF;
    RAISE EXCEPTION 'the budget has no room for %', p_amount
        USING ERRCODE = 'check_violation', CONSTRAINT = 'spending_within_the_budget',
              DETAIL = jsonb_build_object('amount', p_amount, 'cap', v_budget.cap,
                                          'spent', v_budget.spent, 'reserved', v_budget.reserved,
                                          'period_cap', v_budget.period_cap, 'period_spent', v_budget.period_spent);
END
$$;
COMMENT ON FUNCTION autopay.reserve IS 'Set the price of a payment aside in a budget, or say by name why not.';

CREATE FUNCTION autopay.period_over(p_budget autopay.budgets, p_at timestamptz)
RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT p_budget.period_s IS NOT NULL AND p_at >= p_budget.period_started_at + make_interval(secs => p_budget.period_s)
$$;
COMMENT ON FUNCTION autopay.period_over IS 'Whether a budget begins a new period with a payment made now.';

CREATE FUNCTION autopay.keep_signed(
    p_transaction uuid, p_agent text, p_message_hash text, p_payload_digest text, p_payload bytea, p_memo text,
    p_token_program text, p_last_valid_block_height bigint, p_follow_in interval
)
RETURNS autopay.transactions
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_transaction autopay.transactions;
BEGIN
    SELECT * INTO v_transaction FROM autopay.transactions WHERE id = p_transaction FOR NO KEY UPDATE;
    IF v_transaction.id IS NULL OR v_transaction.agent_did <> p_agent THEN
        RAISE EXCEPTION 'there is no transaction %', p_transaction
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transaction_known';
    ELSIF v_transaction.message_hash = p_message_hash THEN
        RETURN v_transaction;
    ELSIF v_transaction.message_hash IS NOT NULL THEN
        RAISE EXCEPTION 'another payment was signed for this purchase'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'one_payment_per_purchase';
    ELSIF v_transaction.status <> 'PENDING' OR v_transaction.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'this purchase was to be signed until %', v_transaction.expires_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'purchase_alive_to_sign';
    END IF;
    UPDATE autopay.transactions
       SET message_hash = p_message_hash, payload_digest = p_payload_digest, payload = p_payload, memo = p_memo,
           token_program = p_token_program, last_valid_block_height = p_last_valid_block_height,
           signed_at = clock_timestamp(), follow_at = clock_timestamp() + p_follow_in
     WHERE id = p_transaction
    RETURNING * INTO v_transaction;
    RETURN v_transaction;
END
$$;
COMMENT ON FUNCTION autopay.keep_signed IS 'Keep a signed payment before it is sent; one per purchase, in time.';

-- The budget moves with the transaction, in the same statement's transaction, and once: a repeated end changes nothing.
CREATE FUNCTION autopay.conclude(
    p_transaction uuid, p_status autopay.transaction_status, p_hash text, p_error_type autopay.error_type,
    p_verification_hash text
)
RETURNS autopay.transactions
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_transaction autopay.transactions;
    v_before autopay.transaction_status;
BEGIN
    SELECT * INTO v_transaction FROM autopay.transactions WHERE id = p_transaction FOR NO KEY UPDATE;
    v_before := v_transaction.status;
    IF v_before = p_status OR v_before IN ('FAILED', 'VERIFIED') THEN
        RETURN v_transaction;
    END IF;
    UPDATE autopay.transactions
       SET status = p_status,
           hash = coalesce(p_hash, hash),
           error_type = CASE WHEN p_status = 'FAILED' THEN p_error_type END,
           verification_hash = p_verification_hash,
           ended_at = coalesce(ended_at, v_at)
     WHERE id = p_transaction
    RETURNING * INTO v_transaction;
    IF v_before IN ('PENDING', 'RETRYING') THEN
        UPDATE autopay.budgets AS budget
           SET reserved = budget.reserved - v_transaction.amount,
               spent = budget.spent + moved.amount,
               period_spent = CASE WHEN autopay.period_over(budget, v_at) THEN 0 ELSE budget.period_spent END + moved.amount,
               period_started_at = CASE WHEN autopay.period_over(budget, v_at) THEN v_at ELSE budget.period_started_at END,
               updated_at = v_at
          FROM (SELECT CASE WHEN p_status = 'FAILED' THEN 0 ELSE v_transaction.amount END AS amount) AS moved
         WHERE budget.id = v_transaction.budget_id;
    END IF;
    RETURN v_transaction;
END
$$;
COMMENT ON FUNCTION autopay.conclude IS 'End a transaction as the chain says, and turn its reservation into spending or give it back; once.';

CREATE FUNCTION autopay.guard_transaction()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF (OLD.message_hash IS NOT NULL AND (NEW.message_hash, NEW.payload_digest) IS DISTINCT FROM (OLD.message_hash, OLD.payload_digest))
       OR (OLD.hash IS NOT NULL AND NEW.hash IS DISTINCT FROM OLD.hash)
       OR NOT (NEW.status = OLD.status
               OR (OLD.status IN ('PENDING', 'RETRYING') AND NEW.status <> 'PENDING')
               OR (OLD.status = 'SUCCESS' AND NEW.status = 'VERIFIED')) THEN
        RAISE EXCEPTION 'a transaction that is % cannot become %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_only_move_forward';
    END IF;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION autopay.guard_transaction IS 'A transaction moves forward only and keeps what was signed for it.';
CREATE TRIGGER transactions_only_move_forward BEFORE UPDATE ON autopay.transactions
    FOR EACH ROW EXECUTE FUNCTION autopay.guard_transaction();

CREATE FUNCTION autopay.note_transaction_event()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'INSERT' OR (NEW.status, NEW.retry_count, NEW.message_hash, NEW.hash)
                           IS DISTINCT FROM (OLD.status, OLD.retry_count, OLD.message_hash, OLD.hash) THEN
        INSERT INTO autopay.transaction_events (transaction_id, agent_did, status, signed, retry_count, error_type, hash)
        VALUES (NEW.id, NEW.agent_did, NEW.status, NEW.message_hash IS NOT NULL, NEW.retry_count, NEW.error_type, NEW.hash);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION autopay.note_transaction_event IS 'Writes the history of a transaction, so that nobody can forget to.';
CREATE TRIGGER transactions_have_a_history AFTER INSERT OR UPDATE ON autopay.transactions
    FOR EACH ROW EXECUTE FUNCTION autopay.note_transaction_event();

CREATE FUNCTION autopay.refuse_change()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'what an agent paid and asked for stays as it was written'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'autopay_ledger_is_append_only';
END
$$;
COMMENT ON FUNCTION autopay.refuse_change IS 'Keeps the evidence from being changed or deleted.';
CREATE TRIGGER transaction_events_append_only BEFORE UPDATE OR DELETE ON autopay.transaction_events
    FOR EACH ROW EXECUTE FUNCTION autopay.refuse_change();
CREATE TRIGGER api_request_logs_append_only BEFORE UPDATE OR DELETE ON autopay.api_request_logs
    FOR EACH ROW EXECUTE FUNCTION autopay.refuse_change();
CREATE TRIGGER transactions_are_never_deleted BEFORE DELETE ON autopay.transactions
    FOR EACH ROW EXECUTE FUNCTION autopay.refuse_change();
