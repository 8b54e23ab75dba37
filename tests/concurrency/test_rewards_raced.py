"""Proofs and rewards from many sessions at once: one proof is stored, one reward is paid, the books balance."""

import threading
import time
from collections import Counter
from datetime import timedelta

import pytest

from given import registry
from given.credits import issued
from given.proof import bygone, proven
from hansa.credits import queries as books
from hansa.credits.models import POOL
from hansa.infra.db import Actor
from hansa.kernel.errors import Refusal
from hansa.proof import commands, queries

TESTER = Actor(kind="system", did="tests")


def at_once(count, attempt):
    """Run one thing in many threads, which wait for each other where it says so; how often each outcome was had."""
    barrier, outcomes = threading.Barrier(count), Counter()

    def run(number):
        try:
            attempt(number, barrier.wait)
            outcomes["done"] += 1
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
    def prove(_, together):
        with db.transaction() as tx:
            together()
            proven(tx, worker, trace="the trace")

    outcomes = at_once(20, prove)

    with db.transaction() as tx:
        assert len(queries.usefulness_proofs(tx, worker).items) == 1
    assert outcomes == {"done": 1, "UsefulWorkProvenBefore": 19}


def test_of_twenty_different_proofs_of_an_agent_one_is_stored(db, worker):
    def prove(number, together):
        with db.transaction() as tx:
            together()
            proven(tx, worker, trace=f"trace {number}")

    outcomes = at_once(20, prove)

    with db.transaction() as tx:
        assert len(queries.usefulness_proofs(tx, worker).items) == 1
    assert outcomes == {"done": 1, "ProofTooSoon": 19}


def test_a_proof_waits_for_the_one_before_it_and_then_sees_it(db, owner, worker):
    def prove(number, together):
        if number:
            together()
        with db.transaction() as tx:
            proven(tx, worker, trace=f"trace {number}")
            if not number:
                together()
                assert waits(owner), "the second proof waits until the first is stored"

    assert at_once(2, prove) == {"done": 1, "ProofTooSoon": 1}


def waits(owner):
    """Whether another session comes to wait for an advisory lock, within ten seconds."""
    for _ in range(1000):
        waiting = owner.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
        if waiting[0]:
            return True
        time.sleep(0.01)
    return False


def test_proofs_of_different_agents_do_not_wait_for_each_other(db):
    with db.transaction() as tx:
        agents = [registry.agent(tx).did for _ in range(10)]

    def prove(number, together):
        with db.transaction() as tx:
            proven(tx, agents[number], trace="the trace")
            together()  # all have proven before one of them commits

    assert at_once(10, prove) == {"done": 10}


def test_four_runs_of_a_day_at_once_pay_every_reward_once(db, owner):
    agents = registry.crowd(owner, 150)
    for number, did in enumerate(agents):
        bygone(owner, did, 10 + number % 80, ago=timedelta(minutes=1))
    with db.transaction() as tx:
        issued(tx, POOL, 1_000_000)
        day = commands.epoch_before(tx.at)
    counts = []

    def run(_, together):
        together()
        counts.append(commands.reward(db, TESTER, day))

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
        issued(tx, POOL, 10_000)
        day = commands.epoch_before(tx.at)

    def run(number, together):
        with db.transaction() as tx:
            together()
            commands.open_reward_epoch(tx, day - timedelta(days=number))

    at_once(2, run)

    with db.transaction() as tx:
        offers = sorted(epoch.offered_units for epoch in queries.reward_epochs(tx).items)
    assert offers == [900, 1000]
