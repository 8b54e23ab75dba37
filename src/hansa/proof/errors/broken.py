"""Rules that only a mistake in the code can break: nobody's request does, so they answer as a defect."""

from hansa.kernel.errors import Defect


class AttestationsBroken(Defect):
    """A rule of receipts, committees or stakes was broken by a mistake in the code; nothing was written."""

    constraint = (
        "one_attestation_policy",
        "task_receipts_pkey",
        "one_receipt_per_log",
        "receipt_of_logged_work",
        "quorum_within_the_committee",
        "receipt_numbers_possible",
        "committee_is_drawn_whole",
        "committee_is_drawn_once",
        "committee_of_candidates",
        "worker_never_sits",
        "ended_receipts_have_an_end",
        "judged_receipts_had_a_committee",
        "receipt_ends_once",
        "receipt_ends_by_its_quorum",
        "one_deal_per_receipt",
        "deal_of_a_receipt",
        "receipted_amount_not_negative",
        "one_draw_per_receipt",
        "draw_of_a_receipt",
        "one_draw_per_position",
        "one_draw_after_each",
        "draw_hashes_are_sha256",
        "task_attestations_pkey",
        "attestation_of_a_receipt",
        "attestation_hash_is_sha256",
        "attestation_key_of_its_author",
        "attestation_is_signed",
        "one_stake_per_agent",
        "stake_is_held",
        "one_stake_per_hold",
        "stake_is_a_hold_of_its_agent",
        "stake_generation_not_negative",
        "one_finding_per_member",
        "finding_on_a_receipt",
        "slash_within_the_stake",
        "only_failing_members_are_slashed",
        "only_agreeing_members_are_rewarded",
        "reward_is_paid_where_one_is_due",
        "reward_is_a_movement",
    )


class RewardsBroken(Defect):
    """A rule of rewards was broken by a mistake in the code; nothing was paid."""

    constraint = (
        "one_reward_policy",
        "reward_policy_is_one_row",
        "one_reward_epoch_per_day",
        "epoch_offers_its_share",
        "epoch_gives_no_more_than_it_offers",
        "epoch_is_the_sum_of_its_rewards",
        "epoch_closes_when_all_is_paid",
        "one_reward_per_epoch_and_agent",
        "reward_of_an_epoch",
        "reward_of_a_registered_agent",
        "reward_paid_by_a_movement",
        "one_reward_per_movement",
        "reward_units_positive",
        "reward_is_the_sum_of_its_parts",
        "paid_rewards_have_a_movement",
        "reward_is_what_its_movement_paid",
        "rewards_stay_as_fixed",
    )


class EvidenceBroken(Defect):
    """A rule of work history, reputation or trust was broken by a mistake in the code; nothing was written."""

    constraint = (
        "evidence_is_append_only",
        "work_history_logs_pkey",
        "one_log_per_subject",
        "one_agent_per_log",
        "work_hashes_are_sha256",
        "chk_private_zk_encrypted",
        "sealed_work_is_sealed",
        "reputation_policies_pkey",
        "policy_numbers_possible",
        "one_policy_is_adopted",
        "settlement_counts_once",
        "reputation_of_logged_work",
        "one_reputation_event_per_position",
        "reputation_state_pkey",
        "state_of_a_registered_agent",
        "reputation_pairs_pkey",
        "payer_capacity_pkey",
        "reputation_scores_pkey",
        "one_reputation_per_agent",
        "reputation_of_a_registered_agent",
        "score_under_a_policy",
        "reputation_between_0_and_1",
        "outcome_moves_trust_once",
        "one_trust_event_per_position",
        "evidence_weighs_0_to_1",
        "counted_evidence_has_its_weight",
        "trust_scores_pkey",
        "trust_of_a_registered_agent",
        "trust_between_0_and_1",
        "trust_decays",
        "disclosure_requests_pkey",
        "disclosure_of_logged_work",
        "disclosure_asked_by_a_person",
        "disclosure_asked_by_somebody",
        "disclosure_nonce_drawn_once",
        "disclosure_request_ends_later",
        "credential_presentations_pkey",
        "presentation_for_a_request",
        "presentation_of_logged_work",
        "presentation_hash_is_sha256",
        "sealed_presentation_is_sealed",
        "usefulness_proofs_pkey",
        "usefulness_score_within_100",
    )
