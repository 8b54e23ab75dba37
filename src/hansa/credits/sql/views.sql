CREATE VIEW credits.system_balances WITH (security_invoker) AS
SELECT account.account, coalesce(sum(posting.amount), 0)::bigint AS balance
  FROM credits.credit_accounts AS account
  LEFT JOIN credits.postings AS posting ON posting.account = account.account
 WHERE account.kind = 'system'
 GROUP BY account.account;
COMMENT ON VIEW credits.system_balances IS 'What the mint, treasury, pool and escrow hold: the sum of their postings.';

CREATE VIEW credits.discrepancies WITH (security_invoker) AS
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
 WHERE kept.reserved <> CASE WHEN hold.state = 'held' THEN hold.amount ELSE 0 END
UNION ALL
SELECT 'system', account.account,
       format('at least %s is said to be there, its postings say %s', account.balance, summed.balance)
  FROM credits.credit_accounts AS account
  JOIN credits.system_balances AS summed ON summed.account = account.account
 WHERE account.balance > summed.balance
    OR (summed.balance < 0 AND account.account <> 'system:mint');
COMMENT ON VIEW credits.discrepancies IS 'Every way in which the books could be wrong, one row each; empty when they are right.';
