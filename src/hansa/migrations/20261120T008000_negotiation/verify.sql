SELECT 'negotiations has the fourteen columns of AINP' AS "check", count(*) = 14 AS ok
  FROM information_schema.columns
 WHERE table_schema = 'negotiation'
   AND table_name = 'negotiations'
   AND column_name IN ('id', 'intent_id', 'initiator_did', 'responder_did', 'state', 'rounds', 'convergence_score',
                       'current_proposal', 'final_proposal', 'incentive_split', 'max_rounds', 'created_at',
                       'expires_at', 'updated_at');
SELECT 'its six indexes exist' AS "check", count(*) = 6 AS ok
  FROM pg_indexes
 WHERE schemaname = 'negotiation'
   AND indexname IN ('idx_negotiations_intent', 'idx_negotiations_initiator', 'idx_negotiations_responder',
                     'idx_negotiations_state', 'idx_negotiations_expires', 'idx_negotiations_convergence');
SELECT 'a deal without an ALLOW of the hire gate is refused by foreign keys' AS "check", count(*) = 2 AS ok
  FROM pg_constraint
 WHERE conname IN ('opened_through_the_gate', 'accepted_through_the_gate')
   AND contype = 'f'
   AND convalidated;
SELECT 'a negotiation is settled at most once' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'settled_once'
   AND contype = 'p';
SELECT 'the application cannot change a proposal' AS "check",
       NOT has_table_privilege('hansa_app', 'negotiation.rounds', 'UPDATE') AS ok;
SELECT 'a negotiation serves an intent of its own initiator' AS "check",
       pg_get_constraintdef(oid) LIKE 'FOREIGN KEY (intent_id, initiator_did)%' AS ok
  FROM pg_constraint
 WHERE conname = 'negotiation_serves_an_intent';
SELECT 'who validates a deal is a registered agent' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'validator_is_an_agent'
   AND contype = 'f'
   AND convalidated;
