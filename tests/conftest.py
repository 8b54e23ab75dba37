"""A real PostgreSQL for every test: one server for the run, one migrated template, a rollback or a clone per test."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from hansa.infra import embedded as launcher
from hansa.infra.database import embedded
from hansa.infra.db import Actor, Db, Tx
from hansa.infra.embedded import EmbeddedPostgres, Server
from hansa.infra.seal import LocalKeyRing
from hansa.infra.services import Services
from hansa.infra.settings import Settings
from hansa.migrate import testing
from hansa.migrations import DIRECTORY

TESTER = Actor(kind="system", did="tests")


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """No setting of the person who runs the tests reaches them."""
    kept = {
        name: os.environ.pop(name) for name in list(os.environ) if name.startswith("HANSA_") or "DATABASE_URL" in name
    }
    yield
    os.environ.update(kept)


MEMORY, ROOMY = Path("/dev/shm"), 4 * 2**30


def memory() -> Path | None:
    """A folder in memory when there is one with room: a copy of a database takes 16 ms there, and 200 on a disk."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOMY
    return MEMORY if usable else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """An embedded server in a temporary home, stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-test-", dir=memory()))
    folder.chmod(0o755)  # the account under which root runs the server must reach its data
    cluster = EmbeddedPostgres(folder / "home", settings=launcher.test_settings())
    server = cluster.start()
    embedded(server)
    yield server
    cluster.destroy()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server_dsn(postgres: Server) -> str:
    """Superuser's DSN of the test server."""
    return postgres.dsn(role="postgres", database="postgres")


@pytest.fixture(scope="session")
def template(server_dsn: str) -> str:
    """Name of a database with all migrations applied."""
    return testing.template(server_dsn, DIRECTORY, "hansa_template")


@pytest.fixture(scope="session")
def _shared_db(postgres: Server, server_dsn: str, template: str) -> Iterator[Db]:
    """One clone for all tests that roll back."""
    name = f"shared_{uuid.uuid4().hex}"
    testing.clone(server_dsn, template, name)
    with Db(postgres.dsn(role="hansa_app", database=name), size=4) as db:
        yield db
    testing.drop(server_dsn, name)


class RolledBack(Exception):
    """Ends a test's transaction."""


@pytest.fixture
def tx(_shared_db: Db) -> Iterator[Tx]:
    """A transaction as the application's role; deferred constraints are checked, then all is undone."""
    try:
        with _shared_db.transaction(TESTER) as tx:
            yield tx
            if tx.connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
                tx.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            raise RolledBack
    except RolledBack:
        pass


@pytest.fixture
def database(server_dsn: str, template: str) -> Iterator[str]:
    """Name of a database of this test's own, for real commits."""
    name = f"test_{uuid.uuid4().hex}"
    testing.clone(server_dsn, template, name)
    yield name
    testing.drop(server_dsn, name)


@pytest.fixture
def db(postgres: Server, database: str) -> Iterator[Db]:
    """The application's pool on a database of this test's own."""
    with Db(postgres.dsn(role="hansa_app", database=database), size=40) as db:
        yield db


@pytest.fixture
def owner(postgres: Server, database: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the same database, for breaking things on purpose."""
    with psycopg.connect(postgres.dsn(role="postgres", database=database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def services(db: Db, tmp_path: Path) -> Iterator[Services]:
    """Services on this test's own database; the chain is only there for tests that start one."""
    from hansa.chain.client import ChainRpc

    settings = Settings(home=tmp_path)
    with httpx.Client() as http:
        yield Services(
            db=db,
            settings=settings,
            http=http,
            chain=ChainRpc("http://127.0.0.1:9"),
            keys=LocalKeyRing.create(tmp_path / "keyring.json"),
        )


@pytest.fixture
def services_keys(tmp_path: Path) -> LocalKeyRing:
    """A ring of sealing keys, for commands that seal what they record."""
    return LocalKeyRing.create(tmp_path / "ring.json")
