DROP FUNCTION identity.account_behind(text, text, text);
DROP TRIGGER users_updated_at ON identity.users;
DROP FUNCTION identity.update_updated_at_column();
DROP TABLE identity.sessions;
DROP TABLE identity.sign_in_challenges;
DROP TABLE identity.nonces;
DROP TABLE identity.did_keys;
-- Policies on accounts read the DIDs of an account.
DROP POLICY agents_change_their_account ON identity.users;
DROP POLICY agents_see_their_account ON identity.users;
DROP TABLE identity.user_dids;
DROP TABLE identity.users;
DROP TYPE identity.key_end;
DROP TYPE identity.key_purpose;
DROP TYPE identity.user_role;
DROP SCHEMA identity;
