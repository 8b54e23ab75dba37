"""A sweep that moves money of several accounts takes them in the order of their names, as every payment does."""

import threading
import time
from datetime import timedelta

import pytest

from given import deals
from given.credits import as_operator
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.proof import commands as proof


@pytest.fixture
def first_and_second(db):
    """Two agents in the order of their names."""
    with db.transaction() as tx:
        return sorted(deals.rich_agent(tx, name) for name in ("One", "Other"))


def lapsing(tx, owner, names):
    """Money set aside that is over; the second agent's for longer."""
    for hours, name in enumerate(names, start=1):
        ledger.set_aside(tx, name, 10, purpose="over", lasts=timedelta(hours=-hours), at=tx.at)
    return ledger.expire_holds


def asked_back(tx, owner, names):
    """Stakes to give back; the second agent asked first."""
    with as_operator(tx) as operator:
        proof.set_attestation_policy(operator, unbonding_s=0)
    for name in reversed(names):
        proof.lock_stake(tx, 10, by=name)
        proof.unlock_stake(tx, by=name)
    return lambda tx: proof.tend_stakes(tx, at=tx.at)


def wait_until_somebody_waits(owner):
    for _ in range(500):
        if owner.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,):
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("given", [lapsing, asked_back])
def test_a_sweep_and_two_payments_of_one_transaction_do_not_wait_in_a_circle(db, owner, first_and_second, given):
    first, second = first_and_second
    with db.transaction() as tx:
        sweep = given(tx, owner, first_and_second)
    swept = []

    def run():
        with db.transaction() as tx:
            swept.append(sweep(tx))

    sweeper = threading.Thread(target=run)
    with db.transaction() as tx:
        ledger.spend(tx, first, 1, key="fee:1", reason="a fee")
        sweeper.start()
        wait_until_somebody_waits(owner)
        ledger.spend(tx, second, 1, key="fee:2", reason="a fee")
    sweeper.join()

    assert swept == [2]
    with db.transaction() as tx:
        assert [books.account_of(tx, name).reserved for name in first_and_second] == [0, 0]
        assert books.reconcile(tx) == []
