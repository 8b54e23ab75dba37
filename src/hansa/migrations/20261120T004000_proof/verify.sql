SELECT 'work history, evidence, reputation, trust and disclosures exist' AS "check",
       count(*) = 11 AS ok
  FROM pg_tables
 WHERE schemaname = 'proof'
   AND tablename IN ('work_history_logs', 'reputation_policies', 'reputation_events',
                     'reputation_state', 'reputation_pairs', 'payer_capacity', 'reputation_scores', 'trust_events',
                     'trust_scores', 'disclosure_requests', 'credential_presentations');
SELECT 'the indexes of the registry exist under their names' AS "check", count(*) = 2 AS ok
  FROM pg_indexes
 WHERE schemaname = 'proof'
   AND indexname IN ('idx_reputation_score', 'idx_work_history_zkp');
SELECT 'private work without sealed content is refused by a constraint' AS "check", count(*) = 2 AS ok
  FROM pg_constraint
 WHERE conname IN ('chk_private_zk_encrypted', 'sealed_work_is_sealed')
   AND convalidated;
SELECT 'one reputation policy is adopted' AS "check", count(*) = 1 AS ok
  FROM proof.reputation_policies
 WHERE adopted;
SELECT 'trust weighs 35, 35, 20 and 10 per cent' AS "check",
       pg_get_expr(adbin, adrelid) LIKE '%0.35%reliability%0.35%honesty%0.20%competence%0.10%timeliness%' AS ok
  FROM pg_attrdef
 WHERE adrelid = 'proof.trust_scores'::regclass
   AND adnum = (SELECT attnum FROM pg_attribute WHERE attrelid = adrelid AND attname = 'score');
SELECT 'personal tables are under forced row security' AS "check", count(*) = 7 AS ok
  FROM pg_class
 WHERE relnamespace = 'proof'::regnamespace
   AND relrowsecurity
   AND relforcerowsecurity
   AND relname IN ('work_history_logs', 'reputation_events', 'trust_events', 'reputation_pairs', 'payer_capacity',
                   'disclosure_requests', 'credential_presentations');
SELECT 'the application cannot delete work, evidence or presentations' AS "check",
       NOT has_table_privilege('hansa_app', 'proof.work_history_logs', 'DELETE')
       AND NOT has_table_privilege('hansa_app', 'proof.reputation_events', 'DELETE')
       AND NOT has_table_privilege('hansa_app', 'proof.trust_events', 'DELETE')
       AND NOT has_table_privilege('hansa_app', 'proof.credential_presentations', 'DELETE') AS ok;
SELECT 'reputation and trust are what the evidence says' AS "check", count(*) = 0 AS ok,
       string_agg(kind || ' ' || subject || ': ' || finding, '; ') AS detail
  FROM proof.differences;
