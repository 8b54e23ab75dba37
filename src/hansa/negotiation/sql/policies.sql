GRANT USAGE ON SCHEMA negotiation TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON negotiation.intents, negotiation.negotiations TO hansa_app;
GRANT SELECT, INSERT ON negotiation.rounds, negotiation.settlements TO hansa_app;
