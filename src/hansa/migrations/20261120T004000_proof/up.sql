CREATE SCHEMA proof;
COMMENT ON SCHEMA proof IS 'What agents have done and what follows from it: sealed work history, the evidence of each settlement, reputation, trust, and disclosures.';

CREATE TYPE proof.update_trigger AS ENUM ('x402_settlement', 'zkp_proof', 'oracle_attestation');
CREATE TYPE proof.attestation_source AS ENUM ('switchboard', 'third_party');
CREATE TYPE proof.disclosure_level AS ENUM ('public', 'private_zk');
CREATE TYPE proof.asset AS ENUM ('CREDIT', 'USDC', 'CASH', 'SOL');
CREATE DOMAIN proof.outcome AS numeric(2, 1)
    CONSTRAINT outcome_is_failed_partial_or_done CHECK (VALUE IN (0, 0.5, 1));
COMMENT ON DOMAIN proof.outcome IS '1 the work was accepted, 0.5 in part, 0 it failed and that was adjudicated.';

CREATE TABLE proof.work_history_logs (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_did text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    task_hash text NOT NULL,
    zkp_hash text NOT NULL,
    attestation_source proof.attestation_source,
    disclosure_level proof.disclosure_level NOT NULL DEFAULT 'private_zk',
    encrypted_data bytea,
    revocable_key_hash text,
    tee_enclave_id text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT work_history_logs_pkey PRIMARY KEY (id),
    CONSTRAINT one_log_per_subject UNIQUE (subject_kind, subject_id),
    CONSTRAINT one_agent_per_log UNIQUE (id, agent_did),
    CONSTRAINT work_by_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT work_hashes_are_sha256 CHECK (
        task_hash ~ '^[0-9a-f]{64}$' AND zkp_hash ~ '^[0-9a-f]{64}$'
        AND (revocable_key_hash IS NULL OR revocable_key_hash ~ '^[0-9a-f]{64}$')
    ),
    CONSTRAINT chk_private_zk_encrypted CHECK (disclosure_level <> 'private_zk' OR encrypted_data IS NOT NULL),
    CONSTRAINT sealed_work_is_sealed CHECK (
        substring(encrypted_data FROM 1 FOR 4) = '\x48534531'::bytea AND octet_length(encrypted_data) >= 67
    )
);
COMMENT ON TABLE proof.work_history_logs IS 'One row for each settled piece of work: hashes in the open, content sealed. Append only but for publishing. Source: Proof-of-Service registry.';
COMMENT ON COLUMN proof.work_history_logs.subject_kind IS 'What was settled, e.g. negotiation. The owner of that thing checks that it exists.';
COMMENT ON COLUMN proof.work_history_logs.subject_id IS 'Id of what was settled; never shown to others while the log is private.';
COMMENT ON COLUMN proof.work_history_logs.task_hash IS 'HMAC-SHA256, hex, of "kind:id" of the subject under a random salt kept in the sealed record: the bare reference of a payment would reveal payer, payee and amount on chain.';
COMMENT ON COLUMN proof.work_history_logs.zkp_hash IS 'SHA-256, hex, of the sealed record in canonical JSON (RFC 8785), salt included: the commitment that proofs about this work are made against, there from the first moment.';
COMMENT ON COLUMN proof.work_history_logs.attestation_source IS 'Who attested the work; NULL: no attestation of it was verified.';
COMMENT ON COLUMN proof.work_history_logs.disclosure_level IS 'private_zk: content for the agent alone and by disclosure. public: content for everybody; only the agent itself can say so, and it cannot be taken back.';
COMMENT ON COLUMN proof.work_history_logs.encrypted_data IS 'The record of the work, sealed for this cell with the agent as scope: starts with HSE1 and has at least 67 bytes, so plain text and nothing are refused.';
COMMENT ON COLUMN proof.work_history_logs.revocable_key_hash IS 'SHA-256, hex, of the public key with which the agent signed at that time (identity.did_keys.key_hash); NULL: none was known.';
COMMENT ON COLUMN proof.work_history_logs.tee_enclave_id IS 'Enclave whose attestation covers the work; NULL: none was verified.';
CREATE INDEX idx_work_history_zkp ON proof.work_history_logs USING gin ((ARRAY[zkp_hash]));
CREATE INDEX work_history_by_agent ON proof.work_history_logs (agent_did, id DESC);

CREATE TABLE proof.reputation_policies (
    id text NOT NULL,
    adopted boolean NOT NULL DEFAULT false,
    full_fee_credit bigint NOT NULL,
    full_fee_usdc bigint NOT NULL,
    full_fee_cash bigint NOT NULL,
    full_fee_sol bigint NOT NULL,
    step double precision NOT NULL DEFAULT 0.01,
    gamma double precision NOT NULL DEFAULT 0.5,
    capacity double precision NOT NULL DEFAULT 40,
    capacity_window_days integer NOT NULL DEFAULT 365,
    lambda double precision NOT NULL DEFAULT 4,
    beta double precision NOT NULL DEFAULT 3,
    rho double precision NOT NULL DEFAULT power(0.95, 1 / 30.0),
    rho_recent double precision NOT NULL DEFAULT 0.977,
    prior double precision NOT NULL DEFAULT 4,
    recent_prior double precision NOT NULL DEFAULT 5,
    CONSTRAINT reputation_policies_pkey PRIMARY KEY (id),
    CONSTRAINT policy_numbers_possible CHECK (
        least(full_fee_credit, full_fee_usdc, full_fee_cash, full_fee_sol) > 0
        AND step > 0 AND gamma BETWEEN 0 AND 1 AND capacity > 0 AND capacity_window_days > 0 AND lambda >= 0 AND beta >= 0
        AND rho > 0 AND rho <= 1 AND rho_recent > 0 AND rho_recent <= 1 AND prior > 0 AND recent_prior > 0
    )
);
COMMENT ON TABLE proof.reputation_policies IS 'Constants of the reputation formula; one set is adopted, and every score says under which it was made.';
COMMENT ON COLUMN proof.reputation_policies.adopted IS 'The policy that counts now.';
COMMENT ON COLUMN proof.reputation_policies.full_fee_credit IS 'Unrecoverable fee from which on a settlement has full weight, in units of 1/1000 credit; a smaller one weighs in proportion, since evidence weighs what it cost.';
COMMENT ON COLUMN proof.reputation_policies.full_fee_usdc IS 'The same for USDC, in units of 10^-6.';
COMMENT ON COLUMN proof.reputation_policies.full_fee_cash IS 'The same for CASH, in units of 10^-6.';
COMMENT ON COLUMN proof.reputation_policies.full_fee_sol IS 'The same for SOL, in lamports.';
COMMENT ON COLUMN proof.reputation_policies.step IS 'What one full-weight settlement adds to the score.';
COMMENT ON COLUMN proof.reputation_policies.gamma IS 'Each further settlement of the same payer with the same agent weighs this fraction of the one before.';
COMMENT ON COLUMN proof.reputation_policies.capacity IS 'Most evidence that one verified payer gives in one window, in full-weight settlements.';
COMMENT ON COLUMN proof.reputation_policies.capacity_window_days IS 'Length of that window. A year: what it costs to buy a reputation was measured without capacity coming back soon.';
COMMENT ON COLUMN proof.reputation_policies.lambda IS 'How much unverified evidence each unit of verified evidence vouches for.';
COMMENT ON COLUMN proof.reputation_policies.beta IS 'Unverified evidence that counts without anybody vouching for it.';
COMMENT ON COLUMN proof.reputation_policies.rho IS 'What is left of evidence after a day: 5 % are lost in 30 days.';
COMMENT ON COLUMN proof.reputation_policies.rho_recent IS 'The same for the recent horizon, which notices that a good agent turned bad.';
COMMENT ON COLUMN proof.reputation_policies.prior IS 'Weight of not knowing: evidence needed until half of the opinion is known.';
COMMENT ON COLUMN proof.reputation_policies.recent_prior IS 'How much recent evidence it takes to move the recent mean half-way from the long one.';
CREATE UNIQUE INDEX one_policy_is_adopted ON proof.reputation_policies (adopted) WHERE adopted;

INSERT INTO proof.reputation_policies (id, adopted, full_fee_credit, full_fee_usdc, full_fee_cash, full_fee_sol)
VALUES ('devnet', true, 1000, 1000, 1000, 10000),
       ('mainnet', false, 100000, 100000, 100000, 1000000);

CREATE SEQUENCE proof.fold_positions;
COMMENT ON SEQUENCE proof.fold_positions IS 'Numbers evidence in the order in which it is counted, drawn while the rows it changes are locked: replaying in this order gives the same result.';

CREATE TABLE proof.reputation_events (
    ref text NOT NULL,
    log_id uuid NOT NULL,
    agent_did text NOT NULL,
    payer_did text NOT NULL,
    payer_verified boolean NOT NULL,
    payer_related boolean NOT NULL,
    outcome proof.outcome NOT NULL,
    fee bigint NOT NULL,
    asset proof.asset NOT NULL,
    speed_ms bigint,
    update_trigger proof.update_trigger NOT NULL,
    settled_at timestamptz NOT NULL,
    settled_on date NOT NULL GENERATED ALWAYS AS ((settled_at AT TIME ZONE 'UTC')::date) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fold_position bigint,
    CONSTRAINT settlement_counts_once PRIMARY KEY (ref),
    CONSTRAINT reputation_of_logged_work FOREIGN KEY (log_id, agent_did) REFERENCES proof.work_history_logs (id, agent_did),
    CONSTRAINT settlement_fee_not_negative CHECK (fee >= 0),
    CONSTRAINT settlement_not_in_the_future CHECK (settled_at <= recorded_at + interval '1 minute'),
    CONSTRAINT one_reputation_event_per_position UNIQUE (fold_position)
);
COMMENT ON TABLE proof.reputation_events IS 'The evidence behind reputations: one row per settlement, written with it. Append only.';
COMMENT ON COLUMN proof.reputation_events.ref IS 'What was settled, "kind:id": the same settlement reported again changes nothing.';
COMMENT ON COLUMN proof.reputation_events.payer_verified IS 'Whether the payer was a verified party when it settled; wallets are free, verified parties are not.';
COMMENT ON COLUMN proof.reputation_events.payer_related IS 'Payer and agent are the same, or have one owner: the settlement weighs nothing.';
COMMENT ON COLUMN proof.reputation_events.fee IS 'What the platform kept and nobody gets back, in smallest units of the asset.';
COMMENT ON COLUMN proof.reputation_events.speed_ms IS 'From start to delivery in milliseconds; NULL: not known.';
COMMENT ON COLUMN proof.reputation_events.settled_on IS 'UTC day of the settlement: evidence ages in whole days.';
COMMENT ON COLUMN proof.reputation_events.fold_position IS 'When it was counted, in the order of all evidence; NULL: not yet.';
CREATE INDEX reputation_events_by_agent ON proof.reputation_events (agent_did, fold_position);
CREATE INDEX reputation_events_to_fold ON proof.reputation_events (recorded_at) WHERE fold_position IS NULL;

CREATE TABLE proof.reputation_state (
    agent_did text NOT NULL,
    as_of date NOT NULL,
    success_verified double precision NOT NULL DEFAULT 0,
    failure_verified double precision NOT NULL DEFAULT 0,
    success_unverified double precision NOT NULL DEFAULT 0,
    failure_unverified double precision NOT NULL DEFAULT 0,
    recent_success_verified double precision NOT NULL DEFAULT 0,
    recent_failure_verified double precision NOT NULL DEFAULT 0,
    recent_success_unverified double precision NOT NULL DEFAULT 0,
    recent_failure_unverified double precision NOT NULL DEFAULT 0,
    settlements bigint NOT NULL DEFAULT 0,
    outcomes numeric NOT NULL DEFAULT 0,
    payers bigint NOT NULL DEFAULT 0,
    verified_payers bigint NOT NULL DEFAULT 0,
    timed bigint NOT NULL DEFAULT 0,
    speed_ms_sum numeric NOT NULL DEFAULT 0,
    first_settled_at timestamptz,
    last_settled_at timestamptz,
    update_trigger proof.update_trigger,
    CONSTRAINT reputation_state_pkey PRIMARY KEY (agent_did),
    CONSTRAINT state_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did)
);
COMMENT ON TABLE proof.reputation_state IS 'The evidence of each agent summed up in full precision. Derived: proof.reputation_recomputed gives the same from the events alone.';
COMMENT ON COLUMN proof.reputation_state.as_of IS 'UTC day for which the eight sums stand: that of the newest settlement.';
COMMENT ON COLUMN proof.reputation_state.success_verified IS 'Sum of weight x outcome over settlements of verified payers, each aged by rho a day.';
COMMENT ON COLUMN proof.reputation_state.failure_verified IS 'The same with 1 - outcome.';
COMMENT ON COLUMN proof.reputation_state.recent_success_verified IS 'The same sums aged by rho_recent.';
COMMENT ON COLUMN proof.reputation_state.outcomes IS 'Plain sum of the outcomes, for the success rate.';
COMMENT ON COLUMN proof.reputation_state.timed IS 'Settlements whose speed is known; speed_ms_sum adds those up.';
COMMENT ON COLUMN proof.reputation_state.update_trigger IS 'What kind of evidence was counted last.';

CREATE TABLE proof.reputation_pairs (
    payer_did text NOT NULL,
    agent_did text NOT NULL,
    settlements bigint NOT NULL,
    verified boolean NOT NULL,
    CONSTRAINT reputation_pairs_pkey PRIMARY KEY (payer_did, agent_did)
);
COMMENT ON TABLE proof.reputation_pairs IS 'How often a payer has settled with an agent: the next settlement weighs gamma to that power. Derived.';
COMMENT ON COLUMN proof.reputation_pairs.verified IS 'The payer was verified in at least one of them.';

CREATE TABLE proof.payer_capacity (
    payer_did text NOT NULL,
    capacity_window integer NOT NULL,
    used double precision NOT NULL DEFAULT 0,
    CONSTRAINT payer_capacity_pkey PRIMARY KEY (payer_did, capacity_window)
);
COMMENT ON TABLE proof.payer_capacity IS 'How much evidence a verified payer has given in a window. Derived.';
COMMENT ON COLUMN proof.payer_capacity.capacity_window IS 'Number of the window, counted from 2000-01-01 in steps of capacity_window_days.';

CREATE TABLE proof.reputation_scores (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_did text NOT NULL,
    score numeric(3, 2) NOT NULL DEFAULT 0,
    update_trigger proof.update_trigger,
    last_updated timestamptz NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    policy_id text NOT NULL,
    exact double precision NOT NULL DEFAULT 0,
    scored_on date NOT NULL,
    CONSTRAINT reputation_scores_pkey PRIMARY KEY (id),
    CONSTRAINT one_reputation_per_agent UNIQUE (agent_did),
    CONSTRAINT reputation_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT score_under_a_policy FOREIGN KEY (policy_id) REFERENCES proof.reputation_policies (id),
    CONSTRAINT reputation_between_0_and_1 CHECK (score >= 0 AND score <= 1)
);
COMMENT ON TABLE proof.reputation_scores IS 'The published reputation of each agent that has evidence; an agent without a row has 0. Source: Proof-of-Service registry.';
COMMENT ON COLUMN proof.reputation_scores.score IS '0 to 1, cut off after two decimals.';
COMMENT ON COLUMN proof.reputation_scores.update_trigger IS 'What kind of evidence moved it last; NULL: none yet.';
COMMENT ON COLUMN proof.reputation_scores.last_updated IS 'Time of the newest evidence.';
COMMENT ON COLUMN proof.reputation_scores.metadata IS 'task_count, success_rate (0 to 1), avg_speed_ms (null: never measured).';
COMMENT ON COLUMN proof.reputation_scores.exact IS 'The score in full precision.';
COMMENT ON COLUMN proof.reputation_scores.scored_on IS 'UTC day for which the score was worked out; a daily job keeps it from growing old.';
CREATE INDEX idx_reputation_score ON proof.reputation_scores (score DESC, agent_did);
CREATE INDEX reputation_scores_to_age ON proof.reputation_scores (scored_on);

CREATE TABLE proof.trust_events (
    ref text NOT NULL,
    agent_did text NOT NULL,
    outcome proof.outcome NOT NULL,
    started_at timestamptz,
    due_at timestamptz,
    delivered_at timestamptz,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fold_position bigint,
    CONSTRAINT outcome_moves_trust_once PRIMARY KEY (ref),
    CONSTRAINT trust_in_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT work_delivered_after_its_start CHECK (delivered_at >= started_at),
    CONSTRAINT outcome_not_in_the_future CHECK (occurred_at <= recorded_at + interval '1 minute'),
    CONSTRAINT one_trust_event_per_position UNIQUE (fold_position)
);
COMMENT ON TABLE proof.trust_events IS 'The evidence behind trust: how each piece of work ended and how long it took. Append only.';
COMMENT ON COLUMN proof.trust_events.ref IS 'What was settled, "kind:id".';
COMMENT ON COLUMN proof.trust_events.started_at IS 'Begin of the work, not of the negotiation; NULL: not known.';
COMMENT ON COLUMN proof.trust_events.due_at IS 'Promised delivery; NULL: nothing was promised, so timeliness is not judged.';
COMMENT ON COLUMN proof.trust_events.delivered_at IS 'NULL: it was not delivered.';
COMMENT ON COLUMN proof.trust_events.fold_position IS 'When it was counted, in the order of all evidence; NULL: not yet.';
CREATE INDEX trust_events_by_agent ON proof.trust_events (agent_did, fold_position);

CREATE TYPE proof.trust_vector AS (
    reliability double precision,
    honesty double precision,
    competence double precision,
    timeliness double precision,
    as_of timestamptz
);
COMMENT ON TYPE proof.trust_vector IS 'The four dimensions of trust as they stand at one instant, each 0 to 1.';

CREATE TABLE proof.trust_scores (
    agent_did text NOT NULL,
    score double precision NOT NULL GENERATED ALWAYS AS
        (0.35 * reliability + 0.35 * honesty + 0.20 * competence + 0.10 * timeliness) STORED,
    reliability double precision NOT NULL DEFAULT 0.5,
    honesty double precision NOT NULL DEFAULT 0.5,
    competence double precision NOT NULL DEFAULT 0.5,
    timeliness double precision NOT NULL DEFAULT 0.5,
    decay_rate double precision NOT NULL DEFAULT 0.977,
    last_updated timestamptz NOT NULL,
    CONSTRAINT trust_scores_pkey PRIMARY KEY (agent_did),
    CONSTRAINT trust_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT trust_between_0_and_1 CHECK (
        reliability BETWEEN 0 AND 1 AND honesty BETWEEN 0 AND 1
        AND competence BETWEEN 0 AND 1 AND timeliness BETWEEN 0 AND 1
    ),
    CONSTRAINT trust_decays CHECK (decay_rate > 0 AND decay_rate <= 1)
);
COMMENT ON TABLE proof.trust_scores IS 'Trust in each agent as of its newest evidence; whoever reads it lets it fade towards the neutral 0.5 until now. Source: AINP.';
COMMENT ON COLUMN proof.trust_scores.score IS '0 to 1: 35 % reliability, 35 % honesty, 20 % competence, 10 % timeliness.';
COMMENT ON COLUMN proof.trust_scores.decay_rate IS 'What is left of the distance from 0.5 after a day.';
COMMENT ON COLUMN proof.trust_scores.last_updated IS 'The instant for which the stored numbers stand.';

CREATE TABLE proof.disclosure_requests (
    id uuid NOT NULL DEFAULT uuidv7(),
    log_id uuid NOT NULL,
    agent_did text NOT NULL,
    requested_by_did text,
    requested_by_user uuid,
    audience text NOT NULL,
    nonce text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT disclosure_requests_pkey PRIMARY KEY (id),
    CONSTRAINT disclosure_of_logged_work FOREIGN KEY (log_id, agent_did) REFERENCES proof.work_history_logs (id, agent_did),
    CONSTRAINT disclosure_asked_by_a_person FOREIGN KEY (requested_by_user) REFERENCES identity.users (id),
    CONSTRAINT disclosure_asked_by_somebody CHECK (num_nonnulls(requested_by_did, requested_by_user) >= 1),
    CONSTRAINT disclosure_nonce_drawn_once UNIQUE (nonce),
    CONSTRAINT disclosure_audience_named CHECK (length(audience) BETWEEN 1 AND 500),
    CONSTRAINT disclosure_request_ends_later CHECK (expires_at > created_at)
);
COMMENT ON TABLE proof.disclosure_requests IS 'Somebody asks the agent to show claims about one piece of its work; answered once, before it expires.';
COMMENT ON COLUMN proof.disclosure_requests.audience IS 'The verifier for whom the agent must sign its presentation.';
COMMENT ON COLUMN proof.disclosure_requests.nonce IS 'What the presentation must repeat; it fits this request only.';
COMMENT ON COLUMN proof.disclosure_requests.used_at IS 'When a presentation was verified; NULL: not yet.';
CREATE INDEX disclosure_requests_by_agent ON proof.disclosure_requests (agent_did, id DESC);
CREATE INDEX disclosure_requests_by_asker ON proof.disclosure_requests (requested_by_did, id DESC);

CREATE TABLE proof.credential_presentations (
    id uuid NOT NULL DEFAULT uuidv7(),
    log_id uuid NOT NULL,
    agent_did text NOT NULL,
    request_id uuid NOT NULL,
    disclosed_to_did text,
    disclosed_to_user uuid,
    claims text[] NOT NULL,
    presentation_hash text NOT NULL,
    encrypted_data bytea NOT NULL,
    verified_at timestamptz NOT NULL,
    CONSTRAINT credential_presentations_pkey PRIMARY KEY (id),
    CONSTRAINT one_presentation_per_request UNIQUE (request_id),
    CONSTRAINT presentation_for_a_request FOREIGN KEY (request_id) REFERENCES proof.disclosure_requests (id),
    CONSTRAINT presentation_of_logged_work FOREIGN KEY (log_id, agent_did) REFERENCES proof.work_history_logs (id, agent_did),
    CONSTRAINT presentation_hash_is_sha256 CHECK (presentation_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT sealed_presentation_is_sealed CHECK (
        substring(encrypted_data FROM 1 FOR 4) = '\x48534531'::bytea AND octet_length(encrypted_data) >= 67
    )
);
COMMENT ON TABLE proof.credential_presentations IS 'What was shown to whom: one row for each presentation that was verified. Append only.';
COMMENT ON COLUMN proof.credential_presentations.claims IS 'Names of the hidden claims that the agent chose to show.';
COMMENT ON COLUMN proof.credential_presentations.presentation_hash IS 'SHA-256, hex, of the presentation.';
COMMENT ON COLUMN proof.credential_presentations.encrypted_data IS 'The presentation and the claims it proves, sealed for this cell; opened for the one who asked and for the agent.';
CREATE INDEX presentations_by_receiver ON proof.credential_presentations (disclosed_to_did, verified_at DESC);
CREATE FUNCTION proof.keep_work_log()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'DELETE'
       OR to_jsonb(NEW) - '{disclosure_level,encrypted_data}'::text[]
          <> to_jsonb(OLD) - '{disclosure_level,encrypted_data}'::text[] THEN
        RAISE EXCEPTION 'work history is append only'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
    ELSIF OLD.disclosure_level = 'public' AND NEW.disclosure_level <> 'public' THEN
        RAISE EXCEPTION 'published work cannot be made private again: others may have read it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'published_work_stays_public';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.keep_work_log IS 'Lets a work log be published and its seal be rewrapped, and nothing else.';

CREATE TRIGGER work_log_kept BEFORE UPDATE OR DELETE ON proof.work_history_logs
    FOR EACH ROW EXECUTE FUNCTION proof.keep_work_log();

CREATE FUNCTION proof.keep_evidence()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    -- The day of the settlement is generated after this trigger, from a column that is compared.
    IF TG_OP = 'UPDATE'
       AND OLD.fold_position IS NULL
       AND to_jsonb(NEW) - '{fold_position,settled_on}'::text[]
           = to_jsonb(OLD) - '{fold_position,settled_on}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'evidence is append only, and it is counted once'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION proof.keep_evidence IS 'Lets evidence be marked as counted, once, and nothing else.';

CREATE TRIGGER reputation_evidence_kept BEFORE UPDATE OR DELETE ON proof.reputation_events
    FOR EACH ROW EXECUTE FUNCTION proof.keep_evidence();
CREATE TRIGGER trust_evidence_kept BEFORE UPDATE OR DELETE ON proof.trust_events
    FOR EACH ROW EXECUTE FUNCTION proof.keep_evidence();

CREATE FUNCTION proof.refuse_change()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'what was disclosed stays on record'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION proof.refuse_change IS 'Keeps presentations as they were verified.';

CREATE TRIGGER presentations_kept BEFORE UPDATE OR DELETE ON proof.credential_presentations
    FOR EACH ROW EXECUTE FUNCTION proof.refuse_change();

-- Reputation: weights of evidence, the formula, counting evidence.

CREATE FUNCTION proof.adopted_policy()
RETURNS proof.reputation_policies
LANGUAGE sql STABLE SET search_path = ''
AS $$
SELECT policy FROM proof.reputation_policies AS policy WHERE policy.adopted
$$;
COMMENT ON FUNCTION proof.adopted_policy IS 'The reputation policy that counts now.';

-- The exponent is bounded because PostgreSQL refuses powers too small to write, and nobody could see them anyway.
CREATE FUNCTION proof.offered_weight(
    p_policy proof.reputation_policies, p_asset proof.asset, p_fee bigint, p_ordinal bigint, p_related boolean
)
RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
SELECT CASE WHEN p_related THEN 0
            WHEN p_fee >= price.full_fee THEN 1
            ELSE p_fee::double precision / price.full_fee
       END * power(p_policy.gamma, least(p_ordinal - 1, 60))
  FROM (SELECT CASE p_asset WHEN 'CREDIT' THEN p_policy.full_fee_credit
                            WHEN 'USDC' THEN p_policy.full_fee_usdc
                            WHEN 'CASH' THEN p_policy.full_fee_cash
                            WHEN 'SOL' THEN p_policy.full_fee_sol
               END AS full_fee) AS price
$$;
COMMENT ON FUNCTION proof.offered_weight IS 'Weight of the n-th settlement of a pair before the payer''s capacity: what it cost, halved for each repetition.';

CREATE FUNCTION proof.capacity_window(p_policy proof.reputation_policies, p_day date)
RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT floor((p_day - date '2000-01-01') / p_policy.capacity_window_days::numeric)::integer $$;
COMMENT ON FUNCTION proof.capacity_window IS 'Number of the window in which a day lies.';

CREATE TYPE proof.standing AS (
    success double precision,
    failure double precision,
    anchor double precision,
    mean double precision,
    lower_bound double precision,
    recent double precision,
    uncertainty double precision,
    exact double precision,
    score numeric(3, 2)
);
COMMENT ON TYPE proof.standing IS 'What the evidence of an agent says on one day, step by step.';

-- The one place of the formula. Sums age by whole days, so one full-weight settlement is 0.01 on its day exactly.
-- Published digits are cut off, not rounded; 1e-9, the tolerance of every comparison here, keeps 0.29 from being
-- cut to 0.28 for the sake of a binary fraction.
CREATE FUNCTION proof.standing_on(p_policy proof.reputation_policies, p_state proof.reputation_state, p_day date)
RETURNS proof.standing
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
SELECT ROW(combined.success, combined.failure, combined.anchor, opinion.mean, bound.lower_bound, recent.recent,
           p_policy.prior / (combined.success + combined.failure + p_policy.prior),
           result.exact, trunc((result.exact + 1e-9)::numeric, 2))::proof.standing
  FROM (SELECT power(p_policy.rho, greatest(0, p_day - p_state.as_of)) AS long,
               power(p_policy.rho_recent, greatest(0, p_day - p_state.as_of)) AS short) AS kept
 CROSS JOIN LATERAL (
       SELECT least(1, (p_policy.lambda * kept.long * (p_state.success_verified + p_state.failure_verified)
                        + p_policy.beta)
                       / nullif(kept.long * (p_state.success_unverified + p_state.failure_unverified), 0))
              AS anchor) AS credible
 CROSS JOIN LATERAL (
       SELECT credible.anchor,
              kept.long * (p_state.success_verified + credible.anchor * p_state.success_unverified) AS success,
              kept.long * (p_state.failure_verified + credible.anchor * p_state.failure_unverified) AS failure,
              kept.short * (p_state.recent_success_verified
                            + credible.anchor * p_state.recent_success_unverified) AS recent_success,
              kept.short * (p_state.recent_failure_verified
                            + credible.anchor * p_state.recent_failure_unverified) AS recent_failure) AS combined
 CROSS JOIN LATERAL (
       SELECT (combined.success + p_policy.prior / 2)
              / (combined.success + combined.failure + p_policy.prior) AS mean) AS opinion
 CROSS JOIN LATERAL (
       SELECT opinion.mean - sqrt(opinion.mean * (1 - opinion.mean)
                                  / (combined.success + combined.failure + p_policy.prior + 1))
              AS lower_bound) AS bound
 CROSS JOIN LATERAL (
       SELECT (combined.recent_success + p_policy.recent_prior * opinion.mean)
              / (combined.recent_success + combined.recent_failure + p_policy.recent_prior) AS recent) AS recent
 CROSS JOIN LATERAL (
       SELECT greatest(0, least(1, p_policy.step * combined.success, bound.lower_bound, recent.recent))
              AS exact) AS result
$$;
COMMENT ON FUNCTION proof.standing_on IS 'Reputation from summed evidence: the smallest of step x success, the lower bound of the mean, and the recent mean.';

CREATE TYPE proof.rescored AS (agent text, score numeric(3, 2), previous numeric(3, 2), update_trigger proof.update_trigger);
COMMENT ON TYPE proof.rescored IS 'A published score and the one before it (NULL: the first).';

CREATE FUNCTION proof.write_scores(p_agents text[], p_day date)
RETURNS SETOF proof.rescored
LANGUAGE sql SET search_path = ''
AS $$
INSERT INTO proof.reputation_scores AS published
       (agent_did, score, exact, update_trigger, last_updated, metadata, policy_id, scored_on)
SELECT state.agent_did, standing.score, standing.exact, state.update_trigger, state.last_settled_at,
       jsonb_build_object(
           'task_count', state.settlements,
           'success_rate', round(state.outcomes / state.settlements, 4),
           'avg_speed_ms', round(state.speed_ms_sum / nullif(state.timed, 0))
       ),
       (proof.adopted_policy()).id, greatest(p_day, state.as_of)
  FROM proof.reputation_state AS state
 CROSS JOIN LATERAL proof.standing_on(proof.adopted_policy(), state, greatest(p_day, state.as_of)) AS standing
 WHERE state.agent_did = ANY (p_agents)
   AND state.settlements > 0
 ORDER BY state.agent_did
ON CONFLICT (agent_did) DO UPDATE
   SET score = EXCLUDED.score, exact = EXCLUDED.exact, update_trigger = EXCLUDED.update_trigger,
       last_updated = EXCLUDED.last_updated, metadata = EXCLUDED.metadata, policy_id = EXCLUDED.policy_id,
       scored_on = EXCLUDED.scored_on
RETURNING new.agent_did, new.score, old.score, new.update_trigger
$$;
COMMENT ON FUNCTION proof.write_scores IS 'Publish the scores that the state of these agents gives on a day.';

-- What a verified payer can still vouch for; the row lock makes settlements of one payer wait for each other.
CREATE FUNCTION proof.lock_capacity(p_payer text, p_window integer)
RETURNS double precision
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_used double precision;
BEGIN
    INSERT INTO proof.payer_capacity (payer_did, capacity_window)
    VALUES (p_payer, p_window)
    ON CONFLICT (payer_did, capacity_window) DO NOTHING;
    SELECT used INTO v_used
      FROM proof.payer_capacity
     WHERE payer_did = p_payer AND capacity_window = p_window
       FOR NO KEY UPDATE;
    RETURN v_used;
END
$$;
COMMENT ON FUNCTION proof.lock_capacity IS 'Lock what a verified payer has used of its capacity in a window, and return it.';

-- Evidence that comes late is aged to the state, and a state that is older is aged to the evidence: the order of
-- arrival does not matter to the sums. Locks are taken payer first, agent second, so no two folds wait in a circle.
CREATE FUNCTION proof.fold_reputation(p_ref text, p_day date)
RETURNS SETOF proof.rescored
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_policy proof.reputation_policies;
    v_event proof.reputation_events;
    v_window integer;
    v_used double precision;
    v_as_of date;
    v_ordinal bigint;
    v_new_payer boolean;
    v_newly_verified boolean;
    v_weight double precision;
BEGIN
    -- Rebuilding everything takes this lock alone.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('proof.reputation', 0));
    v_policy := proof.adopted_policy();
    SELECT * INTO STRICT v_event FROM proof.reputation_events WHERE ref = p_ref;
    IF v_event.payer_verified THEN
        v_window := proof.capacity_window(v_policy, v_event.settled_on);
        v_used := proof.lock_capacity(v_event.payer_did, v_window);
    END IF;
    INSERT INTO proof.reputation_state (agent_did, as_of)
    VALUES (v_event.agent_did, v_event.settled_on)
    ON CONFLICT (agent_did) DO NOTHING;
    PERFORM FROM proof.reputation_state WHERE agent_did = v_event.agent_did FOR NO KEY UPDATE;

    UPDATE proof.reputation_events
       SET fold_position = nextval('proof.fold_positions')
     WHERE ref = p_ref AND fold_position IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    INSERT INTO proof.reputation_pairs AS pair (payer_did, agent_did, settlements, verified)
    VALUES (v_event.payer_did, v_event.agent_did, 1, v_event.payer_verified)
    ON CONFLICT (payer_did, agent_did) DO UPDATE
       SET settlements = pair.settlements + 1, verified = pair.verified OR EXCLUDED.verified
    RETURNING new.settlements, old.settlements IS NULL, new.verified AND old.verified IS NOT TRUE
      INTO v_ordinal, v_new_payer, v_newly_verified;

    v_weight := proof.offered_weight(v_policy, v_event.asset, v_event.fee, v_ordinal, v_event.payer_related);
    IF v_event.payer_verified THEN
        v_weight := greatest(0, least(v_weight, v_policy.capacity - v_used));
        UPDATE proof.payer_capacity
           SET used = used + v_weight
         WHERE payer_did = v_event.payer_did AND capacity_window = v_window;
    END IF;

    PERFORM proof.add_evidence(v_policy, v_event, v_weight);
    UPDATE proof.reputation_state
       SET settlements = settlements + 1,
           outcomes = outcomes + v_event.outcome,
           payers = payers + v_new_payer::integer,
           verified_payers = verified_payers + v_newly_verified::integer,
           timed = timed + (v_event.speed_ms IS NOT NULL)::integer,
           speed_ms_sum = speed_ms_sum + coalesce(v_event.speed_ms, 0),
           first_settled_at = least(first_settled_at, v_event.settled_at),
           last_settled_at = greatest(last_settled_at, v_event.settled_at),
           update_trigger = v_event.update_trigger
     WHERE agent_did = v_event.agent_did;
    RETURN QUERY SELECT * FROM proof.write_scores(ARRAY[v_event.agent_did], p_day);
END
$$;
COMMENT ON FUNCTION proof.fold_reputation IS 'Count one piece of evidence, once; no row when it was counted before. Safe to call at the same time from several sessions.';

CREATE FUNCTION proof.add_evidence(
    p_policy proof.reputation_policies, p_event proof.reputation_events, p_weight double precision
)
RETURNS void
LANGUAGE sql SET search_path = ''
AS $$
UPDATE proof.reputation_state AS state
   SET as_of = aged.as_of,
       success_verified = state.success_verified * aged.kept + added.success * added.verified * aged.fresh,
       failure_verified = state.failure_verified * aged.kept + added.failure * added.verified * aged.fresh,
       success_unverified = state.success_unverified * aged.kept + added.success * added.unverified * aged.fresh,
       failure_unverified = state.failure_unverified * aged.kept + added.failure * added.unverified * aged.fresh,
       recent_success_verified = state.recent_success_verified * aged.kept_recent
                                 + added.success * added.verified * aged.fresh_recent,
       recent_failure_verified = state.recent_failure_verified * aged.kept_recent
                                 + added.failure * added.verified * aged.fresh_recent,
       recent_success_unverified = state.recent_success_unverified * aged.kept_recent
                                   + added.success * added.unverified * aged.fresh_recent,
       recent_failure_unverified = state.recent_failure_unverified * aged.kept_recent
                                   + added.failure * added.unverified * aged.fresh_recent
  FROM (SELECT known.agent_did, days.as_of,
               power(p_policy.rho, days.as_of - known.as_of) AS kept,
               power(p_policy.rho, days.as_of - p_event.settled_on) AS fresh,
               power(p_policy.rho_recent, days.as_of - known.as_of) AS kept_recent,
               power(p_policy.rho_recent, days.as_of - p_event.settled_on) AS fresh_recent
          FROM proof.reputation_state AS known
         CROSS JOIN LATERAL (SELECT greatest(known.as_of, p_event.settled_on) AS as_of) AS days) AS aged
 CROSS JOIN (SELECT p_weight * p_event.outcome::double precision AS success,
                    p_weight * (1 - p_event.outcome)::double precision AS failure,
                    p_event.payer_verified::integer AS verified,
                    (NOT p_event.payer_verified)::integer AS unverified) AS added
 WHERE state.agent_did = p_event.agent_did
   AND aged.agent_did = state.agent_did
$$;
COMMENT ON FUNCTION proof.add_evidence IS 'Bring the sums of an agent to the newer of two days and add one weighted outcome to them.';

CREATE FUNCTION proof.age_scores(p_day date, p_limit integer)
RETURNS SETOF proof.rescored
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_agents text[];
BEGIN
    -- Whoever folds holds the row and will write today's score itself.
    SELECT array_agg(stale.agent_did)
      INTO v_agents
      FROM (SELECT agent_did
              FROM proof.reputation_scores
             WHERE scored_on < p_day
             ORDER BY scored_on
             LIMIT p_limit
               FOR NO KEY UPDATE SKIP LOCKED) AS stale;
    RETURN QUERY SELECT * FROM proof.write_scores(coalesce(v_agents, '{}'), p_day);
END
$$;
COMMENT ON FUNCTION proof.age_scores IS 'Work out anew the scores of agents without fresh evidence: theirs ages too.';

CREATE FUNCTION proof.rebuild_reputation(p_policy text, p_day date)
RETURNS SETOF proof.rescored
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('proof.reputation', 0));
    IF NOT EXISTS (SELECT FROM proof.reputation_policies WHERE id = p_policy) THEN
        RAISE EXCEPTION 'there is no reputation policy %', p_policy
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reputation_policy_known';
    END IF;
    -- Two statements: the index that keeps one policy adopted is checked row by row.
    UPDATE proof.reputation_policies SET adopted = false WHERE adopted AND id <> p_policy;
    UPDATE proof.reputation_policies SET adopted = true WHERE NOT adopted AND id = p_policy;

    DELETE FROM proof.reputation_state;
    DELETE FROM proof.reputation_pairs;
    DELETE FROM proof.payer_capacity;
    INSERT INTO proof.reputation_state
           (agent_did, as_of, success_verified, failure_verified, success_unverified, failure_unverified,
            recent_success_verified, recent_failure_verified, recent_success_unverified, recent_failure_unverified,
            settlements, outcomes, payers, verified_payers, timed, speed_ms_sum, first_settled_at, last_settled_at,
            update_trigger)
    SELECT agent_did, as_of, success_verified, failure_verified, success_unverified, failure_unverified,
           recent_success_verified, recent_failure_verified, recent_success_unverified, recent_failure_unverified,
           settlements, outcomes, payers, verified_payers, timed, speed_ms_sum, first_settled_at, last_settled_at,
           update_trigger
      FROM proof.reputation_recomputed;
    INSERT INTO proof.reputation_pairs (payer_did, agent_did, settlements, verified)
    SELECT payer_did, agent_did, count(*), bool_or(payer_verified)
      FROM proof.reputation_weights
     GROUP BY payer_did, agent_did;
    INSERT INTO proof.payer_capacity (payer_did, capacity_window, used)
    SELECT payer_did, capacity_window, sum(weight)
      FROM proof.reputation_weights
     WHERE payer_verified
     GROUP BY payer_did, capacity_window;
    RETURN QUERY
    SELECT * FROM proof.write_scores(ARRAY(SELECT agent_did FROM proof.reputation_state), p_day);
END
$$;
COMMENT ON FUNCTION proof.rebuild_reputation IS 'Adopt a policy and work out every reputation anew from all evidence; folding waits meanwhile.';

-- Trust: how it fades, what a piece of work says about it, counting evidence.

CREATE FUNCTION proof.apply_trust_decay(p_score double precision, p_days double precision, p_rate double precision DEFAULT 0.977)
RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT p_score * power(p_rate, p_days) $$;
COMMENT ON FUNCTION proof.apply_trust_decay IS 'AINP''s rule to the letter: a silent agent falls to 0. Shown for comparison only: it makes every resting agent look like a fraud.';

CREATE FUNCTION proof.towards_neutral(p_value double precision, p_days double precision, p_rate double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT 0.5 + (p_value - 0.5) * power(p_rate, p_days) $$;
COMMENT ON FUNCTION proof.towards_neutral IS 'A trust value after some days of silence: evidence fades, and what is left is the neutral 0.5.';

CREATE FUNCTION proof.days_between(p_from timestamptz, p_to timestamptz)
RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT greatest(0, extract(epoch FROM p_to - p_from) / 86400)::double precision $$;
COMMENT ON FUNCTION proof.days_between IS 'Days from one instant to a later one; 0 when it is not later.';

CREATE FUNCTION proof.timeliness_sample(p_started timestamptz, p_due timestamptz, p_delivered timestamptz)
RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT CASE
    WHEN p_started IS NULL OR p_due IS NULL THEN NULL
    WHEN p_delivered IS NULL THEN 0
    ELSE greatest(0, least(1, 2 - 1000 * extract(epoch FROM p_delivered - p_started)
                                  / greatest(1000 * extract(epoch FROM p_due - p_started), 1)))
END $$;
COMMENT ON FUNCTION proof.timeliness_sample IS '1 when delivered within the time promised, 0 from twice that time on or never; NULL when nothing was promised.';

CREATE FUNCTION proof.reliability_sample(p_outcome proof.outcome, p_timeliness double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT CASE
    WHEN p_outcome = 0 THEN 0.05
    WHEN p_outcome < 1 OR p_timeliness < 0.1 THEN 0.5
    ELSE 0.95
END $$;
COMMENT ON FUNCTION proof.reliability_sample IS '0.95 for accepted work, 0.5 for work accepted in part or very late, 0.05 for failed work.';

-- Evidence older than the vector moves it less, by what it would have faded since.
CREATE FUNCTION proof.trust_after(p_trust proof.trust_vector, p_event proof.trust_events, p_rate double precision)
RETURNS proof.trust_vector
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
SELECT ROW(known.reliability + share.alpha * (coalesce(sample.reliability, known.reliability) - known.reliability),
           known.honesty,
           known.competence,
           known.timeliness + share.alpha * (coalesce(sample.timeliness, known.timeliness) - known.timeliness),
           greatest((p_trust).as_of, (p_event).occurred_at))::proof.trust_vector
  FROM (SELECT proof.towards_neutral((p_trust).reliability, idle.days, p_rate) AS reliability,
               proof.towards_neutral((p_trust).honesty, idle.days, p_rate) AS honesty,
               proof.towards_neutral((p_trust).competence, idle.days, p_rate) AS competence,
               proof.towards_neutral((p_trust).timeliness, idle.days, p_rate) AS timeliness
          FROM (SELECT proof.days_between((p_trust).as_of, (p_event).occurred_at) AS days) AS idle) AS known
 CROSS JOIN (SELECT 0.2 * power(p_rate, proof.days_between((p_event).occurred_at, (p_trust).as_of)) AS alpha) AS share
 CROSS JOIN (SELECT proof.reliability_sample((p_event).outcome, punctual.timeliness) AS reliability,
                    punctual.timeliness
               FROM (SELECT proof.timeliness_sample((p_event).started_at, (p_event).due_at,
                                                    (p_event).delivered_at) AS timeliness) AS punctual) AS sample
$$;
COMMENT ON FUNCTION proof.trust_after IS 'The trust vector after one more piece of evidence: an exponential average with weight 0.2 on what had faded until then.';

CREATE AGGREGATE proof.trust_replayed(proof.trust_events, double precision) (
    SFUNC = proof.trust_after,
    STYPE = proof.trust_vector,
    INITCOND = '(0.5,0.5,0.5,0.5,-infinity)'
);
COMMENT ON AGGREGATE proof.trust_replayed(proof.trust_events, double precision) IS 'The trust vector from all evidence, in the order in which it was counted.';

CREATE FUNCTION proof.fold_trust(p_ref text)
RETURNS SETOF proof.trust_scores
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_event proof.trust_events;
    v_known proof.trust_scores;
    v_trust proof.trust_vector;
BEGIN
    SELECT * INTO STRICT v_event FROM proof.trust_events WHERE ref = p_ref;
    INSERT INTO proof.trust_scores (agent_did, last_updated)
    VALUES (v_event.agent_did, v_event.occurred_at)
    ON CONFLICT (agent_did) DO NOTHING;
    SELECT * INTO v_known FROM proof.trust_scores WHERE agent_did = v_event.agent_did FOR NO KEY UPDATE;

    UPDATE proof.trust_events
       SET fold_position = nextval('proof.fold_positions')
     WHERE ref = p_ref AND fold_position IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    v_trust := proof.trust_after(
        ROW(v_known.reliability, v_known.honesty, v_known.competence, v_known.timeliness, v_known.last_updated),
        v_event, v_known.decay_rate
    );
    RETURN QUERY
    UPDATE proof.trust_scores
       SET reliability = v_trust.reliability, honesty = v_trust.honesty, competence = v_trust.competence,
           timeliness = v_trust.timeliness, last_updated = v_trust.as_of
     WHERE agent_did = v_event.agent_did
    RETURNING *;
END
$$;
COMMENT ON FUNCTION proof.fold_trust IS 'Count one piece of evidence, once; no row when it was counted before. Safe to call at the same time from several sessions.';

-- Disclosure: a request is used up by the presentation that was verified for it; the row lock makes a second one wait.
CREATE FUNCTION proof.take_disclosure_request(p_request uuid)
RETURNS proof.disclosure_requests
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_request proof.disclosure_requests;
BEGIN
    SELECT * INTO v_request FROM proof.disclosure_requests WHERE id = p_request FOR NO KEY UPDATE;
    IF v_request.id IS NULL THEN
        RAISE EXCEPTION 'there is no disclosure request %', p_request
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disclosure_request_known';
    ELSIF v_request.used_at IS NOT NULL THEN
        RAISE EXCEPTION 'this request was answered at %', v_request.used_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disclosure_request_used_once',
                  DETAIL = jsonb_build_object('used_at', v_request.used_at);
    ELSIF v_request.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'this request expired at %', v_request.expires_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disclosure_request_alive',
                  DETAIL = jsonb_build_object('expires_at', v_request.expires_at);
    END IF;
    UPDATE proof.disclosure_requests SET used_at = clock_timestamp() WHERE id = p_request RETURNING * INTO v_request;
    RETURN v_request;
END
$$;
COMMENT ON FUNCTION proof.take_disclosure_request IS 'Use a disclosure request up; refused when it was answered or has expired.';
-- Everything below is worked out from the events alone, without the state that folding keeps: window functions and
-- plain sums instead of running updates.

CREATE VIEW proof.reputation_weights WITH (security_invoker) AS
WITH ordered AS (
    SELECT event.*,
           row_number() OVER (PARTITION BY event.payer_did, event.agent_did ORDER BY event.fold_position) AS ordinal
      FROM proof.reputation_events AS event
     WHERE event.fold_position IS NOT NULL
),
offered AS (
    SELECT ordered.*,
           proof.capacity_window(rules, ordered.settled_on) AS capacity_window,
           proof.offered_weight(rules, ordered.asset, ordered.fee, ordered.ordinal, ordered.payer_related) AS offer,
           rules.capacity
      FROM ordered
     CROSS JOIN proof.reputation_policies AS rules
     WHERE rules.adopted
),
filled AS (
    SELECT offered.*,
           sum(offered.offer) OVER (PARTITION BY offered.payer_did, offered.capacity_window, offered.payer_verified
                                        ORDER BY offered.fold_position) AS offers
      FROM offered
)
SELECT filled.ref, filled.agent_did, filled.payer_did, filled.payer_verified, filled.outcome, filled.settled_at,
       filled.settled_on, filled.speed_ms, filled.update_trigger, filled.fold_position, filled.ordinal,
       filled.capacity_window,
       CASE WHEN filled.payer_verified
            THEN least(filled.capacity, filled.offers) - least(filled.capacity, filled.offers - filled.offer)
            ELSE filled.offer
       END AS weight
  FROM filled;
COMMENT ON VIEW proof.reputation_weights IS 'What each counted settlement weighs, worked out from all events in the order in which they were counted.';

CREATE VIEW proof.reputation_recomputed WITH (security_invoker) AS
SELECT aged.agent_did, aged.as_of,
       coalesce(sum(aged.success) FILTER (WHERE aged.payer_verified), 0) AS success_verified,
       coalesce(sum(aged.failure) FILTER (WHERE aged.payer_verified), 0) AS failure_verified,
       coalesce(sum(aged.success) FILTER (WHERE NOT aged.payer_verified), 0) AS success_unverified,
       coalesce(sum(aged.failure) FILTER (WHERE NOT aged.payer_verified), 0) AS failure_unverified,
       coalesce(sum(aged.recent_success) FILTER (WHERE aged.payer_verified), 0) AS recent_success_verified,
       coalesce(sum(aged.recent_failure) FILTER (WHERE aged.payer_verified), 0) AS recent_failure_verified,
       coalesce(sum(aged.recent_success) FILTER (WHERE NOT aged.payer_verified), 0) AS recent_success_unverified,
       coalesce(sum(aged.recent_failure) FILTER (WHERE NOT aged.payer_verified), 0) AS recent_failure_unverified,
       count(*) AS settlements,
       sum(aged.outcome) AS outcomes,
       count(DISTINCT aged.payer_did) AS payers,
       count(DISTINCT aged.payer_did) FILTER (WHERE aged.payer_verified) AS verified_payers,
       count(aged.speed_ms) AS timed,
       coalesce(sum(aged.speed_ms), 0) AS speed_ms_sum,
       min(aged.settled_at) AS first_settled_at,
       max(aged.settled_at) AS last_settled_at,
       (array_agg(aged.update_trigger ORDER BY aged.fold_position DESC))[1] AS update_trigger
  FROM (SELECT weighed.*,
               weighed.weight * weighed.outcome * power(rules.rho, weighed.as_of - weighed.settled_on) AS success,
               weighed.weight * (1 - weighed.outcome) * power(rules.rho, weighed.as_of - weighed.settled_on) AS failure,
               weighed.weight * weighed.outcome
                   * power(rules.rho_recent, weighed.as_of - weighed.settled_on) AS recent_success,
               weighed.weight * (1 - weighed.outcome)
                   * power(rules.rho_recent, weighed.as_of - weighed.settled_on) AS recent_failure
          FROM (SELECT event.*, max(event.settled_on) OVER (PARTITION BY event.agent_did) AS as_of
                  FROM proof.reputation_weights AS event) AS weighed
         CROSS JOIN proof.reputation_policies AS rules
         WHERE rules.adopted) AS aged
 GROUP BY aged.agent_did, aged.as_of;
COMMENT ON VIEW proof.reputation_recomputed IS 'The state of every agent, worked out from all events: what proof.reputation_state must say.';

CREATE VIEW proof.trust_recomputed WITH (security_invoker) AS
SELECT replayed.agent_did, (replayed.trust).reliability, (replayed.trust).honesty, (replayed.trust).competence,
       (replayed.trust).timeliness, (replayed.trust).as_of
  FROM (SELECT event.agent_did, proof.trust_replayed(event, known.decay_rate ORDER BY event.fold_position) AS trust
          FROM proof.trust_events AS event
          JOIN proof.trust_scores AS known ON known.agent_did = event.agent_did
         WHERE event.fold_position IS NOT NULL
         GROUP BY event.agent_did) AS replayed;
COMMENT ON VIEW proof.trust_recomputed IS 'The trust vector of every agent, worked out from all events: what proof.trust_scores must say.';

-- Sums of the same numbers in another order differ in their last binary digits; 1e-9 is far above that and far below
-- anything that is published.
CREATE VIEW proof.differences WITH (security_invoker) AS
SELECT 'state' AS kind, coalesce(kept.agent_did, due.agent_did) AS subject,
       format('kept as of %s: success %s + %s, failure %s + %s, %s settlements of %s payers; events say as of %s: %s + %s, %s + %s, %s of %s',
              kept.as_of, kept.success_verified, kept.success_unverified, kept.failure_verified,
              kept.failure_unverified, kept.settlements, kept.payers,
              due.as_of, due.success_verified, due.success_unverified, due.failure_verified,
              due.failure_unverified, due.settlements, due.payers) AS finding
  FROM proof.reputation_state AS kept
  FULL JOIN proof.reputation_recomputed AS due ON due.agent_did = kept.agent_did
 WHERE (kept.as_of, kept.settlements, kept.outcomes, kept.payers, kept.verified_payers, kept.timed, kept.speed_ms_sum,
        kept.first_settled_at, kept.last_settled_at, kept.update_trigger)
       IS DISTINCT FROM
       (due.as_of, due.settlements, due.outcomes, due.payers, due.verified_payers, due.timed, due.speed_ms_sum,
        due.first_settled_at, due.last_settled_at, due.update_trigger)
    OR greatest(abs(kept.success_verified - due.success_verified),
                abs(kept.failure_verified - due.failure_verified),
                abs(kept.success_unverified - due.success_unverified),
                abs(kept.failure_unverified - due.failure_unverified),
                abs(kept.recent_success_verified - due.recent_success_verified),
                abs(kept.recent_failure_verified - due.recent_failure_verified),
                abs(kept.recent_success_unverified - due.recent_success_unverified),
                abs(kept.recent_failure_unverified - due.recent_failure_unverified)) > 1e-9
UNION ALL
SELECT 'score', coalesce(published.agent_did, due.agent_did),
       format('published %s (exactly %s) under %s, events say %s (%s) under %s', published.score, published.exact,
              published.policy_id, standing.score, standing.exact, rules.id)
  FROM proof.reputation_scores AS published
  FULL JOIN proof.reputation_recomputed AS due ON due.agent_did = published.agent_did
  LEFT JOIN proof.reputation_policies AS rules ON rules.adopted
  LEFT JOIN LATERAL proof.standing_on(
       rules,
       ROW(due.agent_did, due.as_of, due.success_verified, due.failure_verified, due.success_unverified,
           due.failure_unverified, due.recent_success_verified, due.recent_failure_verified,
           due.recent_success_unverified, due.recent_failure_unverified, due.settlements, due.outcomes, due.payers,
           due.verified_payers, due.timed, due.speed_ms_sum, due.first_settled_at, due.last_settled_at,
           due.update_trigger)::proof.reputation_state,
       published.scored_on) AS standing ON due.agent_did IS NOT NULL
 WHERE (published.score, published.policy_id, published.update_trigger, published.last_updated)
       IS DISTINCT FROM (standing.score, rules.id, due.update_trigger, due.last_settled_at)
    OR abs(published.exact - standing.exact) > 1e-9
UNION ALL
SELECT 'pair', coalesce(kept.payer_did, due.payer_did) || ' -> ' || coalesce(kept.agent_did, due.agent_did),
       format('kept %s settlements, events say %s', kept.settlements, due.settlements)
  FROM proof.reputation_pairs AS kept
  FULL JOIN (SELECT payer_did, agent_did, count(*) AS settlements, bool_or(payer_verified) AS verified
               FROM proof.reputation_weights
              GROUP BY payer_did, agent_did) AS due
       ON due.payer_did = kept.payer_did AND due.agent_did = kept.agent_did
 WHERE (kept.settlements, kept.verified) IS DISTINCT FROM (due.settlements, due.verified)
UNION ALL
SELECT 'capacity', coalesce(kept.payer_did, due.payer_did),
       format('kept %s used in window %s, events say %s', kept.used, coalesce(kept.capacity_window, due.capacity_window),
              due.used)
  FROM proof.payer_capacity AS kept
  FULL JOIN (SELECT payer_did, capacity_window, sum(weight) AS used
               FROM proof.reputation_weights
              WHERE payer_verified
              GROUP BY payer_did, capacity_window) AS due
       ON due.payer_did = kept.payer_did AND due.capacity_window = kept.capacity_window
 WHERE coalesce(abs(kept.used - due.used), 1) > 1e-9
UNION ALL
SELECT 'trust', coalesce(kept.agent_did, due.agent_did),
       format('kept %s %s %s %s as of %s, events say %s %s %s %s as of %s', kept.reliability, kept.honesty,
              kept.competence, kept.timeliness, kept.last_updated, due.reliability, due.honesty, due.competence,
              due.timeliness, due.as_of)
  FROM proof.trust_scores AS kept
  FULL JOIN proof.trust_recomputed AS due ON due.agent_did = kept.agent_did
 WHERE kept.last_updated IS DISTINCT FROM due.as_of
    OR greatest(abs(kept.reliability - due.reliability), abs(kept.honesty - due.honesty),
                abs(kept.competence - due.competence), abs(kept.timeliness - due.timeliness)) > 1e-9;
COMMENT ON VIEW proof.differences IS 'Every way in which reputation and trust differ from what all evidence gives when it is counted again; empty when they are right.';

CREATE VIEW proof.reputations WITH (security_invoker) AS
SELECT published.agent_did, published.score, published.update_trigger, published.last_updated, published.metadata,
       published.policy_id, published.exact, published.scored_on,
       jsonb_build_object(
           'success', standing.success, 'failure', standing.failure, 'anchor', standing.anchor,
           'mean', standing.mean, 'lower_bound', standing.lower_bound, 'recent', standing.recent,
           'uncertainty', standing.uncertainty, 'events', state.settlements, 'payers', state.payers,
           'verified_payers', state.verified_payers, 'first_settled_at', state.first_settled_at,
           'last_settled_at', state.last_settled_at
       ) AS explanation
  FROM proof.reputation_scores AS published
  JOIN proof.reputation_state AS state ON state.agent_did = published.agent_did
  JOIN proof.reputation_policies AS rules ON rules.id = published.policy_id
 CROSS JOIN LATERAL proof.standing_on(rules, state, published.scored_on) AS standing;
COMMENT ON VIEW proof.reputations IS 'Published reputations, each with the steps that lead to it.';
GRANT USAGE ON SCHEMA proof TO hansa_app;
GRANT USAGE ON SEQUENCE proof.fold_positions TO hansa_app;
GRANT SELECT, INSERT, UPDATE (disclosure_level) ON proof.work_history_logs TO hansa_app;
GRANT SELECT, UPDATE (adopted) ON proof.reputation_policies TO hansa_app;
GRANT SELECT, INSERT, UPDATE (fold_position) ON proof.reputation_events, proof.trust_events TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON proof.reputation_state, proof.reputation_pairs, proof.payer_capacity TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON proof.reputation_scores, proof.trust_scores TO hansa_app;
GRANT SELECT, INSERT, UPDATE (used_at) ON proof.disclosure_requests TO hansa_app;
GRANT SELECT, INSERT ON proof.credential_presentations TO hansa_app;
GRANT SELECT ON proof.reputation_weights, proof.reputation_recomputed, proof.trust_recomputed, proof.differences,
                proof.reputations TO hansa_app;

-- Everybody sees that there is a log: its columns are hashes and a sealed value. Who settles need not be a party: a
-- facilitator, a timer or an arbiter settles too, so whoever acts may add evidence; commands decide what is evidence.
ALTER TABLE proof.work_history_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.work_history_logs FORCE ROW LEVEL SECURITY;
CREATE POLICY work_hashes_are_open ON proof.work_history_logs FOR SELECT USING (true);
CREATE POLICY settling_adds_work ON proof.work_history_logs FOR INSERT WITH CHECK (true);
CREATE POLICY agents_publish_their_work ON proof.work_history_logs FOR UPDATE
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND agent_did = current_setting('hansa.actor', true));

ALTER TABLE proof.reputation_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.reputation_events FORCE ROW LEVEL SECURITY;
CREATE POLICY settling_adds_reputation_evidence ON proof.reputation_events FOR INSERT WITH CHECK (true);
CREATE POLICY reputation_evidence_for_the_house ON proof.reputation_events
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_see_their_evidence ON proof.reputation_events FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND current_setting('hansa.actor', true) IN (agent_did, payer_did));

ALTER TABLE proof.trust_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.trust_events FORCE ROW LEVEL SECURITY;
CREATE POLICY settling_adds_trust_evidence ON proof.trust_events FOR INSERT WITH CHECK (true);
CREATE POLICY trust_evidence_for_the_house ON proof.trust_events
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_see_their_trust_evidence ON proof.trust_events FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND agent_did = current_setting('hansa.actor', true));

ALTER TABLE proof.reputation_pairs ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.reputation_pairs FORCE ROW LEVEL SECURITY;
CREATE POLICY pairs_for_the_house ON proof.reputation_pairs
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));

ALTER TABLE proof.payer_capacity ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.payer_capacity FORCE ROW LEVEL SECURITY;
CREATE POLICY capacity_for_the_house ON proof.payer_capacity
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));

ALTER TABLE proof.disclosure_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.disclosure_requests FORCE ROW LEVEL SECURITY;
CREATE POLICY disclosures_for_the_house ON proof.disclosure_requests
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_answer_disclosures ON proof.disclosure_requests
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND current_setting('hansa.actor', true) IN (agent_did, requested_by_did));
CREATE POLICY people_ask_for_disclosures ON proof.disclosure_requests
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND requested_by_user = nullif(current_setting('hansa.user', true), '')::uuid);

ALTER TABLE proof.credential_presentations ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.credential_presentations FORCE ROW LEVEL SECURITY;
CREATE POLICY presentations_for_the_house ON proof.credential_presentations
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_see_presentations ON proof.credential_presentations FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND current_setting('hansa.actor', true) IN (agent_did, disclosed_to_did));
CREATE POLICY people_see_what_was_shown_to_them ON proof.credential_presentations FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND disclosed_to_user = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY agents_present_their_work ON proof.credential_presentations FOR INSERT
    WITH CHECK (current_setting('hansa.actor_kind', true) = 'agent'
                AND agent_did = current_setting('hansa.actor', true));
