"""A migrated database for each test, copied from a template in milliseconds.

    # conftest.py
    pytest_plugins = ["hansa.migrate.pytest_plugin"]

    # pytest.ini or pyproject.toml
    migrate_dir = "migrations"

    def test_something(migrated_dsn):
        with psycopg.connect(migrated_dsn) as connection: ...

The server is that of MIGRATE_TEST_SERVER, a connection string of a user who may create databases; a project that starts
its own server overrides the fixture `migrate_server_dsn`. The template is built once for each state of the revisions,
also when several test processes start at once, and stays for the next run.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansa.migrate import testing

SERVER = "MIGRATE_TEST_SERVER"
NAME_MAX = 24
"""Characters of a test's name that go into the name of its database, for whoever looks at the server meanwhile."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the entry of the configuration file."""
    parser.addini(
        "migrate_dir", "Folder of revisions for migrated databases, relative to the root.", default="migrations"
    )


@pytest.fixture(scope="session")
def migrate_server_dsn() -> str:
    """Connection string of a server where databases may be made; override it to start one."""
    dsn = os.environ.get(SERVER)
    if not dsn:
        pytest.skip(f"no server for migrated databases: set {SERVER}, or override the fixture migrate_server_dsn")
    return dsn


@pytest.fixture(scope="session")
def migrate_directory(pytestconfig: pytest.Config) -> Path:
    """Folder of the revisions."""
    return pytestconfig.rootpath / str(pytestconfig.getini("migrate_dir"))


@pytest.fixture(scope="session")
def migrated_template(migrate_server_dsn: str, migrate_directory: Path) -> str:
    """Name of a database with all revisions applied, to be copied."""
    return testing.template(migrate_server_dsn, migrate_directory, "migrated")


@pytest.fixture
def migrated_dsn(request: pytest.FixtureRequest, migrate_server_dsn: str, migrated_template: str) -> Iterator[str]:
    """Connection string of a migrated database of this test's own; dropped afterwards, whoever is connected."""
    word = "".join(letter if letter.isalnum() else "_" for letter in request.node.name.lower() if letter.isascii())
    name = f"test_{word[:NAME_MAX]}_{secrets.token_hex(6)}"
    yield testing.clone(migrate_server_dsn, migrated_template, name)
    testing.drop(migrate_server_dsn, name)
