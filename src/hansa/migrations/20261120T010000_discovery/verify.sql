SELECT 'index, weights, queries, results, answers and recent deals exist' AS "check", count(*) = 6 AS ok
  FROM pg_tables
 WHERE schemaname = 'discovery'
   AND tablename IN ('agents', 'ranking_weights', 'agent_queries', 'results', 'answers', 'recent_deals');
SELECT 'queries have the columns of the specification' AS "check", count(*) = 6 AS ok
  FROM information_schema.columns
 WHERE table_schema = 'discovery'
   AND table_name = 'agent_queries'
   AND column_name IN ('id', 'user_id', 'query_params', 'results_hash', 'timestamp', 'capability_filter');
SELECT 'queries of an account are found by its index' AS "check", count(*) = 1 AS ok
  FROM pg_indexes
 WHERE schemaname = 'discovery'
   AND indexname = 'idx_agent_queries_user';
SELECT 'a query is seen by whoever asked it' AS "check", count(*) = 1 AS ok
  FROM pg_class
 WHERE oid = 'discovery.agent_queries'::regclass
   AND relrowsecurity
   AND relforcerowsecurity;
SELECT 'one set of ranking weights sums to 1' AS "check", count(*) = 1 AND sum(relevance + trust + usefulness) = 1 AS ok
  FROM discovery.ranking_weights;
SELECT 'full text finds an agent by the forms of its words' AS "check",
       discovery.search_document('Ada', ARRAY['Code auditing'], 'Audits contracts.', 'Finds bugs.')
       @@ websearch_to_tsquery('pg_catalog.english', 'auditor OR audit contract') AS ok;
SELECT 'the application cannot change a query or a result' AS "check",
       NOT has_table_privilege('hansa_app', 'discovery.agent_queries', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'discovery.results', 'UPDATE') AS ok;
