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

-- Groups: a payer and two or more workers who agree by a vote.

CREATE TYPE negotiation.voting_rule AS ENUM ('unanimous', 'majority', 'trust_weighted');
COMMENT ON TYPE negotiation.voting_rule IS 'Whose approval makes an agreement: all members; more than half of them; members with more than half of the weight of all.';
CREATE TYPE negotiation.group_state AS ENUM ('open', 'agreed', 'rejected', 'expired');
COMMENT ON TYPE negotiation.group_state IS 'Where a group stands; every state but open is its end.';

CREATE TABLE negotiation.groups (
    id uuid NOT NULL DEFAULT uuidv7(),
    intent_id uuid NOT NULL,
    payer_did text NOT NULL,
    rule negotiation.voting_rule NOT NULL,
    state negotiation.group_state NOT NULL DEFAULT 'open',
    round integer NOT NULL DEFAULT 0,
    on_table integer,
    max_rounds integer NOT NULL DEFAULT 10,
    round_s integer,
    convergence_score numeric(3,2) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT groups_pkey PRIMARY KEY (id),
    CONSTRAINT group_serves_an_intent_of_its_payer FOREIGN KEY (intent_id, payer_did)
        REFERENCES negotiation.intents (id, requester_did),
    CONSTRAINT group_max_rounds_within_bounds CHECK (max_rounds BETWEEN 1 AND 20),
    CONSTRAINT group_rounds_within_max CHECK (round BETWEEN 0 AND max_rounds),
    CONSTRAINT newest_proposal_on_the_table CHECK (on_table = round),
    CONSTRAINT group_round_time_possible CHECK (round_s BETWEEN 1 AND 2592000),
    CONSTRAINT group_time_possible CHECK (expires_at > created_at AND deadline_at <= expires_at),
    CONSTRAINT group_convergence_is_a_share CHECK (convergence_score BETWEEN 0 AND 1),
    CONSTRAINT group_agrees_on_a_proposal CHECK (state <> 'agreed' OR on_table IS NOT NULL),
    CONSTRAINT group_end_has_its_time CHECK ((state = 'open') = (ended_at IS NULL))
);
COMMENT ON TABLE negotiation.groups IS 'A haggle of three and more: one member pays, the others work, and a vote decides. Source: AINP, negotiation of several parties.';
COMMENT ON COLUMN negotiation.groups.round IS 'Number of the last proposal; 0: nobody has proposed yet.';
COMMENT ON COLUMN negotiation.groups.on_table IS 'Round of the proposal that can be voted on; NULL: there is none, because nobody proposed yet or a worker left since.';
COMMENT ON COLUMN negotiation.groups.round_s IS 'Seconds in which a proposal must come, and be agreed on or replaced; NULL: only the whole time counts.';
COMMENT ON COLUMN negotiation.groups.convergence_score IS 'Mean similarity of the terms that both last proposals state, 0 to 1, two decimals.';
COMMENT ON COLUMN negotiation.groups.expires_at IS 'End of the whole time.';
COMMENT ON COLUMN negotiation.groups.deadline_at IS 'When the group expires unless somebody acts: the end of the round or of the whole time, whichever is sooner.';
CREATE INDEX groups_by_intent ON negotiation.groups (intent_id);
CREATE INDEX groups_by_deadline ON negotiation.groups (deadline_at) WHERE state = 'open';

CREATE TABLE negotiation.group_members (
    group_id uuid NOT NULL,
    did text NOT NULL,
    weight numeric(5,4) NOT NULL,
    left_at timestamptz,
    CONSTRAINT member_named_once PRIMARY KEY (group_id, did),
    CONSTRAINT member_of_a_group FOREIGN KEY (group_id) REFERENCES negotiation.groups (id),
    CONSTRAINT member_is_an_agent FOREIGN KEY (did) REFERENCES registry.agents (did),
    CONSTRAINT every_member_has_weight CHECK (weight BETWEEN 0.05 AND 1)
);
COMMENT ON TABLE negotiation.group_members IS 'Who takes part in a group: its payer and its workers.';
COMMENT ON COLUMN negotiation.group_members.weight IS 'Trust in the member when the group opened, 0.05 to 1; counts under the rule trust_weighted.';
COMMENT ON COLUMN negotiation.group_members.left_at IS 'When the worker left, uncounted from then on; NULL: it takes part.';
CREATE INDEX group_members_by_agent ON negotiation.group_members (did, group_id DESC);

CREATE TABLE negotiation.group_proposals (
    group_id uuid NOT NULL,
    n integer NOT NULL,
    by_did text NOT NULL,
    price bigint NOT NULL,
    delivery_s integer,
    quality numeric(3,2),
    custom jsonb NOT NULL DEFAULT '{}',
    convergence_delta numeric NOT NULL DEFAULT 0,
    proposed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT group_proposals_pkey PRIMARY KEY (group_id, n),
    CONSTRAINT group_proposal_by_a_member FOREIGN KEY (group_id, by_did) REFERENCES negotiation.group_members (group_id, did),
    CONSTRAINT group_price_possible CHECK (price BETWEEN 1 AND 1000000000000000),
    CONSTRAINT group_delivery_time_possible CHECK (delivery_s BETWEEN 1 AND 31536000),
    CONSTRAINT group_quality_is_a_share CHECK (quality BETWEEN 0 AND 1),
    CONSTRAINT group_custom_terms_are_few CHECK (jsonb_typeof(custom) = 'object' AND length(custom::text) <= 10000)
);
COMMENT ON TABLE negotiation.group_proposals IS 'Every proposal ever made in a group, one row each.';
COMMENT ON COLUMN negotiation.group_proposals.price IS 'Sum of the parts, units of 1/1000 credit.';
COMMENT ON COLUMN negotiation.group_proposals.delivery_s IS 'Time from agreement to delivery for every worker, seconds; NULL: not stated.';
COMMENT ON COLUMN negotiation.group_proposals.quality IS 'Promised quality, 0 to 1; NULL: not stated.';
COMMENT ON COLUMN negotiation.group_proposals.convergence_delta IS 'Similarity to the proposal before, 0 to 1, full precision.';
ALTER TABLE negotiation.groups ADD CONSTRAINT proposal_on_the_table
    FOREIGN KEY (id, on_table) REFERENCES negotiation.group_proposals (group_id, n);

CREATE TABLE negotiation.group_parts (
    group_id uuid NOT NULL,
    n integer NOT NULL,
    worker_did text NOT NULL,
    units bigint NOT NULL,
    CONSTRAINT worker_has_one_part PRIMARY KEY (group_id, n, worker_did),
    CONSTRAINT part_of_a_proposal FOREIGN KEY (group_id, n) REFERENCES negotiation.group_proposals (group_id, n),
    CONSTRAINT part_for_a_member FOREIGN KEY (group_id, worker_did) REFERENCES negotiation.group_members (group_id, did),
    CONSTRAINT part_possible CHECK (units BETWEEN 1 AND 1000000000000000)
);
COMMENT ON TABLE negotiation.group_parts IS 'What each worker that a proposal includes would be paid.';
COMMENT ON COLUMN negotiation.group_parts.units IS 'Price of this worker, units of 1/1000 credit.';

CREATE TABLE negotiation.group_votes (
    group_id uuid NOT NULL,
    n integer NOT NULL,
    member_did text NOT NULL,
    approves boolean NOT NULL,
    voted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_vote_a_round PRIMARY KEY (group_id, n, member_did),
    CONSTRAINT vote_on_a_proposal FOREIGN KEY (group_id, n) REFERENCES negotiation.group_proposals (group_id, n),
    CONSTRAINT vote_of_a_member FOREIGN KEY (group_id, member_did) REFERENCES negotiation.group_members (group_id, did)
);
COMMENT ON TABLE negotiation.group_votes IS 'Who approved which proposal and who did not; said once. The proposer''s own approval is a row too.';

CREATE TABLE negotiation.group_deals (
    group_id uuid NOT NULL,
    worker_did text NOT NULL,
    negotiation_id uuid NOT NULL,
    CONSTRAINT worker_bound_once PRIMARY KEY (group_id, worker_did),
    CONSTRAINT deal_of_one_group UNIQUE (negotiation_id),
    CONSTRAINT deal_of_a_member FOREIGN KEY (group_id, worker_did) REFERENCES negotiation.group_members (group_id, did),
    CONSTRAINT group_deal_is_a_negotiation FOREIGN KEY (negotiation_id) REFERENCES negotiation.negotiations (id)
);
COMMENT ON TABLE negotiation.group_deals IS 'Who is bound by an agreed group, each by an accepted negotiation of its own with the payer.';
