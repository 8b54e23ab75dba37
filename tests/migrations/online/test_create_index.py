import threading

import psycopg
import pytest

from hansa.migrate.online.errors import BadOperation, OperationFailed, OperationRefused
from hansa.migrate.online.kinds.create_index import CreateIndex, IndexExists

TASKS = """
    CREATE TABLE tasks (id int PRIMARY KEY, state text NOT NULL, body text);
    INSERT INTO tasks SELECT n, CASE n % 3 WHEN 0 THEN 'open' ELSE 'done' END, 'b' || n
    FROM generate_series(1, 1000) AS n;
"""
PARTITIONED = """
    CREATE TABLE events (id int, at date NOT NULL, region text NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (region);
    CREATE TABLE events_2_eu PARTITION OF events_2 FOR VALUES IN ('eu');
    CREATE TABLE events_2_us PARTITION OF events_2 FOR VALUES IN ('us');
    INSERT INTO events SELECT n, date '2026-01-01' + n % 50, CASE n % 2 WHEN 0 THEN 'eu' ELSE 'us' END
    FROM generate_series(1, 500) AS n;
"""
BY_STATE = CreateIndex(table="tasks", name="by_state", definition="(state, lower(body)) WHERE state <> 'done'")


def definition(bench, name):
    return bench.one("SELECT pg_get_indexdef(%s::regclass)", name)


def cancel_who_waits(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted")


def test_an_index_is_the_same_however_often_its_run_dies(bench):
    bench.ask(TASKS)

    bench.survives(BY_STATE)

    assert definition(bench, "by_state").endswith("(state, lower(body)) WHERE (state <> 'done'::text)")


def test_an_index_of_a_partitioned_table_reaches_every_partition_and_survives_every_death(bench):
    bench.ask(PARTITIONED)
    operation = CreateIndex(table="events", name="by_id", definition="(id)")

    bench.survives(operation)

    rows = bench.ask("SELECT count(*), bool_and(indisvalid) FROM pg_index WHERE indexrelid::regclass::text ~ 'by_id'")
    assert rows == [(5, True)]


def test_a_build_on_partitions_that_died_half_way_is_finished_or_taken_away(bench):
    bench.ask(PARTITIONED)
    operation = CreateIndex(table="events", name="by_id", definition="(id)")
    before = bench.world()

    for finish in (bench.down, bench.up):
        with psycopg.connect(bench.dsn) as other:
            other.execute("LOCK TABLE events_2_eu IN ACCESS EXCLUSIVE MODE")
            timer = threading.Timer(0.3, lambda: cancel_who_waits(bench.dsn))
            timer.start()
            with pytest.raises(OperationFailed, match="due to user request"):
                bench.up(operation)
            timer.join()
        assert not bench.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_id'::regclass")
        finish(operation)
        if finish == bench.down:
            assert before.sentences(bench.world()) == []

    assert bench.one("SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid::regclass::text ~ 'by_id'")


def test_an_invalid_index_that_an_interrupted_build_left_is_built_again(bench):
    bench.ask(TASKS)
    bench.ask("UPDATE tasks SET body = 'twice' WHERE id < 3")
    with pytest.raises(psycopg.errors.UniqueViolation):
        bench.ask("CREATE UNIQUE INDEX CONCURRENTLY by_body ON tasks (body)")
    bench.ask("UPDATE tasks SET body = 'once' WHERE id = 1")

    bench.up(CreateIndex(table="tasks", name="by_body", definition="(body)", unique=True))

    assert bench.ask("SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'by_body'::regclass") == [
        (True, True)
    ]


def test_a_build_waits_for_older_transactions_beyond_the_lock_timeout(bench):
    bench.ask(TASKS)
    with psycopg.connect(bench.dsn) as other:
        other.execute("UPDATE tasks SET body = 'later' WHERE id = 1")
        timer = threading.Timer(0.5, other.commit)
        timer.start()
        bench.up(BY_STATE)
        timer.join()

    assert bench.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_state'::regclass")


def test_the_same_index_under_that_name_is_taken_as_it_is_and_left_by_the_way_back(bench):
    bench.ask(TASKS)
    bench.ask("CREATE INDEX by_state ON tasks USING btree (state, lower(body)) WHERE NOT state = 'done'")
    bench.ask(
        "DROP INDEX by_state; CREATE INDEX by_state ON tasks USING btree (state, lower(body)) WHERE state<>'done'"
    )
    before = bench.world()

    bench.up(BY_STATE)
    bench.down(BY_STATE)

    assert before.sentences(bench.world()) == []


@pytest.mark.parametrize(
    "there",
    [
        "CREATE INDEX by_state ON tasks (state)",
        "CREATE UNIQUE INDEX by_state ON tasks (state, lower(body), id)",
        "CREATE TABLE other (state text); CREATE INDEX by_state ON other (state)",
        "CREATE TABLE by_state ()",
    ],
)
def test_something_else_of_that_name_is_refused_and_survives_the_way_back(bench, there):
    bench.ask(TASKS)
    bench.ask(there)
    before = bench.world()

    with pytest.raises(OperationRefused, match="by_state") as refusal:
        bench.up(BY_STATE)
    bench.down(BY_STATE)

    assert isinstance(refusal.value, IndexExists) == ("INDEX" in there)
    assert before.sentences(bench.world()) == []


def test_what_postgresql_would_not_take_is_refused_before_anything_is_built(bench):
    bench.ask(TASKS)
    before = bench.world()

    with pytest.raises(OperationRefused, match='column "nothing" does not exist'):
        bench.up(CreateIndex(table="tasks", name="i", definition="(nothing)"))
    bench.forget()
    with pytest.raises(OperationRefused, match="IMMUTABLE"):
        bench.up(CreateIndex(table="tasks", name="j", definition="(to_tsvector(body))"))

    assert before.sentences(bench.world()) == []


def test_duplicates_are_listed_with_their_counts_before_a_unique_index_is_built(bench):
    bench.ask(TASKS)
    operation = CreateIndex(table="tasks", name="i", definition="(upper(state)) WHERE id < 10", unique=True)

    with pytest.raises(OperationRefused, match=r"\(DONE\) 6 times; \(OPEN\) 3 times; resolve"):
        bench.up(operation)

    assert bench.one("SELECT to_regclass('i')") is None


@pytest.mark.parametrize("definition", ["(a); DROP TABLE b", "(a);"])
def test_a_definition_is_one_clause(definition):
    with pytest.raises(BadOperation):
        CreateIndex(table="t", name="i", definition=definition)
