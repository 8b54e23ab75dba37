"""The SDK: both clients say the same, a command happens once, a stream goes on, and a strategy keeps its limit."""

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, get_type_hints

import httpx
import pytest

from entry.test_refusals import refused
from hansa.client import AsyncHansa, Halfway, Hansa, NotAgreed, Refused, Unreachable, accepted, proposed, rejected
from hansa.infra import outbox
from hansa.infra.keys import AgentKey, verification_key
from hansa.kernel import base58
from hansa.proof.models import AttestationKind, attestation_statement

KEY = AgentKey.generate()


class Told:
    """A transport that answers from a list, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Driver:
    """One of the two clients, so that a test can be written once for both."""

    def __init__(self, kind):
        self.kind = kind
        self.runner = asyncio.Runner()
        self.opened = []

    def client(self, told, **options):
        return self.open("http://hansa.example", KEY, transport=httpx.MockTransport(told), **options)

    def open(self, url, key, **options):
        self.opened.append(self.kind(url, key, **options))
        return self.opened[-1]

    def close(self):
        for client in self.opened:
            self.do(client.close() or {})

    def do(self, value):
        """A call's answer, or all that an iterator gives."""
        if isinstance(value, Awaitable):
            return self.runner.run(awaited(value))
        if isinstance(value, AsyncIterator):
            return self.runner.run(collected(value))
        return value if isinstance(value, dict) else list(value)


async def awaited(value):
    return await value


async def collected(items):
    return [item async for item in items]


@pytest.fixture(params=[Hansa, AsyncHansa], ids=["blocking", "asynchronous"])
def driver(request):
    driver = Driver(request.param)
    with driver.runner:
        yield driver
        driver.close()


def refusal(status, code, *, retryable=False, **headers):
    document = {"status": status, "code": code, "retryable": retryable, "detail": "no"}
    return httpx.Response(
        status, json=document, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def ok(**document):
    return httpx.Response(200, json=document)


# ---------------------------------------------------------------------------------------------------------------
# Two clients, one description


def public(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_with_the_same_arguments():
    different = [
        name
        for name in public(Hansa)
        if callable(getattr(Hansa, name))
        and list(inspect.signature(getattr(Hansa, name)).parameters.values())
        != list(inspect.signature(getattr(AsyncHansa, name)).parameters.values())
    ]

    assert public(Hansa) == public(AsyncHansa)
    assert len(public(Hansa)) > 45
    assert different == []


def test_every_method_but_those_that_wait_is_written_once():
    own = {name for name in vars(Hansa) if not name.startswith("_")}

    assert own == {"close", "call", "pages", "stream", "wait_accepted", "haggle"}
    assert own == {name for name in vars(AsyncHansa) if not name.startswith("_")}


def test_every_method_says_what_it_does_and_what_it_gives():
    silent = [
        name
        for name in public(Hansa) - {"close"}
        if not inspect.getdoc(getattr(Hansa, name))
        or (callable(getattr(Hansa, name)) and "return" not in get_type_hints(getattr(Hansa, name)))
    ]

    assert silent == []


CALLS: dict[str, tuple[Any, str]] = {
    "heartbeat": (lambda hansa: hansa.heartbeat(ttl_s=60), f"POST /api/agents/{KEY.did}/heartbeat"),
    "retire": (lambda hansa: hansa.retire(), f"DELETE /api/agents/{KEY.did}"),
    "hold": (lambda hansa: hansa.hold("h"), "GET /api/credits/holds/h"),
    "transfer": (lambda hansa: hansa.transfer("did:key:a", 5, reason="tip"), "POST /api/credits/transfers"),
    "usefulness": (lambda hansa: hansa.usefulness("did:key:a"), "GET /api/agents/did:key:a/usefulness"),
    "deal": (lambda hansa: hansa.deal("d"), "GET /api/deals/d"),
    "open_group": (lambda hansa: hansa.open_group(["a"], intent="i", rule="majority"), "POST /api/group-negotiations"),
    "propose_group": (lambda hansa: hansa.propose_group("g", {"a": 1}), "POST /api/group-negotiations/g/propose"),
    "vote": (lambda hansa: hansa.vote("g", seen_round=1, approve=True), "POST /api/group-negotiations/g/vote"),
    "attest": (lambda hansa: hansa.attest("r", "AUDIT_PASS", score=1.0), "POST /api/receipts/r/attestations"),
}
"""Calls that no other test makes -> the request that they are."""


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_the_request_that_it_says(driver, name):
    call, expected = CALLS[name]
    told = Told(ok(done=True))

    answer = driver.do(call(driver.client(told)))

    (asked,) = told.asked
    assert answer == {"done": True}
    assert f"{asked.method} {asked.url.path}" == expected
    assert ("idempotency-key" in asked.headers) == (asked.method == "POST")
    assert "signature" in asked.headers


def test_pages_are_fetched_until_the_last(driver):
    told = Told(ok(items=[{"n": 1}, {"n": 2}], after="x"), ok(items=[{"n": 3}], after=None))

    found = driver.do(driver.client(told).statement(tx_type="earn"))

    assert [one["n"] for one in found] == [1, 2, 3]
    assert [str(one.url.query, "ascii") for one in told.asked] == ["tx_type=earn", "tx_type=earn&after=x"]


def test_a_question_in_the_path_is_asked(driver):
    told = Told(ok(agents=1))

    driver.do(driver.client(told).get("/api/agents?domain=6"))

    assert told.asked[0].url.query == b"domain=6"


# ---------------------------------------------------------------------------------------------------------------
# Sending until it is answered


def test_a_command_whose_answer_was_lost_is_sent_again_under_its_key(driver):
    told = Told(httpx.ReadError("lost"), refusal(503, "database_unavailable", retryable=True), ok(state="accepted"))

    answer = driver.do(driver.client(told).accept("d", seen_round=2))

    keys = {request.headers["idempotency-key"] for request in told.asked}
    signatures = {request.headers["signature"] for request in told.asked}
    assert answer == {"state": "accepted"}
    assert (len(told.asked), len(keys), len(signatures)) == (3, 1, 3)


def test_a_client_that_is_told_to_wait_waits(driver):
    told = Told(refusal(429, "rate_limited", retryable=True, retry_after="1"), ok(balance=1))

    began = time.monotonic()
    driver.do(driver.client(told).account())

    assert time.monotonic() - began >= 1


def test_a_client_does_not_wait_longer_than_its_patience(driver):
    told = Told(refusal(429, "rate_limited", retryable=True, retry_after="60"))

    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        driver.do(driver.client(told, patience_s=5).account())

    assert time.monotonic() - began < 1
    assert (caught.value.code, caught.value.retry_after_s) == ("rate_limited", 60)


def test_what_is_refused_for_good_is_asked_once(driver):
    told = Told(refusal(409, "not_your_turn"))

    assert refused(lambda: driver.do(driver.client(told).accept("d"))) == (409, "not_your_turn")
    assert len(told.asked) == 1


def test_a_house_that_never_answers_is_unreachable(driver):
    told = Told(*[httpx.ConnectError("nobody")] * 50)

    with pytest.raises(Unreachable, match="GET /api/credits/account"):
        driver.do(driver.client(told, patience_s=0.3).account())

    assert 2 < len(told.asked) < 10


def test_an_answer_of_somebody_else_is_named_as_such(driver):
    told = Told(httpx.Response(502, text="<h1>Bad Gateway</h1>"))

    assert refused(lambda: driver.do(driver.client(told).account())) == (502, "not_hansa")


# ---------------------------------------------------------------------------------------------------------------
# Listening


class Torn(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream that breaks after what was sent."""

    def __init__(self, sent):
        self.sent = sent

    def __iter__(self):
        yield self.sent
        raise httpx.ReadError("torn")

    async def __aiter__(self):
        for piece in self:
            yield piece


def sse(number, name):
    return f"id: {number}\nevent: negotiation.{name}\ndata: {json.dumps({'at': '', 'n': number})}\n\n"


def test_a_torn_stream_goes_on_after_the_last_whole_event(driver):
    torn = Torn((sse(1, "deal_opened") + sse(2, "proposal_made")[:-20]).encode())
    rest = sse(2, "proposal_made") + ": nothing new\n\n" + sse(2, "proposal_made") + "event: end\ndata: {}\n\n"
    told = Told(
        httpx.Response(200, stream=torn),
        httpx.ConnectError("not yet"),
        refusal(503, "database_unavailable", retryable=True),
        httpx.Response(200, text=rest),
    )

    events = driver.do(driver.client(told).watch("d"))

    assert [(event.id, event.name, event.data["n"]) for event in events] == [
        (1, "negotiation.deal_opened", 1),
        (2, "negotiation.proposal_made", 2),
    ]
    assert [request.headers.get("last-event-id") for request in told.asked] == [None, "1", "1", "1"]


def test_a_stream_that_is_refused_is_refused(driver):
    told = Told(refusal(403, "not_a_participant"))

    assert refused(lambda: driver.do(driver.client(told).watch("d"))) == (403, "not_a_participant")


def test_a_stream_that_does_not_come_back_is_unreachable(driver):
    told = Told(httpx.Response(200, stream=Torn(sse(1, "deal_opened").encode())), *[httpx.ConnectError("gone")] * 50)

    with pytest.raises(Unreachable):
        driver.do(driver.client(told, patience_s=0.2).watch("d"))


# ---------------------------------------------------------------------------------------------------------------
# Against the real API


@pytest.fixture
def deal(agent):
    """A buyer, a seller, and the id of their negotiation."""
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("a brief", budget=200_000)["id"]
    return buyer, seller, buyer.negotiate(seller.key.did, intent=intent, terms={"price": 40_000})["id"]


def test_who_waits_for_an_agreement_gets_the_accepted_negotiation(driver, server, deal):
    buyer, seller, negotiation = deal
    seller.accept(negotiation)
    waiting = driver.open(server.url, buyer.key)

    found = driver.do(waiting.wait_accepted(negotiation))

    assert (found["id"], found["state"]) == (negotiation, "accepted")


@pytest.mark.parametrize("end", ["rejected", "initiated"])
def test_who_waits_in_vain_is_told_how_it_stands(driver, server, deal, end):
    buyer, seller, negotiation = deal
    if end == "rejected":
        seller.reject(negotiation)

    began = time.monotonic()
    with pytest.raises(NotAgreed) as told:
        driver.do(driver.open(server.url, buyer.key).wait_accepted(negotiation, timeout_s=0.5))

    assert told.value.negotiation["state"] == end
    assert time.monotonic() - began < 2


def test_two_strategies_meet_between_their_limits(server, deal):
    buyer, seller, negotiation = deal

    async def haggle():
        async with AsyncHansa(server.url, seller.key) as selling:
            both = (
                asyncio.to_thread(buyer.haggle, negotiation, Halfway(limit=80_000), timeout_s=60),
                selling.haggle(negotiation, Halfway(limit=50_000, opening=90_000), timeout_s=60),
            )
            return await asyncio.gather(*both)

    bought, sold = asyncio.run(haggle())

    assert bought == sold
    assert 50_000 <= bought["final_proposal"]["price"] <= 80_000
    assert bought["round"] <= bought["max_rounds"]


def test_two_strategies_without_a_common_price_part_without_a_deal(server, deal):
    buyer, seller, negotiation = deal
    hard = Halfway(limit=90_000, opening=90_000)

    async def haggle():
        async with AsyncHansa(server.url, seller.key) as selling, AsyncHansa(server.url, buyer.key) as buying:
            both = (
                selling.haggle(negotiation, hard, timeout_s=60),
                buying.haggle(negotiation, Halfway(limit=60_000), timeout_s=60),
            )
            return await asyncio.gather(*both, return_exceptions=True)

    ends = asyncio.run(haggle())

    assert [type(end) for end in ends] == [NotAgreed, NotAgreed]
    assert buyer.account()["reserved"] == 0
    assert buyer.negotiation(negotiation)["negotiation"]["state"] == "rejected"


# ---------------------------------------------------------------------------------------------------------------
# The strategy by itself


def detail(*prices, max_rounds=10):
    """A negotiation after these offers; the buyer began."""
    rounds = [{"price": price, "by_did": "buyer" if n % 2 == 0 else "seller"} for n, price in enumerate(prices)]
    negotiation = {
        "initiator_did": "buyer",
        "round": len(prices),
        "max_rounds": max_rounds,
        "current_proposal": {"price": prices[-1], "delivery_s": 60, "custom": {"a": 1}, "quality": None},
    }
    return {"negotiation": negotiation, "rounds": rounds}


def price_of(move):
    return move.terms["price"] if move.terms else move.kind


def test_a_buyer_goes_halfway_up_to_its_limit_and_keeps_the_other_terms():
    buyer = Halfway(limit=70)

    moves = [buyer(detail(40, 100), "buyer"), buyer(detail(40, 100, 70, 95), "buyer")]

    assert moves[0] == proposed({"price": 70, "delivery_s": 60, "custom": {"a": 1}})
    assert price_of(moves[1]) == 70


def test_a_seller_asks_comes_down_and_never_asks_less_than_is_offered():
    seller = Halfway(limit=60)

    assert price_of(seller(detail(40), "seller")) == 90
    assert price_of(seller(detail(40, 90, 50), "seller")) == 70
    assert price_of(seller(detail(40, 70, 50), "seller")) == 60
    assert seller(detail(95), "seller") == accepted()


def test_what_is_close_enough_or_better_is_taken():
    assert Halfway(limit=100)(detail(98, 100), "buyer") == accepted()
    assert Halfway(limit=100)(detail(98, 90), "buyer") == accepted()
    assert Halfway(limit=99)(detail(98, 100), "buyer") != accepted()


def test_the_last_round_takes_what_the_limit_allows_and_refuses_the_rest():
    assert Halfway(limit=100)(detail(40, 100, max_rounds=2), "buyer") == accepted()
    assert Halfway(limit=99)(detail(40, 100, max_rounds=2), "buyer") == rejected(
        "100 is beyond my limit, and no round is left"
    )


# ---------------------------------------------------------------------------------------------------------------
# What the house does with the rest


def test_money_that_is_given_stands_on_both_statements(deal):
    buyer, seller, _ = deal

    buyer.transfer(seller.key.did, 5_000, reason="for the coffee", once="coffee")
    buyer.transfer(seller.key.did, 5_000, reason="for the coffee", once="coffee")

    assert buyer.account()["balance"] == 995_000
    assert [line["amount"] for line in seller.statement(limit=1)] == [5_000, 1_000_000]


def test_an_attestation_is_signed_over_what_the_house_checks(driver):
    told = Told(ok())

    driver.do(driver.client(told).attest("r", "AUDIT_PASS", score=0.9, evidence_hash="ab"))

    sent = json.loads(told.asked[0].content)
    statement = attestation_statement("r", AttestationKind.AUDIT_PASS, by=KEY.did, score=0.9, evidence_hash="ab")
    verification_key(KEY.public_key).verify(base58.decode(sent["signature"], size=64), statement)


def test_a_settled_deal_leaves_a_receipt_and_an_ended_hold(deal, services):
    buyer, seller, negotiation = deal
    seller.accept(negotiation)
    hold = next(buyer.holds(state="held"))["id"]
    buyer.settle(negotiation)
    while outbox.dispatch(services.db):
        pass

    (receipt,) = seller.receipts()

    assert buyer.receipt(receipt["id"])["receipt"]["id"] == receipt["id"]
    assert buyer.hold(hold)["state"] == "captured"


def test_useful_work_is_scored_and_life_goes_on_until_retirement(deal):
    buyer, seller, negotiation = deal
    intent = buyer.negotiation(negotiation)["negotiation"]["intent_id"]

    alive = seller.heartbeat(ttl_s=60)
    proof = seller.prove_useful(intent=intent, work_type="compute", metrics={"compute_ms": 5_000}, trace="a trace")
    useful = buyer.usefulness(seller.key.did)
    retired = seller.retire()

    assert (alive["did"], retired["status"]) == (seller.key.did, "offline")
    assert float(proof["usefulness_score"]) == 50
    assert float(useful["usefulness"]["score"]) == 50
    assert [moment["what"] for moment in buyer.deal(negotiation)["moments"]] == ["gate", "offer"]
