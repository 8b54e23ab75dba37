"""Events through an outbox: published with the data they speak of, delivered at least once, in order per key.

A reaction is a command of a higher context that runs when a lower one has published something. It runs in a
transaction of its own, together with a row in `ops.effects`: an event that is delivered twice has one effect.
Nothing notifies on the hot path; the dispatcher polls (a NOTIFY in each transaction halves the throughput).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from hansa.infra.db import Actor, Db, JsonObject, Query, Tx
from hansa.infra.log import logger
from hansa.kernel.errors import Refusal
from hansa.kernel.events import EVENTS, Event
from hansa.kernel.ids import EventId

log = logger(__name__)
E = TypeVar("E", bound=Event)

LEASE = timedelta(seconds=30)
"""How long a dispatcher may work on an event before another one takes it over."""
BACKOFF_S_MAX = 60
BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """An event as it waits for delivery."""

    id: EventId
    name: str
    payload: JsonObject
    actor: str
    trace: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEvent:
    """An event as those see it who watch, whether it was delivered to reactions or not."""

    id: EventId
    ordering_key: str
    name: str
    payload: JsonObject
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What a context does about an event; its name is the key of its effect."""

    name: str
    event: type[Event]
    run: Callable[[Tx, Any, EventId], object]  # Any: the event's own class, which `event` names


REACTIONS: dict[str, list[Reaction]] = {}
"""Event name -> reactions, in the order in which the contexts were loaded: low to high."""


def on(event: type[E]) -> Callable[[Callable[[Tx, E, EventId], object]], Callable[[Tx, E, EventId], object]]:
    """Make a function a reaction to an event: `(tx, event, event_id)`."""

    def register(run: Callable[[Tx, E, EventId], object]) -> Callable[[Tx, E, EventId], object]:
        name = f"{run.__module__.removeprefix('hansa.')}.{run.__name__}"
        known = REACTIONS.setdefault(event.name, [])
        assert all(reaction.name != name for reaction in known), f"two reactions are called {name}"
        known.append(Reaction(name=name, event=event, run=run))
        return run

    return register


PUBLISH = Query(
    EventId,
    """
    INSERT INTO ops.outbox (name, version, ordering_key, payload)
    VALUES (%(name)s, %(version)s, %(ordering_key)s, %(payload)s)
    RETURNING id
    """,
)


def publish(tx: Tx, event: Event) -> EventId:
    """Publish a fact in the transaction that makes it true; returns the id that `?after=` waits for."""
    return tx.one(PUBLISH, **row_of(event))


def row_of(event: Event) -> JsonObject:
    """An event as the columns of the outbox."""
    return {
        "name": event.name,
        "version": event.version,
        "ordering_key": event.ordering_key(),
        "payload": to_jsonable_python(dataclasses.asdict(event)),
    }


PUBLISH_ALL = Query(
    int,
    """
    INSERT INTO ops.outbox (name, version, ordering_key, payload)
    SELECT fact.name, fact.version, fact.ordering_key, fact.payload
      FROM unnest(%(names)s::text[], %(versions)s::integer[], %(ordering_keys)s::text[], %(payloads)s::jsonb[])
           WITH ORDINALITY AS fact (name, version, ordering_key, payload, position)
     ORDER BY fact.position
    """,
)


def publish_all(tx: Tx, events: Sequence[Event]) -> None:
    """Publish many facts in one statement, in their order."""
    if events:
        tx.run(
            PUBLISH_ALL,
            names=[event.name for event in events],
            versions=[event.version for event in events],
            ordering_keys=[event.ordering_key() for event in events],
            payloads=[to_jsonable_python(dataclasses.asdict(event)) for event in events],
        )


# An event is taken only when no earlier one of its key is undelivered: that keeps the order without a lock on the
# key. Rows are claimed, never `id > last`: an id drawn earlier may commit later.
CLAIM = Query(
    OutboxRow,
    """
    UPDATE ops.outbox AS claimed
       SET attempts = claimed.attempts + 1,
           due_at = clock_timestamp() + %(lease)s
      FROM (SELECT candidate.id
              FROM ops.outbox AS candidate
             WHERE candidate.delivered_at IS NULL
               AND candidate.due_at <= clock_timestamp()
               AND NOT EXISTS (SELECT FROM ops.outbox AS earlier
                                WHERE earlier.delivered_at IS NULL
                                  AND earlier.ordering_key = candidate.ordering_key
                                  AND earlier.id < candidate.id)
             ORDER BY candidate.id
             LIMIT %(batch)s
               FOR UPDATE SKIP LOCKED) AS due
     WHERE claimed.id = due.id
    RETURNING claimed.id, claimed.name, claimed.payload, claimed.actor, claimed.trace, claimed.attempts
    """,
)

BEGIN_EFFECT = Query(
    int,
    """
    INSERT INTO ops.effects (event_id, reaction)
    VALUES (%(event)s, %(reaction)s)
    ON CONFLICT (event_id, reaction) DO NOTHING
    """,
)

DELIVERED = Query(
    int,
    """
    UPDATE ops.outbox
       SET delivered_at = clock_timestamp(), last_error = NULL
     WHERE id = %(event)s
    """,
)

POSTPONE = Query(
    int,
    """
    UPDATE ops.outbox
       SET due_at = clock_timestamp() + make_interval(secs => %(seconds)s), last_error = %(error)s
     WHERE id = %(event)s
    """,
)

UNDELIVERED = Query(int, "SELECT count(*) FROM ops.outbox WHERE delivered_at IS NULL")

# All events up to this one: what a command caused was published in its transaction, so it has a lower id or this one.
IS_DELIVERED = Query(
    bool,
    """
    SELECT NOT EXISTS (SELECT FROM ops.outbox
                        WHERE delivered_at IS NULL
                          AND id <= %(event)s)
    """,
)

# `id > after` is right for one key and wrong for several: an id drawn earlier may commit later. But whoever publishes
# under a key that streams follow holds the row lock of what the key names, from before the event until the commit, so
# the events of one such key become visible in the order of their ids.
PUBLISHED = Query(
    PublishedEvent,
    """
    SELECT event.id, event.ordering_key, event.name, event.payload, event.published_at
      FROM unnest(%(keys)s::text[], %(after)s::bigint[]) AS watched (ordering_key, after)
     CROSS JOIN LATERAL (SELECT published.id, published.ordering_key, published.name, published.payload,
                                published.published_at
                           FROM ops.outbox AS published
                          WHERE published.ordering_key = watched.ordering_key
                            AND published.id > watched.after
                          ORDER BY published.id
                          LIMIT %(limit)s) AS event
     ORDER BY event.id
    """,
)

LAST_OF_KEY = Query(
    PublishedEvent,
    """
    SELECT id, ordering_key, name, payload, published_at
      FROM ops.outbox
     WHERE ordering_key = %(key)s
     ORDER BY id DESC
     LIMIT 1
    """,
)


def dispatch(db: Db) -> int:
    """Deliver what is due, one batch; returns how many events were taken (0: nothing to do)."""
    with db.transaction(Actor(kind="system", did="outbox")) as tx:
        rows = tx.all(CLAIM, lease=LEASE, batch=BATCH)
    for row in sorted(rows, key=lambda row: row.id):
        deliver(db, row)
    return len(rows)


def deliver(db: Db, row: OutboxRow) -> None:
    """Run every reaction of one event, each in its own transaction; a failure postpones the event."""
    actor = Actor(kind="system", did=row.actor, trace=row.trace)
    try:
        for reaction in REACTIONS.get(row.name, []):
            run_once(db, actor, reaction, row)
        with db.transaction(actor) as tx:
            tx.run(DELIVERED, event=row.id)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the event must stay and be tried again
        log.warning("event postponed", event_id=row.id, event_name=row.name, attempts=row.attempts, error=repr(error))
        postpone(db, row, error)


def postpone(db: Db, row: OutboxRow, error: Exception) -> None:
    seconds = min(0.1 * 2.0 ** min(row.attempts, 10), BACKOFF_S_MAX)
    try:
        with db.transaction(Actor(kind="system", did="outbox", trace=row.trace)) as tx:
            tx.run(POSTPONE, event=row.id, seconds=seconds, error=repr(error)[:2000])
    except Refusal:
        log.warning("the database is away; the event's lease will end by itself", event_id=row.id)


def run_once(db: Db, actor: Actor, reaction: Reaction, row: OutboxRow) -> None:
    """The effect and its key commit together, so a second delivery finds the key and does nothing."""
    event: object = TypeAdapter(EVENTS[row.name]).validate_python(row.payload)
    with db.transaction(actor) as tx:
        if tx.run(BEGIN_EFFECT, event=row.id, reaction=reaction.name):
            reaction.run(tx, event, row.id)


def undelivered(tx: Tx) -> int:
    """How many events wait for a reaction."""
    return tx.one(UNDELIVERED)


def delivered(tx: Tx, event: EventId) -> bool:
    """Whether all reactions to an event, and to all before it, have run."""
    return tx.one(IS_DELIVERED, event=event)


def published_after(tx: Tx, positions: Mapping[str, int], *, limit: int) -> list[PublishedEvent]:
    """What was published under each key after the event with this id: at most `limit` per key, oldest first.

    Only for keys whose events are published under one row lock; see PUBLISHED.
    """
    return tx.all(PUBLISHED, keys=list(positions), after=list(positions.values()), limit=limit)


def last_published(tx: Tx, key: str) -> PublishedEvent | None:
    """The newest event of a key; None: there was none yet."""
    return tx.maybe(LAST_OF_KEY, key=key)
