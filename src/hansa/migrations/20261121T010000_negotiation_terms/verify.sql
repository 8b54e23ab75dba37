SELECT 'delivery time, quality and split need not be stated' AS "check", count(*) = 6 AS ok
  FROM pg_attribute
 WHERE attrelid = to_regclass('negotiation.rounds')
   AND attname IN ('delivery_s', 'quality', 'agent_bps', 'broker_bps', 'validator_bps', 'pool_bps')
   AND NOT attnotnull;
SELECT 'every split that is stated is stated whole' AS "check", count(*) = 0 AS ok
  FROM negotiation.rounds
 WHERE num_nulls(agent_bps, broker_bps, validator_bps, pool_bps) NOT IN (0, 4);
SELECT format('constraint %s holds for every row', wanted.name) AS "check",
       EXISTS (SELECT FROM pg_constraint AS k WHERE k.conname = wanted.name AND k.contype = 'c' AND k.convalidated) AS ok
  FROM (VALUES ('shares_stated_together'), ('standing_acceptance_possible'), ('standing_of_a_participant'),
               ('round_time_possible'), ('ended_by_a_participant'), ('rejected_in_few_words'),
               ('only_rejections_have_a_reason')) AS wanted (name);
SELECT format('trigger %s is on', wanted.name) AS "check",
       EXISTS (SELECT FROM pg_trigger AS g
                WHERE g.tgname = wanted.name
                  AND g.tgrelid = to_regclass('negotiation.negotiations')
                  AND g.tgenabled IN ('O', 'A')) AS ok
  FROM (VALUES ('states_only_as_drawn'), ('sealed_deals_stay')) AS wanted (name);
SELECT 'who negotiates, for what and since when is not for the application to change' AS "check",
       NOT bool_or(has_column_privilege('hansa_app', wanted.relation, wanted.name, 'UPDATE')) AS ok
  FROM (VALUES ('negotiation.negotiations', 'intent_id'), ('negotiation.negotiations', 'initiator_did'),
               ('negotiation.negotiations', 'responder_did'), ('negotiation.negotiations', 'created_at'),
               ('negotiation.negotiations', 'expires_at'), ('negotiation.negotiations', 'max_rounds'),
               ('negotiation.intents', 'requester_did'), ('negotiation.intents', 'budget')) AS wanted (relation, name);
SELECT 'no negotiation opens in another state than the first' AS "check",
       NOT has_column_privilege('hansa_app', 'negotiation.negotiations', 'state', 'INSERT') AS ok;
SELECT 'what two proposals do not both state does not count' AS "check",
       negotiation.convergence(
           (NULL, 1, NULL, 80, NULL, 0.50, NULL, NULL, NULL, NULL, '{}', 0, now())::negotiation.rounds,
           (NULL, 2, NULL, 100, 60, 0.60, NULL, NULL, NULL, NULL, '{}', 0, now())::negotiation.rounds) = 0.85 AS ok;
