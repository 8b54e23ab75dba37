"""Live events over HTTP: server-sent events (SSE) that go on where they broke off.

    id: 4711
    event: negotiation.proposal_made
    data: {"at": "2026-11-21T10:15:00Z", "negotiation": "…", "round": 2, "by": "did:key:…", "price": 100000, …}

The id is that of the event in the outbox. Whoever comes back with it, as `Last-Event-ID` or `?after=`, gets what came
after it. When nothing more can happen an event `end` follows and the stream closes; a stream that closes without it was
cut, or is as old as a stream may become, and is opened again. A comment every 15 seconds keeps proxies awake and shows
that a silent stream is alive. How events get here is told in hub.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from pydantic_core import to_jsonable_python
from starlette.types import Receive, Scope, Send

from hansa.entry.hub import Hub, Watch
from hansa.infra import outbox
from hansa.infra.db import Query as Statement
from hansa.infra.db import Tx
from hansa.infra.outbox import PublishedEvent
from hansa.infra.web import Call, SignedCall
from hansa.kernel.dids import Did
from hansa.kernel.errors import Gone, TooManyRequests
from hansa.kernel.ids import GroupId, NegotiationId
from hansa.negotiation import queries
from hansa.negotiation.events import DealExpired, DealRejected, DealSettled, GroupAgreed, GroupEnded

router = APIRouter(tags=["live events"])

HEARTBEAT_S = 15.0
STREAM_S_MAX = 600
"""A stream ends after so long, and the client signs for the next: a key that was revoked does not listen for ever."""
FAREWELL_S = 30
"""How much longer the last piece may take to get to a client that does not read."""
STREAMS_MAX = 100
"""Streams that one agent may have open at a process."""
EVENT_ID_MAX = 2**63 - 1
DEAL_ENDS = frozenset({DealRejected.name, DealExpired.name, DealSettled.name})
"""After these nothing happens in a negotiation."""
GROUP_ENDS = frozenset({GroupAgreed.name, GroupEnded.name})
OVERLAP = timedelta(minutes=1)
"""Longer than any transaction takes from publishing an event to its commit."""

LOOKBACK = timedelta(hours=1)
"""How far back a stream over all deals of an agent can begin."""

RETRY = b"retry: 1000\n\n"
END = b"event: end\ndata: {}\n\n"
ALIVE = b": nothing new\n\n"
STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""No proxy keeps a stream for later, or holds it back until there is more of it."""


class StreamsTooMany(TooManyRequests):
    """This agent listens to 100 streams at once; `GET /api/events` tells of all its negotiations in one."""


class EventsTooOld(Gone):
    """A stream over all negotiations goes back an hour: come back without an event, and start from what still goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A deal of an agent, as its ordering key."""

    key: str
    has_ended: bool
    """Whether nothing can happen in it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowWater:
    """From where on the events of several keys are sent again."""

    id: int
    since: datetime


# With many keys `id > after` would leave out events that were published earlier and committed later. Those of the last
# minute before `after` are therefore sent again; the ids say which of them the client has.
LOW_WATER = Statement(
    LowWater,
    """
    SELECT coalesce((SELECT max(id)
                       FROM ops.outbox
                      WHERE id < last.id
                        AND published_at < last.published_at - %(overlap)s::interval), 0) AS id,
           last.published_at - %(overlap)s::interval AS since
      FROM ops.outbox AS last
     WHERE last.id <= %(after)s
     ORDER BY last.id DESC
     LIMIT 1
    """,
)

# Deals in which something can still happen, and those in which something happened since.
DEALS_OF = Statement(
    Followed,
    """
    SELECT 'negotiation:' || deal.id AS key,
           deal.state IN ('rejected', 'expired') OR paid.negotiation_id IS NOT NULL AS has_ended
      FROM negotiation.negotiations AS deal
      LEFT JOIN negotiation.settlements AS paid ON paid.negotiation_id = deal.id
     WHERE (deal.initiator_did = %(did)s OR deal.responder_did = %(did)s)
       AND (deal.state NOT IN ('rejected', 'expired') AND paid.negotiation_id IS NULL
            OR greatest(deal.updated_at, paid.settled_at) >= %(since)s)
    """,
)


class EventStream(Response):
    """An answer that goes on: events as they come, until nothing more can happen, the client is gone, or time is up."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, watch: Watch, *, within_s: float = STREAM_S_MAX) -> None:
        super().__init__(headers=STREAM_HEADERS)
        del self.headers["content-length"]
        self.hub, self.watch, self.within_s = hub, watch, within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        telling = asyncio.create_task(self.tell(send))
        leaving = asyncio.create_task(gone(receive))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        finally:
            for task in (telling, leaving):
                task.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)

    async def tell(self, send: Send) -> None:
        """Send the whole stream; a client that stopped reading is given up some time after the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.within_s + FAREWELL_S):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                with self.hub.watching(self.watch):
                    await send(piece(RETRY))
                    await self.follow(send)
                await send(piece(b"", more=False))

    async def follow(self, send: Send) -> None:
        """Send events as they come, and `end` after the last one that there can be."""
        until = time.monotonic() + self.within_s
        heartbeat = time.monotonic() + HEARTBEAT_S
        while not self.hub.stopping:
            if self.watch.is_over and not self.watch.backlog:
                await send(piece(END))
                return
            now = time.monotonic()
            if now >= until:
                return
            events = await self.watch.next(min(heartbeat, until) - now)
            if events or time.monotonic() >= heartbeat:
                await send(piece(b"".join(map(frame, events)) or ALIVE))
                heartbeat = time.monotonic() + HEARTBEAT_S


def piece(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def frame(event: PublishedEvent) -> bytes:
    """An event as SSE writes it. JSON in ASCII: some clients take exotic line separators for the end of a line."""
    data = json.dumps({"at": to_jsonable_python(event.published_at), **event.payload})
    return f"id: {event.id}\nevent: {event.name}\ndata: {data}\n\n".encode()


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """From where on a client wants events, and for how long."""

    after: int | None
    """Id of the last event that it had; None: it had none."""
    within_s: float


def wish(
    after: Annotated[int | None, Query(ge=0, le=EVENT_ID_MAX, description="Id of the last event you had.")] = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=EVENT_ID_MAX, description="The same, as SSE sends it.")
    ] = None,
    within_s: Annotated[
        float, Query(ge=0, le=STREAM_S_MAX, description="Close the stream after so long.")
    ] = STREAM_S_MAX,
) -> Wish:
    # A browser that comes back repeats the address it began with, so its header is the newer of the two.
    return Wish(after=after if last_event_id is None else last_event_id, within_s=within_s)


Wanted = Annotated[Wish, Depends(wish)]


def stream(call: Call, wanted: Wish, watch: Watch) -> Response:
    """Tell the agent that signed what happens in a watch. Raises StreamsTooMany."""
    hub = cast("Hub", call.request.app.state.hub)
    if hub.open[call.did] >= STREAMS_MAX:
        raise StreamsTooMany(streams_max=STREAMS_MAX)
    return EventStream(hub, watch, within_s=wanted.within_s)


def stream_of(tx: Tx, call: Call, wanted: Wish, key: str, *, ends: frozenset[str]) -> Response:
    """The events of one key from its first on, or after the one that the client had; over when nothing can follow."""
    last, after = outbox.last_published(tx, key), wanted.after or 0
    over = last is not None and last.name in ends and last.id <= after
    return stream(call, wanted, Watch(watcher=call.did, positions={} if over else {key: after}, ends=ends))


@router.get("/api/negotiations/{negotiation}/events", status_code=200, response_class=EventStream)
def negotiation_events(negotiation: NegotiationId, call: SignedCall, wanted: Wanted) -> Response:
    """Everything that happens in a negotiation, as it happens, for its parties; from its first event on.

    Server-sent events, without gaps or repeats: come back with `Last-Event-ID` or `after`. An event `end` says that
    nothing more can happen.
    """
    with call.services.db.transaction(call.actor) as tx:
        queries.negotiation_of(tx, negotiation, seen_by=call.did)
        return stream_of(tx, call, wanted, f"negotiation:{negotiation}", ends=DEAL_ENDS)


@router.get("/api/group-negotiations/{group}/events", status_code=200, response_class=EventStream)
def group_events(group: GroupId, call: SignedCall, wanted: Wanted) -> Response:
    """Everything that happens in a group, as it happens, for its members; from its first event on.

    Server-sent events, without gaps or repeats: come back with `Last-Event-ID` or `after`. An event `end` says that the
    group has agreed or ended.
    """
    with call.services.db.transaction(call.actor) as tx:
        queries.group_of(tx, group, seen_by=call.did)
        return stream_of(tx, call, wanted, f"group:{group}", ends=GROUP_ENDS)


@router.get("/api/events", status_code=200, response_class=EventStream)
def my_events(call: SignedCall, wanted: Wanted) -> Response:
    """Everything that happens in the negotiations of the signing agent, those that begin meanwhile too.

    Server-sent events. Negotiations in which something can still happen are told from their beginning, so an agent that
    starts knows what waits for it. Come back with `Last-Event-ID` or `after` within an hour to go on; then events of the
    last minute before may be sent a second time, under the same id. Each negotiation keeps its order.
    """
    with call.services.db.transaction(call.actor) as tx:
        return stream(call, wanted, watch_of(tx, call.did, wanted.after))


def watch_of(tx: Tx, did: Did, after: int | None) -> Watch:
    """A watch of all deals of an agent: those that go on, or what came after the last event that it had.

    Raises EventsTooOld.
    """
    low = None if after is None else tx.maybe(LOW_WATER, after=after, overlap=OVERLAP)
    since = low.since if low else tx.at - OVERLAP
    if since < tx.at - LOOKBACK:
        raise EventsTooOld
    deals = tx.all(DEALS_OF, did=did, since=since)
    ended = set[str]() if low else {deal.key for deal in deals if deal.has_ended}
    positions = {deal.key: low.id if low else 0 for deal in deals if deal.key not in ended}
    return Watch(watcher=did, positions=positions, ends=DEAL_ENDS, ended=ended, joins_deals=True)
