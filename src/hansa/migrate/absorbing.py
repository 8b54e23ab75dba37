"""Takes a squashed revision as applied where everything it replaces is: recorded, never run."""

import json
from collections.abc import Sequence

from hansa.migrate import ledger
from hansa.migrate.chain import EventKind
from hansa.migrate.ledger import Applied, Ledger
from hansa.migrate.revisions import Revision
from hansa.migrate.session import Session
from hansa.migrate.state import replaced_by


def absorb(session: Session, state: Ledger, revisions: Sequence[Revision]) -> Ledger:
    """The ledger with every squashed revision in the place of those it replaces, written down in one transaction.

    `state` was found sound, so what is replaced is applied wholly or not at all.
    """
    found = [(revision, rows) for revision in revisions if (rows := replaced_by(revision, state))]
    if not found:
        return state
    with session.connection.transaction():
        session.guard()
        for revision, rows in found:
            _absorb(session, state, revision, rows)
    return ledger.read(session.connection)


def _absorb(session: Session, state: Ledger, revision: Revision, rows: Sequence[Applied]) -> None:
    connection = session.connection
    names = [row.id for row in rows]
    position = connection.execute("SELECT min(event) FROM mig.revisions WHERE id = ANY (%s)", [names]).fetchone()
    assert position is not None
    for row in rows:
        ledger.record(session, EventKind.SQUASHED, row.id, row.checksum, detail=f"replaced by {revision.id}")
        connection.execute("DELETE FROM mig.revisions WHERE id = %s", [row.id])
    _, at = ledger.record(session, EventKind.BASELINED, revision.id, revision.checksum)
    # It keeps the place of the first one it replaces: what was applied after that may require it.
    connection.execute(
        """
        INSERT INTO mig.revisions (id, checksum, files, event, applied_at, duration_ms, applied_by)
        VALUES (%s, %s, %s, %s, %s, 0, %s)
        """,
        [revision.id, revision.checksum, json.dumps(dict(revision.files)), position[0], at, session.options.actor],
    )
    if revision.seed is not None and any(_is_seeded(state, name) for name in names):
        ledger.record(session, EventKind.SEEDED, revision.id, revision.checksum, detail="with what it replaces")


def _is_seeded(state: Ledger, revision: str) -> bool:
    """Rows that are there already are worse twice than missing: those can be seeded by hand."""
    last = state.last_event(revision, EventKind.APPLIED, EventKind.SEEDED)
    return last is not None and last.kind is EventKind.SEEDED
