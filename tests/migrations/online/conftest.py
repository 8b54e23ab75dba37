"""A workbench for online operations: a database, the engine's session, and ways to die at every place."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from given.online import Bench


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """Connection string of an empty database."""
    name = f"online_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def bench(dsn: str) -> Iterator[Bench]:
    with Bench.opened(dsn) as bench:
        yield bench
