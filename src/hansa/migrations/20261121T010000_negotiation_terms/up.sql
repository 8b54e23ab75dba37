-- A proposal need not state everything; parties may accept unasked; rounds have a time; what ends says who ended it.

ALTER TABLE negotiation.rounds
    ALTER delivery_s DROP NOT NULL,
    ALTER quality DROP NOT NULL,
    ALTER agent_bps DROP NOT NULL,
    ALTER broker_bps DROP NOT NULL,
    ALTER validator_bps DROP NOT NULL,
    ALTER pool_bps DROP NOT NULL,
    ADD CONSTRAINT shares_stated_together CHECK (num_nulls(agent_bps, broker_bps, validator_bps, pool_bps) IN (0, 4));
COMMENT ON COLUMN negotiation.rounds.delivery_s IS 'Promised time from acceptance to delivery, seconds; NULL: nothing is promised.';
COMMENT ON COLUMN negotiation.rounds.quality IS 'Promised quality, 0 to 1; NULL: nothing is promised.';
COMMENT ON COLUMN negotiation.rounds.agent_bps IS 'Share of the agent that works, in basis points; the four shares sum to 10 000. NULL, all four: not stated.';

ALTER TABLE negotiation.negotiations
    ADD COLUMN initiator_accepts_at numeric(3,2),
    ADD COLUMN responder_accepts_at numeric(3,2),
    ADD COLUMN standing_did text,
    ADD COLUMN not_accepted text,
    ADD COLUMN round_s integer,
    ADD COLUMN round_due_at timestamptz,
    ADD COLUMN ended_by text,
    ADD COLUMN reject_reason text,
    ADD CONSTRAINT standing_acceptance_possible CHECK (
        initiator_accepts_at BETWEEN 0.50 AND 1.00 AND responder_accepts_at BETWEEN 0.50 AND 1.00
    ),
    ADD CONSTRAINT standing_of_a_participant CHECK (standing_did IN (initiator_did, responder_did)),
    ADD CONSTRAINT round_time_possible CHECK (round_s BETWEEN 5 AND 86400),
    ADD CONSTRAINT ended_by_a_participant CHECK (ended_by IN (initiator_did, responder_did)),
    ADD CONSTRAINT rejected_in_few_words CHECK (length(reject_reason) <= 1000),
    ADD CONSTRAINT only_rejections_have_a_reason CHECK (state = 'rejected' OR num_nonnulls(ended_by, reject_reason) = 0);
COMMENT ON COLUMN negotiation.negotiations.initiator_accepts_at IS 'Convergence, 0.50 to 1.00, at which the initiator accepts the other''s proposal unasked; NULL: never. Only its own party is told.';
COMMENT ON COLUMN negotiation.negotiations.responder_accepts_at IS 'Convergence, 0.50 to 1.00, at which the responder accepts the other''s proposal unasked; NULL: never. Only its own party is told.';
COMMENT ON COLUMN negotiation.negotiations.standing_did IS 'Party whose standing acceptance the proposal on the table reaches; NULL: nobody''s.';
COMMENT ON COLUMN negotiation.negotiations.not_accepted IS 'Code of the refusal that kept a standing acceptance from taking the proposal on the table; NULL: nothing did.';
COMMENT ON COLUMN negotiation.negotiations.round_s IS 'Seconds that each party has to answer a proposal; NULL: only expires_at counts.';
COMMENT ON COLUMN negotiation.negotiations.round_due_at IS 'Until when the proposal on the table can be answered; NULL: until expires_at.';
COMMENT ON COLUMN negotiation.negotiations.ended_by IS 'Party that rejected; NULL: not rejected. Who accepted is turn_did.';
COMMENT ON COLUMN negotiation.negotiations.reject_reason IS 'What the rejecting party said, at most 1000 characters; NULL: nothing, or not rejected.';

CREATE INDEX negotiations_due ON negotiation.negotiations (least(expires_at, round_due_at))
    WHERE state NOT IN ('accepted', 'rejected', 'expired');
COMMENT ON INDEX negotiation.negotiations_due IS 'Open negotiations by the moment at which time ends them: their own, or that of the round.';

REVOKE INSERT, UPDATE ON negotiation.intents, negotiation.negotiations FROM hansa_app;
-- Only what a command writes: who negotiates with whom, for which intent and since when stays as it began.
GRANT INSERT (requester_did, description, budget, terms), UPDATE (status, updated_at) ON negotiation.intents TO hansa_app;
GRANT INSERT (intent_id, initiator_did, responder_did, incentive_split, max_rounds, expires_at, turn_did, decision_id,
              initiator_accepts_at, round_s),
      UPDATE (state, rounds, convergence_score, current_proposal, final_proposal, incentive_split, round, turn_did,
              accept_decision_id, accepted_at, hold_id, bound_kind, bound_id, initiator_accepts_at, responder_accepts_at,
              standing_did, not_accepted, round_due_at, ended_by, reject_reason)
   ON negotiation.negotiations TO hansa_app;

-- These three take one more word each; nothing but the application's statements calls them.
DROP FUNCTION negotiation.open(uuid, text, text, uuid, integer, interval, negotiation.rounds);
DROP FUNCTION negotiation.propose(uuid, text, negotiation.rounds);
DROP FUNCTION negotiation.reject(uuid, text);

-- Six states and the ways between them. A state that is none of the six is left to negotiation_state_known, which names it.
CREATE FUNCTION negotiation.refuse_undrawn_state()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NEW.state = ANY (CASE OLD.state
           WHEN 'initiated' THEN '{proposed,accepted,rejected,expired}'
           WHEN 'proposed' THEN '{counter_proposed,accepted,rejected,expired}'
           WHEN 'counter_proposed' THEN '{accepted,rejected,expired}'
           ELSE '{}'
       END::text[])
       OR NEW.state NOT IN ('initiated', 'proposed', 'counter_proposed', 'accepted', 'rejected', 'expired')
       OR (OLD.state = 'accepted' AND NEW.state = 'expired'
           AND EXISTS (SELECT FROM credits.holds WHERE id = OLD.hold_id AND state IN ('expired', 'released'))) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a negotiation that is % does not become %', OLD.state, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'states_only_as_drawn',
              DETAIL = jsonb_build_object('from', OLD.state, 'to', NEW.state);
END
$$;
COMMENT ON FUNCTION negotiation.refuse_undrawn_state IS 'Refuses a change of state that no way leads to, whoever makes it; what has ended stays ended.';

CREATE TRIGGER states_only_as_drawn BEFORE UPDATE ON negotiation.negotiations
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION negotiation.refuse_undrawn_state();

CREATE TRIGGER sealed_deals_stay BEFORE UPDATE ON negotiation.negotiations
    FOR EACH ROW WHEN (
        OLD.accepted_at IS NOT NULL
        AND (OLD.final_proposal, OLD.incentive_split, OLD.hold_id, OLD.accepted_at, OLD.accept_decision_id)
            IS DISTINCT FROM
            (NEW.final_proposal, NEW.incentive_split, NEW.hold_id, NEW.accepted_at, NEW.accept_decision_id)
    ) EXECUTE FUNCTION negotiation.refuse_change();

-- avg leaves out what either side has not stated: the similarity of such a term is NULL.
CREATE OR REPLACE FUNCTION negotiation.convergence(p_before negotiation.rounds, p_after negotiation.rounds)
RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT avg(term.alike)
      FROM (VALUES (1 - abs(p_before.price - p_after.price)::numeric / greatest(p_before.price, p_after.price)),
                   (1 - abs(p_before.delivery_s - p_after.delivery_s)::numeric
                        / greatest(p_before.delivery_s, p_after.delivery_s)),
                   (1 - abs(p_before.quality - p_after.quality)),
                   (1 - (abs(p_before.agent_bps - p_after.agent_bps) + abs(p_before.broker_bps - p_after.broker_bps)
                       + abs(p_before.validator_bps - p_after.validator_bps) + abs(p_before.pool_bps - p_after.pool_bps)
                        )::numeric / 40000)) AS term (alike)
$$;
COMMENT ON FUNCTION negotiation.convergence IS 'Similarity of two proposals, 0 to 1: mean over price, delivery time, quality and split, as far as both state them (AINP).';

-- A party that accepts unasked has seen none of it: what convergence does not measure must be as in its own proposal.
CREATE FUNCTION negotiation.differ_in_measured_terms_only(p_before negotiation.rounds, p_after negotiation.rounds)
RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT (p_before.delivery_s IS NULL) = (p_after.delivery_s IS NULL)
       AND (p_before.quality IS NULL) = (p_after.quality IS NULL)
       AND (p_before.agent_bps IS NULL) = (p_after.agent_bps IS NULL)
       AND p_before.custom = p_after.custom
$$;
COMMENT ON FUNCTION negotiation.differ_in_measured_terms_only IS 'Whether two proposals state the same terms and the same custom terms, so that convergence says all about their difference.';

CREATE FUNCTION negotiation.default_split()
RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT jsonb_build_object('agent', 7000, 'broker', 1000, 'validator', 1000, 'pool', 1000)
$$;
COMMENT ON FUNCTION negotiation.default_split IS 'The shares of a deal whose accepted proposal states none, in basis points (AINP).';

CREATE OR REPLACE FUNCTION negotiation.proposal(p_round negotiation.rounds)
RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
               'price', p_round.price, 'delivery_s', p_round.delivery_s, 'quality', p_round.quality,
               'split', CASE WHEN p_round.agent_bps IS NOT NULL THEN
                             jsonb_build_object('agent', p_round.agent_bps, 'broker', p_round.broker_bps,
                                                'validator', p_round.validator_bps, 'pool', p_round.pool_bps) END))
        -- Not inside: a null within custom terms is theirs.
        || jsonb_build_object('round', p_round.n, 'by', p_round.by_did, 'custom', p_round.custom)
$$;
COMMENT ON FUNCTION negotiation.proposal IS 'A round as the document that the parties exchange; what it does not state is left out.';

-- Locks the negotiation and refuses unless this party may act on it now: everything that can race waits here.
CREATE OR REPLACE FUNCTION negotiation.take_turn(p_negotiation uuid, p_by text, p_any_turn boolean)
RETURNS negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations;
BEGIN
    SELECT * INTO v_negotiation FROM negotiation.negotiations WHERE id = p_negotiation FOR NO KEY UPDATE;
    IF v_negotiation.id IS NULL THEN
        RAISE EXCEPTION 'there is no negotiation %', p_negotiation
            USING ERRCODE = 'check_violation', CONSTRAINT = 'negotiation_known';
    ELSIF p_by NOT IN (v_negotiation.initiator_did, v_negotiation.responder_did) THEN
        RAISE EXCEPTION '% takes no part in this negotiation', p_by
            USING ERRCODE = 'check_violation', CONSTRAINT = 'only_participants_negotiate';
    ELSIF v_negotiation.state NOT IN ('initiated', 'proposed', 'counter_proposed') THEN
        RAISE EXCEPTION 'the negotiation is %', v_negotiation.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'negotiation_open',
                  DETAIL = jsonb_build_object('state', v_negotiation.state);
    ELSIF v_negotiation.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the negotiation expired at %', v_negotiation.expires_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'negotiation_in_time';
    ELSIF v_negotiation.round_due_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the proposal on the table was to be answered until %', v_negotiation.round_due_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'round_in_time',
                  DETAIL = jsonb_build_object('round', v_negotiation.round, 'round_due_at', v_negotiation.round_due_at);
    ELSIF NOT p_any_turn AND v_negotiation.turn_did <> p_by THEN
        RAISE EXCEPTION 'it is the other party''s turn'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parties_take_turns',
                  DETAIL = jsonb_build_object('turn', v_negotiation.turn_did, 'round', v_negotiation.round);
    END IF;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.take_turn IS 'Lock an open negotiation for a party whose turn it is; refused by name otherwise.';

-- What a deal commits is what its hold took or still keeps; a hold that went back commits nothing.
CREATE FUNCTION negotiation.keep_within_budget(p_intent uuid, p_price bigint)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_budget bigint;
    v_committed numeric;
BEGIN
    SELECT intent.budget,
           (SELECT coalesce(sum(hold.amount), 0)
              FROM negotiation.negotiations AS deal
              JOIN credits.holds AS hold ON hold.id = deal.hold_id
             WHERE deal.intent_id = p_intent
               AND hold.state IN ('held', 'captured'))
      INTO v_budget, v_committed
      FROM negotiation.intents AS intent
     WHERE intent.id = p_intent;
    IF v_committed + p_price > v_budget THEN
        RAISE EXCEPTION 'the intent has a budget of % units, of which % are committed', v_budget, v_committed
            USING ERRCODE = 'check_violation', CONSTRAINT = 'price_within_budget',
                  DETAIL = jsonb_build_object('budget', v_budget, 'committed', v_committed, 'price', p_price);
    END IF;
END
$$;
COMMENT ON FUNCTION negotiation.keep_within_budget IS 'Refuses a price that an intent''s budget, less what its other deals commit, does not allow; units of 1/1000 credit.';

CREATE FUNCTION negotiation.open(
    p_intent uuid, p_initiator text, p_responder text, p_decision uuid, p_max_rounds integer, p_ttl interval,
    p_terms negotiation.rounds, p_accepts_at numeric DEFAULT NULL, p_round_s integer DEFAULT NULL
)
RETURNS negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations;
BEGIN
    IF p_initiator <> p_responder AND negotiation.same_account(p_initiator, p_responder) THEN
        RAISE EXCEPTION '% and % are agents of one account', p_initiator, p_responder
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parties_of_two_accounts';
    END IF;
    INSERT INTO negotiation.negotiations (
        intent_id, initiator_did, responder_did, incentive_split, max_rounds, expires_at, turn_did, decision_id,
        initiator_accepts_at, round_s)
    VALUES (p_intent, p_initiator, p_responder,
            coalesce(negotiation.proposal(p_terms) -> 'split', negotiation.default_split()), p_max_rounds,
            clock_timestamp() + p_ttl, p_responder, p_decision, ceil(p_accepts_at * 100) / 100, p_round_s)
    RETURNING * INTO v_negotiation;
    v_negotiation := negotiation.append_round(v_negotiation, p_initiator, 1, p_terms, 'initiated', p_responder);
    PERFORM negotiation.keep_within_budget(p_intent, p_terms.price);
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.open IS 'Start a negotiation with the opening offer as round 1.';

CREATE OR REPLACE FUNCTION negotiation.append_round(
    p_negotiation negotiation.negotiations, p_by text, p_n integer, p_terms negotiation.rounds, p_state text, p_turn text
)
RETURNS negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_before negotiation.rounds;
    v_round negotiation.rounds := p_terms;
    v_negotiation negotiation.negotiations;
BEGIN
    SELECT * INTO v_before FROM negotiation.rounds WHERE negotiation_id = p_negotiation.id AND n = p_n - 1;
    v_round.negotiation_id := p_negotiation.id;
    v_round.n := p_n;
    v_round.by_did := p_by;
    v_round.proposed_at := clock_timestamp();
    INSERT INTO negotiation.rounds (
        negotiation_id, n, by_did, price, delivery_s, quality, agent_bps, broker_bps, validator_bps, pool_bps, custom,
        convergence_delta, proposed_at)
    VALUES (v_round.negotiation_id, v_round.n, v_round.by_did, v_round.price, v_round.delivery_s, v_round.quality,
            v_round.agent_bps, v_round.broker_bps, v_round.validator_bps, v_round.pool_bps, v_round.custom,
            -- An impossible number is to reach its CHECK, which has a name, and not an overflow on the way.
            CASE WHEN v_before.n IS NULL OR least(v_round.price, v_round.delivery_s) < 1 THEN 0
                 ELSE negotiation.convergence(v_before, v_round) END,
            v_round.proposed_at)
    RETURNING * INTO v_round;
    UPDATE negotiation.negotiations
       SET state = p_state,
           round = p_n,
           turn_did = p_turn,
           current_proposal = negotiation.proposal(v_round),
           convergence_score = round(v_round.convergence_delta, 2),
           round_due_at = v_round.proposed_at + make_interval(secs => p_negotiation.round_s),
           not_accepted = NULL,
           standing_did = CASE WHEN v_round.convergence_delta >= CASE p_turn
                                         WHEN p_negotiation.initiator_did THEN p_negotiation.initiator_accepts_at
                                         WHEN p_negotiation.responder_did THEN p_negotiation.responder_accepts_at END
                                    AND negotiation.differ_in_measured_terms_only(v_before, v_round)
                               THEN p_turn END
     WHERE id = p_negotiation.id
    RETURNING * INTO v_negotiation;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.append_round IS 'Write one round and make it the current proposal; says whose standing acceptance it reaches.';

-- Rounding of what a party accepts at goes up: it never accepts at less than it said.
CREATE FUNCTION negotiation.propose(
    p_negotiation uuid, p_by text, p_terms negotiation.rounds, p_accepts_at numeric DEFAULT NULL
)
RETURNS negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations := negotiation.take_turn(p_negotiation, p_by, false);
BEGIN
    IF v_negotiation.round >= v_negotiation.max_rounds THEN
        RAISE EXCEPTION 'all % rounds are used: accept or reject', v_negotiation.max_rounds
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rounds_left_to_propose';
    END IF;
    UPDATE negotiation.negotiations
       SET initiator_accepts_at = CASE p_by WHEN initiator_did THEN ceil(p_accepts_at * 100) / 100
                                            ELSE initiator_accepts_at END,
           responder_accepts_at = CASE p_by WHEN responder_did THEN ceil(p_accepts_at * 100) / 100
                                            ELSE responder_accepts_at END
     WHERE id = p_negotiation
       AND p_accepts_at IS NOT NULL;
    v_negotiation := negotiation.append_round(
        v_negotiation, p_by, v_negotiation.round + 1, p_terms,
        CASE v_negotiation.state WHEN 'initiated' THEN 'proposed' ELSE 'counter_proposed' END,
        CASE p_by WHEN v_negotiation.initiator_did THEN v_negotiation.responder_did ELSE v_negotiation.initiator_did END
    );
    IF p_by = v_negotiation.initiator_did THEN
        PERFORM negotiation.keep_within_budget(v_negotiation.intent_id, p_terms.price);
    END IF;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.propose IS 'Answer the other party''s proposal with one''s own.';

CREATE FUNCTION negotiation.leave_on_the_table(p_negotiation uuid, p_code text)
RETURNS negotiation.negotiations
LANGUAGE sql SET search_path = ''
AS $$
    UPDATE negotiation.negotiations SET not_accepted = p_code WHERE id = p_negotiation RETURNING *
$$;
COMMENT ON FUNCTION negotiation.leave_on_the_table IS 'Note why a standing acceptance did not take the proposal on the table.';

-- The price that is sealed and the money that is held come from the same locked row, in the same transaction. The intent
-- is locked before its deals are summed, so two acceptances for one budget see each other; settling locks in this order too.
CREATE OR REPLACE FUNCTION negotiation.accept(
    p_negotiation uuid, p_by text, p_round integer, p_decision uuid, p_settle_within interval
)
RETURNS negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations := negotiation.take_turn(p_negotiation, p_by, false);
    v_hold credits.holds;
BEGIN
    IF p_round IS NOT NULL AND p_round <> v_negotiation.round THEN
        RAISE EXCEPTION 'round % is on the table, not round %', v_negotiation.round, p_round
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accepts_what_was_seen',
                  DETAIL = jsonb_build_object('round', v_negotiation.round);
    END IF;
    UPDATE negotiation.intents SET status = 'agreed', updated_at = clock_timestamp() WHERE id = v_negotiation.intent_id;
    PERFORM negotiation.keep_within_budget(
        v_negotiation.intent_id, (v_negotiation.current_proposal ->> 'price')::bigint);
    v_hold := credits.reserve(
        v_negotiation.initiator_did, (v_negotiation.current_proposal ->> 'price')::bigint, 'negotiation',
        p_negotiation::text, v_negotiation.intent_id, clock_timestamp() + p_settle_within
    );
    UPDATE negotiation.negotiations
       SET state = 'accepted',
           final_proposal = current_proposal,
           incentive_split = coalesce(current_proposal -> 'split', negotiation.default_split()),
           rounds = negotiation.all_rounds(p_negotiation),
           accepted_at = clock_timestamp(),
           accept_decision_id = p_decision,
           hold_id = v_hold.id
     WHERE id = p_negotiation
    RETURNING * INTO v_negotiation;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.accept IS 'Seal the current proposal and hold its price on the initiator''s account.';

CREATE FUNCTION negotiation.reject(p_negotiation uuid, p_by text, p_reason text DEFAULT '')
RETURNS negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations := negotiation.take_turn(p_negotiation, p_by, true);
BEGIN
    UPDATE negotiation.negotiations
       SET state = 'rejected',
           rounds = negotiation.all_rounds(p_negotiation),
           ended_by = p_by,
           reject_reason = nullif(p_reason, '')
     WHERE id = p_negotiation
    RETURNING * INTO v_negotiation;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.reject IS 'End an open negotiation without a deal; either party may.';

CREATE OR REPLACE FUNCTION negotiation.expire_stale(p_limit integer)
RETURNS SETOF negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    -- Read once: a clock that is asked row by row keeps the index from ending the search.
    v_now timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    UPDATE negotiation.negotiations AS stale
       SET state = 'expired', rounds = negotiation.all_rounds(stale.id)
      FROM (SELECT candidate.id
              FROM negotiation.negotiations AS candidate
             WHERE candidate.state NOT IN ('accepted', 'rejected', 'expired')
               AND least(candidate.expires_at, candidate.round_due_at) <= v_now
             ORDER BY least(candidate.expires_at, candidate.round_due_at)
             LIMIT p_limit
               FOR NO KEY UPDATE SKIP LOCKED) AS due
     WHERE stale.id = due.id
    RETURNING stale.*;
END
$$;
COMMENT ON FUNCTION negotiation.expire_stale IS 'End open negotiations whose time, or that of their round, is over, some at a time, and return them.';

CREATE OR REPLACE FUNCTION negotiation.settle(
    p_negotiation uuid, p_by text, p_kind text, p_id text, p_broker text, p_validator text
)
RETURNS negotiation.settlements
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations;
    v_terms negotiation.rounds;
    v_split jsonb;
    v_settlement negotiation.settlements;
BEGIN
    SELECT * INTO v_negotiation FROM negotiation.negotiations WHERE id = p_negotiation FOR NO KEY UPDATE;
    IF v_negotiation.id IS NULL THEN
        RAISE EXCEPTION 'there is no negotiation %', p_negotiation
            USING ERRCODE = 'check_violation', CONSTRAINT = 'negotiation_known';
    ELSIF p_by <> v_negotiation.initiator_did THEN
        RAISE EXCEPTION 'only the agent that pays can settle'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'the_payer_settles';
    ELSIF EXISTS (SELECT FROM negotiation.settlements WHERE negotiation_id = p_negotiation) THEN
        RAISE EXCEPTION 'the deal is settled'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settled_once';
    ELSIF v_negotiation.state <> 'accepted' THEN
        RAISE EXCEPTION 'the negotiation is %', v_negotiation.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_accepted_to_settle',
                  DETAIL = jsonb_build_object('state', v_negotiation.state);
    ELSIF (v_negotiation.bound_kind, v_negotiation.bound_id) IS DISTINCT FROM (p_kind, p_id) THEN
        RAISE EXCEPTION 'the deal is fulfilled by % % and is settled through it', v_negotiation.bound_kind, v_negotiation.bound_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settled_by_what_fulfils_it',
                  DETAIL = jsonb_build_object('kind', v_negotiation.bound_kind, 'id', v_negotiation.bound_id);
    ELSIF p_validator IN (v_negotiation.initiator_did, v_negotiation.responder_did)
          OR negotiation.same_account(p_validator, v_negotiation.initiator_did)
          OR negotiation.same_account(p_validator, v_negotiation.responder_did) THEN
        RAISE EXCEPTION '% is a party of the deal that it would validate', p_validator
            USING ERRCODE = 'check_violation', CONSTRAINT = 'validator_is_a_third_party';
    END IF;
    SELECT * INTO v_terms FROM negotiation.rounds
     WHERE negotiation_id = p_negotiation AND n = v_negotiation.round;
    v_split := v_negotiation.incentive_split;
    v_settlement.negotiation_id := p_negotiation;
    v_settlement.amount := v_terms.price;
    v_settlement.agent_units := div(v_terms.price::numeric * (v_split ->> 'agent')::integer, 10000);
    v_settlement.broker_units := CASE WHEN p_broker IS NULL THEN 0 ELSE div(v_terms.price::numeric * (v_split ->> 'broker')::integer, 10000) END;
    v_settlement.validator_units := CASE WHEN p_validator IS NULL THEN 0 ELSE div(v_terms.price::numeric * (v_split ->> 'validator')::integer, 10000) END;
    v_settlement.pool_units := v_terms.price - v_settlement.agent_units - v_settlement.broker_units - v_settlement.validator_units;
    UPDATE negotiation.intents SET status = 'fulfilled', updated_at = clock_timestamp() WHERE id = v_negotiation.intent_id;
    v_settlement.movement_id := negotiation.pay_shares(v_negotiation, v_settlement, p_broker, p_validator);
    INSERT INTO negotiation.settlements (
        negotiation_id, movement_id, amount, agent_units, broker_units, validator_units, pool_units, broker_did, validator_did)
    VALUES (p_negotiation, v_settlement.movement_id, v_settlement.amount, v_settlement.agent_units,
            v_settlement.broker_units, v_settlement.validator_units, v_settlement.pool_units, p_broker, p_validator)
    RETURNING * INTO v_settlement;
    RETURN v_settlement;
END
$$;
COMMENT ON FUNCTION negotiation.settle IS 'Pay the shares of an accepted deal from its hold; once. Shares come from the accepted proposal.';
