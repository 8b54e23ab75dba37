"""Starting over: everything in a development database goes, and all revisions run again."""

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from hansa.migrate.commands import ENVIRONMENT_VARIABLE, PRODUCTION, up
from hansa.migrate.errors import Refusal, Unreachable
from hansa.migrate.options import Options
from hansa.migrate.results import Report
from hansa.migrate.revisions import load
from hansa.migrate.session import Connection, locked

_KINDS = {kind: sql.SQL(kind) for kind in ("PUBLICATION", "EVENT TRIGGER", "FOREIGN DATA WRAPPER")}


class NotForReset(Refusal):
    """The database may hold what somebody needs: it is on another machine, or this is production."""


def reset(
    dsn: str,
    directory: Path,
    *,
    environment_variable: str = ENVIRONMENT_VARIABLE,
    options: Options | None = None,
) -> Report:
    """Drop every schema with all it holds, publications, event triggers and foreign servers; apply all revisions.

    Raises Unreachable; NotForReset unless the server is on this machine and the environment does not say production.
    """
    load(directory)  # a broken folder is found before anything is lost
    _refuse_precious(dsn, environment_variable)
    with locked(dsn, options or Options()) as session, session.connection.transaction():
        session.guard()
        for name in _schemas(session.connection):
            session.connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        for kind, name in _without_schema(session.connection):
            session.connection.execute(sql.SQL("DROP {} {} CASCADE").format(kind, sql.Identifier(name)))
        session.connection.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
        session.connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
    return up(dsn, directory, options=options)


def _refuse_precious(dsn: str, environment_variable: str) -> None:
    if os.environ.get(environment_variable) == PRODUCTION:
        raise NotForReset(f"{environment_variable} is {PRODUCTION}; a reset loses everything")
    try:
        facts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise Unreachable(f"cannot connect: {error}") from error
    if service := facts.get("service") or os.environ.get("PGSERVICE"):
        raise NotForReset(f"the service {service} may not be on this machine; name the host; a reset loses everything")
    address = facts.get("hostaddr") or os.environ.get("PGHOSTADDR")
    named = address or facts.get("host") or os.environ.get("PGHOST") or "/"
    far = [host for host in str(named).split(",") if not _is_here(host)]
    if far:
        raise NotForReset(f"the server is {far[0]}, not this machine; a reset loses everything")


def _is_here(host: str) -> bool:
    """A socket folder, or a loopback address."""
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _schemas(connection: Connection) -> Sequence[str]:
    rows = connection.execute(r"""
        SELECT nspname
        FROM pg_catalog.pg_namespace
        WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%'
        ORDER BY nspname
    """).fetchall()
    return [name for (name,) in rows]


def _without_schema(connection: Connection) -> Sequence[tuple[sql.SQL, str]]:
    """What is in no schema, but for what extensions brought: a revision could not make it a second time."""
    rows = connection.execute("""
        SELECT kind, name
        FROM (
          SELECT 'PUBLICATION' AS kind, pubname AS name, 'pg_catalog.pg_publication'::regclass AS catalog, oid
          FROM pg_catalog.pg_publication
          UNION ALL
          SELECT 'EVENT TRIGGER', evtname, 'pg_catalog.pg_event_trigger'::regclass, oid FROM pg_catalog.pg_event_trigger
          UNION ALL
          SELECT 'FOREIGN DATA WRAPPER', fdwname, 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid
          FROM pg_catalog.pg_foreign_data_wrapper
        ) AS found
        WHERE NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid = found.catalog AND d.objid = found.oid AND d.deptype = 'e'
        )
    """).fetchall()
    return [(_KINDS[kind], name) for kind, name in rows]
