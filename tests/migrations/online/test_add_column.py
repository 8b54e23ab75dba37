import pytest

from given.online import Killed, World
from hansa.migrate.online import not_null
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.add_column import AddColumn

AGENTS = """
    CREATE TABLE agents (id int PRIMARY KEY, name text);
    INSERT INTO agents SELECT n, 'n' || n FROM generate_series(1, 1200) AS n;
"""
PUBLIC_ID = AddColumn(
    table="agents",
    column="public_id",
    type="uuid",
    default="gen_random_uuid()",
    not_null=True,
    comment="What strangers' agents call it.",
)


@pytest.fixture
def catalog_only(monkeypatch):
    """Random values are others after each run; everything else is the same."""
    sentences = World.sentences
    monkeypatch.setattr(
        World, "sentences", lambda self, other: [told for told in sentences(self, other) if "data of" not in told]
    )


@pytest.mark.usefixtures("catalog_only")
@pytest.mark.parametrize("way", ["native", "by a proof"])
def test_a_column_with_another_value_in_each_row_is_the_same_however_often_its_run_dies(bench, monkeypatch, way):
    if way != "native":
        monkeypatch.setattr(not_null, "NOT_VALID_SINCE", 990000)
    bench.ask(AGENTS)

    bench.survives(PUBLIC_ID)

    assert bench.ask("SELECT count(DISTINCT public_id), count(*) FROM agents") == [(1200, 1200)]
    assert bench.one(
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'agents'::regclass AND attname = 'public_id'"
    )


def test_a_value_that_a_client_wrote_meanwhile_stays_and_no_row_is_rewritten_twice(bench):
    bench.ask(AGENTS)
    file = bench.one("SELECT pg_relation_filenode('agents')")
    with pytest.raises(Killed):
        bench.up(PUBLIC_ID, die_in="fill")
    wanted = "00000000-0000-0000-0000-000000000001"
    bench.ask(f"UPDATE agents SET public_id = '{wanted}' WHERE id = 1100")
    first = bench.one("SELECT public_id FROM agents WHERE id = 1")

    bench.up(PUBLIC_ID)

    assert bench.one("SELECT public_id::text FROM agents WHERE id = 1100") == wanted
    assert bench.one("SELECT public_id FROM agents WHERE id = 1") == first
    assert bench.one("SELECT pg_relation_filenode('agents')") == file


@pytest.mark.parametrize("not_null", [True, False])
def test_a_default_that_is_the_same_for_all_needs_no_batches(bench, not_null):
    bench.ask(AGENTS)
    file = bench.one("SELECT pg_relation_filenode('agents')")
    operation = AddColumn(table="agents", column="since", type="timestamptz", default="now()", not_null=not_null)

    bench.up(operation)

    assert bench.one("SELECT count(DISTINCT since) FROM agents") == 1
    assert bench.one("SELECT pg_relation_filenode('agents')") == file
    assert bench.one("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'agents'") == 0
    bench.down(operation)
    assert bench.ask("SELECT * FROM agents LIMIT 0") == []


def test_a_column_without_default_stays_empty(bench):
    bench.ask(AGENTS)

    bench.survives(AddColumn(table="agents", column="extra", type='text COLLATE "C"'))

    assert bench.one("SELECT count(extra) FROM agents") == 0


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (AddColumn(table="agents", column="name", type="text"), "has a column name already"),
        (AddColumn(table="agents", column="x", type="int", default="'x'"), "invalid input syntax for type integer"),
        (AddColumn(table="agents", column="x", type="int", default="nothing()"), "function nothing.* does not exist"),
        (AddColumn(table="agents", column="x", type="nothing", default="1"), 'type "nothing" does not exist'),
        (AddColumn(table="keyless", column="x", type="float", default="random()"), "no primary key"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_changed(bench, operation, refusal):
    bench.ask(AGENTS)
    bench.ask("CREATE TABLE keyless (a int)")
    before = bench.world()

    with pytest.raises(OperationRefused, match=refusal):
        bench.up(operation)
    bench.down(operation)

    assert before.sentences(bench.world()) == []


@pytest.mark.parametrize("entries", [{"not_null": True}, {"triggers": "maybe"}])
def test_entries_say_what_they_may(entries):
    with pytest.raises(BadOperation):
        AddColumn(**({"table": "t", "column": "c", "type": "int"} | entries))
