GRANT USAGE ON SCHEMA discovery TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON discovery.agents TO hansa_app;
GRANT SELECT, INSERT, DELETE ON discovery.recent_deals TO hansa_app;
GRANT SELECT, UPDATE ON discovery.ranking_weights TO hansa_app;
GRANT SELECT, INSERT, DELETE ON discovery.results TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON discovery.answers TO hansa_app;
GRANT SELECT, INSERT, DELETE ON discovery.agent_queries TO hansa_app;
GRANT SELECT ON discovery.profiles_due, discovery.standings_due, discovery.recent_deals_due, discovery.differences
    TO hansa_app;

-- What is found is public; what somebody searches for is theirs. Results and answers name nobody.
ALTER TABLE discovery.agent_queries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY queries_known_to_the_house ON discovery.agent_queries
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY people_see_their_queries ON discovery.agent_queries FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND user_id = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY agents_see_their_queries ON discovery.agent_queries FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND asked_by = current_setting('hansa.actor', true));
CREATE POLICY everybody_asks_as_themselves ON discovery.agent_queries FOR INSERT
    WITH CHECK (asked_by IS NOT DISTINCT FROM nullif(current_setting('hansa.actor', true), '')
                AND (user_id IS NULL
                     OR user_id = nullif(current_setting('hansa.user', true), '')::uuid
                     OR user_id = (SELECT own.user_id FROM identity.user_dids AS own
                                    WHERE own.did = current_setting('hansa.actor', true))));
