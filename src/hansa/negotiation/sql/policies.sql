GRANT USAGE ON SCHEMA negotiation TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON negotiation.intents, negotiation.negotiations TO hansa_app;
GRANT SELECT, INSERT ON negotiation.rounds, negotiation.settlements TO hansa_app;
GRANT SELECT, INSERT, UPDATE (state, round, on_table, convergence_score, deadline_at, ended_at) ON negotiation.groups TO hansa_app;
GRANT SELECT, INSERT, UPDATE (left_at) ON negotiation.group_members TO hansa_app;
GRANT SELECT, INSERT ON negotiation.group_proposals, negotiation.group_parts, negotiation.group_votes, negotiation.group_deals TO hansa_app;
