"""A copy on the live server itself: the fastest, but only while nobody is connected.

PostgreSQL lets nobody into the original while it copies, so this is for databases that nobody uses at the moment.
Revisions that change what all databases of a server share, such as roles, would change it for the original too.
"""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import errors as pg
from psycopg import sql

from hansa.migrate.rehearsal.errors import CannotClone
from hansa.migrate.rehearsal.scratch import create, scratch_dsn, scratch_name
from hansa.migrate.rehearsal.source import Source
from hansa.migrate.session import Connection, connect

_SHARED = re.compile(
    r"\b(?:(?:CREATE|ALTER|DROP|COMMENT\s+ON)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP|TABLESPACE|DATABASE)"
    r"|ALTER\s+SYSTEM|REASSIGN\s+OWNED|DROP\s+OWNED)\b",
    re.IGNORECASE,
)
_MEMBERSHIP = re.compile(r"\b(?:GRANT|REVOKE)\b(?:(?!\bON\b|;).)*\b(?:TO|FROM)\b", re.IGNORECASE | re.DOTALL)


@contextmanager
def template_clone(source: Source, directory: Path, pending: Iterable[str]) -> Generator[str]:
    """The connection string of a copy made by CREATE DATABASE ... TEMPLATE; it is dropped at the end.

    Raises CannotClone.
    """
    _refuse(source)
    _refuse_shared(directory, pending)
    with scratch_name(source.dsn) as (server, name):
        try:
            create(server, name, sql.SQL("TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(source.name)))
        except pg.ObjectInUse as error:
            raise CannotClone(f"somebody connected to {source.name} at that moment") from error
        except psycopg.Error as error:
            raise CannotClone(" ".join(str(error).split())) from error
        _carry_settings(source, server, name)
        yield scratch_dsn(source.dsn, name)


def shared_change(text: str) -> str | None:
    """The first words of a script that would change what all databases of a server share; None when there are none."""
    found = _SHARED.search(text) or _MEMBERSHIP.search(text)
    return " ".join(found[0].split()) if found else None


def _refuse(source: Source) -> None:
    if not source.may_create:
        raise CannotClone(f"role {source.user} may not create databases")
    if not (source.owner or source.superuser):
        raise CannotClone(f"role {source.user} does not own {source.name}")
    if source.others:
        raise CannotClone(f"{_sessions(source.others)} connected to {source.name} ({source.other})")


def _refuse_shared(directory: Path, pending: Iterable[str]) -> None:
    for revision in pending:
        for path in sorted((directory / revision).glob("*.sql")):
            words = shared_change(path.read_text(encoding="utf-8"))
            if words is not None:
                raise CannotClone(f"{revision}/{path.name} changes what the whole live server shares ({words})")


def _carry_settings(source: Source, server: Connection, name: str) -> None:
    """Give the copy the settings of the original, which hang on its name and are not part of it.

    FROM CURRENT, because a setting that is a list would become one quoted word.
    """
    rows = server.execute(
        """
        SELECT r.rolname, pg_catalog.split_part(setting, '=', 1),
               pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)
        FROM pg_catalog.pg_db_role_setting AS s
        JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
        LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
        CROSS JOIN unnest(s.setconfig) AS setting
        WHERE d.datname = %s
        """,
        [source.name],
    ).fetchall()
    if not rows:
        return
    with connect(scratch_dsn(source.dsn, name)) as clone:
        for role, setting, value in rows:
            whose = sql.SQL("ROLE {} IN ").format(sql.Identifier(role)) if role else sql.SQL("")
            # What only a superuser may set for others stays away from the copy; it is not in force for us either.
            with suppress(pg.InsufficientPrivilege):
                clone.execute("SELECT pg_catalog.set_config(%s, %s, false)", [setting, value])
                clone.execute(
                    sql.SQL("ALTER {}DATABASE {} SET {} FROM CURRENT").format(
                        whose, sql.Identifier(name), sql.Identifier(*setting.split("."))
                    )
                )


def _sessions(count: int) -> str:
    return "1 other session is" if count == 1 else f"{count} other sessions are"
