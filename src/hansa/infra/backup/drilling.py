"""A drill: restore the newest chain somewhere else, start it, and look whether everything is there.

A backup that was never restored is a hope. Nothing of the real database is touched, and nothing is left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from hansa.infra.backup.progress import Report, unheard
from hansa.infra.backup.repository import Repository
from hansa.infra.backup.restoring import Restored, restore
from hansa.infra.database import Database, embedded
from hansa.infra.embedded import EmbeddedPostgres
from hansa.infra.embedded.binaries import reachable_binaries
from hansa.infra.embedded.place import VAULT, find_place
from hansa.kernel.errors import Refusal

_PREFIX = "hansa-drill-"
_TABLES = """
    SELECT n.nspname, c.relname
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     ORDER BY 1, 2
"""


class CheckFailed(Exception):
    """A check of a drill found something wrong; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to look at in a restored database."""

    name: str
    look: Callable[[Database], str]
    """Says what it found; raises CheckFailed, or whatever kept it from looking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of a drill's report."""

    name: str
    passed: bool
    found: str
    took_s: float


Hear = Callable[[Outcome], None]


def drill(
    repository: Repository,
    checks: Sequence[Check],
    *,
    at: datetime | None = None,
    start: str | None = None,
    report: Report = unheard,
    hear: Hear = lambda _: None,
    vault: Path = VAULT,
) -> tuple[Outcome, ...]:
    """Restore, start and check the newest backups; every line is told to `hear` as soon as it is known.

    What depends on a line that failed is not tried. Raises nothing that is wrong with the backups: that is a line.
    """
    outcomes: list[Outcome] = []

    def told(name: str, look: Callable[[], str]) -> bool:
        outcomes.append(_outcome(name, look))
        hear(outcomes[-1])
        return outcomes[-1].passed

    with _temporary_home() as home:
        restored: list[Restored] = []
        databases: list[Database] = []

        def put_back() -> str:
            restored.append(restore(repository, home, at=at, start=start, durable=False, report=report, vault=vault))
            return _restored_text(restored[0])

        def start_server() -> str:
            databases.append(_started(restored[0], home, vault))
            return "answers on 127.0.0.1"

        if (
            told("restore", put_back)
            and told("page checksums", lambda: _page_checksums(home, vault))
            and told("server starts", start_server)
        ):
            told("tables can be read", lambda: _tables(databases[0]))
            for check in checks:
                told(check.name, lambda check=check: check.look(databases[0]))
    return tuple(outcomes)


@contextmanager
def _temporary_home() -> Generator[Path]:
    """A home that the server's account can get through to; at the end its server is stopped and all is removed.

    So are those of drills that were killed: their lock is free.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if left.is_dir() and left.lstat().st_uid == os.geteuid():
            _remove_unless_used(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        folder.chmod(0o711)
        yield folder / "home"
    finally:
        os.close(descriptor)
        _remove_unless_used(folder)


def _remove_unless_used(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        EmbeddedPostgres(folder / "home").destroy()
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _outcome(name: str, look: Callable[[], str]) -> Outcome:
    """A check that cannot be made has failed."""
    began = time.monotonic()
    try:
        found, passed = look(), True
    except Refusal as refusal:
        found, passed = f"{refusal.code()}: {refusal.detail}", False
    except Exception as error:  # noqa: BLE001 - whatever kept it from looking is the finding
        found, passed = str(error).strip() or repr(error), False
    return Outcome(name=name, passed=passed, found=found, took_s=time.monotonic() - began)


def _restored_text(restored: Restored) -> str:
    last = restored.last_commit_at
    to = f", last commit {last:%Y-%m-%d %H:%M:%S}Z" if last else ""
    return f"{len(restored.backups)} backups, {restored.bytes >> 20} MB{to}"


def _page_checksums(home: Path, vault: Path) -> str:
    """Let PostgreSQL recompute the checksum of every page while the server is still down."""
    place = find_place(home)
    assert place is not None, "it was just restored"
    binaries = reachable_binaries(place.account, vault)
    done = place.account.run([binaries.bin / "pg_checksums", "--check", "-D", place.data], env=binaries.env)
    said = [line for line in done.stdout.splitlines() if line]
    if "data checksums are not enabled" in done.stdout:
        return "this cluster has none"
    if done.returncode != 0:
        raise CheckFailed("; ".join(said))
    return ", ".join(
        " ".join(line.split()) for line in said if line.startswith(("Files scanned", "Blocks scanned", "Bad checksums"))
    )


def _started(restored: Restored, home: Path, vault: Path) -> Database:
    server = EmbeddedPostgres(home, settings={"fsync": "off"}, vault=vault).start()
    if restored.embedded:
        with psycopg.connect(server.dsn(role="postgres", database="postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [restored.database]).fetchone()
        if known is None:
            raise CheckFailed(f"there is no database {restored.database}")
        return embedded(server)
    dsn = server.dsn(role="postgres", database=restored.database)
    return Database(app_dsn=dsn, owner_dsn=dsn, embedded=server)


def _tables(database: Database) -> str:
    """Read every row of every table: an unreadable one cannot hide behind an index."""
    assert database.embedded is not None, "a drill runs its own server"
    dsn = database.embedded.dsn(role="postgres", database=_name(database))
    total = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = connection.execute(_TABLES).fetchall()
        connection.execute("SET enable_indexonlyscan = off")
        for schema, table in tables:
            count = sql.SQL("SELECT count(t.*) FROM {} AS t").format(sql.Identifier(schema, table))
            row = connection.execute(count).fetchone()
            assert row is not None, "an aggregate gives one row"
            total += row[0]
    if not tables:
        raise CheckFailed("there is not a single table")
    return f"{len(tables)} tables, {total} rows"


def _name(database: Database) -> str:
    with psycopg.connect(database.owner_dsn, autocommit=True) as connection:
        return connection.info.dbname
