"""Events: published with their data, delivered in order per key, at least once, with one effect."""

import threading
from dataclasses import dataclass
from typing import ClassVar

import pytest

from hansa.infra import outbox
from hansa.infra.db import Query
from hansa.infra.outbox import dispatch, publish, undelivered
from hansa.kernel.events import EVENTS, Event

NOTE = Query(int, "INSERT INTO public.notes (reaction, thing, n) VALUES (%(reaction)s, %(thing)s, %(n)s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Event):
    name: ClassVar[str] = "tests.counted"

    thing: str
    n: int

    def ordering_key(self):
        return self.thing


@pytest.fixture
def seen(owner, monkeypatch):
    """Notes what reactions did, and keeps the registry of reactions as it was."""
    owner.execute(
        "CREATE TABLE public.notes (id bigint GENERATED ALWAYS AS IDENTITY, reaction text, thing text, n int)"
    )
    owner.execute("GRANT SELECT, INSERT ON public.notes TO hansa_app")
    monkeypatch.setitem(EVENTS, Counted.name, Counted)
    monkeypatch.setitem(outbox.REACTIONS, Counted.name, [])

    def notes():
        return owner.execute("SELECT reaction, thing, n FROM public.notes ORDER BY id").fetchall()

    return notes


def react(name, act=lambda *_: None):
    """A reaction that notes the event and then does what the test wants."""

    def run(tx, event, event_id):
        tx.run(NOTE, reaction=name, thing=event.thing, n=event.n)
        act(event, event_id)

    outbox.REACTIONS[Counted.name].append(outbox.Reaction(name=name, event=Counted, run=run))


def told(db, *events):
    with db.transaction() as tx:
        return [publish(tx, Counted(thing=thing, n=n)) for thing, n in events]


def all_dispatched(db, rounds=50):
    for _ in range(rounds):
        if not dispatch(db):
            break
    with db.transaction() as tx:
        return undelivered(tx) == 0


def test_an_event_reaches_every_reaction_once(db, seen):
    react("first")
    react("second")
    told(db, ("a", 1))

    assert all_dispatched(db)
    assert all_dispatched(db)

    assert seen() == [("first", "a", 1), ("second", "a", 1)]


def test_an_event_of_a_rolled_back_transaction_never_was(db, seen):
    react("first")
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        publish(tx, Counted(thing="a", n=1))
        raise ZeroDivisionError

    assert all_dispatched(db)

    assert seen() == []


def test_events_of_one_key_keep_their_order_even_when_one_fails_at_first(db, seen, owner):
    failures = iter([True])

    def fail_once(event, _):
        if event.n == 1 and next(failures, False):
            raise RuntimeError("not yet")

    react("first", fail_once)
    told(db, ("a", 1), ("a", 2), ("b", 3))

    dispatch(db)
    assert ("first", "a", 2) not in seen(), "the second event must wait for the first"
    owner.execute("UPDATE ops.outbox SET due_at = clock_timestamp()")
    assert all_dispatched(db)

    assert [n for _, thing, n in seen() if thing == "a"] == [1, 2]
    assert ("first", "b", 3) in seen()


def test_a_failing_reaction_leaves_nothing_and_says_why(db, seen, owner):
    def fail(*_):
        raise RuntimeError("the reason")

    react("first", fail)
    [event] = told(db, ("a", 1))

    dispatch(db)

    assert seen() == []
    attempts, error, waiting = owner.execute(
        "SELECT attempts, last_error, due_at > clock_timestamp() FROM ops.outbox WHERE id = %s", [event]
    ).fetchone()
    assert (attempts, waiting) == (1, True)
    assert "the reason" in error


def test_a_second_delivery_after_a_crash_has_no_second_effect(db, seen, owner):
    react("first")
    [event] = told(db, ("a", 1))
    assert all_dispatched(db)
    # What a dispatcher leaves that died after the effect and before the tick:
    owner.execute("UPDATE ops.outbox SET delivered_at = NULL, due_at = clock_timestamp() WHERE id = %s", [event])

    assert all_dispatched(db)

    assert seen() == [("first", "a", 1)]


def test_many_dispatchers_at_once_deliver_each_event_once_and_in_order(db, seen):
    react("first")
    told(db, *[(f"thing {n % 5}", n) for n in range(60)])

    workers = [threading.Thread(target=lambda: all_dispatched(db)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all_dispatched(db)

    assert len(seen()) == 60
    for thing in range(5):
        order = [n for _, name, n in seen() if name == f"thing {thing}"]
        assert order == sorted(order)


def test_an_event_counts_as_delivered_when_all_before_it_are(db, seen, owner):
    first, second = told(db, ("a", 1), ("b", 2))
    owner.execute("UPDATE ops.outbox SET delivered_at = clock_timestamp() WHERE id = %s", [second])

    with db.transaction() as tx:
        assert not outbox.delivered(tx, second)
    assert all_dispatched(db)
    with db.transaction() as tx:
        assert outbox.delivered(tx, first)
        assert outbox.delivered(tx, second)


def test_an_event_without_reactions_is_delivered(db, seen):
    [event] = told(db, ("a", 1))

    assert all_dispatched(db)

    with db.transaction() as tx:
        assert outbox.delivered(tx, event)
