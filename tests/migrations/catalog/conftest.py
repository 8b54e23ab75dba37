"""One database with something of every kind, for all tests that roll back what they do to it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

Connection = psycopg.Connection[Any]
Changed = Callable[..., AbstractContextManager[Connection]]


@pytest.fixture(scope="module")
def roles() -> dict[str, str]:
    """Two roles that may be granted something."""
    token = uuid4().hex[:8]
    return {"reader": f"reader_{token}", "guest": f"guest_{token}"}


@pytest.fixture(scope="module")
def named(roles) -> Callable[[str], str]:
    """Puts the names of the roles into a text."""

    def put(text: str) -> str:
        for role, name in roles.items():
            text = text.replace(f"{{{role}}}", name)
        return text

    return put


@contextmanager
def _database(server_dsn: str) -> Iterator[str]:
    name = f"catalog_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def trade_dsn(server_dsn, roles, named) -> Iterator[str]:
    """The database of trade.sql."""
    script = named((Path(__file__).parent / "trade.sql").read_text())
    with psycopg.connect(server_dsn, autocommit=True) as server:
        for role in roles.values():
            server.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        with _database(server_dsn) as dsn:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(script.encode())
            yield dsn
        for role in roles.values():
            server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture(scope="module")
def trade(trade_dsn) -> Iterator[Connection]:
    """A connection to it, in autocommit."""
    with psycopg.connect(trade_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def changed(trade, named) -> Changed:
    """The database after some statements, for as long as the block lasts."""

    @contextmanager
    def after(*statements: str) -> Iterator[Connection]:
        with trade.transaction(force_rollback=True):
            for statement in statements:
                trade.execute(named(statement).encode())
            yield trade

    return after


@pytest.fixture
def dsn(server_dsn) -> Iterator[str]:
    """An empty database of this test's own."""
    with _database(server_dsn) as dsn:
        yield dsn
