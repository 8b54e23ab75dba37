GRANT USAGE ON SCHEMA credits TO hansa_app;
GRANT SELECT, INSERT, UPDATE (balance, reserved, earned, spent, updated_at) ON credits.credit_accounts TO hansa_app;
GRANT SELECT, INSERT, UPDATE (state, ended_at) ON credits.holds TO hansa_app;
GRANT SELECT, INSERT ON credits.credit_transactions, credits.postings TO hansa_app;
GRANT SELECT ON credits.system_balances, credits.discrepancies TO hansa_app;
GRANT SELECT, INSERT (transfer_max, day_max, changed_by), UPDATE (transfer_max, day_max, changed_at, changed_by)
   ON credits.limits TO hansa_app;
GRANT SELECT, INSERT (account, transfer_max, day_max, changed_by), DELETE,
      UPDATE (transfer_max, day_max, changed_at, changed_by) ON credits.account_limits TO hansa_app;
GRANT SELECT, INSERT (accounts, movements, holds, discrepancies), DELETE ON credits.reconciliations TO hansa_app;

-- Everybody may know what is allowed, since every payment looks it up; operators decide it.
ALTER TABLE credits.limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.limits FORCE ROW LEVEL SECURITY;
CREATE POLICY limits_are_open ON credits.limits FOR SELECT USING (true);
CREATE POLICY limits_by_operators ON credits.limits
    USING (current_setting('hansa.actor_kind', true) = 'operator');
ALTER TABLE credits.account_limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.account_limits FORCE ROW LEVEL SECURITY;
CREATE POLICY account_limits_are_open ON credits.account_limits FOR SELECT USING (true);
CREATE POLICY account_limits_by_operators ON credits.account_limits
    USING (current_setting('hansa.actor_kind', true) = 'operator');
