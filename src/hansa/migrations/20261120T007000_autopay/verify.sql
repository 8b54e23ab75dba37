SELECT 'agents, budgets, transactions, their events, request logs and balances exist' AS "check", count(*) = 6 AS ok
  FROM pg_tables
 WHERE schemaname = 'autopay'
   AND tablename IN ('agents', 'budgets', 'transactions', 'transaction_events', 'api_request_logs', 'balance_snapshots');
SELECT 'a transaction hash is unique on its network' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'Transaction_hash_network'
   AND contype = 'u';
SELECT 'spending above a budget is refused by constraints' AS "check", count(*) = 2 AS ok
  FROM pg_constraint
 WHERE conname IN ('spending_within_the_budget', 'spending_within_the_period')
   AND convalidated;
SELECT 'three retries at most, and kept payments are sealed' AS "check", count(*) = 2 AS ok
  FROM pg_constraint
 WHERE conname IN ('three_retries_at_most', 'kept_payments_are_sealed')
   AND convalidated;
SELECT 'the enums have the labels of the Autopay agent' AS "check",
       enum_range(NULL::autopay.autonomy_phase)::text = '{DEMO,INTERACTIVE,FULL}'
       AND enum_range(NULL::autopay.currency)::text = '{CASH,USDC}'
       AND enum_range(NULL::autopay.transaction_status)::text = '{PENDING,SUCCESS,FAILED,RETRYING,VERIFIED}'
       AND enum_range(NULL::autopay.error_type)::text = '{INSUFFICIENT_FUNDS,NETWORK_FAILURE,REJECTED,RPC_ERROR}'
       AND enum_range(NULL::autopay.network)::text = '{DEVNET,MAINNET}'
       AND enum_range(NULL::autopay.balance_status)::text = '{SUFFICIENT,LOW,PAUSED}' AS ok;
SELECT 'the ledger is append only for the application' AS "check",
       NOT has_table_privilege('hansa_app', 'autopay.transaction_events', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'autopay.transaction_events', 'DELETE')
       AND NOT has_table_privilege('hansa_app', 'autopay.api_request_logs', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'autopay.api_request_logs', 'DELETE')
       AND NOT has_column_privilege('hansa_app', 'autopay.transactions', 'amount', 'UPDATE') AS ok;
SELECT 'row-level security is forced on every table' AS "check", count(*) = 6 AS ok
  FROM pg_class
 WHERE relnamespace = 'autopay'::regnamespace
   AND relkind = 'r'
   AND relrowsecurity
   AND relforcerowsecurity;
SELECT 'the budgets agree with their transactions' AS "check", count(*) = 0 AS ok, string_agg(subject || ': ' || finding, '; ') AS detail
  FROM autopay.discrepancies;
