import psycopg
import pytest

from hansa.migrate.online.enum_types import LabelInUse
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.extend_enum import ExtendEnum

AGENTS = """
    CREATE SCHEMA gov;
    CREATE TYPE gov."Status" AS ENUM ('draft', 'active', 'gone');
    COMMENT ON TYPE gov."Status" IS 'how it stands';
    REVOKE ALL ON TYPE gov."Status" FROM PUBLIC;
    GRANT USAGE ON TYPE gov."Status" TO pg_monitor;
    CREATE TABLE gov.agents (
      id int PRIMARY KEY, status gov."Status" NOT NULL DEFAULT 'draft', past gov."Status"[] DEFAULT '{draft,active}',
      note text DEFAULT 'draft'::gov."Status"::text,
      CONSTRAINT known CHECK (status <> 'gone' OR id > 1)
    );
    COMMENT ON CONSTRAINT known ON gov.agents IS 'the first one stays';
    CREATE INDEX live ON gov.agents (id) WHERE status = 'active';
    COMMENT ON INDEX gov.live IS 'those that work';
    CREATE INDEX by_status ON gov.agents (status);
    CREATE TABLE gov.parts (id int, status gov."Status") PARTITION BY RANGE (id);
    CREATE TABLE gov.parts_1 PARTITION OF gov.parts FOR VALUES FROM (0) TO (1000);
    INSERT INTO gov.agents SELECT n, CASE n % 2 WHEN 0 THEN 'active' ELSE 'draft' END::gov."Status"
    FROM generate_series(1, 100) AS n;
    INSERT INTO gov.parts SELECT n, 'gone' FROM generate_series(1, 100) AS n;
"""
TWO = ExtendEnum(type='gov."Status"', values=("paused", "it's 100%"), after="draft")


def labels(bench):
    rows = bench.ask("SELECT enumlabel FROM pg_enum WHERE enumtypid = 'gov.\"Status\"'::regtype ORDER BY enumsortorder")
    return [label for (label,) in rows]


def test_labels_come_and_go_however_often_the_run_dies(bench):
    bench.ask(AGENTS)

    bench.survives(TWO)

    assert labels(bench) == ["draft", "paused", "it's 100%", "active", "gone"]
    bench.ask("INSERT INTO gov.agents (id, status) VALUES (101, 'paused')")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"before": "active"}, ["draft", "a", "b", "active", "gone"]),
        ({"after": "gone"}, ["draft", "active", "gone", "a", "b"]),
        ({}, ["draft", "active", "gone", "a", "b"]),
    ],
)
def test_labels_go_where_they_are_wanted_in_their_order(bench, place, expected):
    bench.ask(AGENTS)

    bench.up(ExtendEnum(type='gov."Status"', values=("a", "b"), **place))

    assert labels(bench) == expected


@pytest.mark.parametrize(
    ("use", "named"),
    [
        ("UPDATE gov.agents SET status = 'paused' WHERE id < 4", "3 rows of gov.agents in status"),
        ("UPDATE gov.agents SET past = '{active,paused}' WHERE id < 3", "2 rows of gov.agents in past"),
        ("UPDATE gov.parts SET status = 'paused' WHERE id = 4", "1 rows of gov.parts in status"),
        ("ALTER TABLE gov.agents ALTER status SET DEFAULT 'paused'", "the default of gov.agents.status"),
        ("ALTER TABLE gov.agents ALTER past SET DEFAULT '{gone,paused}'", "the default of gov.agents.past"),
        ("ALTER TABLE gov.agents ADD CONSTRAINT c CHECK (status <> 'paused')", "c on gov.agents"),
        ("CREATE INDEX idle ON gov.agents (id) WHERE status IN ('paused', 'gone')", "gov.idle on gov.agents"),
    ],
)
def test_a_label_in_use_is_named_and_stays(bench, use, named):
    bench.ask(AGENTS)
    bench.up(TWO)
    bench.ask(use)
    before = bench.world()

    with pytest.raises(LabelInUse, match=named):
        bench.down(TWO)

    assert before.sentences(bench.world()) == []


@pytest.mark.parametrize(
    "dependent",
    [
        "CREATE VIEW gov.seen AS SELECT status FROM gov.agents",
        "CREATE FUNCTION gov.is(gov.\"Status\") RETURNS bool LANGUAGE sql AS 'SELECT true'",
        'CREATE DOMAIN gov.state AS gov."Status"',
        'CREATE TYPE gov.pair AS (a gov."Status", b int)',
        "ALTER TABLE gov.agents ADD g text GENERATED ALWAYS AS (CASE status WHEN 'draft' THEN 'd' END) STORED",
    ],
)
def test_what_cannot_be_made_again_is_listed_before_anything_goes(bench, dependent):
    bench.ask(AGENTS)
    bench.up(TWO)
    bench.ask(dependent)
    before = bench.world()

    with pytest.raises(OperationRefused, match="is used by"):
        bench.down(TWO)

    assert before.sentences(bench.world()) == []


def test_more_than_the_allowed_size_is_not_rewritten(bench):
    bench.ask(AGENTS)
    operation = ExtendEnum(type='gov."Status"', values=("paused",), rewrite_mb_max=0)
    bench.up(operation)

    with pytest.raises(OperationRefused, match="rewrite_mb_max = 0"):
        bench.down(operation)

    assert "paused" in labels(bench)


@pytest.mark.parametrize(
    ("entries", "refusal"),
    [
        ({"type": "gov.nothing", "values": ("a",)}, "no enum type gov.nothing"),
        ({"type": 'gov."Status"', "values": ("a",), "after": "never"}, "no label never; it has draft, active, gone"),
        ({"type": 'gov."Status"', "values": ("a", "gone")}, "has gone already"),
    ],
)
def test_nonsense_is_refused_and_survives_the_way_back(bench, entries, refusal):
    bench.ask(AGENTS)
    before = bench.world()

    with pytest.raises(OperationRefused, match=refusal):
        bench.up(ExtendEnum(**entries))
    bench.down(ExtendEnum(**entries))

    assert before.sentences(bench.world()) == []


def test_a_writer_who_uses_the_label_at_the_last_moment_wins(bench):
    bench.ask(AGENTS)
    bench.up(TWO)
    with psycopg.connect(bench.dsn) as writer:
        writer.execute("UPDATE gov.agents SET status = 'paused' WHERE id = 1")
        commits = bench.committing(writer, after_s=0.2)
        with pytest.raises(LabelInUse, match=r"1 rows of gov.agents"):
            bench.down(TWO)
        commits.join()

    assert bench.one("SELECT status::text FROM gov.agents WHERE id = 1") == "paused"


@pytest.mark.parametrize("entries", [{"before": "a", "after": "b"}, {"values": ("x", "x")}, {"rewrite_mb_max": -1}])
def test_entries_say_what_they_may(entries):
    with pytest.raises(BadOperation):
        ExtendEnum(**({"type": "t", "values": ("v",)} | entries))
