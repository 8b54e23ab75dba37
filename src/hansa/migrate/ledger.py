"""The engine's own tables in schema `mig`: what is applied, what happened, what stopped half-way."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

from psycopg import sql
from psycopg.rows import class_row, kwargs_row, scalar_row

from hansa.migrate.chain import GENESIS, Event, EventKind, link
from hansa.migrate.errors import EngineTooOld
from hansa.migrate.revisions import Revision
from hansa.migrate.session import Connection, Session
from hansa.migrate.splitter import split

VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A revision as it was applied."""

    id: str
    checksum: str
    files: Mapping[str, str]
    """sha256 of each file, by name."""
    applied_at: datetime
    duration_ms: int
    applied_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a non-transactional script came."""

    revision: str
    direction: str
    statements_done: int
    done_hash: str
    """sha256 of the finished statements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Everything the engine knows about a database, read at one instant."""

    version: int
    """0 before the first run."""
    applied: tuple[Applied, ...]
    """In the order in which they were applied."""
    events: tuple[Event, ...]
    progress: Mapping[str, Progress]
    """By revision."""
    begun: frozenset[str] = frozenset()
    """Revisions whose online operations began, applied by now or not."""
    leaving: frozenset[str] = frozenset()
    """Those of them that are on their way back."""

    def last_event(self, revision: str, *kinds: EventKind) -> Event | None:
        """The latest event of a revision among these kinds."""
        return next(
            (event for event in reversed(self.events) if event.revision == revision and event.kind in kinds), None
        )


def prepare(session: Session) -> None:
    """Make the engine's tables, or bring them up to this version. Raises EngineTooOld."""
    found = _version(session.connection)
    for version in range(found + 1, VERSION + 1):
        with session.connection.transaction():
            _become_owner(session.connection)
            if session.connection.execute("SELECT pg_catalog.to_regnamespace('mig')").fetchone() == (None,):
                session.connection.execute("CREATE SCHEMA mig")
                session.connection.execute("COMMENT ON SCHEMA mig IS 'The ledger of the migration engine.'")
            for statement in split(_tables(version)):
                session.connection.execute(statement.text.encode())
            session.connection.execute("INSERT INTO mig.engine (version) VALUES (%s)", [version])


def _become_owner(connection: Connection) -> None:
    """For this transaction act as the owner of the ledger, or of the database as long as there is none.

    A superuser who rehearses, say, must not make tables that the one who deploys cannot write to.
    """
    row = connection.execute("""
        SELECT pg_catalog.pg_get_userbyid(coalesce(n.nspowner, d.datdba))
        FROM pg_catalog.pg_database AS d
        LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'mig'
        WHERE d.datname = pg_catalog.current_database()
          AND pg_catalog.pg_has_role(coalesce(n.nspowner, d.datdba), 'MEMBER')
          AND coalesce(n.nspowner, d.datdba) <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
    """).fetchone()
    if row is not None:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(row[0])))


def read(connection: Connection) -> Ledger:
    """The ledger as it is; empty when the engine never ran here. Raises EngineTooOld."""
    version = _version(connection)
    if not version:
        return Ledger(version=0, applied=(), events=(), progress={})
    applied = connection.cursor(row_factory=class_row(Applied)).execute("""
        SELECT id, checksum, files, applied_at, duration_ms, applied_by
        FROM mig.revisions
        ORDER BY event
    """)
    events = connection.cursor(row_factory=kwargs_row(_event)).execute("""
        SELECT n, kind, revision, checksum, at, actor, detail, prev_hash, hash
        FROM mig.events
        ORDER BY n
    """)
    progress = connection.cursor(row_factory=class_row(Progress)).execute("""
        SELECT revision, direction, statements_done, done_hash
        FROM mig.progress
    """)
    begun: list[tuple[str, bool]] = []
    if version > 1:
        begun = connection.execute("""
            SELECT revision, bool_or(direction = 'down')
            FROM mig.operations
            GROUP BY revision
        """).fetchall()
    return Ledger(
        version=version,
        applied=tuple(applied),
        events=tuple(events),
        progress={row.revision: row for row in progress},
        begun=frozenset(name for name, _ in begun),
        leaving=frozenset(name for name, back in begun if back),
    )


def record(
    session: Session, kind: EventKind, revision: str, checksum: str, *, detail: str = ""
) -> tuple[int, datetime]:
    """Append an event in the current transaction; returns its position and instant."""
    connection = session.connection
    last = connection.execute("SELECT n, hash FROM mig.events ORDER BY n DESC LIMIT 1").fetchone() or (0, GENESIS)
    at = connection.cursor(row_factory=scalar_row).execute("SELECT pg_catalog.clock_timestamp()").fetchone()
    assert isinstance(at, datetime)
    n, prev, actor = last[0] + 1, last[1], session.options.actor
    own = link(n=n, kind=kind, revision=revision, checksum=checksum, at=at, actor=actor, detail=detail, prev=prev)
    connection.execute(
        """
        INSERT INTO mig.events (n, kind, revision, checksum, at, actor, detail, prev_hash, hash)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [n, kind, revision, checksum, at, actor, detail, prev, own],
    )
    return n, at


def enter(session: Session, revision: Revision, *, duration_ms: int, kind: EventKind = EventKind.APPLIED) -> None:
    """Record, in the current transaction, that a revision is applied, or counts as such."""
    n, at = record(session, kind, revision.id, revision.checksum)
    session.connection.execute(
        """
        INSERT INTO mig.revisions (id, checksum, files, event, applied_at, duration_ms, applied_by)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        [revision.id, revision.checksum, json.dumps(dict(revision.files)), n, at, duration_ms, session.options.actor],
    )
    forget_progress(session, revision.id)


def leave(session: Session, revision: Revision) -> None:
    """Record, in the current transaction, that a revision is reverted."""
    strike(session, revision.id, revision.checksum)


def strike(session: Session, revision: str, checksum: str) -> None:
    """Record, in the current transaction, that a revision is not applied any more, whether or not its folder exists."""
    record(session, EventKind.REVERTED, revision, checksum)
    session.connection.execute("DELETE FROM mig.revisions WHERE id = %s", [revision])
    session.connection.execute("DELETE FROM mig.hook_outbox WHERE revision = %s AND finished_at IS NULL", [revision])
    forget_progress(session, revision)


def remember_progress(session: Session, progress: Progress) -> None:
    """Record how far a non-transactional script is."""
    session.connection.execute(
        """
        INSERT INTO mig.progress AS p (revision, direction, statements_done, done_hash)
        VALUES (%s, %s, %s, %s)
        ON CONFLICT (revision) DO UPDATE
        SET direction = excluded.direction, statements_done = excluded.statements_done,
            done_hash = excluded.done_hash, at = excluded.at
        """,
        [progress.revision, progress.direction, progress.statements_done, progress.done_hash],
    )


def forget_progress(session: Session, revision: str) -> None:
    session.connection.execute("DELETE FROM mig.progress WHERE revision = %s", [revision])


def _event(*, kind: str, **columns: Any) -> Event:  # the columns are those of the query, each of its field's type
    return Event(kind=EventKind(kind), **columns)


def _version(connection: Connection) -> int:
    if connection.execute("SELECT pg_catalog.to_regclass('mig.engine')").fetchone() == (None,):
        return 0
    cursor = connection.cursor(row_factory=scalar_row)
    found = cursor.execute("SELECT coalesce(max(version), 0) FROM mig.engine").fetchone()
    assert isinstance(found, int)
    if found > VERSION:
        raise EngineTooOld(f"the ledger is of version {found}, this engine knows up to {VERSION}; update the engine")
    return found


def _tables(version: int) -> str:
    return (resources.files("hansa.migrate") / "sql" / f"ledger_{version}.sql").read_text(encoding="utf-8")
