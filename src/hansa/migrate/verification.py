"""Runs verify.sql: statements that state facts as rows (check text, ok boolean[, detail text])."""

from collections.abc import Sequence

import psycopg

from hansa.migrate.errors import EmptyVerify, MalformedVerify
from hansa.migrate.results import Check
from hansa.migrate.revisions import Revision, Script
from hansa.migrate.runner import describe
from hansa.migrate.session import Session
from hansa.migrate.splitter import Statement

BOOLEAN = 16
"""Type number of boolean in PostgreSQL's catalog."""


def checks_of(session: Session, revision: Revision) -> tuple[Check, ...]:
    """Every fact that the revision's verify.sql states; whatever it does is rolled back.

    A statement that PostgreSQL refuses is a failed check, so that the others are still heard.
    Raises EmptyVerify, MalformedVerify.
    """
    script = revision.verify
    assert script is not None
    session.options.working(f"{revision.id}/{script.name}")
    mode = "READ WRITE" if revision.verify_writes else "ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    checks: list[Check] = []
    with session.connection.transaction(force_rollback=True):
        session.connection.execute(f"SET TRANSACTION {mode}".encode())
        for statement in script.statements:
            checks += _checks(session, revision, script, statement)
    session.settle()
    if not checks:
        raise EmptyVerify(f"{revision.id}/{script.name} states no fact; end it with a SELECT of (check, ok)")
    return tuple(checks)


def _checks(session: Session, revision: Revision, script: Script, statement: Statement) -> list[Check]:
    where = f"{revision.id}/{script.name}, statement {statement.number}, line {statement.line}"
    try:
        with session.connection.transaction():  # a savepoint: a refused statement must not spoil the ones after it
            cursor = session.connection.execute(statement.text.encode())
    except psycopg.Error as error:
        if session.connection.closed:
            raise
        name = f"statement {statement.number}, line {statement.line}"
        return [Check(revision=revision.id, name=name, ok=False, detail=describe(error))]
    if cursor.description is None:
        return []  # it prepares what the next one looks at
    _refuse_malformed(cursor, where)
    rows: Sequence[Sequence[object]] = cursor.fetchall()
    if not rows:
        raise EmptyVerify(f"{where} returned no row, so it verified nothing")
    return [_check(revision, row) for row in rows]


def _refuse_malformed(cursor: psycopg.Cursor[object], where: str) -> None:
    columns = cursor.description or []
    if len(columns) not in (2, 3) or columns[1].type_code != BOOLEAN:
        found = ", ".join(column.name for column in columns)
        raise MalformedVerify(f"{where} returns ({found}); a check is (check text, ok boolean[, detail text])")


def _check(revision: Revision, row: Sequence[object]) -> Check:
    detail = row[2] if len(row) > 2 and row[2] is not None else ""
    return Check(revision=revision.id, name=str(row[0]), ok=row[1] is True, detail=str(detail))
