"""The ledger writer: calls of many threads in one commit, each with its own answer."""

import asyncio
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from hansa.credits import commands, queries, writer
from hansa.credits.batches import APPLY
from hansa.credits.errors import HoldAlreadyMade, HoldEnded, InsufficientFunds
from hansa.credits.models import POOL, HoldState, Share
from hansa.credits.writer import LedgerWriter, WriterClosed, writer_of
from hansa.infra.db import DatabaseUnavailable, NumberOutOfRange

ALICE, BOB = "did:key:alice", "did:key:bob"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


class Observed(LedgerWriter):
    """A writer that remembers how many operations each of its transactions carried."""

    def __init__(self, db, **options):
        super().__init__(db, **options)
        self.sizes = []

    def _write(self, batch):
        self.sizes.append(len(batch))
        super()._write(batch)


@pytest.fixture
def observed(db):
    with db.transaction() as tx:
        for person in (ALICE, BOB):
            commands.deposit(tx, person, 1000, key=f"faucet:{person}", reason="for the test")
    return Observed(db)


def reserve(ledger, purpose, amount=10, account=ALICE):
    return ledger.reserve(account, amount, purpose_kind="test", purpose_id=purpose, expires_at=FAR)


class Caller(threading.Thread):
    """A call in a thread of its own, and what it gave or raised."""

    def __init__(self, call):
        super().__init__()
        self.call, self.answer = call, None
        self.start()

    def run(self):
        try:
            self.answer = self.call()
        except Exception as error:  # noqa: BLE001 - the test looks at whatever was raised
            self.answer = error

    def said(self):
        self.join(20)
        assert not self.is_alive(), "every caller gets an answer"
        return self.answer


@contextmanager
def account_locked(owner):
    """Somebody else works on Alice's account, so whoever writes now waits."""
    with owner.transaction():
        owner.execute("SELECT FROM credits.credit_accounts WHERE account = %s FOR UPDATE", [ALICE])
        yield


def waiting(ledger, count):
    """Wait until so many callers are in the queue, behind the one who writes."""
    until = time.monotonic() + 10
    while len(ledger._queue) < count:
        assert time.monotonic() < until
        time.sleep(0.002)


def together(owner, ledger, *calls):
    """Make one caller write first, and all these calls go with the next batch."""
    with account_locked(owner):
        first = Caller(lambda: reserve(ledger, "first", 1))
        while not ledger.sizes:
            time.sleep(0.002)
        callers = []
        for call in calls:
            callers.append(Caller(call))
            waiting(ledger, len(callers))
    assert first.said().state is HoldState.HELD
    return [caller.said() for caller in callers]


def account(db, name=ALICE):
    with db.transaction() as tx:
        assert queries.reconcile(tx) == []
        return queries.account_of(tx, name)


def test_a_caller_alone_writes_at_once_and_waits_for_nobody(observed, db):
    made = reserve(observed, "1", 100)
    observed.release(made.id)
    paid = reserve(observed, "2", 100)
    observed.capture(paid.id, [Share(account=BOB, amount=90), Share(account=POOL, amount=10)])
    observed.deposit(ALICE, 7, key="faucet:again", reason="more")

    assert observed.sizes == [1] * 5
    assert observed._expected == 1
    assert (account(db).balance, account(db).reserved, account(db, BOB).earned) == (907, 0, 90)


def test_a_hold_is_returned_as_it_is_in_the_books(observed, db, owner):
    alone = reserve(observed, "alone")
    (batched, _) = together(owner, observed, lambda: reserve(observed, "1"), lambda: reserve(observed, "2"))

    with db.transaction() as tx:
        assert queries.hold_of(tx, alone.id) == alone
        assert queries.hold_of(tx, batched.id) == batched


def test_whoever_comes_during_a_commit_goes_with_the_next_one_and_hears_his_own_answer(observed, db, owner):
    held = reserve(observed, "before", 100)

    answers = together(
        owner,
        observed,
        lambda: reserve(observed, "1", 500),
        lambda: reserve(observed, "2", 500),
        lambda: observed.release(held.id),
        lambda: observed.release(held.id),
        lambda: reserve(observed, "3", 5, "did:key:nobody"),
        lambda: observed.deposit(BOB, 5, key="faucet:bob:2", reason="more"),
    )

    assert observed.sizes == [1, 1, 6]
    assert answers[0].amount == 500
    assert isinstance(answers[1], InsufficientFunds)
    assert answers[1].facts == {"available": 399, "needed": 500, "missing": 101}
    assert isinstance(answers[3], HoldEnded)
    assert isinstance(answers[4], InsufficientFunds)
    assert (account(db).reserved, account(db, BOB).balance) == (501, 1005)


def test_a_call_that_poisons_a_batch_is_refused_alone(observed, db, owner):
    largest = 2**63 - 1

    answers = together(
        owner,
        observed,
        lambda: reserve(observed, "1"),
        lambda: observed.deposit(ALICE, largest, key="faucet:largest", reason="too much"),
        lambda: reserve(observed, "2"),
    )

    assert observed.sizes == [1, 3, 1, 1, 1]
    assert isinstance(answers[1], NumberOutOfRange)
    assert [answers[0].amount, answers[2].amount] == [10, 10]
    assert (account(db).balance, account(db).reserved) == (1000, 21)


def test_a_connection_that_is_lost_in_a_batch_is_told_to_each_and_did_nothing(observed, db, owner):
    with account_locked(owner):
        first = Caller(lambda: reserve(observed, "first"))
        while not observed.sizes:
            time.sleep(0.002)
        others = [Caller(lambda n=number: reserve(observed, str(n))) for number in range(3)]
        waiting(observed, 3)
        kill_the_one_who_waits(owner)
        assert isinstance(first.said(), DatabaseUnavailable)
        until = time.monotonic() + 10
        while observed.sizes != [1, 3] and time.monotonic() < until:
            time.sleep(0.002)
        kill_the_one_who_waits(owner)
        answers = [caller.said() for caller in others]

    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3
    assert len({id(answer) for answer in answers}) == 3
    assert account(db).reserved == 0
    assert reserve(observed, "first").amount == 10


def kill_the_one_who_waits(owner):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        owner.execute("SELECT pg_stat_clear_snapshot()")
        found = owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        ).fetchall()
        if found:
            return
        time.sleep(0.005)
    raise AssertionError("nobody waits")


def test_who_does_not_know_whether_it_was_committed_asks_again_and_finds_it_made(observed):
    made = reserve(observed, "once")
    observed.release(made.id)

    with pytest.raises(HoldAlreadyMade):
        reserve(observed, "once")
    with pytest.raises(HoldEnded):
        observed.release(made.id)


def test_a_batch_has_no_more_operations_than_it_may(db, owner, observed):
    small = Observed(db, batch_max=2)

    answers = together(owner, small, *[lambda n=number: reserve(small, str(n)) for number in range(5)])

    assert small.sizes == [1, 2, 2, 1]
    assert [answer.amount for answer in answers] == [10] * 5


def test_a_full_queue_makes_callers_wait_and_then_says_so(db, owner, observed, monkeypatch):
    monkeypatch.setattr(writer, "PATIENCE_S", 0.05)
    small = Observed(db, waiting_max=1)

    answers = []
    with account_locked(owner):
        first = Caller(lambda: reserve(small, "first"))
        while not small.sizes:
            time.sleep(0.002)
        second = Caller(lambda: reserve(small, "second"))
        waiting(small, 1)
        answers.append(Caller(lambda: reserve(small, "third")).said())

    assert isinstance(answers[0], DatabaseUnavailable)
    assert [first.said().purpose_id, second.said().purpose_id] == ["first", "second"]


def test_closing_waits_for_the_answers_and_takes_nothing_more(db, owner, observed):
    with account_locked(owner):
        callers = [Caller(lambda n=number: reserve(observed, str(n))) for number in range(4)]
        waiting(observed, 3)
        closing = Caller(observed.close)
        time.sleep(0.05)
        assert closing.is_alive()

    closing.said()
    assert [caller.said().amount for caller in callers] == [10] * 4
    with pytest.raises(WriterClosed):
        reserve(observed, "late")


def test_a_pool_has_one_writer_and_closes_it(db, observed):
    ledger = writer_of(db)

    assert writer_of(db) is ledger
    db.close()
    with pytest.raises(WriterClosed):
        reserve(ledger, "late")


def test_a_caller_who_is_interrupted_does_not_take_the_others_turn_with_him(observed, owner):
    with account_locked(owner):
        first = Caller(lambda: reserve(observed, "first"))
        while not observed.sizes:
            time.sleep(0.002)
        gone = writer.Waiting("not JSON", alone=None)
        with observed._changed:
            observed._queue.append(gone)
        other = Caller(lambda: reserve(observed, "other"))
        waiting(observed, 2)
        gone.woken = Broken()
        with pytest.raises(KeyboardInterrupt):
            observed._wait(gone)

    assert first.said().purpose_id == "first"
    assert other.said().purpose_id == "other"


class Broken:
    """A lock in the moment of an interrupt."""

    def acquire(self, **_):
        raise KeyboardInterrupt


def test_the_event_loop_is_never_blocked(observed):
    async def call():
        reserve(observed, "1")

    with pytest.raises(AssertionError, match="to_thread"):
        asyncio.run(call())


def test_after_a_fault_of_our_own_nothing_is_done_a_second_time(db, owner, observed, monkeypatch):
    def unreadable(*_):
        raise TypeError("rows do not fit")

    monkeypatch.setattr(APPLY, "factory", unreadable)

    answers = together(owner, observed, lambda: reserve(observed, "1"), lambda: reserve(observed, "2"))

    assert observed.sizes == [1, 2]
    assert [type(answer) for answer in answers] == [TypeError] * 2
    assert account(db).reserved == 21
