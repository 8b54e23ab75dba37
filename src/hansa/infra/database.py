"""Which database to use: the one that DATABASE_URL names, else the embedded one; the same code after that."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from hansa.infra.db import Db
from hansa.infra.embedded import EmbeddedPostgres, Server
from hansa.infra.settings import Settings
from hansa.kernel.errors import ServiceUnavailable

DATABASE = "hansa"
APP_ROLE = "hansa_app"
OWNER_ROLE = "hansa_owner"
VERSION_MIN = 18


class ServerTooOld(ServiceUnavailable):
    """Hansa needs PostgreSQL 18: uuidv7(), NOT NULL constraints that validate later, and asynchronous I/O."""

    retryable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the data is, and as whom to go there."""

    app_dsn: str
    """For the application; it takes the role hansa_app when this logs in as somebody else."""
    owner_dsn: str
    """For migrations: a direct connection of the owner."""
    embedded: Server | None
    """The server that we run ourselves; None: somebody else runs it."""


def resolve(settings: Settings) -> Database:
    """The database of these settings; starts the embedded server when there is no DATABASE_URL.

    Raises EmbeddedRefused, or psycopg.OperationalError when the server does not answer.
    """
    if settings.database_url:
        owner = settings.migrate_database_url or settings.database_url
        return Database(app_dsn=settings.database_url, owner_dsn=owner, embedded=None)
    return embedded(EmbeddedPostgres(settings.home).start())


def embedded(server: Server) -> Database:
    """The database on an embedded server; its roles and the database itself are made on first use."""
    with psycopg.connect(server.dsn(role="postgres", database="postgres"), autocommit=True) as connection:
        if not has_database(connection):
            prepare(connection, server)
    return Database(
        app_dsn=server.dsn(role=APP_ROLE, database=DATABASE),
        owner_dsn=of_an_operator(server.dsn(role=OWNER_ROLE, database=DATABASE)),
        embedded=server,
    )


def of_an_operator(dsn: str) -> str:
    """The same login, whose sessions say that an operator acts.

    Forced row security binds the owner of the tables too: without it, checks that compare evidence with what was made
    of it would see no evidence.
    """
    return make_conninfo(dsn, options="-c hansa.actor_kind=operator")


def has_database(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is not None


def prepare(connection: psycopg.Connection[tuple[object, ...]], server: Server) -> None:
    """Make the roles and the database on a new server; whoever comes second waits and finds them made."""
    connection.execute("SELECT pg_advisory_lock(hashtext('hansa.database'))")
    if has_database(connection):
        return
    rights_of = {OWNER_ROLE: sql.SQL("CREATEROLE"), APP_ROLE: sql.SQL("NOCREATEROLE")}
    for role, rights in rights_of.items():
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB {} PASSWORD {}").format(
                sql.Identifier(role), rights, sql.Literal(server.password_of(role))
            )
        )
    # The application's role belongs to the owner: only then may migrations hand out rights and set its search path.
    connection.execute(
        sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(sql.Identifier(APP_ROLE), sql.Identifier(OWNER_ROLE))
    )
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER_ROLE))
    )


def check_version(dsn: str) -> int:
    """The server's major version. Raises ServerTooOld."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        major = connection.info.server_version // 10_000
    if major < VERSION_MIN:
        raise ServerTooOld(f"the server is PostgreSQL {major}; Hansa needs {VERSION_MIN}", found=major)
    return major


def open_db(database: Database, settings: Settings, *, name: str) -> Db:
    """An open pool for one process."""
    db = Db(database.app_dsn, size=settings.database_pool, name=name)
    db.open()
    return db
