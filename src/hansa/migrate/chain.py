"""The hash chain over the event log: pure, so that it can be checked without trusting the database.

Each event's hash covers its own content and the hash before it. Altering, removing or inserting an event breaks the
link after it. Cutting off the end shows as soon as it takes an application or reversal with it, because the applied
revisions no longer follow from the events; only events of other kinds at the very end can go unnoticed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

GENESIS = "0" * 64


class EventKind(StrEnum):
    """What can happen to a revision."""

    APPLIED = "applied"
    REVERTED = "reverted"
    VERIFIED = "verified"
    SEEDED = "seeded"
    FAILED = "failed"
    RESOLVED = "resolved"
    """An operator said by hand what state an interrupted revision is in."""
    BASELINED = "baselined"
    """Taken as applied without running, because the catalog is what it would have made."""
    SQUASHED = "squashed"
    """Gone into a revision that does what several did."""
    REHEARSED = "rehearsed"
    CANCELLED = "cancelled"
    """An online operation was asked to stop."""
    ACCEPTED = "accepted"
    """Drift was accepted: the live catalog is what is expected from now on."""
    HOOKED = "hooked"
    """Everything that was to follow an application is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of the event log."""

    n: int
    """Position in the log, from 1, without gaps."""
    kind: EventKind
    revision: str
    checksum: str
    """Of the revision's files when it happened."""
    at: datetime
    actor: str
    detail: str
    """What failed; empty for everything else."""
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first place where the log does not hold together."""

    n: int
    reason: str


def link(
    *, n: int, kind: EventKind, revision: str, checksum: str, at: datetime, actor: str, detail: str, prev: str
) -> str:
    """Hash of an event, in hexadecimal. The fields are a JSON list, so no two contents share one text."""
    fields = [
        n,
        str(kind),
        revision,
        checksum,
        at.astimezone(UTC).isoformat(timespec="microseconds"),
        actor,
        detail,
        prev,
    ]
    return hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode()).hexdigest()


def first_break(events: Sequence[Event], applied: Mapping[str, str]) -> Break | None:
    """Where the log was altered first, or None. `applied` maps revisions to checksums, as the ledger has them now."""
    prev = GENESIS
    for n, event in enumerate(events, start=1):
        reason = _fault(event, n, prev)
        if reason:
            return Break(n=n, reason=reason)
        prev = event.hash
    return _difference(events, applied)


def _fault(event: Event, n: int, prev: str) -> str | None:
    if event.n != n:
        return f"event {n} is gone, event {event.n} stands in its place"
    if event.prev_hash != prev:
        return f"event {n} does not follow from the event before it"
    expected = link(
        n=n,
        kind=event.kind,
        revision=event.revision,
        checksum=event.checksum,
        at=event.at,
        actor=event.actor,
        detail=event.detail,
        prev=prev,
    )
    return None if event.hash == expected else f"the content of event {n} ({event.kind} {event.revision}) was altered"


def _difference(events: Sequence[Event], applied: Mapping[str, str]) -> Break | None:
    told = replay(events)
    for name in sorted(told.keys() | applied.keys()):
        if told.get(name) != applied.get(name):
            reason = f"mig.revisions and the events disagree about {name}: one of them was altered or cut off"
            return Break(n=len(events) + 1, reason=reason)
    return None


def replay(events: Sequence[Event]) -> dict[str, str]:
    """Applied revisions and their checksums, as the events tell them."""
    state: dict[str, str] = {}
    for event in events:
        if event.kind in (EventKind.APPLIED, EventKind.BASELINED):
            state[event.revision] = event.checksum
        elif event.kind in (EventKind.REVERTED, EventKind.SQUASHED):
            state.pop(event.revision, None)
    return state
