"""Real sessions that move credits at once: limits, the pool and balances hold, and nobody waits in a circle."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from given.credits import as_operator, issued, on_system_accounts
from hansa.credits import commands, queries
from hansa.credits.models import POOL, TREASURY, Share, TxType
from hansa.kernel.errors import Refusal

ALICE, BOB, CAROL = "did:key:alice", "did:key:bob", "did:key:carol"


def race(db, *attempts):
    """Run all attempts at once, each in its own transaction; how often each refusal was given, or `done`."""
    barrier = threading.Barrier(len(attempts))

    def run(attempt):
        try:
            with db.transaction() as tx:
                barrier.wait()
                attempt(tx)
        except Refusal as refusal:
            return type(refusal).__name__
        return "done"

    with ThreadPoolExecutor(len(attempts)) as pool:
        return Counter(pool.map(run, attempts))


def transfers(count, payer, receiver, amount):
    return [lambda tx: commands.transfer(tx, payer, receiver, amount)] * count


def rewards(count, amount, *, same_account):
    return [
        lambda tx, n=n: commands.reward(
            tx, ALICE if same_account else f"did:key:{n}", {TxType.POU_COMPUTE: amount}, key=f"{n}", reason="useful"
        )
        for n in range(count)
    ]


@pytest.fixture
def rich(db):
    with db.transaction() as tx:
        for account in (ALICE, BOB, CAROL):
            issued(tx, account, 10_000)


def balanced(db):
    with db.transaction() as tx:
        return queries.reconcile(tx) == []


def balance(db, account):
    with db.transaction() as tx:
        return queries.account_of(tx, account).balance


def test_transfers_at_once_do_not_pass_together_what_a_day_allows(db, rich):
    with db.transaction() as tx, as_operator(tx) as operator:
        commands.set_limits(operator, day_max=1050)

    results = race(db, *transfers(16, ALICE, BOB, 100))

    assert results == {"done": 10, "DailyLimitReached": 6}
    assert balance(db, ALICE) == 9000
    assert balanced(db)


def test_transfers_at_once_do_not_spend_the_same_money_twice(db, rich):
    results = race(db, *transfers(16, ALICE, BOB, 1500))

    assert results == {"done": 6, "InsufficientFunds": 10}
    assert (balance(db, ALICE), balance(db, BOB)) == (1000, 19_000)
    assert balanced(db)


def test_transfers_in_a_circle_never_wait_for_each_other_for_ever(db, rich):
    pairs = [(ALICE, BOB), (BOB, CAROL), (CAROL, ALICE), (BOB, ALICE), (CAROL, BOB), (ALICE, CAROL)]

    results = race(db, *[attempt for payer, receiver in pairs for attempt in transfers(5, payer, receiver, 10)])

    assert results == {"done": 30}
    assert [balance(db, account) for account in (ALICE, BOB, CAROL)] == [10_000] * 3
    assert balanced(db)


@pytest.mark.parametrize("same_account", [True, False])
def test_rewards_at_once_do_not_overdraw_the_pool_together(db, same_account):
    with db.transaction() as tx:
        issued(tx, POOL, 1000)

    results = race(db, *rewards(16, 150, same_account=same_account))

    assert results == {"done": 6, "PoolTooSmall": 10}
    with db.transaction() as tx:
        assert on_system_accounts(tx)["pool"] == 100
    assert balanced(db)


def test_who_counts_the_pool_anew_waits_for_who_is_being_paid_from_it(db, owner):
    with db.transaction() as tx:
        issued(tx, POOL, 1000)

    with ThreadPoolExecutor(1) as another, db.transaction() as first:
        commands.reward(first, ALICE, {TxType.POU_COMPUTE: 600}, key="first", reason="useful")
        (second,) = rewards(1, 600, same_account=False)
        results = another.submit(race, db, second)
        wait_for_a_waiter(owner)

    assert results.result() == {"PoolTooSmall": 1}
    assert balanced(db)


def wait_for_a_waiter(owner):
    """Until some session waits for a lock."""
    deadline = time.monotonic() + 10
    while not owner.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchall():
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def test_one_reward_is_paid_once_however_many_ask(db):
    with db.transaction() as tx:
        issued(tx, POOL, 1000)

    results = race(
        db, *[lambda tx: commands.reward(tx, ALICE, {TxType.POU_MEMORY: 10}, key="epoch 1", reason="useful")] * 8
    )

    assert results == {"done": 1, "MovementAlreadyMade": 7}
    assert balance(db, ALICE) == 10


def held(tx, account, amount, purpose):
    return commands.reserve(
        tx, account, amount, purpose_kind="test", purpose_id=purpose, expires_at=tx.at + timedelta(days=1)
    )


def test_a_settlement_does_not_wait_while_somebody_is_paid_from_the_pool(db, rich):
    with db.transaction() as tx:
        issued(tx, POOL, 1000)
        hold = held(tx, ALICE, 100, "1")

    with db.transaction() as paying:
        commands.reward(paying, BOB, {TxType.POU_COMPUTE: 500}, key="1", reason="useful")
        with db.transaction() as settling:
            settling.connection.execute("SET LOCAL lock_timeout = '200ms'")
            commands.capture(settling, hold.id, [Share(account=CAROL, amount=70), Share(account=POOL, amount=30)])

    with db.transaction() as tx:
        assert on_system_accounts(tx)["pool"] == 530
    assert balanced(db)


def test_settlements_feed_the_pool_while_it_pays_and_it_never_pays_what_is_not_there(db, rich):
    with db.transaction() as tx:
        holds = [held(tx, ALICE, 100, f"{n}").id for n in range(12)]
    settlements = [lambda tx, h=h: commands.capture(tx, h, [Share(account=POOL, amount=100)]) for h in holds]

    results = race(db, *settlements, *rewards(12, 130, same_account=False))

    paid = results["done"] - 12
    with db.transaction() as tx:
        assert on_system_accounts(tx)["pool"] == 1200 - 130 * paid >= 0
    assert paid + results["PoolTooSmall"] == 12
    assert balanced(db)


def test_fees_and_earnings_of_the_treasury_at_once_keep_it_above_zero(db, rich):
    spends = [lambda tx, n=n: commands.spend(tx, ALICE, 10, key=f"fee {n}", reason="fee") for n in range(12)]
    earns = [lambda tx, n=n: commands.earn(tx, BOB, 15, key=f"bounty {n}", reason="bounty") for n in range(12)]

    results = race(db, *spends, *earns)

    with db.transaction() as tx:
        treasury = on_system_accounts(tx)[TREASURY.removeprefix("system:")]
    assert treasury == 120 - 15 * (results["done"] - 12) >= 0
    assert set(results) <= {"done", "HouseFundsTooSmall"}
    assert balanced(db)


def test_a_hold_is_released_by_its_owner_or_expires_but_not_both(db, rich):
    with db.transaction() as tx:
        hold = commands.set_aside(tx, ALICE, 100, purpose="rent", lasts=timedelta(0), at=tx.at)

    race(db, lambda tx: commands.release_own(tx, hold.id, by=ALICE), commands.expire_holds, commands.expire_holds)

    with db.transaction() as tx:
        lines = [line.tx_type for line in queries.statement(tx, ALICE).items]
        assert queries.account_of(tx, ALICE).reserved == 0
    assert lines.count(TxType.RELEASE) == 2
    assert balanced(db)
