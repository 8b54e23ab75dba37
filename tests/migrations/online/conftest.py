"""A workbench for online operations: a database, the engine's session, and ways to die at every place."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from given.online import Bench


@contextmanager
def _database(server_dsn: str) -> Iterator[str]:
    name = f"online_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """Connection string of an empty database."""
    with _database(server_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def _workplace(server_dsn: str) -> Iterator[Bench]:
    with _database(server_dsn) as dsn, Bench.opened(dsn) as bench:
        yield bench


@pytest.fixture
def bench(_workplace: Bench) -> Bench:
    """An empty database; the one that the test before left, swept, because a new one takes ten times as long."""
    _workplace.sweep()
    return _workplace


class Roles:
    """Roles of the server that go away with the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.made: list[str] = []

    def owner_of(self, table: str, made_by: str) -> str:
        """Make a table by a script, and a role without any privilege that owns it; returns the role."""
        role = f"owner_{uuid4().hex}"
        self.bench.ask(f"CREATE ROLE {role}")
        self.made.append(role)
        self.bench.ask(made_by)
        self.bench.ask(f"ALTER TABLE {table} OWNER TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        return role


@pytest.fixture
def roles(bench: Bench) -> Iterator[Roles]:
    roles = Roles(bench)
    yield roles
    for role in roles.made:
        bench.ask(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
