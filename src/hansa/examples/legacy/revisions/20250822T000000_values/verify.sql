SELECT 'statuses, facets, decisions and kinds of artifacts are of their types' AS "check", count(*) = 8 AS ok,
       string_agg(table_name || '.' || column_name || ' ' || udt_name, ', ' ORDER BY table_name, column_name) AS detail
  FROM information_schema.columns
 WHERE table_schema = 'public'
   AND (table_name, column_name, udt_name) IN (
       ('role_agents', 'status', 'RoleAgentStatus'), ('blockchain_transactions', 'status', 'BlockchainTxStatus'),
       ('mcp_policies', 'status', 'PolicyStatus'), ('loa_policies', 'artifactType', 'ArtifactType'),
       ('loa_policies', 'requiredFacets', '_ApprovalFacet'), ('approvals', 'artifactType', 'ArtifactType'),
       ('approvals', 'facet', 'ApprovalFacet'), ('approvals', 'decision', 'ApprovalDecision'));
SELECT 'what had to be there before has to be there now' AS "check", count(*) = 7 AS ok
  FROM information_schema.columns
 WHERE table_schema = 'public'
   AND is_nullable = 'NO'
   AND (table_name, column_name) IN (
       ('role_agents', 'status'), ('blockchain_transactions', 'status'), ('mcp_policies', 'status'),
       ('loa_policies', 'artifactType'), ('approvals', 'artifactType'), ('approvals', 'facet'),
       ('approvals', 'decision'));
SELECT 'statuses are indexed as before' AS "check", count(*) = 3 AS ok
  FROM pg_indexes
 WHERE schemaname = 'public'
   AND (indexname, indexdef) IN (
       ('idx_role_agents_status',
        'CREATE INDEX idx_role_agents_status ON public.role_agents USING btree (status)'),
       ('idx_blockchain_tx_status',
        'CREATE INDEX idx_blockchain_tx_status ON public.blockchain_transactions USING btree (status)'),
       ('idx_mcp_policies_status',
        'CREATE INDEX idx_mcp_policies_status ON public.mcp_policies USING btree (status)'));
SELECT 'who is registered without a word about it is active, and a mint waits to be sent' AS "check",
       count(*) = 2 AS ok
  FROM information_schema.columns
 WHERE table_schema = 'public'
   AND (table_name, column_name, column_default) IN (
       ('role_agents', 'status', '''active''::"RoleAgentStatus"'),
       ('blockchain_transactions', 'status', '''pending''::"BlockchainTxStatus"'));
