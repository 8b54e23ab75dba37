SELECT 'agents, cards, capabilities, skills, domains and prices exist' AS "check", count(*) = 8 AS ok
  FROM pg_tables
 WHERE schemaname = 'registry'
   AND tablename IN ('agents', 'agent_cards', 'agent_capabilities', 'skills', 'agent_skills', 'domains',
                     'agent_domains', 'agent_pricing');
SELECT 'the ten domains stand in their order' AS "check",
       string_agg(name, ', ' ORDER BY id) = 'Code Debugging, Content Creation, Trading Strategies, Data Analysis, '
           'Design, Research, Security Audit, DevOps, Marketing, Customer Support' AS ok
  FROM registry.domains;
SELECT 'the indexes that the specifications name exist' AS "check", count(*) = 4 AS ok
  FROM pg_indexes
 WHERE schemaname = 'registry'
   AND indexname IN ('idx_agents_usefulness', 'idx_agents_status', 'idx_capabilities_skills_fts', 'idx_ipfs_pin');
SELECT 'skills are found by full text' AS "check",
       registry.skills_text('{auditing,"natural language"}') @@ to_tsquery('english', 'audit & language') AS ok;
SELECT 'an agent has one primary domain' AS "check", count(*) = 1 AS ok
  FROM pg_index
 WHERE indexrelid = to_regclass('registry.one_primary_domain_per_agent')
   AND indisunique
   AND indpred IS NOT NULL;
SELECT 'the application can neither delete an agent nor change or delete a card' AS "check",
       NOT has_table_privilege('hansa_app', 'registry.agents', 'DELETE')
       AND NOT has_table_privilege('hansa_app', 'registry.agent_cards', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'registry.agent_cards', 'DELETE') AS ok;
SELECT 'every agent has the card of its version' AS "check", count(*) = 0 AS ok,
       string_agg(agent.did, ', ') AS detail
  FROM registry.agents AS agent
  LEFT JOIN registry.agent_cards AS card
         ON card.did = agent.did AND card.version = agent.version AND card.content_hash = agent.content_hash
 WHERE card.did IS NULL;
SELECT 'no two agents have names that differ only in case or width' AS "check", count(*) = 1 AS ok
  FROM pg_index
 WHERE indexrelid = to_regclass('registry.agent_name_unlike_others')
   AND indisunique;
