import psycopg
import pytest

from given.online import Killed
from hansa.migrate.online import not_null
from hansa.migrate.online.constraints import RowsInTheWay
from hansa.migrate.online.errors import BadOperation, OperationFailed, OperationRefused
from hansa.migrate.online.kinds.add_not_null import AddNotNull

AGENTS = """
    CREATE TABLE agents (id int PRIMARY KEY, endpoint text, seen int NOT NULL DEFAULT 0);
    INSERT INTO agents SELECT n, 'e' || n FROM generate_series(1, 1200) AS n;
"""
GAPS = "UPDATE agents SET endpoint = NULL WHERE id % 3 = 0"
STRICT = AddNotNull(table="agents", column="endpoint")
FILLED = AddNotNull(table="agents", column="endpoint", fill="'none ' || 50 || '%'")


@pytest.fixture(params=["native", "by a proof"])
def way(request, monkeypatch):
    """As PostgreSQL 18 does it, and as 15 to 17 have to."""
    if request.param != "native":
        monkeypatch.setattr(not_null, "NOT_VALID_SINCE", 990000)


@pytest.mark.usefixtures("way")
def test_not_null_is_the_same_however_often_its_run_dies(bench):
    bench.ask(AGENTS)

    bench.survives(STRICT)

    assert bench.ask(
        "SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'agents'::regclass ORDER BY 1"
    ) == [
        ("agents_endpoint_not_null", True),
        ("agents_id_not_null", True),
        ("agents_pkey", True),
        ("agents_seen_not_null", True),
    ]


@pytest.mark.usefixtures("way")
def test_filling_is_the_same_and_is_lossless_however_often_its_run_dies(bench):
    bench.ask(AGENTS)
    bench.ask(GAPS)

    bench.survives(FILLED)

    assert bench.ask("SELECT endpoint, count(*) FROM agents WHERE id % 3 = 0 GROUP BY 1") == [("none 50%", 400)]


def test_nulls_are_counted_and_shown_and_nothing_is_changed(bench):
    bench.ask(AGENTS)
    bench.ask(GAPS)
    before = bench.world()

    with pytest.raises(RowsInTheWay, match=r"400 rows of public.agents hold no endpoint.*\(id\) = \(3\), \(6\), "):
        bench.up(STRICT)

    assert before.sentences(bench.world()) == []


def test_a_null_that_comes_between_the_first_fill_and_the_promise_is_filled_and_put_back(bench):
    bench.ask(AGENTS)
    bench.ask(GAPS)
    before = bench.world()

    with pytest.raises(Killed):
        bench.up(FILLED, die_in="promise")
    bench.ask("UPDATE agents SET endpoint = NULL WHERE id = 1")
    bench.up(FILLED)
    filled = bench.one("SELECT endpoint FROM agents WHERE id = 1")
    bench.down(FILLED)
    left = bench.one("SELECT endpoint FROM agents WHERE id = 1")
    bench.ask("UPDATE agents SET endpoint = 'e1' WHERE id = 1")

    assert (filled, left) == ("none 50%", None)
    assert before.sentences(bench.world()) == []


def test_a_null_cannot_come_after_the_promise(bench):
    bench.ask(AGENTS)
    with pytest.raises(Killed):
        bench.up(STRICT, die_in="prove")

    with pytest.raises(psycopg.errors.NotNullViolation):
        bench.ask("UPDATE agents SET endpoint = NULL WHERE id = 1")


def test_rows_that_were_changed_since_keep_what_they_have(bench):
    bench.ask(AGENTS)
    bench.ask(GAPS)

    bench.up(FILLED)
    bench.ask("UPDATE agents SET endpoint = 'found' WHERE id = 3")
    bench.down(FILLED)

    assert bench.ask("SELECT endpoint, count(*) FROM agents WHERE id % 3 = 0 GROUP BY 1 ORDER BY 1") == [
        ("found", 1),
        (None, 399),
    ]


def test_triggers_of_users_stay_quiet_while_rows_are_filled_unless_they_are_asked_for(bench):
    bench.ask(AGENTS)
    bench.ask(GAPS)
    bench.ask("""
        CREATE FUNCTION saw() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := NEW.seen + 1; RETURN NEW; END $$;
        CREATE TRIGGER saw BEFORE UPDATE ON agents FOR EACH ROW EXECUTE FUNCTION saw();
    """)
    bench.up(FILLED)
    quiet = bench.one("SELECT sum(seen) FROM agents")
    bench.down(FILLED)

    bench.up(AddNotNull(table="agents", column="endpoint", fill="''", triggers="fire"))

    assert (quiet, bench.one("SELECT sum(seen) FROM agents")) == (0, 400)


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (AddNotNull(table="agents", column="id"), "takes no NULL already"),
        (AddNotNull(table="agents", column="nothing"), "no column nothing"),
        (AddNotNull(table="agents", column="endpoint", fill="NULL"), "is NULL itself"),
        (AddNotNull(table="agents", column="boss", fill="'x'"), "invalid input syntax for type integer"),
        (AddNotNull(table="agents", column="boss", fill="7"), "refers to another table by boss_is_an_agent"),
        (AddNotNull(table="keyless", column="a", fill="7"), "no primary key"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_changed(bench, operation, refusal):
    bench.ask(AGENTS)
    bench.ask(
        "ALTER TABLE agents ADD boss int CONSTRAINT boss_is_an_agent REFERENCES agents; CREATE TABLE keyless (a int)"
    )
    if "invalid" in refusal:
        bench.ask("ALTER TABLE agents DROP CONSTRAINT boss_is_an_agent")
    before = bench.world()

    with pytest.raises(OperationRefused, match=refusal):
        bench.up(operation)
    bench.down(operation)

    assert before.sentences(bench.world()) == []


def test_a_null_that_comes_before_the_promise_is_named_and_the_run_goes_on_when_it_is_gone(bench):
    bench.ask(AGENTS)
    with pytest.raises(Killed):
        bench.up(STRICT, die_in="promise")
    bench.ask("UPDATE agents SET endpoint = NULL WHERE id = 1")

    with pytest.raises(OperationFailed, match="endpoint"):
        bench.up(STRICT)
    bench.ask("UPDATE agents SET endpoint = '' WHERE id = 1")

    assert bench.up(STRICT) == 2


def test_triggers_are_skipped_or_fired_and_nothing_else():
    with pytest.raises(BadOperation):
        AddNotNull(table="t", column="c", triggers="maybe")
