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
       AND to_jsonb(NEW) - '{fold_position,settled_on,weight}'::text[]
           = to_jsonb(OLD) - '{fold_position,settled_on,weight}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'evidence is append only, and it is counted once'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION proof.keep_evidence IS 'Lets evidence be marked as counted, with its weight, once, and nothing else.';

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

-- Trust: how it fades, what each piece of evidence says and weighs, counting evidence.

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

-- The one place that says which sample each kind of evidence gives; NULL: it says nothing about that dimension.
CREATE FUNCTION proof.trust_samples(p_event proof.trust_events)
RETURNS TABLE (reliability double precision, honesty double precision, competence double precision,
               timeliness double precision)
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
SELECT CASE (p_event).kind WHEN 'work' THEN proof.reliability_sample((p_event).outcome, punctual.timeliness)
                           ELSE (p_event).reliability END,
       (p_event).honesty, (p_event).competence, punctual.timeliness
  FROM (SELECT proof.timeliness_sample((p_event).started_at, (p_event).due_at,
                                       (p_event).delivered_at) AS timeliness) AS punctual
$$;
COMMENT ON FUNCTION proof.trust_samples IS 'What a piece of evidence says about each dimension of trust, 0 to 1; NULL: nothing.';

-- Ordinals are drawn in the order of counting, under the lock of the agent's vector: settlements of one pair that
-- arrive together still weigh 1, 1/2, 1/4. Counting stops at 60, where the weight is nothing anyway.
CREATE FUNCTION proof.trust_weight(p_event proof.trust_events)
RETURNS double precision
LANGUAGE sql STABLE SET search_path = ''
AS $$
SELECT coalesce(
    (SELECT work.weight FROM proof.trust_events AS work
      WHERE work.ref = (p_event).work_ref AND work.fold_position IS NOT NULL),
    (SELECT proof.offered_weight(proof.adopted_policy(), settled.asset, settled.fee, 1 + before.settlements,
                                 settled.payer_related)
       FROM proof.reputation_events AS settled
      CROSS JOIN LATERAL (
            SELECT count(*) AS settlements
              FROM (SELECT
                      FROM proof.reputation_events AS earlier
                      JOIN proof.trust_events AS counted ON counted.ref = earlier.ref
                     WHERE earlier.payer_did = settled.payer_did
                       AND earlier.agent_did = settled.agent_did
                       AND counted.fold_position IS NOT NULL
                     LIMIT 60) AS few) AS before
      WHERE settled.ref = coalesce((p_event).work_ref, (p_event).ref)),
    1)
$$;
COMMENT ON FUNCTION proof.trust_weight IS 'What a piece of evidence weighs if it is counted now: what its work cost, as for reputation; an attestation or dispute weighs what the work does that it is about, and 1 when it is about none.';

-- Evidence older than the vector moves it less, by what it would have faded since.
CREATE FUNCTION proof.trust_after(p_trust proof.trust_vector, p_event proof.trust_events, p_rate double precision)
RETURNS proof.trust_vector
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
SELECT ROW(known.reliability + share.alpha * (coalesce(sample.reliability, known.reliability) - known.reliability),
           known.honesty + share.alpha * (coalesce(sample.honesty, known.honesty) - known.honesty),
           known.competence + share.alpha * (coalesce(sample.competence, known.competence) - known.competence),
           known.timeliness + share.alpha * (coalesce(sample.timeliness, known.timeliness) - known.timeliness),
           greatest((p_trust).as_of, (p_event).occurred_at))::proof.trust_vector
  FROM (SELECT proof.towards_neutral((p_trust).reliability, idle.days, p_rate) AS reliability,
               proof.towards_neutral((p_trust).honesty, idle.days, p_rate) AS honesty,
               proof.towards_neutral((p_trust).competence, idle.days, p_rate) AS competence,
               proof.towards_neutral((p_trust).timeliness, idle.days, p_rate) AS timeliness
          FROM (SELECT proof.days_between((p_trust).as_of, (p_event).occurred_at) AS days) AS idle) AS known
 CROSS JOIN (SELECT 0.2 * (p_event).weight
                    * power(p_rate, proof.days_between((p_event).occurred_at, (p_trust).as_of)) AS alpha) AS share
 CROSS JOIN proof.trust_samples(p_event) AS sample
$$;
COMMENT ON FUNCTION proof.trust_after IS 'The trust vector after one more piece of weighed evidence: an exponential average with 0.2 of that weight on what had faded until then.';

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
       SET fold_position = nextval('proof.fold_positions'), weight = proof.trust_weight(v_event)
     WHERE ref = p_ref AND fold_position IS NULL
    RETURNING * INTO v_event;
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
           timeliness = v_trust.timeliness, last_updated = v_trust.as_of,
           work_count = work_count + (v_event.kind = 'work')::integer,
           attestation_count = attestation_count + (v_event.kind = 'attestation')::integer,
           dispute_count = dispute_count + (v_event.kind = 'dispute')::integer
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

-- Proofs of useful work: the formula in one place, so that nobody scores by another one.

CREATE FUNCTION proof.usefulness_score(p_work_type text, p_metrics jsonb, p_attested boolean)
RETURNS numeric
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
DECLARE
    v_rule record;
    v_amount numeric;
BEGIN
    SELECT rule.metric, rule.per_point, rule.amount_max
      INTO v_rule
      FROM (VALUES ('compute', 'compute_ms', 100, 3600000),
                   ('memory', 'memory_bytes', 1048576, 1073741824),
                   ('routing', 'routing_hops', 0.1, 100),
                   ('validation', 'validation_checks', 0.2, 10000),
                   ('learning', 'learning_samples', 10, 1000000)) AS rule (work_type, metric, per_point, amount_max)
     WHERE rule.work_type = p_work_type;
    IF v_rule.metric IS NULL THEN
        RAISE EXCEPTION 'work is compute, memory, routing, validation or learning'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'work_type_known';
    END IF;
    IF jsonb_typeof(p_metrics -> v_rule.metric) = 'number' THEN
        v_amount := (p_metrics ->> v_rule.metric)::numeric;
    END IF;
    IF coalesce(v_amount <= 0 OR v_amount > v_rule.amount_max, true) THEN
        RAISE EXCEPTION '% is proven by %, a number above 0 and up to %', p_work_type, v_rule.metric, v_rule.amount_max
            USING ERRCODE = 'check_violation', CONSTRAINT = 'metric_proves_the_work',
                  DETAIL = jsonb_build_object('metric', v_rule.metric, 'amount_max', v_rule.amount_max);
    END IF;
    RETURN least(100, round(v_amount / v_rule.per_point * CASE WHEN p_attested THEN 1.1 ELSE 1 END, 2));
END
$$;
COMMENT ON FUNCTION proof.usefulness_score IS 'Usefulness of one piece of work, 0 to 100, by the metric of its type: a point per 100 ms, per MiB, per 1/10 hop, per 1/5 check, per 10 samples; a tenth more when it is attested. Refused without that metric, or when no work is that large.';

CREATE FUNCTION proof.keep_usefulness()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'proofs of useful work stay as they were scored'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION proof.keep_usefulness IS 'Keeps proofs of useful work as they were written.';

CREATE TRIGGER usefulness_kept BEFORE UPDATE OR DELETE ON proof.usefulness_proofs
    FOR EACH ROW EXECUTE FUNCTION proof.keep_usefulness();

-- Receipts. The one rule of the quorum: everybody who asks, asks here.

CREATE TYPE proof.quorum_count AS (
    passes integer,
    fails integer,
    accepted boolean,
    k smallint,
    m smallint,
    reached boolean,
    verdict proof.verdict
);
COMMENT ON TYPE proof.quorum_count IS 'How far the attestations of a receipt have come; verdict NULL: undecided.';

CREATE FUNCTION proof.quorum(p_receipt uuid)
RETURNS proof.quorum_count
LANGUAGE sql STABLE SET search_path = ''
AS $$
SELECT ROW(counted.passes, counted.fails, counted.accepted, receipt.k, receipt.m, counted.passes >= receipt.k,
           CASE WHEN counted.accepted AND counted.passes >= receipt.k THEN 'pass'
                WHEN counted.fails > receipt.m - receipt.k THEN 'fail'
           END)::proof.quorum_count
  FROM proof.task_receipts AS receipt
  LEFT JOIN proof.receipted_deals AS deal ON deal.receipt_id = receipt.id
 CROSS JOIN LATERAL (
       SELECT count(DISTINCT said.by_did) FILTER (WHERE said.kind = 'AUDIT_PASS' AND seated.sits)::integer AS passes,
              count(DISTINCT said.by_did) FILTER (WHERE said.kind = 'AUDIT_FAIL' AND seated.sits)::integer AS fails,
              coalesce(bool_or(said.kind = 'ACCEPTED' AND said.by_did = deal.client_did), false) AS accepted
         FROM proof.task_attestations AS said
        CROSS JOIN LATERAL (SELECT said.by_did = ANY (receipt.committee) AS sits) AS seated
        WHERE said.receipt_id = receipt.id) AS counted
 WHERE receipt.id = p_receipt
$$;
COMMENT ON FUNCTION proof.quorum IS 'pass: the client accepted and k different members of the committee say that the work passes. fail: more than m - k say that it fails, so k of m seats can no longer pass. NULL: neither yet.';

-- Whoever attests shares the lock on the receipt, whoever ends it wants it alone: no word arrives after the count.
CREATE FUNCTION proof.check_attestation()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_receipt proof.task_receipts;
    v_client text;
BEGIN
    SELECT * INTO v_receipt FROM proof.task_receipts WHERE id = NEW.receipt_id FOR SHARE;
    SELECT client_did INTO v_client FROM proof.receipted_deals WHERE receipt_id = NEW.receipt_id;
    IF v_receipt.id IS NULL THEN
        RAISE EXCEPTION 'there is no receipt %', NEW.receipt_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_known';
    ELSIF NEW.kind = 'ACCEPTED' AND NEW.by_did IS DISTINCT FROM v_client THEN
        RAISE EXCEPTION 'only the client accepts the work'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'work_accepted_by_its_client';
    ELSIF NEW.kind <> 'ACCEPTED' AND (NEW.by_did = ANY (v_receipt.committee)) IS NOT TRUE THEN
        RAISE EXCEPTION 'only members of the committee audit the work'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'work_audited_by_its_committee';
    ELSIF v_receipt.state <> 'pending' THEN
        RAISE EXCEPTION 'the receipt is %', v_receipt.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_pending_to_attest',
                  DETAIL = jsonb_build_object('state', v_receipt.state);
    ELSIF v_receipt.due_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the time for attestations ended at %', v_receipt.due_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'attestation_in_time',
                  DETAIL = jsonb_build_object('due_at', v_receipt.due_at);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.check_attestation IS 'Lets the client accept and the committee audit, while the receipt is pending and in time; nobody else, and nothing later.';

CREATE TRIGGER attestation_checked BEFORE INSERT ON proof.task_attestations
    FOR EACH ROW EXECUTE FUNCTION proof.check_attestation();

CREATE FUNCTION proof.keep_as_attested()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'what was drawn and what was attested stays as it was'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION proof.keep_as_attested IS 'Keeps draws, attestations and the deals behind receipts as they were written.';

CREATE TRIGGER attestations_kept BEFORE UPDATE OR DELETE ON proof.task_attestations
    FOR EACH ROW EXECUTE FUNCTION proof.keep_as_attested();
CREATE TRIGGER draws_kept BEFORE UPDATE OR DELETE ON proof.committee_draws
    FOR EACH ROW EXECUTE FUNCTION proof.keep_as_attested();
CREATE TRIGGER receipted_deals_kept BEFORE UPDATE OR DELETE ON proof.receipted_deals
    FOR EACH ROW EXECUTE FUNCTION proof.keep_as_attested();

-- A trigger and no routine alone: psql has the rights of the application, and must not end a receipt otherwise either.
CREATE FUNCTION proof.keep_receipt()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_verdict proof.verdict;
BEGIN
    IF TG_OP = 'DELETE'
       OR to_jsonb(NEW) - '{state,committee,drawn_at,due_at,ended_at}'::text[]
          <> to_jsonb(OLD) - '{state,committee,drawn_at,due_at,ended_at}'::text[] THEN
        RAISE EXCEPTION 'a receipt stays as it was written'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
    ELSIF OLD.state <> 'pending' THEN
        RAISE EXCEPTION 'the receipt is % already', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_ends_once';
    ELSIF OLD.committee IS NOT NULL
          AND (NEW.committee, NEW.drawn_at, NEW.due_at) IS DISTINCT FROM
              (OLD.committee, OLD.drawn_at, OLD.due_at) THEN
        RAISE EXCEPTION 'the committee was drawn at %', OLD.drawn_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'committee_is_drawn_once';
    ELSIF NEW.state = 'pending' THEN
        RETURN NEW;
    END IF;
    v_verdict := (proof.quorum(NEW.id)).verdict;
    IF NOT (CASE NEW.state
                WHEN 'finalized' THEN coalesce(v_verdict = 'pass', false)
                WHEN 'rejected' THEN coalesce(v_verdict = 'fail', false)
                WHEN 'expired' THEN v_verdict IS NULL AND coalesce(NEW.due_at <= clock_timestamp(), false)
                ELSE NEW.committee IS NULL
            END) THEN
        RAISE EXCEPTION 'the attestations do not make the receipt %', NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_ends_by_its_quorum';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.keep_receipt IS 'Lets a committee be drawn once, and a receipt end once: as its quorum says, when its time is over without one, or because nobody could sit.';

CREATE TRIGGER receipt_kept BEFORE UPDATE OR DELETE ON proof.task_receipts
    FOR EACH ROW EXECUTE FUNCTION proof.keep_receipt();

CREATE FUNCTION proof.seat_committee(
    p_receipt uuid, p_work_hash text, p_previous text, p_seed text, p_candidates jsonb, p_members text[], p_digest text
)
RETURNS SETOF proof.task_receipts
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF (SELECT count(DISTINCT member) FROM unnest(p_members) AS member
         WHERE p_candidates @> jsonb_build_array(jsonb_build_object('agent', member))) <> cardinality(p_members)
       OR EXISTS (SELECT FROM proof.receipted_deals
                   WHERE receipt_id = p_receipt AND client_did = ANY (p_members)) THEN
        RAISE EXCEPTION 'a committee is drawn from its candidates, and no party sits in it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'committee_of_candidates';
    END IF;
    INSERT INTO proof.committee_draws (receipt_id, position, work_hash, previous, seed, candidates, digest)
    SELECT p_receipt, coalesce(max(position), 0) + 1, p_work_hash, p_previous, p_seed, p_candidates, p_digest
      FROM proof.committee_draws;
    RETURN QUERY
    UPDATE proof.task_receipts AS receipt
       SET committee = p_members, drawn_at = clock_timestamp(),
           due_at = clock_timestamp() + make_interval(secs => policy.window_s)
      FROM proof.attestation_rules AS policy
     WHERE receipt.id = p_receipt
    RETURNING receipt.*;
END
$$;
COMMENT ON FUNCTION proof.seat_committee IS 'Write down a draw and give the receipt its committee; the time for attestations begins.';

-- The lock waits for everybody who is attesting; what follows then sees what they said.
CREATE FUNCTION proof.finalise_receipt(p_receipt uuid)
RETURNS SETOF proof.task_receipts
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_receipt proof.task_receipts;
    v_verdict proof.verdict;
BEGIN
    SELECT * INTO v_receipt FROM proof.task_receipts WHERE id = p_receipt FOR NO KEY UPDATE;
    IF v_receipt.id IS NULL THEN
        RAISE EXCEPTION 'there is no receipt %', p_receipt
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_known';
    END IF;
    v_verdict := (proof.quorum(p_receipt)).verdict;
    IF v_receipt.state <> 'pending'
       OR (v_verdict IS NULL AND coalesce(v_receipt.due_at > clock_timestamp(), true)) THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE proof.task_receipts
       SET ended_at = clock_timestamp(),
           state = CASE v_verdict WHEN 'pass' THEN 'finalized' WHEN 'fail' THEN 'rejected' ELSE 'expired'
                   END::proof.receipt_state
     WHERE id = p_receipt
    RETURNING *;
END
$$;
COMMENT ON FUNCTION proof.finalise_receipt IS 'End a receipt that has a verdict or whose time is over; no row when it ended before or is not due.';

CREATE FUNCTION proof.check_stake()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NOT EXISTS (SELECT
                     FROM credits.holds AS hold
                    WHERE hold.id = NEW.hold_id
                      AND hold.account = NEW.agent_did
                      AND hold.purpose_kind = 'stake') THEN
        RAISE EXCEPTION 'a stake is a hold on the account of its own agent'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'stake_is_a_hold_of_its_agent';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.check_stake IS 'Keeps an agent from staking money of somebody else, or money that is held for a deal.';

CREATE TRIGGER stake_checked BEFORE INSERT OR UPDATE ON proof.agent_stakes
    FOR EACH ROW WHEN (NEW.hold_id IS NOT NULL) EXECUTE FUNCTION proof.check_stake();

-- Whoever may not name the score, and the application may not, gets it from the formula.
CREATE FUNCTION proof.score_usefulness()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NEW.usefulness_score IS NULL THEN
        NEW.usefulness_score :=
            proof.usefulness_score(NEW.work_type, NEW.metrics, cardinality(NEW.attestations) > 0);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.score_usefulness IS 'Scores a proof by the formula as it is written.';

CREATE TRIGGER usefulness_scored BEFORE INSERT ON proof.usefulness_proofs
    FOR EACH ROW EXECUTE FUNCTION proof.score_usefulness();

CREATE FUNCTION proof.seconds_until(p_at timestamptz)
RETURNS integer
LANGUAGE sql VOLATILE SET search_path = ''
AS $$ SELECT greatest(1, ceil(extract(epoch FROM p_at - clock_timestamp())))::integer $$;
COMMENT ON FUNCTION proof.seconds_until IS 'Whole seconds to wait until an instant, at least one.';

-- AINP's rules against made-up work. They are looked at after the row is in, so that what can never be taken is
-- refused by its own name before anything is said of waiting, and under a lock of the agent, so that of two proofs at
-- once one sees the other. Time is the database's: the application may not name created_at.
CREATE FUNCTION proof.limit_usefulness()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_apart_s numeric := abs(extract(epoch FROM NEW.worked_at - NEW.created_at));
    v_found record;
BEGIN
    IF v_apart_s > 300 THEN
        RAISE EXCEPTION 'the proof says %, the clock of the house says %', NEW.worked_at, NEW.created_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'useful_work_is_of_now',
                  DETAIL = jsonb_build_object('timestamp', NEW.worked_at, 'clock', NEW.created_at,
                                              'apart_s', ceil(v_apart_s), 'apart_s_max', 300);
    END IF;

    PERFORM pg_advisory_xact_lock(hashtextextended('proof.usefulness ' || NEW.agent_did, 0));

    SELECT count(*) AS proofs, min(latest.created_at) + interval '1 hour' AS free_at
      INTO v_found
      FROM (SELECT other.created_at
              FROM proof.usefulness_proofs AS other
             WHERE other.agent_did = NEW.agent_did
               AND other.id <> NEW.id
               AND other.created_at > NEW.created_at - interval '1 hour'
               AND other.created_at <= NEW.created_at
             ORDER BY other.created_at DESC
             LIMIT 100) AS latest;
    IF v_found.proofs >= 100 THEN
        RAISE EXCEPTION 'an agent proves at most 100 pieces of work in an hour'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hundred_proofs_an_hour',
                  DETAIL = jsonb_build_object('proofs', v_found.proofs, 'proofs_max', 100, 'window_s', 3600,
                                              'retry_after_s', proof.seconds_until(v_found.free_at));
    END IF;

    IF NEW.usefulness_score >= 99 THEN
        SELECT count(*) AS proofs, min(latest.created_at) + interval '1 hour' AS free_at
          INTO v_found
          FROM (SELECT other.created_at
                  FROM proof.usefulness_proofs AS other
                 WHERE other.agent_did = NEW.agent_did
                   AND other.id <> NEW.id
                   AND other.usefulness_score >= 99
                   AND other.created_at > NEW.created_at - interval '1 hour'
                   AND other.created_at <= NEW.created_at
                 ORDER BY other.created_at DESC
                 LIMIT 5) AS latest;
        IF v_found.proofs >= 5 THEN
            RAISE EXCEPTION 'an agent scores 99 or more at most 5 times in an hour'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'five_top_scores_an_hour',
                      DETAIL = jsonb_build_object('score', NEW.usefulness_score, 'top_score', 99,
                                                  'proofs', v_found.proofs, 'proofs_max', 5, 'window_s', 3600,
                                                  'retry_after_s', proof.seconds_until(v_found.free_at));
        END IF;
    END IF;

    -- Of two that wait for the lock, the later one may come first: so the nearest on either side counts.
    SELECT max(other.created_at) AS last_at, max(other.created_at) + interval '5 seconds' AS free_at
      INTO v_found
      FROM proof.usefulness_proofs AS other
     WHERE other.agent_did = NEW.agent_did
       AND other.id <> NEW.id
       AND other.created_at > NEW.created_at - interval '5 seconds'
       AND other.created_at < NEW.created_at + interval '5 seconds';
    IF v_found.last_at IS NOT NULL THEN
        RAISE EXCEPTION 'the last proof of this agent is less than 5 seconds old'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'five_seconds_between_proofs',
                  DETAIL = jsonb_build_object('last_at', v_found.last_at, 'interval_s', 5,
                                              'retry_after_s', proof.seconds_until(v_found.free_at));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION proof.limit_usefulness IS 'Refuses a proof whose time is more than 5 minutes off, the 101st of an agent within an hour, the 6th of 99 points or more within an hour, and one within 5 seconds of another.';

CREATE TRIGGER usefulness_limited AFTER INSERT ON proof.usefulness_proofs
    FOR EACH ROW EXECUTE FUNCTION proof.limit_usefulness();

-- Rewards: a share of the pool once a day, divided by usefulness.

-- The order in which types of work get what rounding leaves over, when their fractions are equal.
CREATE FUNCTION proof.work_type_position(p_work_type text)
RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT array_position('{compute,memory,routing,validation,learning}'::text[], p_work_type) $$;
COMMENT ON FUNCTION proof.work_type_position IS 'Place of a type of work in AINP''s list.';

CREATE FUNCTION proof.divide_rewards(p_offered bigint, p_score_min numeric)
RETURNS TABLE (agent_did text, score numeric, score_sum numeric, units bigint, work_type text, part_units bigint)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN QUERY
    WITH useful AS (
        SELECT agent.did, recent.score, sum(recent.score) OVER () AS score_sum,
               div(p_offered * recent.score, sum(recent.score) OVER ()) AS units
          FROM proof.recent_usefulness AS recent
          JOIN registry.agents AS agent ON agent.did = recent.agent_did
         WHERE agent.retired_at IS NULL
           AND recent.score >= p_score_min
    ), weighed AS (
        SELECT useful.did, useful.score, useful.score_sum, useful.units, by_type.work_type,
               useful.units * by_type.score_sum AS numerator,
               sum(by_type.score_sum) OVER (PARTITION BY useful.did) AS whole
          FROM useful
          JOIN proof.recent_usefulness_by_type AS by_type ON by_type.agent_did = useful.did
    ), floored AS (
        SELECT weighed.*, div(weighed.numerator, weighed.whole) AS part,
               row_number() OVER (
                   PARTITION BY weighed.did
                   ORDER BY mod(weighed.numerator, weighed.whole) DESC, proof.work_type_position(weighed.work_type)
               ) AS place
          FROM weighed
    )
    SELECT floored.did, floored.score, floored.score_sum, floored.units::bigint, floored.work_type,
           (floored.part + CASE WHEN floored.place <= floored.units - sum(floored.part) OVER (PARTITION BY floored.did)
                                THEN 1 ELSE 0 END)::bigint
      FROM floored;
END
$$;
COMMENT ON FUNCTION proof.divide_rewards IS 'Divide units among the agents that are useful enough now, floor(offered x score / sum of scores) each, and what each gets among its types of work by what they scored, remainders to the largest fractions.';

CREATE FUNCTION proof.take_reward_policy()
RETURNS proof.reward_policy
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_policy proof.reward_policy;
BEGIN
    INSERT INTO proof.reward_policy (only_row) VALUES (true) ON CONFLICT (only_row) DO NOTHING;
    SELECT * INTO v_policy FROM proof.reward_policy FOR NO KEY UPDATE;
    RETURN v_policy;
END
$$;
COMMENT ON FUNCTION proof.take_reward_policy IS 'The policy of rewards, locked; on first use its row is written with the defaults.';

-- One at a time: the policy's row is the lock, so that no two epochs offer the same money.
CREATE FUNCTION proof.open_reward_epoch(p_epoch date)
RETURNS boolean
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_policy proof.reward_policy := proof.take_reward_policy();
    v_pool bigint;
    v_offered bigint;
BEGIN
    IF EXISTS (SELECT FROM proof.reward_epochs AS known WHERE known.epoch = p_epoch) THEN
        RETURN false;
    END IF;
    SELECT greatest(0, pool.balance - (SELECT coalesce(sum(promised.units), 0)
                                         FROM proof.rewards AS promised
                                        WHERE promised.movement_id IS NULL))
      INTO v_pool
      FROM credits.system_balances AS pool
     WHERE pool.account = 'system:pool';
    v_offered := div(v_pool::numeric * v_policy.share_bps, 10000);

    WITH parts AS MATERIALIZED (
        SELECT * FROM proof.divide_rewards(v_offered, v_policy.score_min)
    ), shares AS (
        SELECT parts.agent_did, parts.score, parts.units, max(parts.score_sum) AS score_sum,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'compute'), 0) AS compute_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'memory'), 0) AS memory_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'routing'), 0) AS routing_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'validation'), 0) AS validation_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'learning'), 0) AS learning_units
          FROM parts
         GROUP BY parts.agent_did, parts.score, parts.units
    ), opened AS (
        INSERT INTO proof.reward_epochs
               (epoch, share_bps, score_min, pool_units, offered_units, score_sum, agents, reward_units)
        SELECT p_epoch, v_policy.share_bps, v_policy.score_min, v_pool, v_offered,
               coalesce(max(shares.score_sum), 0), count(*) FILTER (WHERE shares.units > 0),
               coalesce(sum(shares.units), 0)
          FROM shares
    )
    INSERT INTO proof.rewards (epoch, agent_did, score, units, compute_units, memory_units, routing_units,
                               validation_units, learning_units)
    SELECT p_epoch, shares.agent_did, shares.score, shares.units, shares.compute_units, shares.memory_units,
           shares.routing_units, shares.validation_units, shares.learning_units
      FROM shares
     WHERE shares.units > 0;
    RETURN true;
END
$$;
COMMENT ON FUNCTION proof.open_reward_epoch IS 'Fix what the epoch of a UTC day offers and who gets what of it, once: false when it was fixed before. Pays nothing yet.';

CREATE FUNCTION proof.require_whole_epoch(p_epoch date)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF EXISTS (SELECT
                 FROM proof.reward_epochs AS named
                CROSS JOIN LATERAL (SELECT count(*) AS agents, coalesce(sum(reward.units), 0) AS units
                                      FROM proof.rewards AS reward
                                     WHERE reward.epoch = named.epoch) AS found
                WHERE named.epoch = p_epoch
                  AND (named.agents, named.reward_units) IS DISTINCT FROM (found.agents, found.units)) THEN
        RAISE EXCEPTION 'the rewards of % are not what its epoch says', p_epoch
            USING ERRCODE = 'check_violation', CONSTRAINT = 'epoch_is_the_sum_of_its_rewards';
    END IF;
END
$$;
COMMENT ON FUNCTION proof.require_whole_epoch IS 'Refuses an epoch whose number and sum are not those of its rewards.';

CREATE FUNCTION proof.check_opened_epoch()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM proof.require_whole_epoch(NEW.epoch);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION proof.check_opened_epoch IS 'At the commit, an epoch is the sum of its rewards.';

CREATE CONSTRAINT TRIGGER epoch_is_whole AFTER INSERT ON proof.reward_epochs
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION proof.check_opened_epoch();

CREATE FUNCTION proof.check_added_rewards()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM proof.require_whole_epoch(touched.epoch) FROM (SELECT DISTINCT added.epoch FROM added) AS touched;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION proof.check_added_rewards IS 'No reward joins an epoch that has all of its own.';

CREATE TRIGGER rewards_are_whole AFTER INSERT ON proof.rewards
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION proof.check_added_rewards();

CREATE FUNCTION proof.keep_epoch()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.closed_at IS NOT NULL OR to_jsonb(NEW) - 'closed_at' <> to_jsonb(OLD) - 'closed_at' THEN
        RAISE EXCEPTION 'an epoch stays as it was opened, and is closed once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rewards_stay_as_fixed';
    ELSIF EXISTS (SELECT FROM proof.rewards AS unpaid WHERE unpaid.epoch = NEW.epoch AND unpaid.movement_id IS NULL) THEN
        RAISE EXCEPTION 'rewards of % wait to be paid', NEW.epoch
            USING ERRCODE = 'check_violation', CONSTRAINT = 'epoch_closes_when_all_is_paid';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.keep_epoch IS 'Lets an epoch be closed when all its rewards are paid, and nothing else.';

CREATE TRIGGER epoch_kept BEFORE UPDATE OR DELETE ON proof.reward_epochs
    FOR EACH ROW EXECUTE FUNCTION proof.keep_epoch();

CREATE FUNCTION proof.keep_reward()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.movement_id IS NOT NULL
       OR to_jsonb(NEW) - '{movement_id,paid_at}'::text[] <> to_jsonb(OLD) - '{movement_id,paid_at}'::text[] THEN
        RAISE EXCEPTION 'a reward stays as it was fixed, and is paid once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rewards_stay_as_fixed';
    ELSIF NEW.movement_id IS NOT NULL
       AND NEW.units IS DISTINCT FROM (SELECT sum(posting.amount)
                                         FROM credits.postings AS posting
                                        WHERE posting.transaction_id = NEW.movement_id
                                          AND posting.account = NEW.agent_did) THEN
        RAISE EXCEPTION 'movement % does not pay % units to %', NEW.movement_id, NEW.units, NEW.agent_did
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reward_is_what_its_movement_paid';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.keep_reward IS 'Lets a reward be marked as paid by the movement that paid it, once, and nothing else.';

CREATE TRIGGER reward_kept BEFORE UPDATE OR DELETE ON proof.rewards
    FOR EACH ROW EXECUTE FUNCTION proof.keep_reward();
