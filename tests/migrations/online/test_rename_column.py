import itertools

import pytest

from given.online import Killed
from given.writers import Writers
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.contract_rename import ContractRename, NothingToContract
from hansa.migrate.online.kinds.rename_column import Contracted, RenameColumn
from hansa.migrate.online.twins import NoTwin

RENAMING, CONTRACTING = "20260101T000000_rename", "20260102T000000_contract"
AGENTS = """
    CREATE TABLE owners (name text PRIMARY KEY);
    INSERT INTO owners VALUES ('me'), ('you'), ('her');
    CREATE TABLE agents (
      id int PRIMARY KEY, owner text COLLATE "C" NOT NULL DEFAULT 'me' REFERENCES owners, note text DEFAULT 'none',
      size int, CONSTRAINT lower_owner CHECK (owner = lower(owner)), UNIQUE (owner, id)
    );
    COMMENT ON COLUMN agents.owner IS 'who has it';
    GRANT SELECT (owner) ON agents TO pg_monitor;
    CREATE INDEX by_owner ON agents (lower(owner), note) WHERE owner <> 'you';
    CREATE VIEW owned AS SELECT id, owner FROM agents;
    INSERT INTO agents (id, owner, size) SELECT n, CASE n % 2 WHEN 0 THEN 'you' ELSE 'me' END, n
    FROM generate_series(1, 1200) AS n;
"""
HOLDER = RenameColumn(table="agents", column="owner", to="holder")


def different(bench, one, other, table="agents"):
    return bench.one(f"SELECT count(*) FROM {table} WHERE {one} IS DISTINCT FROM {other}")


def test_a_rename_is_the_same_however_often_its_run_dies(bench):
    bench.ask(AGENTS)

    bench.survives(HOLDER)

    assert different(bench, "owner", "holder") == 0
    assert bench.ask(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'agents'::regclass ORDER BY 1"
    ) == [
        (
            "CREATE INDEX agents_owner__twin1 ON public.agents USING btree (lower(owner), note) WHERE (owner <> 'you'::text)",
        ),
        ("CREATE INDEX by_owner ON public.agents USING btree (lower(holder), note) WHERE (holder <> 'you'::text)",),
        ("CREATE UNIQUE INDEX agents_owner__twin2 ON public.agents USING btree (owner, id)",),
        ("CREATE UNIQUE INDEX agents_owner_id_key ON public.agents USING btree (holder, id)",),
        ("CREATE UNIQUE INDEX agents_pkey ON public.agents USING btree (id)",),
    ]


@pytest.mark.parametrize("column", ["owner", "note", "size"])
def test_whichever_name_a_client_writes_both_hold_it(bench, column):
    bench.ask(AGENTS)
    bench.up(RenameColumn(table="agents", column=column, to="fresh"))
    values = {"owner": ["'you'", "'me'"], "note": ["'x'", "NULL", "'none'"], "size": ["7", "NULL"]}[column]

    keys = itertools.count(5000)
    for name, value in itertools.product((column, "fresh"), values):
        key = next(keys)
        bench.ask(f"INSERT INTO agents (id, {name}) VALUES ({key}, {value})")
        inserted = bench.ask(f"SELECT {column}::text, fresh::text FROM agents WHERE id = {key}")
        bench.ask(
            f"UPDATE agents SET {name} = {values[0]} WHERE id = {key}; UPDATE agents SET {name} = {value} WHERE id = {key}"
        )
        updated = bench.ask(f"SELECT {column}::text, fresh::text FROM agents WHERE id = {key}")
        expected = None if value == "NULL" else value.strip("'")
        assert inserted == updated == [(expected, expected)], (name, value)
    bench.ask("INSERT INTO agents (id) VALUES (6000)")

    assert different(bench, column, "fresh") == 0


def test_a_default_that_is_computed_for_each_row_is_the_same_under_both_names(bench):
    bench.ask("CREATE TABLE agents (id int PRIMARY KEY, key uuid NOT NULL DEFAULT gen_random_uuid())")
    bench.up(RenameColumn(table="agents", column="key", to="fresh"))

    bench.ask("INSERT INTO agents (id) VALUES (1); INSERT INTO agents (id, key) VALUES (2, gen_random_uuid())")
    bench.ask("INSERT INTO agents (id, fresh) VALUES (3, gen_random_uuid())")

    assert different(bench, "key", "fresh") == 0
    assert bench.one("SELECT count(DISTINCT key) FROM agents") == 3


def test_references_that_act_on_the_column_reach_the_twin(bench):
    bench.ask(AGENTS)
    bench.ask("ALTER TABLE agents DROP CONSTRAINT agents_owner_fkey")
    bench.ask("ALTER TABLE agents ADD FOREIGN KEY (owner) REFERENCES owners ON UPDATE CASCADE")
    bench.up(HOLDER)

    bench.ask("UPDATE owners SET name = 'them' WHERE name = 'you'")

    assert bench.ask("SELECT owner, count(*) FROM agents WHERE holder = 'them' GROUP BY 1") == [("them", 600)]


def test_writers_of_both_names_beside_it_never_fail_and_lose_nothing(bench):
    bench.ask(AGENTS)
    operation = RenameColumn(table="agents", column="size", to="bulk")
    before = bench.one("SELECT sum(size) FROM agents")

    with Writers(bench.dsn, "UPDATE agents SET size = {value} WHERE id = {row}", rows=1200) as writers:
        bench.up(operation)
        writers.write_some_more()
        writers.statement = "UPDATE agents SET bulk = {value} WHERE id = {row}"
        writers.write_some_more()
        renamed = bench.ask("SELECT count(*) FROM agents WHERE size IS DISTINCT FROM bulk")
        writers.statement = "UPDATE agents SET size = {value} WHERE id = {row}"
        writers.write_some_more()
        bench.down(operation)
        writers.write_some_more()

    assert writers.failures == []
    assert renamed == [(0,)]
    assert writers.lost(bench.ask("SELECT id, size FROM agents")) == []
    untouched = [row for row in range(1, 1201) if row not in writers.committed]
    assert bench.one("SELECT count(*) FROM agents WHERE id = ANY(%s) AND size = id", untouched) == len(untouched)
    assert before == sum(range(1, 1201))


def test_a_partitioned_table_keeps_its_twin_in_every_partition(bench):
    bench.ask("""
        CREATE TABLE events (id int, at date NOT NULL, what text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        CREATE INDEX by_what ON events (what);
        INSERT INTO events SELECT n, date '2026-01-01' + n % 50, 'w' || n FROM generate_series(1, 700) AS n;
    """)

    bench.survives(RenameColumn(table="events", column="what", to="kind"))

    assert different(bench, "what", "kind", table="events") == 0


def test_the_old_name_goes_and_comes_back_however_often_the_run_dies(bench):
    bench.ask(AGENTS)
    bench.up(HOLDER, revision=RENAMING)
    contraction = ContractRename(of=RENAMING)

    with pytest.raises(Killed):
        bench.up(contraction, revision=CONTRACTING, die_in="drop")
    bench.down(contraction, revision=CONTRACTING)
    bench.survives(contraction)

    assert bench.ask("SELECT attname FROM pg_attribute WHERE attrelid = 'agents'::regclass AND attname ~ 'owner'") == []
    assert bench.ask("SELECT count(*) FROM pg_proc WHERE pronamespace = 'mig'::regnamespace AND proname ~ 'twin'") == [
        (0,)
    ]


def test_a_rename_is_not_taken_back_past_its_contraction(bench):
    bench.ask(AGENTS)
    before = bench.world()
    bench.up(HOLDER, revision=RENAMING)
    bench.up(ContractRename(of=RENAMING), revision=CONTRACTING)
    bench.ask("UPDATE agents SET holder = 'her' WHERE id = 7")

    with pytest.raises(Contracted, match="owner is gone"):
        bench.down(HOLDER, revision=RENAMING)
    bench.down(ContractRename(of=RENAMING), revision=CONTRACTING)
    written_since = bench.ask("SELECT owner FROM agents WHERE id = 7")
    bench.down(HOLDER, revision=RENAMING)
    bench.ask("UPDATE agents SET owner = 'me' WHERE id = 7")

    assert written_since == [("her",)]
    assert before.sentences(bench.world()) == []


def test_only_a_finished_rename_is_contracted(bench):
    bench.ask(AGENTS)
    with pytest.raises(NothingToContract):
        bench.up(ContractRename(of=RENAMING), revision=CONTRACTING)
    with pytest.raises(Killed):
        bench.up(HOLDER, revision=RENAMING, die_in="index")

    with pytest.raises(NothingToContract, match="no rename that is applied"):
        bench.up(ContractRename(of=RENAMING), revision=CONTRACTING)

    assert different(bench, "owner", "owner__twin") == 0


@pytest.mark.parametrize(
    ("there", "operation", "refusal"),
    [
        ("SELECT 1", RenameColumn(table="agents", column="nothing", to="x"), "no column nothing"),
        ("SELECT 1", RenameColumn(table="agents", column="note", to="size"), "has a column size already"),
        ("ALTER TABLE agents ADD g int GENERATED ALWAYS AS (size) STORED", None, "is generated"),
        ("ALTER TABLE agents ADD g int GENERATED ALWAYS AS IDENTITY", None, "is generated"),
        ("ALTER TABLE agents ADD g float DEFAULT random()", None, "another one for each row"),
        (
            """
            ALTER TABLE agents ADD g int;
            CREATE TRIGGER saw BEFORE UPDATE OF g ON agents
            FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()
            """,
            None,
            "saw on public.agents fires on UPDATE OF g",
        ),
        (
            "ALTER TABLE agents DROP CONSTRAINT agents_pkey, DROP CONSTRAINT agents_owner_id_key; ALTER TABLE agents ADD g int",
            None,
            "no primary key",
        ),
    ],
)
def test_what_cannot_have_two_names_is_refused_and_nothing_is_changed(bench, there, operation, refusal):
    bench.ask(AGENTS)
    bench.ask(there)
    before = bench.world()
    operation = operation or RenameColumn(table="agents", column="g", to="x")

    with pytest.raises(OperationRefused, match=refusal) as refused:
        bench.up(operation)
    bench.down(operation)

    assert isinstance(refused.value, NoTwin) == ("generated" in refusal or "each row" in refusal)
    assert before.sentences(bench.world()) == []


def test_entries_say_what_they_may():
    with pytest.raises(BadOperation):
        RenameColumn(table="t", column="c", to="c")
    with pytest.raises(BadOperation):
        RenameColumn(table="t", column="c", to="d", triggers="maybe")
    with pytest.raises(BadOperation):
        ContractRename(of="r", operation=0)
    with pytest.raises(BadOperation):
        ContractRename(of="r", triggers="maybe")
