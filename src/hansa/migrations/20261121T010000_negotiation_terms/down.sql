-- What the old schema cannot say is not thrown away: each kind is refused by its name, before anything is changed.
DO $$
BEGIN
    IF EXISTS (SELECT FROM negotiation.rounds WHERE num_nulls(delivery_s, quality, agent_bps) > 0) THEN
        RAISE EXCEPTION 'there are proposals without a delivery time, a quality or a split, which the old schema demands'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'every_proposal_states_all_terms';
    ELSIF EXISTS (SELECT FROM negotiation.negotiations
                   WHERE num_nonnulls(initiator_accepts_at, responder_accepts_at, standing_did, not_accepted) > 0) THEN
        RAISE EXCEPTION 'there are standing acceptances, which the old schema does not know'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_standing_acceptance_is_lost';
    ELSIF EXISTS (SELECT FROM negotiation.negotiations WHERE round_s IS NOT NULL) THEN
        RAISE EXCEPTION 'there are negotiations with a time for each round, which the old schema does not know'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_round_time_is_lost';
    ELSIF EXISTS (SELECT FROM negotiation.negotiations WHERE num_nonnulls(ended_by, reject_reason) > 0) THEN
        RAISE EXCEPTION 'there are rejections that say by whom and why, which the old schema does not'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_rejection_is_lost';
    END IF;
END
$$;

DROP TRIGGER sealed_deals_stay ON negotiation.negotiations;
DROP TRIGGER states_only_as_drawn ON negotiation.negotiations;
DROP FUNCTION negotiation.open(uuid, text, text, uuid, integer, interval, negotiation.rounds, numeric, integer);
DROP FUNCTION negotiation.propose(uuid, text, negotiation.rounds, numeric);
DROP FUNCTION negotiation.reject(uuid, text, text);

-- Mean over price, delivery time, quality and split; every proposal here has all four.
CREATE OR REPLACE FUNCTION negotiation.convergence(p_before negotiation.rounds, p_after negotiation.rounds)
RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT ((1 - abs(p_before.price - p_after.price)::numeric / greatest(p_before.price, p_after.price))
          + (1 - abs(p_before.delivery_s - p_after.delivery_s)::numeric / greatest(p_before.delivery_s, p_after.delivery_s))
          + (1 - abs(p_before.quality - p_after.quality))
          + (1 - (abs(p_before.agent_bps - p_after.agent_bps) + abs(p_before.broker_bps - p_after.broker_bps)
                + abs(p_before.validator_bps - p_after.validator_bps) + abs(p_before.pool_bps - p_after.pool_bps)
                 )::numeric / 40000)) / 4
$$;
COMMENT ON FUNCTION negotiation.convergence IS 'Similarity of two proposals, 0 to 1: mean over price, delivery time, quality and split (AINP).';

CREATE OR REPLACE FUNCTION negotiation.proposal(p_round negotiation.rounds)
RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT jsonb_build_object(
        'round', p_round.n, 'by', p_round.by_did, 'price', p_round.price, 'delivery_s', p_round.delivery_s,
        'quality', p_round.quality, 'custom', p_round.custom,
        'split', jsonb_build_object('agent', p_round.agent_bps, 'broker', p_round.broker_bps,
                                    'validator', p_round.validator_bps, 'pool', p_round.pool_bps)
    )
$$;
COMMENT ON FUNCTION negotiation.proposal IS 'A round as the document that the parties exchange.';

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
    ELSIF NOT p_any_turn AND v_negotiation.turn_did <> p_by THEN
        RAISE EXCEPTION 'it is the other party''s turn'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parties_take_turns',
                  DETAIL = jsonb_build_object('turn', v_negotiation.turn_did, 'round', v_negotiation.round);
    END IF;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.take_turn IS 'Lock an open negotiation for a party whose turn it is; refused by name otherwise.';

CREATE FUNCTION negotiation.open(
    p_intent uuid, p_initiator text, p_responder text, p_decision uuid, p_max_rounds integer, p_ttl interval,
    p_terms negotiation.rounds
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
        intent_id, initiator_did, responder_did, incentive_split, max_rounds, expires_at, turn_did, decision_id)
    VALUES (p_intent, p_initiator, p_responder, negotiation.proposal(p_terms) -> 'split', p_max_rounds,
            clock_timestamp() + p_ttl, p_responder, p_decision)
    RETURNING * INTO v_negotiation;
    RETURN negotiation.append_round(v_negotiation, p_initiator, 1, p_terms, 'initiated', p_responder);
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
            CASE WHEN v_before.n IS NULL OR least(v_round.price, v_round.delivery_s) < 1 THEN 0
                 ELSE negotiation.convergence(v_before, v_round) END,
            v_round.proposed_at)
    RETURNING * INTO v_round;
    UPDATE negotiation.negotiations
       SET state = p_state,
           round = p_n,
           turn_did = p_turn,
           current_proposal = negotiation.proposal(v_round),
           convergence_score = round(v_round.convergence_delta, 2)
     WHERE id = p_negotiation.id
    RETURNING * INTO v_negotiation;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.append_round IS 'Write one round and make it the current proposal.';

CREATE FUNCTION negotiation.propose(p_negotiation uuid, p_by text, p_terms negotiation.rounds)
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
    RETURN negotiation.append_round(
        v_negotiation, p_by, v_negotiation.round + 1, p_terms,
        CASE v_negotiation.state WHEN 'initiated' THEN 'proposed' ELSE 'counter_proposed' END,
        CASE p_by WHEN v_negotiation.initiator_did THEN v_negotiation.responder_did ELSE v_negotiation.initiator_did END
    );
END
$$;
COMMENT ON FUNCTION negotiation.propose IS 'Answer the other party''s proposal with one''s own.';

-- The price that is sealed and the money that is held come from the same locked row, in the same transaction.
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
    v_hold := credits.reserve(
        v_negotiation.initiator_did, (v_negotiation.current_proposal ->> 'price')::bigint, 'negotiation',
        p_negotiation::text, v_negotiation.intent_id, clock_timestamp() + p_settle_within
    );
    UPDATE negotiation.intents SET status = 'agreed', updated_at = clock_timestamp() WHERE id = v_negotiation.intent_id;
    UPDATE negotiation.negotiations
       SET state = 'accepted',
           final_proposal = current_proposal,
           incentive_split = current_proposal -> 'split',
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

CREATE FUNCTION negotiation.reject(p_negotiation uuid, p_by text)
RETURNS negotiation.negotiations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations := negotiation.take_turn(p_negotiation, p_by, true);
BEGIN
    UPDATE negotiation.negotiations
       SET state = 'rejected', rounds = negotiation.all_rounds(p_negotiation)
     WHERE id = p_negotiation
    RETURNING * INTO v_negotiation;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.reject IS 'End an open negotiation without a deal; either party may.';

CREATE OR REPLACE FUNCTION negotiation.expire_stale(p_limit integer)
RETURNS SETOF negotiation.negotiations
LANGUAGE sql SET search_path = ''
AS $$
    UPDATE negotiation.negotiations AS stale
       SET state = 'expired', rounds = negotiation.all_rounds(stale.id)
      FROM (SELECT candidate.id
              FROM negotiation.negotiations AS candidate
             WHERE candidate.state NOT IN ('accepted', 'rejected', 'expired')
               AND candidate.expires_at <= clock_timestamp()
             ORDER BY candidate.expires_at
             LIMIT p_limit
               FOR NO KEY UPDATE SKIP LOCKED) AS due
     WHERE stale.id = due.id
    RETURNING stale.*
$$;
COMMENT ON FUNCTION negotiation.expire_stale IS 'End open negotiations whose time is over, some at a time, and return them.';

CREATE OR REPLACE FUNCTION negotiation.settle(
    p_negotiation uuid, p_by text, p_kind text, p_id text, p_broker text, p_validator text
)
RETURNS negotiation.settlements
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_negotiation negotiation.negotiations;
    v_terms negotiation.rounds;
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
    v_settlement.negotiation_id := p_negotiation;
    v_settlement.amount := v_terms.price;
    v_settlement.agent_units := div(v_terms.price::numeric * v_terms.agent_bps, 10000);
    v_settlement.broker_units := CASE WHEN p_broker IS NULL THEN 0 ELSE div(v_terms.price::numeric * v_terms.broker_bps, 10000) END;
    v_settlement.validator_units := CASE WHEN p_validator IS NULL THEN 0 ELSE div(v_terms.price::numeric * v_terms.validator_bps, 10000) END;
    v_settlement.pool_units := v_terms.price - v_settlement.agent_units - v_settlement.broker_units - v_settlement.validator_units;
    v_settlement.movement_id := negotiation.pay_shares(v_negotiation, v_settlement, p_broker, p_validator);
    UPDATE negotiation.intents SET status = 'fulfilled', updated_at = clock_timestamp() WHERE id = v_negotiation.intent_id;
    INSERT INTO negotiation.settlements (
        negotiation_id, movement_id, amount, agent_units, broker_units, validator_units, pool_units, broker_did, validator_did)
    VALUES (p_negotiation, v_settlement.movement_id, v_settlement.amount, v_settlement.agent_units,
            v_settlement.broker_units, v_settlement.validator_units, v_settlement.pool_units, p_broker, p_validator)
    RETURNING * INTO v_settlement;
    RETURN v_settlement;
END
$$;
COMMENT ON FUNCTION negotiation.settle IS 'Pay the shares of an accepted deal from its hold; once. Shares come from the accepted proposal.';

DROP FUNCTION negotiation.refuse_undrawn_state();
DROP FUNCTION negotiation.differ_in_measured_terms_only(negotiation.rounds, negotiation.rounds);
DROP FUNCTION negotiation.default_split();
DROP FUNCTION negotiation.keep_within_budget(uuid, bigint);
DROP FUNCTION negotiation.leave_on_the_table(uuid, text);

REVOKE INSERT, UPDATE ON negotiation.intents, negotiation.negotiations FROM hansa_app;
GRANT INSERT, UPDATE ON negotiation.intents, negotiation.negotiations TO hansa_app;

DROP INDEX negotiation.negotiations_due;
ALTER TABLE negotiation.negotiations
    DROP COLUMN initiator_accepts_at,
    DROP COLUMN responder_accepts_at,
    DROP COLUMN standing_did,
    DROP COLUMN not_accepted,
    DROP COLUMN round_s,
    DROP COLUMN round_due_at,
    DROP COLUMN ended_by,
    DROP COLUMN reject_reason;

ALTER TABLE negotiation.rounds
    DROP CONSTRAINT shares_stated_together,
    ALTER delivery_s SET NOT NULL,
    ALTER quality SET NOT NULL,
    ALTER agent_bps SET NOT NULL,
    ALTER broker_bps SET NOT NULL,
    ALTER validator_bps SET NOT NULL,
    ALTER pool_bps SET NOT NULL;
COMMENT ON COLUMN negotiation.rounds.delivery_s IS 'Promised time from acceptance to delivery, seconds.';
COMMENT ON COLUMN negotiation.rounds.quality IS 'Promised quality, 0 to 1.';
COMMENT ON COLUMN negotiation.rounds.agent_bps IS 'Share of the agent that works, in basis points; the four shares sum to 10 000.';
