"""Taking a backup: copy, archive the log that belongs to it, check every file, and only then call it complete."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hansa.infra.backup.archive import Archive, needed
from hansa.infra.backup.errors import BackupFailed, ChainBroken, NothingToBuildOn, SummariesOff
from hansa.infra.backup.manifest import NAME, check
from hansa.infra.backup.programs import run
from hansa.infra.backup.progress import Progress, Report, unheard
from hansa.infra.backup.repository import RECORD, UNFINISHED, Backup, Failure, Kind, Repository, chain_of, named, store
from hansa.infra.backup.source import Cluster, Source, examine
from hansa.kernel.errors import Refusal

PATIENCE_S = 3.0
"""How long to wait for another backup to end; the programs of one that was killed need a moment to notice."""
_COPIED = re.compile(r"\s*(\d+)/(\d+) kB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A backup that was just completed."""

    backup: Backup
    took_s: float


def take(
    repository: Repository,
    source: Source,
    kind: Kind | None = None,
    *,
    rate_mb_s_max: int = 0,
    report: Report = unheard,
) -> Taken:
    """Take a backup; without a kind, an incremental one when there is something to build on.

    Raises BackupRunning, BackupNotPermitted and its siblings (`source.examine`), FolderOfAnotherCluster, SummariesOff,
    NothingToBuildOn, BackupFailed, BackupDiskFull, BackupDamaged. Why it failed stays on record for the list.
    """
    cluster = examine(source)
    repository.make()
    with repository.lock("backup", patience_s=PATIENCE_S) as held:
        repository.clean()
        repository.claim(cluster.system)
        try:
            taken = _take(repository, source, cluster, kind, held=held, rate_mb_s_max=rate_mb_s_max, report=report)
        except Refusal as refusal:
            repository.note_failure(Failure(at=datetime.now(UTC), code=refusal.code(), detail=refusal.detail))
            raise
        finally:
            repository.clean()
        repository.note_failure(None)
        return taken


def _take(
    repository: Repository,
    source: Source,
    cluster: Cluster,
    kind: Kind | None,
    *,
    held: int,
    rate_mb_s_max: int,
    report: Report,
) -> Taken:
    parent = _parent(repository, cluster, kind)
    archive = Archive(repository)
    report(Progress(step="archiving", done=0))
    began = archive.catch_up(source, cluster)  # the log is kept for us from before the copy begins
    chosen = Kind.INCREMENTAL if parent else Kind.FULL
    name = f"{began.at:%Y%m%dT%H%M%S}.{began.at.microsecond // 1000:03}Z-{chosen}"
    folder = repository.folder / f"{UNFINISHED}{name}"
    with named(repository.folder):
        folder.mkdir(mode=0o700)
    _copy(source, folder / "data", repository.data_of(parent) if parent else None, held, rate_mb_s_max, report)
    ended = archive.catch_up(source, cluster)
    manifest = check(folder / "data", report=report)
    backup = Backup(
        id=name,
        kind=chosen,
        parent=parent.id if parent else None,
        system=cluster.system,
        database=source.database,
        embedded=source.embedded,
        timeline=manifest.timeline,
        segment_bytes=cluster.segment_bytes,
        start=manifest.start,
        end=manifest.end,
        started_at=began.at,
        finished_at=ended.at,
        bytes=manifest.size,
        files=len(manifest.files),
    )
    needed(archive.run_of(backup), backup, at=None)  # without its log it could not be restored
    with named(repository.folder):
        store(folder / RECORD, backup)
        _settle(folder, repository.path_of(backup))
    return Taken(backup=backup, took_s=(ended.at - began.at).total_seconds())


def _parent(repository: Repository, cluster: Cluster, kind: Kind | None) -> Backup | None:
    """What to build on; None for a full backup. Raises NothingToBuildOn, SummariesOff, BackupDamaged."""
    if kind is Kind.FULL:
        return None
    backups = repository.backups()
    whole = [backup for backup in backups if backup.timeline <= cluster.timeline and _is_whole(backup, backups)]
    if kind is Kind.INCREMENTAL and not cluster.summarizes:
        raise SummariesOff
    if kind is Kind.INCREMENTAL and not whole:
        raise NothingToBuildOn
    return whole[-1] if whole and cluster.summarizes else None


def _is_whole(backup: Backup, backups: list[Backup]) -> bool:
    try:
        chain_of(backup, backups)
    except ChainBroken:
        return False
    return True


def _copy(source: Source, data: Path, parent: Path | None, held: int, rate_mb_s_max: int, report: Report) -> None:
    arguments: list[str | Path] = ["--pgdata", data, "--wal-method=none", "--checkpoint=fast", "--progress"]
    arguments += ["--manifest-checksums=SHA256"]
    arguments += [f"--incremental={parent / NAME}"] if parent else []
    arguments += [f"--max-rate={rate_mb_s_max}M"] if rate_mb_s_max else []
    hear = _listener(report)
    run("pg_basebackup", arguments, refusal=BackupFailed, login=source.login, hear=hear, held=[held])


def _listener(report: Report) -> Callable[[str], None]:
    """Reads the progress that pg_basebackup writes: an incremental backup ends below its total."""

    def hear(line: str) -> None:
        found = _COPIED.match(line)
        if found:
            report(Progress(step="copying", done=int(found[1]) << 10, total=int(found[2]) << 10))

    return hear


def _settle(unfinished: Path, final: Path) -> None:
    """Give the folder its name, on disk before anybody hears of it."""
    unfinished.rename(final)
    for folder in (final, final.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def remove(repository: Repository, backup: Backup) -> None:
    """Remove a backup; interrupted half-way, what is left is no backup any more."""
    doomed = repository.folder / f"{UNFINISHED}{backup.id}"
    repository.path_of(backup).rename(doomed)
    shutil.rmtree(doomed)
