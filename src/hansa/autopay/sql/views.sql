CREATE VIEW autopay.discrepancies WITH (security_invoker) AS
SELECT budget.id::text AS subject,
       format('the budget says spent %s reserved %s, its transactions say %s %s',
              budget.spent, budget.reserved, summed.spent, summed.reserved) AS finding
  FROM autopay.budgets AS budget
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(paid.amount) FILTER (WHERE paid.status IN ('SUCCESS', 'VERIFIED')), 0) AS spent,
              coalesce(sum(paid.amount) FILTER (WHERE paid.status IN ('PENDING', 'RETRYING')), 0) AS reserved
         FROM autopay.transactions AS paid
        WHERE paid.budget_id = budget.id) AS summed
 WHERE (budget.spent, budget.reserved) IS DISTINCT FROM (summed.spent, summed.reserved);
COMMENT ON VIEW autopay.discrepancies IS 'Budgets that differ from the sum of their transactions; empty when the books are right.';
