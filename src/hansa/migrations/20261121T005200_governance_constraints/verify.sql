SELECT format('constraint %s holds for every row', wanted.name),
       EXISTS (SELECT FROM pg_constraint AS k
                WHERE k.conname = wanted.name AND k.convalidated AND k.connamespace = 'governance'::regnamespace)
  FROM (VALUES ('approvals_artifactId_artifactType_reviewerId_facet_key'),
               ('mcp_policies_organizationId_name_version_key'),
               ('mcp_policy_tests_policyId_fkey'),
               ('audit_logs_organizationId_fkey'),
               ('audit_logs_roleAgentId_fkey'),
               ('threshold_level_is_1_to_5'),
               ('signal_confidence_is_a_share')) AS wanted (name);

SELECT 'index governance.idx_role_agents_assigned_user is valid',
       EXISTS (SELECT FROM pg_index AS i
                WHERE i.indexrelid = to_regclass('governance.idx_role_agents_assigned_user') AND i.indisvalid);

SELECT 'every policy of assurance lists its facets',
       (SELECT a.attnotnull FROM pg_attribute AS a
         WHERE a.attrelid = 'governance.loa_policies'::regclass AND a.attname = 'required_facets');

SELECT 'no column of the old types is left',
       NOT EXISTS (SELECT FROM pg_attribute AS a
                     JOIN pg_class AS c ON c.oid = a.attrelid
                    WHERE c.relnamespace = 'governance'::regnamespace
                      AND a.attname LIKE '%\_\_old' AND NOT a.attisdropped);
