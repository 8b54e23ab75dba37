"""Connections of the engine: one that only looks, and one that holds the migration lock.

The lock is a session-level advisory lock, so it outlives the transactions of the revisions and goes away with the
connection. Two things can make it worthless: a pooler in front of the server, which is refused at the start because
the backend it answers from is not the one that greeted us, and a revision that releases it, which `guard` notices.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.rows import TupleRow

from hansa.migrate.errors import (
    DatabaseProblem,
    LockLost,
    LockUnavailable,
    PooledConnection,
    Refusal,
    ServerTooOld,
    Unreachable,
)
from hansa.migrate.options import Options

# Rows are read through row factories or unpacked by the statement's own columns, so their type is open here.
Connection = psycopg.Connection[Any]

VERSION_MIN = 150000
LOCK = int.from_bytes(b"migrate")
POLL_S = 0.2
REMIND_S = 15.0

_MINE = """
  SELECT pid FROM pg_catalog.pg_locks
  WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND classid::bigint = %(lock)s::bigint >> 32
    AND objid::bigint = %(lock)s::bigint & 4294967295
"""
HELD_BY_US = f"SELECT pg_catalog.pg_backend_pid() IN ({_MINE})"
HOLDER = f"""
  SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.client_addr::text, 'local socket')
  FROM ({_MINE}) AS held
  JOIN pg_catalog.pg_stat_activity AS a USING (pid)
"""


class Session:
    """A direct connection that holds the migration lock, in autocommit between transactions."""

    def __init__(self, connection: Connection, options: Options) -> None:
        self.connection = connection
        self.options = options

    def guard(self) -> None:
        """Make sure that the lock is still ours. Raises LockLost."""
        row = self.connection.execute(HELD_BY_US, {"lock": LOCK}).fetchone()
        if row is None or not row[0]:
            raise LockLost(
                "this session no longer holds the migration lock: a revision released it, "
                "or a pooler moved the session; nothing more was run"
            )

    def settle(self) -> None:
        """Undo what a revision set for the session, then set what every revision can rely on."""
        with self.connection.transaction():
            self.connection.execute("RESET SESSION AUTHORIZATION")
            self.connection.execute("RESET ROLE")
            self.connection.execute("RESET ALL")
            self.connection.execute("DISCARD TEMP")
            for name, value in self._settings().items():
                self.connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
        # Frees the lock when we are killed in the middle of a long statement; not every platform can do it.
        with suppress(pg.InvalidParameterValue, pg.FeatureNotSupported):
            self.connection.execute("SET client_connection_check_interval = '1s'")

    def _settings(self) -> dict[str, str]:
        settings = {
            "client_encoding": "UTF8",
            "standard_conforming_strings": "on",  # the splitter reads scripts that way
            "lock_timeout": f"{round(self.options.lock_timeout_s * 1000)}ms",
            "statement_timeout": "0",
            "idle_in_transaction_session_timeout": "0",
            "idle_session_timeout": "0",  # a hook may think for long, and the lock goes with the session
        }
        if self.connection.info.server_version >= 170000:
            settings["transaction_timeout"] = "0"
        return settings


def connect(dsn: str) -> Connection:
    """Open a connection in autocommit. Raises Unreachable, ServerTooOld."""
    try:
        connection: psycopg.Connection[TupleRow] = psycopg.connect(
            dsn, autocommit=True, prepare_threshold=None, fallback_application_name="migrate"
        )
    except psycopg.Error as error:
        raise Unreachable(f"cannot connect: {_one_line(error)}") from error
    version = connection.info.server_version
    if version < VERSION_MIN:
        connection.close()
        raise ServerTooOld(f"the server is PostgreSQL {version // 10000}; 15 or later is needed")
    return connection


@contextmanager
def looking(dsn: str) -> Generator[Connection]:
    """A read-only snapshot: what is read in it belongs together, and no lock is needed."""
    with connect(dsn) as connection, _named_problems(), connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


@contextmanager
def locked(dsn: str, options: Options) -> Generator[Session]:
    """A session that holds the migration lock; waits for other deployers and says so.

    Raises PooledConnection, LockUnavailable, and what `connect` raises.
    """
    with connect(dsn) as connection, _named_problems():
        _refuse_pooler(connection)
        _acquire(connection, options)
        session = Session(connection, options)
        session.settle()
        yield session
        # Not in a `finally`: after a failure the connection closes, and with it the lock goes.
        connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [LOCK])


def _refuse_pooler(connection: Connection) -> None:
    """A pooler greets with a process id of its own, and lends us whichever server session is free."""
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        raise PooledConnection(
            "this connection goes through a pooler, which lends one session to several clients, "
            "so the migration lock would protect nobody; give the address of the server itself"
        )


def _acquire(connection: Connection, options: Options) -> None:
    """Take the lock by asking again and again.

    A session blocked in pg_advisory_lock() keeps a snapshot open, and CREATE INDEX CONCURRENTLY of the deployer it
    waits for would in turn wait for that snapshot: neither would ever go on.
    """
    started = time.monotonic()
    said = -REMIND_S
    while not _try_lock(connection):
        waited = time.monotonic() - started
        if options.deployer_wait_s is not None and waited >= options.deployer_wait_s:
            raise LockUnavailable(
                f"{_holder(connection)} kept the migration lock for more than {waited:.0f} s; gave up"
            )
        if waited - said >= REMIND_S:
            said = waited
            options.waiting(f"waiting: {_holder(connection)} holds the migration lock ({waited:.0f} s)")
        time.sleep(POLL_S)


def _try_lock(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", [LOCK]).fetchone()
    return row is not None and bool(row[0])


def _holder(connection: Connection) -> str:
    row = connection.execute(HOLDER, {"lock": LOCK}).fetchone()
    return "another deployer" if row is None else f"another deployer (process {row[0]}, {row[1]}, {row[2]})"


@contextmanager
def _named_problems() -> Generator[None]:
    """What PostgreSQL says about the engine's own statements, as a refusal."""
    try:
        yield
    except Refusal:
        raise
    except psycopg.Error as error:
        raise DatabaseProblem(f"PostgreSQL: {_one_line(error)}") from error


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
