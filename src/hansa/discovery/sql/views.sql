-- What the index must say, worked out from the contexts below. The routines write exactly these rows, and
-- discovery.differences compares with them, so a column is defined in one place.

CREATE VIEW discovery.profiles_due WITH (security_invoker) AS
SELECT agent.did, agent.agent_id::text AS slug, agent.name::text AS name, agent.tagline::text AS tagline,
       claimed.skills, coalesce(card.skills, '{}') AS tags, entered.domains,
       discovery.search_document(agent.name, claimed.skills || card.skills, agent.tagline,
                                 concat_ws(' ', agent.description, described.skills)) AS document,
       pricing.asset AS price_asset,
       CASE WHEN coalesce(pricing.task_based_min, pricing.task_based_max) IS NOT NULL -- least() passes over NULL
            THEN least(coalesce(pricing.task_based_min, pricing.task_based_max), 9007199254740991) END AS price_min,
       agent.status, agent.verified, agent.retired_at IS NULL AS listed
  FROM registry.agents AS agent
  LEFT JOIN registry.agent_capabilities AS card ON card.agent_did = agent.did AND card.version = agent.version
  LEFT JOIN registry.agent_cards AS signed ON signed.did = agent.did AND signed.version = agent.version
  LEFT JOIN registry.agent_pricing AS pricing ON pricing.agent_id = agent.id
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(skill.name::text ORDER BY own.id), '{}') AS skills
         FROM registry.agent_skills AS own
         JOIN registry.skills AS skill ON skill.id = own.skill_id
        WHERE own.agent_id = agent.id) AS claimed
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(own.domain_id ORDER BY own.is_primary DESC, own.domain_id), '{}') AS domains
         FROM registry.agent_domains AS own
        WHERE own.agent_id = agent.id) AS entered
 CROSS JOIN LATERAL (
       SELECT string_agg(text.value #>> '{}', ' ') AS skills
         FROM jsonb_path_query(signed.raw::jsonb, '$.skills[*].description') AS text (value)) AS described;
COMMENT ON VIEW discovery.profiles_due IS 'What the index must say about each agent by its current card.';

-- Without evidence the lower bound is the one that knowing nothing gives, so a newcomer stands above an agent whose
-- work is known to be bad. Trust needs no such rule: the neutral 0.5 is its default.
CREATE VIEW discovery.standings_due WITH (security_invoker) AS
SELECT agent.did, agent.usefulness_score_cached AS usefulness, coalesce(published.score, 0.00) AS reputation,
       coalesce(standing.lower_bound, 0.5 - 0.5 / sqrt(policy.prior + 1)) AS lower_bound,
       coalesce(trust.score, 0.5) AS trust, coalesce(trust.decay_rate, 1) AS trust_decay_rate,
       trust.last_updated AS trust_as_of, coalesce(state.settlements, 0) AS settlements, state.last_settled_at
  FROM registry.agents AS agent
 CROSS JOIN proof.adopted_policy() AS policy
  LEFT JOIN proof.reputation_scores AS published ON published.agent_did = agent.did
  LEFT JOIN proof.reputation_state AS state ON state.agent_did = agent.did
  LEFT JOIN proof.trust_scores AS trust ON trust.agent_did = agent.did
  LEFT JOIN LATERAL proof.standing_on(policy, state, state.as_of) AS standing ON state.agent_did IS NOT NULL;
COMMENT ON VIEW discovery.standings_due IS 'What the index must say about each agent by its settled work.';

CREATE VIEW discovery.recent_deals_due WITH (security_invoker) AS
SELECT settlement.negotiation_id, deal.responder_did AS agent_did, settlement.amount, settlement.settled_at
  FROM negotiation.settlements AS settlement
  JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
 ORDER BY settlement.settled_at DESC, settlement.negotiation_id DESC
 LIMIT discovery.recent_deals_max();
COMMENT ON VIEW discovery.recent_deals_due IS 'The newest deals by what was settled.';

CREATE VIEW discovery.differences WITH (security_invoker) AS
SELECT 'profile' AS kind, coalesce(due.did, known.did) AS subject,
       CASE WHEN known.did IS NULL THEN 'is not in the index'
            WHEN due.did IS NULL THEN 'is in the index and not in the registry'
            ELSE wrong.finding
       END AS finding
  FROM discovery.agents AS known
  FULL JOIN discovery.profiles_due AS due ON due.did = known.did
 CROSS JOIN LATERAL (
       SELECT string_agg(format('%s is %s, due is %s', fact.key, to_jsonb(known) -> fact.key, fact.value), '; ')
              AS finding
         FROM jsonb_each(to_jsonb(due)) AS fact
        WHERE fact.value IS DISTINCT FROM to_jsonb(known) -> fact.key) AS wrong
 WHERE known.did IS NULL OR due.did IS NULL OR wrong.finding IS NOT NULL
UNION ALL
SELECT 'standing', known.did, wrong.finding
  FROM discovery.agents AS known
  JOIN discovery.standings_due AS due ON due.did = known.did
 CROSS JOIN LATERAL (
       SELECT string_agg(format('%s is %s, due is %s', fact.key, to_jsonb(known) -> fact.key, fact.value), '; ')
              AS finding
         FROM jsonb_each(to_jsonb(due)) AS fact
        WHERE fact.value IS DISTINCT FROM to_jsonb(known) -> fact.key) AS wrong
 WHERE wrong.finding IS NOT NULL
UNION ALL
SELECT 'deal', due.negotiation_id::text, 'is not among the recent deals'
  FROM discovery.recent_deals_due AS due
 WHERE NOT EXISTS (SELECT FROM discovery.recent_deals AS known WHERE known.negotiation_id = due.negotiation_id)
UNION ALL
SELECT 'deal', known.negotiation_id::text,
       format('%s got %s at %s: nothing was settled like this', known.agent_did, known.amount, known.settled_at)
  FROM discovery.recent_deals AS known
 WHERE NOT EXISTS (SELECT
                     FROM negotiation.settlements AS settlement
                     JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
                    WHERE settlement.negotiation_id = known.negotiation_id
                      AND deal.responder_did = known.agent_did
                      AND settlement.amount = known.amount
                      AND settlement.settled_at = known.settled_at);
COMMENT ON VIEW discovery.differences IS 'Every way in which the index or the recent deals differ from the contexts below; empty once all events are delivered.';
