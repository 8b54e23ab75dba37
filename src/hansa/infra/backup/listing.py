"""What there is to restore from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hansa.infra.backup.archive import Archive, needed
from hansa.infra.backup.errors import ChainBroken, NotYetArchived, WalMissing
from hansa.infra.backup.repository import Backup, Failure, Repository, chain_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A complete backup, and whether it can be restored."""

    backup: Backup
    finding: str
    """What it lacks, by name; empty when everything is there. The contents are checked by a restore or a drill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All backups of a folder."""

    folder: str
    backups: tuple[Listed, ...]
    """In the order in which they were taken."""
    restorable_from: datetime | None
    """The first moment that can be restored; from then on every moment can, but for gaps in the log."""
    restorable_until: datetime | None
    """How far the archived log goes."""
    interrupted: tuple[str, ...]
    """Backups that are being made, or were interrupted; the next backup removes those."""
    failure: Failure | None
    """Why the last backup failed; None when it did not."""


def list_backups(repository: Repository) -> Listing:
    """What is in a folder of backups. Raises BackupDamaged when a record cannot be read."""
    backups = repository.backups()
    archive = Archive(repository)
    listed = tuple(Listed(backup=backup, finding=_finding(archive, backup, backups)) for backup in backups)
    sound = [one.backup for one in listed if not one.finding]
    mark = archive.last_mark()
    return Listing(
        folder=str(repository.folder),
        backups=listed,
        restorable_from=sound[0].finished_at if sound else None,
        restorable_until=mark.at if sound and mark else None,
        interrupted=tuple(path.name for path in repository.unfinished()),
        failure=repository.failure(),
    )


def _finding(archive: Archive, backup: Backup, backups: list[Backup]) -> str:
    try:
        chain_of(backup, backups)
        needed(archive.run_of(backup), backup, at=backup.finished_at)
    except (ChainBroken, WalMissing, NotYetArchived) as refusal:
        return refusal.detail
    return ""
