"""Receipts of settled work: the committee that was drawn for each, its verdict, and how its members did."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from hansa.kernel.dids import Did
from hansa.kernel.ids import IntentId, MovementId, WorkLogId
from hansa.kernel.money import Asset, Credits
from hansa.proof.drawing import Candidate

ReceiptId = NewType("ReceiptId", UUID)


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
