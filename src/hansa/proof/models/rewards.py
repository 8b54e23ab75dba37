"""Rewards: what the pool pays for usefulness, day by day."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from hansa.kernel.dids import Did
from hansa.kernel.ids import MovementId
from hansa.kernel.money import BasisPoints, Credits


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
