"""One migrated database for all rules, looked at and never changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from architecture import statements
from architecture.source import load_everything
from architecture.statements import Statement, Touched
from hansa.infra.db import become
from hansa.infra.embedded import Server
from hansa.migrate import testing


@pytest.fixture(scope="session", autouse=True)
def _everything_is_known() -> None:
    load_everything()


@pytest.fixture(scope="session")
def _schema_dsn(postgres: Server, server_dsn: str, template: str) -> Iterator[str]:
    name = f"architecture_{uuid.uuid4().hex}"
    yield testing.clone(server_dsn, template, name)
    testing.drop(server_dsn, name)


@pytest.fixture(scope="session")
def schema(_schema_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """The owner's connection to the migrated database."""
    with psycopg.connect(_schema_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def app(_schema_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """The application's connection to the migrated database."""
    with psycopg.connect(_schema_dsn, autocommit=True) as connection:
        become(connection, "hansa_app")
        yield connection


@pytest.fixture(scope="session")
def planned(app: psycopg.Connection[Any]) -> dict[Statement, Touched]:
    """Every statement of the code with what it touches."""
    return statements.planned(app)
