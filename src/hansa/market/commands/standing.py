"""What is counted of an agent: hires and earnings, and the leaderboards."""

from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.money import Credits
from hansa.market.models import Period

RECORD_HIRE = Query(str, "SELECT market.record_hire(%(agent)s, %(earned)s)::text")

NOTE_CHANGE = Query(str, "SELECT market.note_change()::text")

PUBLISH_ALL = Query(int, "SELECT market.update_leaderboard_rankings()")

PUBLISH_PERIOD = Query(int, "SELECT market.update_leaderboard_rankings(%(period)s::market.leaderboard_period)")

PUBLISH_DUE = Query(int, "SELECT market.publish_due_leaderboards()")

SET_REFERENCES = Query(
    int,
    "SELECT market.set_leaderboard_references(%(period)s::market.leaderboard_period, %(tasks)s::integer, %(earnings)s)",
)


def record_hire(tx: Tx, agent: Did, earned: Credits) -> None:
    """Count a settled deal and what the agent got of it; told by an event, so each deal is counted once."""
    tx.run(RECORD_HIRE, agent=agent, earned=earned)


def note_change(tx: Tx) -> None:
    """Say that something has happened which the boards do not show yet."""
    tx.run(NOTE_CHANGE)


def publish_leaderboards(tx: Tx, period: Period | None = None) -> int:
    """Publish the boards of a period, or of all; returns how many rows changed. Source: AMOCA."""
    return tx.one(PUBLISH_ALL) if period is None else tx.one(PUBLISH_PERIOD, period=period)


def publish_due_leaderboards(tx: Tx) -> int:
    """Publish the boards on which something has changed; returns how many periods were published."""
    return tx.one(PUBLISH_DUE)


def set_leaderboard_references(tx: Tx, period: Period, *, tasks: int, earnings: Credits) -> int:
    """Say how many tasks and what earnings are worth all points of a period; returns the version that counts now.

    Every score of the period is measured anew at the next publication. Raises ReferenceUnfit.
    """
    return tx.one(SET_REFERENCES, period=period, tasks=tasks, earnings=earnings)
