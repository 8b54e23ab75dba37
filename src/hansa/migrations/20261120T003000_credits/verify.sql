-- verify: writes
-- The ten checks of AINP's credit ledger under its numbers, then our own. Where AINP has one-sided rows, ours are
-- movements with postings; the checks keep their meaning. What is tried is tried on an account of this transaction, which is undone.

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
        'UPDATE credits.credit_accounts SET %s WHERE account = ''did:web:holder.verify.invalid''', p_change))
$$;

-- The columns of a key or an index, in its order.
CREATE FUNCTION pg_temp.columns_of(p_table oid, p_numbers smallint[])
RETURNS text[]
LANGUAGE sql
AS $$
    SELECT array_agg(attribute.attname::text ORDER BY wanted.place)
      FROM unnest(p_numbers) WITH ORDINALITY AS wanted (number, place)
      JOIN pg_attribute AS attribute ON attribute.attrelid = p_table AND attribute.attnum = wanted.number
$$;

-- Two deposits on an account under a name that nobody can have; the time of the first is kept for the sixth check.
DO $$
BEGIN
    FOR v_deposit IN 1..2 LOOP
        PERFORM set_config('verify.moved_at', coalesce((SELECT updated_at::text FROM credits.credit_accounts
                                                         WHERE account = 'did:web:holder.verify.invalid'), ''), true);
        PERFORM credits.post(
            'deposit', 'verify:' || gen_random_uuid(), 'verify', NULL, NULL,
            ARRAY['system:mint', 'did:web:holder.verify.invalid'], ARRAY['available', 'available']::credits.bucket[],
            ARRAY['deposit', 'deposit']::credits.tx_type[], ARRAY[-500, 500]::bigint[]
        );
    END LOOP;
END
$$;

SELECT 'credits 01: credit_accounts exists, with its amounts in whole units' AS "check",
       bool_and(attribute.attname IS NOT NULL) AS ok,
       string_agg(guide.name || ' ' || guide.type, ', ') FILTER (WHERE attribute.attname IS NULL) AS detail
  FROM (VALUES ('balance', 'bigint'::regtype), ('reserved', 'bigint'), ('earned', 'bigint'), ('spent', 'bigint'),
               ('created_at', 'timestamptz'), ('updated_at', 'timestamptz')) AS guide (name, type)
  LEFT JOIN pg_attribute AS attribute
         ON attribute.attrelid = to_regclass('credits.credit_accounts')
        AND attribute.attname = guide.name
        AND attribute.atttypid = guide.type
        AND attribute.attnotnull
        AND NOT attribute.attisdropped;
SELECT 'credits 02: credit_transactions exists, for every kind of movement' AS "check",
       to_regclass('credits.credit_transactions') IS NOT NULL
       AND enum_range(NULL::credits.tx_type)::text[]
           @> '{deposit,earn,reserve,release,spend,pou_compute,pou_memory,pou_routing,pou_validation}' AS ok;
SELECT 'credits 03: an account is found by its holder through an index' AS "check", count(*) >= 1 AS ok
  FROM pg_index
 WHERE indrelid = to_regclass('credits.credit_accounts')
   AND pg_temp.columns_of(indrelid, indkey::smallint[]) = '{account}'
   AND indpred IS NULL
   AND indisunique
   AND indisvalid;
SELECT 'credits 04: movements are found by id and key, postings by movement and by account, through indexes' AS "check",
       bool_and(found.relation IS NOT NULL) AS ok,
       string_agg(guide.name || '.' || guide.column, ', ') FILTER (WHERE found.relation IS NULL) AS detail
  FROM (VALUES ('credit_transactions', 'id'), ('credit_transactions', 'key'), ('postings', 'transaction_id'),
               ('postings', 'account')) AS guide (name, "column")
  LEFT JOIN LATERAL (SELECT DISTINCT indrelid AS relation
                       FROM pg_index
                      WHERE indrelid = to_regclass('credits.' || guide.name)
                        AND (pg_temp.columns_of(indrelid, indkey::smallint[]))[1] = guide.column
                        AND indpred IS NULL
                        AND indisvalid) AS found ON true;
SELECT 'credits 05: a posting is of a movement and on an account, by foreign keys that delete nothing' AS "check",
       count(*) FILTER (WHERE confrelid = to_regclass('credits.credit_transactions')) >= 1
       AND count(*) FILTER (WHERE confrelid = to_regclass('credits.credit_accounts')) >= 1
       AND bool_and(confdeltype IN ('a', 'r')) AS ok
  FROM pg_constraint
 WHERE conrelid = to_regclass('credits.postings')
   AND contype = 'f'
   AND convalidated;
SELECT 'credits 06: updated_at of an account moves when its balance does' AS "check",
       (SELECT tried.updated_at > nullif(current_setting('verify.moved_at', true), '')::timestamptz
          FROM credits.credit_accounts AS tried
         WHERE tried.account = 'did:web:holder.verify.invalid') AS ok;
SELECT 'credits 07: an account appears with its first movement and has what it says' AS "check",
       (SELECT (tried.balance, tried.reserved, tried.earned, tried.spent) = (1000, 0, 0, 0)
          FROM credits.credit_accounts AS tried
         WHERE tried.account = 'did:web:holder.verify.invalid') AS ok;
SELECT 'credits 08: a deposit is written as a movement whose postings sum to zero' AS "check",
       (SELECT count(DISTINCT movement.id) = 2 AND count(*) = 4 AND sum(posting.amount) = 0
               AND sum(posting.amount) FILTER (WHERE posting.account = 'did:web:holder.verify.invalid') = 1000
          FROM credits.credit_transactions AS movement
          JOIN credits.postings AS posting ON posting.transaction_id = movement.id
         WHERE movement.tx_type = 'deposit'
           AND movement.id IN (SELECT own.transaction_id
                                 FROM credits.postings AS own
                                WHERE own.account = 'did:web:holder.verify.invalid')) AS ok;
SELECT 'credits 09: a negative balance is refused' AS "check",
       pg_temp.refusal_of_change('balance = -1, reserved = 0') <> ''
       AND pg_temp.refusal_of_change('balance = 0, reserved = 0') = '' AS ok;
SELECT 'credits 10: more reserved than there is, or less than nothing, is refused' AS "check",
       pg_temp.refusal_of_change('balance = 1000, reserved = 1001') <> ''
       AND pg_temp.refusal_of_change('balance = 1000, reserved = -1') <> ''
       AND pg_temp.refusal_of_change('balance = 1000, reserved = 1000') = '' AS ok;

SELECT 'accounts, movements, postings and holds exist' AS "check",
       count(*) = 4 AS ok
  FROM pg_tables
 WHERE schemaname = 'credits'
   AND tablename IN ('credit_accounts', 'credit_transactions', 'postings', 'holds');
SELECT 'the four system accounts exist' AS "check", count(*) = 4 AS ok
  FROM credits.credit_accounts
 WHERE kind = 'system';
SELECT 'postings are checked to sum to zero at the commit' AS "check", count(*) = 1 AS ok
  FROM pg_trigger
 WHERE tgname = 'postings_sum_to_zero'
   AND tgdeferrable
   AND tginitdeferred
   AND tgenabled = 'O';
SELECT 'the application cannot change or delete a posting' AS "check",
       NOT has_table_privilege('hansa_app', 'credits.postings', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'credits.postings', 'DELETE') AS ok;
SELECT 'the books are right' AS "check", count(*) = 0 AS ok, string_agg(kind || ' ' || subject || ': ' || finding, '; ') AS detail
  FROM credits.discrepancies;
