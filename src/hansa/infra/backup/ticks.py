"""What the worker does about backups: fetch the log every minute, and take a backup when one is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from hansa.infra.backup.archive import Archive
from hansa.infra.backup.errors import BackupRunning
from hansa.infra.backup.repository import Kind, Repository
from hansa.infra.backup.retention import prune
from hansa.infra.backup.schedule import Timetable, due
from hansa.infra.backup.settings import BackupSettings
from hansa.infra.backup.source import examine, source_if_up
from hansa.infra.backup.taking import Taken, take
from hansa.infra.log import logger
from hansa.infra.queue import tick
from hansa.infra.services import Services
from hansa.infra.settings import Settings

log = logger(__name__)

REST = timedelta(minutes=15)
"""After a failure, before the next try: what fails for lack of room must not keep the disk busy."""


@tick("backup.archive_wal", every_s=60)
def archive_wal(services: Services) -> bool:
    """Fetch the log, once there is a first backup that it belongs to; says whether it did."""
    return fetch(services.settings, BackupSettings())


@tick("backup.take_due", every_s=60)
def take_due(services: Services) -> Taken | None:
    """Take the backup that is due, where backups are automatic."""
    return keep_schedule(services.settings, BackupSettings())


def fetch(settings: Settings, backup: BackupSettings) -> bool:
    repository = Repository(backup.folder_of(settings))
    source = source_if_up(settings, backup) if repository.identity() else None
    if source is None:
        return False
    Archive(repository).catch_up(source, examine(source))
    return True


def keep_schedule(settings: Settings, backup: BackupSettings, *, now: datetime | None = None) -> Taken | None:
    """Take what is due and prune what has expired; None: nothing was due, or the last failure is too fresh.

    `now` is the server's time unless told otherwise: a clock of ours that is late would find its backups in the future.
    """
    source = source_if_up(settings, backup) if backup.runs_by_itself(settings) else None
    if source is None:
        return None
    repository = Repository(backup.folder_of(settings))
    timetable = Timetable(full_at=backup.full_at, incremental_every=timedelta(hours=backup.incremental_every_h))
    now = now or source.clock()
    failure = repository.failure()
    kind = wanted(repository, now, timetable, summarizes=examine(source).summarizes)
    if kind is None or (failure and now - failure.at < REST):
        return None
    taken = take(repository, source, kind, rate_mb_s_max=backup.rate_mb_s_max)
    log.info("backup taken", backup=taken.backup.id, bytes=taken.backup.bytes, took_s=round(taken.took_s, 1))
    try:
        pruned = prune(repository, keep_days=backup.keep_days, keep_full=backup.keep_full, now=now)
    except BackupRunning:
        return taken  # somebody restores; the next backup prunes
    if pruned.backups:
        log.info("backups pruned", backups=pruned.backups, bytes=pruned.bytes)
    return taken


def wanted(repository: Repository, now: datetime, timetable: Timetable, *, summarizes: bool) -> Kind | None:
    """What is due; and one out of turn where the log has a gap, for nothing after it can be restored until then."""
    backups = repository.backups()
    kind = due(now, backups, timetable)
    torn = bool(backups) and Archive(repository).is_torn_after(backups[-1])
    if kind is Kind.FULL or not (kind or torn):
        return kind
    if summarizes:
        return Kind.INCREMENTAL
    return Kind.FULL if torn else None  # that server gets its full backups only
