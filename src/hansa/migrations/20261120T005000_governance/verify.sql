SELECT 'the twelve tables and the five beside them exist' AS "check", count(*) = 17 AS ok
  FROM pg_tables
 WHERE schemaname = 'governance'
   AND tablename IN ('organizations', 'role_templates', 'role_agents', 'role_trust_thresholds', 'signals',
                     'certifications', 'audit_logs', 'blockchain_transactions', 'loa_policies', 'approvals',
                     'mcp_policies', 'mcp_policy_tests', 'organization_members', 'role_acceptances', 'decisions',
                     'audit_unsealed', 'audit_seals');
SELECT 'the house offers the roles of a deal' AS "check", count(*) = 2 AS ok
  FROM governance.role_templates
 WHERE organization_id IS NULL
   AND title IN ('buyer', 'supplier');
SELECT 'row security is forced on every table of a tenant' AS "check", count(*) = 0 AS ok, string_agg(relname, ', ') AS detail
  FROM pg_class
 WHERE relnamespace = 'governance'::regnamespace
   AND relkind = 'r'
   AND relname NOT IN ('audit_seals', 'audit_unsealed')
   AND NOT (relrowsecurity AND relforcerowsecurity);
SELECT 'audit rows, seals and decisions refuse changes' AS "check", count(*) = 6 AS ok
  FROM pg_trigger
 WHERE tgname IN ('audit_rows_append_only', 'audit_rows_not_emptied', 'audit_seals_append_only', 'audit_seals_not_emptied',
                  'decisions_append_only', 'decisions_not_emptied')
   AND tgenabled = 'O';
SELECT 'new audit rows are queued for their seal' AS "check", count(*) = 1 AS ok
  FROM pg_trigger
 WHERE tgrelid = 'governance.audit_logs'::regclass
   AND tgname = 'audit_rows_await_their_seal'
   AND tgenabled = 'O';
SELECT 'the application cannot change or delete evidence' AS "check",
       NOT bool_or(has_table_privilege('hansa_app', evidence, 'UPDATE') OR has_table_privilege('hansa_app', evidence, 'DELETE')
                   OR has_table_privilege('hansa_app', evidence, 'TRUNCATE')) AS ok
  FROM unnest(ARRAY['governance.audit_logs', 'governance.audit_seals', 'governance.decisions']) AS evidence;
SELECT 'a deal can refer to a decision by its pair and its outcome' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'decision_names_its_pair'
   AND contype = 'u';
SELECT 'thresholds are on the scale 0 to 1000' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'threshold_on_the_scale'
   AND convalidated;
SELECT 'the audit trail is whole' AS "check", count(*) = 0 AS ok,
       string_agg(coalesce(audit_id, '-') || ': ' || finding, '; ') AS detail
  FROM governance.audit_breaks(10);
