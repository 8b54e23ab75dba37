GRANT UPDATE ON credits.credit_accounts, credits.holds TO hansa_app;
REVOKE UPDATE (balance, reserved, earned, spent, updated_at) ON credits.credit_accounts FROM hansa_app;
REVOKE UPDATE (state, ended_at) ON credits.holds FROM hansa_app;

CREATE OR REPLACE VIEW credits.discrepancies WITH (security_invoker) AS
SELECT 'movement' AS kind, posting.transaction_id::text AS subject,
       'postings sum to ' || sum(posting.amount) AS finding
  FROM credits.postings AS posting
 GROUP BY posting.transaction_id
HAVING sum(posting.amount) <> 0
UNION ALL
SELECT 'account', account.account,
       format('row says balance %s reserved %s earned %s spent %s, postings say %s %s %s %s',
              account.balance, account.reserved, account.earned, account.spent,
              summed.balance, summed.reserved, summed.earned, summed.spent)
  FROM credits.credit_accounts AS account
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(posting.amount), 0) AS balance,
              coalesce(sum(posting.amount) FILTER (WHERE posting.bucket = 'reserved'), 0) AS reserved,
              coalesce(sum(posting.amount) FILTER (WHERE posting.tx_type = 'earn'
                                                      OR posting.tx_type >= 'pou_compute'), 0) AS earned,
              coalesce(-sum(posting.amount) FILTER (WHERE posting.tx_type = 'spend'), 0) AS spent
         FROM credits.postings AS posting
        WHERE posting.account = account.account) AS summed
 WHERE account.kind = 'agent'
   AND (account.balance, account.reserved, account.earned, account.spent)
       IS DISTINCT FROM (summed.balance, summed.reserved, summed.earned, summed.spent)
UNION ALL
SELECT 'hold', hold.id::text,
       format('hold is %s with %s, its postings keep %s reserved', hold.state, hold.amount, kept.reserved)
  FROM credits.holds AS hold
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(posting.amount), 0) AS reserved
         FROM credits.credit_transactions AS movement
         JOIN credits.postings AS posting ON posting.transaction_id = movement.id
        WHERE movement.hold_id = hold.id
          AND posting.bucket = 'reserved') AS kept
 WHERE kept.reserved <> CASE WHEN hold.state = 'held' THEN hold.amount ELSE 0 END;
COMMENT ON VIEW credits.discrepancies IS 'Every way in which the books could be wrong, one row each; empty when they are right.';

DROP FUNCTION credits.first_id_at(timestamptz);
DROP FUNCTION credits.release_own(uuid, text);
DROP FUNCTION credits.disburse(text, text, credits.tx_type[], bigint[], text, text, uuid);
DROP FUNCTION credits.transfer(text, text, bigint, text, text);
DROP FUNCTION credits.pay(text, text, bigint, text, text, uuid);
DROP FUNCTION credits.limits_of(text);
DROP FUNCTION credits.require_account(text);
DROP TRIGGER holds_go_one_way ON credits.holds;
DROP FUNCTION credits.keep_hold();
DROP TRIGGER credits_are_issued ON credits.postings;
DROP FUNCTION credits.issue();
DROP TRIGGER outgoing_is_covered ON credits.postings;
DROP FUNCTION credits.cover_outgoing();
DROP INDEX credits.movements_of_an_intent;
DROP INDEX credits.postings_paid_outside_holds;
DROP TABLE credits.reconciliations;
DROP TABLE credits.account_limits;
DROP TABLE credits.limits;

-- The sums stay what they are; the numbers beside them go back to nothing.
ALTER TABLE credits.credit_accounts DROP CONSTRAINT only_the_mint_goes_below_zero;
UPDATE credits.credit_accounts SET balance = 0 WHERE kind = 'system';
COMMENT ON COLUMN credits.credit_accounts.balance IS 'Sum of all postings of the account, in units of 1/1000 credit. System accounts keep none: one hot row would serialise every settlement; credits.system_balances sums their postings.';
