"""What an operator says by hand about a revision that stopped half-way, or was finished or undone without the engine."""

from pathlib import Path

import psycopg

from hansa.migrate import ledger
from hansa.migrate.chain import EventKind
from hansa.migrate.errors import BadRequest, DatabaseProblem, NotApplied, UnknownRevision
from hansa.migrate.online import engine
from hansa.migrate.options import Options
from hansa.migrate.revisions import load
from hansa.migrate.runner import describe
from hansa.migrate.session import HOLDER, LOCK, Connection, connect, locked


class AlreadyApplied(BadRequest):
    """The revision is applied already."""


class OperationsBegan(BadRequest):
    """The revision's online operations know themselves how far they are: `up` goes on, `down` takes them back."""


class NothingUnderWay(BadRequest):
    """No online operation of that revision is under way."""


def resolve_applied(dsn: str, directory: Path, revision: str, *, options: Options | None = None) -> None:
    """Take a revision as applied that somebody finished by hand; nothing of it is run.

    Raises UnknownRevision, AlreadyApplied, OperationsBegan, NotApplied when it requires what is not applied.
    """
    known = {found.id: found for found in load(directory)}
    if revision not in known:
        raise UnknownRevision(f"there is no revision {revision}")
    with locked(dsn, options or Options()) as session:
        ledger.prepare(session)
        state = ledger.read(session.connection)
        applied = {row.id for row in state.applied}
        if revision in applied:
            raise AlreadyApplied(f"{revision} is applied already")
        if revision in state.begun:
            raise OperationsBegan(f"{revision} began online; `up` goes on with it, `down` takes it back")
        missing = [name for name in known[revision].requires if name not in applied]
        if missing:
            raise NotApplied(f"{revision} requires {missing[0]}, which is not applied")
        with session.connection.transaction():
            session.guard()
            checksum = known[revision].checksum
            ledger.record(session, EventKind.RESOLVED, revision, checksum, detail="finished by hand: applied")
            ledger.enter(session, known[revision], duration_ms=0)


def resolve_rolled_back(dsn: str, directory: Path, revision: str, *, options: Options | None = None) -> None:
    """Take a revision as not applied that stopped half-way or that somebody undid by hand; nothing is run.

    Raises NotApplied when it is neither, OperationsBegan, BadRequest when another applied one requires it.
    """
    known = {found.id: found for found in load(directory)}
    with locked(dsn, options or Options()) as session:
        ledger.prepare(session)
        state = ledger.read(session.connection)
        applied = {row.id: row for row in state.applied}
        if revision in state.begun:
            raise OperationsBegan(f"{revision} ran online; `down` takes it back")
        if revision not in applied and revision not in state.progress:
            raise NotApplied(f"{revision} is neither applied nor half-way, so there is nothing to resolve")
        users = [name for name in applied if name in known and revision in known[name].requires]
        if users:
            raise BadRequest(f"{users[0]} is applied and requires {revision}; resolve that first")
        checksum = applied[revision].checksum if revision in applied else known[revision].checksum
        with session.connection.transaction():
            session.guard()
            ledger.record(session, EventKind.RESOLVED, revision, checksum, detail="undone by hand: rolled back")
            if revision in applied:
                ledger.strike(session, revision, checksum)
            else:
                ledger.forget_progress(session, revision)


def cancel(dsn: str, revision: str, *, by: str) -> None:
    """Ask a running online operation to stop after its batch; whoever runs it is told. Raises NothingUnderWay.

    Takes no migration lock, because the one who runs the operation holds it.
    """
    with connect(dsn) as connection:
        try:
            _cancel(connection, revision, by)
        except psycopg.Error as error:
            raise DatabaseProblem(f"PostgreSQL: {describe(error)}") from error


def _cancel(connection: Connection, revision: str, by: str) -> None:
    if revision not in ledger.read(connection).begun:
        raise NothingUnderWay(f"no online operation of {revision} is under way")
    if connection.execute(HOLDER, {"lock": LOCK}).fetchone() is None:
        raise NothingUnderWay(f"{revision} stopped half-way and nobody is working on it; `down` takes it back")
    if not engine.cancel(connection, revision, by=by):
        raise NothingUnderWay(f"no online operation of {revision} is under way")
