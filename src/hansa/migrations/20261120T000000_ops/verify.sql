SELECT 'the application role is neither superuser nor bypasses row security' AS "check",
       NOT rolsuper AND NOT rolbypassrls AND NOT rolcreaterole AS ok
  FROM pg_roles
 WHERE rolname = 'hansa_app';
SELECT 'the application role owns nothing in this database' AS "check",
       NOT EXISTS (SELECT FROM pg_class WHERE relowner = 'hansa_app'::regrole) AS ok;
SELECT 'the queue stands in schema jobs' AS "check",
       to_regclass('jobs.procrastinate_jobs') IS NOT NULL AS ok;
SELECT 'outbox, effects, idempotency keys and heartbeats exist' AS "check",
       count(*) = 4 AS ok
  FROM pg_tables
 WHERE schemaname = 'ops'
   AND tablename IN ('outbox', 'effects', 'idempotency_keys', 'heartbeats');
SELECT 'the application cannot delete an event' AS "check",
       NOT has_table_privilege('hansa_app', 'ops.outbox', 'DELETE') AS ok;
