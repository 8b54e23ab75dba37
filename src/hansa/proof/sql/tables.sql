CREATE SCHEMA proof;
COMMENT ON SCHEMA proof IS 'What agents have done and what follows from it: sealed work history, the evidence of each settlement, reputation, trust, and disclosures.';

CREATE TYPE proof.update_trigger AS ENUM ('x402_settlement', 'zkp_proof', 'oracle_attestation');
CREATE TYPE proof.attestation_source AS ENUM ('switchboard', 'third_party');
CREATE TYPE proof.disclosure_level AS ENUM ('public', 'private_zk');
CREATE TYPE proof.asset AS ENUM ('CREDIT', 'USDC', 'CASH', 'SOL');
CREATE TYPE proof.trust_evidence AS ENUM ('work', 'attestation', 'dispute');
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
CREATE INDEX reputation_events_by_pair ON proof.reputation_events (payer_did, agent_did);
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
    kind proof.trust_evidence NOT NULL DEFAULT 'work',
    work_ref text,
    outcome proof.outcome,
    started_at timestamptz,
    due_at timestamptz,
    delivered_at timestamptz,
    reliability double precision,
    honesty double precision,
    competence double precision,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fold_position bigint,
    weight double precision,
    CONSTRAINT outcome_moves_trust_once PRIMARY KEY (ref),
    CONSTRAINT trust_in_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT evidence_about_settled_work FOREIGN KEY (work_ref) REFERENCES proof.reputation_events (ref),
    CONSTRAINT outcome_belongs_to_work CHECK (
        CASE kind WHEN 'work' THEN outcome IS NOT NULL AND num_nonnulls(work_ref, reliability) = 0
                  ELSE num_nonnulls(outcome, started_at, due_at, delivered_at) = 0 END
    ),
    CONSTRAINT evidence_says_something CHECK (kind = 'work' OR num_nonnulls(reliability, honesty, competence) > 0),
    CONSTRAINT trust_samples_between_0_and_1 CHECK (
        reliability BETWEEN 0 AND 1 AND honesty BETWEEN 0 AND 1 AND competence BETWEEN 0 AND 1
    ),
    CONSTRAINT evidence_weighs_0_to_1 CHECK (weight BETWEEN 0 AND 1),
    CONSTRAINT counted_evidence_has_its_weight CHECK (fold_position IS NULL OR weight IS NOT NULL),
    CONSTRAINT work_delivered_after_its_start CHECK (delivered_at >= started_at),
    CONSTRAINT outcome_not_in_the_future CHECK (occurred_at <= recorded_at + interval '1 minute'),
    CONSTRAINT one_trust_event_per_position UNIQUE (fold_position)
);
COMMENT ON TABLE proof.trust_events IS 'The evidence behind trust: how each piece of work ended and how long it took, what attesters found, how disputes were decided. Append only.';
COMMENT ON COLUMN proof.trust_events.ref IS 'What was settled, attested or decided, "kind:id"; it counts once.';
COMMENT ON COLUMN proof.trust_events.kind IS 'work: somebody paid for it. attestation: somebody entitled to it examined the work. dispute: it was decided.';
COMMENT ON COLUMN proof.trust_events.work_ref IS 'The settled work that an attestation or dispute is about: it weighs what that work cost. NULL: about no single piece of work, full weight; of work itself always NULL.';
COMMENT ON COLUMN proof.trust_events.outcome IS 'How the work ended; NULL: the evidence is not of work.';
COMMENT ON COLUMN proof.trust_events.reliability IS 'What an attestation or dispute says about reliability, 0 to 1; NULL: nothing. Work says it by outcome and lateness.';
COMMENT ON COLUMN proof.trust_events.honesty IS 'What the evidence says about honesty, 0 to 1; NULL: nothing.';
COMMENT ON COLUMN proof.trust_events.competence IS 'What the evidence says about competence, 0 to 1; NULL: nothing.';
COMMENT ON COLUMN proof.trust_events.weight IS 'How far the evidence counts, 0 to 1, set once when it is counted; NULL: not counted yet.';
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
    work_count bigint NOT NULL DEFAULT 0,
    attestation_count bigint NOT NULL DEFAULT 0,
    dispute_count bigint NOT NULL DEFAULT 0,
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
COMMENT ON COLUMN proof.trust_scores.work_count IS 'Pieces of settled work counted, whatever they weigh; the same holds for attestations and disputes.';

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

CREATE TABLE proof.usefulness_proofs (
    id uuid NOT NULL DEFAULT uuidv7(),
    intent_id uuid NOT NULL,
    agent_did text NOT NULL,
    work_type text NOT NULL,
    metrics jsonb NOT NULL,
    attestations text[] NOT NULL DEFAULT '{}',
    trace_id text NOT NULL,
    usefulness_score numeric(5, 2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    worked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT usefulness_proofs_pkey PRIMARY KEY (id),
    CONSTRAINT useful_work_proven_once UNIQUE (agent_did, trace_id),
    CONSTRAINT useful_work_by_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did) ON DELETE RESTRICT,
    CONSTRAINT work_type_known CHECK (work_type IN ('compute', 'memory', 'routing', 'validation', 'learning')),
    CONSTRAINT usefulness_score_within_100 CHECK (usefulness_score BETWEEN 0 AND 100),
    CONSTRAINT work_metrics_are_few CHECK (jsonb_typeof(metrics) = 'object' AND length(metrics::text) <= 10000),
    CONSTRAINT attestations_are_few CHECK (cardinality(attestations) <= 5),
    CONSTRAINT trace_names_the_work CHECK (length(trace_id) BETWEEN 1 AND 200)
);
COMMENT ON TABLE proof.usefulness_proofs IS 'What agents say they did beyond what was paid, one row for each piece of work, scored once. Append only. Source: AINP proofs of useful work.';
COMMENT ON COLUMN proof.usefulness_proofs.intent_id IS 'The intent that the work served; kept by the negotiation context.';
COMMENT ON COLUMN proof.usefulness_proofs.work_type IS 'compute, memory, routing, validation or learning: says which metric is scored.';
COMMENT ON COLUMN proof.usefulness_proofs.metrics IS 'What the agent measured itself: compute_ms, memory_bytes, routing_hops, validation_checks, learning_samples, and whatever else it wants to keep. The metric of the work type is scored.';
COMMENT ON COLUMN proof.usefulness_proofs.attestations IS 'Credentials of the house over settled work of this agent, each presented for this proof and verified; empty: nothing but the agent''s word.';
COMMENT ON COLUMN proof.usefulness_proofs.trace_id IS 'The agent''s own name for the work, under which it is proven once.';
COMMENT ON COLUMN proof.usefulness_proofs.usefulness_score IS '0 to 100, by proof.usefulness_score when the row was written.';
COMMENT ON COLUMN proof.usefulness_proofs.worked_at IS 'The time that the agent gives, at most five minutes away from created_at; of proofs older than this column the time of writing.';
CREATE INDEX idx_usefulness_agent ON proof.usefulness_proofs (agent_did, created_at DESC);
COMMENT ON INDEX proof.idx_usefulness_agent IS 'The history of an agent, newest first.';
CREATE INDEX idx_usefulness_intent ON proof.usefulness_proofs (intent_id);
COMMENT ON INDEX proof.idx_usefulness_intent IS 'Work that served an intent.';
CREATE INDEX idx_usefulness_work_type ON proof.usefulness_proofs (work_type);
COMMENT ON INDEX proof.idx_usefulness_work_type IS 'Work of one type.';
CREATE INDEX idx_usefulness_score ON proof.usefulness_proofs (usefulness_score DESC);
COMMENT ON INDEX proof.idx_usefulness_score IS 'The most useful work first.';
CREATE INDEX idx_usefulness_trace ON proof.usefulness_proofs (trace_id);
COMMENT ON INDEX proof.idx_usefulness_trace IS 'Work under one trace, whoever did it.';
CREATE INDEX idx_usefulness_agent_score ON proof.usefulness_proofs (agent_did, usefulness_score DESC);
COMMENT ON INDEX proof.idx_usefulness_agent_score IS 'The most useful work of an agent first.';
CREATE INDEX idx_usefulness_metrics ON proof.usefulness_proofs USING gin (metrics);
COMMENT ON INDEX proof.idx_usefulness_metrics IS 'Work with certain metrics.';

CREATE TYPE proof.receipt_state AS ENUM ('pending', 'finalized', 'rejected', 'expired', 'unattested');
COMMENT ON TYPE proof.receipt_state IS 'pending: it can be attested. finalized: client and committee stand behind the work. rejected: the committee does not. expired: no verdict in time. unattested: too few agents could sit, so there is no committee.';
CREATE TYPE proof.attestation_kind AS ENUM ('ACCEPTED', 'AUDIT_PASS', 'AUDIT_FAIL', 'SAFETY_PASS');
COMMENT ON TYPE proof.attestation_kind IS 'ACCEPTED is said by the client, the others by members of the committee; SAFETY_PASS is told and not counted. Source: AINP.';
CREATE TYPE proof.verdict AS ENUM ('pass', 'fail');
COMMENT ON TYPE proof.verdict IS 'What a quorum says of a piece of work.';
CREATE TYPE proof.seat_finding AS ENUM ('agreed', 'disagreed', 'silent', 'unjudged');
COMMENT ON TYPE proof.seat_finding IS 'How a member of a committee did: its audit is the verdict or is against it, it let the time pass without a word, or there is nothing to hold it against.';

CREATE TABLE proof.attestation_policy (
    id boolean NOT NULL DEFAULT true,
    k smallint NOT NULL,
    m smallint NOT NULL,
    window_s integer NOT NULL,
    min_trust double precision NOT NULL,
    stake_min bigint NOT NULL,
    reward_units bigint NOT NULL,
    slash_bps integer NOT NULL,
    unbonding_s integer NOT NULL,
    CONSTRAINT one_attestation_policy PRIMARY KEY (id),
    CONSTRAINT attestation_policy_possible CHECK (
        id AND k BETWEEN 1 AND m AND m <= 31 AND window_s BETWEEN 1 AND 2592000 AND min_trust > 0 AND min_trust <= 1
        AND stake_min > 0 AND reward_units >= 0 AND slash_bps BETWEEN 0 AND 10000 AND unbonding_s BETWEEN 0 AND 2592000
    )
);
COMMENT ON TABLE proof.attestation_policy IS 'How settled work is attested, where an operator changed it; at most one row. What holds is in proof.attestation_rules, and a receipt keeps the numbers that it began with.';
COMMENT ON COLUMN proof.attestation_policy.k IS 'Audits that must pass.';
COMMENT ON COLUMN proof.attestation_policy.m IS 'Seats of a committee.';
COMMENT ON COLUMN proof.attestation_policy.window_s IS 'Seconds from the drawing of a committee to the end of its time.';
COMMENT ON COLUMN proof.attestation_policy.min_trust IS 'Least trust with which an agent may sit, 0 to 1. Nothing known is 0.5.';
COMMENT ON COLUMN proof.attestation_policy.stake_min IS 'Least stake with which an agent may sit, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.attestation_policy.reward_units IS 'Most that a member earns whose audit is the verdict, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.attestation_policy.slash_bps IS 'Part of its stake that a member loses whose audit is against the verdict, in basis points; a silent one loses a tenth of that.';
COMMENT ON COLUMN proof.attestation_policy.unbonding_s IS 'Seconds for which a stake stays locked after its agent asked for it back.';

CREATE TABLE proof.task_receipts (
    id uuid NOT NULL,
    log_id uuid NOT NULL,
    agent_did text NOT NULL,
    k smallint NOT NULL,
    m smallint NOT NULL,
    slash_bps integer NOT NULL,
    reward_units bigint NOT NULL,
    state proof.receipt_state NOT NULL DEFAULT 'pending',
    committee text[],
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    drawn_at timestamptz,
    due_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT task_receipts_pkey PRIMARY KEY (id),
    CONSTRAINT one_receipt_per_log UNIQUE (log_id),
    CONSTRAINT receipt_of_logged_work FOREIGN KEY (log_id, agent_did) REFERENCES proof.work_history_logs (id, agent_did),
    CONSTRAINT quorum_within_the_committee CHECK (k BETWEEN 1 AND m),
    CONSTRAINT receipt_numbers_possible CHECK (slash_bps BETWEEN 0 AND 10000 AND reward_units >= 0),
    CONSTRAINT committee_is_drawn_whole CHECK (
        num_nonnulls(committee, drawn_at, due_at) IN (0, 3) AND (committee IS NULL OR cardinality(committee) BETWEEN k AND m)
    ),
    CONSTRAINT worker_never_sits CHECK (agent_did <> ALL (committee)),
    CONSTRAINT ended_receipts_have_an_end CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT judged_receipts_had_a_committee CHECK (state IN ('pending', 'unattested') OR committee IS NOT NULL)
);
COMMENT ON TABLE proof.task_receipts IS 'One receipt for each piece of settled work: who may attest it, and what they said in the end. Everybody sees this much. Source: AINP task receipts.';
COMMENT ON COLUMN proof.task_receipts.k IS 'Audits that must pass.';
COMMENT ON COLUMN proof.task_receipts.m IS 'Seats of the committee; some are empty when fewer agents could sit, and empty seats never help a verdict.';
COMMENT ON COLUMN proof.task_receipts.slash_bps IS 'Part of its stake that a member loses here whose audit is against the verdict, in basis points.';
COMMENT ON COLUMN proof.task_receipts.reward_units IS 'What a member earns here whose audit is the verdict, in units of 1/1000 credit: never more than its part of what the deal brought the pool.';
COMMENT ON COLUMN proof.task_receipts.committee IS 'DIDs of the members in the order of the draw; NULL: not drawn yet, or too few could sit.';
COMMENT ON COLUMN proof.task_receipts.due_at IS 'End of the time for attestations; NULL: no committee was drawn.';
COMMENT ON COLUMN proof.task_receipts.ended_at IS 'When it left pending.';
CREATE INDEX task_receipts_by_agent ON proof.task_receipts (agent_did, id DESC);
CREATE INDEX task_receipts_by_member ON proof.task_receipts USING gin (committee);
CREATE INDEX task_receipts_to_end ON proof.task_receipts (due_at) WHERE state = 'pending';

CREATE TABLE proof.receipted_deals (
    receipt_id uuid NOT NULL,
    client_did text NOT NULL,
    intent_id uuid,
    amount bigint NOT NULL,
    asset proof.asset NOT NULL,
    CONSTRAINT one_deal_per_receipt PRIMARY KEY (receipt_id),
    CONSTRAINT deal_of_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT receipted_amount_not_negative CHECK (amount >= 0)
);
COMMENT ON TABLE proof.receipted_deals IS 'The private half of a receipt: whose deal it was. For the two parties and the committee.';
COMMENT ON COLUMN proof.receipted_deals.intent_id IS 'The intent that the work served; kept by the negotiation context. NULL: none is known.';
COMMENT ON COLUMN proof.receipted_deals.amount IS 'The whole price, smallest units of the asset.';
CREATE INDEX receipted_deals_by_client ON proof.receipted_deals (client_did, receipt_id DESC);

CREATE TABLE proof.committee_draws (
    receipt_id uuid NOT NULL,
    position bigint NOT NULL,
    work_hash text NOT NULL,
    previous text NOT NULL,
    seed text NOT NULL,
    candidates jsonb NOT NULL,
    digest text NOT NULL,
    CONSTRAINT one_draw_per_receipt PRIMARY KEY (receipt_id),
    CONSTRAINT draw_of_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT one_draw_per_position UNIQUE (position),
    CONSTRAINT one_draw_after_each UNIQUE (previous),
    CONSTRAINT draw_hashes_are_sha256 CHECK (
        work_hash ~ '^[0-9a-f]{64}$' AND previous ~ '^[0-9a-f]{64}$'
        AND seed ~ '^[0-9a-f]{64}$' AND digest ~ '^[0-9a-f]{64}$'
    )
);
COMMENT ON TABLE proof.committee_draws IS 'What each committee was drawn from, so that anybody who may see it can draw it again. A chain: each names the digest of the one before. Append only.';
COMMENT ON COLUMN proof.committee_draws.position IS 'Place in the chain, from 1.';
COMMENT ON COLUMN proof.committee_draws.work_hash IS 'zkp_hash of the work log: covers a salt of the house that neither party knew before the settlement.';
COMMENT ON COLUMN proof.committee_draws.previous IS 'Digest of the draw before this one; zeros for the first.';
COMMENT ON COLUMN proof.committee_draws.seed IS 'SHA-256, hex, of receipt id, work hash and previous digest, joined by |.';
COMMENT ON COLUMN proof.committee_draws.candidates IS 'Everybody who could sit, one agent of each account: [{"agent": DID, "trust": "0.530000"}], trust 0 to 1 at that instant, as text.';
COMMENT ON COLUMN proof.committee_draws.digest IS 'SHA-256, hex, of seed, candidates and members in canonical JSON (RFC 8785).';

CREATE TABLE proof.task_attestations (
    id uuid NOT NULL DEFAULT uuidv7(),
    receipt_id uuid NOT NULL,
    by_did text NOT NULL,
    kind proof.attestation_kind NOT NULL,
    score double precision,
    evidence_hash text,
    key_id text NOT NULL,
    statement_hash text NOT NULL,
    signature text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT task_attestations_pkey PRIMARY KEY (id),
    CONSTRAINT attestation_of_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT one_attestation_of_a_kind UNIQUE (receipt_id, by_did, kind),
    CONSTRAINT attested_score_within_1 CHECK (score BETWEEN 0 AND 1),
    CONSTRAINT attested_evidence_is_sha256 CHECK (evidence_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT attestation_hash_is_sha256 CHECK (statement_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT attestation_key_of_its_author CHECK (starts_with(key_id, by_did || '#')),
    CONSTRAINT attestation_is_signed CHECK (signature ~ '^[1-9A-HJ-NP-Za-km-z]{64,88}$')
);
COMMENT ON TABLE proof.task_attestations IS 'What client and committee say of a piece of work, each signed so that anybody can check it later. Append only. Source: AINP task attestations.';
COMMENT ON COLUMN proof.task_attestations.score IS 'How good the work is, 0 to 1; NULL: its author does not say.';
COMMENT ON COLUMN proof.task_attestations.evidence_hash IS 'SHA-256, hex, of what its author looked at or wrote down; NULL: nothing is named.';
COMMENT ON COLUMN proof.task_attestations.key_id IS 'DID URL of the key that signed, which counted at that time.';
COMMENT ON COLUMN proof.task_attestations.statement_hash IS 'SHA-256, hex, of the signed statement: canonical JSON (RFC 8785) of type, receipt, by, kind, score and evidence_hash.';
COMMENT ON COLUMN proof.task_attestations.signature IS 'Ed25519 signature over the statement, in base58.';
CREATE UNIQUE INDEX one_audit_per_member ON proof.task_attestations (receipt_id, by_did)
    WHERE kind IN ('AUDIT_PASS', 'AUDIT_FAIL');

CREATE TABLE proof.agent_stakes (
    agent_did text NOT NULL,
    hold_id uuid,
    generation integer NOT NULL DEFAULT 0,
    unbonding_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_stake_per_agent PRIMARY KEY (agent_did),
    CONSTRAINT stake_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT stake_is_held FOREIGN KEY (hold_id) REFERENCES credits.holds (id),
    CONSTRAINT one_stake_per_hold UNIQUE (hold_id),
    CONSTRAINT stake_generation_not_negative CHECK (generation >= 0)
);
COMMENT ON TABLE proof.agent_stakes IS 'What an agent puts at risk to sit in committees: a hold of credits. Its amount is that of the hold while this is held, else nothing.';
COMMENT ON COLUMN proof.agent_stakes.hold_id IS 'The hold of credits; NULL: none was made yet.';
COMMENT ON COLUMN proof.agent_stakes.generation IS 'How many holds there have been: a stake that changes gets a new one.';
COMMENT ON COLUMN proof.agent_stakes.unbonding_until IS 'The agent asked for its stake back, sits in no new committee, and gets it after this time; NULL: it did not ask.';
CREATE INDEX stakes_to_release ON proof.agent_stakes (unbonding_until) WHERE unbonding_until IS NOT NULL;

CREATE TABLE proof.committee_findings (
    receipt_id uuid NOT NULL,
    member_did text NOT NULL,
    finding proof.seat_finding NOT NULL,
    stake_units bigint NOT NULL,
    slashed_units bigint NOT NULL,
    reward_units bigint NOT NULL,
    reward_movement uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_finding_per_member PRIMARY KEY (receipt_id, member_did),
    CONSTRAINT finding_on_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT slash_within_the_stake CHECK (slashed_units BETWEEN 0 AND stake_units),
    CONSTRAINT only_failing_members_are_slashed CHECK (slashed_units = 0 OR finding IN ('disagreed', 'silent')),
    CONSTRAINT only_agreeing_members_are_rewarded CHECK (reward_units = 0 OR (reward_units > 0 AND finding = 'agreed')),
    CONSTRAINT reward_is_paid_where_one_is_due CHECK (reward_movement IS NULL OR reward_units > 0),
    CONSTRAINT reward_is_a_movement FOREIGN KEY (reward_movement) REFERENCES credits.credit_transactions (id)
);
COMMENT ON TABLE proof.committee_findings IS 'How each member of a committee did, once its receipt ended, and what that cost or brought it.';
COMMENT ON COLUMN proof.committee_findings.stake_units IS 'Its stake at that moment, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.committee_findings.slashed_units IS 'What went from its stake to the pool, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.committee_findings.reward_units IS 'What it gets from the pool, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.committee_findings.reward_movement IS 'The movement that paid it; NULL: nothing is due, or the pool had too little so far.';
CREATE INDEX findings_to_reward ON proof.committee_findings (created_at) WHERE reward_units > 0 AND reward_movement IS NULL;

CREATE TABLE proof.reward_policy (
    only_row boolean NOT NULL DEFAULT true,
    share_bps integer NOT NULL DEFAULT 1000,
    score_min numeric(5, 2) NOT NULL DEFAULT 10,
    CONSTRAINT one_reward_policy PRIMARY KEY (only_row),
    CONSTRAINT reward_policy_is_one_row CHECK (only_row),
    CONSTRAINT reward_share_within_the_pool CHECK (share_bps BETWEEN 0 AND 10000),
    CONSTRAINT reward_score_min_within_100 CHECK (score_min > 0 AND score_min <= 100)
);
COMMENT ON TABLE proof.reward_policy IS 'What an epoch offers, and to whom; one row, which appears on first use. An epoch keeps what it was opened with.';
COMMENT ON COLUMN proof.reward_policy.share_bps IS 'Share of the pool that an epoch offers, in basis points; 0: nothing is paid.';
COMMENT ON COLUMN proof.reward_policy.score_min IS 'Least usefulness, 0 to 100, that is rewarded. AINP: 10.';

CREATE TABLE proof.reward_epochs (
    epoch date NOT NULL,
    share_bps integer NOT NULL,
    score_min numeric(5, 2) NOT NULL,
    pool_units bigint NOT NULL,
    offered_units bigint NOT NULL,
    score_sum numeric NOT NULL,
    agents integer NOT NULL,
    reward_units bigint NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    CONSTRAINT one_reward_epoch_per_day PRIMARY KEY (epoch),
    CONSTRAINT reward_epoch_is_over CHECK (epoch < (opened_at AT TIME ZONE 'UTC')::date),
    CONSTRAINT reward_epoch_of_the_last_30_days CHECK (epoch >= (opened_at AT TIME ZONE 'UTC')::date - 30),
    CONSTRAINT epoch_offers_its_share CHECK (
        pool_units >= 0 AND offered_units = div(pool_units::numeric * share_bps, 10000)
    ),
    CONSTRAINT epoch_gives_no_more_than_it_offers CHECK (reward_units BETWEEN 0 AND offered_units)
);
COMMENT ON TABLE proof.reward_epochs IS 'Rewards from the pool, one row for each UTC day, fixed when it is opened: who gets what stands in proof.rewards. Source: AINP usefulness rewards.';
COMMENT ON COLUMN proof.reward_epochs.epoch IS 'The UTC day, over when the epoch is opened.';
COMMENT ON COLUMN proof.reward_epochs.share_bps IS 'The policy''s share of the pool, in basis points.';
COMMENT ON COLUMN proof.reward_epochs.score_min IS 'The policy''s least usefulness.';
COMMENT ON COLUMN proof.reward_epochs.pool_units IS 'What the pool held then, less what earlier epochs had still to pay, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.reward_epochs.offered_units IS 'floor(pool_units x share_bps / 10 000), in units of 1/1000 credit.';
COMMENT ON COLUMN proof.reward_epochs.score_sum IS 'Sum of the usefulness of all agents among whom the offer was divided.';
COMMENT ON COLUMN proof.reward_epochs.agents IS 'How many of them get at least one unit.';
COMMENT ON COLUMN proof.reward_epochs.reward_units IS 'Sum of the rewards, in units of 1/1000 credit; what is left of the offer stays in the pool.';
COMMENT ON COLUMN proof.reward_epochs.closed_at IS 'When the last reward was paid; NULL: some wait.';
CREATE INDEX reward_epochs_to_pay ON proof.reward_epochs (epoch) WHERE closed_at IS NULL;

CREATE TABLE proof.rewards (
    epoch date NOT NULL,
    agent_did text NOT NULL,
    score numeric(5, 2) NOT NULL,
    units bigint NOT NULL,
    compute_units bigint NOT NULL,
    memory_units bigint NOT NULL,
    routing_units bigint NOT NULL,
    validation_units bigint NOT NULL,
    learning_units bigint NOT NULL,
    movement_id uuid,
    paid_at timestamptz,
    CONSTRAINT one_reward_per_epoch_and_agent PRIMARY KEY (epoch, agent_did),
    CONSTRAINT reward_of_an_epoch FOREIGN KEY (epoch) REFERENCES proof.reward_epochs (epoch),
    CONSTRAINT reward_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did) ON DELETE RESTRICT,
    CONSTRAINT reward_paid_by_a_movement FOREIGN KEY (movement_id) REFERENCES credits.credit_transactions (id),
    CONSTRAINT one_reward_per_movement UNIQUE (movement_id),
    CONSTRAINT reward_units_positive CHECK (units > 0),
    CONSTRAINT reward_is_the_sum_of_its_parts CHECK (
        least(compute_units, memory_units, routing_units, validation_units, learning_units) >= 0
        AND units::numeric = compute_units::numeric + memory_units + routing_units + validation_units + learning_units
    ),
    CONSTRAINT paid_rewards_have_a_movement CHECK ((movement_id IS NULL) = (paid_at IS NULL))
);
COMMENT ON TABLE proof.rewards IS 'Who gets what of an epoch, fixed when it is opened and paid once. Amounts are units of 1/1000 credit. Source: AINP usefulness rewards.';
COMMENT ON COLUMN proof.rewards.score IS 'Usefulness of the agent when the epoch was opened, 0 to 100.';
COMMENT ON COLUMN proof.rewards.units IS 'floor(offered_units x score / score_sum) of the epoch.';
COMMENT ON COLUMN proof.rewards.compute_units IS 'The part for computing: units in proportion to what each type of work scored in 30 days, remainders to the largest fractions.';
COMMENT ON COLUMN proof.rewards.memory_units IS 'The part for memory.';
COMMENT ON COLUMN proof.rewards.routing_units IS 'The part for routing.';
COMMENT ON COLUMN proof.rewards.validation_units IS 'The part for validation.';
COMMENT ON COLUMN proof.rewards.learning_units IS 'The part for learning.';
COMMENT ON COLUMN proof.rewards.movement_id IS 'The movement that paid it; NULL: not yet.';
CREATE INDEX rewards_to_pay ON proof.rewards (epoch, agent_did) WHERE movement_id IS NULL;
CREATE INDEX rewards_by_agent ON proof.rewards (agent_did, epoch DESC);
