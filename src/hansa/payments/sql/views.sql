CREATE VIEW payments.discrepancies WITH (security_invoker) AS
SELECT claim.id::text AS subject,
       format('the claim is %s, its history ends with %s', claim.state, coalesce(last.state::text, 'nothing')) AS finding
  FROM payments.claims AS claim
  LEFT JOIN LATERAL (
       SELECT noted.state
         FROM payments.claim_events AS noted
        WHERE noted.claim_id = claim.id
        ORDER BY noted.id DESC
        LIMIT 1) AS last ON true
 WHERE last.state IS DISTINCT FROM claim.state
UNION ALL
SELECT answer.message_hash, 'an answer was kept for a payment whose claim is for another resource'
  FROM payments.paid_answers AS answer
  JOIN payments.claims AS claim ON claim.message_hash = answer.message_hash
 WHERE claim.resource <> ''
   AND substring(answer.resource FROM position(' ' IN answer.resource) + 1) <> claim.resource;
COMMENT ON VIEW payments.discrepancies IS 'Every way in which the records of payments contradict each other; empty when they are right.';
