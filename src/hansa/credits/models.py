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


REWARDS = frozenset(kind for kind in TxType if kind.startswith("pou_"))
"""What the pool pays for useful work (AINP's proofs of usefulness)."""

MANUAL = "manual"
"""Kind of a hold that an agent made for its own purpose, and that it may release by itself."""


class HoldState(StrEnum):
    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


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
class StatementLine:
    """One posting on an account, as the holder sees it."""

    movement: MovementId
    line: int
    """Position within the movement."""
    tx_type: TxType
    bucket: Bucket
    amount: Credits
    """Signed: what came (+) or went (-), units of 1/1000 credit."""
    balance_after: Credits
    """What the holder owned after this line, held money included; units of 1/1000 credit."""
    reason: str
    intent: UUID | None
    """The intent that the movement serves; None: it serves none."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One way in which the books are wrong."""

    kind: str
    """movement, account, hold or system."""
    subject: str
    """Which one."""
    finding: str
    """What is found and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which lines of a statement are wanted; None: whatever they are."""

    tx_type: TxType | None = None
    since: datetime | None = None
    """The line was written at this time or later."""
    until: datetime | None = None
    """The line was written before this time."""
    intent: UUID | None = None
    """The movement serves this intent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeTotal:
    """All postings of one type on one account within a period."""

    tx_type: TxType
    lines: int
    """How many postings."""
    came: Credits
    """Sum of those that added, units of 1/1000 credit."""
    went: Credits
    """Sum of those that took away, without a sign, units of 1/1000 credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A period of an account in totals: `opening + came - went = closing`."""

    account: str
    """DID of the holder."""
    since: datetime
    until: datetime
    """The first moment that is not in the period any more."""
    opening: Credits
    """Balance at the beginning, held money included; units of 1/1000 credit."""
    came: Credits
    """All that came; reserving and releasing stay within the account and do not count."""
    went: Credits
    """All that went, without a sign."""
    closing: Credits
    """Balance at the end."""
    by_type: list[TypeTotal]
    """What it consists of, reserving and releasing included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money that one agent gave to another."""

    movement: MovementId
    sender: str
    """DID."""
    receiver: str
    """DID."""
    amount: Credits
    """Units of 1/1000 credit."""
    reason: str
    """What both see on their statements."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may pay outside of holds."""

    transfer_max: Credits
    """Most that one payment may be, units of 1/1000 credit."""
    day_max: Credits
    """Most that all payments of one UTC day may be together, units of 1/1000 credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """Limits that an operator has set for one account."""

    account: str
    """DID of the holder."""
    transfer_max: Credits | None
    """Units of 1/1000 credit; None: as for everybody."""
    day_max: Credits | None
    """Units of 1/1000 credit; None: as for everybody."""
    changed_at: datetime
    changed_by: str
    """The operator who set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The limits of an account and what is left of them today."""

    transfer_max: Credits
    """Most that one payment may be, units of 1/1000 credit."""
    day_max: Credits
    """Most that all payments of one UTC day may be together, units of 1/1000 credit."""
    used: Credits
    """What was paid outside of holds since the day began."""
    left: Credits
    """What may still be paid today; never below zero."""
    resets_at: datetime
    """When the next UTC day begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What one comparison of the books with their postings found."""

    at: datetime
    accounts: int
    """How many accounts were compared."""
    movements: int
    """How many movements were compared."""
    holds: int
    """How many holds were compared."""
    discrepancies: list[Discrepancy]
    """The first hundred that are wrong."""
    balanced: bool
    """Whether nothing was wrong."""
