GRANT USAGE ON SCHEMA identity TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON identity.users TO hansa_app;
GRANT SELECT, INSERT ON identity.user_dids TO hansa_app;
GRANT SELECT, INSERT, UPDATE (revoked_at, reason, replaced_by) ON identity.did_keys TO hansa_app;
GRANT SELECT, INSERT, DELETE ON identity.nonces TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON identity.sign_in_challenges TO hansa_app;
GRANT SELECT, INSERT, DELETE, UPDATE (revoked_at) ON identity.sessions TO hansa_app;

ALTER TABLE identity.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.users FORCE ROW LEVEL SECURITY;
CREATE POLICY users_known_to_the_house ON identity.users
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY users_see_themselves ON identity.users FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND id = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY users_change_themselves ON identity.users FOR UPDATE
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND id = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY agents_see_their_account ON identity.users FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND id = (SELECT own.user_id FROM identity.user_dids AS own
                      WHERE own.did = current_setting('hansa.actor', true)));
CREATE POLICY agents_change_their_account ON identity.users FOR UPDATE
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND id = (SELECT own.user_id FROM identity.user_dids AS own
                      WHERE own.did = current_setting('hansa.actor', true)));

ALTER TABLE identity.user_dids ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.user_dids FORCE ROW LEVEL SECURITY;
CREATE POLICY dids_known_to_the_house ON identity.user_dids
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY users_see_their_dids ON identity.user_dids FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND user_id = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY agents_see_their_did ON identity.user_dids FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND did = current_setting('hansa.actor', true));

ALTER TABLE identity.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY sessions_known_to_the_house ON identity.sessions
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY users_see_their_sessions ON identity.sessions FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND user_id = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY users_end_their_sessions ON identity.sessions FOR UPDATE
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND user_id = nullif(current_setting('hansa.user', true), '')::uuid);
