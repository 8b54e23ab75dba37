"""Selling a route: the official x402 server asks for the money, and what was sold is kept and given once more.

    paywall = Paywall(services, pay_to=wallet)
    router = APIRouter(route_class=paywall.route("$0.01", "Prices and arbitrage"))

    @router.get("/api/market-feed")
    def market_feed() -> Feed: ...

Every route of such a router is paid; there is no path that is free because somebody forgot to list it. Wire format,
terms and headers are the SDK's. Ours is what it lacks: a payment counts for the one URL it was quoted for, the
handler runs once for it however often and at the same time it is presented, and the answer is kept before the money
moves, so that a lost one is given again. An answer of 400 or more costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from x402 import x402ResourceServer
from x402.http.middleware.fastapi import payment_middleware
from x402.http.types import PaymentOption, RouteConfig
from x402.mechanisms.svm.exact import ExactSvmServerScheme
from x402.schemas import AbortResult, PaymentPayload
from x402.schemas.hooks import VerifyContext

from hansa.infra.services import Services
from hansa.kernel.errors import ServiceUnavailable
from hansa.payments import commands
from hansa.payments.errors import AnswerInTheMaking, PaymentMissing
from hansa.payments.facilitator import ERR_BOUND, OUTAGES, AsyncFacilitator, Facilitator
from hansa.payments.models import NETWORKS, PaidAnswer
from hansa.payments.settlement import FACILITATOR
from hansa.payments.transactions import read_payment

LEASE = timedelta(seconds=60)
"""How long a handler may take before the same payment may start it again."""
PATIENCE_S = 20.0
"""How long a second request with the same payment waits for the answer to the first."""
POLL_S = 0.05

Handler = Callable[[Request], Coroutine[Any, Any, Response]]  # Any: what FastAPI's own handlers are typed with
Charge = Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]


@dataclass
class Paywall:
    """Sells routes of one seller, paid to one wallet."""

    services: Services
    pay_to: str
    """Wallet of the seller; its token account must be open."""
    facilitator: Facilitator = field(init=False)
    server: x402ResourceServer = field(init=False)

    def __post_init__(self) -> None:
        self.facilitator = Facilitator(self.services, keeps_answers=True)
        network = NETWORKS[self.facilitator.environment].caip2
        self.server = x402ResourceServer(AsyncFacilitator(self.facilitator))
        # Any: the SDK's own scheme does not fit the SDK's own protocol (a parameter has another name).
        scheme: Any = ExactSvmServerScheme()
        self.server.register(network, scheme)
        self.server.on_before_verify(refuse_other_resource)

    def route(self, price: str, description: str) -> type[APIRoute]:
        """A class of routes that cost `price` (such as "$0.01") for each request."""
        network = NETWORKS[self.facilitator.environment].caip2
        option = PaymentOption(scheme="exact", network=network, pay_to=self.pay_to, price=price)
        terms = RouteConfig(accepts=option, description=description, mime_type="application/json")
        charge, services = payment_middleware(terms, self.server), self.services

        class PaidRoute(APIRoute):
            """A route whose handler is reached through the till only."""

            def get_route_handler(self) -> Handler:
                serve = super().get_route_handler()

                async def sell(request: Request) -> Response:
                    outages: list[ServiceUnavailable] = []
                    noting = OUTAGES.set(outages)
                    try:
                        response = await charge(request, lambda paid: sold_once(services, serve, paid))
                    finally:
                        OUTAGES.reset(noting)
                    if outages and response.status_code == 402:
                        # The payment is as good as before: "pay again" would make a buyer pay twice.
                        raise outages[0]
                    return response

                return sell

        return PaidRoute


def refuse_other_resource(context: VerifyContext) -> AbortResult | None:
    """A payment buys the URL that it was quoted for, not another one at the same price."""
    quoted = context.payment_payload.resource if isinstance(context.payment_payload, PaymentPayload) else None
    asked = context.transport_context.request.adapter.get_url()
    return None if quoted is not None and quoted.url == asked else AbortResult(reason=ERR_BOUND)


async def sold_once(services: Services, serve: Handler, request: Request) -> Response:
    """The answer to a verified payment: the kept one, or the handler's, which is then kept.

    Raises PaymentMissing, PaymentBoundElsewhere, AnswerInTheMaking, and what the handler raises.
    """
    payload = getattr(request.state, "payment_payload", None)
    if not isinstance(payload, PaymentPayload):
        raise PaymentMissing
    shelf = Shelf(services=services, message_hash=read_payment(payload).message_hash, worker=uuid4())
    kept = await shelf.take(f"{request.method} {request.url}")
    if kept is not None:
        return streamed(kept.status or 200, dict(kept.headers or {}), kept.body or b"")
    try:
        response = await serve(request)
    except BaseException:
        await run_sync(shelf.give_back)
        raise
    body = await body_of(response)
    headers = dict(response.headers)
    if response.status_code < 400:
        await run_sync(shelf.keep, response.status_code, headers, body)
    else:
        await run_sync(shelf.give_back)
    return streamed(response.status_code, headers, body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The place of one payment's answer, as one request sees it."""

    services: Services
    message_hash: str
    worker: UUID

    async def take(self, resource: str) -> PaidAnswer | None:
        """The kept answer, or None when this request is to make it; waits for another one that makes it.

        Raises PaymentBoundElsewhere, AnswerInTheMaking.
        """
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            answer = await run_sync(self.look, resource)
            if answer.status is not None:
                return answer
            if answer.leased_by == self.worker:
                return None
            await asyncio.sleep(POLL_S)
        raise AnswerInTheMaking

    def look(self, resource: str) -> PaidAnswer:
        with self.services.db.transaction(FACILITATOR) as tx:
            return commands.open_answer(tx, self.message_hash, resource=resource, worker=self.worker, lease=LEASE)

    def keep(self, status: int, headers: dict[str, str], body: bytes) -> None:
        with self.services.db.transaction(FACILITATOR) as tx:
            commands.keep_answer(tx, self.message_hash, worker=self.worker, status=status, headers=headers, body=body)

    def give_back(self) -> None:
        with self.services.db.transaction(FACILITATOR) as tx:
            commands.abandon_answer(tx, self.message_hash, worker=self.worker)


async def body_of(response: Response) -> bytes:
    """The whole body of an answer: what is sold must be whole before it is paid."""
    if not isinstance(response, StreamingResponse):
        return bytes(response.body)
    parts = [part async for part in response.body_iterator]
    return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in parts)


def streamed(status: int, headers: dict[str, str], body: bytes) -> StreamingResponse:
    """The SDK reads an answer as a stream, as it comes from a middleware further in."""

    async def parts() -> AsyncIterator[bytes]:
        yield body

    return StreamingResponse(parts(), status_code=status, headers=headers)
