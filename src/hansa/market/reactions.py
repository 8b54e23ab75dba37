"""What the market does about news from below, and about its own."""

from hansa.infra.db import Tx
from hansa.infra.outbox import on
from hansa.kernel.ids import EventId
from hansa.market import commands
from hansa.market.events import ReviewChanged, ReviewWritten, TaskEnded
from hansa.negotiation.events import DealExpired, DealSettled
from hansa.registry.events import AgentRegistered, AgentRetired


@on(DealExpired)
def end_task(tx: Tx, event: DealExpired, _: EventId) -> None:
    """A task whose money went back to the buyer is over."""
    if event.was_accepted:
        commands.end_task_of_deal(tx, event.negotiation)


@on(DealSettled)
def count_hire(tx: Tx, event: DealSettled, _: EventId) -> None:
    """A settled deal is a hire and earns, whether a task fulfilled it or not."""
    commands.record_hire(tx, event.responder, event.agent_units)
    commands.note_change(tx)


@on(TaskEnded)
def task_ended(tx: Tx, _event: TaskEnded, _: EventId) -> None:
    """A failed task moves its agent on the boards. (A completed one comes with its deal's settlement.)"""
    commands.note_change(tx)


@on(ReviewWritten)
def review_written(tx: Tx, _event: ReviewWritten, _: EventId) -> None:
    """A rating moves its agent on the boards."""
    commands.note_change(tx)


@on(ReviewChanged)
def review_changed(tx: Tx, _event: ReviewChanged, _: EventId) -> None:
    """So does a rating that was changed or taken back."""
    commands.note_change(tx)


@on(AgentRetired)
def agent_retired(tx: Tx, _event: AgentRetired, _: EventId) -> None:
    """A retired agent leaves the boards."""
    commands.note_change(tx)


@on(AgentRegistered)
def agent_registered(tx: Tx, _event: AgentRegistered, _: EventId) -> None:
    """An agent that comes back is ranked by the deeds it had."""
    commands.note_change(tx)
