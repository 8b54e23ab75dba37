"""Finds an order in which statements work by trying them: nobody knows what depends on what as PostgreSQL does."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from hansa.migrate.runner import describe
from hansa.migrate.session import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A statement that does not work, wherever it stands."""

    statement: str
    reason: str


def attempt(connection: Connection, statement: str) -> str | None:
    """Run a statement within the transaction; when it fails only it is undone, and what PostgreSQL said is returned."""
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except psycopg.Error as error:
        return describe(error)
    return None


def ordered(connection: Connection, statements: Iterable[str]) -> tuple[list[str], list[Failed]]:
    """Run all statements that can be run, each as early as it works; the order they worked in, and what failed.

    Statements given in about the right order are tried about once each.
    """
    worked: list[str] = []
    waiting = list(dict.fromkeys(statements))
    failed: list[Failed] = []
    while waiting:
        failed = []
        for statement in waiting:
            reason = attempt(connection, statement)
            if reason is None:
                worked.append(statement)
            else:
                failed.append(Failed(statement=statement, reason=reason))
        if len(failed) == len(waiting):
            break
        waiting = [each.statement for each in failed]
    return worked, failed
