"""Rows and values of the market."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import NegotiationId, ReviewId, TaskId, UserId
from hansa.kernel.money import Credits
from hansa.negotiation.models import Settlement

NO_CREDITS = Credits(0)

Stars = Annotated[int, Field(ge=1, le=5, strict=True)]
"""A rating: 1 to 5 stars."""


class TaskStatus(StrEnum):
    """AMOCA's five; a delivery that waits for its buyer is in progress and has `delivered_at`."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    """Accepted and paid."""
    FAILED = "failed"
    """Begun and never delivered."""
    CANCELLED = "cancelled"
    """Ended without blame."""


class TaskPriority(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class PaymentType(StrEnum):
    HOURLY = "hourly"
    TASK_BASED = "task_based"
    SUBSCRIPTION = "subscription"


class Period(StrEnum):
    """Which deeds a leaderboard counts."""

    DAILY = "daily"
    """The last 24 hours."""
    WEEKLY = "weekly"
    """The last 7 days."""
    MONTHLY = "monthly"
    """The last 30 days."""
    ALL_TIME = "all_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDetails:
    """What a buyer may add about the work."""

    task_type: str | None = None
    """Any word of the buyer's for the kind of work, up to 50 characters."""
    priority: TaskPriority = TaskPriority.MEDIUM
    payment_type: PaymentType = PaymentType.TASK_BASED
    estimated_hours: Decimal | None = None
    """What the buyer expects, two decimals; None: nothing said."""
    metadata: JsonObject = field(default_factory=dict[str, object])
    """Anything else, at most 10 000 characters of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The work that fulfils an accepted deal."""

    id: TaskId
    user_id: UserId
    """The account behind the buyer."""
    agent_id: UUID
    """The agent that works."""
    negotiation_id: NegotiationId
    buyer_did: Did
    seller_did: Did
    domain_id: int | None
    """None: the task counts overall only."""
    title: str
    description: str
    task_type: str | None
    status: TaskStatus
    priority: TaskPriority
    budget: Credits
    """The agreed price, units of 1/1000 credit."""
    payment_type: PaymentType
    estimated_hours: Decimal | None
    actual_hours: Decimal | None
    """Hours from start to delivery; None: not delivered."""
    due_date: datetime | None
    """When the deal promises the delivery."""
    expires_at: datetime
    """When the held money goes back to the buyer by itself."""
    started_at: datetime | None
    delivered_at: datetime | None
    accepted_at: datetime | None
    completed_at: datetime | None
    metadata: JsonObject
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredFile:
    """A file that is handed over; it stays where it is and is pinned by its hash."""

    file_url: str
    """https or ipfs URL."""
    file_name: str
    file_type: str | None = None
    """Media type; None: not said."""
    description: str | None = None
    content_hash: str
    """sha256 of the file, in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverable:
    """Something that was delivered: a file elsewhere, or a text."""

    id: UUID
    file_url: str | None
    """None: the description is what was delivered."""
    file_name: str | None
    file_type: str | None
    description: str | None
    content_hash: str
    """sha256 in hexadecimal: of the file as its maker states it, or of the description's UTF-8."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWithWork:
    """A task with what was delivered for it."""

    task: Task
    deliverables: list[Deliverable]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTask:
    """A task that is completed, and the settlement that paid it."""

    task: Task
    settlement: Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDraft:
    """What a buyer says about a finished task; what is left out was not rated or said."""

    rating: Stars
    title: str | None = None
    review_text: str | None = None
    pros: list[str] = field(default_factory=list[str])
    cons: list[str] = field(default_factory=list[str])
    would_hire_again: bool | None = None
    response_time_rating: Stars | None = None
    quality_rating: Stars | None = None
    communication_rating: Stars | None = None
    value_rating: Stars | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewEdit:
    """What changes in a review; what is left out stays as it is."""

    rating: Stars | None = None
    title: str | None = None
    review_text: str | None = None
    pros: list[str] | None = None
    cons: list[str] | None = None
    would_hire_again: bool | None = None
    response_time_rating: Stars | None = None
    quality_rating: Stars | None = None
    communication_rating: Stars | None = None
    value_rating: Stars | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a buyer says about an agent after a task was finished and paid."""

    id: ReviewId
    user_id: UserId
    agent_id: UUID
    task_id: TaskId
    rating: int
    """1 to 5 stars."""
    title: str | None
    review_text: str | None
    pros: list[str]
    cons: list[str]
    would_hire_again: bool | None
    """None: not said."""
    response_time_rating: int | None
    """1 to 5; None: not rated. The same holds for the three below."""
    quality_rating: int | None
    communication_rating: int | None
    value_rating: int | None
    response_text: str | None
    """What the agent answers; None: nothing yet."""
    created_at: datetime
    updated_at: datetime
    withdrawn_at: datetime | None
    """When its writer took it back; None: it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStats:
    """Lifetime numbers of an agent; zeros before the first deed."""

    agent_id: UUID
    tasks_completed: int = 0
    tasks_failed: int = 0
    success_rate: Decimal = Decimal("0.00")
    """Completed of completed and failed tasks, percent."""
    avg_response_time_minutes: int | None = None
    """Mean whole minutes from the making of a task to its start; None: none was started."""
    total_earnings: Credits = NO_CREDITS
    """The agent's own shares of all settled deals, units of 1/1000 credit."""
    rating: Decimal = Decimal("0.00")
    """Plain mean of the ratings, 1 to 5; 0 before the first."""
    avg_rating: Decimal = Decimal("0.00")
    """The same number as rating: AMOCA names it twice."""
    bayesian_rating: Decimal = Decimal("3.50")
    """Mean of the ratings and of four imagined ones of 3.5, so that few reviews say little."""
    review_count: int = 0
    hire_count: int = 0
    """Settled deals, with a task or without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedAgent:
    """An agent on a board."""

    did: Did
    agent_id: str
    """Name of the agent in URLs."""
    name: str
    avatar_url: str
    rank: int
    """One more than the agents with a higher score: equal scores share a rank."""
    previous_rank: int | None
    """Rank before it last changed; None: it never did."""
    score: Decimal
    """0 to 100: up to 40 for success, 30 for tasks, 20 for rating, 10 for earnings."""
    tasks_completed: int
    """Lifetime, on every board; so are the three below."""
    success_rate: Decimal
    rating: Decimal
    review_count: int
    domains: list[str]
    """Domains in which the agent is listed, the primary one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One published leaderboard."""

    domain: int | None
    """None: over all domains."""
    period: Period
    published_at: datetime | None
    """None: never yet."""
    agents: list[RankedAgent]
    """Best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What the scores of a period are measured against."""

    period: Period
    version: int
    """Counts up with each change, for all periods together."""
    tasks_reference: int
    """Completed tasks that earn all 30 points."""
    earnings_reference: Credits
    """Earnings that earn all 10 points, units of 1/1000 credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an agent stands on one board."""

    period: Period
    domain_id: int | None
    """None: over all domains."""
    rank: int
    previous_rank: int | None
    """Rank before it last changed; None: it never did."""
    total_agents_in_domain: int
    """How many agents this board ranks."""
    score: Decimal
    updated_at: datetime


def text_hash(text: str) -> str:
    """What pins a delivered text: sha256 of its UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
