"""Two sellers behind x402: a market feed and a knowledge base. Run them inside the API, or alone:

    python -m hansa.examples.sellers --pay-to <wallet>

The payments are real: the official x402 server asks for them and our facilitator settles them on the chain. The
prices of the feed are not: they are a random walk from a fixed seed, the same for everybody who asks in the same five
minutes, because an example has no licence to sell an exchange's data. What is computed from them is computed.
Source: Autopay agent, Market Data API and Knowledge Data API.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response

from hansa.infra.services import Services
from hansa.infra.web import problem_response
from hansa.kernel.errors import NotFound, Refusal
from hansa.payments.paywall import Paywall

FEED_PRICE, KNOWLEDGE_PRICE = "$0.01", "$0.02"

SEED = b"hansa market feed 1"
STEP_S = 300
STEP_BPS = 40
"""The most a price moves in one step, in basis points."""
FEE_BPS = 10
"""What buying at one venue and selling at the other costs together, in basis points."""
VENUES = ("lubeck", "bergen")
OPENING: Mapping[str, int] = {"BTC": 97_500_000_000, "ETH": 3_420_000_000, "SOL": 186_000_000}
"""Price of one coin at midnight UTC, in millionths of a dollar."""

TOPICS: Mapping[str, str] = {
    "x402": "A server answers 402 with its terms; the client signs a payment, sends the same request with it, and "
    "gets the answer when a facilitator has settled the payment on chain.",
    "escrow": "Money that is set aside when a deal is struck and paid out, whole, when the work is accepted; after "
    "its time it goes back by itself.",
    "reputation": "What remains of settled deals: each is evidence that anyone can recompute the score from.",
    "kontor": "A trading post of the Hanseatic League, with its own law, scales and treasury; the four great ones "
    "stood in London, Bruges, Bergen and Novgorod.",
}


class TopicUnknown(NotFound):
    """The knowledge base has nothing on this topic; nothing was charged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price of one coin at one venue."""

    symbol: str
    venue: str
    price: int
    """Millionths of a dollar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arbitrage:
    """A difference between venues that is larger than what it costs to trade it."""

    symbol: str
    buy_at: str
    sell_at: str
    gain_bps: int
    """Gain in basis points of the price paid, after fees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What the market feed sells."""

    at: datetime
    """Beginning of the step that the prices belong to."""
    quotes: list[Quote]
    arbitrage: list[Arbitrage]
    """Best first; empty when no difference is worth its fees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the knowledge base sells."""

    topic: str
    text: str


def mount_sellers(app: FastAPI, services: Services, *, pay_to: str, knowledge_pay_to: str | None = None) -> None:
    """Add both paid routes to an application. The wallets' token accounts must be open.

    `pay_to` is paid for the market feed, and for the knowledge base too when no other wallet is named.
    """
    app.include_router(market_feed_router(services, pay_to))
    app.include_router(knowledge_router(services, knowledge_pay_to or pay_to))


def market_feed_router(services: Services, pay_to: str) -> APIRouter:
    """`GET /api/market-feed` for one cent."""
    till = Paywall(services, pay_to=pay_to)
    router = APIRouter(tags=["examples"], route_class=till.route(FEED_PRICE, "Prices and arbitrage of three coins"))

    @router.get("/api/market-feed")
    def market_feed() -> Feed:
        """Prices of three coins at two venues, and where their difference pays. Costs $0.01 (x402)."""
        return feed_at(datetime.now(UTC))

    return router


def knowledge_router(services: Services, pay_to: str) -> APIRouter:
    """`GET /api/knowledge?topic=...` for two cents."""
    till = Paywall(services, pay_to=pay_to)
    router = APIRouter(tags=["examples"], route_class=till.route(KNOWLEDGE_PRICE, "A short text on one topic"))

    @router.get("/api/knowledge")
    def knowledge(topic: Annotated[str, Query(max_length=100)]) -> Knowledge:
        """What the house knows about a topic. Costs $0.02 (x402), and nothing when it knows nothing."""
        text = TOPICS.get(topic.lower())
        if text is None:
            raise TopicUnknown(topics=sorted(TOPICS))
        return Knowledge(topic=topic.lower(), text=text)

    return router


def feed_at(at: datetime) -> Feed:
    """The feed of a moment; the same for every moment of one step."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    steps = int((at - midnight).total_seconds()) // STEP_S
    quotes = [
        Quote(symbol=symbol, venue=venue, price=price_after(symbol, venue, midnight, steps))
        for symbol in OPENING
        for venue in VENUES
    ]
    found = [spread(symbol, [quote for quote in quotes if quote.symbol == symbol]) for symbol in OPENING]
    worthwhile = sorted((one for one in found if one.gain_bps > 0), key=lambda one: -one.gain_bps)
    return Feed(
        at=datetime.fromtimestamp(midnight.timestamp() + steps * STEP_S, UTC), quotes=quotes, arbitrage=worthwhile
    )


def price_after(symbol: str, venue: str, midnight: datetime, steps: int) -> int:
    """The walk from the opening price: each step moves it by up to STEP_BPS either way."""
    price = OPENING[symbol]
    for step in range(steps + 1):
        name = f"{symbol} {venue} {midnight:%Y-%m-%d} {step}".encode()
        draw = int.from_bytes(hashlib.sha256(SEED + name).digest()[:4], "big") % (2 * STEP_BPS + 1) - STEP_BPS
        price = price * (10_000 + draw) // 10_000
    return price


def spread(symbol: str, quotes: Sequence[Quote]) -> Arbitrage:
    """The gain of buying where a coin is cheapest and selling where it is dearest."""
    cheap, dear = min(quotes, key=lambda quote: quote.price), max(quotes, key=lambda quote: quote.price)
    gain_bps = (dear.price - cheap.price) * 10_000 // cheap.price - FEE_BPS
    return Arbitrage(symbol=symbol, buy_at=cheap.venue, sell_at=dear.venue, gain_bps=gain_bps)


def shop(services: Services, *, pay_to: str) -> FastAPI:
    """The sellers as an application of their own."""
    app = FastAPI(title="Paid examples", docs_url=None, redoc_url=None)
    mount_sellers(app, services, pay_to=pay_to)

    @app.exception_handler(Refusal)
    def refused(_: Request, refusal: Refusal) -> Response:  # pyright: ignore[reportUnusedFunction] FastAPI calls it
        return problem_response(refusal)

    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve both sellers until a signal ends it."""
    import uvicorn

    from hansa.entry.runtime import open_services
    from hansa.infra.settings import settings
    from hansa.payments.treasury import open_token_account, prepare

    parser = argparse.ArgumentParser(prog="python -m hansa.examples.sellers", description="Two sellers behind x402.")
    parser.add_argument("--pay-to", required=True, help="wallet that is paid")
    parser.add_argument("--port", type=int, default=8421)
    options = parser.parse_args(arguments)
    with open_services(settings(), name="sellers") as services:
        prepare(services)
        open_token_account(services, options.pay_to)
        uvicorn.run(shop(services, pay_to=options.pay_to), host=services.settings.host, port=options.port)


if __name__ == "__main__":
    main()
