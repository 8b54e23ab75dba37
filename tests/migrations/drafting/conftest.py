"""An empty database, a folder of revisions, and the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from click.testing import Result
from psycopg import sql
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from hansa.migrate.cli import app


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """Connection string of an empty database."""
    name = f"drafting_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty folder of revisions."""
    path = tmp_path / "migrations"
    path.mkdir()
    return path


Write = Callable[..., Path]


@pytest.fixture
def write(directory: Path) -> Write:
    """Writes a revision."""

    def revision(name: str, *, meta: str = "", **scripts: str) -> Path:
        folder = directory / name
        folder.mkdir()
        (folder / "meta.toml").write_text(meta)
        for script, text in ({"up": "SELECT 1;", "down": "SELECT 1;"} | scripts).items():
            (folder / f"{script}.sql").write_text(text)
        return folder

    return revision


Ask = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def ask(dsn: str) -> Ask:
    """Runs SQL in the database on a connection of its own and returns the rows."""

    def run(query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    return run


class CommandLine:
    """The engine as a program on this database and folder."""

    def __init__(self, dsn: str, directory: Path) -> None:
        self.dsn = dsn
        self.directory = directory

    def run(self, *words: str) -> Result:
        """Words of the command line as they are, with the folder; `--dsn` where the command knows it."""
        return CliRunner().invoke(app, [*words, "--dir", str(self.directory)], env={"MIGRATE_DATABASE_URL": self.dsn})

    def json(self, *words: str) -> object:
        return json.loads(self.run(*words, "-o", "json").output)


@pytest.fixture
def command_line(dsn: str, directory: Path) -> CommandLine:
    return CommandLine(dsn, directory)
