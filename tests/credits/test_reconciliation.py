"""The books are compared with their postings every hour, and what was found is kept."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from hansa import migrate
from hansa.credits import commands, jobs, queries
from hansa.infra.queue import KNOWN
from hansa.migrate.losses import DataWouldBeLost
from hansa.migrations import DIRECTORY

ALICE = "did:key:alice"
REVISION, BEFORE = "20261121T010200_credit_movements", "20261121T005300_governance_in_use"


@pytest.fixture
def dsn(postgres, database):
    return postgres.dsn(role="postgres", database=database)


@pytest.fixture
def some_books(db):
    with db.transaction() as tx:
        commands.open_with_faucet(tx, ALICE, 1000)
        commands.reserve(tx, ALICE, 10, purpose_kind="test", purpose_id="1", expires_at=tx.at + timedelta(days=1))


def corrupt(owner):
    owner.execute("SET session_replication_role = replica")
    owner.execute("UPDATE credits.credit_accounts SET balance = balance + 7 WHERE account = %s", [ALICE])


def latest(db):
    with db.transaction() as tx:
        return queries.reconciliations(tx)


def test_every_hour_a_row_says_what_was_compared(db, services, some_books):
    jobs.reconcile(services)

    (found,) = latest(db)
    assert KNOWN.jobs["credits.reconcile"].cron == "17 * * * *"
    assert (found.accounts, found.movements, found.holds) == (5, 2, 1)
    assert (found.balanced, found.discrepancies) == (True, [])


def test_wrong_books_are_kept_named_and_logged_as_errors(db, owner, services, some_books):
    corrupt(owner)

    with capture_logs() as logs:
        jobs.reconcile(services)

    (found,) = latest(db)
    assert not found.balanced
    assert [(one.kind, one.subject) for one in found.discrepancies] == [("account", ALICE)]
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["kind"], line["subject"]) == ("account", ALICE)
    assert "1007" in line["finding"]


def test_reconciliations_are_kept_for_ninety_days_and_the_newest_comes_first(db, owner, services):
    for age in (89, 91):
        jobs.reconcile(services)
        owner.execute(
            "UPDATE credits.reconciliations SET at = at - %s WHERE at > now() - interval '1 day'", [timedelta(days=age)]
        )

    jobs.reconcile(services)

    found = latest(db)
    assert [(found[0].at - one.at).days for one in found] == [0, 89]


def test_verify_of_the_revision_looks_at_the_books(dsn, owner, some_books):
    right = migrate.verify(dsn, DIRECTORY, only=REVISION)
    corrupt(owner)
    wrong = migrate.verify(dsn, DIRECTORY, only=REVISION)

    assert right.ok
    assert [check.name for check in wrong.checks if not check.ok] == ["the books are right, system accounts included"]


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        (
            "DROP TRIGGER outgoing_is_covered ON credits.postings",
            "pool, treasury and escrow pay no more than they have",
        ),
        ("DROP TRIGGER holds_go_one_way ON credits.holds", "a hold that ended stays ended, and keeps its amount"),
        (
            "GRANT UPDATE ON credits.holds TO hansa_app",
            "the application changes of accounts and holds what its routines change",
        ),
        (
            (
                "CREATE OR REPLACE FUNCTION credits.limits_of(p_account text, OUT transfer_max bigint, OUT day_max bigint, "
                "OUT used bigint, OUT resets_at timestamptz) LANGUAGE sql AS 'SELECT 1, 1, 0, now()'"
            ),
            "an account that nobody spoke of has the limits of the house",
        ),
        (
            "ALTER TABLE credits.credit_accounts DROP CONSTRAINT only_the_mint_goes_below_zero",
            "no system account but the mint can go below zero",
        ),
    ],
)
def test_verify_of_the_revision_finds_what_is_broken(dsn, owner, broken, failed):
    owner.execute(broken)

    found = migrate.verify(dsn, DIRECTORY, only=REVISION)

    assert failed in [check.name for check in found.checks if not check.ok]


def test_the_way_back_and_up_again_keeps_every_credit(dsn, db, owner, some_books):
    with db.transaction() as tx:
        before = queries.account_of(tx, ALICE)
        money = queries.system_balances(tx)

    migrate.down(dsn, DIRECTORY, to=BEFORE)
    system = "SELECT balance FROM credits.credit_accounts WHERE kind = 'system'"
    between = [row[0] for row in owner.execute(system)]
    migrate.up(dsn, DIRECTORY)

    assert between == [0, 0, 0, 0]
    assert sorted(row[0] for row in owner.execute(system)) == [-1000, 0, 0, 0]
    with db.transaction() as tx:
        assert queries.account_of(tx, ALICE) == before
        assert queries.system_balances(tx) == money
        assert queries.reconcile(tx) == []
    assert migrate.verify(dsn, DIRECTORY, only=REVISION).ok


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("limits", "(transfer_max, day_max, changed_by) VALUES (1, 5, 'operator:anna')"),
        ("account_limits", "(account, day_max, changed_by) VALUES ('did:key:alice', 5, 'operator:anna')"),
        (
            "reconciliations",
            (
                "(accounts, movements, holds, discrepancies) "
                """VALUES (1, 1, 1, '[{"kind": "hold", "subject": "x", "finding": "y"}]')"""
            ),
        ),
    ],
)
def test_the_way_back_refuses_to_lose_what_operators_decided_and_what_was_found(dsn, owner, some_books, table, change):
    owner.execute(f"INSERT INTO credits.{table} {change}")

    with pytest.raises(DataWouldBeLost, match=rf"credits\.{table} \(1 row\)"):
        migrate.down(dsn, DIRECTORY, to=BEFORE)

    assert REVISION in {one[0] for one in owner.execute("SELECT id FROM mig.revisions").fetchall()}
