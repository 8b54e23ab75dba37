CREATE SCHEMA payments;
COMMENT ON SCHEMA payments IS 'x402 payments that our facilitator settles on chain, and the answers that were paid for.';

CREATE TYPE payments.environment AS ENUM ('local', 'devnet', 'mainnet');
COMMENT ON TYPE payments.environment IS 'Which chain: the one of this house, or a cluster. The local chain answers with the genesis hash of devnet, so the network alone does not tell them apart.';
CREATE TYPE payments.claim_state AS ENUM ('claimed', 'signed', 'broadcast', 'confirmed', 'failed', 'expired');

CREATE TABLE payments.chain_instances (
    environment payments.environment NOT NULL,
    network text NOT NULL,
    genesis_hash text NOT NULL,
    instance text,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_chain_per_environment PRIMARY KEY (environment),
    CONSTRAINT network_names_its_genesis CHECK (network = 'solana:' || left(genesis_hash, 32)),
    CONSTRAINT only_a_local_chain_has_an_instance CHECK ((environment = 'local') = (instance IS NOT NULL))
);
COMMENT ON TABLE payments.chain_instances IS 'The chains this database has been used with. Another one is refused: its transactions would make our records lies.';
COMMENT ON COLUMN payments.chain_instances.network IS 'CAIP-2 name: solana: and the first 32 characters of the genesis hash.';
COMMENT ON COLUMN payments.chain_instances.instance IS 'Id that a local chain gives itself once; NULL for a cluster.';

CREATE TABLE payments.claims (
    id uuid NOT NULL DEFAULT uuidv7(),
    message_hash text NOT NULL,
    requirements_digest text NOT NULL,
    resource text NOT NULL,
    payer text NOT NULL,
    pay_to text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL,
    memo text NOT NULL,
    fee_payer text NOT NULL,
    network text NOT NULL,
    environment payments.environment NOT NULL,
    state payments.claim_state NOT NULL DEFAULT 'claimed',
    txid text,
    transaction bytea,
    last_valid_block_height bigint,
    slot bigint,
    error text,
    attempts integer NOT NULL DEFAULT 1,
    leased_by uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    CONSTRAINT claims_pkey PRIMARY KEY (id),
    CONSTRAINT one_claim_per_payment UNIQUE (message_hash),
    CONSTRAINT one_claim_per_transaction UNIQUE (txid),
    CONSTRAINT claim_on_a_known_chain FOREIGN KEY (environment) REFERENCES payments.chain_instances (environment),
    CONSTRAINT payment_is_named_by_digests CHECK (
        message_hash ~ '^[0-9a-f]{64}$' AND requirements_digest ~ '^[0-9a-f]{64}$'
    ),
    CONSTRAINT payment_amount_positive CHECK (amount > 0),
    CONSTRAINT claim_tried_at_least_once CHECK (attempts >= 1),
    CONSTRAINT signed_claims_keep_their_bytes CHECK (
        (txid IS NULL) = (transaction IS NULL)
        AND (txid IS NULL) = (last_valid_block_height IS NULL)
        AND (txid IS NOT NULL OR state IN ('claimed', 'failed', 'expired'))
    ),
    CONSTRAINT ended_claims_say_when CHECK ((state IN ('confirmed', 'failed', 'expired')) = (ended_at IS NOT NULL)),
    CONSTRAINT failed_claims_say_why CHECK (state <> 'failed' OR error IS NOT NULL)
);
COMMENT ON TABLE payments.claims IS 'One row per payment that was presented to our facilitator, written before any work: whoever comes second finds it.';
COMMENT ON COLUMN payments.claims.message_hash IS 'SHA-256 of the transaction message that the payer signed, hex. Signatures can be varied, the message cannot.';
COMMENT ON COLUMN payments.claims.requirements_digest IS 'SHA-256 of the canonical requirements the payment was presented for, hex.';
COMMENT ON COLUMN payments.claims.resource IS 'URL that the payment was presented for; empty when the seller named none.';
COMMENT ON COLUMN payments.claims.asset IS 'Address of the mint.';
COMMENT ON COLUMN payments.claims.amount IS 'Smallest units of the mint.';
COMMENT ON COLUMN payments.claims.txid IS 'Id of the transaction: our own signature as fee payer, so it is known before anything is sent.';
COMMENT ON COLUMN payments.claims.transaction IS 'The transaction with all signatures, to be sent again until its fate is known.';
COMMENT ON COLUMN payments.claims.last_valid_block_height IS 'The transaction cannot land in a later block than this one.';
COMMENT ON COLUMN payments.claims.slot IS 'Where it landed; NULL: nowhere that we know of.';
COMMENT ON COLUMN payments.claims.leased_by IS 'The attempt that works on the claim; another one may take it over after lease_until.';
CREATE INDEX claims_to_follow ON payments.claims (lease_until) WHERE state IN ('claimed', 'signed', 'broadcast');
CREATE INDEX claims_by_payer ON payments.claims (payer, id DESC);
CREATE INDEX claims_by_payee ON payments.claims (pay_to, id DESC);

CREATE TABLE payments.claim_events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    claim_id uuid NOT NULL,
    state payments.claim_state NOT NULL,
    txid text,
    error text,
    by text NOT NULL DEFAULT coalesce(current_setting('hansa.actor', true), ''),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT claim_events_pkey PRIMARY KEY (id),
    CONSTRAINT event_of_a_claim FOREIGN KEY (claim_id) REFERENCES payments.claims (id)
);
COMMENT ON TABLE payments.claim_events IS 'Every state a claim has been in, in order; written by a trigger, append only.';
CREATE INDEX claim_events_by_claim ON payments.claim_events (claim_id, id);

CREATE TABLE payments.paid_answers (
    message_hash text NOT NULL,
    resource text NOT NULL,
    leased_by uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    status smallint,
    headers jsonb,
    body bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz,
    CONSTRAINT one_answer_per_payment PRIMARY KEY (message_hash),
    CONSTRAINT answer_is_whole CHECK (
        (status IS NULL) = (answered_at IS NULL)
        AND (status IS NULL) = (body IS NULL)
        AND (status IS NULL) = (headers IS NULL)
    ),
    CONSTRAINT only_success_is_sold CHECK (status BETWEEN 200 AND 399)
);
COMMENT ON TABLE payments.paid_answers IS 'What a seller answered to a payment. The same payment gets the same answer again, and the work is done once.';
COMMENT ON COLUMN payments.paid_answers.message_hash IS 'The payment: SHA-256 of the transaction message, hex.';
COMMENT ON COLUMN payments.paid_answers.resource IS 'Method and URL that were asked for.';
COMMENT ON COLUMN payments.paid_answers.status IS 'HTTP status; NULL: somebody works on the answer until lease_until.';
