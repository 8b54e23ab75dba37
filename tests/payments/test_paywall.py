"""Paid routes: an unmodified buyer pays once and gets its answer; the numbers S.. name known attacks on sellers."""

import asyncio
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import psycopg
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from psycopg import sql
from x402 import x402Client
from x402.http.clients import x402_httpx_transport
from x402.http.utils import (
    decode_payment_required_header,
    decode_payment_response_header,
    encode_payment_signature_header,
)
from x402.mechanisms.svm import KeypairSigner
from x402.mechanisms.svm.constants import SOLANA_DEVNET_CAIP2
from x402.mechanisms.svm.exact import ExactSvmClientScheme

from given.payments import CENT, address, fault, payment, usdc_of, wallet
from hansa.examples.sellers import TOPICS, feed_at, shop
from hansa.infra.web import problem_response
from hansa.kernel.errors import Refusal
from hansa.payments import queries
from hansa.payments.facilitator import Facilitator
from hansa.payments.paywall import Paywall
from hansa.payments.transactions import read_payment

# solana-py announces that its synchronous client will go; the unmodified client of the SDK uses it.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated; use solana.rpc")

BASE = "http://shop.example"


@pytest.fixture
def buyer(rpc):
    return wallet(rpc, usdc=20 * CENT)


@pytest.fixture
def seller(rpc):
    return wallet(rpc)


@pytest.fixture
def app(services, seller):
    return shop(services, pay_to=address(seller))


@pytest.fixture
def counted(services, seller):
    """A shop whose handler takes a moment and counts its runs; `/broken` fails after it has counted."""
    app, runs = FastAPI(), []
    till = Paywall(services, pay_to=address(seller))
    router = APIRouter(route_class=till.route("$0.01", "Something that takes work"))

    @router.get("/work")
    def work() -> dict[str, int]:
        time.sleep(0.2)
        runs.append(threading.get_ident())
        return {"run": len(runs)}

    @router.get("/broken")
    def broken() -> None:
        runs.append(0)
        raise HTTPException(503, "out of order")

    app.include_router(router)
    app.add_exception_handler(Refusal, lambda _, refusal: problem_response(refusal))
    app.state.runs, app.state.till = runs, till
    return app


def requests(app, *calls):
    """Send all calls at once to an application; each is a path, or a path and a signed payment."""

    async def send():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE) as http:
            return await asyncio.gather(*(http.get(path, headers=headers) for path, headers in map(parts, calls)))

    return asyncio.run(send())


def parts(call):
    path, payload = (call, None) if isinstance(call, str) else call
    return path, {} if payload is None else {"PAYMENT-SIGNATURE": encode_payment_signature_header(payload)}


def offer(app, path):
    """The terms that a route asks for."""
    return decode_payment_required_header(requests(app, path)[0].headers["PAYMENT-REQUIRED"])


def signed(services, buyer, app, path):
    """A payment as the SDK's client would sign it for the route's first offer."""
    required = offer(app, path)
    return payment(services, buyer, required.accepts[0], url=required.resource.url)


def receipt(answer):
    return decode_payment_response_header(answer.headers["PAYMENT-RESPONSE"])


def test_an_unmodified_client_buys_the_market_feed_and_pays_exactly_its_price(rpc, app, buyer, seller):
    scheme = ExactSvmClientScheme(KeypairSigner(buyer), rpc_url=rpc.url)
    client = x402Client().register(SOLANA_DEVNET_CAIP2, scheme)

    async def buy():
        transport = x402_httpx_transport(client, httpx.ASGITransport(app=app))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            return await http.get("/api/market-feed")

    answer = asyncio.run(buy())
    for connection in scheme._clients.values():
        connection._provider.session.close()

    assert answer.status_code == 200
    assert {quote["symbol"] for quote in answer.json()["quotes"]} == {"BTC", "ETH", "SOL"}
    assert rpc.signature_status(receipt(answer).transaction).succeeded
    assert (usdc_of(rpc, buyer), usdc_of(rpc, seller)) == (19 * CENT, CENT)
    assert rpc.balance(address(buyer)) == 0


def test_without_a_payment_the_terms_are_told_and_nothing_else(app, seller, services):
    answer = requests(app, "/api/knowledge?topic=x402")[0]

    terms = decode_payment_required_header(answer.headers["PAYMENT-REQUIRED"])
    assert answer.status_code == 402
    assert TOPICS["x402"] not in answer.text
    assert (terms.accepts[0].amount, terms.accepts[0].pay_to) == (str(2 * CENT), address(seller))
    assert terms.accepts[0].extra["feePayer"] == Facilitator(services).key.wallet


def test_s01_eight_requests_with_one_payment_run_the_handler_once_and_are_all_answered(
    services, rpc, counted, buyer, seller
):
    payload = signed(services, buyer, counted, "/work")

    answers = requests(counted, *[("/work", payload)] * 8)

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"run": 1})] * 8
    assert len({receipt(answer).transaction for answer in answers}) == 1
    assert len(counted.state.runs) == 1
    assert usdc_of(rpc, seller) == CENT


def test_s02_a_payment_for_one_answer_buys_no_other_at_the_same_price(services, rpc, app, buyer, seller):
    payload = signed(services, buyer, app, "/api/knowledge?topic=x402")
    renamed = payload.model_copy(
        update={"resource": payload.resource.model_copy(update={"url": f"{BASE}/api/knowledge?topic=escrow"})}
    )

    unspent = requests(app, ("/api/knowledge?topic=escrow", payload))[0]
    bought = requests(app, ("/api/knowledge?topic=x402", payload))[0]
    spent = requests(app, ("/api/knowledge?topic=escrow", renamed))[0]

    assert (unspent.status_code, bought.status_code, spent.status_code) == (402, 200, 402)
    reasons = [decode_payment_required_header(one.headers["PAYMENT-REQUIRED"]).error for one in (unspent, spent)]
    assert reasons == ["payment_bound_to_another_purchase"] * 2
    assert usdc_of(rpc, seller) == 2 * CENT


def test_s03_a_lost_answer_is_given_again_for_the_same_payment(services, rpc, counted, buyer, seller):
    payload = signed(services, buyer, counted, "/work")
    lost = requests(counted, ("/work", payload))[0]

    again = requests(counted, ("/work", payload))[0]

    assert (again.status_code, again.content) == (200, lost.content)
    assert receipt(again) == receipt(lost)
    assert len(counted.state.runs) == 1
    assert usdc_of(rpc, seller) == CENT


def test_an_answer_whose_payment_was_pending_is_kept_and_given_when_it_has_landed(
    services, rpc, counted, buyer, seller
):
    payload = signed(services, buyer, counted, "/work")
    fault(rpc, "hold_send")
    counted.state.till.facilitator.patience_s = 0.2
    pending = requests(counted, ("/work", payload))[0]

    rpc.call("hansa_fault", {"fault": "release"})
    given = requests(counted, ("/work", payload))[0]

    assert pending.status_code == 402
    assert receipt(pending).error_reason == "settlement_pending"
    assert "run" not in pending.text
    assert (given.status_code, given.json()) == (200, {"run": 1})
    assert len(counted.state.runs) == 1
    assert usdc_of(rpc, seller) == CENT


def test_an_answer_that_is_an_error_costs_nothing_and_may_be_asked_for_again(
    services, rpc, counted, app, buyer, seller
):
    broken = signed(services, buyer, counted, "/broken")
    unknown = signed(services, buyer, app, "/api/knowledge?topic=alchemy")

    answers = [requests(counted, ("/broken", broken))[0] for _ in range(2)]
    not_found = requests(app, ("/api/knowledge?topic=alchemy", unknown))[0]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert len(counted.state.runs) == 2
    assert (not_found.status_code, not_found.json()["code"]) == (404, "topic_unknown")
    assert (usdc_of(rpc, buyer), usdc_of(rpc, seller)) == (20 * CENT, 0)
    with services.db.transaction() as tx:
        assert queries.claim_of(tx, read_payment(broken).message_hash) is None


def test_s07_a_paid_route_is_paid_by_whatever_path_it_is_reached(app):
    answers = requests(app, "/api/market-feed", "/api/market%2Dfeed", "/api//market-feed", "/api/market-feed/")

    assert [answer.status_code for answer in answers] == [402, 402, 404, 307]


def test_the_feed_is_the_same_for_a_whole_step_and_its_arbitrage_is_computed(app):
    early, late = (feed_at(datetime(2026, 11, 20, 13, minute, tzinfo=UTC)) for minute in (0, 4))

    assert early == late
    prices = {(quote.symbol, quote.venue): quote.price for quote in early.quotes}
    for hint in early.arbitrage:
        paid, got = prices[hint.symbol, hint.buy_at], prices[hint.symbol, hint.sell_at]
        assert hint.gain_bps == (got - paid) * 10_000 // paid - 10 > 0


@contextmanager
def no_database(services, server_dsn, database):
    """Nobody can connect for a while, and nobody waits long to find out."""
    patience, services.db.pool.timeout = services.db.pool.timeout, 0.3
    name = sql.Identifier(database)
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
        try:
            yield
        finally:
            server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            services.db.pool.timeout = patience


def sent_again(app, path, payload, *, within_s=20):
    """What a patient buyer gets: 503 says that the same payment may be sent again."""
    deadline = time.monotonic() + within_s
    while (answer := requests(app, (path, payload))[0]).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def test_an_outage_of_the_house_is_not_told_as_pay_again(rpc, counted, services, buyer, seller, server_dsn, database):
    payload = signed(services, buyer, counted, "/work")

    with no_database(services, server_dsn, database):
        out_of_order = requests(counted, ("/work", payload))[0]
    served = sent_again(counted, "/work", payload)

    assert (out_of_order.status_code, out_of_order.json()["code"]) == (503, "database_unavailable")
    assert out_of_order.headers["retry-after"]
    assert served.status_code == 200
    assert usdc_of(rpc, seller) == CENT
