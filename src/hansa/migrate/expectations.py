"""Keeps, beside the ledger, the catalog as the revisions made it.

What a run changed is added to what was expected before. So a change by somebody else is not blessed by the next
migration: it stays a difference until it is undone or accepted.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager

from hansa.migrate import ledger
from hansa.migrate.catalog import Snapshot, carried, snapshot
from hansa.migrate.chain import EventKind
from hansa.migrate.drift import expected, remember
from hansa.migrate.errors import Refusal
from hansa.migrate.options import Options
from hansa.migrate.session import Connection, Session, locked


@contextmanager
def expecting(session: Session) -> Generator[None]:
    """Expect from now on what happens inside, also when it is refused half-way.

    A run that is killed leaves its beginning behind, and the next run counts from there.
    """
    before = _begin(session.connection)
    try:
        yield
    except Refusal:
        if not session.connection.closed:
            _end(session, before)
        raise
    _end(session, before)


def expect(session: Session, catalog: Snapshot) -> None:
    """Replace what is expected, in the current transaction if there is one."""
    session.connection.execute("DELETE FROM mig.catalog_snapshots")
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


def _begin(connection: Connection) -> Snapshot:
    with connection.transaction():
        row = connection.execute("SELECT objects FROM mig.catalog_before").fetchone()
        if row is not None:
            return Snapshot.from_json(json.dumps(row[0]))
        before = snapshot(connection)
        connection.execute("INSERT INTO mig.catalog_before (objects) VALUES (%s::jsonb)", [before.to_json()])
        return before


def _end(session: Session, before: Snapshot) -> None:
    connection = session.connection
    with connection.transaction():
        session.guard()
        after = snapshot(connection)
        expect(session, carried(expected(connection) or before, before, after))
        connection.execute("DELETE FROM mig.catalog_before")
