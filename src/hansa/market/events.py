"""Facts that the market publishes."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hansa.kernel.dids import Did
from hansa.kernel.events import Event, event
from hansa.kernel.ids import NegotiationId, ReviewId, TaskId, WorkLogId
from hansa.kernel.money import Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """Something happened to a task; events of one task keep their order, those of its review too."""

    task: TaskId

    def ordering_key(self) -> str:
        return f"task:{self.task}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMoved(TaskEvent):
    """A task is in another state than before."""

    negotiation: NegotiationId
    buyer: Did
    seller: Did
    amount: Credits
    domain: int | None


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCreated(TaskMoved):
    name: ClassVar[str] = "market.task_created"

    title: str


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(TaskMoved):
    name: ClassVar[str] = "market.task_started"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDelivered(TaskMoved):
    name: ClassVar[str] = "market.task_delivered"

    delivered_at: datetime


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettled(TaskMoved):
    """A delivery was accepted and paid."""

    name: ClassVar[str] = "market.task_settled"

    work_log: WorkLogId
    settled_at: datetime


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded(TaskMoved):
    """A task ended without being completed."""

    name: ClassVar[str] = "market.task_ended"

    status: str
    """failed or cancelled."""


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewWritten(TaskEvent):
    name: ClassVar[str] = "market.review_written"

    review: ReviewId
    agent: Did
    rating: int
    """1 to 5 stars."""


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewChanged(TaskEvent):
    """A review was edited or taken back."""

    name: ClassVar[str] = "market.review_changed"

    review: ReviewId
    agent: Did
    rating: int
    withdrawn: bool
