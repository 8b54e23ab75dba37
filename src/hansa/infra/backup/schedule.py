"""When a backup is due: a full one every day, an incremental one every few hours counted from it, all in UTC.

The function is pure: whoever asks says what time it is and what there is. Hours in which nobody asked are made up for
by one backup, not by as many as were missed. A backup from the future was dated by a clock that was wrong, so it does
not count: one too many is better than none until that day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from hansa.infra.backup.repository import Backup, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """When backups are due."""

    full_at: time = time(2)
    """Of every day, in UTC."""
    incremental_every: timedelta = timedelta(hours=6)


def due(now: datetime, backups: Iterable[Backup], timetable: Timetable | None = None) -> Kind | None:
    """What is due at this moment; None: nothing. `now` is aware, in any zone."""
    timetable = timetable or Timetable()
    begun = [backup for backup in backups if backup.started_at <= now]
    full_due = last_full(now, timetable)
    if not any(backup.kind is Kind.FULL and backup.started_at >= full_due for backup in begun):
        return Kind.FULL
    slot = full_due + (now - full_due) // timetable.incremental_every * timetable.incremental_every
    return None if any(backup.started_at >= slot for backup in begun) else Kind.INCREMENTAL


def last_full(now: datetime, timetable: Timetable) -> datetime:
    """The last moment, now included, at which a full backup was due."""
    today = datetime.combine(now.astimezone(UTC).date(), timetable.full_at, tzinfo=UTC)
    return today if today <= now else today - timedelta(days=1)
