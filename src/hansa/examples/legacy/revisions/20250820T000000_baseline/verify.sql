SELECT 'the thirteen tables stand in schema public' AS "check", count(*) = 13 AS ok,
       string_agg(tablename, ', ' ORDER BY tablename) AS detail
  FROM pg_tables
 WHERE schemaname = 'public'
   AND tablename IN ('organizations', 'organization_members', 'role_templates', 'role_agents', 'role_trust_thresholds',
                     'signals', 'certifications', 'audit_logs', 'blockchain_transactions', 'loa_policies', 'approvals',
                     'mcp_policies', 'mcp_policy_tests');
SELECT 'statuses, facets, decisions and kinds of artifacts stand' AS "check", count(*) = 8 AS ok,
       string_agg(table_name || '.' || column_name || ' ' || udt_name, ', ' ORDER BY table_name, column_name) AS detail
  FROM information_schema.columns
 WHERE table_schema = 'public'
   AND (table_name, column_name) IN (
       ('role_agents', 'status'), ('blockchain_transactions', 'status'), ('mcp_policies', 'status'),
       ('loa_policies', 'artifactType'), ('loa_policies', 'requiredFacets'),
       ('approvals', 'artifactType'), ('approvals', 'facet'), ('approvals', 'decision'));
SELECT 'statuses are indexed' AS "check", count(*) = 3 AS ok
  FROM pg_indexes
 WHERE schemaname = 'public'
   AND indexname IN ('idx_role_agents_status', 'idx_blockchain_tx_status', 'idx_mcp_policies_status');
