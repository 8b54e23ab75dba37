"""What is known of the live database before anything is copied."""

from dataclasses import dataclass

from psycopg.rows import class_row

from hansa.migrate.session import Connection, connect


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The live database, and what the role that we are may do there."""

    dsn: str
    name: str
    """Of the database."""
    user: str
    major: int
    """Version of the server."""
    superuser: bool
    may_create: bool
    """Databases."""
    may_replicate: bool
    owner: bool
    """Whether the database is ours, so that we may copy it."""
    others: int
    """Sessions of others in it."""
    other: str | None
    """One of them, for the message; None when there is none."""


def inspect(dsn: str) -> Source:
    """Look at the live database. Raises Unreachable, ServerTooOld."""
    with connect(dsn) as connection:
        row = (
            connection.cursor(row_factory=class_row(Source))
            .execute(
                """
                SELECT %(dsn)s::text AS dsn, d.datname AS name, session_user AS user,
                       pg_catalog.current_setting('server_version_num')::integer / 10000 AS major,
                       r.rolsuper AS superuser,
                       r.rolsuper OR r.rolcreatedb AS may_create,
                       r.rolsuper OR r.rolreplication AS may_replicate,
                       pg_catalog.pg_has_role(session_user, d.datdba, 'USAGE') AS owner,
                       o.others, o.other
                FROM pg_catalog.pg_database AS d
                JOIN pg_catalog.pg_roles AS r ON r.rolname = session_user
                CROSS JOIN (
                  SELECT count(*) AS others,
                         min(coalesce(nullif(application_name, ''), usename, 'unnamed') || ', process ' || pid) AS other
                  FROM pg_catalog.pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_catalog.pg_backend_pid()
                    AND backend_type <> 'autovacuum worker'
                ) AS o
                WHERE d.datname = current_database()
                """,
                {"dsn": dsn},
            )
            .fetchone()
        )
    assert row is not None
    return row


def size_of_cluster(connection: Connection) -> int:
    """Bytes of all databases that we may look at."""
    row = connection.execute("""
        SELECT coalesce(sum(pg_catalog.pg_database_size(oid)), 0)::bigint
        FROM pg_catalog.pg_database
        WHERE pg_catalog.has_database_privilege(oid, 'CONNECT')
    """).fetchone()
    assert row is not None
    return int(row[0])
