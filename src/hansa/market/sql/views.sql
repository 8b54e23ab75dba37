CREATE VIEW market.leaderboard_deeds WITH (security_invoker) AS
SELECT key.agent_id, key.domain_id, key.ended_at AS at,
       (key.status = 'completed')::integer AS completed, (key.status = 'failed')::integer AS failed,
       0 AS stars, 0 AS reviews, 0::bigint AS earned
  FROM market.task_keys AS key
 WHERE key.status IN ('completed', 'failed')
UNION ALL
SELECT review.agent_id, key.domain_id, review.created_at, 0, 0, review.rating, 1, 0
  FROM market.reviews AS review
  JOIN market.task_keys AS key ON key.id = review.task_id
 WHERE review.withdrawn_at IS NULL
UNION ALL
SELECT agent.id, key.domain_id, settlement.settled_at, 0, 0, 0, 0, settlement.agent_units
  FROM negotiation.settlements AS settlement
  JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
  JOIN registry.agents AS agent ON agent.did = deal.responder_did
  LEFT JOIN market.task_keys AS key ON key.negotiation_id = deal.id;
COMMENT ON VIEW market.leaderboard_deeds IS 'Everything that counts for a leaderboard, one row per deed with its time: tasks that ended, reviews, and the agent''s shares of settled deals. A deal without a task has no domain.';

CREATE VIEW market.leaderboard_standings WITH (security_invoker) AS
SELECT scored.period, scored.domain_id, scored.agent_id, scored.score,
       rank() OVER (PARTITION BY scored.period, scored.domain_id ORDER BY scored.score DESC)::integer AS rank,
       count(*) OVER (PARTITION BY scored.period, scored.domain_id)::integer AS total_agents_in_domain
  FROM (SELECT params.period, deed.domain_id, deed.agent_id,
               market.lb_score(sum(deed.completed), sum(deed.failed), sum(deed.stars), sum(deed.reviews),
                               sum(deed.earned), min(params.tasks_reference), min(params.earnings_reference)) AS score
          FROM market.leaderboard_params AS params
          JOIN market.leaderboard_deeds AS deed ON params.looks_back IS NULL OR deed.at > now() - params.looks_back
          JOIN registry.agents AS agent ON agent.id = deed.agent_id
         WHERE params.version = (SELECT max(latest.version) FROM market.leaderboard_params AS latest)
           AND agent.retired_at IS NULL
         GROUP BY GROUPING SETS ((params.period, deed.agent_id, deed.domain_id), (params.period, deed.agent_id))
        HAVING grouping(deed.domain_id) = 1 OR deed.domain_id IS NOT NULL) AS scored;
COMMENT ON VIEW market.leaderboard_standings IS 'What all leaderboards should show at this moment, counted from the deeds of agents that are not retired; domain NULL is the board over all domains.';

CREATE VIEW market.recounted_stats WITH (security_invoker) AS
SELECT agent.id AS agent_id, task.tasks_completed, task.tasks_failed, task.responses, task.response_s,
       deal.total_earnings, deal.hire_count, review.review_count, review.stars,
       market.calculate_agent_success_rate(agent.id) AS success_rate,
       coalesce(review.rating, 0) AS rating
  FROM registry.agents AS agent
 CROSS JOIN LATERAL (
       SELECT (count(*) FILTER (WHERE key.status = 'completed'))::integer AS tasks_completed,
              (count(*) FILTER (WHERE key.status = 'failed'))::integer AS tasks_failed,
              count(key.started_at)::integer AS responses,
              coalesce(sum(market.response_seconds(key.created_at, key.started_at)), 0)::bigint AS response_s
         FROM market.task_keys AS key
        WHERE key.agent_id = agent.id) AS task
 CROSS JOIN LATERAL (
       SELECT count(*)::integer AS hire_count, coalesce(sum(settlement.agent_units), 0)::bigint AS total_earnings
         FROM negotiation.settlements AS settlement
         JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
        WHERE deal.responder_did = agent.did) AS deal
 CROSS JOIN LATERAL (
       SELECT count(*)::integer AS review_count, coalesce(sum(review.rating), 0)::bigint AS stars,
              round(avg(review.rating), 2) AS rating
         FROM market.reviews AS review
        WHERE review.agent_id = agent.id
          AND review.withdrawn_at IS NULL) AS review;
COMMENT ON VIEW market.recounted_stats IS 'The numbers of agent_stats counted again from tasks, deals and reviews. Hires and earnings of agent_stats follow by a reaction, a moment after the settlement.';

CREATE VIEW market.v_agent_leaderboard WITH (security_invoker) AS
SELECT agent.id, agent.did, agent.agent_id, agent.name, agent.avatar_url,
       coalesce(stats.tasks_completed, 0) AS tasks_completed,
       coalesce(stats.success_rate, 0) AS success_rate,
       coalesce(stats.rating, 0) AS rating,
       coalesce(stats.review_count, 0) AS review_count,
       ARRAY(SELECT domain.name::text
               FROM registry.agent_domains AS membership
               JOIN registry.domains AS domain ON domain.id = membership.domain_id
              WHERE membership.agent_id = agent.id
              ORDER BY membership.is_primary DESC, domain.name) AS domains,
       ranking.period, ranking.domain_id, ranking.rank, ranking.previous_rank, ranking.total_agents_in_domain,
       ranking.score, agent.created_at AS joined_at
  FROM market.leaderboard_rankings AS ranking
  JOIN registry.agents AS agent ON agent.id = ranking.agent_id
  LEFT JOIN market.agent_stats AS stats ON stats.agent_id = agent.id;
COMMENT ON VIEW market.v_agent_leaderboard IS 'The published boards with what people want to see of each agent: one row per agent and board. Statistics are lifetime numbers on every board. Source: AMOCA.';

CREATE VIEW market.v_agent_profiles WITH (security_invoker) AS
SELECT agent.id, agent.did, agent.agent_id, agent.name, agent.tagline, agent.description, agent.avatar_url,
       agent.cover_image_url, agent.wallet_address, agent.status, agent.verified, agent.created_at, agent.updated_at,
       agent.last_active, agent.creator_user_id, agent.retired_at,
       pricing.asset, pricing.currency, pricing.hourly_rate, pricing.task_based_min, pricing.task_based_max,
       pricing.subscription_monthly,
       coalesce(stats.tasks_completed, 0) AS tasks_completed,
       coalesce(stats.tasks_failed, 0) AS tasks_failed,
       coalesce(stats.success_rate, 0) AS success_rate,
       stats.avg_response_time_minutes,
       coalesce(stats.total_earnings, 0) AS total_earnings,
       coalesce(stats.rating, 0) AS rating,
       coalesce(stats.avg_rating, 0) AS avg_rating,
       coalesce(stats.review_count, 0) AS review_count,
       stats.bayesian_rating,
       coalesce(stats.hire_count, 0) AS hire_count
  FROM registry.agents AS agent
  LEFT JOIN registry.agent_pricing AS pricing ON pricing.agent_id = agent.id
  LEFT JOIN market.agent_stats AS stats ON stats.agent_id = agent.id;
COMMENT ON VIEW market.v_agent_profiles IS 'Each agent with its prices (smallest unit of asset) and statistics in one row. Source: AMOCA.';
