"""Folders of revisions written by tests, and an empty database for each of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """Connection string of an empty database."""
    name = f"engine_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class Folder:
    """A folder of revisions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def revision(self, name: str, *, meta: str = "", **scripts: str | None) -> Path:
        """Write a revision; scripts are `up`, `down`, `verify`, `seed`, and None leaves one out."""
        folder = self.path / name
        folder.mkdir(parents=True)
        (folder / "meta.toml").write_text(meta)
        for script, text in ({"up": "SELECT 1;", "down": "SELECT 1;"} | scripts).items():
            if text is not None:
                (folder / f"{script}.sql").write_text(text)
        return folder

    def table(self, name: str, table: str, *, meta: str = "", **scripts: str | None) -> Path:
        """A revision that makes a table, drops it, and verifies that it is there."""
        return self.revision(
            name,
            meta=meta,
            **(
                {
                    "up": f"CREATE TABLE {table} (n integer);",
                    "down": f"DROP TABLE {table};",
                    "verify": f"SELECT 'table {table}', to_regclass('{table}') IS NOT NULL;",
                }
                | scripts
            ),
        )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "migrations"
    path.mkdir()
    return Folder(path)


Ask = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def ask(dsn: str) -> Ask:
    """Runs SQL in the database on a connection of its own and returns the rows."""

    def run(query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    return run
