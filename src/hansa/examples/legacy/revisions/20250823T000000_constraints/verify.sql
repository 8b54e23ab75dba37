SELECT 'one vote of a reviewer on a facet, one row of a policy''s version' AS "check", count(*) = 2 AS ok
  FROM pg_constraint
 WHERE contype = 'u'
   AND conname IN ('approvals_artifactId_artifactType_reviewerId_facet_key',
                   'mcp_policies_organizationId_name_version_key');
SELECT 'a version of the house is there once, too' AS "check", bool_and(indnullsnotdistinct) AS ok
  FROM pg_index
 WHERE indexrelid = to_regclass('"mcp_policies_organizationId_name_version_key"');
SELECT 'tests belong to policies, audit rows to what is there' AS "check", count(*) = 3 AS ok
  FROM pg_constraint
 WHERE contype = 'f'
   AND convalidated
   AND (conname, confdeltype) IN (
       ('mcp_policy_tests_policyId_fkey', 'c'), ('audit_logs_organizationId_fkey', 'n'),
       ('audit_logs_roleAgentId_fkey', 'n'));
SELECT 'a quorum says which facets it asks for' AS "check", is_nullable = 'NO' AS ok
  FROM information_schema.columns
 WHERE table_schema = 'public'
   AND table_name = 'loa_policies'
   AND column_name = 'requiredFacets';
SELECT 'agents are indexed by whom they are assigned to' AS "check", count(*) = 1 AS ok
  FROM pg_index
 WHERE indexrelid = to_regclass('"idx_role_agents_assigned_user"')
   AND indisvalid;
