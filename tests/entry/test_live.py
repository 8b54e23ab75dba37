"""Live events: in order, without gaps or repeats, for the parties alone, and cheap for the house."""

import asyncio
import json
import queue
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

from entry.test_refusals import refused
from hansa.entry import hub as hubs
from hansa.entry import live
from hansa.entry.hub import BACKLOG, Hub, Watch
from hansa.infra import outbox
from hansa.infra.db import Query
from hansa.negotiation import commands
from hansa.negotiation.models import Terms

TELL = Query(
    int,
    """
    INSERT INTO ops.outbox (name, version, ordering_key, payload)
    SELECT 'test.told', 1, %(key)s, jsonb_build_object('n', n) FROM generate_series(1, %(times)s::integer) AS n
    """,
)
OFFER = {"price": 70_000, "delivery_s": 3600}


@pytest.fixture
def pair(agent):
    return agent("Buyer"), agent("Seller")


@pytest.fixture
def deal(pair):
    """Id of a negotiation with one offer on the table."""
    return opened(*pair)


def opened(buyer, seller):
    intent = buyer.intend("a brief", budget=200_000)["id"]
    return buyer.negotiate(seller.key.did, intent=intent, terms=OFFER)["id"]


def told(event):
    return event.name.removeprefix("negotiation."), event.data.get("price")


@contextmanager
def listening(events):
    """A queue that fills in a thread of its own; None stands for the end."""
    heard = queue.Queue()

    def listen():
        for event in events:
            heard.put(event)
        heard.put(None)

    thread = threading.Thread(target=listen)
    thread.start()
    yield heard
    thread.join(20)
    assert not thread.is_alive()


def frames(response):
    """The pieces of a stream, as they are on the wire."""
    return [piece for piece in response.text.split("\n\n") if piece]


def wait_until(holds):
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)


def path_of(deal):
    return f"/api/negotiations/{deal}/events"


# ---------------------------------------------------------------------------------------------------------------
# One negotiation


def test_each_round_is_told_to_the_other_side_before_the_next_one_is_made(pair, deal):
    buyer, seller = pair

    with listening(seller.watch(deal)) as heard:
        rounds = [told(heard.get(timeout=5))]
        for act in (
            lambda: seller.propose(deal, {"price": 100_000}),
            lambda: buyer.propose(deal, {"price": 90_000}),
            lambda: seller.accept(deal, seen_round=3),
            lambda: buyer.settle(deal),
        ):
            act()
            rounds.append(told(heard.get(timeout=5)))
        end = heard.get(timeout=5)

    assert rounds == [
        ("deal_opened", 70_000),
        ("proposal_made", 100_000),
        ("proposal_made", 90_000),
        ("deal_accepted", 90_000),
        ("deal_settled", None),
    ]
    assert end is None


def test_a_stream_that_broke_off_goes_on_without_gaps_or_repeats(pair, deal):
    buyer, seller = pair
    with buyer.http.stream("GET", path_of(deal)) as broken:
        first = next(line for line in broken.iter_lines() if line.startswith("id: "))
    seller.propose(deal, {"price": 100_000})
    buyer.accept(deal)
    buyer.settle(deal)

    by_header = buyer.http.get(path_of(deal), headers={"last-event-id": first.removeprefix("id: ")})
    by_query = buyer.http.get(f"{path_of(deal)}?after={first.removeprefix('id: ')}")
    whole = buyer.http.get(path_of(deal))
    last = frames(whole)[-2].partition("\n")[0].removeprefix("id: ")
    over = buyer.http.get(f"{path_of(deal)}?after={last}")

    assert [line.split("\n")[1] for line in frames(by_header)[1:-1]] == [
        "event: negotiation.proposal_made",
        "event: negotiation.deal_accepted",
        "event: negotiation.deal_settled",
    ]
    assert by_query.text == by_header.text
    assert frames(whole)[1].startswith(first)
    assert frames(whole)[2:] == frames(by_header)[1:]
    assert frames(over) == ["retry: 1000", "event: end\ndata: {}"]


@pytest.mark.parametrize("end", ["rejected", "expired"])
def test_a_stream_ends_when_there_will_be_no_deal(pair, deal, end, services, owner):
    buyer, seller = pair
    if end == "rejected":
        seller.reject(deal, reason="no \u2028 time")
    else:
        owner.execute("UPDATE negotiation.negotiations SET expires_at = now() - interval '1 s' WHERE id = %s", [deal])
        with services.db.transaction() as tx:
            commands.expire_stale(tx)

    events = list(buyer.watch(deal))

    assert [told(event)[0] for event in events] == ["deal_opened", f"deal_{end}"]
    assert events[-1].data.get("reason") == ("no \u2028 time" if end == "rejected" else None)


def test_only_the_parties_listen(api, agent, deal):
    stranger = agent("Stranger")

    unsigned = api.get(path_of(deal))
    unknown = path_of("0197b1d2-0000-7000-8000-000000000000")

    assert refused(lambda: stranger.get(path_of(deal))) == (403, "not_a_participant")
    assert refused(lambda: stranger.get(unknown)) == (404, "negotiation_unknown")
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "signature_required")


def test_a_place_that_is_none_is_refused(pair, deal):
    buyer, _ = pair

    for strange in ("?after=-1", "?after=soon", f"?after={2**63}", "?within_s=601"):
        assert refused(lambda strange=strange: buyer.get(path_of(deal) + strange)) == (422, "request_malformed")


def test_a_stream_is_kept_by_nobody_on_its_way_and_shows_that_it_is_alive(pair, deal, monkeypatch):
    buyer, _ = pair
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.2)

    silent = buyer.http.get(f"{path_of(deal)}?within_s=1")

    assert silent.headers["content-type"].startswith("text/event-stream")
    assert silent.headers["cache-control"] == "no-store"
    assert silent.headers["x-accel-buffering"] == "no"
    assert frames(silent).count(": nothing new") in (3, 4)
    assert "event: end" not in silent.text


# ---------------------------------------------------------------------------------------------------------------
# All negotiations of an agent


def test_an_agent_hears_of_every_negotiation_of_its_own_and_of_no_other(agent, pair, deal):
    buyer, seller = pair
    stranger = agent("Stranger")
    seller.reject(opened(buyer, seller))

    with listening(seller.events(within_s=3)) as heard:
        waiting = heard.get(timeout=5)
        seller.propose(deal, {"price": 100_000})
        answered = heard.get(timeout=5)
        opened(buyer, stranger)
        another = opened(buyer, seller)
        fresh = heard.get(timeout=5)
        seller.reject(another)
        over = heard.get(timeout=5)
        rest = heard.get(timeout=5)

    assert (waiting.data["negotiation"], told(waiting)) == (deal, ("deal_opened", 70_000))
    assert (answered.data["negotiation"], told(answered)) == (deal, ("proposal_made", 100_000))
    assert (fresh.data["negotiation"], told(fresh)[0]) == (another, "deal_opened")
    assert (over.data["negotiation"], told(over)[0]) == (another, "deal_rejected")
    assert rest is None


def test_an_event_that_commits_late_is_not_lost_between_two_streams(pair, deal, db):
    buyer, seller = pair
    other = opened(buyer, seller)
    with db.transaction() as slow:
        late = commands.propose(slow, deal, by=seller.key.did, terms=Terms(price=80_000))
        seller.propose(other, {"price": 100_000})
        had = list(seller.watch(other, within_s=1))[-1]

    after = {
        event.data["negotiation"]: event for event in seller.events(after=had.id, within_s=1) if event.id != had.id
    }

    assert after[deal].data["price"] == late.price
    assert after[deal].id < had.id


def test_a_stream_over_all_negotiations_does_not_go_back_for_ever(pair, deal, owner):
    buyer, _ = pair
    owner.execute("UPDATE ops.outbox SET published_at = published_at - interval '2 hours'")

    assert refused(lambda: buyer.get("/api/events?after=1000")) == (410, "events_too_old")


# ---------------------------------------------------------------------------------------------------------------
# What it costs


def test_one_poller_serves_all_who_watch_and_rests_when_nobody_does(server, pair, deal):
    buyer, seller = pair
    hub = server.hub
    watchers = 25

    async def watch_all():
        async def watch(client):
            response = await client.get(path_of(deal), auth=buyer.http.auth, timeout=20)
            return frames(response)

        async with httpx.AsyncClient(base_url=server.url) as client:
            listeners = [asyncio.create_task(watch(client)) for _ in range(watchers)]
            await asyncio.to_thread(wait_until, lambda: len(hub.watches) == watchers)
            looks, began = hub.looks, time.monotonic()
            await asyncio.sleep(0.5)
            per_second = (hub.looks - looks) / (time.monotonic() - began)
            await asyncio.to_thread(seller.reject, deal)
            return per_second, await asyncio.gather(*listeners)

    per_second, heard = asyncio.run(watch_all())
    time.sleep(3 * hubs.POLL_S)
    resting = hub.looks
    time.sleep(3 * hubs.POLL_S)

    assert per_second <= 1 / hubs.POLL_S
    assert heard == [heard[0]] * watchers
    assert heard[0][-1].startswith("event: end")
    assert (hub.watches, hub.poller, hub.looks) == (set(), None, resting)


def test_a_client_that_does_not_read_holds_a_bounded_backlog_and_misses_nothing(db):
    told = 3 * BACKLOG
    with db.transaction() as tx:
        tx.run(TELL, key="group:a", times=told)

    async def read_slowly():
        hub, watch = Hub(db), Watch(watcher="did:key:z", positions={"group:a": 0}, ends=frozenset())
        with hub.watching(watch):
            await watch.news.wait()
            await asyncio.sleep(5 * hubs.POLL_S)
            held, asked = len(watch.backlog), hub.looks
            await asyncio.sleep(5 * hubs.POLL_S)
            idle = hub.looks - asked
            heard = []
            while len(heard) < told:
                heard += await watch.next(5)
        return held, idle, [event.payload["n"] for event in heard]

    held, idle, heard = asyncio.run(read_slowly())

    assert (held, idle) == (BACKLOG, 0)
    assert heard == list(range(1, told + 1))


class SlowHub(Hub):
    """A hub whose database takes its time."""

    def look(self, positions, joiners):
        found = super().look(positions, joiners)
        time.sleep(0.2)
        return found


def test_a_watcher_that_begins_while_another_is_served_hears_everything_in_order(db):
    with db.transaction() as tx:
        tx.run(TELL, key="group:a", times=10)

    async def two():
        hub = SlowHub(db)
        first = Watch(watcher="did:key:a", positions={"group:a": 9}, ends=frozenset())
        second = Watch(watcher="did:key:b", positions={"group:a": 0}, ends=frozenset())
        with hub.watching(first):
            await asyncio.to_thread(wait_until, lambda: hub.looks)
            with hub.watching(second):
                return await first.next(5), await second.next(5)

    fresh, whole = asyncio.run(two())

    assert [event.payload["n"] for event in fresh] == [10]
    assert [event.payload["n"] for event in whole] == list(range(1, 11))


def test_a_client_that_is_gone_is_forgotten(server, pair, deal):
    buyer, _ = pair

    with buyer.http.stream("GET", path_of(deal)) as response:
        lines = response.iter_lines()
        next(lines)
        there = len(server.hub.watches)
    wait_until(lambda: not server.hub.watches)

    assert (there, len(server.hub.watches), dict(server.hub.open)) == (1, 0, {})


def test_one_agent_does_not_open_streams_without_end(pair, deal, monkeypatch):
    buyer, seller = pair
    monkeypatch.setattr(live, "STREAMS_MAX", 1)

    with buyer.http.stream("GET", path_of(deal)) as response:
        lines = response.iter_lines()  # kept, since an iterator that is thrown away closes the connection
        next(lines)
        too_many = refused(lambda: buyer.get(path_of(deal)))
        other = seller.http.get(f"{path_of(deal)}?within_s=0.1").status_code

    assert (too_many, other) == ((429, "streams_too_many"), 200)


def test_streams_outlive_a_database_that_drops_its_connections(pair, deal, owner):
    buyer, seller = pair

    with listening(buyer.watch(deal)) as heard:
        heard.get(timeout=5)
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        seller.reject(deal)
        after = heard.get(timeout=10)

    assert told(after)[0] == "deal_rejected"


def test_streams_end_when_the_server_stops_and_do_not_keep_it(server, pair, deal):
    buyer, _ = pair

    with buyer.http.stream("GET", path_of(deal)) as response:
        lines = response.iter_lines()
        next(line for line in lines if line.startswith("event: "))
        began = time.monotonic()
        server.should_exit = True
        rest = list(lines)
        server.thread.join(10)
        took_s = time.monotonic() - began

    assert not server.thread.is_alive()
    assert took_s < 2
    assert "event: end" not in rest


def test_what_is_sent_is_what_the_outbox_holds(pair, deal, db):
    buyer, seller = pair
    seller.reject(deal, reason="too far")

    sent = frames(buyer.http.get(path_of(deal)))[1:-1]
    with db.transaction() as tx:
        held = outbox.published_after(tx, {f"negotiation:{deal}": 0}, limit=10)

    assert [piece.split("\n")[0] for piece in sent] == [f"id: {event.id}" for event in held]
    for piece, event in zip(sent, held, strict=True):
        data = json.loads(piece.split("data: ")[1])
        assert {**data, "at": ""} == {**event.payload, "at": ""}


def test_the_api_says_that_a_stream_is_one(api):
    paths = api.get("/openapi.json").json()["paths"]

    for path in ("/api/events", "/api/negotiations/{negotiation}/events"):
        answer = paths[path]["get"]["responses"]["200"]
        parameters = {one["name"] for one in paths[path]["get"]["parameters"]}
        assert list(answer["content"]) == ["text/event-stream"]
        assert {"after", "last-event-id", "within_s"} <= parameters


# ---------------------------------------------------------------------------------------------------------------
# A group


def test_a_group_hears_of_every_vote_until_it_has_agreed(agent):
    payer, *workers = agent("Payer"), agent("Reader"), agent("Writer")
    intent = payer.intend("a report", budget=60_000)["id"]
    parts = {worker.key.did: 30_000 for worker in workers}
    group = payer.open_group(list(parts), intent=intent, rule="unanimous")["id"]

    with listening(workers[0].watch_group(group)) as heard:
        names = [told(heard.get(timeout=5))[0]]
        for act in (
            lambda: payer.propose_group(group, parts),
            lambda: workers[0].vote(group, seen_round=1, approve=True),
            lambda: workers[1].vote(group, seen_round=1, approve=True),
        ):
            act()
            names.append(told(heard.get(timeout=5))[0])
        rest = list(iter(lambda: heard.get(timeout=5), None))

    assert names == ["group_opened", "group_proposed", "group_voted", "group_voted"]
    assert [told(event) for event in rest] == [("group_agreed", 60_000)]
    assert payer.group(group)["group"]["state"] == "agreed"
    assert [one["id"] for one in workers[1].groups(state="agreed")] == [group]


def test_only_members_hear_of_a_group(agent):
    payer, *workers = agent("Payer"), agent("Reader"), agent("Writer")
    stranger = agent("Stranger")
    intent = payer.intend("a report", budget=60_000)["id"]
    group = payer.open_group([worker.key.did for worker in workers], intent=intent, rule="majority")["id"]

    status, _ = refused(lambda: stranger.get(f"/api/group-negotiations/{group}/events"))

    assert status == 403
