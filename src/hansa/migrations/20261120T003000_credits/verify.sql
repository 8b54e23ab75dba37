SELECT 'accounts, movements, postings and holds exist' AS "check",
       count(*) = 4 AS ok
  FROM pg_tables
 WHERE schemaname = 'credits'
   AND tablename IN ('credit_accounts', 'credit_transactions', 'postings', 'holds');
SELECT 'the four system accounts exist' AS "check", count(*) = 4 AS ok
  FROM credits.credit_accounts
 WHERE kind = 'system';
SELECT 'a negative balance is refused by a constraint' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'agent_balance_not_negative'
   AND convalidated;
SELECT 'reserved above balance is refused by a constraint' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'reserved_within_balance'
   AND convalidated;
SELECT 'postings are checked to sum to zero at the commit' AS "check", count(*) = 1 AS ok
  FROM pg_trigger
 WHERE tgname = 'postings_sum_to_zero'
   AND tgdeferrable
   AND tginitdeferred
   AND tgenabled = 'O';
SELECT 'the application cannot change or delete a posting' AS "check",
       NOT has_table_privilege('hansa_app', 'credits.postings', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'credits.postings', 'DELETE') AS ok;
SELECT 'the books are right' AS "check", count(*) = 0 AS ok, string_agg(kind || ' ' || subject || ': ' || finding, '; ') AS detail
  FROM credits.discrepancies;
