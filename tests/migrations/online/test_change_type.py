import psycopg
import pytest

from given.online import Killed
from given.writers import Writers
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.change_type import ChangeType, KeysCoincide, NoWayBack, RowsUnconvertible

INVOICES = """
    CREATE TABLE invoices (
      id int PRIMARY KEY, amount numeric(12, 2) NOT NULL DEFAULT 0, paid text, seen int NOT NULL DEFAULT 0,
      CONSTRAINT not_negative CHECK (amount >= 0), CONSTRAINT paid_once UNIQUE (paid)
    );
    COMMENT ON COLUMN invoices.amount IS 'in coins';
    COMMENT ON CONSTRAINT not_negative ON invoices IS 'nobody owes us less than nothing';
    CREATE INDEX by_amount ON invoices (amount DESC) WHERE seen = 0;
    GRANT SELECT (amount) ON invoices TO pg_monitor;
    INSERT INTO invoices SELECT n, n / 100.0, 'p' || n FROM generate_series(1, 1200) AS n;
"""
CENTS = ChangeType(
    table="invoices", column="amount", type="bigint", using="(amount * 100)::bigint", back="amount / 100.0", default="0"
)
NUMBER = ChangeType(table="invoices", column="paid", type="integer", using="substr(paid, 2)::int")


def test_a_type_changes_there_and_back_however_often_the_run_dies(bench):
    bench.ask(INVOICES)

    bench.survives(CENTS)

    assert bench.ask("SELECT pg_typeof(amount)::text, amount, amount__old FROM invoices WHERE id = 250") == [
        ("bigint", 250, 2.50)
    ]
    assert bench.one("SELECT pg_get_indexdef('by_amount'::regclass)").endswith("(amount DESC) WHERE (seen = 0)")
    assert bench.one("SELECT convalidated FROM pg_constraint WHERE conname = 'not_negative'")
    with pytest.raises(psycopg.errors.CheckViolation):
        bench.ask("UPDATE invoices SET amount = -1 WHERE id = 1")


def test_after_the_swap_the_old_column_follows_so_that_the_way_back_has_what_was_written_since(bench):
    bench.ask(INVOICES)

    bench.up(CENTS)
    bench.ask("UPDATE invoices SET amount = 777 WHERE id = 1; INSERT INTO invoices (id, amount) VALUES (9000, 1)")
    bench.ask("INSERT INTO invoices (id) VALUES (9001)")
    bench.down(CENTS)

    rows = bench.ask("SELECT id, amount::text FROM invoices WHERE id IN (1, 2, 9000, 9001) ORDER BY 1")
    assert rows == [(1, "7.77"), (2, "0.02"), (9000, "0.01"), (9001, "0.00")]


def test_values_that_the_way_back_cannot_compute_are_still_there_for_rows_nobody_changed(bench):
    bench.ask(INVOICES)
    before = bench.world()

    bench.up(NUMBER)
    number = bench.one("SELECT paid FROM invoices WHERE id = 7")
    bench.down(NUMBER)

    assert number == 7
    assert before.sentences(bench.world()) == []


def test_rows_for_which_the_expression_raises_are_listed_before_anything_is_changed(bench):
    bench.ask(INVOICES)
    bench.ask("UPDATE invoices SET paid = 'px' || id WHERE id % 100 = 0; UPDATE invoices SET paid = NULL WHERE id = 1")
    before = bench.world()

    with pytest.raises(RowsUnconvertible, match="12 rows cannot be converted") as refusal:
        bench.up(NUMBER)
    bench.ask("UPDATE invoices SET paid = 'p' || id WHERE id % 100 = 0")
    bench.up(NUMBER)
    bench.down(NUMBER)
    bench.ask("UPDATE invoices SET paid = 'px' || id WHERE id % 100 = 0")

    assert '(100): invalid input syntax for type integer: "x100"; (200): ' in str(refusal.value)
    assert str(refusal.value).count("invalid input") == 10
    assert before.sentences(bench.world()) == []


def test_a_text_that_would_be_cut_is_not_cut(bench):
    bench.ask(INVOICES)

    with pytest.raises(RowsUnconvertible, match=r"\(1000\): value too long for type character varying\(4\)"):
        bench.up(ChangeType(table="invoices", column="paid", type="varchar(4)", using="paid"))


def test_a_client_that_writes_what_cannot_be_converted_does_not_fail_but_holds_up_the_swap(bench):
    bench.ask(INVOICES)
    with pytest.raises(Killed):
        bench.up(NUMBER, die_in="check")
    bench.ask("UPDATE invoices SET paid = 'what' WHERE id = 5")

    with pytest.raises(RowsUnconvertible, match=r'since cannot be converted: \(5\): .*"hat"'):
        bench.up(NUMBER)
    bench.ask("UPDATE invoices SET paid = 'p5' WHERE id = 5")
    bench.up(NUMBER)

    assert bench.one("SELECT paid FROM invoices WHERE id = 5") == 5


def test_a_new_value_without_an_old_one_is_refused_by_the_way_back_until_it_is_changed(bench):
    bench.ask(INVOICES)
    operation = ChangeType(
        table="invoices", column="paid", type="text", using="paid || '!'", back="(1 / (length(paid) - 3))::text"
    )
    bench.up(operation)
    bench.ask("UPDATE invoices SET paid = 'abc' WHERE id = 5")

    with pytest.raises(NoWayBack, match=r"\(5\): division by zero"):
        bench.down(operation)
    bench.ask("UPDATE invoices SET paid = 'ab' WHERE id = 5")
    bench.down(operation)

    assert bench.ask("SELECT paid FROM invoices WHERE id IN (5, 6) ORDER BY id") == [("-1",), ("p6",)]


def test_keys_that_would_coincide_are_refused_before_anything_is_changed(bench):
    bench.ask(INVOICES)
    before = bench.world()

    with pytest.raises(KeysCoincide, match="paid_once is unique, and 9 of its keys"):
        bench.up(ChangeType(table="invoices", column="paid", type="text", using="substr(paid, 1, 2)"))

    assert before.sentences(bench.world()) == []


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"using": "nothing"}, 'using = .nothing.: column "nothing" does not exist'),
        (
            {"using": "point(amount::float8, 0)"},
            "using = .*: column .* is of type bigint but expression is of type point",
        ),
        ({"back": "amount::date"}, "back = .*: cannot cast type bigint to date"),
        ({"default": None}, "has the default 0; say the new one"),
        ({"default": "'x'"}, "default = .*: invalid input syntax for type bigint"),
        ({"type": "json", "using": "to_json(amount)"}, "index by_amount does not go with json"),
        ({"type": "text", "using": "amount::text"}, "not_negative does not go with text"),
        ({"type": "nothing"}, "no type nothing"),
        ({"column": "id"}, "invoices_pkey"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_changed(bench, changed, refusal):
    bench.ask(INVOICES)
    before = bench.world()
    entries = {
        "table": "invoices",
        "column": "amount",
        "type": "bigint",
        "using": "(amount * 100)::bigint",
        "default": "0",
    }
    operation = ChangeType(**(entries | changed))

    with pytest.raises(OperationRefused, match=refusal):
        bench.up(operation)
    bench.down(operation)

    assert before.sentences(bench.world()) == []


def test_what_depends_on_the_column_is_listed(bench):
    bench.ask(INVOICES)
    bench.ask("CREATE VIEW dues AS SELECT amount FROM invoices")

    with pytest.raises(OperationRefused, match="dues"):
        bench.up(CENTS)


def test_writers_beside_it_never_fail_and_lose_nothing(bench):
    bench.ask(INVOICES)
    bench.ask("ALTER TABLE invoices ALTER paid TYPE text, DROP CONSTRAINT paid_once; UPDATE invoices SET paid = '0'")
    operation = ChangeType(table="invoices", column="paid", type="integer", using="paid::int")

    with Writers(bench.dsn, "UPDATE invoices SET paid = '{value}' WHERE id = {row}", rows=1200) as writers:
        bench.up(operation)
        writers.write_some_more()
        bench.down(operation)
        writers.write_some_more()

    assert writers.failures == []
    assert writers.lost(bench.ask("SELECT id, paid::int FROM invoices")) == []


def test_old_column_must_be_another():
    with pytest.raises(BadOperation):
        ChangeType(table="t", column="c", type="int", using="c", old_column="c")
    with pytest.raises(BadOperation):
        ChangeType(table="t", column="c", type="int", using="c", triggers="maybe")


def test_prepared_statements_fail_at_most_once(bench):
    bench.ask(INVOICES)
    with psycopg.connect(bench.dsn, autocommit=True) as client:
        read = "SELECT amount FROM invoices WHERE id = %s"
        client.execute(read, [1], prepare=True)
        bench.up(CENTS)
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            client.execute(read, [1], prepare=True)
        client.execute("DEALLOCATE ALL")

        assert client.execute(read, [1]).fetchone() == (1,)
