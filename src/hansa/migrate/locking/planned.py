"""Which locks the pending revisions will take, on which tables of the live database, and how much those hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

from hansa.migrate import ledger
from hansa.migrate.catalog import snapshot
from hansa.migrate.errors import UnknownRevision
from hansa.migrate.graph import with_requirements
from hansa.migrate.ledger import Ledger
from hansa.migrate.locking.lock import Lock, Reach
from hansa.migrate.locking.modes import BLOCKS_ALL, BLOCKS_WRITES, UNKNOWN, blocks, strength
from hansa.migrate.locking.names import Names
from hansa.migrate.locking.relations import Relation, Relations
from hansa.migrate.locking.statements import locks_of
from hansa.migrate.revisions import Revision, load
from hansa.migrate.runner import finished, script_of
from hansa.migrate.session import Connection, looking
from hansa.migrate.state import pending, refuse_unsound

TEXT_MAX = 100
"""Characters of a statement that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLock:
    """A lock that a pending statement will take, and keep until its transaction ends."""

    relation: str
    """Qualified where it exists; empty when only running the statement can tell."""
    mode: str
    """Such as `ACCESS EXCLUSIVE`, or `unknown`."""
    blocks: str
    """`reads and writes`, `writes`, `nothing but schema changes`, or `unknown`."""
    why: str
    exists: bool
    """Whether the relation is in the live database; one that is only being made keeps nobody waiting."""
    rows: int = 0
    """How many the relation holds, as PostgreSQL estimates them."""
    size_bytes: int = 0
    held_ms: float | None = None
    """Until the end of the transaction, as measured in a rehearsal; None when it was not rehearsed."""

    @property
    def alarming(self) -> bool:
        """Whether users of rows that are there have to wait."""
        return self.exists and self.size_bytes > 0 and self.blocks in (BLOCKS_ALL, BLOCKS_WRITES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLocks:
    """The locks of one pending statement, the strongest first."""

    revision: str
    line: int
    """Of up.sql, or 0 for a statement of an online operation."""
    text: str
    """Its beginning, on one line."""
    locks: tuple[PlannedLock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPlan:
    """The locks of everything that is pending."""

    statements: tuple[StatementLocks, ...]
    """Those that take any, in the order in which they run."""
    rehearsed_at: datetime | None
    """When the locks were measured, on a copy of exactly this database; None: they follow from the statements."""

    @property
    def alarming(self) -> tuple[StatementLocks, ...]:
        """Only what users of existing rows would have to wait for."""
        chosen = (
            replace(statement, locks=tuple(lock for lock in statement.locks if lock.alarming))
            for statement in self.statements
        )
        return tuple(statement for statement in chosen if statement.locks)


def locks(dsn: str, directory: Path, *, to: str | None = None) -> LockPlan:
    """Which locks `up` would take: as measured by a rehearsal that still counts, else as the statements tell.

    Raises UnknownRevision, and what `plan` raises.
    """
    # A rehearsal plans too, so it is known only from here on.
    from hansa.migrate.rehearsal.recorded import certified, pending_digest

    revisions = load(directory)
    if to is not None and to not in {revision.id for revision in revisions}:
        raise UnknownRevision(f"there is no revision {to}")
    with looking(dsn) as connection:
        state = ledger.read(connection)
        refuse_unsound(state, revisions)
        waiting = pending(state, with_requirements(revisions, to) if to is not None else revisions)
        certificate = None
        if waiting and state.version > 1:
            catalog = snapshot(connection).digest
            certificate = certified(connection, pending_digest(waiting), catalog, within_s=inf)
        if certificate is not None:
            found = tuple(_measured(connection, certificate.report))
            return LockPlan(statements=found, rehearsed_at=certificate.at)
        return LockPlan(statements=tuple(_told(connection, waiting, state)), rehearsed_at=None)


def on_existing(connection: Connection, waiting: Sequence[Revision], state: Ledger) -> Mapping[str, tuple[str, ...]]:
    """By revision: the strongest lock on each relation that is there now, such as `ACCESS EXCLUSIVE public.orders`."""
    found: dict[str, dict[str, str]] = {revision.id: {} for revision in waiting}
    for statement in _told(connection, waiting, state):
        modes = found[statement.revision]
        for lock in statement.locks:
            if lock.exists and strength(lock.mode) > strength(modes.get(lock.relation, "")):
                modes[lock.relation] = lock.mode
    return {
        revision: tuple(
            f"{mode} {name}" for name, mode in sorted(modes.items(), key=lambda one: (-strength(one[1]), one[0]))
        )
        for revision, modes in found.items()
    }


def _told(connection: Connection, waiting: Sequence[Revision], state: Ledger) -> Iterator[StatementLocks]:
    """What the statements say, for those that did not run before an interruption."""
    names, relations = Names(connection), Relations(connection)
    for revision in waiting:
        names.begin_revision()
        script = script_of(revision, "up")
        done = finished(script, state.progress.get(revision.id), revision.id)
        for statement in script.statements:
            if statement.number > done:
                planned = tuple(_planned(connection, names, relations, locks_of(statement)))
                if planned:
                    yield _statement(revision.id, statement.line, statement.text, planned)
            names.follow(statement)


def _planned(connection: Connection, names: Names, relations: Relations, told: Iterable[Lock]) -> Iterator[PlannedLock]:
    """Each lock with the relations it is on; what reaches nothing that exists is left out."""
    for lock in told:
        live = names.live(lock.relation) if lock.relation else None
        there = relations.of(replace(lock, relation=live)) if live is not None else ()
        for relation in there:
            yield _on(relation, lock.mode, lock.blocks, lock.why)
        if lock.reach is Reach.ITSELF and not there and not _is_harmless(connection, lock):
            yield PlannedLock(relation=lock.relation, mode=lock.mode, blocks=lock.blocks, why=lock.why, exists=False)


def _is_harmless(connection: Connection, lock: Lock) -> bool:
    """Whether the function that made a lock unknown is one of PostgreSQL's own, or no function at all."""
    if lock.mode != UNKNOWN or not lock.part:
        return False
    row = connection.execute(
        """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_proc
                       WHERE proname = %(name)s AND pronamespace = 'pg_catalog'::regnamespace)
            OR EXISTS (SELECT FROM pg_catalog.pg_get_keywords() AS k WHERE k.word = %(name)s)
        """,
        {"name": lock.part},
    ).fetchone()
    return row is not None and bool(row[0])


def _measured(connection: Connection, report: Mapping[str, Any]) -> Iterator[StatementLocks]:
    """What a rehearsal saw; its report is JSON that the engine wrote."""
    relations = Relations(connection)
    for one in report["statements"]:
        found: list[PlannedLock] = []
        for lock in one["locks"]:
            there = relations.of(Lock(relation=lock["relation"], mode=lock["mode"], why=""))
            found += [
                replace(_on(relation, lock["mode"], blocks(lock["mode"]), "measured"), held_ms=lock["held_ms"])
                for relation in there
            ]
        if found:
            yield _statement(one["revision"], one["line"], one["text"], tuple(found))


def _on(relation: Relation, mode: str, blocked: str, why: str) -> PlannedLock:
    return PlannedLock(
        relation=relation.name,
        mode=mode,
        blocks=blocked,
        why=why,
        exists=True,
        rows=relation.rows,
        size_bytes=relation.size_bytes,
    )


def _statement(revision: str, line: int, text: str, found: tuple[PlannedLock, ...]) -> StatementLocks:
    return StatementLocks(
        revision=revision,
        line=line,
        text=" ".join(text.split())[:TEXT_MAX],
        locks=tuple(sorted(found, key=lambda lock: (-strength(lock.mode), lock.relation))),
    )
