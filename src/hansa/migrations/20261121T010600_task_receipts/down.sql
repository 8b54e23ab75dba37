-- A stake is money of its agent: it goes back by asking for it, never by taking the table away from under it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM credits.holds WHERE purpose_kind = 'stake' AND state = 'held') THEN
        RAISE EXCEPTION 'agents have stakes: let them go back to their owners first'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_stake_is_left_behind';
    END IF;
END
$$;
DROP VIEW proof.live_stakes, proof.attestation_rules;
DROP FUNCTION proof.finalise_receipt(uuid);
DROP FUNCTION proof.seat_committee(uuid, text, text, text, jsonb, text[], text);
DROP TABLE proof.committee_findings, proof.agent_stakes, proof.task_attestations, proof.committee_draws,
           proof.receipted_deals, proof.task_receipts, proof.attestation_policy;
DROP FUNCTION proof.check_stake();
DROP FUNCTION proof.keep_receipt();
DROP FUNCTION proof.keep_as_attested();
DROP FUNCTION proof.check_attestation();
DROP FUNCTION proof.quorum(uuid);
DROP TYPE proof.quorum_count;
DROP TYPE proof.seat_finding;
DROP TYPE proof.verdict;
DROP TYPE proof.attestation_kind;
DROP TYPE proof.receipt_state;
