import pytest

from hansa.migrate.rehearsal import rehearse
from hansa.migrate.rehearsal.forecast import forecast
from hansa.migrate.rehearsal.lock_modes import Blocks, LockMode
from hansa.migrate.rehearsal.traced import Blocking
from hansa.migrate.rehearsal.traffic import Rate, Traffic, TrafficSource, rates, statement_counts

B = "20260102T000000_b"


def locks(statement):
    return {(lock.relation, lock.mode) for lock in statement.locks}


def test_locks_rewrites_rows_and_log_of_each_statement_are_measured(live, folder):
    folder.revision(
        B,
        up="""
            CREATE INDEX people_by_status ON people (status);
            ALTER TABLE people ADD plain timestamptz DEFAULT now();
            ALTER TABLE people ADD token uuid DEFAULT gen_random_uuid();
            UPDATE people SET status = 'idle' WHERE id <= 100;
            CREATE TABLE fresh AS SELECT * FROM people;
            DO $$ BEGIN UPDATE fresh SET status = 'x'; DELETE FROM people WHERE id = 500; END $$;
        """,
        down="SELECT 1;",
    )

    certificate = rehearse(live, folder.path)

    index, plain, volatile, update, create, block = certificate.statements
    assert locks(index) == {("public.people", LockMode.SHARE)}
    assert (index.rewritten, plain.rewritten) == ((), ())
    assert ("public.people", LockMode.ACCESS_EXCLUSIVE) in locks(plain)
    assert volatile.rewritten == ("public.people", "public.people_by_name", "public.people_pkey")
    assert volatile.wal_bytes > 500 * 16 > plain.wal_bytes
    assert volatile.disk_bytes > 0
    assert (update.rows, update.line, update.number) == (100, 5, 4)
    assert locks(create) == set()
    by_block = {(one.line, one.blocks): one for one in certificate.outages}
    assert by_block[2, Blocks.WRITES].table == "public.people"
    assert by_block[2, Blocks.WRITES].held_ms > by_block[3, Blocks.ALL].held_ms
    assert by_block[5, Blocks.SAME_ROWS].rows == 100
    assert by_block[7, Blocks.SAME_ROWS].rows == 1
    assert {one.table for one in certificate.outages} == {"public.people"}
    assert f"{B}/up.sql, line 4 rewrites public.people" in " ".join(certificate.sentences)
    assert not block.rewritten


def test_a_lock_is_held_until_the_commit_and_looking_is_not_counted(live, folder):
    folder.revision(B, up="ALTER TABLE people ADD a int;\nSELECT pg_sleep(0.2);", down="ALTER TABLE people DROP a;")

    certificate = rehearse(live, folder.path)

    alter, sleep = certificate.statements
    (outage,) = certificate.outages
    assert alter.duration_ms < 150 < 200 <= sleep.duration_ms
    assert 200 <= outage.held_ms <= alter.duration_ms + sleep.duration_ms + 100
    assert outage.sentence.startswith("ACCESS EXCLUSIVE on public.people blocks reads and writes for 2")


def test_locks_of_a_statement_on_its_own_are_seen_from_beside_it(live, folder):
    folder.revision(
        B,
        meta="transactional = false",
        up="""
            DO $$ BEGIN LOCK TABLE people IN EXCLUSIVE MODE; PERFORM pg_sleep(0.1); END $$;
            CREATE INDEX CONCURRENTLY by_visits ON people (visits);
            UPDATE people SET status = status || pg_sleep(0.05) WHERE id = 1;
        """,
        down="DROP INDEX by_visits; UPDATE people SET status = 'Active' WHERE id = 1;",
    )

    certificate = rehearse(live, folder.path)

    assert certificate.ok, certificate.sentences
    by_line = {(one.line, one.mode): one for one in certificate.outages}
    exclusive = by_line[2, LockMode.EXCLUSIVE]
    assert (exclusive.blocks, exclusive.held_ms >= 90) == (Blocks.WRITES, True)
    assert by_line[4, LockMode.ROW_EXCLUSIVE].rows == 1
    assert all(one.line != 3 for one in certificate.outages)


def test_the_forecast_is_time_held_times_statements_that_would_wait():
    blocking = Blocking(
        table="public.blockchain_transactions",
        mode=LockMode.ACCESS_EXCLUSIVE,
        blocks=Blocks.ALL,
        held_ms=877,
        times=1,
        rows=0,
        revision=B,
        script="up.sql",
        line=3,
    )
    traffic = Traffic(
        source=TrafficSource.TABLES,
        window_s=2,
        rates={"public.blockchain_transactions": Rate(reads_per_s=30, writes_per_s=10)},
    )

    (outage,) = forecast([blocking], traffic)

    assert outage.sentence == (
        "ACCESS EXCLUSIVE on public.blockchain_transactions blocks reads and writes for 877 ms; "
        "at 40 statements/s about 35 would wait"
    )


@pytest.mark.parametrize(
    ("blocks", "rate", "waiting"), [(Blocks.ALL, 40, 40), (Blocks.WRITES, 10, 10), (Blocks.SAME_ROWS, 10, 10)]
)
def test_readers_only_wait_for_the_strongest_lock(blocks, rate, waiting):
    blocking = Blocking(
        table="t",
        mode=LockMode.SHARE,
        blocks=blocks,
        held_ms=1000,
        times=1,
        rows=5,
        revision=B,
        script="up.sql",
        line=1,
    )
    traffic = Traffic(source=TrafficSource.TABLES, window_s=2, rates={"t": Rate(reads_per_s=30, writes_per_s=10)})

    (outage,) = forecast([blocking], traffic)

    assert (outage.statements_per_s, outage.waiting) == (rate, waiting)


def test_statements_count_for_the_tables_they_name():
    tables = ["public.people", "shop.people", 'public."Order"', "public.visits"]
    statements = [
        ("SELECT * FROM people WHERE id = $1", 10),
        ('update shop.people set name = $1 from "Order" o where o.id = $2', 3),
        ("WITH gone AS (DELETE FROM public.visits RETURNING *) SELECT count(*) FROM gone", 2),
        ("BEGIN", 99),
        ("SELECT v.people FROM visits v", 5),
    ]

    counts = statement_counts(statements, tables)

    assert counts == {
        "public.people": (10, 0),
        "shop.people": (10, 3),
        'public."Order"': (0, 3),
        "public.visits": (5, 2),
    }


def test_counters_that_were_reset_count_from_zero_and_our_own_scan_does_not_count():
    before = {"a": (100, 100), "b": (5, 0)}

    found = rates(before, {"a": (40, 120), "b": (6, 0), "c": (0, 0)}, 2.0, own_reads=1)

    assert found == {"a": Rate(reads_per_s=19.5, writes_per_s=10)}
