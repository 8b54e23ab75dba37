-- verify: writes
-- What is tried is tried on accounts of this transaction, which is undone.

-- The name of what refused a statement; '' when it was taken. It is undone at once.
CREATE FUNCTION pg_temp.refusal(p_statement text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    v_name text;
BEGIN
    EXECUTE p_statement;
    RAISE EXCEPTION 'undone' USING ERRCODE = 'VR001';
EXCEPTION
    WHEN SQLSTATE 'VR001' THEN RETURN '';
    WHEN check_violation THEN
        GET STACKED DIAGNOSTICS v_name = CONSTRAINT_NAME;
        RETURN v_name;
END
$$;

DO $$
BEGIN
    PERFORM credits.post(
        'deposit', 'verify:' || gen_random_uuid(), 'verify', NULL, NULL,
        ARRAY['system:mint', 'did:web:payer.verify.invalid'], ARRAY['available', 'available']::credits.bucket[],
        ARRAY['deposit', 'deposit']::credits.tx_type[], ARRAY[-500, 500]::bigint[]
    );
    PERFORM credits.reserve('did:web:payer.verify.invalid', 100, 'verify', gen_random_uuid()::text, NULL, clock_timestamp());
END
$$;

SELECT 'the books are right, system accounts included' AS "check", count(*) = 0 AS ok,
       string_agg(kind || ' ' || subject || ': ' || finding, '; ') AS detail
  FROM credits.discrepancies;
SELECT 'no system account but the mint can go below zero' AS "check",
       bool_and(pg_temp.refusal(format('UPDATE credits.credit_accounts SET balance = -1 WHERE account = %L', account))
                = CASE WHEN account = 'system:mint' THEN '' ELSE 'only_the_mint_goes_below_zero' END) AS ok
  FROM credits.credit_accounts
 WHERE kind = 'system';
SELECT 'pool, treasury and escrow pay no more than they have' AS "check",
       bool_and(tried.refusal = guarded.name) AS ok,
       string_agg(guarded.account || ': ' || tried.refusal, '; ') FILTER (WHERE tried.refusal <> guarded.name) AS detail
  FROM (VALUES ('system:pool', 'pool_covers_rewards'), ('system:treasury', 'treasury_covers_payments'),
               ('system:escrow', 'escrow_covers_payments')) AS guarded (account, name)
  JOIN credits.system_balances AS held ON held.account = guarded.account
 CROSS JOIN LATERAL pg_temp.refusal(format(
       'SELECT credits.disburse(%L, ''did:web:payer.verify.invalid'', ''{earn}'', ARRAY[%s + 1]::bigint[], ''verify'', ''verify'', NULL)',
       guarded.account, held.balance)) AS tried (refusal);
SELECT 'an account that nobody spoke of has the limits of the house' AS "check",
       bool_and((own.transfer_max, own.day_max, own.used) = (coalesce(house.transfer_max, 100000000),
                                                             coalesce(house.day_max, 1000000000), 0)) AS ok
  FROM credits.limits_of('did:web:payer.verify.invalid') AS own
  LEFT JOIN credits.limits AS house ON true;
SELECT 'a payment is from what is available, to another account' AS "check",
       pg_temp.refusal($$ SELECT credits.pay('did:web:payer.verify.invalid', 'system:treasury', 401, 'verify', '', NULL) $$)
       = 'funds_available_to_pay'
       AND pg_temp.refusal($$ SELECT credits.pay('did:web:payer.verify.invalid', 'did:web:payer.verify.invalid', 1, 'verify', '', NULL) $$)
           = 'paid_to_another' AS ok;
SELECT 'a hold that ended stays ended, and keeps its amount' AS "check",
       pg_temp.refusal($$ UPDATE credits.holds SET state = 'released', ended_at = now() WHERE account = 'did:web:payer.verify.invalid';
                          UPDATE credits.holds SET state = 'held', ended_at = NULL WHERE account = 'did:web:payer.verify.invalid' $$)
       = 'ended_holds_stay_ended'
       AND pg_temp.refusal($$ UPDATE credits.holds SET amount = 1 WHERE account = 'did:web:payer.verify.invalid' $$)
           = 'holds_stay_what_they_are'
       AND pg_temp.refusal($$ DELETE FROM credits.holds WHERE account = 'did:web:payer.verify.invalid' $$)
           = 'holds_stay_what_they_are' AS ok;
SELECT 'the application changes of accounts and holds what its routines change' AS "check",
       array_agg(column_name::text ORDER BY column_name)
       = '{balance,earned,ended_at,reserved,spent,state,updated_at}' AS ok,
       string_agg(table_name || '.' || column_name, ', ') AS detail
  FROM information_schema.column_privileges
 WHERE grantee = 'hansa_app'
   AND privilege_type = 'UPDATE'
   AND table_schema = 'credits'
   AND table_name IN ('credit_accounts', 'holds');
