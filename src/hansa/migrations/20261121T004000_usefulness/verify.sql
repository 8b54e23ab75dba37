-- verify: writes
-- The ten checks of AINP's usefulness proofs under its numbers, then our own. What can be tried is tried on an agent of
-- this transaction, which is undone; what the catalog knows is compared by its meaning, never by its printed text.
SET LOCAL hansa.actor_kind = 'system';

-- What became of a proof of that agent with these values, which is undone at once: '' it was taken, or the name of the
-- rule that refused it; NULL when it failed for another reason, so that nothing follows from it.
CREATE FUNCTION pg_temp.refusal(p_agent text, p_work_type text, p_score numeric)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    v_name text;
BEGIN
    INSERT INTO proof.usefulness_proofs (intent_id, agent_did, work_type, metrics, trace_id, usefulness_score)
    VALUES (gen_random_uuid(), p_agent, p_work_type, '{}', 'verify', p_score);
    RAISE EXCEPTION 'undone' USING ERRCODE = 'VR001';
EXCEPTION
    WHEN SQLSTATE 'VR001' THEN RETURN '';
    WHEN check_violation OR foreign_key_violation THEN
        GET STACKED DIAGNOSTICS v_name = CONSTRAINT_NAME;
        RETURN v_name;
    WHEN OTHERS THEN RETURN NULL;
END
$$;

CREATE FUNCTION pg_temp.columns_of(p_table oid, p_numbers smallint[])
RETURNS text[]
LANGUAGE sql
AS $$
    SELECT array_agg(attribute.attname::text ORDER BY wanted.place)
      FROM unnest(p_numbers) WITH ORDINALITY AS wanted (number, place)
      JOIN pg_attribute AS attribute ON attribute.attrelid = p_table AND attribute.attnum = wanted.number
$$;

-- An agent under a name that nobody can have.
WITH person AS (
    INSERT INTO identity.users (solana_did, wallet_address)
    SELECT 'did:sol:' || drawn.wallet, drawn.wallet
      FROM (SELECT translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z') AS wallet) AS drawn
    RETURNING id
)
INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                             content_hash, ttl_s, expires_at, creator_user_id)
SELECT 'did:web:worker.verify.invalid', 'verify-' || gen_random_uuid(), 'Verify ' || gen_random_uuid(), '', '', '',
       translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z'), decode(repeat('00', 32), 'hex'), '', 60,
       clock_timestamp(), person.id
  FROM person;

SELECT 'usefulness 01: the table exists' AS "check", to_regclass('proof.usefulness_proofs') IS NOT NULL AS ok;
SELECT 'usefulness 02: it has the nine columns, each of its type' AS "check",
       bool_and(attribute.attname IS NOT NULL) AND count(*) = 9 AS ok,
       string_agg(guide.name || ' ' || guide.type, ', ') FILTER (WHERE attribute.attname IS NULL) AS detail
  FROM (VALUES ('id', 'uuid'::regtype), ('intent_id', 'uuid'), ('agent_did', 'text'), ('work_type', 'text'),
               ('metrics', 'jsonb'), ('attestations', 'text[]'), ('trace_id', 'text'), ('usefulness_score', 'numeric'),
               ('created_at', 'timestamptz')) AS guide (name, type)
  LEFT JOIN pg_attribute AS attribute
         ON attribute.attrelid = to_regclass('proof.usefulness_proofs')
        AND attribute.attname = guide.name
        AND attribute.atttypid = guide.type
        AND NOT attribute.attisdropped;
SELECT 'usefulness 03: its seven indexes exist, each led by its columns' AS "check",
       bool_and(coalesce(found.columns[1:cardinality(guide.columns)] = guide.columns, false)) AS ok,
       string_agg(guide.name, ', ')
           FILTER (WHERE (found.columns[1:cardinality(guide.columns)] = guide.columns) IS NOT TRUE) AS detail
  FROM (VALUES ('idx_usefulness_agent', '{agent_did,created_at}'::text[]),
               ('idx_usefulness_intent', '{intent_id}'),
               ('idx_usefulness_work_type', '{work_type}'),
               ('idx_usefulness_score', '{usefulness_score}'),
               ('idx_usefulness_trace', '{trace_id}'),
               ('idx_usefulness_agent_score', '{agent_did,usefulness_score}'),
               ('idx_usefulness_metrics', '{metrics}')) AS guide (name, columns)
  LEFT JOIN LATERAL (SELECT pg_temp.columns_of(indrelid, indkey::smallint[]) AS columns
                       FROM pg_index
                      WHERE indexrelid = to_regclass('proof.' || guide.name)
                        AND indrelid = to_regclass('proof.usefulness_proofs')
                        AND indpred IS NULL
                        AND indisvalid) AS found ON true;

-- AINP deletes the proofs with their agent; here evidence outlives everybody, so the key keeps the agent.
SELECT 'usefulness 04: a proof is of a registered agent, who cannot be deleted from under it' AS "check",
       count(*) = 1 AND pg_temp.refusal('did:web:nobody.verify.invalid', 'compute', 1) = min(conname::text) AS ok
  FROM pg_constraint
 WHERE conrelid = to_regclass('proof.usefulness_proofs')
   AND contype = 'f'
   AND pg_temp.columns_of(conrelid, conkey) = '{agent_did}'
   AND confrelid = to_regclass('registry.agents')
   AND pg_temp.columns_of(confrelid, confkey) = '{did}'
   AND confdeltype IN ('a', 'r')
   AND convalidated;
SELECT 'usefulness 05: the five types of work are taken, and no other' AS "check",
       bool_and(CASE WHEN given.known THEN tried.refusal = '' ELSE tried.refusal <> '' END IS TRUE) AS ok,
       string_agg(given.work_type || ': ' || coalesce(nullif(tried.refusal, ''), 'taken'), '; ') AS detail
  FROM (VALUES ('compute', true), ('memory', true), ('routing', true), ('validation', true), ('learning', true),
               ('sleeping', false), ('COMPUTE', false), ('', false)) AS given (work_type, known)
 CROSS JOIN LATERAL pg_temp.refusal('did:web:worker.verify.invalid', given.work_type, 1) AS tried (refusal);
SELECT 'usefulness 06: a score is 0 to 100' AS "check",
       pg_temp.refusal('did:web:worker.verify.invalid', 'compute', -0.01) <> ''
       AND pg_temp.refusal('did:web:worker.verify.invalid', 'compute', 0) = ''
       AND pg_temp.refusal('did:web:worker.verify.invalid', 'compute', 100) = ''
       AND pg_temp.refusal('did:web:worker.verify.invalid', 'compute', 100.01) <> '' AS ok;
SELECT 'usefulness 07: agents keep the average of 30 days as a number' AS "check", count(*) = 1 AS ok
  FROM pg_attribute
 WHERE attrelid = to_regclass('registry.agents')
   AND attname = 'usefulness_score_cached'
   AND atttypid = 'numeric'::regtype
   AND NOT attisdropped;
SELECT 'usefulness 08: agents keep when it was computed last' AS "check", count(*) = 1 AS ok
  FROM pg_attribute
 WHERE attrelid = to_regclass('registry.agents')
   AND attname = 'usefulness_last_updated'
   AND atttypid = 'timestamptz'::regtype
   AND NOT attisdropped;
SELECT 'usefulness 09: agents are ranked by it through an index' AS "check", count(*) = 1 AS ok
  FROM pg_index
 WHERE indexrelid = to_regclass('registry.idx_agents_usefulness')
   AND indrelid = to_regclass('registry.agents')
   AND (pg_temp.columns_of(indrelid, indkey::smallint[]))[1] = 'usefulness_score_cached'
   AND indpred IS NULL
   AND indisvalid;
SELECT 'usefulness 10: the index on metrics is a GIN index that answers what they contain' AS "check", count(*) = 1 AS ok
  FROM pg_index AS index
  JOIN pg_class AS relation ON relation.oid = index.indexrelid
  JOIN pg_am AS method ON method.oid = relation.relam AND method.amname = 'gin'
  JOIN pg_opclass AS class ON class.oid = index.indclass[0]
  JOIN pg_amop AS answers ON answers.amopfamily = class.opcfamily AND answers.amopopr = '@>(jsonb,jsonb)'::regoperator
 WHERE index.indexrelid = to_regclass('proof.idx_usefulness_metrics')
   AND pg_temp.columns_of(index.indrelid, index.indkey::smallint[]) = '{metrics}'
   AND index.indisvalid;

SELECT 'a piece of work is proven once by its agent' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conrelid = to_regclass('proof.usefulness_proofs')
   AND conname = 'useful_work_proven_once'
   AND contype = 'u';
SELECT 'the formula gives what AINP says' AS "check",
       proof.usefulness_score('compute', '{"compute_ms": 5000}', false) = 50
       AND proof.usefulness_score('memory', '{"memory_bytes": 10485760}', false) = 10
       AND proof.usefulness_score('routing', '{"routing_hops": 3}', false) = 30
       AND proof.usefulness_score('validation', '{"validation_checks": 7}', false) = 35
       AND proof.usefulness_score('learning', '{"learning_samples": 250}', false) = 25
       AND proof.usefulness_score('compute', '{"compute_ms": 5000}', true) = 55
       AND proof.usefulness_score('compute', '{"compute_ms": 3600000}', true) = 100 AS ok;
SELECT 'the application cannot change or delete a proof' AS "check",
       NOT has_table_privilege('hansa_app', 'proof.usefulness_proofs', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'proof.usefulness_proofs', 'DELETE') AS ok;
SELECT 'only the agent itself or the house adds a proof' AS "check", count(*) = 1 AS ok
  FROM pg_class
 WHERE oid = to_regclass('proof.usefulness_proofs')
   AND relrowsecurity
   AND relforcerowsecurity;
