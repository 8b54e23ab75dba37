CREATE TYPE proof.trust_evidence AS ENUM ('work', 'attestation', 'dispute');

-- What is on record is settled work, counted with full weight: both are said by the defaults, so no row is rewritten and
-- every vector stays what its evidence gives. From here on the weight is set when a piece is counted.
ALTER TABLE proof.trust_events
    ADD COLUMN kind proof.trust_evidence NOT NULL DEFAULT 'work',
    ADD COLUMN work_ref text CONSTRAINT evidence_about_settled_work REFERENCES proof.reputation_events (ref),
    ADD COLUMN reliability double precision,
    ADD COLUMN honesty double precision,
    ADD COLUMN competence double precision,
    ADD COLUMN weight double precision DEFAULT 1,
    ALTER COLUMN outcome DROP NOT NULL;
ALTER TABLE proof.trust_events
    ALTER COLUMN weight DROP DEFAULT,
    ADD CONSTRAINT outcome_belongs_to_work CHECK (
        CASE kind WHEN 'work' THEN outcome IS NOT NULL AND num_nonnulls(work_ref, reliability) = 0
                  ELSE num_nonnulls(outcome, started_at, due_at, delivered_at) = 0 END
    ),
    ADD CONSTRAINT evidence_says_something CHECK (kind = 'work' OR num_nonnulls(reliability, honesty, competence) > 0),
    ADD CONSTRAINT trust_samples_between_0_and_1 CHECK (
        reliability BETWEEN 0 AND 1 AND honesty BETWEEN 0 AND 1 AND competence BETWEEN 0 AND 1
    ),
    ADD CONSTRAINT evidence_weighs_0_to_1 CHECK (weight BETWEEN 0 AND 1),
    ADD CONSTRAINT counted_evidence_has_its_weight CHECK (fold_position IS NULL OR weight IS NOT NULL);
COMMENT ON TABLE proof.trust_events IS 'The evidence behind trust: how each piece of work ended and how long it took, what attesters found, how disputes were decided. Append only.';
COMMENT ON COLUMN proof.trust_events.ref IS 'What was settled, attested or decided, "kind:id"; it counts once.';
COMMENT ON COLUMN proof.trust_events.kind IS 'work: somebody paid for it. attestation: somebody entitled to it examined the work. dispute: it was decided.';
COMMENT ON COLUMN proof.trust_events.work_ref IS 'The settled work that an attestation or dispute is about: it weighs what that work cost. NULL: about no single piece of work, full weight; of work itself always NULL.';
COMMENT ON COLUMN proof.trust_events.outcome IS 'How the work ended; NULL: the evidence is not of work.';
COMMENT ON COLUMN proof.trust_events.reliability IS 'What an attestation or dispute says about reliability, 0 to 1; NULL: nothing. Work says it by outcome and lateness.';
COMMENT ON COLUMN proof.trust_events.honesty IS 'What the evidence says about honesty, 0 to 1; NULL: nothing.';
COMMENT ON COLUMN proof.trust_events.competence IS 'What the evidence says about competence, 0 to 1; NULL: nothing.';
COMMENT ON COLUMN proof.trust_events.weight IS 'How far the evidence counts, 0 to 1, set once when it is counted; NULL: not counted yet.';
GRANT UPDATE (weight) ON proof.trust_events TO hansa_app;

-- What moved a public number is public; queries show the references of private deals to the agent itself alone.
DROP POLICY agents_see_their_trust_evidence ON proof.trust_events;
CREATE POLICY trust_evidence_is_open ON proof.trust_events FOR SELECT USING (true);

-- In this transaction, not beside it: the way back must be able to refuse before anything is gone.
CREATE INDEX reputation_events_by_pair ON proof.reputation_events (payer_did, agent_did);

ALTER TABLE proof.trust_scores
    ADD COLUMN work_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN attestation_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN dispute_count bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN proof.trust_scores.work_count IS 'Pieces of settled work counted, whatever they weigh; the same holds for attestations and disputes.';
UPDATE proof.trust_scores AS known
   SET work_count = counted.pieces
  FROM (SELECT agent_did, count(*) AS pieces
          FROM proof.trust_events
         WHERE fold_position IS NOT NULL
         GROUP BY agent_did) AS counted
 WHERE counted.agent_did = known.agent_did;

CREATE OR REPLACE FUNCTION proof.keep_evidence()
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
CREATE OR REPLACE FUNCTION proof.trust_after(p_trust proof.trust_vector, p_event proof.trust_events, p_rate double precision)
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

DROP VIEW proof.differences;
DROP VIEW proof.trust_recomputed;
CREATE VIEW proof.trust_recomputed WITH (security_invoker) AS
SELECT replayed.agent_did, (replayed.trust).reliability, (replayed.trust).honesty, (replayed.trust).competence,
       (replayed.trust).timeliness, (replayed.trust).as_of, replayed.work_count, replayed.attestation_count,
       replayed.dispute_count
  FROM (SELECT event.agent_did, proof.trust_replayed(event, known.decay_rate ORDER BY event.fold_position) AS trust,
               count(*) FILTER (WHERE event.kind = 'work') AS work_count,
               count(*) FILTER (WHERE event.kind = 'attestation') AS attestation_count,
               count(*) FILTER (WHERE event.kind = 'dispute') AS dispute_count
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
       format('kept %s %s %s %s as of %s from %s + %s + %s, events say %s %s %s %s as of %s from %s + %s + %s',
              kept.reliability, kept.honesty, kept.competence, kept.timeliness, kept.last_updated, kept.work_count,
              kept.attestation_count, kept.dispute_count, due.reliability, due.honesty, due.competence, due.timeliness,
              due.as_of, due.work_count, due.attestation_count, due.dispute_count)
  FROM proof.trust_scores AS kept
  FULL JOIN proof.trust_recomputed AS due ON due.agent_did = kept.agent_did
 WHERE (kept.last_updated, kept.work_count, kept.attestation_count, kept.dispute_count)
       IS DISTINCT FROM (due.as_of, due.work_count, due.attestation_count, due.dispute_count)
    OR greatest(abs(kept.reliability - due.reliability), abs(kept.honesty - due.honesty),
                abs(kept.competence - due.competence), abs(kept.timeliness - due.timeliness)) > 1e-9;
COMMENT ON VIEW proof.differences IS 'Every way in which reputation and trust differ from what all evidence gives when it is counted again; empty when they are right.';

GRANT SELECT ON proof.trust_recomputed TO hansa_app;
GRANT SELECT ON proof.differences TO hansa_app;
