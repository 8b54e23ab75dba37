"""What may be pruned: never what somebody builds on, never what the kept days need."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.infra import backup
from hansa.infra.backup import Archive, Backup, Kind, expired
from hansa.infra.backup.errors import BackupRunning

NOW = datetime(2026, 12, 31, 12, tzinfo=UTC)


def chains(sizes, *, hours=6):
    """Backups every few hours up to now: a full one and so many incremental ones for each size."""
    found, parent = [], None
    at = NOW - timedelta(hours=hours * sum(size + 1 for size in sizes))
    for size in sizes:
        for n in range(size + 1):
            kind = Kind.INCREMENTAL if n else Kind.FULL
            parent = made(kind, at, parent.id if n else None)
            found.append(parent)
            at += timedelta(hours=hours)
    return found


def made(kind, at, parent):
    position = int(at.timestamp())
    return Backup(
        id=f"{at:%Y%m%dT%H%M%S}-{kind}",
        kind=kind,
        parent=parent,
        system="1",
        database="hansa",
        embedded=True,
        timeline=1,
        segment_bytes=1 << 24,
        start=position,
        end=position + 1,
        started_at=at,
        finished_at=at + timedelta(minutes=1),
        bytes=1,
        files=1,
    )


def test_ten_days_of_backups_shrink_to_the_kept_week():
    ten_days = chains([3] * 10)

    doomed = expired(ten_days, NOW, keep_days=7, keep_full=2)

    kept = [one for one in ten_days if one not in doomed]
    assert len(doomed) == 8
    assert kept[0].kind is Kind.FULL
    assert kept[0].finished_at <= NOW - timedelta(days=7) < kept[4].finished_at


def test_an_incremental_backup_goes_before_what_it_builds_on():
    doomed = expired(chains([3] * 10), NOW, keep_days=7, keep_full=2)

    parents = {one.parent for one in doomed}
    for index, one in enumerate(doomed):
        assert one.id not in parents or any(child.parent == one.id for child in doomed[:index])


def test_the_newest_full_backups_stay_however_old_they_are():
    ancient = chains([1, 1, 1])

    doomed = expired(ancient, NOW + timedelta(days=999), keep_days=1, keep_full=2)

    assert doomed == [ancient[1], ancient[0]]
    assert expired(ancient, NOW + timedelta(days=999), keep_days=1, keep_full=9) == []
    assert expired([], NOW, keep_days=1, keep_full=1) == []


def test_what_lacks_its_base_goes_once_it_is_old():
    whole = chains([2, 2])
    torn = whole[1:]  # the first full one is gone

    assert expired(torn, NOW, keep_days=7, keep_full=1) == []
    assert expired(torn, NOW + timedelta(days=8), keep_days=7, keep_full=1) == [torn[1], torn[0]]


@given(
    sizes=st.lists(st.integers(0, 5), max_size=12),
    hours=st.integers(1, 30),
    keep_days=st.integers(1, 10),
    keep_full=st.integers(1, 4),
    later=st.integers(0, 500),
)
def test_every_moment_of_the_kept_days_can_still_be_restored(sizes, hours, keep_days, keep_full, later):
    backups, now = chains(sizes, hours=hours), NOW + timedelta(hours=later)

    kept = [one for one in backups if one not in expired(backups, now, keep_days=keep_days, keep_full=keep_full)]

    ids = {one.id for one in kept}
    assert all(one.parent is None or one.parent in ids for one in kept)
    assert sum(one.kind is Kind.FULL for one in kept) >= min(keep_full, len(sizes))
    horizon = now - timedelta(days=keep_days)
    reachable_before = any(one.finished_at <= horizon for one in backups)
    assert any(one.finished_at <= horizon for one in kept) == reachable_before
    assert [one for one in backups if one.finished_at > horizon] == [one for one in kept if one.finished_at > horizon]


def test_pruning_removes_a_chain_with_its_log_and_the_rest_is_still_restorable(copied, source, history):
    newest = backup.take(copied, source, Kind.FULL).backup
    much_later = datetime.now(UTC) + timedelta(days=30)

    wished = backup.prune(copied, keep_days=7, keep_full=1, now=much_later, dry_run=True)
    untouched = backup.list_backups(copied)
    pruned = backup.prune(copied, keep_days=7, keep_full=1, now=much_later)
    left = backup.list_backups(copied)

    assert len(untouched.backups) == 4
    assert wished == pruned
    assert pruned.backups == (history.second.id, history.first.id, history.full.id)
    assert pruned.segments > 0
    assert [(one.backup, one.finding) for one in left.backups] == [(newest, "")]
    oldest = min(Archive(copied).runs()[0].segments())
    assert int(oldest[16:], 16) == newest.start >> 24


def test_nothing_is_pruned_while_somebody_restores(copied, monkeypatch):
    monkeypatch.setattr("hansa.infra.backup.retention.PATIENCE_S", 0.0)

    with copied.lock("chains", shared=True), pytest.raises(BackupRunning):
        backup.prune(copied, keep_days=1, keep_full=1, now=NOW)
