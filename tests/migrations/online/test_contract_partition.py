import pytest

from given.online import Killed
from hansa.migrate.online.errors import BadOperation
from hansa.migrate.online.kinds.contract_partition import ContractPartition, NothingToContract
from hansa.migrate.online.kinds.partition_table import Contracted, PartitionTable

PARTITIONING, CONTRACTING = "20260101T000000_partition", "20260102T000000_contract"
EVENTS = """
    CREATE TABLE kinds (kind text PRIMARY KEY);
    INSERT INTO kinds VALUES ('a');
    CREATE TABLE events (
      id int CONSTRAINT event_once PRIMARY KEY, slug text, kind text REFERENCES kinds, at timestamptz NOT NULL,
      amount int CHECK (amount >= 0), CONSTRAINT slug_once UNIQUE (slug) INCLUDE (amount)
    );
    CREATE INDEX by_kind ON events (kind, at DESC) WHERE amount > 1;
    COMMENT ON CONSTRAINT slug_once ON events IS 'one of each';
    GRANT SELECT ON events TO pg_monitor;
    ALTER TABLE events ENABLE ROW LEVEL SECURITY;
    ALTER TABLE events FORCE ROW LEVEL SECURITY;
    CREATE POLICY everybody ON events USING (true);
    CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER nothing BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION quiet();
    INSERT INTO events SELECT n, 's' || n, 'a', now() - (n % 70) * interval '1 day', n % 7 FROM generate_series(1, 1200) AS n;
"""
MONTHLY = PartitionTable(table="events", by="at", step="1 month", ahead=2)
CONTRACTION = ContractPartition(of=PARTITIONING)


def test_the_old_table_goes_and_comes_back_whole_however_often_the_run_dies(bench):
    bench.ask(EVENTS)
    before = bench.world()
    bench.up(MONTHLY, revision=PARTITIONING)

    bench.survives(CONTRACTION)

    assert bench.one("SELECT to_regclass('events__old')") is None
    bench.down(CONTRACTION)
    bench.down(MONTHLY, revision=PARTITIONING)
    assert before.sentences(bench.world()) == []


def test_what_was_written_since_is_in_the_table_that_comes_back(bench):
    bench.ask(EVENTS)
    bench.up(MONTHLY, revision=PARTITIONING)
    bench.up(CONTRACTION, revision=CONTRACTING)

    bench.ask("UPDATE events SET slug = 'new' WHERE id = 1; DELETE FROM events WHERE id = 2")
    with pytest.raises(Contracted, match="events__old"):
        bench.down(MONTHLY, revision=PARTITIONING)
    bench.down(CONTRACTION, revision=CONTRACTING)
    bench.ask("UPDATE events SET slug = 'newer' WHERE id = 3")
    bench.down(MONTHLY, revision=PARTITIONING)

    assert bench.ask("SELECT id, slug FROM events WHERE id < 5 ORDER BY 1") == [(1, "new"), (3, "newer"), (4, "s4")]
    assert bench.one("SELECT relkind FROM pg_class WHERE relname = 'events'") == "r"


def test_only_a_finished_partitioning_is_contracted(bench):
    bench.ask(EVENTS)
    with pytest.raises(NothingToContract):
        bench.up(CONTRACTION, revision=CONTRACTING)
    with pytest.raises(Killed):
        bench.up(MONTHLY, revision=PARTITIONING, die_in="swap")

    with pytest.raises(NothingToContract, match="no partitioning that is applied"):
        bench.up(CONTRACTION, revision=CONTRACTING)

    assert bench.one("SELECT relkind FROM pg_class WHERE relname = 'events'") == "r"


def test_operations_are_counted_from_one():
    with pytest.raises(BadOperation):
        ContractPartition(of=PARTITIONING, operation=0)
