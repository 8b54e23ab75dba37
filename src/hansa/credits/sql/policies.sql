GRANT USAGE ON SCHEMA credits TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON credits.credit_accounts TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON credits.holds TO hansa_app;
GRANT SELECT, INSERT ON credits.credit_transactions, credits.postings TO hansa_app;
GRANT SELECT ON credits.system_balances, credits.discrepancies TO hansa_app;
