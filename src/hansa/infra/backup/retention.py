"""Which backups may go: those that no moment of the kept days needs, and never one that another builds on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hansa.infra.backup.archive import Archive
from hansa.infra.backup.errors import ChainBroken
from hansa.infra.backup.lsn import SEGMENT, segment_number, timeline_of
from hansa.infra.backup.repository import Backup, Repository, chain_of
from hansa.infra.backup.taking import PATIENCE_S, remove


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed, or would be."""

    backups: tuple[str, ...]
    segments: int
    """Files of the archived log that no kept backup needs."""
    bytes: int
    kept: tuple[str, ...]


def expired(backups: Sequence[Backup], now: datetime, *, keep_days: int, keep_full: int) -> list[Backup]:
    """The backups that serve no moment of the last `keep_days` days, in the order in which they may be removed.

    To go back to a moment takes a backup that was complete before it, so the chain that was current when the kept
    days begin is kept as well. The newest `keep_full` full backups stay with all that builds on them, however old.
    An incremental backup goes before the one that it builds on: an interruption leaves nothing that lacks its base.
    """
    horizon = now - timedelta(days=keep_days)
    chains, orphans = _by_full(backups)
    roots = list(chains)
    current = max((index for index, root in enumerate(roots) if root.finished_at <= horizon), default=0)
    doomed = roots[: max(min(current, len(roots) - keep_full), 0)]
    old_orphans = [orphan for orphan in orphans if orphan.finished_at <= horizon]
    return [*reversed(old_orphans), *(backup for root in doomed for backup in reversed(chains[root]))]


def prune(repository: Repository, *, keep_days: int, keep_full: int, now: datetime, dry_run: bool = False) -> Pruned:
    """Remove what is expired, and the log that only it needed. Raises BackupRunning while backups are read or taken."""
    if not repository.folder.exists():
        return Pruned(backups=(), segments=0, bytes=0, kept=())
    with (
        repository.lock("backup", patience_s=PATIENCE_S),
        repository.lock("chains", patience_s=PATIENCE_S),
        repository.lock("archive", patience_s=PATIENCE_S),
    ):
        backups = repository.backups()
        doomed = expired(backups, now.astimezone(UTC), keep_days=keep_days, keep_full=keep_full)
        kept = [backup for backup in backups if backup not in doomed]
        files = list(_unneeded(Archive(repository), kept[0])) if kept else []
        freed = sum(backup.bytes for backup in doomed) + sum(file.stat().st_size for file in files)
        if not dry_run:
            for backup in doomed:
                remove(repository, backup)
            for file in files:
                file.unlink()
            if kept:
                _shorten_runs(Archive(repository), kept[0])
    return Pruned(
        backups=tuple(backup.id for backup in doomed),
        segments=len(files),
        bytes=freed,
        kept=tuple(backup.id for backup in kept),
    )


def _by_full(backups: Sequence[Backup]) -> tuple[dict[Backup, list[Backup]], list[Backup]]:
    """Each full backup with all that builds on it, oldest first; and those whose full backup is missing."""
    chains: dict[Backup, list[Backup]] = {}
    orphans: list[Backup] = []
    for backup in backups:
        try:
            chains.setdefault(chain_of(backup, backups)[0], []).append(backup)
        except ChainBroken:
            orphans.append(backup)
    return chains, orphans


def _unneeded(archive: Archive, oldest: Backup) -> Iterator[Path]:
    """Segments from before the oldest backup that is kept."""
    first = oldest.start // oldest.segment_bytes
    for run in archive.runs():
        for path in run.folder.glob("*.gz*"):
            name = path.name.partition(".")[0]
            if not SEGMENT.fullmatch(name) or timeline_of(name) > oldest.timeline:
                continue
            if segment_number(name, oldest.segment_bytes) < first:
                yield path


def _shorten_runs(archive: Archive, oldest: Backup) -> None:
    """Forget moments that can no longer be restored, and runs of which nothing is left but the one that goes on."""
    *ended, current = archive.runs()
    for run in ended:
        if not run.segments():
            for path in run.folder.iterdir():
                path.unlink()
            run.folder.rmdir()
    current.keep_marks([mark for mark in current.marks() if mark.position >= oldest.start])
