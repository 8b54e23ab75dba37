"""Rows and values of credits."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from hansa.kernel.ids import HoldId, MovementId
from hansa.kernel.money import Credits

MINT = "system:mint"
"""Issues opening credits; its balance is minus all that was ever issued."""
TREASURY = "system:treasury"
"""Pays and earns for the house itself."""
POOL = "system:pool"
"""Takes the pool's share of each deal, remainders, and shares that nobody claims."""
ESCROW = "system:escrow"
"""Keeps what belongs to a deal in dispute."""


class Bucket(StrEnum):
    AVAILABLE = "available"
    RESERVED = "reserved"


class TxType(StrEnum):
    """What a movement is, in AINP's words."""

    DEPOSIT = "deposit"
    EARN = "earn"
    RESERVE = "reserve"
    RELEASE = "release"
    SPEND = "spend"
    POU_COMPUTE = "pou_compute"
    POU_MEMORY = "pou_memory"
    POU_ROUTING = "pou_routing"
    POU_VALIDATION = "pou_validation"
    POU_LEARNING = "pou_learning"


class HoldState(StrEnum):
    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


class OperationKind(StrEnum):
    """What a batch can do to the books."""

    DEPOSIT = "deposit"
    RESERVE = "reserve"
    RELEASE = "release"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a holder of credits has. An agent that never held any has zeros."""

    account: str
    """DID of the holder."""
    balance: Credits
    """All that the holder owns, held money included; units of 1/1000 credit."""
    reserved: Credits
    """Part of the balance that is held for deals."""
    earned: Credits
    """All that was ever earned."""
    spent: Credits
    """All that was ever spent."""

    @property
    def available(self) -> Credits:
        return Credits(self.balance - self.reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money set aside for one purpose."""

    id: HoldId
    account: str
    """DID whose money is held."""
    amount: Credits
    """Units of 1/1000 credit."""
    purpose_kind: str
    """What the money is held for, e.g. `negotiation`."""
    purpose_id: str
    state: HoldState
    created_at: datetime
    expires_at: datetime
    """The money goes back by itself after this time."""
    ended_at: datetime | None
    """When it was captured, released or expired; None: still held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of a captured hold and who gets it."""

    account: str
    """DID, or the name of a system account."""
    amount: Credits
    """Units of 1/1000 credit, greater than zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one operation of a batch."""

    n: int
    """Its place in the batch, from 1."""
    hold: HoldId | None
    """The hold that it made or ended; None: it was refused, or is a deposit."""
    movement: MovementId | None
    """The movement that it made; None: it was refused."""
    at: datetime
    """When it was decided."""
    refusal: str | None
    """Name of the constraint that refused it; None: it was done."""
    message: str | None
    """The refusal in words; None: the words of its class."""
    facts: dict[str, object] | None
    """What the refusal tells a program; None: nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One posting on an account, as the holder sees it."""

    movement: MovementId
    line: int
    """Position within the movement."""
    tx_type: TxType
    bucket: Bucket
    amount: Credits
    """Signed: what came (+) or went (-), units of 1/1000 credit."""
    reason: str
    intent: UUID | None
    """The intent that the movement serves; None: it serves none."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One way in which the books are wrong."""

    kind: str
    """movement, account or hold."""
    subject: str
    """Which one."""
    finding: str
    """What is found and what was expected."""
