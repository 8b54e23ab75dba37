"""The archived log: everything the server wrote between two moments, so that every moment between them can be restored.

    wal/000000010000000000000003/       a run: log without a gap, named for its first segment
        000000010000000000000003.gz     a complete segment; gzip's checksum finds what changed it
        000000010000000000000004.gz.partial   the segment that is being written
        000000010000000000000004.gz.previous  the same as fetched the time before, while it is fetched again
        marks                           lines of position and time: so far the archive goes

The server keeps its log for us in a replication slot until it is fetched here. Fetching is a short-lived program that
goes up to the present and ends; nothing has to run in between, and nothing is lost when it does not run. A server that
had to give the slot up (`max_slot_wal_keep_size`) leaves a gap: then a new run begins, and only the times in between
cannot be restored.
"""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from hansa.infra.backup.errors import BackupDamaged, BackupFailed, NotYetArchived, WalMissing
from hansa.infra.backup.lsn import SEGMENT, lsn, lsn_text, segment_name, segment_number, timeline_of
from hansa.infra.backup.programs import run
from hansa.infra.backup.repository import Backup, Repository
from hansa.infra.backup.source import Cluster, Source
from hansa.infra.embedded.folders import write_file

MARKS = "marks"
_PATIENCE_S = 120.0
_COMPLETE, _PARTIAL, _PREVIOUS = ".gz", ".gz.partial", ".gz.previous"
_GONE = "has already been removed"
"""How a server says that it no longer has a piece of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment up to which the archive is complete."""

    position: int
    at: datetime
    """By the server's clock: everything committed by then lies before the position."""


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of the log without a gap."""

    folder: Path

    def marks(self) -> list[Mark]:
        """Oldest first."""
        path = self.folder / MARKS
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        parts = [line.split(" ", 1) for line in lines]
        return [Mark(position=lsn(position), at=datetime.fromisoformat(at)) for position, at in parts]

    def keep_marks(self, marks: Iterable[Mark]) -> None:
        text = "".join(f"{lsn_text(mark.position)} {mark.at.isoformat()}\n" for mark in marks)
        owner = self.folder.stat()
        write_file(self.folder / MARKS, text, uid=owner.st_uid, gid=owner.st_gid)

    def segments(self) -> dict[str, Path]:
        """Name of each segment -> its best copy."""
        found: dict[str, Path] = {}
        for suffix in (_PREVIOUS, _PARTIAL, _COMPLETE):
            for path in self.folder.glob(f"*{suffix}"):
                name = path.name.removesuffix(suffix)
                torn = suffix == _PARTIAL and name in found and not _whole(path)
                if SEGMENT.fullmatch(name) and not torn:
                    found[name] = path
        return found

    def histories(self) -> list[Path]:
        """Where timelines branched off."""
        return [*self.folder.glob("*.history.gz"), *self.folder.glob("*.history")]

    def covers(self, backup: Backup) -> bool:
        """Whether a restore of this backup finds here what it has to replay."""
        first = backup.start // backup.segment_bytes
        return any(
            segment_number(name, backup.segment_bytes) == first and timeline_of(name) >= backup.timeline
            for name in self.segments()
        )


@dataclass(frozen=True, slots=True)
class Archive:
    """The archived log of one cluster."""

    repository: Repository

    def runs(self) -> list[Run]:
        """Oldest first."""
        folder = self.repository.wal
        return [Run(path) for path in sorted(folder.iterdir())] if folder.exists() else []

    def last_mark(self) -> Mark | None:
        """How far the archive goes."""
        runs = self.runs()
        marks = runs[-1].marks() if runs else []
        return marks[-1] if marks else None

    def is_torn_after(self, backup: Backup) -> bool:
        """Whether log was lost since this backup, so that what follows cannot be restored without another one."""
        runs = self.runs()
        return bool(runs) and not runs[-1].covers(backup)

    def run_of(self, backup: Backup) -> Run:
        """The piece of the log that a restore of this backup replays. Raises WalMissing."""
        for run_ in reversed(self.runs()):
            if run_.covers(backup):
                return run_
        number = backup.start // backup.segment_bytes
        name = segment_name(backup.timeline, number, backup.segment_bytes)
        raise WalMissing(f"{backup.id} needs the log from segment {name} on, which is not in the archive", missing=name)

    def catch_up(self, source: Source, cluster: Cluster) -> Mark:
        """Fetch the log up to now. Raises BackupRunning, BackupFailed, FolderOfAnotherCluster."""
        identity = self.repository.claim(cluster.system)
        with self.repository.lock("archive", patience_s=_PATIENCE_S) as held:
            try:
                return self._fetch(source, cluster, identity.slot, held)
            except BackupFailed as refused:
                if _GONE not in refused.detail:
                    raise
                _drop_slot(source, identity.slot)
                return self._fetch(source, cluster, identity.slot, held)

    def _fetch(self, source: Source, cluster: Cluster, slot: str, held: int) -> Mark:
        with source.connect() as connection:
            kept_from = _slot_position(connection, slot)
            run_ = self._run_from(kept_from, connection, cluster, slot)
            mark = _mark(connection)
        _set_aside(run_)
        arguments = ["--slot", slot, "--endpos", lsn_text(mark.position - 1), "--compress", "gzip:1", "--no-loop"]
        run(
            "pg_receivewal",
            ["--directory", run_.folder, *arguments],
            refusal=BackupFailed,
            login=source.login,
            held=[held],
        )
        for previous in run_.folder.glob(f"*{_PREVIOUS}"):
            previous.unlink()
        run_.keep_marks([*run_.marks(), mark])
        return mark

    def _run_from(
        self,
        kept_from: int | None,
        connection: psycopg.Connection[tuple[Any, ...]],  # Any: rows of every kind
        cluster: Cluster,
        slot: str,
    ) -> Run:
        """The run to go on with, or a new one when the server no longer has what follows."""
        runs = self.runs()
        if kept_from is not None and runs:
            return runs[-1]
        position = _create_slot(connection, slot) if kept_from is None else kept_from
        number = position // cluster.segment_bytes
        folder = self.repository.wal / segment_name(cluster.timeline, number, cluster.segment_bytes)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Run(folder)


def needed(run_: Run, backup: Backup, *, at: datetime | None) -> tuple[Mark, dict[str, Path]]:
    """The segments that bring a backup to the moment `at`, or to the end, and up to where they go.

    Raises NotYetArchived, WalMissing.
    """
    marks = [mark for mark in run_.marks() if mark.position >= backup.end and (at is None or mark.at >= at)]
    if not marks:
        known = run_.marks()
        end = f"{known[-1].at:%Y-%m-%d %H:%M:%S.%f}Z" if known else "nowhere"
        raise NotYetArchived(f"the log that follows {backup.id} is archived up to {end}", archived_until=end)
    mark = marks[-1] if at is None else marks[0]
    size = backup.segment_bytes
    wanted = range(backup.start // size, (mark.position - 1) // size + 1)
    found = {
        name: path
        for name, path in run_.segments().items()
        if segment_number(name, size) in wanted and timeline_of(name) >= backup.timeline
    }
    there = {segment_number(name, size) for name in found}
    for number in wanted:
        if number not in there:
            name = segment_name(backup.timeline, number, size)
            raise WalMissing(f"segment {name} of the log is not in {run_.folder}", missing=name)
    return mark, found


def unpack(segment: Path, target: Path, size: int) -> None:
    """Write an archived segment as the server reads it: of full size, zeros where nothing was written yet.

    Raises BackupDamaged.
    """
    try:
        with gzip.open(segment) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
            file.truncate(size)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise BackupDamaged(f"{segment} was changed: {error}", findings=[str(segment)]) from error


def _whole(packed: Path) -> bool:
    """Whether a file that was being written when its writer died has its end."""
    try:
        with gzip.open(packed) as file:
            while file.read(1 << 20):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return True


def _set_aside(run_: Run) -> None:
    """Keep the unfinished segment: it is fetched anew from its beginning, and that may be interrupted."""
    for partial in run_.folder.glob(f"*{_PARTIAL}"):
        previous = partial.with_name(partial.name.removesuffix(_PARTIAL) + _PREVIOUS)
        if previous.exists() and not _whole(partial):
            partial.unlink()  # torn when the last fetch was interrupted; the one before it is still there
        else:
            partial.replace(previous)


def _slot_position(connection: psycopg.Connection[tuple[Any, ...]], slot: str) -> int | None:  # Any: rows vary
    """From where the server still has its log for us; None: it has nothing."""
    row = connection.execute(
        "SELECT restart_lsn::text, wal_status FROM pg_replication_slots WHERE slot_name = %s", [slot]
    ).fetchone()
    if row is None:
        return None
    if row[1] == "lost" or row[0] is None:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        return None
    return lsn(row[0])


def _create_slot(connection: psycopg.Connection[tuple[Any, ...]], slot: str) -> int:  # Any: rows of every kind
    row = connection.execute(
        "SELECT lsn::text FROM pg_create_physical_replication_slot(%s, immediately_reserve => true)", [slot]
    ).fetchone()
    assert row is not None, "the function gives one row"
    return lsn(row[0])


def _drop_slot(source: Source, slot: str) -> None:
    with source.connect() as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [slot]
        )


def _mark(connection: psycopg.Connection[tuple[Any, ...]]) -> Mark:  # Any: rows of every kind
    """A moment, and a position in the log after everything that was committed by then.

    A commit of our own in between: it waits until everything before it is on disk, and a restore to any moment up to
    the mark meets a later commit, by which PostgreSQL knows that it has arrived.
    """
    at = _value(connection.execute("SELECT clock_timestamp()"))
    connection.execute("SET synchronous_commit = on")
    connection.execute("SELECT pg_logical_emit_message(true, 'hansa.backup', 'mark')")
    position = _value(connection.execute("SELECT pg_current_wal_flush_lsn()::text"))
    return Mark(position=lsn(position), at=at.astimezone(UTC))


def _value(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Any:  # Any: a column
    row = cursor.fetchone()
    assert row is not None, "a SELECT without FROM gives one row"
    return row[0]
