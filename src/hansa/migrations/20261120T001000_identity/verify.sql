SELECT 'accounts, their DIDs, keys, nonces, sign-in messages and sessions exist' AS "check", count(*) = 6 AS ok
  FROM pg_tables
 WHERE schemaname = 'identity'
   AND tablename IN ('users', 'user_dids', 'did_keys', 'nonces', 'sign_in_challenges', 'sessions');
SELECT 'row security is forced on accounts, their DIDs and sessions' AS "check", count(*) = 3 AS ok
  FROM pg_class
 WHERE relnamespace = 'identity'::regnamespace
   AND relname IN ('users', 'user_dids', 'sessions')
   AND relrowsecurity
   AND relforcerowsecurity;
SELECT 'an account is a developer''s, a marketplace''s or an end user''s' AS "check",
       array_agg(enumlabel::text ORDER BY enumsortorder) = '{developer,marketplace,end_user}' AS ok
  FROM pg_enum
 WHERE enumtypid = 'identity.user_role'::regtype;
SELECT 'wallets, DIDs, user names and e-mail addresses belong to one account' AS "check", count(*) = 4 AS ok
  FROM pg_constraint
 WHERE conrelid = 'identity.users'::regclass
   AND contype = 'u'
   AND conname IN ('solana_did_of_one_account', 'wallet_of_one_account', 'username_of_one_account',
                   'email_of_one_account');
SELECT 'a DID has one active key' AS "check", count(*) = 1 AS ok
  FROM pg_index
 WHERE indexrelid = to_regclass('identity.one_active_key_per_did')
   AND indisunique
   AND indpred IS NOT NULL;
SELECT 'the application cannot delete a key or change its bytes' AS "check",
       NOT has_table_privilege('hansa_app', 'identity.did_keys', 'DELETE')
       AND NOT has_column_privilege('hansa_app', 'identity.did_keys', 'public_key', 'UPDATE') AS ok;
SELECT 'a nonce serves once' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'nonce_used_once'
   AND contype = 'p';
SELECT 'updated_at is kept by update_updated_at_column' AS "check", count(*) = 1 AS ok
  FROM pg_trigger
 WHERE tgrelid = 'identity.users'::regclass
   AND tgfoid = to_regprocedure('identity.update_updated_at_column()')
   AND tgenabled = 'O';
