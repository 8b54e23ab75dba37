"""What proof refuses of receipts, attestations and stakes."""

from hansa.kernel.errors import Conflict, Forbidden, Gone, Invalid, NotFound


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
