"""Proofs and rewards from many sessions at once: one proof is stored, one reward is paid, the books balance."""

import threading
from collections import Counter
from datetime import timedelta

import pytest

from given import registry
from given.proof import bygone, proven
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.credits.models import POOL
from hansa.infra.db import Actor
from hansa.kernel.errors import Refusal
from hansa.proof import commands, queries

TESTER = Actor(kind="system", did="tests")


def at_once(count, attempt):
    """Run one thing in many threads at once; how often each outcome was had."""
    barrier, outcomes = threading.Barrier(count), Counter()

    def run(number):
        barrier.wait()
        try:
            outcomes[attempt(number)] += 1
        except Refusal as refusal:
            outcomes[type(refusal).__name__] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def worker(db):
    with db.transaction() as tx:
        return registry.agent(tx).did


def test_of_twenty_copies_of_a_proof_one_is_stored(db, worker):
    def prove(_):
        with db.transaction() as tx:
            proven(tx, worker, trace="the trace")
        return "stored"

    outcomes = at_once(20, prove)

    assert outcomes == {"stored": 1, "UsefulWorkProvenBefore": 19}


def test_of_twenty_different_proofs_of_an_agent_one_is_stored(db, worker):
    def prove(number):
        with db.transaction() as tx:
            proven(tx, worker, trace=f"trace {number}")
        return "stored"

    outcomes = at_once(20, prove)

    assert outcomes == {"stored": 1, "ProofTooSoon": 19}


def test_proofs_of_different_agents_do_not_wait_for_each_other(db):
    with db.transaction() as tx:
        agents = [registry.agent(tx).did for _ in range(10)]

    def prove(number):
        with db.transaction() as tx:
            proven(tx, agents[number], trace="the trace")
        return "stored"

    assert at_once(10, prove) == {"stored": 10}


def test_four_runs_of_a_day_at_once_pay_every_reward_once(db, owner):
    agents = registry.crowd(owner, 150)
    for number, did in enumerate(agents):
        bygone(owner, did, 10 + number % 80, ago=timedelta(minutes=1))
    with db.transaction() as tx:
        ledger.deposit(tx, POOL, 1_000_000, key="pool", reason="shares of deals")
        day = commands.epoch_before(tx.at)
    counts = []

    def run(_):
        counts.append(commands.reward(db, TESTER, day))
        return "done"

    outcomes = at_once(4, run)

    with db.transaction() as tx:
        epoch = queries.reward_epoch(tx, day)
        balances = [books.account_of(tx, did).balance for did in agents]
        pool = {one.account: one.balance for one in books.system_balances(tx)}[POOL]
        assert books.reconcile(tx) == []
    assert outcomes == {"done": 4}
    assert sum(counts) == 150 == epoch.agents
    assert sum(balances) == epoch.reward_units == 1_000_000 - pool
    assert epoch.closed_at is not None


def test_two_days_opened_at_once_do_not_offer_the_same_money(db, worker, owner):
    bygone(owner, worker, 50, ago=timedelta(days=1))
    with db.transaction() as tx:
        ledger.deposit(tx, POOL, 10_000, key="pool", reason="shares of deals")
        day = commands.epoch_before(tx.at)

    def run(number):
        with db.transaction() as tx:
            commands.open_reward_epoch(tx, day - timedelta(days=number))
        return "done"

    at_once(2, run)

    with db.transaction() as tx:
        offers = sorted(epoch.offered_units for epoch in queries.reward_epochs(tx).items)
    assert offers == [900, 1000]
