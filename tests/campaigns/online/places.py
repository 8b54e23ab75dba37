"""Where a migration is, read from its ledger by somebody who only watches: which step is under way, and how far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hansa.migrate.revisions import Revision, load

BEGIN, SCRIPT, LEDGER, CATALOG = "begin", "script", "ledger", "catalog"
"""What happens besides steps: before anything is written, up.sql, the entry or leaving of a revision, and the end."""

# Everything in one statement, so that it belongs together.
LOOK = """
    SELECT (SELECT array_agg(id) FROM mig.revisions),
           EXISTS (SELECT FROM mig.catalog_before),
           (SELECT json_agg(json_build_object(
                     'revision', revision, 'number', number, 'direction', direction, 'step', step,
                     'finished', finished, 'share', rows_done::float8 / nullif(rows_total, 0)))
              FROM mig.operations)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A step of a revision's operation, or one of what happens besides."""

    revision: str
    number: int
    step: str
    kind: str
    """Of the operation; empty for what happens besides."""

    @property
    def name(self) -> str:
        """As the tables of the page show it."""
        return f"{self.kind}: {self.step}" if self.kind else self.step


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run is."""

    index: int
    """Of the place under way in its `Way`; its length when all is done."""
    share: float
    """How much of a step of batches is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Way:
    """All places of a run in their order."""

    direction: str
    places: tuple[Place, ...]

    def position(self, row: Sequence[Any] | None) -> Position:
        """Where a run is that was seen as `row`; None: the engine has no tables yet."""
        if row is None:
            return Position(0, 0.0)
        applied, running, rows = row
        seen = _Seen(self.direction, frozenset(applied or ()), bool(running), _by_operation(rows or ()))
        for index, place in enumerate(self.places):
            if not seen.is_past(place, self.places[index + 1 :]):
                return Position(index, seen.share(place))
        return Position(len(self.places), 0.0)


def ways(directory: Path) -> tuple[Way, Way]:
    """The ways up and down of a folder of revisions that all have operations."""
    revisions = load(directory)
    up = (Place(revision="", number=0, step=BEGIN, kind=""), *_places(revisions, "up"))
    down = (Place(revision="", number=0, step=BEGIN, kind=""), *_places(revisions[::-1], "down"))
    return Way("up", (*up, _end())), Way("down", (*down, _end()))


def _end() -> Place:
    return Place(revision="", number=0, step=CATALOG, kind="")


def _places(revisions: Sequence[Revision], direction: str) -> Iterator[Place]:
    for revision in revisions:
        if direction == "up" and revision.up is not None:
            yield Place(revision=revision.id, number=0, step=SCRIPT, kind="")
        operations = list(enumerate(revision.operations, start=1))
        for number, operation in operations if direction == "up" else operations[::-1]:
            for step in operation.up() if direction == "up" else operation.down():
                yield Place(revision=revision.id, number=number, step=step.name, kind=operation.kind)
        yield Place(revision=revision.id, number=0, step=LEDGER, kind="")


@dataclass(frozen=True, slots=True)
class _Seen:
    direction: str
    applied: frozenset[str]
    running: bool
    rows: Mapping[tuple[str, int], Mapping[str, Any]]

    def is_past(self, place: Place, after: Sequence[Place]) -> bool:
        """Whether a place was left behind."""
        if place.step == BEGIN:
            return self.running or self._is_over(after)
        if place.step == CATALOG:
            return not self.running
        if self._is_through(place.revision):
            return True
        if place.step == LEDGER:
            return False
        row = self.rows.get((place.revision, place.number))
        if place.step == SCRIPT:
            return row is not None
        if row is None or row["direction"] != self.direction:
            return False
        ahead = [one.step for one in after if (one.revision, one.number) == (place.revision, place.number)]
        return row["finished"] or row["step"] in (place.step, *ahead)

    def share(self, place: Place) -> float:
        row = self.rows.get((place.revision, place.number))
        return (row["share"] or 0.0) if row is not None and row["direction"] == self.direction else 0.0

    def _is_through(self, revision: str) -> bool:
        return (revision in self.applied) == (self.direction == "up")

    def _is_over(self, places: Sequence[Place]) -> bool:
        return all(self._is_through(place.revision) for place in places if place.revision)


def _by_operation(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    return {(row["revision"], row["number"]): row for row in rows}
