-- Everything below is worked out from the events alone, without the state that folding keeps: window functions and
-- plain sums instead of running updates.

CREATE VIEW proof.reputation_weights WITH (security_invoker) AS
WITH ordered AS (
    SELECT event.*,
           row_number() OVER (PARTITION BY event.payer_did, event.agent_did ORDER BY event.fold_position) AS ordinal
      FROM proof.reputation_events AS event
     WHERE event.fold_position IS NOT NULL
),
offered AS (
    SELECT ordered.*,
           proof.capacity_window(rules, ordered.settled_on) AS capacity_window,
           proof.offered_weight(rules, ordered.asset, ordered.fee, ordered.ordinal, ordered.payer_related) AS offer,
           rules.capacity
      FROM ordered
     CROSS JOIN proof.reputation_policies AS rules
     WHERE rules.adopted
),
filled AS (
    SELECT offered.*,
           sum(offered.offer) OVER (PARTITION BY offered.payer_did, offered.capacity_window, offered.payer_verified
                                        ORDER BY offered.fold_position) AS offers
      FROM offered
)
SELECT filled.ref, filled.agent_did, filled.payer_did, filled.payer_verified, filled.outcome, filled.settled_at,
       filled.settled_on, filled.speed_ms, filled.update_trigger, filled.fold_position, filled.ordinal,
       filled.capacity_window,
       CASE WHEN filled.payer_verified
            THEN least(filled.capacity, filled.offers) - least(filled.capacity, filled.offers - filled.offer)
            ELSE filled.offer
       END AS weight
  FROM filled;
COMMENT ON VIEW proof.reputation_weights IS 'What each counted settlement weighs, worked out from all events in the order in which they were counted.';

CREATE VIEW proof.reputation_recomputed WITH (security_invoker) AS
SELECT aged.agent_did, aged.as_of,
       coalesce(sum(aged.success) FILTER (WHERE aged.payer_verified), 0) AS success_verified,
       coalesce(sum(aged.failure) FILTER (WHERE aged.payer_verified), 0) AS failure_verified,
       coalesce(sum(aged.success) FILTER (WHERE NOT aged.payer_verified), 0) AS success_unverified,
       coalesce(sum(aged.failure) FILTER (WHERE NOT aged.payer_verified), 0) AS failure_unverified,
       coalesce(sum(aged.recent_success) FILTER (WHERE aged.payer_verified), 0) AS recent_success_verified,
       coalesce(sum(aged.recent_failure) FILTER (WHERE aged.payer_verified), 0) AS recent_failure_verified,
       coalesce(sum(aged.recent_success) FILTER (WHERE NOT aged.payer_verified), 0) AS recent_success_unverified,
       coalesce(sum(aged.recent_failure) FILTER (WHERE NOT aged.payer_verified), 0) AS recent_failure_unverified,
       count(*) AS settlements,
       sum(aged.outcome) AS outcomes,
       count(DISTINCT aged.payer_did) AS payers,
       count(DISTINCT aged.payer_did) FILTER (WHERE aged.payer_verified) AS verified_payers,
       count(aged.speed_ms) AS timed,
       coalesce(sum(aged.speed_ms), 0) AS speed_ms_sum,
       min(aged.settled_at) AS first_settled_at,
       max(aged.settled_at) AS last_settled_at,
       (array_agg(aged.update_trigger ORDER BY aged.fold_position DESC))[1] AS update_trigger
  FROM (SELECT weighed.*,
               weighed.weight * weighed.outcome * power(rules.rho, weighed.as_of - weighed.settled_on) AS success,
               weighed.weight * (1 - weighed.outcome) * power(rules.rho, weighed.as_of - weighed.settled_on) AS failure,
               weighed.weight * weighed.outcome
                   * power(rules.rho_recent, weighed.as_of - weighed.settled_on) AS recent_success,
               weighed.weight * (1 - weighed.outcome)
                   * power(rules.rho_recent, weighed.as_of - weighed.settled_on) AS recent_failure
          FROM (SELECT event.*, max(event.settled_on) OVER (PARTITION BY event.agent_did) AS as_of
                  FROM proof.reputation_weights AS event) AS weighed
         CROSS JOIN proof.reputation_policies AS rules
         WHERE rules.adopted) AS aged
 GROUP BY aged.agent_did, aged.as_of;
COMMENT ON VIEW proof.reputation_recomputed IS 'The state of every agent, worked out from all events: what proof.reputation_state must say.';

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

CREATE VIEW proof.reputations WITH (security_invoker) AS
SELECT published.agent_did, published.score, published.update_trigger, published.last_updated, published.metadata,
       published.policy_id, published.exact, published.scored_on,
       jsonb_build_object(
           'success', standing.success, 'failure', standing.failure, 'anchor', standing.anchor,
           'mean', standing.mean, 'lower_bound', standing.lower_bound, 'recent', standing.recent,
           'uncertainty', standing.uncertainty, 'events', state.settlements, 'payers', state.payers,
           'verified_payers', state.verified_payers, 'first_settled_at', state.first_settled_at,
           'last_settled_at', state.last_settled_at
       ) AS explanation
  FROM proof.reputation_scores AS published
  JOIN proof.reputation_state AS state ON state.agent_did = published.agent_did
  JOIN proof.reputation_policies AS rules ON rules.id = published.policy_id
 CROSS JOIN LATERAL proof.standing_on(rules, state, published.scored_on) AS standing;
COMMENT ON VIEW proof.reputations IS 'Published reputations, each with the steps that lead to it.';

-- The one place that says which proofs an average stands on.
CREATE VIEW proof.recent_usefulness WITH (security_invoker) AS
SELECT recent.agent_did, round(avg(recent.usefulness_score), 2) AS score, count(*) AS proofs
  FROM proof.usefulness_proofs AS recent
 WHERE recent.created_at > now() - interval '30 days'
 GROUP BY recent.agent_did;
COMMENT ON VIEW proof.recent_usefulness IS 'Plain mean of the proofs of each agent over the last 30 days; an agent without any is not listed and counts 0. Source: AINP.';

CREATE VIEW proof.live_stakes WITH (security_invoker) AS
SELECT stake.agent_did, hold.amount, hold.id AS hold_id, hold.expires_at, stake.unbonding_until, stake.generation
  FROM proof.agent_stakes AS stake
  JOIN credits.holds AS hold ON hold.id = stake.hold_id AND hold.state = 'held';
COMMENT ON VIEW proof.live_stakes IS 'Stakes whose money is held now, amounts in units of 1/1000 credit.';

-- The numbers of the house stand here, not in a row: a table that is empty can be taken back without losing anything.
CREATE VIEW proof.attestation_rules WITH (security_invoker) AS
SELECT changed.k, changed.m, changed.window_s, changed.min_trust, changed.stake_min, changed.reward_units,
       changed.slash_bps, changed.unbonding_s
  FROM proof.attestation_policy AS changed
UNION ALL
SELECT 3::smallint, 5::smallint, 86400, 0.5::double precision, 10000::bigint, 500::bigint, 2000, 3600
 WHERE NOT EXISTS (SELECT FROM proof.attestation_policy);
COMMENT ON VIEW proof.attestation_rules IS 'How settled work is attested now: as an operator says, else as the house began.';

CREATE VIEW proof.recent_usefulness_by_type WITH (security_invoker) AS
SELECT recent.agent_did, recent.work_type, round(avg(recent.usefulness_score), 2) AS score,
       sum(recent.usefulness_score) AS score_sum, count(*) AS proofs, max(recent.usefulness_score) AS best_score,
       (array_agg(recent.id ORDER BY recent.usefulness_score DESC, recent.id))[1] AS best_proof
  FROM proof.usefulness_proofs AS recent
 WHERE recent.created_at > now() - interval '30 days'
 GROUP BY recent.agent_did, recent.work_type;
COMMENT ON VIEW proof.recent_usefulness_by_type IS 'The same 30 days by type of work: mean and sum of the scores, how many, and the best of them.';
