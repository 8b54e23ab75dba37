SELECT 'claims, their history, paid answers and known chains exist' AS "check", count(*) = 4 AS ok
  FROM pg_tables
 WHERE schemaname = 'payments'
   AND tablename IN ('claims', 'claim_events', 'paid_answers', 'chain_instances');
SELECT 'a payment is claimed once and lands once' AS "check", count(*) = 2 AS ok
  FROM pg_constraint
 WHERE conname IN ('one_claim_per_payment', 'one_claim_per_transaction')
   AND contype = 'u';
SELECT 'a signed claim keeps its transaction' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'signed_claims_keep_their_bytes'
   AND convalidated;
SELECT 'claims only move forward, with a history that nobody can rewrite' AS "check", count(*) = 4 AS ok
  FROM pg_trigger
 WHERE tgname IN ('claims_only_move_forward', 'claims_have_a_history', 'claim_history_is_append_only',
                  'claims_are_never_deleted')
   AND tgenabled = 'O';
SELECT 'the application cannot change what a payment is' AS "check",
       NOT has_column_privilege('hansa_app', 'payments.claims', 'amount', 'UPDATE')
       AND NOT has_column_privilege('hansa_app', 'payments.claims', 'requirements_digest', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'payments.claim_events', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'payments.claims', 'DELETE') AS ok;
SELECT 'row-level security is forced' AS "check", count(*) = 3 AS ok
  FROM pg_class
 WHERE oid IN ('payments.claims'::regclass, 'payments.claim_events'::regclass, 'payments.paid_answers'::regclass)
   AND relrowsecurity
   AND relforcerowsecurity;
SELECT 'the records of payments agree' AS "check", count(*) = 0 AS ok, string_agg(subject || ': ' || finding, '; ') AS detail
  FROM payments.discrepancies;
