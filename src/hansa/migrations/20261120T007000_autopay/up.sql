CREATE SCHEMA autopay;
COMMENT ON SCHEMA autopay IS 'Agents that pay by themselves: their budgets, transactions, requests and balances. Source: Autopay agent.';

CREATE TYPE autopay.autonomy_phase AS ENUM ('DEMO', 'INTERACTIVE', 'FULL');
CREATE TYPE autopay.currency AS ENUM ('CASH', 'USDC');
CREATE TYPE autopay.transaction_status AS ENUM ('PENDING', 'SUCCESS', 'FAILED', 'RETRYING', 'VERIFIED');
CREATE TYPE autopay.error_type AS ENUM ('INSUFFICIENT_FUNDS', 'NETWORK_FAILURE', 'REJECTED', 'RPC_ERROR');
CREATE TYPE autopay.network AS ENUM ('DEVNET', 'MAINNET');
CREATE TYPE autopay.balance_status AS ENUM ('SUFFICIENT', 'LOW', 'PAUSED');
CREATE TYPE autopay.http_method AS ENUM ('GET', 'POST');

CREATE TABLE autopay.agents (
    agent_did text NOT NULL,
    autonomy_phase autopay.autonomy_phase NOT NULL DEFAULT 'FULL',
    priority_rules jsonb NOT NULL DEFAULT '{"fundsThreshold": 0, "freshnessWindow": 300}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT autopay_agents_pkey PRIMARY KEY (agent_did),
    CONSTRAINT autopay_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT priority_rules_are_two_numbers CHECK (
        jsonb_typeof(priority_rules -> 'fundsThreshold') = 'number'
        AND jsonb_typeof(priority_rules -> 'freshnessWindow') = 'number'
        AND (priority_rules ->> 'fundsThreshold')::numeric BETWEEN 0 AND 1000000000000000
        AND (priority_rules ->> 'freshnessWindow')::numeric BETWEEN 1 AND 31536000
    )
);
COMMENT ON TABLE autopay.agents IS 'How far an agent may pay by itself. Name and wallet are those of the registered agent.';
COMMENT ON COLUMN autopay.agents.autonomy_phase IS 'DEMO pays nothing, INTERACTIVE pays what its owner approves, FULL pays within its budget.';
COMMENT ON COLUMN autopay.agents.priority_rules IS 'fundsThreshold: smallest units below which paying pauses; freshnessWindow: seconds.';

CREATE TABLE autopay.budgets (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_did text NOT NULL,
    currency autopay.currency NOT NULL,
    cap bigint NOT NULL,
    payment_max bigint NOT NULL,
    period_cap bigint,
    period_s integer,
    period_started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    period_spent bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    hosts text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT budgets_pkey PRIMARY KEY (id),
    CONSTRAINT budget_of_an_agent FOREIGN KEY (agent_did) REFERENCES autopay.agents (agent_did),
    CONSTRAINT one_budget_per_currency UNIQUE (agent_did, currency),
    CONSTRAINT budget_caps_possible CHECK (
        cap BETWEEN 1 AND 1000000000000000
        AND payment_max BETWEEN 1 AND cap
        AND (period_cap IS NULL) = (period_s IS NULL)
        AND (period_cap IS NULL OR (period_cap >= 1 AND period_s BETWEEN 60 AND 31536000))
    ),
    CONSTRAINT budget_sums_not_negative CHECK (least(spent, reserved, period_spent) >= 0),
    CONSTRAINT spending_within_the_budget CHECK (spent + reserved <= cap),
    CONSTRAINT spending_within_the_period CHECK (period_cap IS NULL OR period_spent + reserved <= period_cap)
);
COMMENT ON TABLE autopay.budgets IS 'What an agent may spend in one currency. A payment reserves its price before it is signed.';
COMMENT ON COLUMN autopay.budgets.cap IS 'Smallest units, ever; raise it to go on.';
COMMENT ON COLUMN autopay.budgets.payment_max IS 'Smallest units that one payment may cost.';
COMMENT ON COLUMN autopay.budgets.period_cap IS 'Smallest units in each period of period_s seconds; NULL: no such cap.';
COMMENT ON COLUMN autopay.budgets.period_spent IS 'Spent since period_started_at; a new period begins with the first payment after the old one ended.';
COMMENT ON COLUMN autopay.budgets.reserved IS 'Price of payments that may still land; given back only when they are proven dead.';
COMMENT ON COLUMN autopay.budgets.hosts IS 'Hosts that may be paid; empty: any.';

CREATE TABLE autopay.transactions (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_did text NOT NULL,
    budget_id uuid NOT NULL,
    hash text,
    amount bigint NOT NULL,
    currency autopay.currency NOT NULL,
    status autopay.transaction_status NOT NULL DEFAULT 'PENDING',
    x402_request_id text NOT NULL,
    facilitator_response jsonb,
    retry_count smallint NOT NULL DEFAULT 0,
    backoff_delay integer NOT NULL DEFAULT 0,
    error_type autopay.error_type,
    network autopay.network NOT NULL,
    environment payments.environment NOT NULL,
    url text NOT NULL,
    method autopay.http_method NOT NULL,
    wallet text NOT NULL,
    pay_to text NOT NULL,
    seller_did text,
    asset text NOT NULL,
    requirements jsonb NOT NULL,
    requirements_digest text NOT NULL,
    message_hash text,
    payload_digest text,
    payload bytea,
    memo text,
    token_program text,
    last_valid_block_height bigint,
    verification_hash text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    signed_at timestamptz,
    follow_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    CONSTRAINT autopay_transactions_pkey PRIMARY KEY (id),
    CONSTRAINT transaction_of_an_agent FOREIGN KEY (agent_did) REFERENCES autopay.agents (agent_did),
    CONSTRAINT transaction_within_a_budget FOREIGN KEY (budget_id) REFERENCES autopay.budgets (id),
    CONSTRAINT transaction_pays_a_registered_agent FOREIGN KEY (seller_did) REFERENCES registry.agents (did),
    CONSTRAINT "Transaction_hash_network" UNIQUE (hash, network),
    CONSTRAINT one_transaction_per_message UNIQUE (message_hash),
    CONSTRAINT one_transaction_per_purchase UNIQUE (agent_did, x402_request_id),
    CONSTRAINT transaction_amount_positive CHECK (amount > 0),
    CONSTRAINT purchase_is_named CHECK (length(x402_request_id) BETWEEN 8 AND 128),
    CONSTRAINT three_retries_at_most CHECK (retry_count BETWEEN 0 AND 3 AND backoff_delay >= 0),
    CONSTRAINT network_of_the_environment CHECK ((network = 'MAINNET') = (environment = 'mainnet')),
    CONSTRAINT signed_payments_are_kept CHECK (
        num_nulls(message_hash, payload_digest, payload, memo, token_program, last_valid_block_height, signed_at) IN (0, 7)
    ),
    CONSTRAINT kept_payments_are_sealed CHECK (substring(payload FROM 1 FOR 4) = 'HSE1'),
    CONSTRAINT success_is_proven CHECK (status NOT IN ('SUCCESS', 'VERIFIED') OR (hash IS NOT NULL AND payload IS NOT NULL)),
    CONSTRAINT verified_has_its_hash CHECK ((status = 'VERIFIED') = (verification_hash IS NOT NULL)),
    CONSTRAINT failure_says_why CHECK (status <> 'FAILED' OR error_type IS NOT NULL),
    CONSTRAINT ended_transactions_say_when CHECK ((status IN ('SUCCESS', 'VERIFIED', 'FAILED')) = (ended_at IS NOT NULL))
);
COMMENT ON TABLE autopay.transactions IS 'Every payment an agent set out to make, written before it was signed.';
COMMENT ON COLUMN autopay.transactions.hash IS 'Id of the Solana transaction; NULL until it is known: the fee payer, who may be a stranger, makes it.';
COMMENT ON COLUMN autopay.transactions.amount IS 'Smallest units of the currency.';
COMMENT ON COLUMN autopay.transactions.status IS 'PENDING: may still land; RETRYING: the same, and the same payment was sent again; SUCCESS: confirmed on chain; VERIFIED: finalized and cross-checked; FAILED: proven that no money moved.';
COMMENT ON COLUMN autopay.transactions.x402_request_id IS 'Names the purchase; given by the buyer, so that asking twice does not pay twice.';
COMMENT ON COLUMN autopay.transactions.facilitator_response IS 'What the seller passed on from its facilitator, as it came; it proves nothing.';
COMMENT ON COLUMN autopay.transactions.backoff_delay IS 'Milliseconds waited before the last retry.';
COMMENT ON COLUMN autopay.transactions.environment IS 'Which chain it is on: the local one answers as devnet does.';
COMMENT ON COLUMN autopay.transactions.message_hash IS 'SHA-256 of the signed message, hex; NULL: not signed.';
COMMENT ON COLUMN autopay.transactions.payload IS 'The signed payment as it is sent, sealed: whoever has it could have it settled.';
COMMENT ON COLUMN autopay.transactions.last_valid_block_height IS 'The payment cannot land in a later block.';
COMMENT ON COLUMN autopay.transactions.verification_hash IS 'SHA-256 over the digests of payload, requirements and settlement, and the transaction id.';
COMMENT ON COLUMN autopay.transactions.expires_at IS 'Until when it may be signed.';
COMMENT ON COLUMN autopay.transactions.follow_at IS 'When its outcome is looked up next.';
CREATE INDEX transactions_by_agent ON autopay.transactions (agent_did, created_at DESC, id DESC);
CREATE INDEX transactions_by_budget ON autopay.transactions (budget_id);
CREATE INDEX transactions_to_follow ON autopay.transactions (follow_at) WHERE status IN ('PENDING', 'RETRYING', 'SUCCESS');

CREATE TABLE autopay.transaction_events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    transaction_id uuid NOT NULL,
    agent_did text NOT NULL,
    status autopay.transaction_status NOT NULL,
    signed boolean NOT NULL,
    retry_count smallint NOT NULL,
    error_type autopay.error_type,
    hash text,
    by text NOT NULL DEFAULT coalesce(current_setting('hansa.actor', true), ''),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT transaction_events_pkey PRIMARY KEY (id),
    CONSTRAINT event_of_a_transaction FOREIGN KEY (transaction_id) REFERENCES autopay.transactions (id)
);
COMMENT ON TABLE autopay.transaction_events IS 'Every step of every transaction; written by a trigger, append only.';
CREATE INDEX transaction_events_by_transaction ON autopay.transaction_events (transaction_id, id);

CREATE TABLE autopay.api_request_logs (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_did text NOT NULL,
    endpoint text NOT NULL,
    method autopay.http_method NOT NULL,
    response_status integer,
    x402_instructions jsonb,
    retry_attempts smallint NOT NULL DEFAULT 0,
    success_payload jsonb,
    refusal text,
    transaction_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT api_request_logs_pkey PRIMARY KEY (id),
    CONSTRAINT request_of_an_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT request_of_a_transaction FOREIGN KEY (transaction_id) REFERENCES autopay.transactions (id),
    CONSTRAINT answer_short_enough_to_keep CHECK (length(success_payload::text) <= 65536)
);
COMMENT ON TABLE autopay.api_request_logs IS 'What paid interfaces answered to an agent, and what its policy said; append only.';
COMMENT ON COLUMN autopay.api_request_logs.response_status IS 'HTTP status; NULL: no answer came.';
COMMENT ON COLUMN autopay.api_request_logs.x402_instructions IS 'The terms of payment as the interface asked for them.';
COMMENT ON COLUMN autopay.api_request_logs.success_payload IS 'The data that was bought, when it is short.';
COMMENT ON COLUMN autopay.api_request_logs.refusal IS 'Code of the refusal when the policy said no; NULL: it did not.';
CREATE INDEX api_request_logs_by_agent ON autopay.api_request_logs (agent_did, endpoint, created_at DESC);
CREATE INDEX api_request_logs_by_transaction ON autopay.api_request_logs (transaction_id);

CREATE TABLE autopay.balance_snapshots (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_did text NOT NULL,
    balance bigint NOT NULL,
    currency autopay.currency NOT NULL,
    threshold bigint NOT NULL,
    status autopay.balance_status NOT NULL GENERATED ALWAYS AS (
        CASE WHEN balance < threshold THEN 'PAUSED'::autopay.balance_status
             WHEN balance < 2 * threshold THEN 'LOW'::autopay.balance_status
             ELSE 'SUFFICIENT'::autopay.balance_status END
    ) STORED,
    snapshot_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT balance_snapshots_pkey PRIMARY KEY (id),
    CONSTRAINT balance_of_an_agent FOREIGN KEY (agent_did) REFERENCES autopay.agents (agent_did),
    CONSTRAINT balances_not_negative CHECK (least(balance, threshold) >= 0)
);
COMMENT ON TABLE autopay.balance_snapshots IS 'What the chain said an agent has, before each payment and whenever it changed.';
COMMENT ON COLUMN autopay.balance_snapshots.balance IS 'Smallest units.';
COMMENT ON COLUMN autopay.balance_snapshots.threshold IS 'Smallest units below which paying pauses, at the time of the snapshot.';
COMMENT ON COLUMN autopay.balance_snapshots.status IS 'PAUSED below the threshold, LOW below twice the threshold.';
CREATE INDEX balance_snapshots_by_agent ON autopay.balance_snapshots (agent_did, currency, snapshot_at DESC);
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
CREATE VIEW autopay.discrepancies WITH (security_invoker) AS
SELECT budget.id::text AS subject,
       format('the budget says spent %s reserved %s, its transactions say %s %s',
              budget.spent, budget.reserved, summed.spent, summed.reserved) AS finding
  FROM autopay.budgets AS budget
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(paid.amount) FILTER (WHERE paid.status IN ('SUCCESS', 'VERIFIED')), 0) AS spent,
              coalesce(sum(paid.amount) FILTER (WHERE paid.status IN ('PENDING', 'RETRYING')), 0) AS reserved
         FROM autopay.transactions AS paid
        WHERE paid.budget_id = budget.id) AS summed
 WHERE (budget.spent, budget.reserved) IS DISTINCT FROM (summed.spent, summed.reserved);
COMMENT ON VIEW autopay.discrepancies IS 'Budgets that differ from the sum of their transactions; empty when the books are right.';
GRANT USAGE ON SCHEMA autopay TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON autopay.agents, autopay.budgets TO hansa_app;
GRANT SELECT, INSERT ON autopay.transactions, autopay.transaction_events, autopay.api_request_logs, autopay.balance_snapshots TO hansa_app;
-- What is bought, from whom and for how much never changes: only its progress does.
GRANT UPDATE (hash, status, facilitator_response, retry_count, backoff_delay, error_type, message_hash, payload_digest,
              payload, memo, token_program, last_valid_block_height, verification_hash, updated_at, signed_at,
              follow_at, ended_at) ON autopay.transactions TO hansa_app;
GRANT SELECT ON autopay.discrepancies TO hansa_app;

-- An agent's money is its own business: every table shows each agent its own rows, and the house all of them.
ALTER TABLE autopay.agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.agents FORCE ROW LEVEL SECURITY;
CREATE POLICY autopay_agents_of_the_actor ON autopay.agents TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.budgets FORCE ROW LEVEL SECURITY;
CREATE POLICY budgets_of_the_actor ON autopay.budgets TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.transactions FORCE ROW LEVEL SECURITY;
CREATE POLICY transactions_of_the_actor ON autopay.transactions TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.transaction_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.transaction_events FORCE ROW LEVEL SECURITY;
CREATE POLICY transaction_events_of_the_actor ON autopay.transaction_events TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.api_request_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.api_request_logs FORCE ROW LEVEL SECURITY;
CREATE POLICY api_request_logs_of_the_actor ON autopay.api_request_logs TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.balance_snapshots ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.balance_snapshots FORCE ROW LEVEL SECURITY;
CREATE POLICY balance_snapshots_of_the_actor ON autopay.balance_snapshots TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
