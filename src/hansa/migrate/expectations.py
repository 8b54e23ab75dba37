"""Keeps, beside the ledger, the catalog as the revisions made it.

What a run changed is added to what was expected before. So a change by somebody else is not blessed by the next
migration: it stays a difference until it is undone or accepted.
"""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import errors as pg

from hansa.migrate import ledger
from hansa.migrate.catalog import Snapshot, carried, snapshot
from hansa.migrate.chain import EventKind
from hansa.migrate.drift import expected, remember
from hansa.migrate.errors import LockUnavailable, Refusal
from hansa.migrate.options import Options
from hansa.migrate.session import Connection, Session, locked


class CatalogLocked(LockUnavailable):
    """Somebody holds a table so strongly, and for so long, that not even its definition can be read."""


@contextmanager
def expecting(session: Session) -> Generator[None]:
    """Expect from now on what happens inside, also when it is refused half-way.

    A run that is killed leaves its beginning behind, and the next run counts from there.
    """
    before = _begin(session)
    try:
        yield
    except Refusal:
        # What was refused matters more; where this fails the beginning stays, as after a kill.
        with suppress(psycopg.Error, Refusal):
            session.settle()
            _end(session, before)
        raise
    _end(session, before)


def left_open(session: Session) -> bool:
    """Whether a run was killed between its last revision and the record of the catalog that it led to."""
    return session.connection.execute("SELECT FROM mig.catalog_before").fetchone() is not None


def expect(session: Session, catalog: Snapshot) -> None:
    """Replace what is expected, in the current transaction if there is one; the beginning of a killed run is void."""
    session.connection.execute("DELETE FROM mig.catalog_snapshots")
    session.connection.execute("DELETE FROM mig.catalog_before")
    row = session.connection.execute("SELECT coalesce(max(n), 0) FROM mig.events").fetchone()
    assert row is not None
    remember(session, row[0], catalog)


def accept_drift(dsn: str, *, options: Options | None = None) -> None:
    """Expect from now on the catalog as it is; recorded in the event log."""
    with locked(dsn, options or Options()) as session:
        ledger.prepare(session)
        with session.connection.transaction():
            session.guard()
            found = snapshot(session.connection)
            ledger.record(session, EventKind.ACCEPTED, "", found.digest, detail="drift")
            expect(session, found)


def _begin(session: Session) -> Snapshot:
    for tried in range(1, session.options.tries + 1):
        try:
            return _beginning(session.connection)
        except pg.LockNotAvailable as error:
            said = f"the catalog cannot be read while {_holders(session.connection)}"
            if tried == session.options.tries:
                raise CatalogLocked(f"{said}; gave up after {tried} tries") from error
            session.options.waiting(f"{said}; trying again ({tried} of {session.options.tries})")
            time.sleep(session.options.backoff_s * 2 ** (tried - 1))
    raise AssertionError("Options.tries is at least 1")


def _beginning(connection: Connection) -> Snapshot:
    with connection.transaction():
        row = connection.execute("SELECT objects FROM mig.catalog_before").fetchone()
        if row is not None:
            return Snapshot.from_json(json.dumps(row[0]))
        before = snapshot(connection)
        connection.execute("INSERT INTO mig.catalog_before (objects) VALUES (%s::jsonb)", [before.to_json()])
        return before


def _holders(connection: Connection) -> str:
    """Who holds tables so strongly that nobody can read them, for the message."""
    rows = connection.execute("""
        SELECT DISTINCT l.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), l.relation::regclass::text
        FROM pg_catalog.pg_locks AS l
        JOIN pg_catalog.pg_stat_activity AS a USING (pid)
        WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock'
          AND l.pid <> pg_catalog.pg_backend_pid()
          AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        ORDER BY 1, 3
        LIMIT 5
    """).fetchall()
    held = ", ".join(f"process {pid} ({name}) holds ACCESS EXCLUSIVE on {relation}" for pid, name, relation in rows)
    return held or "somebody holds a table exclusively"


def _end(session: Session, before: Snapshot) -> None:
    connection = session.connection
    with connection.transaction():
        session.guard()
        after = snapshot(connection)
        expect(session, carried(expected(connection) or before, before, after))
