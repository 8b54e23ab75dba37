import psycopg
import pytest

from hansa.migrate.online.constraints import ConstraintExists
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.kinds.add_unique import AddUnique

AGENTS = """
    CREATE TABLE agents (id int PRIMARY KEY, did text, "Org" int);
    INSERT INTO agents SELECT n, 'did:' || n, n / 10 FROM generate_series(1, 100) AS n;
    INSERT INTO agents VALUES (101, NULL, NULL), (102, NULL, NULL);
"""
ONCE = AddUnique(table="agents", name="did_once", columns=("did", "Org"))


def test_a_unique_constraint_is_the_same_however_often_its_run_dies(bench):
    bench.ask(AGENTS)

    bench.survives(ONCE)

    assert bench.one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'did_once'") == (
        'UNIQUE (did, "Org")'
    )


def test_duplicates_are_listed_largest_first_and_nothing_is_changed(bench):
    bench.ask(AGENTS)
    bench.ask("UPDATE agents SET did = 'a' WHERE id IN (11, 12, 13); UPDATE agents SET did = 'b' WHERE id IN (21, 22)")
    before = bench.world()

    with pytest.raises(OperationRefused, match=r"\(a, 1\) 3 times; \(b, 2\) 2 times; resolve them first"):
        bench.up(ONCE)

    assert before.sentences(bench.world()) == []


def test_only_the_ten_largest_groups_are_listed(bench):
    bench.ask(AGENTS)
    bench.ask("UPDATE agents SET did = (id % 20)::text")

    with pytest.raises(OperationRefused) as refusal:
        bench.up(AddUnique(table="agents", name="did_once", columns=("did",)))

    assert str(refusal.value).count(" times") == 10
    assert "there may be more" in str(refusal.value)


def test_nulls_are_duplicates_only_where_they_are_not_distinct(bench):
    bench.ask(AGENTS)

    with pytest.raises(OperationRefused, match=r"\(NULL\) 2 times"):
        bench.up(AddUnique(table="agents", name="did_once", columns=("did",), nulls_not_distinct=True))
    bench.forget()
    bench.ask("DELETE FROM agents WHERE id = 102")
    bench.up(AddUnique(table="agents", name="did_once", columns=("did",), nulls_not_distinct=True))

    with pytest.raises(psycopg.errors.UniqueViolation):
        bench.ask("INSERT INTO agents VALUES (102, NULL, NULL)")


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (AddUnique(table="agents", name="agents_pkey", columns=("did",)), "agents_pkey already"),
        (AddUnique(table="agents", name="taken", columns=("did",)), "taken"),
        (AddUnique(table="agents", name="x", columns=("nothing",)), "no column nothing"),
        (AddUnique(table="parted", name="x", columns=("id",)), "ordinary table"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_changed(bench, operation, refusal):
    bench.ask(AGENTS)
    bench.ask("CREATE INDEX taken ON agents (did); CREATE TABLE parted (id int) PARTITION BY LIST (id)")
    before = bench.world()

    with pytest.raises(OperationRefused, match=refusal) as refused:
        bench.up(operation)
    bench.down(operation)

    assert isinstance(refused.value, ConstraintExists) == ("pkey" in refusal)
    assert before.sentences(bench.world()) == []
