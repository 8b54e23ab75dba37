import gzip
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from hansa.migrate import archive
from hansa.migrate.archive import ArchiveMismatch, ArchiveUnwritable
from hansa.migrate.errors import BadRequest
from hansa.migrate.partitions import (
    DefaultPartition,
    PartitionReferenced,
    Span,
    UnfitPolicy,
    ensure_partitions,
    partition_alarms,
    retire_partitions,
)

EVENTS = """
    CREATE TABLE events (
      id int, at timestamptz NOT NULL, what text COLLATE "C" DEFAULT 'none', double int GENERATED ALWAYS AS (id * 2) STORED,
      CONSTRAINT positive CHECK (id > 0), PRIMARY KEY (id, at)
    ) PARTITION BY RANGE (at);
    CREATE INDEX by_what ON events (what);
    ALTER TABLE events ENABLE ROW LEVEL SECURITY;
    ALTER TABLE events FORCE ROW LEVEL SECURITY;
"""
POLICY = "INSERT INTO mig.partition_policies (parent, step, ahead, keep) VALUES ('events', %s, %s, %s)"
NOW = datetime(2026, 3, 17, 15, 30, tzinfo=UTC)
SOME = "INSERT INTO events (id, at, what) SELECT n, %s::timestamptz + n * interval '1 s', E'w\\t' || n FROM generate_series(1, 50) AS n"


def names(bench):
    return [
        name
        for (name,) in bench.ask(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass ORDER BY 1"
        )
    ]


@pytest.fixture
def events(bench):
    bench.ask(EVENTS)
    return bench


@pytest.fixture
def aged(events):
    """Partitions from January on, with rows in the first two; what ended more than a month ago is over."""
    events.ask(POLICY, "1 month", 2, "1 month")
    ensure_partitions(events.connection, at=datetime(2026, 1, 5, tzinfo=UTC))
    ensure_partitions(events.connection, at=NOW)
    events.ask(SOME, "2026-01-30T12:00:00Z")
    return events


def test_partitions_are_made_ahead_and_only_once(events):
    events.ask(POLICY, "1 month", 2, None)

    made = ensure_partitions(events.connection, at=NOW)
    again = ensure_partitions(events.connection, at=NOW)
    later = ensure_partitions(events.connection, at=NOW + timedelta(days=31))

    assert made == ("public.events_p20260301", "public.events_p20260401", "public.events_p20260501")
    assert (again, later) == ((), ("public.events_p20260601",))
    events.ask(SOME, "2026-05-31T23:59:59Z")
    assert events.ask("SELECT tableoid::regclass::text, count(*) FROM events GROUP BY 1 ORDER BY 1") == [
        ("events_p20260601", 50)
    ]


def test_a_partition_is_like_any_other_of_its_table_but_for_who_may_touch_it_directly(events):
    events.ask("CREATE TABLE events_made PARTITION OF events FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z')")
    events.ask("ALTER TABLE events_made ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    events.ask(POLICY, "1 month", 1, None)

    ensure_partitions(events.connection, at=NOW)

    objects = events.world().catalog.objects
    described = [
        {key.replace(name, "X"): str(value).replace(name, "X") for key, value in objects.items() if name in key}
        for name in ("events_made", "events_p20260301")
    ]
    assert set(described[0]) == set(described[1])
    assert [key for key in described[0] if described[0][key] != described[1][key]] == ["table public.X"]


def test_neither_readers_nor_writers_wait_while_partitions_are_made(aged):
    aged.ask("SET timezone = 'Asia/Tokyo'")
    with psycopg.connect(aged.dsn) as other:
        other.execute("UPDATE events SET what = 'read' WHERE id = 1")

        made = ensure_partitions(aged.connection, at=NOW + timedelta(days=31))

        assert other.execute("SELECT count(*) FROM events").fetchone() == (50,)
    assert made == ("public.events_p20260601",)


@pytest.mark.parametrize(
    ("step", "at", "expected"),
    [
        ("1 week", NOW, ["events_p20260316", "events_p20260323"]),
        ("6 hours", NOW, ["events_p20260317t120000", "events_p20260317t180000"]),
        ("3 months", NOW, ["events_p20260101", "events_p20260401"]),
        ("1 year", datetime(2026, 12, 31, 23, tzinfo=UTC), ["events_p20260101", "events_p20270101"]),
    ],
)
def test_partitions_begin_at_round_times(events, step, at, expected):
    events.ask(POLICY, step, 1, None)

    ensure_partitions(events.connection, at=at)

    assert names(events) == expected


def test_after_a_change_of_step_only_gaps_are_filled(events):
    events.ask(POLICY, "10 days", 1, None)
    ensure_partitions(events.connection, at=NOW)
    events.ask("UPDATE mig.partition_policies SET step = '1 month'")

    ensure_partitions(events.connection, at=NOW)

    bounds = events.ask("""
        SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1
    """)
    days = [
        bound.replace(" 00:00:00+00", "")[17:].replace("') TO ('", " ").rstrip("')").lstrip("'") for (bound,) in bounds
    ]
    assert days == [
        "2026-03-01 2026-03-11",
        "2026-03-11 2026-03-21",
        "2026-03-21 2026-03-31",
        "2026-03-31 2026-04-01",
        "2026-04-01 2026-05-01",
    ]


def test_a_span_is_of_months_or_of_days():
    with pytest.raises(BadRequest):
        Span(months=1, rest=timedelta(days=1))
    with pytest.raises(BadRequest):
        Span(months=0, rest=timedelta())


def test_running_out_of_partitions_is_told_at_half_of_what_should_be_ahead(events):
    events.ask(POLICY, "1 day", 4, None)
    ensure_partitions(events.connection, at=NOW)

    quiet = partition_alarms(events.connection, at=NOW + timedelta(days=2))
    loud = partition_alarms(events.connection, at=NOW + timedelta(days=3))
    late = partition_alarms(events.connection, at=NOW + timedelta(days=30))

    assert quiet == ()
    assert [alarm.until for alarm in loud] == [datetime(2026, 3, 22, tzinfo=UTC)]
    assert loud[0].wanted_until == datetime(2026, 3, 25, tzinfo=UTC)
    assert "events has partitions until 2026-03-22 00:00 UTC" in loud[0].sentence
    assert len(late) == 1


def test_what_is_over_is_archived_with_its_digest_and_dropped(aged, tmp_path):
    retired = retire_partitions(aged.connection, at=NOW, archive_to=tmp_path / "old")
    again = retire_partitions(aged.connection, at=NOW, archive_to=tmp_path / "old")

    assert [(one.parent, one.partition, one.rows) for one in retired] == [("events", "public.events_p20260101", 50)]
    assert again == ()
    assert "events_p20260101" not in names(aged)
    assert aged.one("SELECT to_regclass('events_p20260101')") is None
    kept = retired[0].archive
    assert sorted(path.name for path in (tmp_path / "old").iterdir()) == [
        "public.events_p20260101.copy.gz",
        "public.events_p20260101.copy.json",
    ]
    assert gzip.decompress(kept.path.read_bytes()).count(b"\n") == 50
    told = json.loads(kept.path.with_suffix(".json").read_text())
    assert (told["sha256"], told["content"]["rows"], told["columns"]) == (kept.sha256, 50, ["id", "at", "what"])


def test_an_archive_brings_every_row_back(aged, tmp_path):
    before = aged.ask("SELECT id, at, what, double FROM events ORDER BY id")
    [retired] = retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)

    ensure_partitions(aged.connection, at=datetime(2026, 1, 5, tzinfo=UTC))
    with aged.connection.cursor() as cursor, cursor.copy("COPY events (id, at, what) FROM STDIN") as rows:
        rows.write(gzip.decompress(retired.archive.path.read_bytes()))

    assert aged.ask("SELECT id, at, what, double FROM events ORDER BY id") == before


@pytest.mark.parametrize("place", ["archive", "_detach", "_finish", "_drop"])
def test_what_an_interrupted_call_left_is_finished_by_the_next(aged, tmp_path, monkeypatch, place):
    def killed(*_arguments, **_rest):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"hansa.migrate.partitions.{place}", killed)
        with pytest.raises(KeyboardInterrupt):
            retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)
    retired = retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)

    assert [(one.partition, one.rows, one.archive.content.rows) for one in retired] == [
        ("public.events_p20260101", 50, 50)
    ]
    assert aged.one("SELECT to_regclass('events_p20260101')") is None


def test_a_row_written_between_archive_and_detaching_is_archived_as_well(aged, tmp_path, monkeypatch):
    def late(*arguments):
        aged.ask("INSERT INTO events (id, at) VALUES (777, '2026-01-02Z')")
        return detach(*arguments)

    from hansa.migrate import partitions

    detach = partitions._detach
    monkeypatch.setattr(partitions, "_detach", late)
    [retired] = retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)

    assert retired.rows == retired.archive.content.rows == 51
    assert b"\n777\t" in gzip.decompress(retired.archive.path.read_bytes())


def test_an_archive_that_does_not_hold_everything_stops_the_drop(aged, tmp_path, monkeypatch):
    write = archive._write
    monkeypatch.setattr(
        archive, "_write", lambda connection, name, columns, draft: _cut(draft, write(connection, name, columns, draft))
    )

    with pytest.raises(ArchiveMismatch, match=r"holds 49 rows .* the table 50"):
        retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)

    assert aged.one("SELECT count(*) FROM events") == 50


def _cut(draft, digest):
    lines = gzip.decompress(draft.read_bytes()).splitlines(keepends=True)
    draft.write_bytes(gzip.compress(b"".join(lines[1:])))
    return digest


def test_an_archive_that_cannot_be_written_stops_the_drop(aged, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ArchiveUnwritable):
        retire_partitions(aged.connection, at=NOW, archive_to=tmp_path / "file" / "folder")

    assert aged.one("SELECT count(*) FROM events") == 50


def test_rows_that_are_referenced_are_not_retired(aged, tmp_path):
    aged.ask("CREATE TABLE notes (id int, at timestamptz, CONSTRAINT of_event FOREIGN KEY (id, at) REFERENCES events)")
    aged.ask("INSERT INTO notes SELECT id, at FROM events WHERE id < 4")

    with pytest.raises(PartitionReferenced, match=r"3 rows of public\.notes still refer to it by of_event"):
        retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)
    aged.ask("DELETE FROM notes")
    [retired] = retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)

    assert retired.rows == 50


def test_without_an_archive_rows_are_only_dropped_where_the_policy_says_so(aged, tmp_path):
    aged.ask("UPDATE mig.partition_policies SET archive = false")

    [retired] = retire_partitions(aged.connection, at=NOW, archive_to=tmp_path)

    assert (retired.rows, retired.archive) == (50, None)
    assert list(tmp_path.iterdir()) == []


def test_a_month_is_kept_as_the_calendar_counts_it(aged, tmp_path):
    assert retire_partitions(aged.connection, at=datetime(2026, 2, 28, tzinfo=UTC), archive_to=tmp_path) == ()
    assert len(retire_partitions(aged.connection, at=datetime(2026, 3, 1, tzinfo=UTC), archive_to=tmp_path)) == 1


@pytest.mark.parametrize(
    ("there", "refusal"),
    [
        ("DROP TABLE events", UnfitPolicy),
        ("DROP TABLE events; CREATE TABLE events (at timestamptz)", UnfitPolicy),
        ("DROP TABLE events; CREATE TABLE events (at timestamp) PARTITION BY RANGE (at)", UnfitPolicy),
        ("DROP TABLE events; CREATE TABLE events (at timestamptz) PARTITION BY LIST (at)", UnfitPolicy),
        ("CREATE TABLE rest PARTITION OF events DEFAULT", DefaultPartition),
    ],
)
def test_a_policy_for_what_cannot_have_it_is_named(events, tmp_path, there, refusal):
    events.ask(POLICY, "1 month", 1, "1 month")
    events.ask(there)

    for command in (
        lambda: ensure_partitions(events.connection, at=NOW),
        lambda: partition_alarms(events.connection, at=NOW),
        lambda: retire_partitions(events.connection, at=NOW, archive_to=tmp_path),
    ):
        with pytest.raises(refusal, match="events"):
            command()


def test_partitions_are_not_made_inside_of_a_transaction(events):
    with events.connection.transaction(), pytest.raises(BadRequest):
        ensure_partitions(events.connection, at=NOW)
