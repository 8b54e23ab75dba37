from uuid import uuid4

import pytest

from given.online import Killed
from hansa.migrate.online.constraints import ConstraintExists, RowsInTheWay
from hansa.migrate.online.errors import OperationFailed, OperationRefused
from hansa.migrate.online.kinds.add_check import AddCheck

ACCOUNTS = """
    CREATE TABLE accounts (id int, part int, balance int, note text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    CREATE TABLE accounts_1 PARTITION OF accounts FOR VALUES IN (1);
    CREATE TABLE accounts_2 PARTITION OF accounts FOR VALUES IN (2);
    INSERT INTO accounts SELECT n, 1 + n % 2, n, '100%' FROM generate_series(1, 30) AS n;
"""
NOT_NEGATIVE = AddCheck(table="accounts", name="not_negative", expression="balance >= 0 AND note LIKE '100%'")


def test_a_check_is_the_same_however_often_its_run_dies(bench):
    bench.ask(ACCOUNTS)

    bench.survives(NOT_NEGATIVE)

    assert bench.ask(
        "SELECT conrelid::regclass::text, convalidated FROM pg_constraint WHERE conname = 'not_negative' ORDER BY 1"
    ) == [
        ("accounts", True),
        ("accounts_1", True),
        ("accounts_2", True),
    ]


def test_rows_that_break_it_are_counted_and_shown_and_nothing_is_changed(bench):
    bench.ask(ACCOUNTS)
    bench.ask("UPDATE accounts SET balance = -1 WHERE id <= 12")
    before = bench.world()

    with pytest.raises(RowsInTheWay, match=r"12 rows of public.accounts break not_negative.*\(id, part\) = \(1, 2\), "):
        bench.up(NOT_NEGATIVE)

    assert before.sentences(bench.world()) == []


def test_a_row_that_comes_after_the_preflight_is_named_and_the_run_goes_on_when_it_is_gone(bench):
    bench.ask(ACCOUNTS)
    with pytest.raises(Killed):
        bench.up(NOT_NEGATIVE, die_in="constrain")
    bench.ask("UPDATE accounts SET balance = -1 WHERE id = 1")

    with pytest.raises(OperationFailed, match="not_negative") as failure:
        bench.up(NOT_NEGATIVE)
    bench.ask("UPDATE accounts SET balance = 1 WHERE id = 1")
    bench.up(NOT_NEGATIVE)

    assert failure.value.sqlstate == "23514"
    assert bench.one("SELECT bool_and(convalidated) FROM pg_constraint WHERE conname = 'not_negative'")


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (AddCheck(table="nowhere", name="c", expression="true"), "no table nowhere"),
        (AddCheck(table="accounts", name="accounts_pkey", expression="true"), "accounts_pkey already"),
        (AddCheck(table="accounts", name="c", expression="nothing > 0"), 'column "nothing" does not exist'),
        (AddCheck(table="accounts", name="c", expression="balance"), "argument of NOT must be type boolean"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_changed(bench, operation, refusal):
    bench.ask(ACCOUNTS)
    before = bench.world()

    with pytest.raises(OperationRefused, match=refusal) as refused:
        bench.up(operation)
    bench.down(operation)

    assert isinstance(refused.value, ConstraintExists) == ("pkey" in refusal)
    assert before.sentences(bench.world()) == []


def test_hidden_rows_are_refused_instead_of_overlooked(bench):
    bench.ask(ACCOUNTS)
    role = f"owner_{uuid4().hex}"
    bench.ask(f"CREATE ROLE {role}; GRANT ALL ON SCHEMA mig TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA mig TO {role}")
    bench.ask(f"ALTER TABLE accounts OWNER TO {role}; ALTER TABLE accounts ENABLE ROW LEVEL SECURITY")
    bench.ask("ALTER TABLE accounts FORCE ROW LEVEL SECURITY")

    try:
        with bench.session() as session:
            session.connection.execute(f"SET ROLE {role}")
            with pytest.raises(OperationRefused, match="row-level security of accounts"):
                bench.run_up(session, NOT_NEGATIVE)
    finally:
        bench.ask(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
