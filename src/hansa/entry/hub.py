"""Who watches what: one poller for all open streams of this process, whatever their number.

The hub lives in the event loop and asks the database in a thread, every POLL_S, only while somebody watches, and in one
statement for all keys that are watched. A watch knows for each of its keys how far it has come. A watch whose client
does not keep up is left out until it has room again: nothing is dropped for it, nothing is queued beyond BACKLOG, and
it is not asked for meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from hansa.infra.db import Actor, Db, Query, Tx
from hansa.infra.log import logger
from hansa.infra.outbox import PublishedEvent, published_after
from hansa.kernel.dids import Did

log = logger(__name__)

POLL_S = 0.05
BACKLOG = 64
"""Events that wait for one client at most."""
REST_S = 0.5
"""Pause after the database did not answer."""
WATCHER = Actor(kind="system", did="entry.live")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeal:
    """A negotiation that has just begun."""

    id: UUID
    initiator_did: Did
    responder_did: Did


# Version 7 ids begin with their time, so the newest are one range of the primary key; it reaches back far enough for
# a transaction that takes its time to commit.
NEW_DEALS = Query(
    NewDeal,
    """
    SELECT id, initiator_did, responder_did
      FROM negotiation.negotiations
     WHERE id >= uuidv7(interval '-30 seconds')
       AND (initiator_did = ANY(%(dids)s::text[]) OR responder_did = ANY(%(dids)s::text[]))
    """,
)


@dataclass(eq=False, slots=True, kw_only=True)
class Watch:
    """One open stream: the keys that it follows, and the events on their way to its client."""

    watcher: Did
    positions: dict[str, int]
    """Ordering key -> id of the last event that was taken."""
    ends: frozenset[str]
    """Names of events after which nothing happens under a key any more."""
    joins_deals: bool = False
    """Whether it also follows negotiations of its watcher that begin meanwhile."""
    ended: set[str] = field(default_factory=set[str])
    """Keys under which nothing will happen any more, as far as they might be taken for new."""
    backlog: deque[PublishedEvent] = field(default_factory=deque[PublishedEvent])
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_room(self) -> bool:
        return len(self.backlog) < BACKLOG

    @property
    def is_over(self) -> bool:
        """Whether every key has come to its end and no other will join."""
        return not (self.positions or self.joins_deals)

    def join(self, deal: NewDeal) -> None:
        """Follow a new negotiation from its beginning, if it is the watcher's."""
        key = f"negotiation:{deal.id}"
        if self.watcher in (deal.initiator_did, deal.responder_did) and key not in self.ended:
            self.positions.setdefault(key, 0)

    def take(self, event: PublishedEvent) -> None:
        """Queue an event for the client, unless it had it, or has no room: then it is found again later."""
        key = event.ordering_key
        if not self.has_room or event.id <= self.positions.get(key, event.id):
            return
        self.positions[key] = event.id
        if event.name in self.ends:
            del self.positions[key]
            self.ended.add(key)
        self.backlog.append(event)
        self.news.set()

    async def next(self, within_s: float) -> list[PublishedEvent]:
        """What has happened, as soon as something has; empty when nothing did in time, or the hub stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.news.wait()
        self.news.clear()
        events = list(self.backlog)
        self.backlog.clear()
        return events


class Hub:
    """All watches of one process. Everything but `look` happens in the event loop."""

    def __init__(self, db: Db) -> None:
        self.db = db
        self.watches: set[Watch] = set()
        self.open: Counter[Did] = Counter()
        """How many watches each agent has open."""
        self.looks = 0
        """How often the database was asked."""
        self.stopping = False
        self.poller: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, watch: Watch) -> Generator[None]:
        """Events arrive in the watch as long as the block runs."""
        self.watches.add(watch)
        self.open[watch.watcher] += 1
        if self.poller is None:
            self.poller = asyncio.create_task(self.poll())
        try:
            yield
        finally:
            self.watches.remove(watch)
            self.open[watch.watcher] -= 1
            self.open += Counter()  # keeps those alone that have any

    def stop(self) -> None:
        """Let all watches end, and no new one begin."""
        self.stopping = True
        for watch in self.watches:
            watch.news.set()

    async def poll(self) -> None:
        """Ask as long as anybody watches; survives a database that is away for a while."""
        try:
            while self.watches and not self.stopping:
                try:
                    await self.hand_out([watch for watch in self.watches if watch.has_room])
                except Exception as error:  # noqa: BLE001 - whatever it was, the streams are still there after it
                    log.warning("streams wait for the database", error=repr(error))
                    await asyncio.sleep(REST_S)
                await asyncio.sleep(POLL_S)
        finally:
            self.poller = None

    async def hand_out(self, waiting: list[Watch]) -> None:
        """One look for all who have room; who comes while it lasts, or is further behind, is served by the next."""
        followers: defaultdict[str, list[Watch]] = defaultdict(list)
        for watch in waiting:
            for key in watch.positions:
                followers[key].append(watch)
        positions = {key: min(watch.positions[key] for watch in behind) for key, behind in followers.items()}
        joiners = [watch for watch in waiting if watch.joins_deals]
        if not (positions or joiners):
            return
        events, deals = await asyncio.to_thread(self.look, positions, {watch.watcher for watch in joiners})
        for event in events:
            for watch in followers[event.ordering_key]:
                watch.take(event)
        for deal in deals:
            for watch in joiners:
                watch.join(deal)

    def look(self, positions: dict[str, int], joiners: Iterable[Did]) -> tuple[list[PublishedEvent], list[NewDeal]]:
        """What was published beyond these positions, and the deals of these agents that have just begun."""
        self.looks += 1
        with self.db.transaction(WATCHER) as tx:
            events = published_after(tx, positions, limit=BACKLOG) if positions else []
            return events, new_deals(tx, list(joiners))


def new_deals(tx: Tx, dids: list[Did]) -> list[NewDeal]:
    return tx.all(NEW_DEALS, dids=dids) if dids else []
