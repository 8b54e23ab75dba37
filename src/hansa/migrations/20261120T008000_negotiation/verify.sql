-- verify: writes
-- The fourteen checks of AINP's negotiation sessions under its numbers, then our own. What can be tried is tried on rows
-- of this transaction, which is undone; what the catalog knows is compared by its meaning, never by its printed text.
SET LOCAL hansa.actor_kind = 'system';

-- What became of a statement, which is undone at once: '' it was taken, the name of the CHECK that refused it, or NULL
-- when it failed for another reason or touched no row, so that nothing follows from it.
CREATE FUNCTION pg_temp.refusal(p_statement text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    v_rows bigint;
    v_name text;
BEGIN
    EXECUTE p_statement;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RAISE EXCEPTION 'undone' USING ERRCODE = CASE WHEN v_rows > 0 THEN 'VR001' ELSE 'VR002' END;
EXCEPTION
    WHEN SQLSTATE 'VR001' THEN RETURN '';
    WHEN check_violation THEN
        GET STACKED DIAGNOSTICS v_name = CONSTRAINT_NAME;
        RETURN v_name;
    WHEN OTHERS THEN RETURN NULL;
END
$$;

CREATE FUNCTION pg_temp.refusal_of_change(p_change text)
RETURNS text
LANGUAGE sql
AS $$
    SELECT pg_temp.refusal(format(
        'UPDATE negotiation.negotiations SET %s WHERE id = ''ffffffff-ffff-4fff-bfff-fffffffffff1''', p_change))
$$;

CREATE FUNCTION pg_temp.guide()
RETURNS TABLE (name text, type regtype)
LANGUAGE sql
AS $$
    VALUES ('id', 'uuid'::regtype), ('intent_id', 'uuid'), ('initiator_did', 'text'), ('responder_did', 'text'),
           ('state', 'text'), ('rounds', 'jsonb'), ('convergence_score', 'numeric'), ('current_proposal', 'jsonb'),
           ('final_proposal', 'jsonb'), ('incentive_split', 'jsonb'), ('max_rounds', 'integer'),
           ('created_at', 'timestamptz'), ('expires_at', 'timestamptz'), ('updated_at', 'timestamptz')
$$;

-- The columns of a constraint or an index, in its order.
CREATE FUNCTION pg_temp.columns_of(p_numbers smallint[])
RETURNS text[]
LANGUAGE sql
AS $$
    SELECT array_agg(attribute.attname::text ORDER BY wanted.place)
      FROM unnest(p_numbers) WITH ORDINALITY AS wanted (number, place)
      JOIN pg_attribute AS attribute
           ON attribute.attrelid = to_regclass('negotiation.negotiations') AND attribute.attnum = wanted.number
$$;

-- Which states an index covers: its predicate is asked, not read.
CREATE FUNCTION pg_temp.states_covered(p_index text)
RETURNS text[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_predicate text;
    v_states text[];
BEGIN
    SELECT coalesce(pg_get_expr(indpred, indrelid), 'true') INTO STRICT v_predicate
      FROM pg_index
     WHERE indexrelid = to_regclass(p_index) AND indisvalid;
    EXECUTE format('SELECT array_agg(state) FROM unnest($1) AS known (state) WHERE %s', v_predicate) INTO v_states
      USING '{initiated,proposed,counter_proposed,accepted,rejected,expired}'::text[];
    RETURN v_states;
EXCEPTION
    WHEN OTHERS THEN RETURN NULL;
END
$$;

-- Two agents of one account, under names that nobody can have, and what three negotiations between them need.
WITH person AS (
    INSERT INTO identity.users (solana_did, wallet_address)
    SELECT 'did:sol:' || drawn.wallet, drawn.wallet
      FROM (SELECT translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z') AS wallet) AS drawn
    RETURNING id
)
INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                             content_hash, ttl_s, expires_at, creator_user_id)
SELECT 'did:web:' || party.name || '.verify.invalid', 'verify-' || gen_random_uuid(), 'Verify ' || gen_random_uuid(),
       '', '', '', translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z'), decode(repeat('00', 32), 'hex'), '',
       60, clock_timestamp(), person.id
  FROM person
 CROSS JOIN (VALUES ('buyer'), ('seller')) AS party (name);
INSERT INTO negotiation.intents (id, requester_did, description, budget)
VALUES ('ffffffff-ffff-4fff-bfff-ffffffffffff', 'did:web:buyer.verify.invalid', 'verify', 1);

-- One that has time, one whose time is over, and one that ended before its time was over.
WITH decision AS (
    SELECT decided.id
      FROM governance.file_decision('verify', 'did:web:buyer.verify.invalid', 'did:web:seller.verify.invalid', 0, '{}',
                                    '{}', clock_timestamp()) AS decided
)
INSERT INTO negotiation.negotiations (id, intent_id, initiator_did, responder_did, incentive_split, expires_at,
                                      turn_did, decision_id)
SELECT 'ffffffff-ffff-4fff-bfff-fffffffffff1'::uuid, 'ffffffff-ffff-4fff-bfff-ffffffffffff',
       'did:web:buyer.verify.invalid', 'did:web:seller.verify.invalid',
       '{"agent": 7000, "broker": 1000, "validator": 1000, "pool": 1000}', clock_timestamp() + interval '1 hour',
       'did:web:seller.verify.invalid', decision.id
  FROM decision;
INSERT INTO negotiation.negotiations (id, intent_id, initiator_did, responder_did, state, incentive_split, expires_at,
                                      turn_did, decision_id)
SELECT past.id, tried.intent_id, tried.initiator_did, tried.responder_did, past.state, tried.incentive_split,
       clock_timestamp() - interval '1 hour', tried.turn_did, tried.decision_id
  FROM negotiation.negotiations AS tried
 CROSS JOIN (VALUES ('ffffffff-ffff-4fff-bfff-fffffffffff2'::uuid, 'proposed'),
                    ('ffffffff-ffff-4fff-bfff-fffffffffff3', 'rejected')) AS past (id, state)
 WHERE tried.id = 'ffffffff-ffff-4fff-bfff-fffffffffff1';

SELECT 'negotiations 01: the table exists' AS "check",
       to_regclass('negotiation.negotiations') IS NOT NULL AS ok;
SELECT 'negotiations 02: it has the fourteen columns, each of its type' AS "check",
       bool_and(attribute.attname IS NOT NULL) AND count(*) = 14 AS ok,
       string_agg(guide.name || ' ' || guide.type, ', ') FILTER (WHERE attribute.attname IS NULL) AS detail
  FROM pg_temp.guide() AS guide
  LEFT JOIN pg_attribute AS attribute
         ON attribute.attrelid = to_regclass('negotiation.negotiations')
        AND attribute.attname = guide.name
        AND attribute.atttypid = guide.type
        AND NOT attribute.attisdropped;
SELECT 'negotiations 03: the primary key is id' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conrelid = to_regclass('negotiation.negotiations')
   AND contype = 'p'
   AND pg_temp.columns_of(conkey) = '{id}';
SELECT 'negotiations 04: participants differ, states are known, convergence is 0 to 1, max rounds are 1 to 20' AS "check",
       bool_and(((tried.refusal <> '') = (rule.breaks IS NOT NULL)) IS TRUE) AS ok,
       string_agg(rule.change || ' ' || CASE WHEN tried.refusal = '' THEN 'was taken'
                                             ELSE coalesce('was refused by ' || tried.refusal, 'failed') END, '; ')
           FILTER (WHERE (tried.refusal <> '') IS DISTINCT FROM (rule.breaks IS NOT NULL)) AS detail
  FROM (VALUES ('responder_did = initiator_did, turn_did = initiator_did', 'participants'),
               ('state = ''settled''', 'state'),
               ('convergence_score = -0.01', 'convergence'), ('convergence_score = 1.01', 'convergence'),
               ('max_rounds = 0', 'rounds'), ('max_rounds = 21', 'rounds'),
               ('state = ''proposed''', NULL), ('convergence_score = 0', NULL), ('convergence_score = 1', NULL),
               ('max_rounds = 1', NULL), ('max_rounds = 20', NULL)) AS rule (change, breaks)
 CROSS JOIN LATERAL pg_temp.refusal_of_change(rule.change) AS tried (refusal);
SELECT 'negotiations 05: its six indexes exist, each led by its columns' AS "check",
       bool_and(coalesce(found.columns[1:cardinality(guide.columns)] = guide.columns, false)) AS ok,
       string_agg(guide.name, ', ')
           FILTER (WHERE (found.columns[1:cardinality(guide.columns)] = guide.columns) IS NOT TRUE) AS detail
  FROM (VALUES ('idx_negotiations_intent', '{intent_id}'::text[]),
               ('idx_negotiations_initiator', '{initiator_did,created_at}'),
               ('idx_negotiations_responder', '{responder_did,created_at}'),
               ('idx_negotiations_state', '{state}'),
               ('idx_negotiations_expires', '{expires_at}'),
               ('idx_negotiations_convergence', '{convergence_score}')) AS guide (name, columns)
  LEFT JOIN LATERAL (SELECT pg_temp.columns_of(indkey::smallint[]) AS columns
                       FROM pg_index
                      WHERE indexrelid = to_regclass('negotiation.' || guide.name)
                        AND indrelid = to_regclass('negotiation.negotiations')
                        AND indisvalid) AS found ON true;
SELECT 'negotiations 06: the indexes of expiry and convergence cover the open states and no others' AS "check",
       pg_temp.states_covered('negotiation.idx_negotiations_expires') = '{initiated,proposed,counter_proposed}'
       AND pg_temp.states_covered('negotiation.idx_negotiations_convergence') = '{initiated,proposed,counter_proposed}' AS ok;
SELECT 'negotiations 07: a trigger runs before each change of a row' AS "check", count(*) = 1 AS ok
  FROM pg_trigger
 WHERE tgrelid = to_regclass('negotiation.negotiations')
   AND tgfoid = to_regprocedure('negotiation.update_negotiations_timestamp()')
   AND tgtype & 1 = 1 -- for each row
   AND tgtype & 2 = 2 -- before
   AND tgtype & 16 = 16 -- update
   AND tgqual IS NULL
   AND cardinality(tgattr::smallint[]) = 0
   AND tgenabled IN ('O', 'A');
SELECT 'negotiations 08: update_negotiations_timestamp() is a trigger function' AS "check", count(*) = 1 AS ok
  FROM pg_proc
 WHERE oid = to_regprocedure('negotiation.update_negotiations_timestamp()')
   AND prorettype = 'trigger'::regtype;
SELECT 'negotiations 09: expire_stale_negotiations() returns a count' AS "check", count(*) = 1 AS ok
  FROM pg_proc
 WHERE oid = to_regprocedure('negotiation.expire_stale_negotiations()')
   AND prorettype = 'integer'::regtype
   AND NOT proretset;
SELECT 'negotiations 10: rounds begin as an empty list' AS "check",
       (SELECT tried.rounds = '[]' FROM negotiation.negotiations AS tried
         WHERE tried.id = 'ffffffff-ffff-4fff-bfff-fffffffffff1') AS ok;
SELECT 'negotiations 11: a new row is initiated, without convergence, for ten rounds at most' AS "check",
       (SELECT (tried.state, tried.convergence_score, tried.max_rounds) = ('initiated', 0, 10)
               AND num_nonnulls(tried.current_proposal, tried.final_proposal) = 0
               AND num_nulls(tried.created_at, tried.updated_at) = 0
          FROM negotiation.negotiations AS tried
         WHERE tried.id = 'ffffffff-ffff-4fff-bfff-fffffffffff1') AS ok;
UPDATE negotiation.negotiations
   SET updated_at = created_at - interval '1 day', convergence_score = 0.5
 WHERE id = 'ffffffff-ffff-4fff-bfff-fffffffffff1';
SELECT 'negotiations 12: a change moves updated_at to its own time, whatever it says itself' AS "check",
       (SELECT tried.updated_at > tried.created_at FROM negotiation.negotiations AS tried
         WHERE tried.id = 'ffffffff-ffff-4fff-bfff-fffffffffff1') AS ok;

-- The last to write: it also finds what is stale among the real rows, and they wait for the end of this transaction.
DO $$
BEGIN
    PERFORM set_config('verify.expired', negotiation.expire_stale_negotiations()::text, true);
END
$$;
SELECT 'negotiations 13: expiry ends and counts what is open past its time, and nothing else' AS "check",
       current_setting('verify.expired', true)::integer >= 1
       AND (SELECT array_agg(tried.state ORDER BY tried.id) = '{initiated,expired,rejected}'
              FROM negotiation.negotiations AS tried
             WHERE tried.initiator_did = 'did:web:buyer.verify.invalid') AS ok;

-- That an accepted row needs more than AINP asks of it is no rule about states: only rules about its columns alone count.
SELECT 'negotiations 14: a state that is not one of the six is refused, and none of the six is' AS "check",
       bool_and(CASE WHEN given.known THEN tried.refusal = '' OR NOT coalesce(guide.rules, false)
                     ELSE tried.refusal <> '' END IS TRUE) AS ok,
       string_agg(given.state || ': ' || coalesce(nullif(tried.refusal, ''), 'taken'), '; ') AS detail
  FROM (VALUES ('initiated', true), ('proposed', true), ('counter_proposed', true), ('accepted', true),
               ('rejected', true), ('expired', true), ('settled', false), ('ACCEPTED', false), ('', false))
       AS given (state, known)
 CROSS JOIN LATERAL pg_temp.refusal_of_change(format('state = %L', given.state)) AS tried (refusal)
  LEFT JOIN LATERAL (SELECT pg_temp.columns_of(conkey) <@ ARRAY(SELECT name FROM pg_temp.guide()) AS rules
                       FROM pg_constraint
                      WHERE conrelid = to_regclass('negotiation.negotiations')
                        AND conname = tried.refusal) AS guide ON true;

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
