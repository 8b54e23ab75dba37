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
CREATE VIEW payments.discrepancies WITH (security_invoker) AS
SELECT claim.id::text AS subject,
       format('the claim is %s, its history ends with %s', claim.state, coalesce(last.state::text, 'nothing')) AS finding
  FROM payments.claims AS claim
  LEFT JOIN LATERAL (
       SELECT noted.state
         FROM payments.claim_events AS noted
        WHERE noted.claim_id = claim.id
        ORDER BY noted.id DESC
        LIMIT 1) AS last ON true
 WHERE last.state IS DISTINCT FROM claim.state
UNION ALL
SELECT answer.message_hash, 'an answer was kept for a payment whose claim is for another resource'
  FROM payments.paid_answers AS answer
  JOIN payments.claims AS claim ON claim.message_hash = answer.message_hash
 WHERE claim.resource <> ''
   AND substring(answer.resource FROM position(' ' IN answer.resource) + 1) <> claim.resource;
COMMENT ON VIEW payments.discrepancies IS 'Every way in which the records of payments contradict each other; empty when they are right.';
GRANT USAGE ON SCHEMA payments TO hansa_app;
GRANT SELECT, INSERT ON payments.chain_instances, payments.claims, payments.claim_events, payments.paid_answers TO hansa_app;
-- What a payment is, and for what, never changes: only its progress does.
GRANT UPDATE (state, txid, transaction, last_valid_block_height, slot, error, attempts, leased_by, lease_until,
              updated_at, ended_at) ON payments.claims TO hansa_app;
GRANT UPDATE (leased_by, lease_until, status, headers, body, answered_at) ON payments.paid_answers TO hansa_app;
GRANT SELECT ON payments.discrepancies TO hansa_app;

-- Who paid whom for what is for the facilitator and the operator; the parties have the chain and their own books.
ALTER TABLE payments.claims ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments.claims FORCE ROW LEVEL SECURITY;
CREATE POLICY claims_of_the_house ON payments.claims TO hansa_app
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE payments.claim_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments.claim_events FORCE ROW LEVEL SECURITY;
CREATE POLICY claim_events_of_the_house ON payments.claim_events TO hansa_app
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE payments.paid_answers ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments.paid_answers FORCE ROW LEVEL SECURITY;
CREATE POLICY paid_answers_of_the_house ON payments.paid_answers TO hansa_app
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
