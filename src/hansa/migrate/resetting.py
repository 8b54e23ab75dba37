"""Starting over: everything in a development database goes, and all revisions run again."""

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from hansa.migrate.commands import ENVIRONMENT_VARIABLE, PRODUCTION, up
from hansa.migrate.errors import Refusal
from hansa.migrate.options import Options
from hansa.migrate.results import Report
from hansa.migrate.revisions import load
from hansa.migrate.session import Connection, locked


class NotForReset(Refusal):
    """The database may hold what somebody needs: it is on another machine, or this is production."""


def reset(
    dsn: str,
    directory: Path,
    *,
    environment_variable: str = ENVIRONMENT_VARIABLE,
    options: Options | None = None,
) -> Report:
    """Drop every schema with all it holds, then apply all revisions.

    Raises NotForReset unless the server is on this machine and the environment does not say production.
    """
    load(directory)  # a broken folder is found before anything is lost
    _refuse_precious(dsn, environment_variable)
    with locked(dsn, options or Options()) as session, session.connection.transaction():
        session.guard()
        for name in _schemas(session.connection):
            session.connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        session.connection.execute("CREATE SCHEMA public")
        session.connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
    return up(dsn, directory, options=options)


def _refuse_precious(dsn: str, environment_variable: str) -> None:
    if os.environ.get(environment_variable) == PRODUCTION:
        raise NotForReset(f"{environment_variable} is {PRODUCTION}; a reset loses everything")
    facts = conninfo_to_dict(dsn)
    named = facts.get("hostaddr") or facts.get("host") or os.environ.get("PGHOST") or "/"
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
