"""One small cluster for all tests of backups, with the whole schema, and one history of backups that most of them read."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from given.backups import DIGEST, drop_slot, first
from hansa.infra import backup
from hansa.infra.backup import Archive, Backup, Kind, Repository, Source
from hansa.infra.database import embedded
from hansa.infra.embedded import EmbeddedPostgres, Server, test_settings
from hansa.infra.settings import Settings
from hansa.migrate import up
from hansa.migrations import DIRECTORY

FAST = test_settings()


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every account may pass through, unlike pytest's own, which root keeps to itself."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(open_folder: Path) -> Settings:
    return Settings(home=open_folder / "home")


@pytest.fixture(scope="session")
def server(settings: Settings) -> Iterator[Server]:
    cluster = EmbeddedPostgres(settings.home, settings=FAST)
    server = cluster.start()
    embedded(server)
    yield server
    cluster.destroy()


@pytest.fixture(scope="session")
def source(server: Server) -> Source:
    return backup.of_server(server)


@pytest.fixture
def ask(source: Source):
    """Runs SQL as superuser and gives the first value."""
    with psycopg.connect(source.dsn, autocommit=True) as connection:
        yield lambda query, *values: first(connection, query, *values)


@pytest.fixture
def repository(tmp_path: Path, source: Source) -> Iterator[Repository]:
    """An empty folder for backups; its slot is dropped at the end."""
    repository = Repository(tmp_path / "backups")
    yield repository
    if repository.identity():
        drop_slot(source, repository)


@dataclass(frozen=True, kw_only=True)
class History:
    """A full backup and two incremental ones, and what table `letters` held when."""

    repository: Repository
    full: Backup
    first: Backup
    second: Backup
    before_delete: datetime
    whole: tuple[int, str]
    """Count and digest before the DELETE."""
    left: tuple[int, str]
    """The same after it."""


@pytest.fixture(scope="session")
def history(open_folder: Path, source: Source) -> Iterator[History]:
    repository = Repository(open_folder / "history")
    with psycopg.connect(source.dsn, autocommit=True) as connection:

        def write(word):
            connection.execute("INSERT INTO letters (text) SELECT %s || n FROM generate_series(1, 5000) AS n", [word])

        connection.execute("CREATE TABLE letters (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text)")
        write("before the full one ")
        full = backup.take(repository, source, Kind.FULL).backup
        write("between ")
        one = backup.take(repository, source).backup
        connection.execute("UPDATE letters SET text = 'changed' WHERE id % 7 = 0")
        two = backup.take(repository, source, Kind.INCREMENTAL).backup
        write("after the last one ")
        whole = first(connection, DIGEST)
        before_delete = first(connection, "SELECT clock_timestamp()")
        connection.execute("DELETE FROM letters WHERE id % 2 = 0")
        left = first(connection, DIGEST)
    Archive(repository).catch_up(source, backup.examine(source))
    yield History(
        repository=repository,
        full=full,
        first=one,
        second=two,
        before_delete=before_delete,
        whole=whole,
        left=left,
    )
    drop_slot(source, repository)


@pytest.fixture(scope="session")
def migrated(history: History, server: Server) -> Server:
    """The same server with the whole schema; the history before it has a small database."""
    up(embedded(server).owner_dsn, DIRECTORY)
    return server


@pytest.fixture
def copied(history: History, tmp_path: Path) -> Repository:
    """The backups of that history, to damage: files may be removed and replaced, but not changed in place."""
    shutil.copytree(history.repository.folder, tmp_path / "copied", copy_function=os.link)
    return Repository(tmp_path / "copied")


@pytest.fixture
def to(open_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A home to restore to."""
    home = open_folder / f"restored-{abs(hash(request.node.name))}"
    yield home
    EmbeddedPostgres(home).destroy()
    shutil.rmtree(home, ignore_errors=True)
