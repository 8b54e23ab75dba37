"""The old database in a database of its own."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo


@pytest.fixture(scope="module")
def old_dsn(server_dsn: str) -> Iterator[str]:
    """Connection string of an empty database that the tests of a module share."""
    name = f"legacy_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def old(old_dsn: str) -> Iterator[psycopg.Connection]:
    """A connection whose transaction is undone."""
    with psycopg.connect(old_dsn) as connection:
        yield connection
        connection.rollback()
