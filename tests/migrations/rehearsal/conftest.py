"""A live database with some revisions applied, and a temporary folder in which nothing may be left behind."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from hansa import migrate
from hansa.migrate.rehearsal import rehearse
from hansa.migrate.rehearsal.workplaces import PREFIX

FIRST = "20260101T000000_first"
PENDING = "20260102T000000_pending"
UP = """
    CREATE TYPE mood AS ENUM ('calm', 'cross');
    CREATE TABLE people (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        status text NOT NULL DEFAULT 'Active',
        visits integer NOT NULL DEFAULT 0
    );
    CREATE INDEX people_by_name ON people (name);
    CREATE TABLE visits AS SELECT n FROM generate_series(1, 3) AS n;
    INSERT INTO people (name, status)
    SELECT 'person ' || n, CASE WHEN n = 7 THEN 'Revoked' ELSE 'Active' END FROM generate_series(1, 500) AS n;
"""
Ask = Callable[..., list[tuple[object, ...]]]


@contextmanager
def empty_database(server_dsn: str) -> Iterator[str]:
    """Connection string of a new database, dropped afterwards."""
    name = f"live_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """Connection string of an empty live database."""
    with empty_database(server_dsn) as dsn:
        yield dsn


class Folder:
    """A folder of revisions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def revision(self, name: str, *, meta: str = "", **scripts: str | None) -> Path:
        """Write a revision; scripts are `up`, `down`, `verify`, and None leaves one out."""
        folder = self.path / name
        folder.mkdir(parents=True)
        (folder / "meta.toml").write_text(meta)
        for script, text in (
            {"up": "SELECT 1;", "down": "SELECT 1;", "verify": "SELECT 'yes', true;"} | scripts
        ).items():
            if text is not None:
                (folder / f"{script}.sql").write_text(text)
        return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "migrations"
    path.mkdir()
    return Folder(path)


@pytest.fixture
def live(dsn: str, folder: Folder) -> str:
    """Connection string of a live database with five hundred people in it."""
    people(dsn, folder)
    return dsn


def people(dsn: str, folder: Folder) -> None:
    folder.revision(FIRST, up=UP, down="DROP TABLE people, visits; DROP TYPE mood;")
    migrate.up(dsn, folder.path)


@pytest.fixture(scope="module")
def rehearsed(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Folder]]:
    """A live database and a folder whose one pending revision, `PENDING`, was rehearsed and is good."""
    folder = Folder(tmp_path_factory.mktemp("migrations"))
    with empty_database(server_dsn) as dsn:
        people(dsn, folder)
        folder.revision(PENDING, up="CREATE TABLE b ();", down="DROP TABLE b;")
        rehearse(dsn, folder.path)
        yield dsn, folder


@pytest.fixture
def ask(dsn: str) -> Ask:
    """Runs SQL in the live database on a connection of its own and returns the rows."""

    def run(query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    return run


class Leftovers:
    """Finds what rehearsals left: folders, server processes and databases."""

    def __init__(self, temporary: Path, server_dsn: str) -> None:
        self.temporary = temporary
        self.server_dsn = server_dsn

    def found(self) -> list[str]:
        return [*self.folders(), *self.processes(), *self.databases()]

    def folders(self) -> list[str]:
        return sorted(path.name for path in self.temporary.iterdir())

    def processes(self) -> list[str]:
        commands = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                commands.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
        return [command for command in commands if f"-D {self.temporary}/{PREFIX}" in command]

    def databases(self) -> list[str]:
        with psycopg.connect(self.server_dsn, autocommit=True) as server:
            rows = server.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX]).fetchall()
        return [name for (name,) in rows]


@pytest.fixture(autouse=True)
def leftovers(server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leftovers]:
    """Every test ends with nothing left behind; `tmp_path` is made before temporary folders go elsewhere."""
    temporary = Path(tempfile.mkdtemp(prefix="reh-"))
    temporary.chmod(0o755)  # the account under which root runs a second server must reach its data
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    left = Leftovers(temporary, server_dsn)
    yield left
    try:
        assert left.found() == []
    finally:
        shutil.rmtree(temporary)
