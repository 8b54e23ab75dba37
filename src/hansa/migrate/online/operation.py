"""What an online operation is: named steps up and named steps down, each safe to be interrupted at any instant.

A step is one of three kinds. A `Transaction` is short, takes its locks with a short timeout and many tries, and is
recorded in itself. A `Batches` step deals with some rows at a time, each batch a transaction that records how far it
came. An `Alone` step runs outside of a transaction, as CREATE INDEX CONCURRENTLY must, and is recorded afterwards, so it
must find out by itself what an interrupted run left. A killed run therefore resumes exactly after what was committed.

Steps of the way down must work from wherever the way up stopped, because an interrupted operation can be taken back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from psycopg import sql

from hansa.migrate.observing import Place
from hansa.migrate.options import Options
from hansa.migrate.session import Connection

# What PostgreSQL returns has the types of the statement's own columns.
Row = tuple[Any, ...]
Sql = sql.SQL | sql.Composed | str


@dataclass(slots=True, kw_only=True)
class Run:
    """An operation on its way: where to send statements, and what it remembers."""

    connection: Connection
    options: Options
    revision: str
    number: int
    """Position of the operation within its revision, from 1."""
    facts: dict[str, Any]
    """Survives interruptions: JSON values that are written with the step that changes them."""
    step: str = ""
    _sent: int = field(default=0)

    def starts(self) -> None:
        """A step or a batch begins: its statements are counted from 1, so that those of all batches have one place."""
        self._sent = 0

    def execute(self, query: Sql, parameters: Sequence[object] | None = None) -> list[Row]:
        """Run one statement of the engine's own; returns its rows. Raises psycopg.Error."""
        cursor = self._execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def changed(self, query: Sql, parameters: Sequence[object] | None = None) -> int:
        """Run one statement; returns how many rows it affected."""
        return self._execute(query, parameters).rowcount

    def one(self, query: Sql, parameters: Sequence[object] | None = None) -> Any:
        """The first column of the first row; None when there is none."""
        rows = self.execute(query, parameters)
        return rows[0][0] if rows else None

    def _execute(self, query: Sql, parameters: Sequence[object] | None) -> Any:
        text = query if isinstance(query, str) else query.as_string(self.connection)
        observer = self.options.observer
        self._sent += 1
        script = f"operation {self.number}, {self.step}"
        place = Place(revision=self.revision, script=script, number=self._sent, line=0, text=text)
        if observer is not None:
            observer.before(self.connection, place)
        cursor = self.connection.execute(text.encode(), parameters)
        if observer is not None:
            observer.after(self.connection, place, cursor.rowcount)
        return cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Which rows are next."""

    after: list[str] | None
    """Key of the last row dealt with, each column in its text form; None at the beginning."""
    rows: int
    """How many to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a batch did."""

    rows: int
    """Rows dealt with."""
    last: list[str] | None
    """Key of the last of them; None: there are no more."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A short transaction; its locks are asked for with a short timeout, and it is tried again without them."""

    name: str
    work: Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Alone:
    """Work outside of a transaction that can be repeated after an interruption."""

    name: str
    work: Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Batches:
    """Work on all rows of a table, some at a time, in the order of its key."""

    name: str
    work: Callable[[Run, Batch], Done]
    total: Callable[[Run], int]
    """Estimate of all rows, for the progress bar."""


Step = Transaction | Alone | Batches


class Operation(Protocol):
    """One change that leaves the traffic beside it alone."""

    @property
    def kind(self) -> str:
        """As meta.toml writes it."""
        ...

    @property
    def target(self) -> str:
        """What it changes, for people: `column governance.role_agents.status`."""
        ...

    def up(self) -> Sequence[Step]:
        """Steps in their order; names are unique within and stable, because a resumed run looks them up."""
        ...

    def down(self) -> Sequence[Step]:
        """Steps that take it back, from whichever step of the way up was the last."""
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """An operation that can tell beforehand, whatever the operations before it do, that it will have to refuse."""

    def foresee(self, run: Run) -> None:
        """Raise OperationRefused; what it does is rolled back, and what it remembers is forgotten."""
        ...
