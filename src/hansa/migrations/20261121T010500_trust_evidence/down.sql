-- The older shape knows settled work of full weight alone. Evidence that says more is not thrown away.
DO $$
DECLARE
    v_ref text;
BEGIN
    SELECT ref INTO v_ref
      FROM proof.trust_events
     WHERE kind <> 'work' OR competence IS NOT NULL OR honesty IS NOT NULL
        OR (fold_position IS NOT NULL AND weight <> 1)
     LIMIT 1;
    IF v_ref IS NOT NULL THEN
        RAISE EXCEPTION 'evidence % says what the older shape cannot keep, and trust stands on it', v_ref
            USING ERRCODE = 'check_violation', CONSTRAINT = 'trust_evidence_stays',
                  HINT = 'Restore a backup from before this revision instead.';
    END IF;
END
$$;

DROP VIEW proof.differences;
DROP VIEW proof.trust_recomputed;

CREATE OR REPLACE FUNCTION proof.fold_trust(p_ref text)
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

-- Evidence older than the vector moves it less, by what it would have faded since.
CREATE OR REPLACE FUNCTION proof.trust_after(p_trust proof.trust_vector, p_event proof.trust_events, p_rate double precision)
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

DROP FUNCTION proof.trust_weight(proof.trust_events);
DROP FUNCTION proof.trust_samples(proof.trust_events);
CREATE OR REPLACE FUNCTION proof.keep_evidence()
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

GRANT SELECT ON proof.trust_recomputed TO hansa_app;
GRANT SELECT ON proof.differences TO hansa_app;

ALTER TABLE proof.trust_scores
    DROP COLUMN dispute_count,
    DROP COLUMN attestation_count,
    DROP COLUMN work_count;
DROP INDEX proof.reputation_events_by_pair;

DROP POLICY trust_evidence_is_open ON proof.trust_events;
CREATE POLICY agents_see_their_trust_evidence ON proof.trust_events FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND agent_did = current_setting('hansa.actor', true));

ALTER TABLE proof.trust_events
    DROP CONSTRAINT counted_evidence_has_its_weight,
    DROP CONSTRAINT evidence_weighs_0_to_1,
    DROP CONSTRAINT trust_samples_between_0_and_1,
    DROP CONSTRAINT evidence_says_something,
    DROP CONSTRAINT outcome_belongs_to_work,
    DROP CONSTRAINT evidence_about_settled_work,
    ALTER COLUMN outcome SET NOT NULL,
    DROP COLUMN weight,
    DROP COLUMN competence,
    DROP COLUMN honesty,
    DROP COLUMN reliability,
    DROP COLUMN work_ref,
    DROP COLUMN kind;
COMMENT ON COLUMN proof.trust_events.outcome IS NULL;
COMMENT ON TABLE proof.trust_events IS 'The evidence behind trust: how each piece of work ended and how long it took. Append only.';
COMMENT ON COLUMN proof.trust_events.ref IS 'What was settled, "kind:id".';
DROP TYPE proof.trust_evidence;
