"""What proof refuses of evidence, and of the policies that weigh it."""

from hansa.kernel.errors import Conflict, Invalid, NotFound


class EvidenceImpossible(Invalid):
    """Evidence of an attestation or dispute gives at least one sample, each 0 to 1; outcomes and clocks are of work."""

    constraint = ("evidence_says_something", "trust_samples_between_0_and_1", "outcome_belongs_to_work")


class WorkNotSettled(Conflict):
    """The work that this evidence is about was never settled, so nobody knows what it cost."""

    constraint = "evidence_about_settled_work"


class PolicyUnknown(NotFound):
    """There is no reputation policy of this name."""

    constraint = "reputation_policy_known"
