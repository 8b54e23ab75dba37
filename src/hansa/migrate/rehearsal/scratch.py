"""Scratch databases: made under a name that tells what they are, dropped at the end, by us or by the next rehearsal.

Whoever made one keeps a session open that holds an advisory lock for its name. So a database whose lock can be taken
belongs to a rehearsal that was killed.
"""

import hashlib
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from hansa.migrate.errors import Unreachable
from hansa.migrate.rehearsal.errors import CannotClone
from hansa.migrate.rehearsal.workplaces import PREFIX
from hansa.migrate.session import Connection, connect

# Where to stand while databases are made: nobody works in these, and one of them is everywhere.
_MAINTENANCE = ("postgres", "template1")


@contextmanager
def scratch_name(server_dsn: str) -> Generator[tuple[Connection, str]]:
    """A free name for a database and a session that may make it; whatever bears the name in the end is dropped.

    Leftovers of killed rehearsals are dropped first. Raises CannotClone.
    """
    name = f"{PREFIX}{secrets.token_hex(8)}"
    with _maintenance(server_dsn) as server:
        _sweep(server)
        server.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [_key(name)])
        try:
            yield server, name
        finally:
            if not server.closed:
                _drop(server, name)


def sweep_databases(server_dsn: str) -> None:
    """Drop what killed rehearsals left on a server, where we may."""
    with suppress(CannotClone), _maintenance(server_dsn) as server:
        _sweep(server)


def scratch_dsn(server_dsn: str, name: str) -> str:
    return make_conninfo(server_dsn, dbname=name)


def create(server: Connection, name: str, clauses: sql.Composable) -> None:
    """CREATE DATABASE with these clauses. Raises psycopg.Error."""
    server.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), clauses))


def _maintenance(server_dsn: str) -> Connection:
    problems: list[str] = []
    for name in _MAINTENANCE:
        try:
            return connect(make_conninfo(server_dsn, dbname=name))
        except Unreachable as refusal:
            problems.append(str(refusal))
    raise CannotClone(f"there is no database to stand in while another is made: {'; '.join(problems)}")


def _sweep(server: Connection) -> None:
    rows = server.execute(
        "SELECT datname FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, %s)", [PREFIX]
    ).fetchall()
    for (name,) in rows:
        row = server.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", [_key(name)]).fetchone()
        if row is not None and row[0]:
            # Somebody else's leftover, or one that somebody else is dropping at this moment, is not our failure.
            with suppress(pg.InsufficientPrivilege, pg.InvalidCatalogName, pg.ObjectInUse):
                _drop(server, name)
            server.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [_key(name)])


def _drop(server: Connection, name: str) -> None:
    with suppress(psycopg.errors.InvalidCatalogName):
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
