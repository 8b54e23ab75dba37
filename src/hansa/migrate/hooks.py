"""What follows an application, outside of its transaction: wanted in it, done afterwards, until it succeeds.

`post.sql` and its tick in the outbox are one transaction, so it happens exactly once. `post.py` defines
`run(dsn: str) -> None` and reaches out of the database, so it happens at least once and must bear a repetition.
"""

import hashlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType

import psycopg
from psycopg.rows import class_row

from hansa.migrate import ledger
from hansa.migrate.chain import EventKind
from hansa.migrate.errors import LockLost, Refusal
from hansa.migrate.options import Options
from hansa.migrate.revisions import Revision, load, normalised
from hansa.migrate.session import Session, locked, looking
from hansa.migrate.splitter import split

PAUSE_S_MAX = 3600


class HookEdited(Refusal):
    """A hook's file is no longer the one that was wanted when its revision was applied."""


class HookWithoutRun(Refusal):
    """A post.py defines no function `run`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One piece of work that follows an application."""

    id: int
    revision: str
    name: str
    checksum: str
    attempts: int
    next_at: datetime
    """Not before this."""
    finished_at: datetime | None
    """None while it is still to be done."""
    error: str | None
    """What the latest attempt failed of; None after success and before the first."""


def want(session: Session, revision: Revision) -> None:
    """Note, in the transaction of the application, which hooks follow it."""
    for name in revision.hooks:
        session.connection.execute(
            """
            INSERT INTO mig.hook_outbox (revision, event, name, checksum)
            SELECT %(revision)s, r.event, %(name)s, %(checksum)s
            FROM mig.revisions AS r
            WHERE r.id = %(revision)s
            """,
            {"revision": revision.id, "name": name, "checksum": revision.files[name]},
        )


def hooks(dsn: str, *, waiting_only: bool = False) -> tuple[Hook, ...]:
    """The hooks of this database, the oldest first."""
    with looking(dsn) as connection:
        if ledger.read(connection).version < 2:
            return ()
        return tuple(
            connection.cursor(row_factory=class_row(Hook)).execute(
                """
                SELECT id, revision, name, checksum, attempts, next_at, finished_at, error
                FROM mig.hook_outbox
                WHERE finished_at IS NULL OR NOT %s
                ORDER BY id
                """,
                [waiting_only],
            )
        )


def run_hooks(dsn: str, directory: Path, *, again: bool = False, options: Options | None = None) -> tuple[Hook, ...]:
    """Do what is due, in order, and note what fails; returns what was tried. `again` does not wait for the next time.

    A failing hook does not keep those of other revisions from running.
    """
    known = {revision.id: revision for revision in load(directory)}
    with locked(dsn, options or Options()) as session:
        ledger.prepare(session)
        tried: set[int] = set()
        stuck: set[str] = set()
        for hook in _due(session, again=again):
            if hook.revision in stuck:
                continue
            tried.add(hook.id)
            session.options.working(f"{hook.revision}/{hook.name}")
            if not _attempt(session, dsn, directory, known.get(hook.revision), hook):
                stuck.add(hook.revision)
    return tuple(hook for hook in hooks(dsn) if hook.id in tried)


def _due(session: Session, *, again: bool) -> list[Hook]:
    """What can be done now: nothing overtakes a hook of its own revision that waits for another try."""
    return (
        session.connection.cursor(row_factory=class_row(Hook))
        .execute(
            """
            SELECT id, revision, name, checksum, attempts, next_at, finished_at, error
            FROM mig.hook_outbox AS h
            WHERE finished_at IS NULL
              AND (%s OR NOT EXISTS (
                SELECT FROM mig.hook_outbox AS earlier
                WHERE earlier.revision = h.revision AND earlier.id <= h.id AND earlier.finished_at IS NULL
                  AND earlier.next_at > pg_catalog.clock_timestamp()
              ))
            ORDER BY id
            """,
            [again],
        )
        .fetchall()
    )


def _attempt(session: Session, dsn: str, directory: Path, revision: Revision | None, hook: Hook) -> bool:
    try:
        text = _text(directory, revision, hook)
        if hook.name.endswith(".py"):
            with _module(directory / hook.revision / hook.name, text) as module:
                module.run(dsn)
        with session.connection.transaction():
            session.guard()
            if hook.name.endswith(".sql"):
                _run_sql(session, text, source=f"{hook.revision}/{hook.name}")
            _finish(session, hook)
    except LockLost:
        raise
    except (Exception, SystemExit) as error:  # a hook is foreign code: whatever it raises is its failure
        if session.connection.closed:
            raise
        session.settle()
        _fail(session, hook, error)
        return False
    session.settle()
    return True


def _run_sql(session: Session, text: str, *, source: str) -> None:
    for statement in split(text, source=source):
        session.connection.execute(statement.text.encode())
    # It may have become somebody who cannot write the ledger, or have given the lock away.
    session.connection.execute("RESET SESSION AUTHORIZATION")
    session.connection.execute("RESET ROLE")
    session.guard()


def _text(directory: Path, revision: Revision | None, hook: Hook) -> str:
    if revision is None or revision.files.get(hook.name) != hook.checksum:
        raise HookEdited(f"{hook.revision}/{hook.name} is not the file that was applied; restore it")
    return normalised((directory / hook.revision / hook.name).read_text(encoding="utf-8"))


@contextmanager
def _module(path: Path, text: str) -> Generator[ModuleType]:
    """The text as a module that can be imported by its name while it is used, as dataclasses need it."""
    module = ModuleType(f"post_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        code = compile(text, str(path), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - as trusted as its up.sql
        if not callable(getattr(module, "run", None)):
            raise HookWithoutRun(f"{path.name} has no function run(dsn)")
        yield module
    finally:
        del sys.modules[module.__name__]


def _finish(session: Session, hook: Hook) -> None:
    session.connection.execute(
        """
        UPDATE mig.hook_outbox
        SET finished_at = pg_catalog.clock_timestamp(), attempts = attempts + 1, error = NULL
        WHERE id = %s
        """,
        [hook.id],
    )
    ledger.record(session, EventKind.HOOKED, hook.revision, hook.checksum, detail=hook.name)


def _fail(session: Session, hook: Hook, error: BaseException) -> None:
    """Keep what it failed of, and when to try again: later after each failure."""
    said = _said(error)
    session.options.waiting(f"{hook.revision}/{hook.name} failed: {said}")
    session.connection.execute(
        """
        UPDATE mig.hook_outbox
        SET attempts = attempts + 1, error = %s,
            next_at = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => least(%s, 5 * 2 ^ least(attempts, 20)))
        WHERE id = %s
        """,
        [said, PAUSE_S_MAX, hook.id],
    )


def _said(error: BaseException) -> str:
    """The failure on one line that PostgreSQL can keep: without null bytes and halves of characters."""
    named = "" if isinstance(error, psycopg.Error | Refusal) else f"{type(error).__name__}: "
    text = " ".join(f"{named}{error}".split()).removesuffix(":") or type(error).__name__
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
