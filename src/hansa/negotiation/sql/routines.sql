CREATE FUNCTION negotiation.update_negotiations_timestamp()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION negotiation.update_negotiations_timestamp IS 'Keeps updated_at true whoever changes a row.';
CREATE TRIGGER trigger_update_negotiations_timestamp BEFORE UPDATE ON negotiation.negotiations
    FOR EACH ROW EXECUTE FUNCTION negotiation.update_negotiations_timestamp();

CREATE FUNCTION negotiation.refuse_change()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'proposals and settlements stay as they were made'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'proposals_are_append_only';
END
$$;
COMMENT ON FUNCTION negotiation.refuse_change IS 'Keeps rounds and settlements as they were written.';
CREATE TRIGGER rounds_append_only BEFORE UPDATE OR DELETE ON negotiation.rounds
    FOR EACH ROW EXECUTE FUNCTION negotiation.refuse_change();
CREATE TRIGGER settlements_append_only BEFORE UPDATE OR DELETE ON negotiation.settlements
    FOR EACH ROW EXECUTE FUNCTION negotiation.refuse_change();

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
CREATE FUNCTION negotiation.convergence(p_before negotiation.rounds, p_after negotiation.rounds)
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

CREATE FUNCTION negotiation.proposal(p_round negotiation.rounds)
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

CREATE FUNCTION negotiation.all_rounds(p_negotiation uuid)
RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce(jsonb_agg(negotiation.proposal(round)
                              || jsonb_build_object('convergence_delta', round.convergence_delta,
                                                    'proposed_at', round.proposed_at) ORDER BY round.n), '[]')
      FROM negotiation.rounds AS round
     WHERE round.negotiation_id = p_negotiation
$$;
COMMENT ON FUNCTION negotiation.all_rounds IS 'All rounds of a negotiation as one document.';

-- Locks the negotiation and refuses unless this party may act on it now: everything that can race waits here.
CREATE FUNCTION negotiation.take_turn(p_negotiation uuid, p_by text, p_any_turn boolean)
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

-- One key may stand behind several DIDs: by another spelling of it, or because one of them was rotated to it.
CREATE FUNCTION negotiation.same_account(p_one text, p_other text)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT EXISTS (SELECT
                     FROM registry.agents AS one
                     JOIN registry.agents AS other ON other.creator_user_id = one.creator_user_id
                    WHERE one.did = p_one
                      AND other.did = p_other)
$$;
COMMENT ON FUNCTION negotiation.same_account IS 'Whether one account stands behind two agents.';

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

CREATE FUNCTION negotiation.append_round(
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
CREATE FUNCTION negotiation.accept(
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

CREATE FUNCTION negotiation.expire_stale(p_limit integer)
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

CREATE FUNCTION negotiation.expire_stale_negotiations()
RETURNS integer
LANGUAGE sql SET search_path = ''
AS $$
    SELECT count(*)::integer FROM negotiation.expire_stale(NULL)
$$;
COMMENT ON FUNCTION negotiation.expire_stale_negotiations IS 'AINP''s name: end every open negotiation whose time is over; returns how many.';

-- The money of an accepted deal that nobody settled went back when its hold lapsed; the deal ends with it.
CREATE FUNCTION negotiation.lapse(p_negotiation uuid)
RETURNS SETOF negotiation.negotiations
LANGUAGE sql SET search_path = ''
AS $$
    UPDATE negotiation.negotiations AS lapsed
       SET state = 'expired'
      FROM credits.holds AS hold
     WHERE lapsed.id = p_negotiation
       AND lapsed.state = 'accepted'
       AND hold.id = lapsed.hold_id
       AND hold.state IN ('expired', 'released')
    RETURNING lapsed.*
$$;
COMMENT ON FUNCTION negotiation.lapse IS 'End an accepted negotiation whose hold has gone back to the payer.';

CREATE FUNCTION negotiation.bind(p_negotiation uuid, p_kind text, p_id text)
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
    ELSIF v_negotiation.state <> 'accepted'
          OR EXISTS (SELECT FROM negotiation.settlements WHERE negotiation_id = p_negotiation) THEN
        RAISE EXCEPTION 'the negotiation is %, or settled', v_negotiation.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_open_to_bind';
    ELSIF v_negotiation.bound_kind IS NOT NULL THEN
        RAISE EXCEPTION 'the deal is already fulfilled by % %', v_negotiation.bound_kind, v_negotiation.bound_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_bound_once',
                  DETAIL = jsonb_build_object('kind', v_negotiation.bound_kind, 'id', v_negotiation.bound_id);
    END IF;
    UPDATE negotiation.negotiations
       SET bound_kind = p_kind, bound_id = p_id
     WHERE id = p_negotiation
    RETURNING * INTO v_negotiation;
    RETURN v_negotiation;
END
$$;
COMMENT ON FUNCTION negotiation.bind IS 'Say what fulfils a deal; from then on only that thing may settle it.';

CREATE FUNCTION negotiation.settle(
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

CREATE FUNCTION negotiation.pay_shares(
    p_negotiation negotiation.negotiations, p_settlement negotiation.settlements, p_broker text, p_validator text
)
RETURNS uuid
LANGUAGE sql SET search_path = ''
AS $$
    SELECT credits.capture(p_negotiation.hold_id, array_agg(share.account), array_agg(share.amount), p_negotiation.intent_id)
      FROM (VALUES (p_negotiation.responder_did, p_settlement.agent_units),
                   (p_broker, p_settlement.broker_units),
                   (p_validator, p_settlement.validator_units),
                   ('system:pool', p_settlement.pool_units)) AS share (account, amount)
     WHERE share.amount > 0
$$;
COMMENT ON FUNCTION negotiation.pay_shares IS 'Capture the hold of a deal into the shares that are not zero.';

-- Groups. Whatever can race in a group waits for its row, which every act locks first.

CREATE FUNCTION negotiation.keep_group_history()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'what a group has proposed, voted and agreed stays as it was'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'group_history_is_append_only';
END
$$;
COMMENT ON FUNCTION negotiation.keep_group_history IS 'Keeps proposals, parts, votes and deals of groups, and groups that have ended, as they are.';
CREATE TRIGGER group_proposals_append_only BEFORE UPDATE OR DELETE ON negotiation.group_proposals
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_proposals_not_emptied BEFORE TRUNCATE ON negotiation.group_proposals
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_parts_append_only BEFORE UPDATE OR DELETE ON negotiation.group_parts
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_parts_not_emptied BEFORE TRUNCATE ON negotiation.group_parts
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_votes_append_only BEFORE UPDATE OR DELETE ON negotiation.group_votes
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_votes_not_emptied BEFORE TRUNCATE ON negotiation.group_votes
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_deals_append_only BEFORE UPDATE OR DELETE ON negotiation.group_deals
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_deals_not_emptied BEFORE TRUNCATE ON negotiation.group_deals
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER groups_end_once BEFORE UPDATE ON negotiation.groups
    FOR EACH ROW WHEN (OLD.state <> 'open') EXECUTE FUNCTION negotiation.keep_group_history();

-- Deferred to the commit, because a proposal is written before its parts.
CREATE FUNCTION negotiation.check_group_price()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF (SELECT proposal.price FROM negotiation.group_proposals AS proposal
         WHERE proposal.group_id = NEW.group_id AND proposal.n = NEW.n)
       IS DISTINCT FROM
       (SELECT sum(part.units) FROM negotiation.group_parts AS part
         WHERE part.group_id = NEW.group_id AND part.n = NEW.n) THEN
        RAISE EXCEPTION 'the price of proposal % is not the sum of its parts', NEW.n
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_price_is_its_parts';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION negotiation.check_group_price IS 'At the commit, the price of a group''s proposal is the sum of its parts.';
CREATE CONSTRAINT TRIGGER group_price_is_its_parts AFTER INSERT ON negotiation.group_proposals
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION negotiation.check_group_price();
CREATE CONSTRAINT TRIGGER group_parts_are_its_price AFTER INSERT ON negotiation.group_parts
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION negotiation.check_group_price();

-- The one place that knows the rules. Nobody pays or works without having said so: without the payer's approval, or
-- without a worker who approves a part of its own, no number of other votes is an agreement.
CREATE FUNCTION negotiation.group_tally(p_group uuid)
RETURNS TABLE (
    members integer, approving integer, opposing integer, weight numeric, approving_weight numeric,
    payer_approves boolean, bound text[], agreed boolean
)
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT counted.members, counted.approving, counted.opposing, counted.weight, counted.approving_weight,
           counted.payer_approves, counted.bound,
           CASE counted.rule
               WHEN 'unanimous' THEN counted.approving = counted.members
               WHEN 'majority' THEN 2 * counted.approving > counted.members
               WHEN 'trust_weighted' THEN 2 * counted.approving_weight > counted.weight
           END AND counted.payer_approves AND cardinality(counted.bound) > 0
      FROM (SELECT team.rule,
                   count(*)::integer AS members,
                   (count(*) FILTER (WHERE vote.approves))::integer AS approving,
                   (count(*) FILTER (WHERE NOT vote.approves))::integer AS opposing,
                   sum(member.weight) AS weight,
                   coalesce(sum(member.weight) FILTER (WHERE vote.approves), 0) AS approving_weight,
                   coalesce(bool_or(vote.approves) FILTER (WHERE member.did = team.payer_did), false) AS payer_approves,
                   coalesce(array_agg(member.did ORDER BY member.did)
                                FILTER (WHERE vote.approves AND part.units IS NOT NULL), '{}') AS bound
              FROM negotiation.groups AS team
              JOIN negotiation.group_members AS member ON member.group_id = team.id AND member.left_at IS NULL
              LEFT JOIN negotiation.group_votes AS vote
                     ON vote.group_id = team.id AND vote.n = team.on_table AND vote.member_did = member.did
              LEFT JOIN negotiation.group_parts AS part
                     ON part.group_id = team.id AND part.n = team.on_table AND part.worker_did = member.did
             WHERE team.id = p_group
             GROUP BY team.rule) AS counted
$$;
COMMENT ON FUNCTION negotiation.group_tally IS 'The votes on the table counted under the group''s rule: whether they are an agreement, and whom it would bind (AINP).';

CREATE FUNCTION negotiation.check_group_agreement()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups;
    v_tally record;
    v_bound text[];
BEGIN
    IF TG_TABLE_NAME = 'groups' THEN
        v_group := NEW;
    ELSE
        SELECT * INTO v_group FROM negotiation.groups WHERE id = NEW.group_id;
    END IF;
    SELECT * INTO v_tally FROM negotiation.group_tally(v_group.id);
    SELECT coalesce(array_agg(deal.worker_did ORDER BY deal.worker_did), '{}')
      INTO v_bound
      FROM negotiation.group_deals AS deal
      LEFT JOIN negotiation.group_parts AS part
             ON part.group_id = deal.group_id AND part.n = v_group.on_table AND part.worker_did = deal.worker_did
      LEFT JOIN negotiation.negotiations AS sealed
             ON sealed.id = deal.negotiation_id AND sealed.initiator_did = v_group.payer_did
            AND sealed.responder_did = deal.worker_did AND sealed.intent_id = v_group.intent_id
            AND sealed.hold_id IS NOT NULL AND (sealed.final_proposal ->> 'price')::bigint = part.units
     WHERE deal.group_id = v_group.id
    HAVING count(*) = count(sealed.id);
    IF v_group.state <> 'agreed' OR NOT v_tally.agreed OR v_bound IS DISTINCT FROM v_tally.bound THEN
        RAISE EXCEPTION 'the deals of group % are not what its members agreed on', v_group.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_binds_what_was_agreed';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION negotiation.check_group_agreement IS 'At the commit, an agreed group has an agreement by its rule, and one accepted deal at its part for everybody bound and nobody else.';
CREATE CONSTRAINT TRIGGER group_binds_what_was_agreed AFTER INSERT OR UPDATE ON negotiation.groups
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'agreed') EXECUTE FUNCTION negotiation.check_group_agreement();
CREATE CONSTRAINT TRIGGER deals_of_an_agreed_group AFTER INSERT ON negotiation.group_deals
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION negotiation.check_group_agreement();

CREATE FUNCTION negotiation.open_group(
    p_intent uuid, p_payer text, p_rule negotiation.voting_rule, p_members text[], p_weights numeric[],
    p_max_rounds integer, p_ttl interval, p_round_s integer
)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_group negotiation.groups;
BEGIN
    IF cardinality(p_members) NOT BETWEEN 3 AND 20 THEN
        RAISE EXCEPTION 'a group has 2 to 19 workers, not %', cardinality(p_members) - 1
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_of_two_to_nineteen_workers';
    ELSIF EXISTS (SELECT FROM registry.agents WHERE did = ANY (p_members)
                   GROUP BY creator_user_id HAVING count(*) > 1) THEN
        -- One account would have several votes, and could pay itself.
        RAISE EXCEPTION 'two members are agents of one account'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'members_of_different_accounts';
    END IF;
    INSERT INTO negotiation.groups (
        intent_id, payer_did, rule, max_rounds, round_s, created_at, expires_at, deadline_at)
    VALUES (p_intent, p_payer, p_rule, p_max_rounds, p_round_s, v_now, v_now + p_ttl,
            least(v_now + p_ttl, v_now + make_interval(secs => p_round_s)))
    RETURNING * INTO v_group;
    INSERT INTO negotiation.group_members (group_id, did, weight)
    SELECT v_group.id, member.did, member.weight
      FROM unnest(p_members, p_weights) AS member (did, weight);
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.open_group IS 'Open a group of a payer, who is the first of the members, and its workers; each with its weight.';

-- Locks the group and refuses unless this member may act in it now.
CREATE FUNCTION negotiation.take_seat(p_group uuid, p_by text)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups;
BEGIN
    SELECT * INTO v_group FROM negotiation.groups WHERE id = p_group FOR NO KEY UPDATE;
    IF v_group.id IS NULL THEN
        RAISE EXCEPTION 'there is no group %', p_group
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_known';
    ELSIF NOT EXISTS (SELECT FROM negotiation.group_members
                       WHERE group_id = p_group AND did = p_by AND left_at IS NULL) THEN
        RAISE EXCEPTION '% takes no part in this group', p_by
            USING ERRCODE = 'check_violation', CONSTRAINT = 'only_members_take_part';
    ELSIF v_group.state <> 'open' THEN
        RAISE EXCEPTION 'the group is %', v_group.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_open',
                  DETAIL = jsonb_build_object('state', v_group.state);
    ELSIF v_group.deadline_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the time of the group was over at %', v_group.deadline_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_in_time';
    END IF;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.take_seat IS 'Lock an open group for one of its members; refused by name otherwise.';

CREATE FUNCTION negotiation.group_convergence(
    p_before negotiation.group_proposals, p_after negotiation.group_proposals
)
RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT coalesce(avg(term.similarity), 0)
      FROM (VALUES
               (1 - abs(p_before.price - p_after.price)::numeric / greatest(p_before.price, p_after.price)),
               (1 - abs(p_before.delivery_s - p_after.delivery_s)::numeric
                    / greatest(p_before.delivery_s, p_after.delivery_s)),
               (1 - abs(p_before.quality - p_after.quality))
           ) AS term (similarity)
$$;
COMMENT ON FUNCTION negotiation.group_convergence IS 'Similarity of two proposals of a group, 0 to 1: mean over total price, delivery time and quality, as far as both state them.';

CREATE FUNCTION negotiation.propose_to_group(
    p_group uuid, p_by text, p_workers text[], p_units bigint[], p_delivery_s integer, p_quality numeric, p_custom jsonb
)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
    v_n integer := v_group.round + 1;
    v_before negotiation.group_proposals;
    v_after negotiation.group_proposals;
BEGIN
    SELECT * INTO v_before FROM negotiation.group_proposals WHERE group_id = p_group AND n = v_group.round;
    IF v_group.on_table IS NOT NULL AND v_before.by_did = p_by THEN
        RAISE EXCEPTION 'your proposal is on the table: another member is to answer it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'members_take_turns',
                  DETAIL = jsonb_build_object('round', v_group.round);
    ELSIF v_group.round >= v_group.max_rounds THEN
        RAISE EXCEPTION 'all % rounds are used', v_group.max_rounds
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rounds_left_to_propose';
    ELSIF EXISTS (SELECT FROM unnest(p_workers) AS named (did)
                   WHERE named.did = v_group.payer_did
                      OR NOT EXISTS (SELECT FROM negotiation.group_members AS member
                                      WHERE member.group_id = p_group AND member.did = named.did
                                        AND member.left_at IS NULL)) THEN
        RAISE EXCEPTION 'a part is for a worker who takes part in the group'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parts_are_for_workers';
    END IF;
    v_after.price := (SELECT coalesce(sum(part.units), 0) FROM unnest(p_units) AS part (units));
    v_after.delivery_s := p_delivery_s;
    v_after.quality := p_quality;
    INSERT INTO negotiation.group_proposals (group_id, n, by_did, price, delivery_s, quality, custom, convergence_delta)
    VALUES (p_group, v_n, p_by, v_after.price, p_delivery_s, p_quality, p_custom,
            negotiation.group_convergence(v_before, v_after))
    RETURNING * INTO v_after;
    INSERT INTO negotiation.group_parts (group_id, n, worker_did, units)
    SELECT p_group, v_n, part.worker, part.units
      FROM unnest(p_workers, p_units) AS part (worker, units);
    UPDATE negotiation.groups
       SET round = v_n,
           on_table = v_n,
           convergence_score = round(v_after.convergence_delta, 2),
           deadline_at = least(expires_at, clock_timestamp() + make_interval(secs => round_s))
     WHERE id = p_group
    RETURNING * INTO v_group;
    INSERT INTO negotiation.group_votes (group_id, n, member_did, approves) VALUES (p_group, v_n, p_by, true);
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.propose_to_group IS 'Put a proposal on the table in place of another member''s; the proposer approves it.';

CREATE FUNCTION negotiation.vote_in_group(p_group uuid, p_by text, p_round integer, p_approves boolean)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
BEGIN
    IF v_group.on_table IS NULL OR p_round IS DISTINCT FROM v_group.on_table THEN
        RAISE EXCEPTION 'round % is not on the table', p_round
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accepts_what_was_seen',
                  DETAIL = jsonb_build_object('round', v_group.on_table);
    END IF;
    INSERT INTO negotiation.group_votes (group_id, n, member_did, approves)
    VALUES (p_group, p_round, p_by, p_approves);
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.vote_in_group IS 'Say once whether a member approves the proposal on the table, which it names.';

CREATE FUNCTION negotiation.agree_group(p_group uuid, p_negotiations uuid[])
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups;
BEGIN
    INSERT INTO negotiation.group_deals (group_id, worker_did, negotiation_id)
    SELECT p_group, sealed.responder_did, sealed.id
      FROM negotiation.negotiations AS sealed
     WHERE sealed.id = ANY (p_negotiations);
    UPDATE negotiation.groups
       SET state = 'agreed', ended_at = clock_timestamp()
     WHERE id = p_group
    RETURNING * INTO v_group;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.agree_group IS 'End a group by the deals that bind its members; whether they are the right ones is checked at the commit.';

-- What was voted on included the one who leaves, so nothing is left on the table to agree on.
CREATE FUNCTION negotiation.leave_group(p_group uuid, p_by text)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
    v_workers integer;
BEGIN
    IF p_by = v_group.payer_did THEN
        RAISE EXCEPTION 'the payer rejects instead of leaving'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'the_payer_stays_in_its_group';
    END IF;
    UPDATE negotiation.group_members SET left_at = clock_timestamp() WHERE group_id = p_group AND did = p_by;
    SELECT count(*) INTO v_workers
      FROM negotiation.group_members
     WHERE group_id = p_group AND did <> v_group.payer_did AND left_at IS NULL;
    UPDATE negotiation.groups
       SET on_table = NULL,
           deadline_at = least(expires_at, clock_timestamp() + make_interval(secs => round_s)),
           state = CASE WHEN v_workers = 0 THEN 'rejected' ELSE state END,
           ended_at = CASE WHEN v_workers = 0 THEN clock_timestamp() END
     WHERE id = p_group
    RETURNING * INTO v_group;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.leave_group IS 'Take a worker out of an open group, and the proposal off the table; without any worker the group is rejected.';

CREATE FUNCTION negotiation.reject_group(p_group uuid, p_by text)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
BEGIN
    IF p_by <> v_group.payer_did THEN
        RAISE EXCEPTION 'only the payer ends the group; a worker leaves it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'the_payer_rejects_its_group';
    END IF;
    UPDATE negotiation.groups
       SET state = 'rejected', ended_at = clock_timestamp()
     WHERE id = p_group
    RETURNING * INTO v_group;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.reject_group IS 'End an open group without a deal.';

CREATE FUNCTION negotiation.expire_groups(p_limit integer)
RETURNS SETOF negotiation.groups
LANGUAGE sql SET search_path = ''
AS $$
    UPDATE negotiation.groups AS stale
       SET state = 'expired', ended_at = clock_timestamp()
      FROM (SELECT candidate.id
              FROM negotiation.groups AS candidate
             WHERE candidate.state = 'open'
               AND candidate.deadline_at <= clock_timestamp()
             ORDER BY candidate.deadline_at
             LIMIT p_limit
               FOR NO KEY UPDATE SKIP LOCKED) AS due
     WHERE stale.id = due.id
    RETURNING stale.*
$$;
COMMENT ON FUNCTION negotiation.expire_groups IS 'End open groups whose time is over, some at a time, and return them.';
