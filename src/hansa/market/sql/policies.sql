GRANT USAGE ON SCHEMA market TO hansa_app;
GRANT SELECT, INSERT ON market.task_keys TO hansa_app;
GRANT UPDATE (status, started_at, ended_at) ON market.task_keys TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON market.tasks TO hansa_app;
GRANT SELECT, INSERT ON market.task_deliverables TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON market.reviews TO hansa_app;
GRANT SELECT, INSERT ON market.review_responses TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON market.agent_stats TO hansa_app;
GRANT SELECT, INSERT ON market.leaderboard_params TO hansa_app;
GRANT SELECT, UPDATE ON market.leaderboard_publications TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON market.leaderboard_rankings TO hansa_app;
GRANT SELECT ON market.leaderboard_deeds, market.leaderboard_standings, market.recounted_stats,
                market.v_agent_leaderboard, market.v_agent_profiles TO hansa_app;

-- What is in a task is between its parties. Statistics and boards are public and stand on task_keys, which has no
-- word of the task in it: so no policy hides a deed from a count, whoever looks.
ALTER TABLE market.tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE market.tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY tasks_known_to_the_house ON market.tasks
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY tasks_of_their_parties ON market.tasks
    USING (current_setting('hansa.actor_kind', true) IN ('agent', 'user')
           AND current_setting('hansa.actor', true) IN (buyer_did, seller_did));
CREATE POLICY tasks_of_their_account ON market.tasks FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND user_id = nullif(current_setting('hansa.user', true), '')::uuid);

ALTER TABLE market.task_deliverables ENABLE ROW LEVEL SECURITY;
ALTER TABLE market.task_deliverables FORCE ROW LEVEL SECURITY;
CREATE POLICY deliverables_seen_with_their_task ON market.task_deliverables
    USING (EXISTS (SELECT FROM market.tasks AS task WHERE task.id = task_id));
