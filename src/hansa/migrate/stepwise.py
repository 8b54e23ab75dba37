"""Runs a revision with online operations: its script, then each operation; on the way back the other way round."""

import json
import time
from collections.abc import Mapping

from hansa.migrate import ledger
from hansa.migrate.chain import EventKind
from hansa.migrate.errors import ProgressMismatch
from hansa.migrate.hooks import want as want_hooks
from hansa.migrate.online import engine
from hansa.migrate.online.errors import OperationCancelled
from hansa.migrate.results import Step
from hansa.migrate.revisions import Revision, Script
from hansa.migrate.runner import elapsed_ms, run_script, script_of, with_retries
from hansa.migrate.session import Session

SCRIPT = "script"


def run_stepwise(session: Session, revision: Revision, direction: str) -> Step:
    """Run what is left of a revision with operations. A killed run goes on where it was, in either direction.

    Raises ProgressMismatch, StatementFailed of the script, and what `online.engine.run_up` raises.
    """
    started = time.monotonic()
    begun = engine.reached(session.connection, revision.id)
    if direction == "up":
        _refuse_edited_script(revision, begun)
        ran = _run_whole_script(session, revision) if engine.SCRIPT not in begun else 0
    else:
        ran = len(script_of(revision, "down").statements)
    steps = _run_operations(session, revision, direction)
    duration_ms = elapsed_ms(started)
    with_retries(session, lambda: _finish(session, revision, direction, duration_ms))
    session.settle()
    return Step(
        revision=revision.id,
        statements=ran + steps,
        resumed_after=_finished(revision, begun, direction),
        duration_ms=duration_ms,
    )


def _run_whole_script(session: Session, revision: Revision) -> int:
    script = script_of(revision, "up")
    with_retries(session, lambda: _run_script(session, revision, script))
    return len(script.statements)


def _run_operations(session: Session, revision: Revision, direction: str) -> int:
    """Run what is left of them, under the settings of the revision; that somebody stopped them is recorded."""
    run = engine.run_up if direction == "up" else engine.run_down
    _apply(session, revision)
    try:
        steps = run(session, revision.id, revision.operations, settings=bool(revision.settings))
    except OperationCancelled as cancelled:
        session.settle()
        with session.connection.transaction():
            session.guard()
            ledger.record(session, EventKind.CANCELLED, revision.id, revision.checksum, detail=str(cancelled))
        raise
    session.settle()
    return steps


def _finish(session: Session, revision: Revision, direction: str, duration_ms: int) -> None:
    """Enter the revision in the ledger, or undo its script and strike it off, in one transaction."""
    with session.connection.transaction():
        session.guard()
        if direction == "up":
            ledger.enter(session, revision, duration_ms=duration_ms)
            want_hooks(session, revision)
        else:
            _leave(session, revision)


def _refuse_edited_script(revision: Revision, begun: Mapping[int, engine.Reached]) -> None:
    """A script that ran before the operations were interrupted must still be what ran."""
    ran = begun.get(engine.SCRIPT)
    if ran is not None and ran.facts.get("sha256") != revision.files.get("up.sql"):
        raise ProgressMismatch(
            f"{revision.id} stopped after its up.sql, which was edited since; restore it to go on, or take it back with "
            "`down`"
        )


def _finished(revision: Revision, begun: Mapping[int, engine.Reached], direction: str) -> int:
    """Statements and steps that had run before."""
    steps = engine.finished_steps(begun, revision.operations, direction)
    script = len(script_of(revision, "up").statements) if direction == "up" and engine.SCRIPT in begun else 0
    return script + steps


def _run_script(session: Session, revision: Revision, script: Script) -> None:
    with session.connection.transaction():
        run_script(session, revision, script)
        session.connection.execute(
            """
            INSERT INTO mig.operations (revision, number, kind, direction, step, finished, facts)
            VALUES (%s, %s, %s, 'up', %s, true, %s)
            """,
            [revision.id, engine.SCRIPT, SCRIPT, script.name, json.dumps({"sha256": revision.files.get("up.sql")})],
        )
    session.settle()


def _leave(session: Session, revision: Revision) -> None:
    """Undo the script and strike the revision off, in the current transaction."""
    script = script_of(revision, "down")
    run_script(session, revision, script)
    session.connection.execute("DELETE FROM mig.quarantine WHERE revision = %s", [revision.id])
    session.connection.execute("DELETE FROM mig.preimages WHERE revision = %s", [revision.id])
    engine.forget(session, revision.id)
    ledger.leave(session, revision)


def _apply(session: Session, revision: Revision) -> None:
    """Set what the revision wants set while its operations run."""
    for name, value in revision.settings.items():
        session.connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
