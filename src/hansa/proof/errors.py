"""What proof refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import (
    Conflict,
    Defect,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
)


class OutcomeImpossible(Invalid):
    """An outcome is 0, 0.5 or 1, of work that ended before it was settled, for a fee of zero or more."""

    constraint = (
        "outcome_is_failed_partial_or_done",
        "settlement_fee_not_negative",
        "settlement_not_in_the_future",
        "outcome_not_in_the_future",
        "work_delivered_after_its_start",
    )


class OutcomeOfAnotherAgent(Conflict):
    """This was settled before, as the work of another agent."""


class AgentNotRegistered(NotFound):
    """Work and evidence are recorded for registered agents only."""

    constraint = (
        "work_by_a_registered_agent",
        "useful_work_by_a_registered_agent",
        "trust_in_a_registered_agent",
        "stake_of_a_registered_agent",
    )


class EvidenceImpossible(Invalid):
    """Evidence of an attestation or dispute gives at least one sample, each 0 to 1; outcomes and clocks are of work."""

    constraint = ("evidence_says_something", "trust_samples_between_0_and_1", "outcome_belongs_to_work")


class WorkNotSettled(Conflict):
    """The work that this evidence is about was never settled, so nobody knows what it cost."""

    constraint = "evidence_about_settled_work"


class WorkUnknown(NotFound):
    """There is no such work log."""


class WorkOfAnotherAgent(Forbidden):
    """Only the agent that did the work may do this, by a request that it signed."""


class WorkStaysPublic(Conflict):
    """Published work cannot be made private again."""

    constraint = "published_work_stays_public"


class PolicyUnknown(NotFound):
    """There is no reputation policy of this name."""

    constraint = "reputation_policy_known"


class HouseKeyMissing(ServiceUnavailable):
    """The house has no key here, so it cannot issue or check its credentials."""

    retryable = False


class HolderKeyUnknown(Invalid):
    """No active key of this agent is known under this key id, so no credential can be bound to it."""


class AudienceMalformed(Invalid):
    """The audience names the verifier in 1 to 500 characters."""

    constraint = "disclosure_audience_named"


class DisclosureUnknown(NotFound):
    """There is no such disclosure request, or not for this caller."""

    constraint = "disclosure_request_known"


class DisclosureUsed(Conflict):
    """This request was answered before; it takes one presentation."""

    constraint = ("disclosure_request_used_once", "one_presentation_per_request")


class DisclosureExpired(Gone):
    """The time to answer this request is over; ask again."""

    constraint = "disclosure_request_alive"


class PresentationOfOtherWork(Forbidden):
    """The credential presented is about another piece of work than the one asked about."""


class WorkTypeUnknown(Invalid):
    """Useful work is compute, memory, routing, validation or learning."""

    constraint = "work_type_known"


class MetricUnfit(Invalid):
    """The metric that proves this type of work is missing, not a number above zero, or larger than any work."""

    constraint = "metric_proves_the_work"


class MetricsMalformed(Invalid):
    """Metrics are an object of at most 10 000 characters of JSON."""

    constraint = "work_metrics_are_few"


class TraceMalformed(Invalid):
    """The trace names the work in 1 to 200 characters."""

    constraint = "trace_names_the_work"


class AttestationsTooMany(Invalid):
    """At most five attestations stand behind one piece of useful work."""

    constraint = "attestations_are_few"


class UsefulWorkProvenBefore(Conflict):
    """The agent has proven work under this trace before; a proof counts once."""

    constraint = "useful_work_proven_once"


class ReceiptUnknown(NotFound):
    """There is no such receipt, or not for this caller."""

    constraint = "receipt_known"


class ReceiptEnded(Conflict):
    """The receipt is not pending any more; nothing can be attested on it."""

    constraint = "receipt_pending_to_attest"


class AttestationLate(Gone):
    """The time for attestations on this receipt is over."""

    constraint = "attestation_in_time"


class OnlyTheClientAccepts(Forbidden):
    """Only the client of a deal says that the work is accepted."""

    constraint = "work_accepted_by_its_client"


class NotOnTheCommittee(Forbidden):
    """Only members of the committee of a receipt audit the work."""

    constraint = "work_audited_by_its_committee"


class AttestedBefore(Conflict):
    """Each audits once, and says everything else once, on one receipt."""

    constraint = ("one_attestation_of_a_kind", "one_audit_per_member")


class AttestationForged(Forbidden):
    """The attestation is not signed with a key of its author that counts now, over exactly this statement."""


class AttestedScoreImpossible(Invalid):
    """A score is 0 to 1."""

    constraint = "attested_score_within_1"


class EvidenceHashMalformed(Invalid):
    """Evidence is named by its SHA-256: 64 hexadecimal digits in lower case."""

    constraint = "attested_evidence_is_sha256"


class StakeUnknown(NotFound):
    """The agent has no stake."""


class AttestationPolicyImpossible(Invalid):
    """1 <= k <= m <= 31, trust above 0 and at most 1, parts in basis points, times of at most 30 days."""

    constraint = "attestation_policy_possible"


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


class WorkUntimely(Invalid):
    """The time of a proof of useful work is at most five minutes away from the clock of the house."""

    constraint = "useful_work_is_of_now"


class ProofsTooMany(TooManyRequests):
    """An agent proves at most 100 pieces of useful work in an hour."""

    constraint = "hundred_proofs_an_hour"


class TopScoresTooMany(TooManyRequests):
    """An agent scores 99 or more at most five times in an hour."""

    constraint = "five_top_scores_an_hour"


class ProofTooSoon(TooManyRequests):
    """Proofs of useful work of one agent are at least five seconds apart."""

    constraint = "five_seconds_between_proofs"


class RewardPolicyUnfit(Invalid):
    """An epoch offers 0 to 10 000 basis points of the pool, to a usefulness above 0 and up to 100."""

    constraint = ("reward_share_within_the_pool", "reward_score_min_within_100")


class EpochUnknown(NotFound):
    """No rewards are fixed for this day."""


class EpochNotOver(Conflict):
    """Rewards are for a UTC day that is over."""

    constraint = "reward_epoch_is_over"


class EpochTooOld(Gone):
    """Rewards can be paid up to 30 days later, while the work of that day still counts."""

    constraint = "reward_epoch_of_the_last_30_days"


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
