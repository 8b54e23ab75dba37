"""Archives of tables: rows by COPY in a compressed file, beside a description that proves what is in it.

    market.events_p20260101.copy.gz      what COPY TO wrote, one row a line
    market.events_p20260101.copy.json    rows, digest of the rows, sha256 of the uncompressed text, the columns

`COPY market.events (columns) FROM STDIN` brings them back.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from psycopg import sql

from hansa.migrate.errors import Refusal
from hansa.migrate.session import Connection

CHUNK = 1 << 20
# What a value looks like as text must not depend on who asks.
SETTINGS = {"TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "extra_float_digits": "1"}


class ArchiveMismatch(Refusal):
    """An archive that was just written does not hold what the table holds; the table is left alone."""


class ArchiveUnwritable(Refusal):
    """The archive cannot be written there; the table is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is in a table."""

    rows: int
    digest: str
    """Hexadecimal; the same for the same rows in whatever order they lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A table in a file."""

    path: Path
    content: Content
    sha256: str
    """Of the uncompressed text, in hexadecimal."""
    columns: tuple[str, ...]


def content(connection: Connection, oid: int, name: sql.Identifier) -> Content:
    """Rows and digest of a table."""
    return _content(connection, name, _columns(connection, oid))


def archive(connection: Connection, oid: int, name: sql.Identifier, path: Path) -> Archive:
    """Write a table to a file and prove, by reading the file into an empty copy, that all of it is there.

    The file appears under its name only when it is whole and proven. Raises ArchiveMismatch, ArchiveUnwritable.
    """
    columns = _columns(connection, oid)
    draft = path.with_name(f"{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _one_instant(connection):
            before = _content(connection, name, columns)
            written = _write(connection, name, columns, draft)
        made = Archive(path=path, content=before, sha256=written, columns=columns)
        _prove(connection, name, made, draft)
        draft.replace(path)
        _describe(made)
    except OSError as error:
        raise ArchiveUnwritable(f"{path}: {error.strerror or error}; nothing was dropped") from error
    return made


def archived(path: Path) -> Archive | None:
    """The archive of that name with what its description says, when the file is what was described; else None."""
    try:
        told = json.loads(_description(path).read_text(encoding="utf-8"))
        sha256 = _sha256(path)
    except (OSError, ValueError, EOFError):
        return None
    if sha256 != told["sha256"]:
        return None
    columns = tuple(told["columns"])
    return Archive(path=path, content=Content(**told["content"]), sha256=sha256, columns=columns)


def _columns(connection: Connection, oid: int) -> tuple[str, ...]:
    """Everything that can be written back: generated columns generate themselves."""
    rows = connection.execute(
        """
        SELECT attname
        FROM pg_catalog.pg_attribute
        WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        ORDER BY attnum
        """,
        [oid],
    )
    return tuple(column for (column,) in rows)


def _content(connection: Connection, name: sql.Identifier, columns: tuple[str, ...]) -> Content:
    """Each row is hashed as text, and the hashes are added up."""
    values = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
    with _settled(connection):
        row = connection.execute(
            sql.SQL("""
              SELECT count(*), coalesce(sum(pg_catalog.hashtextextended(ROW({})::text, 0)::numeric), 0)
              FROM ONLY {}
            """).format(values, name)
        ).fetchone()
    assert row is not None
    return Content(rows=row[0], digest=f"{int(row[1]) % 2**128:032x}")


def _write(connection: Connection, name: sql.Identifier, columns: tuple[str, ...], draft: Path) -> str:
    """The table into a file that has reached the disk; returns the sha256 of its text."""
    query = sql.SQL("COPY {} ({}) TO STDOUT").format(name, sql.SQL(", ").join(map(sql.Identifier, columns)))
    digest = hashlib.sha256()
    with draft.open("wb") as raw, connection.cursor() as cursor:
        # Without a time of its own, equal content makes an equal file.
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed, cursor.copy(query) as rows:
            for chunk in rows:
                digest.update(chunk)
                packed.write(chunk)
        raw.flush()
        os.fsync(raw.fileno())
    return digest.hexdigest()


def _prove(connection: Connection, name: sql.Identifier, made: Archive, draft: Path) -> None:
    """Read the file into an empty copy of the table; both must be the same."""
    copy = sql.Identifier("pg_temp", "archive_proof")
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE TEMP TABLE archive_proof (LIKE {})").format(name))
        with _settled(connection):
            sha256 = _read_into(connection, copy, made.columns, draft)
        found = _content(connection, copy, made.columns)
    if found != made.content or sha256 != made.sha256:
        raise ArchiveMismatch(
            f"{draft} holds {found.rows} rows with digest {found.digest}, the table {made.content.rows} with "
            f"{made.content.digest}; nothing was dropped"
        )


def _read_into(connection: Connection, copy: sql.Identifier, columns: tuple[str, ...], draft: Path) -> str:
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(copy, sql.SQL(", ").join(map(sql.Identifier, columns)))
    digest = hashlib.sha256()
    with gzip.open(draft) as packed, connection.cursor() as cursor, cursor.copy(query) as rows:
        while chunk := packed.read(CHUNK):
            digest.update(chunk)
            rows.write(chunk)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with gzip.open(path) as packed:
        while chunk := packed.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _description(path: Path) -> Path:
    return path.with_suffix(".json")


def _describe(made: Archive) -> None:
    told = {"content": asdict(made.content), "sha256": made.sha256, "columns": made.columns}
    draft = _description(made.path).with_suffix(".json.draft")
    draft.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    draft.replace(_description(made.path))


@contextmanager
def _one_instant(connection: Connection) -> Generator[None]:
    """What is counted and what is written are the same rows."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        with _settled(connection):
            yield


@contextmanager
def _settled(connection: Connection) -> Generator[None]:
    """Values are written down the same way whoever asks, until the transaction ends."""
    with connection.transaction():
        for setting, value in SETTINGS.items():
            connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", [setting, value])
        yield
