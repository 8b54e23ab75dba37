"""The folder of the backups: what is in it, what is complete, and who may work in it at the same time.

    repository.json                        of which cluster, and the slot that keeps its log for us
    20261201T020000.123Z-full/             one backup: backup.json (written last) and data/
    20261201T080000.456Z-incremental/      what changed since the backup that backup.json calls its parent
    wal/<first segment>/                   the archived log, see `archive`
    failure.json                           why the last backup failed; gone after the next success

A backup is made in a folder whose name begins with a dot and renamed when it is complete and checked, so that
whatever is interrupted is never taken for a backup. Whoever writes next removes the remains.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from hansa.infra.backup.errors import (
    BackupDamaged,
    BackupDiskFull,
    BackupFolderClosed,
    BackupRunning,
    BackupUnknown,
    ChainBroken,
    FolderOfAnotherCluster,
)
from hansa.infra.embedded.folders import read_text, write_file

RECORD = "backup.json"
IDENTITY = "repository.json"
FAILURE = "failure.json"
UNFINISHED = ".unfinished-"
FULL = {errno.ENOSPC, errno.EDQUOT}

Stored = TypeVar("Stored")


class Kind(StrEnum):
    """How much a backup holds."""

    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A complete backup, as its record says."""

    id: str
    """Name of its folder: when it began, by the server's clock, and its kind."""
    kind: Kind
    parent: str | None
    """The backup that this one builds on; None for a full one."""
    system: str
    """Identifier of the cluster."""
    database: str
    embedded: bool
    """Taken from a server of ours, with our configuration and roles."""
    timeline: int
    segment_bytes: int
    start: int
    """Position in the log from which a restore has to replay."""
    end: int
    """Position up to which it has to replay at least."""
    started_at: datetime
    finished_at: datetime
    """By the server's clock. Earlier times cannot be restored from this backup."""
    bytes: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose backups these are."""

    system: str
    slot: str
    """The replication slot by which the server keeps its log until it is archived here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why the last backup was not completed."""

    at: datetime
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder of one cluster's backups."""

    folder: Path

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    def path_of(self, backup: Backup) -> Path:
        return self.folder / backup.id

    def data_of(self, backup: Backup) -> Path:
        return self.folder / backup.id / "data"

    def make(self) -> None:
        """Make the folder, for us alone: it holds everything that the database holds. Raises BackupFolderClosed."""
        with named(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.wal.mkdir(mode=0o700, exist_ok=True)

    def backups(self) -> list[Backup]:
        """All complete backups in the order in which they were taken.

        In the order of the log: a clock may be set back, the log only grows.
        """
        with named(self.folder):
            records = sorted(self.folder.glob(f"[!.]*/{RECORD}")) if self.folder.exists() else []
            found = [stored(Backup, record) for record in records]
        return sorted(found, key=lambda backup: (backup.timeline, backup.start))

    def backup(self, name: str) -> Backup:
        """A complete backup by its name. Raises BackupUnknown."""
        for backup in self.backups():
            if backup.id == name:
                return backup
        raise BackupUnknown(f"there is no complete backup {name} in {self.folder}")

    def unfinished(self) -> list[Path]:
        """What interrupted backups left behind, and those that are being made."""
        return sorted(self.folder.glob(f"{UNFINISHED}*"))

    def clean(self) -> None:
        """Remove what interrupted backups left behind; for whoever holds the lock."""
        for path in self.unfinished():
            shutil.rmtree(path)

    def identity(self) -> Identity | None:
        path = self.folder / IDENTITY
        return stored(Identity, path) if path.exists() else None

    def claim(self, system: str) -> Identity:
        """This folder for that cluster, now or since the first backup. Raises FolderOfAnotherCluster."""
        found = self.identity()
        if found is None:
            found = Identity(system=system, slot=f"hansa_backup_{os.urandom(4).hex()}")
            store(self.folder / IDENTITY, found)
        if found.system != system:
            raise FolderOfAnotherCluster(
                f"{self.folder} holds backups of the cluster {found.system}, and this is {system}; "
                "set HANSA_BACKUP_FOLDER to another folder"
            )
        return found

    def failure(self) -> Failure | None:
        path = self.folder / FAILURE
        return stored(Failure, path) if path.exists() else None

    def note_failure(self, failure: Failure | None) -> None:
        if failure is None:
            (self.folder / FAILURE).unlink(missing_ok=True)
        else:
            store(self.folder / FAILURE, failure)

    @contextmanager
    def lock(self, what: str, *, shared: bool = False, patience_s: float = 0) -> Generator[int]:
        """Hold a lock of this folder, which ends with the last process that has it. Raises BackupRunning.

        `backup` is for who takes one, `archive` for who fetches the log, `chains` is shared by who reads backups and
        taken alone by who removes some. Gives its descriptor, to be kept by programs that work for us.
        """
        with named(self.folder):
            descriptor = self._lock_file(what, shared=shared)
        try:
            _flock(descriptor, f"{what} in {self.folder}", shared=shared, patience_s=patience_s)
            if not shared:
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}".encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock_file(self, what: str, *, shared: bool) -> int:
        try:
            return os.open(self.folder / f"{what}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            if not shared:
                raise
            # Where nothing can be written nothing is removed either: a copy on a read-only disk can be restored.
            return os.open(self.folder, os.O_RDONLY)


def chain_of(backup: Backup, backups: Iterable[Backup]) -> tuple[Backup, ...]:
    """What has to be put together to restore a backup, the full one first. Raises ChainBroken."""
    by_name = {one.id: one for one in backups}
    chain = [backup]
    while (parent := chain[0].parent) is not None:
        if parent not in by_name:
            raise ChainBroken(f"{chain[0].id} builds on {parent}, which is missing", missing=parent)
        chain.insert(0, by_name[parent])
    return tuple(chain)


def stored(kind: type[Stored], path: Path) -> Stored:
    """Read a record. Raises BackupDamaged."""
    try:
        return TypeAdapter(kind).validate_json(read_text(path))
    except ValidationError as error:
        raise BackupDamaged(f"{path} was changed: it is no record of ours any more") from error


def store(path: Path, record: object) -> None:
    """Write a record in one step: a crash leaves the old one or the new one."""
    write_file(path, to_json(record, indent=2).decode() + "\n", uid=os.geteuid(), gid=os.getegid())


@contextmanager
def named(folder: Path) -> Generator[None]:
    """Turn the operating system's refusals about a folder into ours."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise BackupFolderClosed(f"{folder}: {error.strerror} ({error.filename})") from error
    except OSError as error:
        if error.errno in FULL:
            raise BackupDiskFull(f"{folder}: {error.strerror}") from error
        raise


def require_room(folder: Path, needed: int) -> None:
    """Refuse before anything is written what cannot fit anyway. Raises BackupDiskFull."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupDiskFull(f"{folder} has {free >> 20} MB left, and {needed >> 20} MB are needed")


def _flock(descriptor: int, what: str, *, shared: bool, patience_s: float) -> None:
    wanted = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, wanted)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace")
                raise BackupRunning(f"process {holder or 'unknown'} is busy with {what}") from None
            time.sleep(0.05)
        else:
            return
