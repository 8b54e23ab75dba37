GRANT USAGE ON SCHEMA negotiation TO hansa_app;
GRANT SELECT ON negotiation.intents, negotiation.negotiations, negotiation.rounds, negotiation.settlements TO hansa_app;
-- Only what a command writes: who negotiates with whom, for which intent and since when stays as it began.
GRANT INSERT (requester_did, description, budget, terms), UPDATE (status, updated_at) ON negotiation.intents TO hansa_app;
GRANT INSERT (intent_id, initiator_did, responder_did, incentive_split, max_rounds, expires_at, turn_did, decision_id,
              initiator_accepts_at, round_s),
      UPDATE (state, rounds, convergence_score, current_proposal, final_proposal, incentive_split, round, turn_did,
              accept_decision_id, accepted_at, hold_id, bound_kind, bound_id, initiator_accepts_at, responder_accepts_at,
              standing_did, not_accepted, round_due_at, ended_by, reject_reason)
   ON negotiation.negotiations TO hansa_app;
GRANT INSERT ON negotiation.rounds, negotiation.settlements TO hansa_app;
GRANT SELECT, INSERT, UPDATE (state, round, on_table, convergence_score, deadline_at, ended_at) ON negotiation.groups TO hansa_app;
GRANT SELECT, INSERT, UPDATE (left_at) ON negotiation.group_members TO hansa_app;
GRANT SELECT, INSERT ON negotiation.group_proposals, negotiation.group_parts, negotiation.group_votes, negotiation.group_deals TO hansa_app;
