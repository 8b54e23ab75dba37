SELECT 'the seven types have the labels of the plan',
       array_agg(format('%s: %s', t.typname, labels.listed) ORDER BY t.typname) = ARRAY[
           'approval_decision: approve reject',
           'approval_facet: security compliance policy risk',
           'artifact_type: RoleAgent MCP',
           'blockchain_tx_status: pending confirmed failed',
           'blockchain_tx_type: NFT_MINT TRANSFER OTHER',
           'policy_status: draft active archived',
           'role_agent_status: active inactive suspended retired']
  FROM pg_type AS t
  CROSS JOIN LATERAL (SELECT string_agg(e.enumlabel, ' ' ORDER BY e.enumsortorder) AS listed
                        FROM pg_enum AS e WHERE e.enumtypid = t.oid) AS labels
 WHERE t.typnamespace = 'governance'::regnamespace
   AND t.typname IN ('approval_decision', 'approval_facet', 'artifact_type', 'blockchain_tx_status',
                     'blockchain_tx_type', 'policy_status', 'role_agent_status');

SELECT 'governance.trust_histories exists with both indexes and its role agent',
       to_regclass('governance.trust_histories') IS NOT NULL
       AND to_regclass('governance.idx_trust_histories_role_agent') IS NOT NULL
       AND to_regclass('governance.idx_trust_histories_time') IS NOT NULL
       AND EXISTS (SELECT FROM pg_constraint WHERE conname = 'trust_history_of_a_role_agent' AND convalidated);

SELECT format('column governance.%s.%s exists', wanted.relation, wanted.name),
       EXISTS (SELECT FROM pg_attribute AS a
                WHERE a.attrelid = to_regclass('governance.' || wanted.relation)
                  AND a.attname = wanted.name AND NOT a.attisdropped)
  FROM (VALUES ('organizations', 'compliance_tags'), ('role_agents', 'assigned_to_user_id'),
               ('role_agents', 'updated_at'), ('role_trust_thresholds', 'min_loa_level'),
               ('signals', 'confidence'), ('signals', 'source_type'), ('signals', 'updated_at'),
               ('certifications', 'verification_method'), ('blockchain_transactions', 'transaction_type'),
               ('audit_logs', 'organization_id'), ('audit_logs', 'role_agent_id'),
               ('loa_policies', 'updated_at')) AS wanted (relation, name);
