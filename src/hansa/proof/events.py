"""Facts that proof publishes."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from hansa.kernel.dids import Did
from hansa.kernel.events import Event, event
from hansa.kernel.ids import MovementId, WorkLogId
from hansa.kernel.money import Credits
from hansa.proof.models import (
    AttestationKind,
    EvidenceKind,
    ReceiptId,
    ReceiptState,
    SeatFinding,
    UpdateTrigger,
    UsefulnessId,
    WorkType,
)


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecorded(Event):
    """A settlement left its evidence; reputation and trust do not count it yet."""

    name: ClassVar[str] = "proof.outcome_recorded"

    ref: str
    """What was settled, `kind:id`: the key of the evidence."""
    agent: Did
    log: WorkLogId

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceNoted(Event):
    """An attestation or a decided dispute says something about an agent; trust does not count it yet."""

    name: ClassVar[str] = "proof.evidence_noted"

    ref: str
    """What was attested or decided, `kind:id`: the key of the evidence."""
    agent: Did
    kind: EvidenceKind

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationChanged(Event):
    """The published reputation of an agent is another one."""

    name: ClassVar[str] = "proof.reputation_changed"

    agent: Did
    score: Decimal
    """0 to 1, two decimals."""
    trigger: UpdateTrigger

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TrustChanged(Event):
    """A piece of evidence moved the trust in an agent."""

    name: ClassVar[str] = "proof.trust_changed"

    agent: Did
    score: float
    """0 to 1."""
    reliability: float
    honesty: float
    competence: float
    timeliness: float

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPublished(Event):
    """An agent let everybody read one piece of its work, by a request that it signed."""

    name: ClassVar[str] = "proof.work_published"

    log: WorkLogId
    agent: Did

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureAsked(Event):
    """Somebody asks an agent to show claims about one piece of its work."""

    name: ClassVar[str] = "proof.disclosure_asked"

    request: UUID
    log: WorkLogId
    agent: Did

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDisclosed(Event):
    """An agent showed claims about one piece of its work to the one who asked, and they were verified."""

    name: ClassVar[str] = "proof.work_disclosed"

    request: UUID
    log: WorkLogId
    agent: Did
    claims: list[str]
    """Names of the claims, not their values."""

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulWorkProven(Event):
    """An agent said what useful work it did, and it was scored."""

    name: ClassVar[str] = "proof.useful_work_proven"

    proof: UsefulnessId
    agent: Did
    work_type: WorkType
    score: Decimal
    """0 to 100."""

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessChanged(Event):
    """The average usefulness of an agent over the last 30 days is another one."""

    name: ClassVar[str] = "proof.usefulness_changed"

    agent: Did
    score: Decimal
    """0 to 100, two decimals."""

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptOpened(Event):
    """A settled deal has a receipt, and a committee unless too few agents could sit."""

    name: ClassVar[str] = "proof.receipt_opened"

    receipt: ReceiptId
    log: WorkLogId
    agent: Did
    """Who did the work."""
    state: ReceiptState
    """pending or unattested."""
    committee: list[Did]
    due_at: datetime | None
    """End of the time for attestations; None: there is no committee."""

    def ordering_key(self) -> str:
        return str(self.receipt)


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationMade(Event):
    """The client or a member of the committee said something of a piece of work, and signed it."""

    name: ClassVar[str] = "proof.attestation_made"

    receipt: ReceiptId
    kind: AttestationKind

    def ordering_key(self) -> str:
        return str(self.receipt)


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFinalized(Event):
    """A receipt ended: with a verdict, or because its time was over."""

    name: ClassVar[str] = "proof.receipt_finalized"

    receipt: ReceiptId
    log: WorkLogId
    agent: Did
    """Who did the work."""
    state: ReceiptState
    """finalized, rejected or expired."""

    def ordering_key(self) -> str:
        return str(self.receipt)


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class StakeSlashed(Event):
    """A member of a committee lost a part of its stake to the pool."""

    name: ClassVar[str] = "proof.stake_slashed"

    agent: Did
    receipt: ReceiptId
    finding: SeatFinding
    """disagreed or silent."""
    units: Credits
    """Units of 1/1000 credit."""

    def ordering_key(self) -> str:
        return self.agent


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class RewardPaid(Event):
    """An agent was rewarded from the pool for its usefulness."""

    name: ClassVar[str] = "proof.reward_paid"

    epoch: date
    """The UTC day that it is for."""
    agent: Did
    units: Credits
    """Units of 1/1000 credit."""
    movement: MovementId

    def ordering_key(self) -> str:
        return self.agent
