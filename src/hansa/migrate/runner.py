"""Runs scripts: in one transaction with their ledger entry, or statement by statement with a record of progress."""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import psycopg
from psycopg import errors as pg
from psycopg import sql

from hansa.migrate import ledger
from hansa.migrate.chain import EventKind
from hansa.migrate.errors import LockTimeout, ProgressMismatch, Refusal, StatementFailed
from hansa.migrate.hooks import want as want_hooks
from hansa.migrate.ledger import Progress
from hansa.migrate.losses import Revert, without_loss
from hansa.migrate.observing import Place
from hansa.migrate.results import Step
from hansa.migrate.revisions import Revision, Script
from hansa.migrate.session import Session
from hansa.migrate.splitter import Statement

T = TypeVar("T")

LOCK_NOT_AVAILABLE = "55P03"
SETTINGS = (("SET",), ("RESET",))
_NAME = r'(?:"(?:[^"]|"")+"|[^\s".(]+)'
_CONCURRENT_INDEX = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"(?P<index>{_NAME})\s+ON\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)",
    re.IGNORECASE,
)


def run_together(session: Session, revisions: Sequence[Revision], direction: str) -> tuple[Step, ...]:
    """Run transactional revisions in one transaction with their ledger entries: all of them, or none.

    When a statement does not get its lock, the whole transaction starts again: pausing inside it would keep
    everything it already locked away from everybody else. Raises DataWouldBeLost on a way down, unless told to lose it.
    """

    def run(revision: Revision) -> Step:
        return _run_transactional(session, revision, direction)

    def attempt() -> tuple[Step, ...]:
        with session.connection.transaction():
            if direction == "up" or session.options.lose_data:
                return tuple(map(run, revisions))
            reverts = [Revert(partial(run, revision), keeps=revision.down_keeps) for revision in revisions]
            return without_loss(session.connection, reverts)

    steps = with_retries(session, lambda: _named_commit(revisions[-1], direction, attempt))
    session.settle()
    return steps


def run_alone(session: Session, revision: Revision, direction: str, before: Progress | None) -> Step:
    """Run a non-transactional revision statement by statement, after those finished `before` an interruption.

    Settings are made again when resuming: the session that they were made in is gone.
    Raises ProgressMismatch when the finished statements are no longer those of the script.
    """
    script = script_of(revision, direction)
    done = finished(script, before, revision.id)
    started = time.monotonic()
    for statement in script.statements:
        if statement.number <= done and statement.words[:1] not in SETTINGS:
            continue
        session.guard()
        with_retries(session, lambda statement=statement: _run_one(session, revision, script, statement))
        if statement.number > done:
            ledger.remember_progress(session, _progress(revision, direction, script, statement.number))
    session.settle()
    duration_ms = elapsed_ms(started)
    with session.connection.transaction():
        session.guard()
        _enter(session, revision, direction, duration_ms)
    return Step(
        revision=revision.id,
        statements=len(script.statements) - done,
        resumed_after=done,
        duration_ms=duration_ms,
    )


def run_script(session: Session, revision: Revision, script: Script) -> None:
    """Run all statements of a script in the current transaction. Raises StatementFailed."""
    session.guard()
    for statement in script.statements:
        session.options.working(f"{revision.id}/{script.name} {statement.number} of {len(script.statements)}")
        execute(session, revision, script, statement)
    _check_deferred(session, revision, script)
    _take_back_role(session)


def with_retries(session: Session, attempt: Callable[[], T]) -> T:
    """Try again, with growing pauses, what failed for want of a lock. Raises LockTimeout after the last try."""
    options = session.options
    for tried in range(1, options.tries + 1):
        try:
            return attempt()
        except StatementFailed as failure:
            if failure.sqlstate != LOCK_NOT_AVAILABLE:
                raise
            if tried >= options.tries:
                message = f"{failure}; gave up after {tried} tries of {options.lock_timeout_s:g} s"
                raise LockTimeout(message, revision=failure.revision, sqlstate=failure.sqlstate) from failure
            options.waiting(f"{failure}; trying again ({tried} of {options.tries})")
            time.sleep(options.backoff_s * 2 ** (tried - 1))
    raise AssertionError("Options.tries is at least 1")


def script_of(revision: Revision, direction: str) -> Script:
    """The script of a direction; empty for a revision whose operations say it all."""
    return (revision.up if direction == "up" else revision.down) or Script(name=f"{direction}.sql", statements=())


def finished(script: Script, before: Progress | None, revision: str) -> int:
    """How many statements of a script need not run again. Raises ProgressMismatch."""
    if before is None:
        return 0
    done = before.statements_done
    if len(script.statements) < done or _hash(script, done) != before.done_hash:
        raise ProgressMismatch(
            f"{revision}/{script.name} stopped after statement {done}, and what ran until there was edited since; "
            "restore those statements to go on"
        )
    return done


def record_failure(session: Session, revision: Revision, failure: Refusal) -> None:
    """Note a failure in the event log, if the server still listens: the failure itself matters more."""
    with suppress(psycopg.Error, Refusal), session.connection.transaction():
        session.guard()
        ledger.record(session, EventKind.FAILED, revision.id, revision.checksum, detail=str(failure))


def execute(
    session: Session, revision: Revision, script: Script, statement: Statement
) -> psycopg.Cursor[tuple[object, ...]]:
    """Send one statement as it stands: without parameters, so a percent sign is only a percent sign."""
    observer = session.options.observer
    place = Place(
        revision=revision.id, script=script.name, number=statement.number, line=statement.line, text=statement.text
    )
    try:
        if observer is None:
            return session.connection.execute(statement.text.encode())
        observer.before(session.connection, place)
        cursor = session.connection.execute(statement.text.encode())
        observer.after(session.connection, place, cursor.rowcount)
    except psycopg.Error as error:
        raise failed(revision, script, statement, error) from error
    return cursor


def failed(revision: Revision, script: Script, statement: Statement, error: psycopg.Error) -> StatementFailed:
    """The refusal that names revision, statement, line and what PostgreSQL said."""
    line = statement.line + _lines_before(statement.text, error.diag.statement_position)
    where = f"{revision.id}/{script.name}, statement {statement.number}, line {line}"
    return StatementFailed(f"{where}: {describe(error)}", revision=revision.id, sqlstate=error.sqlstate)


def describe(error: psycopg.Error) -> str:
    """Message, detail and hint of an error on one line, with a hint of our own where we know better."""
    diag = error.diag
    parts = [diag.message_primary or " ".join(str(error).split()) or type(error).__name__]
    parts += [text for text in (diag.message_detail, diag.message_hint) if text]
    if isinstance(error, pg.ActiveSqlTransaction):
        parts.append("Say `transactional = false` in meta.toml.")
    return " ".join(parts)


def _run_transactional(session: Session, revision: Revision, direction: str) -> Step:
    script = script_of(revision, direction)
    started = time.monotonic()
    run_script(session, revision, script)
    duration_ms = elapsed_ms(started)
    _enter(session, revision, direction, duration_ms)
    return Step(revision=revision.id, statements=len(script.statements), resumed_after=0, duration_ms=duration_ms)


def _check_deferred(session: Session, revision: Revision, script: Script) -> None:
    """Check deferred constraints now, while we can still say whose they are."""
    try:
        session.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        message = f"{revision.id}/{script.name}, deferred constraints: {describe(error)}"
        raise StatementFailed(message, revision=revision.id, sqlstate=error.sqlstate) from error


def _named_commit(last: Revision, direction: str, attempt: Callable[[], T]) -> T:
    try:
        return attempt()
    except psycopg.Error as error:
        message = f"{last.id}/{direction}.sql, while recording or committing it: {describe(error)}"
        raise StatementFailed(message, revision=last.id, sqlstate=error.sqlstate) from error


def _run_one(session: Session, revision: Revision, script: Script, statement: Statement) -> None:
    session.options.working(f"{revision.id}/{script.name} {statement.number} of {len(script.statements)}")
    try:
        _drop_invalid_index(session, statement)
    except psycopg.Error as error:
        raise failed(revision, script, statement, error) from error
    execute(session, revision, script, statement)


def _drop_invalid_index(session: Session, statement: Statement) -> None:
    """Remove what a concurrent index build leaves when it fails or is killed: an index of that name, never valid."""
    wanted = _CONCURRENT_INDEX.match(statement.text)
    if wanted is None:
        return
    row = session.connection.execute(
        """
        SELECT n.nspname, c.relname
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE NOT i.indisvalid
          AND i.indrelid = pg_catalog.to_regclass(%s)
          AND c.relname = (pg_catalog.parse_ident(%s))[1]
        """,
        [wanted["table"], wanted["index"]],
    ).fetchone()
    if row is not None:
        session.options.waiting(f"removing the invalid index {row[1]} that an interrupted build left")
        session.connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(*row)))


def _enter(session: Session, revision: Revision, direction: str, duration_ms: int) -> None:
    if direction == "up":
        ledger.enter(session, revision, duration_ms=duration_ms)
        want_hooks(session, revision)
    else:
        ledger.leave(session, revision)


def _take_back_role(session: Session) -> None:
    """A revision may have become somebody who cannot write the ledger."""
    session.connection.execute("RESET SESSION AUTHORIZATION")
    session.connection.execute("RESET ROLE")


def _progress(revision: Revision, direction: str, script: Script, done: int) -> Progress:
    return Progress(revision=revision.id, direction=direction, statements_done=done, done_hash=_hash(script, done))


def _hash(script: Script, done: int) -> str:
    return hashlib.sha256("\0".join(statement.text for statement in script.statements[:done]).encode()).hexdigest()


def _lines_before(text: str, position: str | None) -> int:
    """Lines between a statement's start and the character PostgreSQL points at (counted from 1)."""
    return text.count("\n", 0, int(position) - 1) if position else 0


def elapsed_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
