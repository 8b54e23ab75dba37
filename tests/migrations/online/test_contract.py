"""The old column of a conversion goes, and can be made again with every text it held."""

import threading
from dataclasses import replace

import psycopg
import pytest

from given.online import QUICK, REVISION, Bench, Killed, _dying
from hansa.migrate.online import engine
from hansa.migrate.online.errors import BadOperation
from hansa.migrate.online.kinds.contract import Contract, NothingToContract
from hansa.migrate.online.kinds.convert_to_enum import Contracted, ConvertToEnum
from hansa.migrate.online.relations import InTheWay, TriggersWouldFire
from hansa.migrate.online.values import ValueMap

LATER = "20260102T000000_contract"
CONVERSION = ConvertToEnum(
    table="agents",
    column="status",
    type="agent_status",
    map=ValueMap(
        values={"active": "active", "revoked": "retired", "banned": "retired"},
        quarantine=("unknown",),
        fold=("trim", "lower"),
    ),
    nulls="active",
    in_place_below_rows=0,
)
CONTRACT = Contract(of=REVISION)
AGENTS = """
    CREATE TYPE agent_status AS ENUM ('active', 'suspended', 'retired');
    CREATE TABLE agents (org text, id integer, status varchar(12) DEFAULT 'active', PRIMARY KEY (id, org));
    COMMENT ON COLUMN agents.status IS 'Only an active agent may act.';
    CREATE INDEX agents_by_status ON agents (status);
    INSERT INTO agents
    SELECT 'o' || n % 3, n, (ARRAY['active', 'Active ', NULL, 'REVOKED', 'banned', 'unknown'])[1 + n % 6]
    FROM generate_series(1, 600) AS n;
"""


@pytest.fixture
def agents(bench: Bench) -> Bench:
    bench.ask(AGENTS)
    return bench


def contract(bench: Bench, direction: str = "up", *, die_in: str | None = None, operation: Contract = CONTRACT) -> None:
    with bench.session(QUICK) as session:
        run = engine.run_up if direction == "up" else engine.run_down
        run(session, LATER, [_dying(operation, die_in)])
        if direction == "down":
            bench.ask("DELETE FROM mig.operations WHERE revision = %s", LATER)


def olds(bench: Bench) -> list[tuple]:
    return bench.ask("SELECT id, status__old, status::text FROM agents ORDER BY id")


def test_the_old_column_goes_and_everything_comes_back(agents):
    before = agents.world()
    agents.up(CONVERSION)
    converted = agents.world()

    contract(agents)

    assert agents.ask(
        "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'agents' ORDER BY ordinal_position"
    ) == [
        ("org",),
        ("id",),
        ("status",),
    ]
    assert agents.one("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'agents'::regclass") == 0
    assert agents.ask("SELECT original, converted, count(*) FROM mig.preimages GROUP BY 1, 2 ORDER BY 1") == [
        ("Active ", "active", 100),
        ("REVOKED", "retired", 100),
        ("banned", "retired", 100),
        (None, "active", 100),
    ]
    contract(agents, "down")
    assert converted.sentences(agents.world()) == []
    agents.down(CONVERSION)
    assert before.sentences(agents.world()) == []
    agents.up(CONVERSION)
    contract(agents)
    assert agents.one("SELECT count(*) FROM mig.preimages") == 400


def test_a_row_that_was_changed_since_comes_back_as_its_label(agents):
    agents.up(CONVERSION)
    contract(agents)

    agents.ask("UPDATE agents SET status = 'suspended' WHERE id = 3")
    agents.ask("UPDATE agents SET org = org || '' WHERE id = 9")
    agents.ask("INSERT INTO agents (org, id, status) VALUES ('o', 1000, 'retired')")
    contract(agents, "down")

    assert [row for row in olds(agents) if row[0] in {3, 9, 1000}] == [
        (3, "suspended", "suspended"),
        (9, "REVOKED", "retired"),
        (1000, "retired", "retired"),
    ]


def test_what_was_changed_before_the_contract_is_kept_as_it_was_then(agents):
    agents.up(CONVERSION)
    agents.ask("UPDATE agents SET status = 'suspended' WHERE id = 3")
    agents.ask("UPDATE agents SET status = 'retired' WHERE id = 3")
    agents.ask("DELETE FROM agents WHERE id = 9")
    before = olds(agents)

    contract(agents)
    agents.ask("INSERT INTO agents (org, id, status) VALUES ('o0', 9, 'retired')")
    contract(agents, "down")

    assert [row for row in olds(agents) if row[0] != 9] == before
    assert [row for row in olds(agents) if row[0] in {3, 9}] == [(3, "retired", "retired"), (9, "retired", "retired")]


def test_dying_in_every_step_loses_nothing(agents):
    agents.up(CONVERSION)
    converted = agents.world()

    for step in CONTRACT.up():
        with pytest.raises(Killed):
            contract(agents, die_in=step.name)
        contract(agents, "down")
        assert converted.sentences(agents.world()) == [], step.name
    for step in CONTRACT.up():
        with pytest.raises(Killed):
            contract(agents, die_in=step.name)
    contract(agents)
    contracted = agents.world()
    for step in CONTRACT.down():
        with pytest.raises(Killed):
            contract(agents, "down", die_in=step.name)
        contract(agents)
        assert contracted.sentences(agents.world()) == [], step.name
        with pytest.raises(Killed):
            contract(agents, "down", die_in=step.name)
    contract(agents, "down")

    assert converted.sentences(agents.world()) == []


def test_what_a_client_inserts_by_position_in_the_last_moment_is_kept(agents):
    agents.up(CONVERSION)
    with pytest.raises(Killed):
        contract(agents, die_in="check")

    agents.ask("INSERT INTO agents VALUES ('o', 1000, 'BANNED')")
    contract(agents)
    contract(agents, "down")

    assert olds(agents)[-1] == (1000, "BANNED", "retired")


def test_clients_go_on_while_the_old_column_is_filled_again(agents):
    agents.up(CONVERSION)
    contract(agents)
    enough, failed = threading.Event(), []

    def write() -> None:
        with psycopg.connect(agents.dsn, autocommit=True) as connection:
            n = 0
            while not enough.is_set():
                n += 1
                try:
                    connection.execute(
                        "UPDATE agents SET status = %s WHERE id = %s", [["suspended", "active"][n % 2], 1 + n % 50]
                    )
                except psycopg.Error as error:
                    failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    contract(agents, "down")
    enough.set()
    thread.join()

    assert failed == []
    wrong = "SELECT count(*) FROM agents WHERE id <= 50 AND status__old NOT IN (status::text, 'Active ') "
    assert agents.one(wrong + "AND NOT (status = 'retired' AND status__old IN ('REVOKED', 'banned'))") == 0
    assert agents.one("SELECT count(*) FROM agents WHERE status__old IS NULL") <= 100


def test_a_conversion_cannot_be_taken_back_over_its_contract(agents):
    agents.up(CONVERSION)
    contract(agents)

    with pytest.raises(Contracted, match="status__old is gone; take back the revision that dropped it"):
        agents.down(CONVERSION)


def test_a_conversion_in_place_leaves_nothing_to_contract(agents):
    operation = replace(CONVERSION, in_place_below_rows=1000)
    before = agents.world()
    agents.up(operation)
    converted = agents.world()

    contract(agents)
    assert converted.sentences(agents.world()) == []
    contract(agents, "down")

    agents.down(operation)
    assert before.sentences(agents.world()) == []


def test_only_a_finished_conversion_can_be_contracted(agents):
    with pytest.raises(NothingToContract):
        contract(agents)
    with pytest.raises(Killed):
        agents.up(CONVERSION, die_in="analyze")
    with pytest.raises(NothingToContract, match=f"{REVISION}, operation 1"):
        contract(agents)
    agents.up(CONVERSION)
    agents.ask("DELETE FROM mig.operations WHERE revision = %s", LATER)
    with pytest.raises(NothingToContract):
        contract(agents, operation=Contract(of=REVISION, operation=2))


def test_what_still_reads_the_old_column_is_named(agents):
    agents.up(CONVERSION)
    agents.ask("CREATE VIEW report AS SELECT status__old FROM agents")

    with pytest.raises(InTheWay, match=r"status__old is used by: rule _RETURN on view public\.report"):
        contract(agents)


def test_triggers_of_users_keep_quiet_while_it_is_filled_unless_they_always_fire(agents):
    agents.ask("""
        CREATE TABLE log (id integer);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
          AS 'BEGIN INSERT INTO public.log VALUES (NEW.id); RETURN NEW; END';
        CREATE TRIGGER note AFTER UPDATE ON agents FOR EACH ROW EXECUTE FUNCTION note();
    """)
    agents.up(CONVERSION)
    contract(agents)
    contract(agents, "down")
    assert agents.one("SELECT count(*) FROM log") == 0
    agents.ask("ALTER TABLE agents ENABLE ALWAYS TRIGGER note")

    with pytest.raises(TriggersWouldFire, match="note on agents"):
        contract(agents)
    agents.ask("DELETE FROM mig.operations WHERE revision = %s", LATER)
    contract(agents, operation=replace(CONTRACT, triggers="fire"))
    contract(agents, "down", operation=replace(CONTRACT, triggers="fire"))

    assert agents.one("SELECT count(*) FROM log") == 400


def test_nonsense_is_refused_when_it_is_read():
    for change in ({"operation": 0}, {"triggers": "sometimes"}):
        with pytest.raises(BadOperation):
            replace(CONTRACT, **change)
