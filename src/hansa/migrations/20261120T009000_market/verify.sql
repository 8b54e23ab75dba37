SELECT 'tasks has the columns of AMOCA' AS "check", count(*) = 19 AS ok
  FROM information_schema.columns
 WHERE table_schema = 'market'
   AND table_name = 'tasks'
   AND column_name IN ('id', 'user_id', 'agent_id', 'title', 'description', 'task_type', 'status', 'priority', 'budget',
                       'payment_type', 'started_at', 'completed_at', 'due_date', 'estimated_hours', 'actual_hours',
                       'metadata', 'created_at', 'updated_at', 'domain_id');
SELECT 'its functions and triggers have their names' AS "check", count(*) = 5 AS ok
  FROM pg_proc
 WHERE pronamespace = 'market'::regnamespace
   AND proname IN ('update_updated_at_column', 'update_agent_stats_on_task_completion', 'update_agent_rating_on_review',
                   'calculate_agent_success_rate', 'update_leaderboard_rankings');
SELECT 'a completed task that is not paid is refused at the commit' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'completed_tasks_are_paid'
   AND contype = 'f'
   AND condeferred
   AND convalidated;
SELECT 'a review is of a paid task, by its buyer, once, and never by the creator' AS "check", count(*) = 3 AS ok
  FROM pg_constraint
 WHERE conrelid = 'market.reviews'::regclass
   AND conname IN ('reviewed_task_is_paid', 'review_by_the_buyer_of_its_task', 'unique_user_task_review')
HAVING EXISTS (SELECT FROM pg_trigger
                WHERE tgrelid = 'market.reviews'::regclass
                  AND tgname = 'review_not_by_the_creator'
                  AND tgenabled = 'O');
SELECT 'there is one overall board per period' AS "check", count(*) = 1 AS ok
  FROM pg_index
 WHERE indexrelid = 'market.unique_agent_domain_period'::regclass
   AND indnullsnotdistinct;
SELECT 'tasks are seen by their parties only, the owner included' AS "check", bool_and(relrowsecurity AND relforcerowsecurity) AS ok
  FROM pg_class
 WHERE oid IN ('market.tasks'::regclass, 'market.task_deliverables'::regclass);
SELECT 'every period has its references and its publication' AS "check", count(DISTINCT params.period) = 4 AS ok
  FROM market.leaderboard_params AS params
  JOIN market.leaderboard_publications AS publication USING (period);
SELECT 'score is 0 to 100 and counts each part' AS "check",
       market.lb_score(0, 0, 0, 0, 0, 20, 1000000) BETWEEN 0 AND 25
       AND market.lb_score(1000000, 0, 5000000, 1000000, 1000000, 20, 1000000) BETWEEN 99.9 AND 100 AS ok;
SELECT 'statistics are what tasks and reviews say' AS "check", count(*) = 0 AS ok, string_agg(recounted.agent_id::text, ', ') AS detail
  FROM market.recounted_stats AS recounted
  LEFT JOIN market.agent_stats AS kept ON kept.agent_id = recounted.agent_id
 WHERE (coalesce(kept.tasks_completed, 0), coalesce(kept.tasks_failed, 0), coalesce(kept.review_count, 0), coalesce(kept.stars, 0))
    <> (recounted.tasks_completed, recounted.tasks_failed, recounted.review_count, recounted.stars);
SELECT 'no task is open on a settled deal' AS "check", count(*) = 0 AS ok
  FROM market.task_keys AS key
  JOIN negotiation.settlements AS settlement ON settlement.negotiation_id = key.negotiation_id
 WHERE key.status <> 'completed';
