"""Rows and values of proof."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType, Self
from uuid import UUID

import rfc8785

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import HoldId, IntentId, MovementId, UserId, WorkLogId
from hansa.kernel.money import Asset, BasisPoints, Credits
from hansa.proof.drawing import Candidate

DisclosureId = NewType("DisclosureId", UUID)
UsefulnessId = NewType("UsefulnessId", UUID)
ReceiptId = NewType("ReceiptId", UUID)
AttestationId = NewType("AttestationId", UUID)

CONFIRMED, REFUTED = 0.95, 0.05
"""Samples of what turned out right or wrong, as AINP has them for work: one piece of evidence proves nothing for good."""


class UpdateTrigger(StrEnum):
    """What kind of evidence moved a reputation, in the registry's words."""

    X402_SETTLEMENT = "x402_settlement"
    ZKP_PROOF = "zkp_proof"
    ORACLE_ATTESTATION = "oracle_attestation"


class AttestationSource(StrEnum):
    SWITCHBOARD = "switchboard"
    THIRD_PARTY = "third_party"


class DisclosureLevel(StrEnum):
    """Who may read the content of a work log."""

    PUBLIC = "public"
    PRIVATE_ZK = "private_zk"


class EvidenceKind(StrEnum):
    """What a piece of evidence about an agent is."""

    WORK = "work"
    ATTESTATION = "attestation"
    DISPUTE = "dispute"


class WorkType(StrEnum):
    """What kind of useful work an agent proves, in AINP's words."""

    COMPUTE = "compute"
    MEMORY = "memory"
    ROUTING = "routing"
    VALIDATION = "validation"
    LEARNING = "learning"


class ReceiptState(StrEnum):
    """How far the attestation of a piece of work has come."""

    PENDING = "pending"
    FINALIZED = "finalized"
    """Client and committee stand behind the work."""
    REJECTED = "rejected"
    """The committee says that the work fails."""
    EXPIRED = "expired"
    """There was no verdict in time."""
    UNATTESTED = "unattested"
    """Too few agents could sit, so there is no committee."""


class AttestationKind(StrEnum):
    """What somebody says of a piece of work, in AINP's words."""

    ACCEPTED = "ACCEPTED"
    """The client takes the work."""
    AUDIT_PASS = "AUDIT_PASS"  # noqa: S105 - a kind of attestation
    """A member of the committee looked, and the work passes."""
    AUDIT_FAIL = "AUDIT_FAIL"
    SAFETY_PASS = "SAFETY_PASS"  # noqa: S105 - a kind of attestation
    """A member of the committee finds the work safe; this is told and not counted."""


class Verdict(StrEnum):
    """What a quorum says of a piece of work."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"


class SeatFinding(StrEnum):
    """How a member of a committee did."""

    AGREED = "agreed"
    """Its audit is the verdict."""
    DISAGREED = "disagreed"
    SILENT = "silent"
    """It let the time pass without an audit."""
    UNJUDGED = "unjudged"
    """There is nothing to hold it against: no verdict came, or it came before this member's time was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a piece of work ended, told by whoever settled it."""

    agent: Did
    payer: Did
    subject_kind: str
    """What was settled, e.g. `negotiation`; with `subject_id` it is recorded once."""
    subject_id: str
    outcome: Decimal
    """1 accepted, 0.5 in part, 0 failed, and that was adjudicated."""
    amount: int
    """The whole price, smallest units of the asset."""
    fee: int
    """What the platform kept of it and nobody gets back: evidence weighs what it cost."""
    asset: Asset
    payer_verified: bool
    """Whether the payer is a verified party."""
    payer_related: bool = False
    """Whether payer and agent have one owner; such a settlement weighs nothing."""
    intent: IntentId | None = None
    """What the work served; None: not known."""
    started_at: datetime | None
    """Begin of the work, not of the negotiation; None: not known."""
    due_at: datetime | None
    """Promised delivery; None: nothing was promised."""
    delivered_at: datetime | None
    """None: it was never delivered."""
    settled_at: datetime
    facts: JsonObject
    """What else belongs to the record; sealed with it."""

    @property
    def ref(self) -> str:
        return f"{self.subject_kind}:{self.subject_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an attestation or a decided dispute says about an agent; settled work tells it by its Outcome.

    Each sample is 0 to 1, and None says nothing about that dimension. `of_audit` and `of_dispute` know the samples.
    """

    ref: str
    """What was attested or decided, `kind:id`; it counts once."""
    agent: Did
    kind: EvidenceKind
    reliability: float | None = None
    honesty: float | None = None
    competence: float | None = None
    work: str | None = None
    """The settled work it is about, as `Outcome.ref` has it: the evidence weighs what that work cost, because words
    about a deal that cost nothing cost nothing either. None: about no single piece of work, full weight."""
    occurred_at: datetime

    @classmethod
    def of_audit(
        cls, *, ref: str, agent: Did, passed: bool, score: float, work: str | None, occurred_at: datetime
    ) -> Self:
        """An independent attester examined the work: it is what it claimed to be, or not, and this good (0 to 1)."""
        return cls(
            ref=ref,
            agent=agent,
            kind=EvidenceKind.ATTESTATION,
            honesty=CONFIRMED if passed else REFUTED,
            competence=score,
            work=work,
            occurred_at=occurred_at,
        )

    @classmethod
    def of_dispute(
        cls,
        *,
        ref: str,
        agent: Did,
        upheld: bool,
        work_failed: bool = False,
        work: str | None,
        occurred_at: datetime,
    ) -> Self:
        """A dispute was decided: for the agent (`upheld`) or against it; `work_failed`: and what it did was no good."""
        return cls(
            ref=ref,
            agent=agent,
            kind=EvidenceKind.DISPUTE,
            reliability=REFUTED if work_failed else None,
            honesty=CONFIRMED if upheld else REFUTED,
            work=work,
            occurred_at=occurred_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkLog:
    """A settled piece of work, as everybody may see it."""

    id: WorkLogId
    agent: Did
    task_hash: str
    """HMAC-SHA256, hex, of what was settled, under a salt in the record."""
    zkp_hash: str
    """SHA-256, hex, of the sealed record: what proofs about this work are made against."""
    attestation_source: AttestationSource | None
    """Who attested the work; None: nobody whose attestation was verified."""
    disclosure_level: DisclosureLevel
    revocable_key_hash: str | None
    """SHA-256, hex, of the agent's key at that time; None: none was known."""
    tee_enclave_id: str | None
    """Enclave whose attestation covers the work; None: none was verified."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedWork(WorkLog):
    """A work log with its sealed content."""

    encrypted_data: bytes | None
    """None: published without content."""

    def log(self) -> WorkLog:
        """The log without the seal, as it leaves the house."""
        return WorkLog(**{part.name: getattr(self, part.name) for part in fields(WorkLog)})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEntry:
    """A work log as one caller sees it."""

    log: WorkLog
    record: JsonObject | None
    """The content; None: it is private, and the caller is not the agent that did the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The steps that lead to a reputation, from sums of weighted evidence that ages by the day."""

    success: float
    """R: full-weight successes, unverified ones as far as they are vouched for."""
    failure: float
    """F: the same of failures."""
    anchor: float
    """s: the part of the unverified evidence that counts."""
    mean: float
    """Expected success, with a prior that pulls towards 0.5."""
    lower_bound: float
    """The mean minus one standard deviation: few settlements prove little."""
    recent: float
    """The mean over recent evidence; without any it is the mean."""
    uncertainty: float
    """u: 1 nothing is known, 0 everything."""
    events: int
    """Settlements counted."""
    payers: int
    verified_payers: int
    first_settled_at: datetime
    last_settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reputation:
    """What an agent's settled work says about it."""

    agent: Did
    score: Decimal
    """0 (nothing proven) to 1, cut off after two decimals."""
    exact: float
    """The score in full precision."""
    update_trigger: UpdateTrigger | None
    """What kind of evidence moved it last; None: there is none yet."""
    last_updated: datetime | None
    """Time of the newest evidence; None: there is none yet."""
    scored_on: date | None
    """UTC day for which the score was worked out."""
    metadata: JsonObject
    """task_count, success_rate, avg_speed_ms; empty without evidence."""
    policy: str
    """The constants under which it was worked out."""
    explanation: Explanation | None
    """How the score comes about; None without evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """An agent in the list by reputation."""

    agent: Did
    score: Decimal
    update_trigger: UpdateTrigger | None
    last_updated: datetime
    metadata: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """A published score that was worked out anew."""

    agent: Did
    score: Decimal
    previous: Decimal | None
    """None: this is the first."""
    update_trigger: UpdateTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCount:
    """How many pieces of evidence of each kind were counted, whatever they weigh."""

    work: int
    attestations: int
    disputes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Trust in an agent at one instant: what is known fades towards the neutral 0.5."""

    agent: Did
    score: float
    """0 to 1: 35 % reliability, 35 % honesty, 20 % competence, 10 % timeliness."""
    reliability: float
    honesty: float
    competence: float
    timeliness: float
    decay_rate: float
    """What is left of the distance from 0.5 after a day."""
    last_updated: datetime | None
    """Time of the newest evidence; None: there is none."""
    as_of: datetime
    """The instant for which the numbers stand."""
    evidence: EvidenceCount
    literal_score: float
    """The score if it fell to 0 in silence, as AINP's rule has it; for comparison, nothing decides by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustMove:
    """A counted piece of evidence and what it said: each sample 0 to 1, None where it says nothing."""

    position: int
    """Its place in the order of counting, over all agents."""
    kind: EvidenceKind
    ref: str | None
    """What it is about; None for all but the agent itself, since private deals have their names in it."""
    reliability: float | None
    honesty: float | None
    competence: float | None
    timeliness: float | None
    weight: float
    """How far it counts, 0 to 1: a full-weight piece moves a dimension by a fifth of the way to its sample."""
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which reputation or trust is not what the evidence says."""

    kind: str
    """state, score, pair, capacity or trust."""
    subject: str
    """Whose."""
    finding: str
    """What is kept and what the evidence says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureRequest:
    """Somebody asks an agent to show claims about one piece of its work."""

    id: DisclosureId
    log: WorkLogId
    agent: Did
    requested_by_did: Did | None
    requested_by_user: UserId | None
    audience: str
    """The verifier for whom the agent must sign its presentation."""
    nonce: str
    """What the presentation must repeat."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    """When a presentation was verified; None: not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPresentation:
    """A verified presentation as it is stored."""

    id: UUID
    claims: list[str]
    presentation_hash: str
    encrypted_data: bytes
    verified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What an agent showed about its work, verified."""

    disclosed: list[str]
    """Names of the claims that the agent chose to show."""
    claims: JsonObject
    """All claims that the presentation proves, the ones never hidden among them."""
    presentation: str
    """The presentation itself, for whoever wants to verify it with another program."""
    presentation_hash: str
    """SHA-256, hex, of the presentation."""
    verified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A disclosure request and, once it was answered, what was shown."""

    request: DisclosureRequest
    presentation: Presentation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessProof:
    """One piece of useful work, as the agent told it and the formula scored it."""

    id: UsefulnessId
    intent: IntentId
    """What the work served."""
    agent: Did
    work_type: WorkType
    metrics: JsonObject
    """What the agent measured itself."""
    attestations: int
    """How many verified credentials over settled work stand behind it."""
    trace: str
    """The agent's own name for the work."""
    usefulness_score: Decimal
    """0 to 100."""
    worked_at: datetime
    """The agent's own time of the work."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessOfType:
    """What an agent's proofs of one type of work say."""

    work_type: WorkType
    score: Decimal
    """Plain mean over the last 30 days, 0 to 100, two decimals."""
    proofs: int
    """How many it stands on."""
    best_score: Decimal
    """The highest of them."""
    best_proof: UsefulnessId
    """The first proof that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """What an agent's proofs of useful work say about it now."""

    agent: Did
    score: Decimal
    """Plain mean over the last 30 days, 0 to 100, two decimals; 0 without proofs."""
    proofs: int
    """How many it stands on."""
    by_work_type: list[UsefulnessOfType]
    """The same by type of work; types without proofs are left out."""
    published: Decimal
    """The mean that search ranks by: the one of the last computation."""
    published_at: datetime | None
    """When that was; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessRefreshed:
    """An agent beside which its usefulness was written."""

    agent: Did
    score: Decimal
    previous: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSummary:
    """What everybody may know of a receipt."""

    id: ReceiptId
    log: WorkLogId
    """The piece of work."""
    state: ReceiptState
    k: int
    """Audits that must pass."""
    m: int
    """Seats of the committee; some are empty when fewer agents could sit."""
    verdict: Verdict | None
    """None: there is none, or not yet."""
    created_at: datetime
    ended_at: datetime | None
    """None: it is pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(ReceiptSummary):
    """A receipt of settled work, as its parties and its committee see it."""

    agent: Did
    """Who did the work."""
    client: Did
    """Who paid it."""
    intent: IntentId | None
    """What the work served; None: not known."""
    amount: int
    """The whole price, smallest units of the asset."""
    asset: Asset
    committee: list[Did] | None
    """In the order of the draw; None: it was not drawn yet, or too few could sit."""
    slash_bps: int
    """Part of its stake that a member loses whose audit is against the verdict, in basis points; a silent one loses a
    tenth of that."""
    reward_units: Credits
    """What a member earns whose audit is the verdict, units of 1/1000 credit."""
    due_at: datetime | None
    """End of the time for attestations; None: there is no committee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How far the attestations of a receipt have come."""

    passes: int
    fails: int
    accepted: bool
    """Whether the client took the work."""
    k: int
    m: int
    reached: bool
    """Whether enough audits pass."""
    verdict: Verdict | None
    """None: undecided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What somebody said of a piece of work, with the signature that proves it."""

    id: AttestationId
    receipt: ReceiptId
    by: Did
    kind: AttestationKind
    score: float | None
    """How good the work is, 0 to 1; None: its author does not say."""
    evidence_hash: str | None
    """SHA-256, hex, of what its author looked at or wrote down; None: nothing is named."""
    key_id: str
    """The key that signed."""
    statement_hash: str
    """SHA-256, hex, of the statement that was signed."""
    signature: str
    """Ed25519 signature over the statement, in base58."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How a member of a committee did, and what it cost or brought it; units of 1/1000 credit."""

    member: Did
    finding: SeatFinding
    stake_units: Credits
    """Its stake when the receipt ended."""
    slashed_units: Credits
    reward_units: Credits
    reward_movement: MovementId | None
    """None: nothing is due, or the pool had too little so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitteeDraw:
    """What a committee was drawn from: enough to draw it again."""

    receipt: ReceiptId
    work_hash: str
    """The `zkp_hash` of the work log."""
    previous: str
    """Digest of the draw before this one."""
    seed: str
    """SHA-256, hex, of receipt, work hash and previous digest, joined by `|`."""
    candidates: list[Candidate]
    members: list[Did]
    """In the order of the draw."""
    digest: str
    """SHA-256, hex, of seed, candidates and members in canonical JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What an agent puts at risk to sit in committees."""

    agent: Did
    amount: Credits
    """Units of 1/1000 credit; 0: nothing is staked."""
    hold: HoldId | None
    """The hold that keeps it; None: there is none."""
    seats: int
    """Committees in which the agent sits now; while there are any, its stake stays."""
    expires_at: datetime | None
    """End of the hold, which is renewed long before; None: there is none."""
    unbonding_until: datetime | None
    """When the stake goes back, if no seat keeps it; None: the agent did not ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationPolicy:
    """How settled work is attested; a receipt keeps the numbers that it began with."""

    k: int
    """Audits that must pass."""
    m: int
    """Seats of a committee."""
    window_s: int
    """Seconds from the drawing of a committee to the end of its time."""
    min_trust: float
    """Least trust with which an agent may sit."""
    stake_min: Credits
    """Least stake with which an agent may sit, units of 1/1000 credit."""
    reward_units: Credits
    """Most that a member earns whose audit is the verdict, units of 1/1000 credit."""
    slash_bps: int
    """Part of its stake that a member loses whose audit is against the verdict, in basis points."""
    unbonding_s: int
    """Seconds for which a stake stays locked after its agent asked for it back."""


def attestation_statement(
    receipt: ReceiptId, kind: AttestationKind, *, by: Did, score: float | None, evidence_hash: str | None
) -> bytes:
    """What the author of an attestation signs: canonical JSON (RFC 8785). Its `type` keeps it from being anything else."""
    return rfc8785.dumps(
        {
            "type": "urn:hansa:attestation:1",
            "receipt": str(receipt),
            "by": by,
            "kind": kind.value,
            "score": score,
            "evidence_hash": evidence_hash,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardPolicy:
    """What an epoch offers, and to whom."""

    share_bps: BasisPoints
    """Share of the pool, in basis points; 0: nothing is paid."""
    score_min: Decimal
    """Least usefulness that is rewarded, above 0 and up to 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardEpoch:
    """The rewards of one UTC day, as they were fixed when it was opened. Amounts are units of 1/1000 credit."""

    epoch: date
    share_bps: BasisPoints
    """Share of the pool that was offered, in basis points."""
    score_min: Decimal
    """Least usefulness that was rewarded."""
    pool_units: Credits
    """What the pool held then, less what earlier epochs had still to pay."""
    offered_units: Credits
    """The share of it, rounded down."""
    score_sum: Decimal
    """Sum of the usefulness of all agents among whom the offer was divided."""
    agents: int
    """How many of them got at least one unit."""
    reward_units: Credits
    """Sum of the rewards; the rest of the offer stayed in the pool."""
    opened_at: datetime
    closed_at: datetime | None
    """When the last reward was paid; None: some wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What an agent gets of an epoch, in units of 1/1000 credit."""

    epoch: date
    """The UTC day that it is for."""
    agent: Did
    score: Decimal
    """Usefulness of the agent when the epoch was opened, 0 to 100."""
    units: Credits
    """offered_units x score / score_sum of the epoch, rounded down."""
    by_work_type: dict[str, int]
    """Work type -> its part of the units; types without a part are left out."""
    movement: MovementId | None
    """The movement that paid it; None: not yet."""
    paid_at: datetime | None
    """None: not yet."""
