"""A logical copy of the database and its audit trail, encrypted: for another version of PostgreSQL, or for the archive.

Both files show the same moment: `pg_dump` and the export read one snapshot.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psycopg

from hansa.infra.backup.errors import DumpFailed, DumpNotPermitted, TargetNotSupported
from hansa.infra.backup.programs import failure, start
from hansa.infra.backup.progress import Progress, Report, unheard
from hansa.infra.backup.repository import UNFINISHED, named
from hansa.infra.backup.sealed_files import open_file, seal_file
from hansa.infra.backup.source import Source
from hansa.infra.db import SYSTEM, Tx, register_adapters
from hansa.infra.seal import KeyRing

Export = Callable[[Tx], Iterable[bytes]]
"""The lines of an export, without their ends, read in the transaction that it is given."""

_PIECE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """The two files of a dump."""

    dump: Path
    """`pg_dump -Fc`, sealed."""
    audit: Path
    """One JSON document a line, sealed."""
    at: datetime
    """The moment that both show."""
    key_id: str
    """The key of the ring that opens them."""
    dump_bytes: int
    """Before sealing."""
    audit_rows: int


def dump_folder(target: str) -> Path:
    """The folder that a target names. Raises TargetNotSupported for addresses of other kinds."""
    scheme, found, _ = target.partition("://")
    if found:
        raise TargetNotSupported(f"{scheme}:// is not a target; dump into a folder and copy it on from there")
    return Path(target).absolute()


def dump(source: Source, folder: Path, ring: KeyRing, export: Export, *, report: Report = unheard) -> Dumped:
    """Write a sealed dump and a sealed export of one moment; both are read back before they get their names.

    Raises TlsNotSpoken, ServerOfAnotherVersion, DumpNotPermitted, DumpFailed, BackupDiskFull, KeyMissing.
    """
    with named(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _one_moment(source) as (tx, snapshot):
        stem = f"{tx.at:%Y%m%dT%H%M%SZ}-{source.database}"
        with _finished(folder / f"{stem}.dump.sealed") as file:
            size = seal_file(ring, _pg_dump(source, snapshot, report), file)
            _require_a_dump(file, ring)
        rows = list[int]()
        with _finished(folder / f"{stem}.audit.jsonl.sealed") as file:
            seal_file(ring, _lines(export(tx), rows), file)
            _require_whole(file, ring)
    return Dumped(
        dump=folder / f"{stem}.dump.sealed",
        audit=folder / f"{stem}.audit.jsonl.sealed",
        at=tx.at,
        key_id=ring.current_key_id(),
        dump_bytes=size,
        audit_rows=len(rows),
    )


def open_dump(sealed: Path, to: Path, ring: KeyRing) -> int:
    """Decrypt a file of a dump into a new file that only we can read; returns its size.

    The new file has its name only when the old one was whole. Raises SealBroken, KeyMissing, TargetNotSupported.
    """
    if to.exists():
        raise TargetNotSupported(f"{to} exists; nothing is overwritten")
    with named(to), sealed.open("rb") as file, _finished(to) as plain:
        return sum(plain.write(chunk) for chunk in open_file(ring, file))


@contextmanager
def _one_moment(source: Source) -> Generator[tuple[Tx, str]]:
    """A transaction that sees one moment, and the name by which others see the same."""
    with source.connect_plainly() as connection:
        register_adapters(connection.adapters)
        _require_sight(connection)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot(), transaction_timestamp()").fetchone()
        assert row is not None, "a SELECT without FROM gives one row"
        yield Tx(connection, SYSTEM, row[1].astimezone(UTC)), str(row[0])
        connection.execute("ROLLBACK")


def _require_sight(connection: psycopg.Connection[tuple[Any, ...]]) -> None:  # Any: rows of every kind
    row = connection.execute(
        "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user"
    ).fetchone()
    assert row is not None, "a session has a role"
    if not row[1]:
        raise DumpNotPermitted(
            f"row level security would hide rows from {row[0]}: `ALTER ROLE {row[0]} BYPASSRLS`, or set "
            "HANSA_BACKUP_DATABASE_URL to a login that sees everything",
            role=row[0],
        )


@contextmanager
def _finished(path: Path) -> Generator[IO[bytes]]:
    """A file that gets its name, on disk, when the block ends well, and is gone when it does not."""
    fresh = path.with_name(f"{UNFINISHED}{path.name}")
    fresh.unlink(missing_ok=True)
    try:
        with named(path), os.fdopen(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _pg_dump(source: Source, snapshot: str, report: Report) -> Iterator[bytes]:
    arguments = ["--format=custom", f"--snapshot={snapshot}"]
    with start("pg_dump", arguments, login=source.login, giving=subprocess.PIPE) as process:
        assert process.stdout is not None, "pipes were asked for"
        assert process.stderr is not None, "pipes were asked for"
        done = 0
        try:
            while piece := process.stdout.read(_PIECE_BYTES):
                done += len(piece)
                report(Progress(step="dumping", done=done))
                yield piece
            said = process.stderr.read().decode(errors="replace").splitlines()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise failure("pg_dump", said, DumpFailed)


def _lines(lines: Iterable[bytes], counted: list[int]) -> Iterator[bytes]:
    for line in lines:
        counted.append(len(line))
        yield line + b"\n"


def _require_whole(file: IO[bytes], ring: KeyRing) -> None:
    file.seek(0)
    for _ in open_file(ring, file):
        pass
    file.seek(0, os.SEEK_END)


def _require_a_dump(file: IO[bytes], ring: KeyRing) -> None:
    """Read it all back, and let pg_restore read its table of contents. Raises SealBroken, DumpFailed."""
    file.seek(0)
    with start("pg_restore", ["--list"], taking=subprocess.PIPE) as process:
        assert process.stdin is not None, "pipes were asked for"
        assert process.stderr is not None, "pipes were asked for"
        listening = True
        for chunk in open_file(ring, file):
            if listening:
                listening = _written(process.stdin, chunk)
        with suppress(BrokenPipeError):
            process.stdin.close()
        said = process.stderr.read().decode(errors="replace").splitlines()
    if process.returncode != 0:
        raise failure("pg_restore", said, DumpFailed)
    file.seek(0, os.SEEK_END)


def _written(pipe: IO[bytes], chunk: bytes) -> bool:
    """Whether the other end still reads: it stops when it has seen the table of contents."""
    try:
        pipe.write(chunk)
        pipe.flush()
    except BrokenPipeError:
        return False
    return True
