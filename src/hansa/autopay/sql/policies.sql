GRANT USAGE ON SCHEMA autopay TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON autopay.agents, autopay.budgets TO hansa_app;
GRANT SELECT, INSERT ON autopay.transactions, autopay.transaction_events, autopay.api_request_logs, autopay.balance_snapshots TO hansa_app;
-- What is bought, from whom and for how much never changes: only its progress does.
GRANT UPDATE (hash, status, facilitator_response, retry_count, backoff_delay, error_type, message_hash, payload_digest,
              payload, memo, token_program, last_valid_block_height, verification_hash, updated_at, signed_at,
              follow_at, ended_at) ON autopay.transactions TO hansa_app;
GRANT SELECT ON autopay.discrepancies TO hansa_app;

-- An agent's money is its own business: every table shows each agent its own rows, and the house all of them.
ALTER TABLE autopay.agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.agents FORCE ROW LEVEL SECURITY;
CREATE POLICY autopay_agents_of_the_actor ON autopay.agents TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.budgets FORCE ROW LEVEL SECURITY;
CREATE POLICY budgets_of_the_actor ON autopay.budgets TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.transactions FORCE ROW LEVEL SECURITY;
CREATE POLICY transactions_of_the_actor ON autopay.transactions TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.transaction_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.transaction_events FORCE ROW LEVEL SECURITY;
CREATE POLICY transaction_events_of_the_actor ON autopay.transaction_events TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.api_request_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.api_request_logs FORCE ROW LEVEL SECURITY;
CREATE POLICY api_request_logs_of_the_actor ON autopay.api_request_logs TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE autopay.balance_snapshots ENABLE ROW LEVEL SECURITY;
ALTER TABLE autopay.balance_snapshots FORCE ROW LEVEL SECURITY;
CREATE POLICY balance_snapshots_of_the_actor ON autopay.balance_snapshots TO hansa_app
    USING (agent_did = current_setting('hansa.actor', true)
           OR current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
