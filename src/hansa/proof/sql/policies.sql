GRANT USAGE ON SCHEMA proof TO hansa_app;
GRANT USAGE ON SEQUENCE proof.fold_positions TO hansa_app;
GRANT SELECT, INSERT, UPDATE (disclosure_level) ON proof.work_history_logs TO hansa_app;
GRANT SELECT, UPDATE (adopted) ON proof.reputation_policies TO hansa_app;
GRANT SELECT, INSERT, UPDATE (fold_position) ON proof.reputation_events TO hansa_app;
GRANT SELECT, INSERT, UPDATE (fold_position, weight) ON proof.trust_events TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON proof.reputation_state, proof.reputation_pairs, proof.payer_capacity TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON proof.reputation_scores, proof.trust_scores TO hansa_app;
GRANT SELECT, INSERT, UPDATE (used_at) ON proof.disclosure_requests TO hansa_app;
GRANT SELECT, INSERT ON proof.credential_presentations TO hansa_app;
GRANT SELECT ON proof.reputation_weights, proof.reputation_recomputed, proof.trust_recomputed, proof.differences,
                proof.reputations TO hansa_app;

-- Everybody sees that there is a log: its columns are hashes and a sealed value. Who settles need not be a party: a
-- facilitator, a timer or an arbiter settles too, so whoever acts may add evidence; commands decide what is evidence.
ALTER TABLE proof.work_history_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.work_history_logs FORCE ROW LEVEL SECURITY;
CREATE POLICY work_hashes_are_open ON proof.work_history_logs FOR SELECT USING (true);
CREATE POLICY settling_adds_work ON proof.work_history_logs FOR INSERT WITH CHECK (true);
CREATE POLICY agents_publish_their_work ON proof.work_history_logs FOR UPDATE
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND agent_did = current_setting('hansa.actor', true));

ALTER TABLE proof.reputation_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.reputation_events FORCE ROW LEVEL SECURITY;
CREATE POLICY settling_adds_reputation_evidence ON proof.reputation_events FOR INSERT WITH CHECK (true);
CREATE POLICY reputation_evidence_for_the_house ON proof.reputation_events
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_see_their_evidence ON proof.reputation_events FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND current_setting('hansa.actor', true) IN (agent_did, payer_did));

ALTER TABLE proof.trust_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.trust_events FORCE ROW LEVEL SECURITY;
CREATE POLICY settling_adds_trust_evidence ON proof.trust_events FOR INSERT WITH CHECK (true);
CREATE POLICY trust_evidence_for_the_house ON proof.trust_events
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
-- What moved a public number is public; queries show the references of private deals to the agent itself alone.
CREATE POLICY trust_evidence_is_open ON proof.trust_events FOR SELECT USING (true);

ALTER TABLE proof.reputation_pairs ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.reputation_pairs FORCE ROW LEVEL SECURITY;
CREATE POLICY pairs_for_the_house ON proof.reputation_pairs
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));

ALTER TABLE proof.payer_capacity ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.payer_capacity FORCE ROW LEVEL SECURITY;
CREATE POLICY capacity_for_the_house ON proof.payer_capacity
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));

ALTER TABLE proof.disclosure_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.disclosure_requests FORCE ROW LEVEL SECURITY;
CREATE POLICY disclosures_for_the_house ON proof.disclosure_requests
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_answer_disclosures ON proof.disclosure_requests
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND current_setting('hansa.actor', true) IN (agent_did, requested_by_did));
CREATE POLICY people_ask_for_disclosures ON proof.disclosure_requests
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND requested_by_user = nullif(current_setting('hansa.user', true), '')::uuid);

ALTER TABLE proof.credential_presentations ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.credential_presentations FORCE ROW LEVEL SECURITY;
CREATE POLICY presentations_for_the_house ON proof.credential_presentations
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_see_presentations ON proof.credential_presentations FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND current_setting('hansa.actor', true) IN (agent_did, disclosed_to_did));
CREATE POLICY people_see_what_was_shown_to_them ON proof.credential_presentations FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND disclosed_to_user = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY agents_present_their_work ON proof.credential_presentations FOR INSERT
    WITH CHECK (current_setting('hansa.actor_kind', true) = 'agent'
                AND agent_did = current_setting('hansa.actor', true));

-- The score is the formula's and the time is the database's: the application may name neither.
GRANT SELECT, INSERT (intent_id, agent_did, work_type, metrics, attestations, trace_id, worked_at)
    ON proof.usefulness_proofs TO hansa_app;
GRANT SELECT ON proof.recent_usefulness, proof.recent_usefulness_by_type TO hansa_app;

-- Everybody may check what an agent claims; the claim is made by the agent itself.
ALTER TABLE proof.usefulness_proofs ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.usefulness_proofs FORCE ROW LEVEL SECURITY;
CREATE POLICY usefulness_is_open ON proof.usefulness_proofs FOR SELECT USING (true);
CREATE POLICY usefulness_for_the_house ON proof.usefulness_proofs
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_prove_their_usefulness ON proof.usefulness_proofs FOR INSERT
    WITH CHECK (current_setting('hansa.actor_kind', true) = 'agent'
                AND agent_did = current_setting('hansa.actor', true));

GRANT SELECT, INSERT, UPDATE (k, m, window_s, min_trust, stake_min, reward_units, slash_bps, unbonding_s)
   ON proof.attestation_policy TO hansa_app;
GRANT SELECT, INSERT (id, log_id, agent_did, k, m, slash_bps, reward_units),
      UPDATE (state, committee, drawn_at, due_at, ended_at) ON proof.task_receipts TO hansa_app;
GRANT SELECT, INSERT ON proof.receipted_deals, proof.committee_draws TO hansa_app;
GRANT SELECT, INSERT (receipt_id, by_did, kind, score, evidence_hash, key_id, statement_hash, signature)
   ON proof.task_attestations TO hansa_app;
GRANT SELECT, INSERT (receipt_id, member_did, finding, stake_units, slashed_units, reward_units),
      UPDATE (reward_movement) ON proof.committee_findings TO hansa_app;
GRANT SELECT, INSERT (agent_did), UPDATE (hold_id, generation, unbonding_until, updated_at)
   ON proof.agent_stakes TO hansa_app;
GRANT SELECT ON proof.live_stakes, proof.attestation_rules TO hansa_app;

-- Everybody sees that work was attested and how. Who attests must be able to lock the row, so USING is open; only the
-- house changes it, and the trigger says how.
ALTER TABLE proof.task_receipts ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.task_receipts FORCE ROW LEVEL SECURITY;
CREATE POLICY receipts_are_open ON proof.task_receipts FOR SELECT USING (true);
CREATE POLICY settling_opens_receipts ON proof.task_receipts FOR INSERT WITH CHECK (true);
CREATE POLICY the_house_ends_receipts ON proof.task_receipts FOR UPDATE
    USING (true)
    WITH CHECK (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));

-- Who may see the deal may see all that was said about it: the policies below ask this one.
ALTER TABLE proof.receipted_deals ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.receipted_deals FORCE ROW LEVEL SECURITY;
CREATE POLICY settling_adds_deals_to_receipts ON proof.receipted_deals FOR INSERT WITH CHECK (true);
CREATE POLICY receipted_deals_for_the_house ON proof.receipted_deals
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_and_committee_see_the_deal ON proof.receipted_deals FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND (client_did = current_setting('hansa.actor', true)
                OR EXISTS (SELECT
                             FROM proof.task_receipts AS receipt
                            WHERE receipt.id = receipt_id
                              AND (receipt.agent_did = current_setting('hansa.actor', true)
                                   OR current_setting('hansa.actor', true) = ANY (receipt.committee)))));

ALTER TABLE proof.committee_draws ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.committee_draws FORCE ROW LEVEL SECURITY;
CREATE POLICY draws_for_the_house ON proof.committee_draws
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_and_committee_see_the_draw ON proof.committee_draws FOR SELECT
    USING (EXISTS (SELECT FROM proof.receipted_deals AS deal WHERE deal.receipt_id = committee_draws.receipt_id));

ALTER TABLE proof.task_attestations ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.task_attestations FORCE ROW LEVEL SECURITY;
CREATE POLICY attestations_for_the_house ON proof.task_attestations
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_attest_for_themselves ON proof.task_attestations FOR INSERT
    WITH CHECK (current_setting('hansa.actor_kind', true) = 'agent'
                AND by_did = current_setting('hansa.actor', true));
CREATE POLICY parties_and_committee_see_attestations ON proof.task_attestations FOR SELECT
    USING (EXISTS (SELECT FROM proof.receipted_deals AS deal WHERE deal.receipt_id = task_attestations.receipt_id));

ALTER TABLE proof.committee_findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.committee_findings FORCE ROW LEVEL SECURITY;
CREATE POLICY findings_for_the_house ON proof.committee_findings
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_and_committee_see_findings ON proof.committee_findings FOR SELECT
    USING (EXISTS (SELECT FROM proof.receipted_deals AS deal WHERE deal.receipt_id = committee_findings.receipt_id));

ALTER TABLE proof.agent_stakes ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.agent_stakes FORCE ROW LEVEL SECURITY;
CREATE POLICY stakes_for_the_house ON proof.agent_stakes
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_keep_their_stake ON proof.agent_stakes
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND agent_did = current_setting('hansa.actor', true));

GRANT SELECT, INSERT (only_row), UPDATE (share_bps, score_min) ON proof.reward_policy TO hansa_app;
GRANT SELECT, UPDATE (closed_at),
      INSERT (epoch, share_bps, score_min, pool_units, offered_units, score_sum, agents, reward_units)
    ON proof.reward_epochs TO hansa_app;
GRANT SELECT, UPDATE (movement_id, paid_at),
      INSERT (epoch, agent_did, score, units, compute_units, memory_units, routing_units, validation_units,
              learning_units)
    ON proof.rewards TO hansa_app;
