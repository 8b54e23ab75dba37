"""What an account may pay outside of holds: at once, in a day, and by whose decision."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from given.credits import as_operator, issued, numbers
from hansa.credits import commands, queries
from hansa.credits.errors import (
    AccountUnknown,
    DailyLimitReached,
    LimitsForbidden,
    LimitsNegative,
    TransferAboveLimit,
)
from hansa.credits.models import Limits, Share

ALICE, BOB = "did:key:alice", "did:key:bob"


@pytest.fixture
def pair(tx):
    """Two accounts with money, in a house where 100 may be paid at once and 250 in a day."""
    issued(tx, ALICE, 10_000)
    issued(tx, BOB, 10_000)
    with as_operator(tx) as operator:
        commands.set_limits(operator, transfer_max=100, day_max=250)


def test_one_payment_stays_within_its_limit(tx, pair):
    commands.transfer(tx, ALICE, BOB, 100)

    with pytest.raises(TransferAboveLimit) as refused, tx.savepoint():
        commands.transfer(tx, ALICE, BOB, 101)

    assert refused.value.facts == {"limit": 100, "amount": 101}
    assert numbers(tx, BOB)[0] == 10_100


def test_the_payments_of_a_day_stay_within_its_limit_and_fill_it_exactly(tx, pair):
    commands.transfer(tx, ALICE, BOB, 100)
    commands.spend(tx, ALICE, 100, key="fee", reason="fee")

    with pytest.raises(DailyLimitReached) as refused, tx.savepoint():
        commands.transfer(tx, ALICE, BOB, 51)
    commands.transfer(tx, ALICE, BOB, 50)

    facts = refused.value.facts
    assert {name: facts[name] for name in ("limit", "used", "amount")} == {"limit": 250, "used": 200, "amount": 51}
    resets_at = datetime.fromisoformat(facts["resets_at"]).astimezone(UTC)
    assert (resets_at.hour, resets_at.minute) == (0, 0)
    assert timedelta(0) < resets_at - tx.at <= timedelta(days=1)
    assert queries.allowance(tx, ALICE).left == 0


def test_deals_and_what_comes_in_do_not_count(tx, pair):
    made = commands.reserve(tx, ALICE, 5000, purpose_kind="test", purpose_id="1", expires_at=tx.at + timedelta(days=1))
    commands.capture(tx, made.id, [Share(account=BOB, amount=5000)])
    commands.transfer(tx, BOB, ALICE, 100)

    allowance = queries.allowance(tx, ALICE)

    assert (allowance.used, allowance.left, allowance.transfer_max) == (0, 250, 100)


def test_the_day_is_that_of_utc_and_yesterday_does_not_count(db, owner):
    with db.transaction() as tx:
        issued(tx, ALICE, 1000)
        issued(tx, BOB, 1)
        commands.transfer(tx, ALICE, BOB, 300)
        commands.transfer(tx, ALICE, BOB, 40)
    owner.execute("SET session_replication_role = replica")
    owner.execute(
        """
        UPDATE credits.postings SET created_at = date_trunc('day', now(), 'UTC') - interval '1 microsecond'
         WHERE amount = -300
        """
    )

    with db.transaction() as tx:
        tx.connection.execute("SET LOCAL timezone = 'Asia/Tokyo'")
        assert queries.allowance(tx, ALICE).used == 40


def test_an_account_with_limits_of_its_own_has_those_and_the_others_those_of_the_house(tx, pair):
    with as_operator(tx) as operator:
        own = commands.set_account_limits(operator, ALICE, transfer_max=1000)

    commands.transfer(tx, ALICE, BOB, 240)

    assert (own.transfer_max, own.day_max, own.changed_by) == (1000, None, "operator:tester")
    with pytest.raises(DailyLimitReached), tx.savepoint():
        commands.transfer(tx, ALICE, BOB, 11)
    with pytest.raises(TransferAboveLimit), tx.savepoint():
        commands.transfer(tx, BOB, ALICE, 240)


def test_what_is_not_named_stays_and_what_is_cleared_is_as_the_house(tx, pair):
    with as_operator(tx) as operator:
        commands.set_account_limits(operator, ALICE, transfer_max=7)
        both = commands.set_account_limits(operator, ALICE, day_max=9)
        house = commands.set_limits(operator, day_max=300)
        cleared = [commands.clear_account_limits(operator, ALICE) for _ in range(2)]

    assert (both.transfer_max, both.day_max) == (7, 9)
    assert house == queries.limits(tx) == Limits(transfer_max=100, day_max=300)
    assert cleared == [True, False]
    assert queries.account_limits(tx) == []
    assert queries.allowance(tx, ALICE).day_max == 300


def test_a_limit_of_zero_stops_payments_and_no_deals(tx, pair):
    with as_operator(tx) as operator:
        commands.set_account_limits(operator, ALICE, transfer_max=0)

    with pytest.raises(TransferAboveLimit), tx.savepoint():
        commands.transfer(tx, ALICE, BOB, 1)

    made = commands.reserve(tx, ALICE, 50, purpose_kind="test", purpose_id="1", expires_at=tx.at + timedelta(days=1))
    commands.capture(tx, made.id, [Share(account=BOB, amount=50)])
    assert numbers(tx, BOB)[0] == 10_050


def test_limits_are_set_by_operators_for_known_accounts_and_are_not_negative(tx, pair):
    attempts = [
        lambda by: commands.set_limits(by, day_max=1),
        lambda by: commands.set_account_limits(by, ALICE, day_max=1),
        lambda by: commands.clear_account_limits(by, ALICE),
    ]

    for attempt in attempts:
        with pytest.raises(LimitsForbidden), tx.savepoint():
            attempt(tx)
    with as_operator(tx) as operator:
        with pytest.raises(AccountUnknown), operator.savepoint():
            commands.set_account_limits(operator, "did:key:nobody", day_max=1)
        with pytest.raises(LimitsNegative), operator.savepoint():
            commands.set_account_limits(operator, ALICE, day_max=-1)
        with pytest.raises(LimitsNegative), operator.savepoint():
            commands.set_limits(operator, transfer_max=-1)

    assert queries.limits(tx) == Limits(transfer_max=100, day_max=250)


def test_postgresql_itself_lets_nobody_else_change_limits(tx, pair):
    changed = tx.connection.execute("UPDATE credits.limits SET day_max = 1").rowcount

    with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.savepoint():
        tx.connection.execute(
            "INSERT INTO credits.account_limits (account, changed_by) VALUES ('did:key:alice', 'somebody')"
        )

    assert changed == 0
    assert queries.limits(tx).day_max == 250
