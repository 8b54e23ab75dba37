SELECT format('governance.%s.%s is %s%s', wanted.relation, wanted.name, wanted.type,
              CASE WHEN wanted.required THEN ', never missing' ELSE '' END),
       EXISTS (SELECT FROM pg_attribute AS a
                WHERE a.attrelid = to_regclass('governance.' || wanted.relation)
                  AND a.attname = wanted.name
                  AND a.atttypid = to_regtype('governance.' || wanted.type)
                  AND (a.attnotnull OR NOT wanted.required))
  FROM (VALUES ('role_agents', 'status', 'role_agent_status', true),
               ('blockchain_transactions', 'status', 'blockchain_tx_status', true),
               ('mcp_policies', 'status', 'policy_status', true),
               ('loa_policies', 'artifact_type', 'artifact_type', true),
               ('loa_policies', 'required_facets', 'approval_facet[]', false),
               ('approvals', 'artifact_type', 'artifact_type', true),
               ('approvals', 'facet', 'approval_facet', true),
               ('approvals', 'decision', 'approval_decision', true)) AS wanted (relation, name, type, required);

SELECT format('index governance.%s survived the conversion', wanted.name),
       EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = to_regclass('governance.' || wanted.name) AND i.indisvalid)
  FROM (VALUES ('idx_role_agents_status'), ('idx_blockchain_tx_status'), ('idx_mcp_policies_status')) AS wanted (name);

SELECT 'a new role agent is active, a new transaction pending',
       (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d
          JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
         WHERE a.attrelid = 'governance.role_agents'::regclass AND a.attname = 'status') LIKE '''active''::%'
       AND (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d
              JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
             WHERE a.attrelid = 'governance.blockchain_transactions'::regclass AND a.attname = 'status') LIKE '''pending''::%';
