"""When a backup is due: a function of the time and of what there is."""

from datetime import UTC, datetime, time, timedelta, timezone
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.infra.backup import Backup, Kind, Timetable, due

FULL, INCREMENTAL = Kind.FULL, Kind.INCREMENTAL


def made(kind, at, *, parent=None, position=0):
    return Backup(
        id=f"{at:%Y%m%dT%H%M%S}-{kind}",
        kind=kind,
        parent=parent,
        system="1",
        database="hansa",
        embedded=True,
        timeline=1,
        segment_bytes=1 << 24,
        start=position or int(at.timestamp()),
        end=(position or int(at.timestamp())) + 1,
        started_at=at,
        finished_at=at + timedelta(minutes=5),
        bytes=1,
        files=1,
    )


def day(n, hour, minute=0, second=0):
    return datetime(2026, 12, n, hour, minute, second, tzinfo=UTC)


FULL_AT_2 = made(FULL, day(5, 2, 0, 30))


@pytest.mark.parametrize(
    ("now", "backups", "kind"),
    [
        (day(5, 15), [], FULL),
        (day(5, 1, 59), [made(FULL, day(4, 2)), made(INCREMENTAL, day(4, 20, 1))], None),
        (day(5, 2), [made(FULL, day(4, 2)), made(INCREMENTAL, day(4, 20, 1))], FULL),
        (day(5, 2, 1), [FULL_AT_2], None),
        (day(5, 7, 59, 59), [FULL_AT_2], None),
        (day(5, 8), [FULL_AT_2], INCREMENTAL),
        (day(5, 8, 1), [FULL_AT_2, made(INCREMENTAL, day(5, 8))], None),
        (day(5, 14), [FULL_AT_2, made(INCREMENTAL, day(5, 8))], INCREMENTAL),
        (day(6, 1, 59), [FULL_AT_2, made(INCREMENTAL, day(5, 20, 1))], None),
        (day(6, 2), [FULL_AT_2, made(INCREMENTAL, day(5, 20, 1))], FULL),
    ],
)
def test_a_day_of_backups(now, backups, kind):
    assert due(now, backups) is kind


def test_hours_that_were_missed_are_made_up_for_by_one_backup():
    backups = [FULL_AT_2]

    late = due(day(5, 21), backups)
    backups.append(made(late, day(5, 21)))

    assert late is INCREMENTAL
    assert due(day(5, 21, 1), backups) is None
    assert due(day(6, 1), backups) is None
    assert due(day(9, 12), backups) is FULL


def test_a_full_backup_by_hand_counts_for_its_slot_but_not_for_the_next_day():
    backups = [FULL_AT_2, made(FULL, day(5, 9))]

    assert due(day(5, 13), backups) is None
    assert due(day(5, 14), backups) is INCREMENTAL
    assert due(day(6, 2), backups) is FULL


def test_a_backup_from_the_future_was_dated_by_a_wrong_clock_and_does_not_count():
    assert due(day(5, 15), [made(FULL, day(31, 2))]) is FULL
    assert due(day(5, 8), [FULL_AT_2, made(INCREMENTAL, day(5, 8, 1))]) is INCREMENTAL


def test_a_clock_set_back_over_the_hour_asks_for_nothing_that_is_there():
    backups = [made(FULL, day(4, 2)), FULL_AT_2]

    assert due(day(5, 1, 50), [*backups, made(INCREMENTAL, day(4, 20))]) is None
    assert due(day(5, 2, 1), backups) is None


def test_the_hour_is_utc_wherever_the_clock_hangs_and_summer_time_changes_nothing():
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2027, 3, 28, 3, 59, tzinfo=berlin)  # the night in which the clock jumps from 2 to 3: 01:59 UTC
    yesterday = [
        made(FULL, datetime(2027, 3, 27, 2, tzinfo=UTC)),
        made(INCREMENTAL, datetime(2027, 3, 27, 20, tzinfo=UTC)),
    ]

    assert due(before, yesterday) is None
    assert due(before + timedelta(minutes=1), yesterday) is FULL
    assert due(day(5, 8).astimezone(timezone(timedelta(hours=-11))), [FULL_AT_2]) is INCREMENTAL


def test_another_timetable():
    rare = Timetable(full_at=time(23, 30), incremental_every=timedelta(hours=24))
    ask = partial(due, backups=[made(FULL, day(5, 23, 31))], timetable=rare)

    assert ask(day(6, 23, 29)) is None
    assert ask(day(6, 23, 30)) is FULL


@given(minutes=st.lists(st.integers(0, 7 * 24 * 60), min_size=1, max_size=60))
def test_whoever_asks_twice_is_told_once_and_no_day_is_without_a_full_backup(minutes):
    backups = []

    for minute in sorted(minutes):
        now = day(1, 0) + timedelta(minutes=minute)
        kind = due(now, backups)
        if kind:
            backups.append(made(kind, now))
        assert due(now, backups) is None

    slots = {(backup.started_at - timedelta(hours=2)).date() for backup in backups}
    asked = {(day(1, 0) + timedelta(minutes=minute, hours=-2)).date() for minute in minutes}
    fulls = [(backup.started_at - timedelta(hours=2)).date() for backup in backups if backup.kind is FULL]
    assert sorted(fulls) == sorted(asked) == sorted(slots)
