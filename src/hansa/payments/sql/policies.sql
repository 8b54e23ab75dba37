GRANT USAGE ON SCHEMA payments TO hansa_app;
GRANT SELECT, INSERT ON payments.chain_instances, payments.claims, payments.claim_events, payments.paid_answers TO hansa_app;
-- What a payment is, and for what, never changes: only its progress does.
GRANT UPDATE (state, txid, transaction, last_valid_block_height, slot, error, attempts, leased_by, lease_until,
              updated_at, ended_at) ON payments.claims TO hansa_app;
GRANT UPDATE (leased_by, lease_until, status, headers, body, answered_at) ON payments.paid_answers TO hansa_app;
GRANT SELECT ON payments.discrepancies TO hansa_app;

-- Who paid whom for what is for the facilitator and the operator; the parties have the chain and their own books.
ALTER TABLE payments.claims ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments.claims FORCE ROW LEVEL SECURITY;
CREATE POLICY claims_of_the_house ON payments.claims TO hansa_app
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE payments.claim_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments.claim_events FORCE ROW LEVEL SECURITY;
CREATE POLICY claim_events_of_the_house ON payments.claim_events TO hansa_app
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
ALTER TABLE payments.paid_answers ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments.paid_answers FORCE ROW LEVEL SECURITY;
CREATE POLICY paid_answers_of_the_house ON payments.paid_answers TO hansa_app
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
