-- The insert comes before any work, and whoever loses it waits for the row and reads what the winner wrote.
CREATE FUNCTION payments.claim(
    p_message_hash text,
    p_requirements_digest text,
    p_resource text,
    p_payer text,
    p_pay_to text,
    p_asset text,
    p_amount bigint,
    p_memo text,
    p_fee_payer text,
    p_network text,
    p_environment payments.environment,
    p_worker uuid,
    p_lease interval
)
RETURNS payments.claims
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_claim payments.claims;
BEGIN
    INSERT INTO payments.claims (
        message_hash, requirements_digest, resource, payer, pay_to, asset, amount, memo, fee_payer, network,
        environment, leased_by, lease_until)
    VALUES (p_message_hash, p_requirements_digest, p_resource, p_payer, p_pay_to, p_asset, p_amount, p_memo,
            p_fee_payer, p_network, p_environment, p_worker, clock_timestamp() + p_lease)
    ON CONFLICT (message_hash) DO NOTHING;

    SELECT * INTO v_claim FROM payments.claims WHERE message_hash = p_message_hash FOR NO KEY UPDATE;
    IF v_claim.requirements_digest <> p_requirements_digest OR v_claim.resource <> p_resource THEN
        RAISE EXCEPTION 'this payment was presented for something else'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_bound_to_its_purchase';
    END IF;
    -- Only what was never signed needs a single worker. A signed claim is followed by its id, by anybody.
    IF v_claim.state = 'claimed' AND v_claim.leased_by <> p_worker AND v_claim.lease_until <= clock_timestamp() THEN
        UPDATE payments.claims
           SET leased_by = p_worker, lease_until = clock_timestamp() + p_lease, attempts = attempts + 1
         WHERE id = v_claim.id
        RETURNING * INTO v_claim;
    END IF;
    RETURN v_claim;
END
$$;
COMMENT ON FUNCTION payments.claim IS 'Take a payment in hand, or find who has it: one row per payment, bound to what it was presented for.';

CREATE FUNCTION payments.open_answer(p_message_hash text, p_resource text, p_worker uuid, p_lease interval)
RETURNS payments.paid_answers
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_answer payments.paid_answers;
BEGIN
    INSERT INTO payments.paid_answers (message_hash, resource, leased_by, lease_until)
    VALUES (p_message_hash, p_resource, p_worker, clock_timestamp() + p_lease)
    ON CONFLICT (message_hash) DO NOTHING;

    SELECT * INTO v_answer FROM payments.paid_answers WHERE message_hash = p_message_hash FOR NO KEY UPDATE;
    IF v_answer.resource <> p_resource THEN
        RAISE EXCEPTION 'this payment was made for %', v_answer.resource
            USING ERRCODE = 'check_violation', CONSTRAINT = 'answer_of_one_resource';
    END IF;
    IF v_answer.status IS NULL AND v_answer.lease_until <= clock_timestamp() THEN
        UPDATE payments.paid_answers
           SET leased_by = p_worker, lease_until = clock_timestamp() + p_lease
         WHERE message_hash = p_message_hash
        RETURNING * INTO v_answer;
    END IF;
    RETURN v_answer;
END
$$;
COMMENT ON FUNCTION payments.open_answer IS 'Take the making of a paid answer in hand, or find the answer, or find who makes it.';

CREATE FUNCTION payments.guard_claim()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF (OLD.txid IS NOT NULL AND (NEW.txid, NEW.transaction) IS DISTINCT FROM (OLD.txid, OLD.transaction))
       OR NOT (NEW.state = OLD.state AND OLD.ended_at IS NULL
               OR (OLD.state, NEW.state) IN (('claimed', 'signed'), ('claimed', 'failed'), ('claimed', 'expired'),
                                             ('signed', 'broadcast'), ('signed', 'confirmed'), ('signed', 'failed'),
                                             ('signed', 'expired'), ('broadcast', 'confirmed'),
                                             ('broadcast', 'failed'), ('broadcast', 'expired'))) THEN
        RAISE EXCEPTION 'a claim that is % cannot become %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'claims_only_move_forward';
    END IF;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION payments.guard_claim IS 'A claim moves forward only, ends once, and keeps the transaction it was signed as.';
CREATE TRIGGER claims_only_move_forward BEFORE UPDATE ON payments.claims
    FOR EACH ROW EXECUTE FUNCTION payments.guard_claim();

CREATE FUNCTION payments.note_claim_event()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.state <> OLD.state THEN
        INSERT INTO payments.claim_events (claim_id, state, txid, error) VALUES (NEW.id, NEW.state, NEW.txid, NEW.error);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION payments.note_claim_event IS 'Writes the history of a claim, so that nobody can forget to.';
CREATE TRIGGER claims_have_a_history AFTER INSERT OR UPDATE ON payments.claims
    FOR EACH ROW EXECUTE FUNCTION payments.note_claim_event();

CREATE FUNCTION payments.refuse_change()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'the history of a payment stays as it was written'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_history_is_append_only';
END
$$;
COMMENT ON FUNCTION payments.refuse_change IS 'Keeps claim events, and claims themselves, from being deleted or rewritten.';
CREATE TRIGGER claim_history_is_append_only BEFORE UPDATE OR DELETE ON payments.claim_events
    FOR EACH ROW EXECUTE FUNCTION payments.refuse_change();
CREATE TRIGGER claims_are_never_deleted BEFORE DELETE ON payments.claims
    FOR EACH ROW EXECUTE FUNCTION payments.refuse_change();
