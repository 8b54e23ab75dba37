"""A column of texts becomes one of an enum: what it becomes, what hangs on it, and the way back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from given.online import QUICK, REVISION, Bench, Killed
from hansa import migrate
from hansa.migrate.catalog import differences
from hansa.migrate.errors import ProgressMismatch
from hansa.migrate.online import engine, feasibility
from hansa.migrate.online.backfill import NoKey
from hansa.migrate.online.errors import BadOperation, OperationCancelled, OperationFailed, UnmappedValues
from hansa.migrate.online.kinds.convert_to_enum import ConvertToEnum, ValuesLost
from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import (
    InTheWay,
    NoSuchColumn,
    NoSuchTable,
    NoSuchType,
    RowsHidden,
    TriggersWouldFire,
)
from hansa.migrate.online.values import ValueMap
from hansa.migrate.options import Notice

STATUSES = ValueMap(
    values={"active": "active", "inactive": "inactive", "revoked": "retired", "banned": "retired"},
    quarantine=("unknown",),
    fold=("trim", "lower"),
)
STEPWISE = ConvertToEnum(
    table="shop.agents", column="status", type="shop.agent_status", map=STATUSES, in_place_below_rows=0
)
IN_PLACE = replace(STEPWISE, in_place_below_rows=20_000)
BOTH = pytest.mark.parametrize("operation", [STEPWISE, IN_PLACE], ids=["stepwise", "in place"])

AGENTS = """
    CREATE ROLE {reader};
    CREATE SCHEMA shop;
    CREATE TYPE shop.agent_status AS ENUM ('active', 'inactive', 'suspended', 'retired');
    CREATE TABLE shop.agents (
      id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      org    integer NOT NULL,
      status text NOT NULL DEFAULT 'active' CONSTRAINT status_is_a_word CHECK (length(status) BETWEEN 1 AND 40),
      name   varchar(20),
      CONSTRAINT named_once_per_status UNIQUE NULLS NOT DISTINCT (org, name, status) DEFERRABLE
    );
    COMMENT ON COLUMN shop.agents.status IS 'Only an active agent may act.';
    COMMENT ON CONSTRAINT named_once_per_status ON shop.agents IS 'One name, one agent.';
    CREATE INDEX agents_by_status ON shop.agents (status COLLATE "C" text_pattern_ops DESC, org) INCLUDE (name)
      WITH (fillfactor = 80) WHERE org > 0;
    COMMENT ON INDEX shop.agents_by_status IS 'For the list of who may act.';
    GRANT SELECT (status), UPDATE (status) ON shop.agents TO {reader};
    ALTER TABLE shop.agents ALTER status SET STATISTICS 300, ALTER status SET (n_distinct = 5);
    INSERT INTO shop.agents (org, status, name)
    SELECT n % 7, (ARRAY['active', 'Active ', 'inactive', 'REVOKED', 'banned'])[1 + n % 5], 'agent ' || n
    FROM generate_series(1, {rows}) AS n;
"""


@pytest.fixture
def agents(bench: Bench) -> Bench:
    reader = f"reader_{bench.dsn.rpartition('=')[2]}"
    bench.ask(AGENTS.format(reader=reader, rows=700))
    yield bench
    bench.ask(f"DROP OWNED BY {reader}")
    bench.ask(f"DROP ROLE {reader}")


@pytest.fixture(scope="module")
def shared_agents(server_dsn: str) -> Iterator[Bench]:
    """The same for tests that undo what they do."""
    name = f"online_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        with Bench.opened(psycopg.conninfo.make_conninfo(server_dsn, dbname=name)) as bench:
            bench.ask(AGENTS.format(reader=f"reader_{name}", rows=20))
            yield bench
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE reader_{name}")


def statuses(bench: Bench) -> dict[str, int]:
    return dict(bench.ask("SELECT status::text, count(*) FROM shop.agents GROUP BY 1"))


@BOTH
def test_every_value_becomes_what_the_map_says(agents, operation):
    agents.up(operation)

    assert statuses(agents) == {"active": 280, "inactive": 140, "retired": 280}
    assert agents.one("SELECT pg_typeof(status)::text FROM shop.agents LIMIT 1") == "shop.agent_status"


@BOTH
def test_what_hangs_on_the_column_hangs_on_the_new_one(agents, operation):
    before = agents.world().catalog.objects

    agents.up(operation)

    after = agents.world().catalog.objects
    column = "column shop.agents.status"
    same = before[column].keys() - {"type", "default", "collation"}
    assert {name: after[column][name] for name in same} == {name: before[column][name] for name in same}
    assert after[column]["default"] == "'active'::shop.agent_status"
    assert "status_is_a_word" not in " ".join(after)
    definitions = dict(agents.ask("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'shop'"))
    assert definitions["agents_by_status"] == (
        "CREATE INDEX agents_by_status ON shop.agents USING btree (status DESC, org) INCLUDE (name) "
        "WITH (fillfactor='80') WHERE (org > 0)"
    )
    assert agents.ask(
        "SELECT pg_get_constraintdef(oid), obj_description(oid) FROM pg_constraint WHERE conname LIKE 'named%'"
    ) == [("UNIQUE NULLS NOT DISTINCT (org, name, status) DEFERRABLE", "One name, one agent.")]
    assert agents.one("SELECT obj_description('shop.agents_by_status'::regclass)") == "For the list of who may act."
    assert agents.one("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    assert agents.one("SELECT max(attstattarget) FROM pg_attribute WHERE attname = 'status'") == 300


def test_stepwise_and_in_place_give_the_same_table(agents, dsn):
    agents.up(IN_PLACE)
    in_place = agents.world().catalog
    agents.down(IN_PLACE)

    agents.up(STEPWISE)

    found = [each for each in differences(in_place, agents.world().catalog) if not each.soft]
    assert sorted((each.kind, each.object.partition(" ")[0]) for each in found) == [
        ("added", "column"),
        ("added", "trigger"),
    ]
    assert all("status__old" in each.object or "~mig" in each.object for each in found)


UNKNOWN = """
    INSERT INTO shop.agents (org, status, name) VALUES (1, ' unknown', 'nobody');
    CREATE TABLE shop.badges (agent bigint REFERENCES shop.agents (id) ON DELETE CASCADE, badge text);
    INSERT INTO shop.badges SELECT id, name FROM shop.agents WHERE id % 10 = 1 OR name = 'nobody';
"""


def test_dying_in_every_step_loses_nothing(agents):
    agents.ask(UNKNOWN)
    before = agents.world()
    agents.up(STEPWISE)
    applied = agents.world()
    agents.down(STEPWISE)

    for step in STEPWISE.up():
        with pytest.raises(Killed):
            agents.up(STEPWISE, die_in=step.name)
    agents.up(STEPWISE)
    assert applied.sentences(agents.world()) == []
    for step in STEPWISE.down():
        with pytest.raises(Killed):
            agents.down(STEPWISE, die_in=step.name)
    agents.down(STEPWISE)

    assert before.sentences(agents.world()) == []


def test_turning_back_from_every_step_loses_nothing(agents):
    agents.ask(UNKNOWN)
    before = agents.world()

    for step in STEPWISE.up():
        with pytest.raises(Killed):
            agents.up(STEPWISE, die_in=step.name)
        agents.down(STEPWISE)
        assert before.sentences(agents.world()) == [], step.name


@pytest.mark.parametrize("step", ["set aside", "in place", "validate"])
def test_dying_in_place_loses_nothing(agents, step):
    agents.ask(UNKNOWN)
    before = agents.world()

    for turned in (False, True):
        with pytest.raises(Killed):
            agents.up(IN_PLACE, die_in=step)
        if not turned:
            agents.up(IN_PLACE)
            assert statuses(agents) == {"active": 280, "inactive": 140, "retired": 280}
        with pytest.raises(Killed):
            agents.down(IN_PLACE, die_in="in place back")
        agents.down(IN_PLACE)
        assert before.sentences(agents.world()) == []


@BOTH
def test_rows_without_a_place_are_set_aside_with_all_that_refers_to_them(agents, operation):
    agents.ask(UNKNOWN)
    before = agents.world()

    agents.up(operation)

    assert agents.ask("SELECT relation, reason, contents[3] FROM mig.quarantine ORDER BY id") == [
        ("shop.agents", "its status has no place among the labels of shop.agent_status", " unknown"),
        ("shop.badges", "its status has no place among the labels of shop.agent_status", None),
    ]
    assert agents.one("SELECT count(*) FROM shop.badges") == 70
    agents.down(operation)
    assert before.sentences(agents.world()) == []


def test_a_way_back_that_is_given_up_half_way_is_a_way_up_again(agents):
    agents.up(STEPWISE)
    applied = agents.world()

    for step in STEPWISE.down():
        with pytest.raises(Killed):
            agents.down(STEPWISE, die_in=step.name)
        agents.up(STEPWISE)
        assert applied.sentences(agents.world()) == [], step.name


def test_unmapped_values_are_listed_with_their_counts_and_nothing_is_changed(agents):
    agents.ask("UPDATE shop.agents SET status = 'Published' WHERE id <= 3")
    agents.ask("UPDATE shop.agents SET status = 'ok?' WHERE id = 4")
    before = agents.world()

    with pytest.raises(UnmappedValues, match=r"nothing about 'Published' \(3\), 'ok\?' \(1\); nothing was changed"):
        agents.up(STEPWISE)

    assert before.sentences(agents.world()) == []
    assert agents.one("SELECT count(*) FROM mig.quarantine") == 0


def test_a_map_that_was_extended_after_the_refusal_is_taken(agents):
    agents.ask("UPDATE shop.agents SET status = 'Published' WHERE id <= 3")
    with pytest.raises(UnmappedValues):
        agents.up(STEPWISE)
    extended = replace(STEPWISE.map, values=STEPWISE.map.values | {"published": "active", "Published": "active"})

    agents.up(replace(STEPWISE, map=extended))

    assert agents.one("SELECT count(*) FROM shop.agents WHERE id <= 3 AND status = 'active'") == 3


def test_clients_that_write_texts_keep_working_at_every_step(agents):
    for step in [step.name for step in STEPWISE.up()]:
        with pytest.raises(Killed):
            agents.up(STEPWISE, die_in=step)
        agents.ask("INSERT INTO shop.agents (org, status, name) VALUES (9, 'inactive', %s)", step)
        agents.ask("UPDATE shop.agents SET status = 'active' WHERE name = %s AND status = 'inactive'", step)
        agents.ask("INSERT INTO shop.agents (org, name) VALUES (8, %s)", step)
    agents.up(STEPWISE)

    assert agents.ask("SELECT DISTINCT status::text, status__old FROM shop.agents WHERE org IN (8, 9)") == [
        ("active", "active")
    ]
    assert agents.one("SELECT count(*) FROM shop.agents WHERE org IN (8, 9)") == 24


def test_the_old_column_keeps_its_texts_and_follows_only_what_changes(agents):
    agents.up(STEPWISE)

    agents.ask("UPDATE shop.agents SET name = 'renamed' WHERE id = 1")
    agents.ask("UPDATE shop.agents SET status = 'suspended' WHERE id = 2")
    agents.ask("UPDATE shop.agents SET status = 'retired' WHERE id = 5")

    assert agents.ask("SELECT id, status__old FROM shop.agents WHERE id IN (1, 2, 3, 5) ORDER BY id") == [
        (1, "Active "),
        (2, "suspended"),
        (3, "REVOKED"),
        (5, "retired"),
    ]
    agents.down(STEPWISE)
    assert agents.one("SELECT status FROM shop.agents WHERE id = 1") == "Active "


def test_a_client_that_inserts_by_position_is_understood(agents):
    agents.up(STEPWISE)

    agents.ask("INSERT INTO shop.agents OVERRIDING SYSTEM VALUE VALUES (9001, 1, 'suspended', 'a')")
    agents.ask("INSERT INTO shop.agents OVERRIDING SYSTEM VALUE VALUES (9002, 1, ' BANNED', 'b')")
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="nonsense"):
        agents.ask("INSERT INTO shop.agents OVERRIDING SYSTEM VALUE VALUES (9003, 1, 'nonsense', 'c')")

    assert agents.ask("SELECT status::text, status__old FROM shop.agents WHERE id > 9000 ORDER BY id") == [
        ("suspended", "suspended"),
        ("retired", " BANNED"),
    ]


def test_a_late_value_without_a_place_is_set_aside_by_the_swap_itself(agents):
    for step in ("set aside late", "check"):
        with pytest.raises(Killed):
            agents.up(STEPWISE, die_in=step)
        agents.ask("INSERT INTO shop.agents (org, status, name) VALUES (9, 'Unknown', %s)", step)

    agents.up(STEPWISE)

    assert agents.one("SELECT count(*) FROM mig.quarantine") == 2
    assert agents.one("SELECT count(*) FROM shop.agents WHERE org = 9") == 0
    agents.down(STEPWISE)
    assert agents.ask("SELECT status FROM shop.agents WHERE org = 9") == [("Unknown",), ("Unknown",)]


def test_a_late_value_fails_no_client_and_stops_the_swap_until_it_is_changed(agents):
    for step in ("sync", "check", "swap"):
        with pytest.raises(Killed):
            agents.up(STEPWISE, die_in=step)
        agents.ask("UPDATE shop.agents SET status = 'Novel' WHERE id = 7")
        with pytest.raises(UnmappedValues, match=r"'Novel' \(1\); change those rows"):
            agents.up(STEPWISE)
        agents.ask("UPDATE shop.agents SET status = 'active' WHERE id = 7")

    agents.up(STEPWISE)

    assert agents.one("SELECT status::text FROM shop.agents WHERE id = 7") == "active"


def test_a_late_row_without_a_place_is_set_aside_before_the_swap(agents):
    with pytest.raises(Killed):
        agents.up(STEPWISE, die_in="index")
    agents.ask("UPDATE shop.agents SET status = 'UNKNOWN' WHERE id IN (7, 8)")
    before = agents.ask("SELECT id, org, status, name FROM shop.agents ORDER BY id")

    agents.up(STEPWISE)

    assert agents.one("SELECT count(*) FROM shop.agents WHERE id IN (7, 8)") == 0
    agents.down(STEPWISE)
    assert agents.ask("SELECT id, org, status, name FROM shop.agents ORDER BY id") == before


def test_another_map_is_another_operation(agents):
    with pytest.raises(Killed):
        agents.up(STEPWISE, die_in="index")

    with pytest.raises(ProgressMismatch):
        agents.up(replace(STEPWISE, map=ValueMap(values={"active": "active"})))


def test_somebody_who_writes_past_the_trigger_is_found_out(agents):
    with pytest.raises(Killed):
        agents.up(STEPWISE, die_in="check")
    agents.ask("ALTER TABLE shop.agents DISABLE TRIGGER ALL")
    agents.ask("UPDATE shop.agents SET status = 'inactive' WHERE id = 5")
    agents.ask("ALTER TABLE shop.agents ENABLE TRIGGER ALL")

    with pytest.raises(ValuesLost, match=r"'inactive' is 'active', not 'inactive' \(1 rows\)"):
        agents.up(STEPWISE)


def test_it_stops_when_asked_and_goes_on_or_back(agents):
    before = agents.world()

    def stop(notice: Notice) -> None:
        if "backfill" in notice.message:
            engine.cancel(agents.connection, REVISION, by="Ada")

    with pytest.raises(OperationCancelled, match="Ada asked it to stop"):
        agents.up(STEPWISE, options=replace(QUICK, notify=stop))
    agents.up(STEPWISE)
    agents.down(STEPWISE)

    assert before.sentences(agents.world()) == []


def test_null_is_kept_or_becomes_a_label_and_comes_back_as_null(agents):
    agents.ask("ALTER TABLE shop.agents ALTER status DROP NOT NULL")
    agents.ask("UPDATE shop.agents SET status = NULL WHERE id <= 10")
    before = agents.world()

    for base in (STEPWISE, IN_PLACE):
        agents.up(base)
        assert agents.one("SELECT count(*) FROM shop.agents WHERE status IS NULL") == 10
        agents.down(base)
        assert before.sentences(agents.world()) == []

        labelled = replace(base, nulls="suspended", not_null=True)
        agents.up(labelled)
        assert statuses(agents)["suspended"] == 10
        with pytest.raises(psycopg.errors.NotNullViolation):
            agents.ask("UPDATE shop.agents SET status = NULL WHERE id = 11")
        agents.down(labelled)
        assert before.sentences(agents.world()) == []

        with pytest.raises(feasibility.DoesNotFit, match="NULL in 10 rows"):
            agents.up(replace(base, not_null=True))
        agents.forget()


def test_a_column_may_stop_refusing_null_and_null_stands_in_the_way_back(agents):
    operation = replace(STEPWISE, not_null=False)
    agents.up(operation)
    agents.ask("UPDATE shop.agents SET status = NULL WHERE id = 1")

    with pytest.raises(feasibility.DoesNotFit, match="1 rows hold what NOT NULL"):
        agents.down(operation)
    agents.ask("UPDATE shop.agents SET status = 'active' WHERE id = 1")
    agents.down(operation)

    assert (
        agents.one(
            "SELECT is_nullable FROM information_schema.columns WHERE table_name = 'agents' AND column_name = 'status'"
        )
        == "NO"
    )


@BOTH
def test_the_default_is_mapped_or_given(agents, operation):
    agents.ask("ALTER TABLE shop.agents ALTER status SET DEFAULT 'BANNED'")
    default = (
        "SELECT column_default FROM information_schema.columns WHERE (table_name, column_name) = ('agents', 'status')"
    )

    agents.up(operation)
    assert agents.one(default) == "'retired'::shop.agent_status"
    agents.down(operation)
    assert agents.one(default) == "'BANNED'::text"

    agents.up(replace(operation, default="suspended"))
    agents.ask("INSERT INTO shop.agents (org, name) VALUES (1, 'new')")
    assert agents.one("SELECT status::text FROM shop.agents WHERE name = 'new'") == "suspended"


WORDS = """
    CREATE TABLE shop.words (word text PRIMARY KEY);
    INSERT INTO shop.words SELECT DISTINCT status FROM shop.agents;
    ALTER TABLE shop.agents ADD CONSTRAINT known FOREIGN KEY (status) REFERENCES shop.words;
"""
TWINS = """
    UPDATE shop.agents SET status = 'BANNED', org = 1, name = 'twin' WHERE id = 8;
    UPDATE shop.agents SET status = 'revoked', org = 1, name = 'twin' WHERE id = 9;
"""
NARROW = """
    DROP INDEX shop.agents_by_status;
    ALTER TABLE shop.agents DROP CONSTRAINT status_is_a_word, ALTER status TYPE varchar(8);
"""


@pytest.mark.parametrize(
    ("ddl", "change", "refusal", "says"),
    [
        ("", {"table": "shop.nowhere"}, NoSuchTable, "no table"),
        ("", {"column": "nothing"}, NoSuchColumn, "nothing"),
        ("", {"type": "shop.nothing"}, NoSuchType, "no enum type"),
        ("", {"map": ValueMap(values={"active": "aktiv"})}, NoSuchType, "no label aktiv"),
        ("", {"nulls": "nothing"}, NoSuchType, "no label nothing"),
        ("", {"default": "aktiv"}, feasibility.DoesNotFit, "aktiv"),
        ("ALTER TABLE shop.agents ALTER status SET DEFAULT 'oh'", {}, UnmappedValues, "default 'oh'"),
        (
            "ALTER TABLE shop.agents ALTER status SET DEFAULT clock_timestamp()::text",
            {},
            feasibility.DoesNotFit,
            "computed",
        ),
        ("ALTER TABLE shop.agents DROP CONSTRAINT agents_pkey", {}, NoKey, "shop.agents"),
        ("ALTER TABLE shop.agents ADD status__new text", {}, InTheWay, "status__new"),
        ("CREATE VIEW shop.v AS SELECT status FROM shop.agents", {}, InTheWay, "view shop.v"),
        ("CREATE VIEW shop.v AS SELECT count(status) FROM shop.agents", {}, InTheWay, "view shop.v"),
        ("CREATE INDEX i ON shop.agents (lower(status))", {}, InTheWay, "index i computes"),
        ("CREATE INDEX i ON shop.agents (org) WHERE status = 'active'", {}, InTheWay, "index i computes"),
        ("CREATE INDEX i ON shop.agents USING brin (status)", {}, InTheWay, "kind that enums do not have"),
        ("ALTER TABLE shop.agents ADD CONSTRAINT c CHECK (status <> name)", {}, InTheWay, "constraint c"),
        ("ALTER TABLE shop.agents ADD g text GENERATED ALWAYS AS (status || '') STORED", {}, InTheWay, "column g"),
        ("CREATE POLICY p ON shop.agents USING (status = 'active')", {}, InTheWay, "policy p"),
        ("CREATE STATISTICS shop.s ON status, org FROM shop.agents", {}, InTheWay, "statistics"),
        (WORDS, {}, InTheWay, "constraint known"),
        (TWINS, {}, feasibility.KeysCoincide, "named_once_per_status is unique, and 1 of its keys"),
        (NARROW, {}, feasibility.DoesNotFit, "cannot hold 'suspended'"),
    ],
)
def test_what_cannot_be_carried_over_is_named_beforehand(shared_agents, ddl, change, refusal, says):
    preflight, *_ = replace(STEPWISE, **change).up()
    run = Run(connection=shared_agents.connection, options=QUICK, revision=REVISION, number=1, facts={})

    with shared_agents.connection.transaction(force_rollback=True):
        shared_agents.ask(ddl or "SELECT 1")
        with pytest.raises(refusal, match=says):
            preflight.work(run)

    assert run.facts == {}


@pytest.mark.parametrize("change", [{"triggers": "sometimes"}, {"in_place_below_rows": -1}, {"old_column": "status"}])
def test_nonsense_is_refused_when_it_is_read(change):
    with pytest.raises(BadOperation):
        replace(STEPWISE, **change)


def test_a_failure_of_the_database_leaves_the_finished_steps_and_is_named(agents):
    with pytest.raises(Killed):
        agents.up(STEPWISE, die_in="index")
    agents.ask("ALTER TABLE shop.agents DROP CONSTRAINT named_once_per_status")

    with pytest.raises(OperationFailed, match=r"swap.*named_once_per_status"):
        agents.up(STEPWISE)

    assert agents.one("SELECT step FROM mig.operations WHERE number = 1") == "check"


META = """
requires = ["20260101T000000_base"]

[[operation]]
kind = "set_aside"
table = "jobs"
rows = "duplicates"
columns = ["name"]
by = ["at"]

[[operation]]
kind = "convert_to_enum"
table = "jobs"
column = "state"
type = "job_state"
map = "job_state"
in_place_below_rows = 0
"""
MAP = """
[job_state]
fold = ["trim", "lower"]
quarantine = ["lost"]

[job_state.values]
open = "open"
done = "done"
"""
JOBS = """
    CREATE TABLE jobs (id integer PRIMARY KEY, name text, at date, state text NOT NULL);
    INSERT INTO jobs VALUES (1, 'a', '2026-01-01', 'Open'), (2, 'a', '2026-01-02', 'done'), (3, 'b', NULL, ' lost');
"""


def test_a_revision_says_it_in_its_meta_toml(bench, tmp_path):
    base, change, drop = ("20260101T000000_base", "20260102T000000_enum", "20260103T000000_contract")
    files = {
        base: {"meta.toml": "", "up.sql": JOBS, "down.sql": "DROP TABLE jobs;"},
        change: {
            "meta.toml": META,
            "map.toml": MAP,
            "up.sql": "CREATE TYPE job_state AS ENUM ('open', 'done');",
            "down.sql": "DROP TYPE job_state;",
        },
        drop: {
            "meta.toml": f'requires = ["{change}"]\n[[operation]]\nkind = "contract"\nof = "{change}"\noperation = 2\n'
        },
    }
    for name, texts in files.items():
        (tmp_path / name).mkdir()
        for file, text in texts.items():
            (tmp_path / name / file).write_text(text)
    migrate.up(bench.dsn, tmp_path, to=base)
    before = bench.world()

    for _ in range(2):
        assert migrate.up(bench.dsn, tmp_path).revisions == (change, drop)
        assert bench.ask("SELECT id, state::text FROM jobs") == [(2, "done")]
        migrate.down(bench.dsn, tmp_path, steps=2)
        assert before.sentences(bench.world()) == []


# --- other shapes -----------------------------------------------------------------------------------------------------


def test_a_value_that_only_the_old_checks_allow_comes_back_in_their_words(agents):
    agents.ask("ALTER TABLE shop.agents DROP CONSTRAINT status_is_a_word")
    agents.ask("UPDATE shop.agents SET status = lower(trim(status))")
    words = "CHECK (status = ANY (ARRAY['active'::text, 'inactive'::text, 'revoked'::text, 'banned'::text]))"
    agents.ask(f"ALTER TABLE shop.agents ADD CONSTRAINT old_words {words}")
    before = agents.world()

    agents.up(STEPWISE)
    agents.ask("UPDATE shop.agents SET status = 'retired' WHERE id = 1")

    assert agents.one("SELECT status__old FROM shop.agents WHERE id = 1") == "revoked"
    agents.ask("UPDATE shop.agents SET status = 'suspended' WHERE id = 2")
    with pytest.raises(feasibility.DoesNotFit, match="1 rows hold what old_words of the old column refuses"):
        agents.down(STEPWISE)
    agents.ask("UPDATE shop.agents SET status = 'inactive' WHERE id = 2")
    agents.ask("UPDATE shop.agents SET status = 'active' WHERE id = 1")
    agents.down(STEPWISE)
    assert [told for told in before.sentences(agents.world()) if not told.startswith("data of")] == []


ARRAYS = """
    CREATE TYPE facet AS ENUM ('security', 'risk');
    CREATE TABLE policies (org text, n uuid, facets text[] DEFAULT '{SECURITY}', PRIMARY KEY (n, org));
    CREATE INDEX policies_by_facet ON policies USING gin (facets);
    INSERT INTO policies
    SELECT 'o' || i % 3, gen_random_uuid(),
           (ARRAY['{security,risks}', '{}', NULL, '{Risk,NULL,risk}', '{legal,risk}']::text[])[1 + i % 5]::text[]
    FROM generate_series(1, 50) AS i;
"""
FACETS = ValueMap(
    values={"security": "security", "risk": "risk", "risks": "risk"}, quarantine=("legal",), fold=("lower",)
)


@pytest.mark.parametrize("below", [0, 100], ids=["stepwise", "in place"])
def test_texts_in_arrays_become_enums_in_arrays(bench, below):
    bench.ask(ARRAYS)
    operation = ConvertToEnum(table="policies", column="facets", type="facet", map=FACETS, in_place_below_rows=below)
    before = bench.world()

    bench.up(operation)

    counts = "SELECT facets::text, count(*) FROM policies GROUP BY 1 ORDER BY 1"
    assert bench.ask(counts) == [("{risk,NULL,risk}", 10), ("{security,risk}", 10), ("{}", 10), (None, 10)]
    assert bench.one("SELECT pg_typeof(facets)::text FROM policies LIMIT 1") == "facet[]"
    assert bench.one("SELECT count(*) FROM policies WHERE facets @> '{security}'") == 10
    bench.ask("INSERT INTO policies (org, n) VALUES ('new', gen_random_uuid())")
    assert bench.one("SELECT facets::text FROM policies WHERE org = 'new'") == "{security}"
    bench.ask("DELETE FROM policies WHERE org = 'new'")
    bench.down(operation)
    assert before.sentences(bench.world()) == []


def test_arrays_that_are_no_plain_lists_and_elements_nobody_mapped_are_refused(bench):
    bench.ask(ARRAYS)
    operation = ConvertToEnum(table="policies", column="facets", type="facet", map=FACETS)
    bench.ask("UPDATE policies SET facets = '{security,odd,odd}' WHERE facets = '{}'")
    with pytest.raises(UnmappedValues, match=r"'odd' \(20\)"):
        bench.up(operation)
    bench.forget()
    bench.ask("UPDATE policies SET facets = '{{risk,risk},{risk,risk}}' WHERE 'odd' = ANY(facets)")

    with pytest.raises(feasibility.DoesNotFit, match="10 arrays of several dimensions"):
        bench.up(operation)
    bench.forget()
    with pytest.raises(BadOperation, match="array"):
        bench.up(replace(operation, nulls="risk"))


ODD = """
    CREATE SCHEMA "Odd ""%s"" Schema";
    CREATE DOMAIN "Odd ""%s"" Schema"."Word" AS varchar(30);
    CREATE TYPE old_state AS ENUM ('active', 'gone', 'left');
    CREATE TYPE "Odd ""%s"" Schema"."State %" AS ENUM ('active', 'retired');
"""
ODD_NAME = "Status % of a name that is as long as it may be in PostgreSQL 1"
ODD_TABLE = """
    CREATE TABLE {table} ("k%" date NOT NULL UNIQUE, "{name}" {type});
    INSERT INTO {table}
    SELECT date '2026-01-01' + n, (ARRAY{values}::text[])[1 + n % 4]::{type} FROM generate_series(1, 40) AS n;
"""


@pytest.mark.parametrize("below", [0, 100], ids=["stepwise", "in place"])
def test_other_types_and_odd_names_are_converted_through_their_text(bench, below):
    kinds = {
        "smallint": {"1": "active", "2": "retired"},
        "boolean": {"true": "active", "false": "retired"},
        "char(9)": {"active": "active", "old": "retired"},
        "old_state": {"active": "active", "gone": "retired", "left": "retired"},
        '"Odd ""%s"" Schema"."Word"': {"100%": "active", "its \\ {}": "retired"},
    }
    bench.ask(ODD)
    for number, (kind, values) in enumerate(kinds.items()):
        table = f'"Odd ""%s"" Schema"."The %s Table {number}"'
        old = [*values, *values, *values][:3]
        texts = ", ".join(f"'{value}'" for value in old)
        bench.ask(ODD_TABLE.format(table=table, name=ODD_NAME, type=kind, values=f"[{texts}]"))
        operation = ConvertToEnum(
            table=table,
            column=ODD_NAME,
            type='"Odd ""%s"" Schema"."State %"',
            map=ValueMap(values=values),
            in_place_below_rows=below,
        )
        before = bench.world()

        bench.up(operation)

        found = dict(bench.ask(f'SELECT "{ODD_NAME}"::text, count(*) FROM {table} GROUP BY 1'))
        actives = sum(10 for value in old if values[value] == "active")
        assert found == {None: 10, "active": actives, "retired": 30 - actives}, kind
        bench.down(operation)
        assert before.sentences(bench.world()) == [], kind


def test_a_large_table_is_not_rewritten_under_a_lock(agents, monkeypatch):
    monkeypatch.setattr(feasibility, "IN_PLACE_BYTES_MAX", 8192)

    agents.up(IN_PLACE)

    assert agents.one("SELECT count(*) FROM information_schema.columns WHERE column_name = 'status__old'") == 1


# --- triggers and row security ----------------------------------------------------------------------------------------

TOUCH = """
    ALTER TABLE shop.agents ADD updated_at timestamptz NOT NULL DEFAULT '2020-01-01';
    CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END';
    CREATE TRIGGER zz_touch BEFORE UPDATE ON shop.agents FOR EACH ROW EXECUTE FUNCTION shop.touch();
"""


@BOTH
def test_triggers_of_users_keep_quiet(agents, operation):
    agents.ask(TOUCH)
    before = agents.world()

    agents.up(operation)
    assert agents.one("SELECT count(*) FROM shop.agents WHERE updated_at > '2020-01-01'") == 0
    agents.down(operation)

    assert before.sentences(agents.world()) == []


def test_the_trigger_sees_what_triggers_of_users_make_of_the_row(agents):
    agents.ask("""
        CREATE FUNCTION shop.ban() RETURNS trigger LANGUAGE plpgsql
          AS $$BEGIN IF NEW.name = 'crook' THEN NEW.status := 'banned'; END IF; RETURN NEW; END$$;
        CREATE TRIGGER zz_ban BEFORE INSERT OR UPDATE ON shop.agents FOR EACH ROW EXECUTE FUNCTION shop.ban();
    """)
    with pytest.raises(Killed):
        agents.up(STEPWISE, die_in="index")

    agents.ask("INSERT INTO shop.agents (org, status, name) VALUES (1, 'active', 'crook')")

    assert agents.one("SELECT status__new::text FROM shop.agents WHERE name = 'crook'") == "retired"


SECURED = """
    CREATE ROLE {owner} LOGIN PASSWORD 'secret';
    GRANT {owner} TO CURRENT_USER;
    ALTER SCHEMA shop OWNER TO {owner};
    ALTER TABLE shop.agents OWNER TO {owner};
    ALTER TYPE shop.agent_status OWNER TO {owner};
    ALTER TABLE shop.agents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY own_org ON shop.agents
      USING (current_setting('app.kind', true) = 'system' OR org = nullif(current_setting('app.org', true), '')::int);
    GRANT ALL ON SCHEMA mig TO {owner};
    GRANT ALL ON ALL TABLES IN SCHEMA mig TO {owner};
"""


@BOTH
def test_an_owner_without_superpowers_converts_a_table_that_hides_rows(agents, operation):
    owner = f"owner_{agents.dsn.rpartition('=')[2]}"
    agents.ask(SECURED.format(owner=owner))
    before = agents.world()
    superuser = agents.dsn
    agents.dsn = psycopg.conninfo.make_conninfo(superuser, user=owner, password="secret")
    try:
        with pytest.raises(RowsHidden, match=r"shop\.agents applies to owner"):
            agents.up(operation)
        agents.dsn = psycopg.conninfo.make_conninfo(agents.dsn, options="-c app.kind=system")

        settled(agents, operation, engine.run_up)
        assert statuses(agents) == {"active": 280, "inactive": 140, "retired": 280}
        settled(agents, operation, engine.run_down)
        assert before.sentences(agents.world()) == []

        agents.forget()
        agents.ask(TOUCH)
        agents.ask(f"ALTER FUNCTION shop.touch() OWNER TO {owner}")
        with pytest.raises(TriggersWouldFire, match=r"zz_touch on shop\.agents"):
            settled(agents, operation, engine.run_up)
        agents.ask(f"GRANT SET ON PARAMETER session_replication_role TO {owner}")
        settled(agents, operation, engine.run_up)
        assert agents.one("SELECT count(*) FROM shop.agents WHERE updated_at > '2020-01-01'") == 0
    finally:
        agents.dsn = superuser
        agents.ask(f"REASSIGN OWNED BY {owner} TO CURRENT_USER")
        agents.ask(f"DROP OWNED BY {owner}")
        agents.ask(f"DROP ROLE {owner}")


def settled(bench: Bench, operation: ConvertToEnum, run: Callable[..., int]) -> None:
    """Run a revision that sets what lets its role see all rows."""
    with bench.session() as session:
        run(session, REVISION, [operation], settings=True)
