"""What proof refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Gone, Invalid, NotFound, ServiceUnavailable


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
