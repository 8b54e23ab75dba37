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
