"""Migrated databases for tests: migrate once into a template, then copy it in milliseconds.

The template's name holds a digest of all revisions, so editing one makes a new template and the old one goes.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg import errors as pg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from hansa.migrate.commands import up
from hansa.migrate.errors import BadRequest, DatabaseProblem
from hansa.migrate.ledger import VERSION
from hansa.migrate.revisions import Revision, load
from hansa.migrate.session import Connection, connect

DIGEST_LENGTH = 16
NAME_BYTES_MAX = 63
"""PostgreSQL cuts longer names without an error, and two would become one."""
LOCK = int.from_bytes(b"template")


def template(server_dsn: str, directory: Path, name: str) -> str:
    """The name of a template database with all revisions applied; built when there is none for these revisions yet.

    Several processes may ask at once: one builds, the others wait. Templates of the same `name` for other revisions
    are dropped. `server_dsn` is that of a user who may create databases.
    """
    wanted = f"{name}_{_digest(load(directory))}"
    building = _fitting(f"{wanted}_building")
    with connect(server_dsn) as server, _one_builder(server):
        if _exists(server, wanted):
            return wanted
        _drop_stale(server, name)
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(building)))
        up(make_conninfo(server_dsn, dbname=building), directory)
        _finish(server, building, wanted)
    return wanted


def clone(server_dsn: str, template: str, name: str) -> str:
    """Copy a template into a new database; returns its connection string."""
    with connect(server_dsn) as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(_fitting(name)), sql.Identifier(template)
            )
        )
    return make_conninfo(server_dsn, dbname=name)


@contextmanager
def scratch(server_dsn: str, prefix: str) -> Generator[str]:
    """An empty database, dropped at the end; its connection string.

    Raises DatabaseProblem when this user may not make databases.
    """
    name = _fitting(f"{prefix}_{os.getpid()}_{secrets.token_hex(4)}")
    with connect(server_dsn) as server:
        try:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        except pg.InsufficientPrivilege as error:
            raise DatabaseProblem(
                "an empty database is needed for a moment, and this user may not make one; "
                "name a server where it may (--scratch)"
            ) from error
    try:
        yield make_conninfo(server_dsn, dbname=name)
    finally:
        drop(server_dsn, name)


def drop(server_dsn: str, name: str) -> None:
    """Drop a database, whoever is connected to it."""
    with connect(server_dsn) as server:
        _drop(server, name)


def _digest(revisions: Sequence[Revision]) -> str:
    listing = "".join(f"{revision.checksum}  {revision.id}\n" for revision in revisions)
    return hashlib.sha256(f"ledger {VERSION}\n{listing}".encode()).hexdigest()[:DIGEST_LENGTH]


@contextmanager
def _one_builder(server: Connection) -> Generator[None]:
    """Held until the connection closes; the builder works in another database, so nobody waits for our snapshot."""
    server.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [LOCK])
    yield
    server.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [LOCK])


def _exists(server: Connection, name: str) -> bool:
    return server.execute("SELECT FROM pg_catalog.pg_database WHERE datname = %s", [name]).fetchone() is not None


def _finish(server: Connection, building: str, wanted: str) -> None:
    """Give the database its final name last, so that a name stands for a finished template.

    Nobody may connect to it from here on, because one open connection would block every copy.
    """
    old, new = sql.Identifier(building), sql.Identifier(wanted)
    server.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true").format(old))
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, new))


def _drop_stale(server: Connection, name: str) -> None:
    ours = re.compile(rf"{re.escape(name)}_[0-9a-f]{{{DIGEST_LENGTH}}}(_building)?")
    for (found,) in server.execute("SELECT datname FROM pg_catalog.pg_database").fetchall():
        if ours.fullmatch(found):
            with suppress(pg.ObjectInUse):  # somebody copies it at this moment; the next build drops it
                _drop(server, found)


def _drop(server: Connection, name: str) -> None:
    database = sql.Identifier(name)
    with suppress(pg.InvalidCatalogName):
        server.execute(sql.SQL("ALTER DATABASE {} WITH IS_TEMPLATE false").format(database))
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))


def _fitting(name: str) -> str:
    if len(name.encode()) > NAME_BYTES_MAX:
        raise BadRequest(f"{name} is longer than the {NAME_BYTES_MAX} bytes PostgreSQL keeps of a name")
    return name
