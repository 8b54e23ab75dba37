"""What the commands answer: plain values, ready to be shown or written as JSON."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """How a revision in the folder relates to the database."""

    APPLIED = "applied"
    PENDING = "pending"
    EDITED = "edited"
    """Applied, but its files are no longer what was applied."""
    MISSING = "missing"
    """Applied, but gone from the folder."""
    INTERRUPTED = "interrupted"
    """Not transactional, and stopped half-way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One revision that was run."""

    revision: str
    statements: int
    """How many ran this time."""
    resumed_after: int
    """How many had run before an interruption; 0 for a fresh start."""
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `up`, `down` or `seed` did."""

    steps: tuple[Step, ...]
    """In the order in which they ran; empty when there was nothing to do."""
    skipped: tuple[str, ...] = ()
    """Seeded before, so left alone."""

    @property
    def revisions(self) -> tuple[str, ...]:
        return tuple(step.revision for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One revision that `up` would run."""

    revision: str
    description: str
    requires: tuple[str, ...]
    transactional: bool
    irreversible: bool
    statements: int
    """How many would run, without those finished before an interruption."""
    resumes_after: int
    operations: tuple[str, ...] = ()
    """Online operations that would run after the statements: kind and target."""
    locks: tuple[str, ...] = ()
    """The strongest lock that the statements take on each relation that exists, as `ACCESS EXCLUSIVE public.orders`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `up` would run, in that order."""

    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionStatus:
    """Where one revision stands."""

    revision: str
    state: State
    applied_at: datetime | None
    """None while it is not applied."""
    applied_by: str | None
    """None while it is not applied."""
    duration_ms: int | None
    """None while it is not applied."""
    detail: str
    """Which file was edited, or how far an interrupted one came; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that `up` and `down` would refuse."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a database stands against a folder."""

    revisions: tuple[RevisionStatus, ...]
    """Those of the folder in their order, then the missing ones."""
    events: int
    """Length of the event log."""
    problems: tuple[Problem, ...]
    """Empty when the log holds together and every applied revision is in the folder, unchanged."""

    @property
    def pending(self) -> tuple[str, ...]:
        waiting = (State.PENDING, State.INTERRUPTED)
        return tuple(row.revision for row in self.revisions if row.state in waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One fact that a verify.sql stated."""

    revision: str
    name: str
    ok: bool
    detail: str
    """Further words of the check, or why it could not be made; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What `verify` found."""

    checks: tuple[Check, ...]
    unverified: tuple[str, ...]
    """Applied revisions without a verify.sql."""

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)
