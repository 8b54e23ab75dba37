"""The server that is backed up: which one, as whom, and whether it lets itself be copied."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hansa.infra.backup.errors import (
    BackupNotPermitted,
    ServerIsStandby,
    ServerOfAnotherVersion,
    TablespacesFound,
    TlsNotSpoken,
)
from hansa.infra.backup.programs import Login
from hansa.infra.backup.settings import BackupSettings
from hansa.infra.database import DATABASE
from hansa.infra.embedded import EmbeddedPostgres, Server
from hansa.infra.embedded.binaries import MAJOR
from hansa.infra.settings import Settings

_ENCRYPTED_MODES = {"require", "verify-ca", "verify-full"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A server, and a login that may copy it."""

    dsn: str = field(repr=False)
    embedded: bool
    """We run it ourselves, so its configuration and its roles are ours."""

    @property
    def database(self) -> str:
        parameters = conninfo_to_dict(self.dsn)
        return str(parameters.get("dbname") or parameters.get("user") or "postgres")

    @property
    def login(self) -> Login:
        return Login.of(self.dsn)

    @contextmanager
    def connect(self) -> Generator[psycopg.Connection[tuple[Any, ...]]]:  # Any: rows of every kind
        with psycopg.connect(
            self.dsn, autocommit=True, connect_timeout=10, application_name="hansa backup"
        ) as connection:
            yield connection

    def clock(self) -> datetime:
        """The server's time, which is the one that backups are dated by."""
        with self.connect() as connection:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None, "a SELECT without FROM gives one row"
        return row[0].astimezone(UTC)

    @contextmanager
    def connect_plainly(self) -> Generator[psycopg.Connection[tuple[Any, ...]]]:  # Any: rows of every kind
        """A connection of the kind that the programs can open too. Raises TlsNotSpoken, ServerOfAnotherVersion."""
        _require_plain(self)
        with self.connect() as connection:
            if connection.pgconn.ssl_in_use:
                raise TlsNotSpoken(
                    "this connection is encrypted, and the programs that copy a server cannot do that; "
                    "sslmode=disable in HANSA_BACKUP_DATABASE_URL says that this network is trusted"
                )
            _require_version(connection)
            yield connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a server says about itself."""

    system: str
    """Its identifier: the same for all copies of one cluster, and for no other."""
    timeline: int
    segment_bytes: int
    """Size of one file of its log."""
    summarizes: bool
    """Whether incremental backups can be taken."""


def source_of(settings: Settings, backup: BackupSettings) -> Source:
    """The server of these settings; the embedded one is started when it does not run. Raises EmbeddedRefused."""
    return _remote(settings, backup) or of_server(EmbeddedPostgres(settings.home).start())


def source_if_up(settings: Settings, backup: BackupSettings) -> Source | None:
    """The server of these settings if it answers; nothing is started."""
    remote = _remote(settings, backup)
    if remote is None:
        server = EmbeddedPostgres(settings.home).status()
        return of_server(server) if server else None
    try:
        with remote.connect():
            return remote
    except psycopg.OperationalError:
        return None


def of_server(server: Server) -> Source:
    """An embedded server as the source of backups."""
    return Source(dsn=server.dsn(role="postgres", database=DATABASE), embedded=True)


def _remote(settings: Settings, backup: BackupSettings) -> Source | None:
    dsn = backup.database_url or (settings.database_url and (settings.migrate_database_url or settings.database_url))
    return Source(dsn=dsn, embedded=False) if dsn else None


def examine(source: Source) -> Cluster:
    """What has to be known before a copy, and every reason why there can be none.

    Raises TlsNotSpoken, ServerOfAnotherVersion, ServerIsStandby, BackupNotPermitted, TablespacesFound.
    """
    with source.connect_plainly() as connection:
        _require_rights(connection)
        row = connection.execute(
            "SELECT pg_size_bytes(current_setting('wal_segment_size')), current_setting('summarize_wal')::boolean"
        ).fetchone()
    assert row is not None, "a SELECT without FROM gives one row"
    system, timeline = _identified(source)
    return Cluster(system=system, timeline=timeline, segment_bytes=row[0], summarizes=row[1])


def _require_plain(source: Source) -> None:
    mode = str(conninfo_to_dict(source.dsn).get("sslmode") or "prefer")
    if mode in _ENCRYPTED_MODES:
        raise TlsNotSpoken(
            f"sslmode={mode}: the programs that copy a server cannot encrypt; take backups on the server's machine, "
            "or set HANSA_BACKUP_DATABASE_URL to a connection through a tunnel with sslmode=disable"
        )


def _require_version(connection: psycopg.Connection[tuple[Any, ...]]) -> None:  # Any: rows of every kind
    major = connection.info.server_version // 10_000
    if str(major) != MAJOR:
        raise ServerOfAnotherVersion(f"the server is PostgreSQL {major}, the programs are of {MAJOR}", found=major)


def _require_rights(connection: psycopg.Connection[tuple[Any, ...]]) -> None:  # Any: rows of every kind
    row = connection.execute(
        """
        SELECT role.rolname, role.rolsuper OR role.rolreplication, pg_is_in_recovery(),
               ARRAY(SELECT spcname::text FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 1)
          FROM pg_roles AS role
         WHERE role.rolname = session_user
        """
    ).fetchone()
    assert row is not None, "a session has a role"
    role, may_replicate, standby, tablespaces = row
    if not may_replicate:
        raise BackupNotPermitted(
            f"the role {role} may not replicate: `ALTER ROLE {role} REPLICATION`, or set HANSA_BACKUP_DATABASE_URL "
            "to a login that may",
            role=role,
        )
    if standby:
        raise ServerIsStandby
    if tablespaces:
        raise TablespacesFound(f"tablespaces are not backed up: {', '.join(tablespaces)}", tablespaces=tablespaces)


def _identified(source: Source) -> tuple[str, int]:
    """Identifier and timeline, asked on a connection like the ones that the programs will open."""
    plain = make_conninfo(source.dsn, sslmode="disable", replication="true", connect_timeout=10)
    try:
        with psycopg.connect(plain, autocommit=True) as connection:
            row = connection.execute("IDENTIFY_SYSTEM").fetchone()
    except psycopg.OperationalError as error:
        raise BackupNotPermitted(f"the server refuses a replication connection: {str(error).strip()}") from error
    assert row is not None, "a server knows who it is"
    return row[0].decode(), int(row[1])  # in this mode the driver does not know the type of a text
