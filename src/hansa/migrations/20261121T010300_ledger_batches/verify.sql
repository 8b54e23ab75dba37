-- verify: writes
-- What is tried is tried on an account of this transaction, which is undone.

-- What the books refused, which is undone at once: '' nothing, or the name of the rule.
CREATE FUNCTION pg_temp.refusal(p_statement text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    v_name text;
BEGIN
    EXECUTE p_statement;
    SET CONSTRAINTS ALL IMMEDIATE;
    RAISE EXCEPTION 'undone' USING ERRCODE = 'VR001';
EXCEPTION
    WHEN SQLSTATE 'VR001' THEN RETURN '';
    WHEN check_violation THEN
        GET STACKED DIAGNOSTICS v_name = CONSTRAINT_NAME;
        RETURN v_name;
    WHEN OTHERS THEN RETURN NULL;
END
$$;

CREATE FUNCTION pg_temp.posting(p_movement text, p_line integer, p_amount integer)
RETURNS text
LANGUAGE sql
AS $$
    SELECT format('INSERT INTO credits.postings (transaction_id, line, account, bucket, tx_type, amount)
                   SELECT id, %s, ''system:pool'', ''available'', ''deposit'', %s
                     FROM credits.credit_transactions WHERE key = %L', p_line, p_amount, p_movement)
$$;

CREATE TEMPORARY TABLE tried ON COMMIT DROP AS
SELECT (entry).*
  FROM credits.apply_batch(ARRAY[
    ROW('deposit', 'did:web:batch.verify.invalid', 100, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'system:mint',
        'faucet:verify:batch', 'verify', NULL),
    ROW('reserve', 'did:web:batch.verify.invalid', 60, 'verify', 'one', now() + interval '1 day', NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL),
    ROW('reserve', 'did:web:batch.verify.invalid', 60, 'verify', 'two', now() + interval '1 day', NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL)
  ]::credits.operation[]) AS entry;

SELECT 'a batch does what can be done and refuses the rest by name' AS "check",
       array_agg(coalesce(tried.refusal, 'made') ORDER BY tried.n) = '{made,made,funds_available_to_reserve}' AS ok,
       string_agg(coalesce(tried.refusal, 'made'), ', ' ORDER BY tried.n) AS detail
  FROM tried;
SELECT 'a batch leaves each account with what its operations say' AS "check",
       (SELECT (account.balance, account.reserved) = (100, 60)
          FROM credits.credit_accounts AS account
         WHERE account.account = 'did:web:batch.verify.invalid') AS ok;
SELECT 'postings that do not sum to zero are refused at the commit' AS "check",
       pg_temp.refusal('INSERT INTO credits.credit_transactions (tx_type, key, reason) VALUES (''deposit'', ''verify:half'', ''v'');'
                       || pg_temp.posting('verify:half', 1, 5)) = 'postings_sum_to_zero' AS ok;
SELECT 'nothing is added to a movement after it was written' AS "check",
       pg_temp.refusal(pg_temp.posting('faucet:verify:batch', 3, 5)) = 'movement_written_whole' AS ok;
SELECT 'the books are right' AS "check", count(*) = 0 AS ok,
       string_agg(kind || ' ' || subject || ': ' || finding, '; ') AS detail
  FROM credits.discrepancies;
