"""Somebody who watches every statement of a run, from the same session."""

from dataclasses import dataclass
from typing import Protocol

from hansa.migrate.session import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a statement stands."""

    revision: str
    script: str
    """`up.sql`, `down.sql`, ..., or the operation and its step, as in `operation 2, backfill`."""
    number: int
    """Position within the script, from 1."""
    line: int
    """First line within the script, from 1; 0 for a statement of the engine's own."""
    text: str


class Observer(Protocol):
    """Hears of each statement before and after it ran. What it raises ends the run."""

    def before(self, connection: Connection, place: Place) -> None: ...

    def after(self, connection: Connection, place: Place, rows: int) -> None:
        """`rows` is what the statement affected; -1 when that makes no sense for it."""
        ...
