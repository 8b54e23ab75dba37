import pytest

from given.online import Killed
from hansa.migrate.online.errors import BadOperation
from hansa.migrate.online.kinds.change_type import ChangeType, Contracted
from hansa.migrate.online.kinds.contract_type import ContractType, NothingToContract, ValuesLost

CHANGING, CONTRACTING = "20260101T000000_change", "20260102T000000_contract"
READINGS = """
    CREATE TABLE readings (sensor int, at int, level text NOT NULL, PRIMARY KEY (sensor, at));
    COMMENT ON COLUMN readings.level IS 'as it was read';
    INSERT INTO readings SELECT n % 7, n, CASE n % 3 WHEN 0 THEN ' ' || n ELSE n::text END FROM generate_series(1, 1200) AS n;
"""
NUMBERS = ChangeType(table="readings", column="level", type="integer", using="trim(level)::int")
CONTRACTION = ContractType(of=CHANGING)


def test_the_old_column_goes_and_comes_back_whole_however_often_the_run_dies(bench):
    bench.ask(READINGS)
    before = bench.world()
    bench.up(NUMBERS, revision=CHANGING)

    bench.survives(CONTRACTION)

    assert bench.ask("SELECT count(*) FROM mig.preimages") == [(400,)]
    assert bench.ask("SELECT attname FROM pg_attribute WHERE attrelid = 'readings'::regclass AND attname ~ 'old'") == []
    bench.down(CONTRACTION)
    bench.down(NUMBERS, revision=CHANGING)
    assert before.sentences(bench.world()) == []


def test_a_row_that_was_changed_since_gets_what_the_expression_back_says(bench):
    bench.ask(READINGS)
    bench.up(NUMBERS, revision=CHANGING)
    bench.up(CONTRACTION, revision=CONTRACTING)

    bench.ask("UPDATE readings SET level = 77 WHERE at = 3; INSERT INTO readings VALUES (1, 5000, 88)")
    bench.down(CONTRACTION, revision=CONTRACTING)
    bench.ask("UPDATE readings SET level = 99 WHERE at = 6")
    bench.down(NUMBERS, revision=CHANGING)

    rows = bench.ask("SELECT at, level FROM readings WHERE at IN (3, 6, 9, 10, 5000) ORDER BY at")
    assert rows == [(3, "77"), (6, "99"), (9, " 9"), (10, "10"), (5000, "88")]


def test_a_row_that_left_its_value_and_came_back_in_between_does_not_hold_up_the_contraction(bench):
    bench.ask(READINGS)
    bench.up(NUMBERS, revision=CHANGING)
    with pytest.raises(Killed):
        bench.up(CONTRACTION, revision=CONTRACTING, die_in="check")

    bench.ask("UPDATE readings SET level = 77 WHERE at = 3")
    bench.ask("UPDATE readings SET level = 3 WHERE at = 3")
    bench.up(CONTRACTION, revision=CONTRACTING)
    bench.down(CONTRACTION, revision=CONTRACTING)
    bench.down(NUMBERS, revision=CHANGING)

    rows = bench.ask("SELECT at, trim(level) FROM readings WHERE at IN (3, 9) ORDER BY at")
    assert rows == [(3, "3"), (9, "9")]


def test_an_old_value_that_neither_the_expression_nor_what_was_kept_gives_stops_the_contraction(bench):
    bench.ask(READINGS)
    bench.up(NUMBERS, revision=CHANGING)
    with pytest.raises(Killed):
        bench.up(CONTRACTION, revision=CONTRACTING, die_in="check")
    bench.ask("SET session_replication_role = replica")
    bench.ask("ALTER TABLE readings DISABLE TRIGGER ALL")
    bench.ask("UPDATE readings SET level__old = 'smudged' WHERE at = 3")
    bench.ask("RESET session_replication_role")

    with pytest.raises(ValuesLost, match="1 old values are not kept"):
        bench.up(CONTRACTION, revision=CONTRACTING)

    assert bench.one("SELECT level__old FROM readings WHERE at = 3") == "smudged"


def test_a_change_of_type_is_not_taken_back_past_its_contraction(bench):
    bench.ask(READINGS)
    bench.up(NUMBERS, revision=CHANGING)
    bench.up(CONTRACTION, revision=CONTRACTING)

    with pytest.raises(Contracted, match="level__old is gone"):
        bench.down(NUMBERS, revision=CHANGING)


def test_only_a_finished_change_of_type_is_contracted(bench):
    bench.ask(READINGS)
    with pytest.raises(NothingToContract):
        bench.up(CONTRACTION, revision=CONTRACTING)
    with pytest.raises(Killed):
        bench.up(NUMBERS, revision=CHANGING, die_in="swap")

    with pytest.raises(NothingToContract, match="no change of type that is applied"):
        bench.up(CONTRACTION, revision=CONTRACTING)

    assert bench.one("SELECT count(level__new) FROM readings") == 1200


@pytest.mark.parametrize("entries", [{"operation": 0}, {"triggers": "maybe"}])
def test_entries_say_what_they_may(entries):
    with pytest.raises(BadOperation):
        ContractType(of=CHANGING, **entries)
