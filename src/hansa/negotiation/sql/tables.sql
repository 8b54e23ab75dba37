CREATE SCHEMA negotiation;
COMMENT ON SCHEMA negotiation IS 'Intents, negotiations in rounds, and the settlement of accepted ones. Source: AINP negotiation sessions.';

CREATE TABLE negotiation.intents (
    id uuid NOT NULL DEFAULT uuidv7(),
    requester_did text NOT NULL,
    description text NOT NULL,
    budget bigint NOT NULL,
    terms jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'open',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT intents_pkey PRIMARY KEY (id),
    CONSTRAINT intent_names_its_requester UNIQUE (id, requester_did),
    CONSTRAINT intent_of_an_agent FOREIGN KEY (requester_did) REFERENCES registry.agents (did),
    CONSTRAINT intent_is_described CHECK (length(description) BETWEEN 1 AND 10000),
    CONSTRAINT intent_budget_possible CHECK (budget BETWEEN 1 AND 1000000000000000),
    CONSTRAINT intent_status_known CHECK (status IN ('open', 'agreed', 'fulfilled', 'abandoned'))
);
COMMENT ON TABLE negotiation.intents IS 'What an agent wants done and how much it would pay; negotiations serve it.';
COMMENT ON CONSTRAINT intent_names_its_requester ON negotiation.intents IS 'Lets a negotiation demand by a foreign key that it serves an intent of its own initiator.';
COMMENT ON COLUMN negotiation.intents.budget IS 'Most the requester would pay, in units of 1/1000 credit.';
CREATE INDEX intents_by_requester ON negotiation.intents (requester_did, created_at DESC);

CREATE TABLE negotiation.negotiations (
    id uuid NOT NULL DEFAULT uuidv7(),
    intent_id uuid NOT NULL,
    initiator_did text NOT NULL,
    responder_did text NOT NULL,
    state text NOT NULL DEFAULT 'initiated',
    rounds jsonb NOT NULL DEFAULT '[]',
    convergence_score numeric(3,2) NOT NULL DEFAULT 0,
    current_proposal jsonb,
    final_proposal jsonb,
    incentive_split jsonb NOT NULL,
    max_rounds integer NOT NULL DEFAULT 10,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    round integer NOT NULL DEFAULT 1,
    turn_did text NOT NULL,
    gate text NOT NULL GENERATED ALWAYS AS ('ALLOW') STORED,
    decision_id uuid NOT NULL,
    accept_decision_id uuid,
    accepted_at timestamptz,
    hold_id uuid,
    bound_kind text,
    bound_id text,
    initiator_accepts_at numeric(3,2),
    responder_accepts_at numeric(3,2),
    standing_did text,
    not_accepted text,
    round_s integer,
    round_due_at timestamptz,
    ended_by text,
    reject_reason text,
    CONSTRAINT negotiations_pkey PRIMARY KEY (id),
    CONSTRAINT negotiation_serves_an_intent FOREIGN KEY (intent_id, initiator_did)
        REFERENCES negotiation.intents (id, requester_did),
    CONSTRAINT initiator_is_an_agent FOREIGN KEY (initiator_did) REFERENCES registry.agents (did),
    CONSTRAINT responder_is_an_agent FOREIGN KEY (responder_did) REFERENCES registry.agents (did),
    CONSTRAINT opened_through_the_gate FOREIGN KEY (decision_id, initiator_did, responder_did, gate)
        REFERENCES governance.decisions (id, buyer_did, seller_did, outcome),
    CONSTRAINT accepted_through_the_gate FOREIGN KEY (accept_decision_id, initiator_did, responder_did, gate)
        REFERENCES governance.decisions (id, buyer_did, seller_did, outcome),
    CONSTRAINT deal_has_a_hold FOREIGN KEY (hold_id) REFERENCES credits.holds (id),
    CONSTRAINT negotiation_participants_different CHECK (initiator_did <> responder_did),
    CONSTRAINT negotiation_state_known CHECK (
        state IN ('initiated', 'proposed', 'counter_proposed', 'accepted', 'rejected', 'expired')
    ),
    CONSTRAINT convergence_score_is_a_share CHECK (convergence_score BETWEEN 0 AND 1),
    CONSTRAINT max_rounds_within_bounds CHECK (max_rounds BETWEEN 1 AND 20),
    CONSTRAINT rounds_within_max CHECK (round BETWEEN 1 AND max_rounds),
    CONSTRAINT turn_of_a_participant CHECK (turn_did IN (initiator_did, responder_did)),
    CONSTRAINT accepted_means_held CHECK (
        (state <> 'accepted') OR (final_proposal IS NOT NULL AND accepted_at IS NOT NULL
                                  AND accept_decision_id IS NOT NULL AND hold_id IS NOT NULL)
    ),
    CONSTRAINT bound_to_one_thing CHECK ((bound_kind IS NULL) = (bound_id IS NULL)),
    CONSTRAINT standing_acceptance_possible CHECK (
        initiator_accepts_at BETWEEN 0.50 AND 1.00 AND responder_accepts_at BETWEEN 0.50 AND 1.00
    ),
    CONSTRAINT standing_of_a_participant CHECK (standing_did IN (initiator_did, responder_did)),
    CONSTRAINT round_time_possible CHECK (round_s BETWEEN 5 AND 86400),
    CONSTRAINT ended_by_a_participant CHECK (ended_by IN (initiator_did, responder_did)),
    CONSTRAINT rejected_in_few_words CHECK (length(reject_reason) <= 1000),
    CONSTRAINT only_rejections_have_a_reason CHECK (state = 'rejected' OR num_nonnulls(ended_by, reject_reason) = 0)
);
COMMENT ON TABLE negotiation.negotiations IS 'One haggle between the agent that pays (initiator) and the one that works (responder).';
COMMENT ON COLUMN negotiation.negotiations.rounds IS 'All rounds as one document, written when the negotiation ends; while it runs, negotiation.rounds is the truth.';
COMMENT ON COLUMN negotiation.negotiations.convergence_score IS 'Mean similarity of the terms that both last rounds share, 0 to 1, two decimals.';
COMMENT ON COLUMN negotiation.negotiations.round IS 'Number of the last round; the opening offer is round 1.';
COMMENT ON COLUMN negotiation.negotiations.turn_did IS 'Who may propose or accept next: the party that did not make the last proposal.';
COMMENT ON COLUMN negotiation.negotiations.gate IS 'Constant: with it the foreign keys demand a decision of the hire gate that said ALLOW for this very pair.';
COMMENT ON COLUMN negotiation.negotiations.bound_kind IS 'What fulfils the deal (e.g. task), opaque here; when set, only that thing may settle it.';
COMMENT ON COLUMN negotiation.negotiations.initiator_accepts_at IS 'Convergence, 0.50 to 1.00, at which the initiator accepts the other''s proposal unasked; NULL: never. Only its own party is told.';
COMMENT ON COLUMN negotiation.negotiations.responder_accepts_at IS 'Convergence, 0.50 to 1.00, at which the responder accepts the other''s proposal unasked; NULL: never. Only its own party is told.';
COMMENT ON COLUMN negotiation.negotiations.standing_did IS 'Party whose standing acceptance the proposal on the table reaches; NULL: nobody''s.';
COMMENT ON COLUMN negotiation.negotiations.not_accepted IS 'Code of the refusal that kept a standing acceptance from taking the proposal on the table; NULL: nothing did.';
COMMENT ON COLUMN negotiation.negotiations.round_s IS 'Seconds that each party has to answer a proposal; NULL: only expires_at counts.';
COMMENT ON COLUMN negotiation.negotiations.round_due_at IS 'Until when the proposal on the table can be answered; NULL: until expires_at.';
COMMENT ON COLUMN negotiation.negotiations.ended_by IS 'Party that rejected; NULL: not rejected. Who accepted is turn_did.';
COMMENT ON COLUMN negotiation.negotiations.reject_reason IS 'What the rejecting party said, at most 1000 characters; NULL: nothing, or not rejected.';
CREATE INDEX idx_negotiations_intent ON negotiation.negotiations (intent_id);
CREATE INDEX idx_negotiations_initiator ON negotiation.negotiations (initiator_did, created_at DESC);
CREATE INDEX idx_negotiations_responder ON negotiation.negotiations (responder_did, created_at DESC);
CREATE INDEX idx_negotiations_state ON negotiation.negotiations (state);
CREATE INDEX idx_negotiations_expires ON negotiation.negotiations (expires_at)
    WHERE state NOT IN ('accepted', 'rejected', 'expired');
CREATE INDEX idx_negotiations_convergence ON negotiation.negotiations (convergence_score DESC)
    WHERE state NOT IN ('accepted', 'rejected', 'expired');
CREATE INDEX negotiations_due ON negotiation.negotiations (least(expires_at, round_due_at))
    WHERE state NOT IN ('accepted', 'rejected', 'expired');
COMMENT ON INDEX negotiation.negotiations_due IS 'Open negotiations by the moment at which time ends them: their own, or that of the round.';
CREATE UNIQUE INDEX negotiations_by_hold ON negotiation.negotiations (hold_id) WHERE hold_id IS NOT NULL;

CREATE TABLE negotiation.rounds (
    negotiation_id uuid NOT NULL,
    n integer NOT NULL,
    by_did text NOT NULL,
    price bigint NOT NULL,
    delivery_s integer,
    quality numeric(3,2),
    agent_bps integer,
    broker_bps integer,
    validator_bps integer,
    pool_bps integer,
    custom jsonb NOT NULL DEFAULT '{}',
    convergence_delta numeric NOT NULL DEFAULT 0,
    proposed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT rounds_pkey PRIMARY KEY (negotiation_id, n),
    CONSTRAINT round_of_a_negotiation FOREIGN KEY (negotiation_id) REFERENCES negotiation.negotiations (id),
    CONSTRAINT price_possible CHECK (price BETWEEN 1 AND 1000000000000000),
    CONSTRAINT delivery_time_possible CHECK (delivery_s BETWEEN 1 AND 31536000),
    CONSTRAINT quality_is_a_share CHECK (quality BETWEEN 0 AND 1),
    CONSTRAINT shares_are_the_whole CHECK (
        least(agent_bps, broker_bps, validator_bps, pool_bps) >= 0
        AND agent_bps + broker_bps + validator_bps + pool_bps = 10000
    ),
    CONSTRAINT shares_stated_together CHECK (num_nulls(agent_bps, broker_bps, validator_bps, pool_bps) IN (0, 4)),
    CONSTRAINT custom_terms_are_few CHECK (jsonb_typeof(custom) = 'object' AND length(custom::text) <= 10000)
);
COMMENT ON TABLE negotiation.rounds IS 'Every proposal ever made, one row each.';
COMMENT ON COLUMN negotiation.rounds.price IS 'Units of 1/1000 credit.';
COMMENT ON COLUMN negotiation.rounds.delivery_s IS 'Promised time from acceptance to delivery, seconds; NULL: nothing is promised.';
COMMENT ON COLUMN negotiation.rounds.quality IS 'Promised quality, 0 to 1; NULL: nothing is promised.';
COMMENT ON COLUMN negotiation.rounds.agent_bps IS 'Share of the agent that works, in basis points; the four shares sum to 10 000. NULL, all four: not stated.';
COMMENT ON COLUMN negotiation.rounds.convergence_delta IS 'Similarity to the round before, 0 to 1, full precision.';

CREATE TABLE negotiation.settlements (
    negotiation_id uuid NOT NULL,
    movement_id uuid NOT NULL,
    amount bigint NOT NULL,
    agent_units bigint NOT NULL,
    broker_units bigint NOT NULL,
    validator_units bigint NOT NULL,
    pool_units bigint NOT NULL,
    broker_did text,
    validator_did text,
    settled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT settled_once PRIMARY KEY (negotiation_id),
    CONSTRAINT settlement_of_a_negotiation FOREIGN KEY (negotiation_id) REFERENCES negotiation.negotiations (id),
    CONSTRAINT validator_is_an_agent FOREIGN KEY (validator_did) REFERENCES registry.agents (did),
    CONSTRAINT settlement_is_a_movement FOREIGN KEY (movement_id) REFERENCES credits.credit_transactions (id),
    CONSTRAINT settlement_pays_everything CHECK (
        least(agent_units, broker_units, validator_units, pool_units) >= 0
        AND agent_units + broker_units + validator_units + pool_units = amount
    )
);
COMMENT ON TABLE negotiation.settlements IS 'Who was paid what for an accepted negotiation: at most one row each, so nothing is paid twice.';
COMMENT ON COLUMN negotiation.settlements.pool_units IS 'The pool gets its share, what rounding leaves over, and the shares that nobody claims.';
