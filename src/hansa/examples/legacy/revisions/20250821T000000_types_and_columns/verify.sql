SELECT 'each type has the labels of the plan' AS "check", count(*) = 7 AS ok
  FROM (SELECT typname::text AS name, array_agg(enumlabel::text ORDER BY enumsortorder) AS labels
          FROM pg_enum
          JOIN pg_type ON pg_type.oid = enumtypid
         WHERE typnamespace = 'public'::regnamespace
         GROUP BY typname) AS made
 WHERE (name, labels) IN (
       ('BlockchainTxStatus', '{pending,confirmed,failed}'), ('BlockchainTxType', '{NFT_MINT,TRANSFER,OTHER}'),
       ('RoleAgentStatus', '{active,inactive,suspended,retired}'), ('ArtifactType', '{RoleAgent,MCP}'),
       ('ApprovalFacet', '{security,compliance,policy,risk}'), ('ApprovalDecision', '{approve,reject}'),
       ('PolicyStatus', '{draft,active,archived}'));
SELECT 'the new columns stand' AS "check", count(*) = 12 AS ok
  FROM information_schema.columns
 WHERE table_schema = 'public'
   AND (table_name, column_name) IN (
       ('audit_logs', 'organizationId'), ('audit_logs', 'roleAgentId'), ('blockchain_transactions', 'transactionType'),
       ('certifications', 'verificationMethod'), ('organizations', 'complianceTags'),
       ('role_trust_thresholds', 'minLoALevel'), ('role_agents', 'assignedToUserId'), ('role_agents', 'updatedAt'),
       ('signals', 'confidence'), ('signals', 'sourceType'), ('signals', 'updatedAt'), ('loa_policies', 'updatedAt'));
SELECT 'the time of the last change is kept by a trigger' AS "check", count(*) = 3 AS ok
  FROM pg_trigger
 WHERE tgfoid = to_regprocedure('"keep_updatedAt"()')
   AND tgenabled = 'O';
SELECT 'the history of trust is of known agents and on the scale' AS "check", count(*) = 2 AS ok
  FROM pg_constraint
 WHERE conrelid = to_regclass('"trust_histories"')
   AND contype IN ('f', 'c')
   AND convalidated;
SELECT 'assigned agents are indexed once' AS "check", count(*) = 1 AS ok
  FROM pg_indexes
 WHERE tablename = 'role_agents'
   AND indexdef LIKE '%("assignedToDid")';
