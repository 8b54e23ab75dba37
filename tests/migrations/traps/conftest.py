"""A place to step into traps: a clone of our own database whose schema public is free, and every test is undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hansa.migrate import testing
from hansa.migrate.splitter import split


@pytest.fixture(scope="module")
def scratch(server_dsn: str, template: str) -> Iterator[str]:
    """Connection string of a clone that the tests of a module share."""
    name = f"traps_{uuid4().hex}"
    testing.clone(server_dsn, template, name)
    yield make_conninfo(server_dsn, dbname=name)
    testing.drop(server_dsn, name)


class Trap:
    """A superuser's session in one transaction that is undone; what PostgreSQL refuses undoes only itself."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.notices: list[str] = []
        connection.add_notice_handler(lambda notice: self.notices.append(notice.message_primary or ""))

    def run(self, script: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the (last) statement."""
        cursor = self.connection.execute(script, values or None)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *values: object) -> Any:
        """The only value of the only row."""
        ((value,),) = self.run(query, *values)
        return value

    def refused(self, script: str, *values: object) -> psycopg.Error:
        """The error that PostgreSQL answers with."""
        with pytest.raises(psycopg.Error) as caught, self.connection.transaction():
            self.run(script, *values)
        return caught.value

    def goes_on(self, script: str) -> list[psycopg.Error]:
        """Run a script as `psql -f` does: each statement by itself, whatever became of the one before."""
        errors: list[psycopg.Error] = []
        for statement in split(script):
            try:
                with self.connection.transaction():
                    self.connection.execute(statement.text.encode())
            except psycopg.Error as error:
                errors.append(error)
        return errors

    def columns(self, table: str) -> dict[str, str]:
        """Name and type of each column in order, `not null` included."""
        return dict(
            self.run(
                """
                SELECT attname, format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
                  FROM pg_attribute
                 WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
                 ORDER BY attnum
                """,
                table,
            )
        )

    def indexes(self, table: str) -> set[str]:
        """Names of the indexes of a table."""
        return {
            name
            for (name,) in self.run(
                "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass", table
            )
        }


@pytest.fixture
def trap(scratch: str) -> Iterator[Trap]:
    with psycopg.connect(scratch, autocommit=True) as connection, connection.transaction(force_rollback=True):
        yield Trap(connection)


class Folder:
    """A folder of revisions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def revision(self, name: str, *, meta: str = "", **scripts: str) -> Path:
        folder = self.path / name
        folder.mkdir()
        (folder / "meta.toml").write_text(meta)
        for script, text in ({"up": "SELECT 1;", "down": "SELECT 1;"} | scripts).items():
            (folder / f"{script}.sql").write_text(text)
        return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "revisions"
    path.mkdir()
    return Folder(path)


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """Connection string of an empty database for one test, where the engine commits."""
    name = f"traps_{uuid4().hex}"
    testing.clone(server_dsn, "template0", name)
    yield make_conninfo(server_dsn, dbname=name)
    testing.drop(server_dsn, name)
