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
