"""Who is calling: an agent by its signature (RFC 9421), a person by a session, or nobody.

A DID comes from a verified signature and from nowhere else. The nonce is consumed in its own committed transaction
before the request is looked at, so a request that is later refused cannot be sent a second time either.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

import structlog
from anyio.to_thread import run_sync
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansa.credits.commands import holder_of
from hansa.identity import commands as identity
from hansa.identity import queries as people
from hansa.infra import limits
from hansa.infra.db import Actor, Tx
from hansa.infra.log import logger
from hansa.infra.services import Services
from hansa.infra.signatures import received_url, verify_request
from hansa.infra.web import problem_response
from hansa.kernel.errors import Invalid, Refusal

log = logger(__name__)

GATEKEEPER = Actor(kind="system", did="entry.auth")


class RequestTooLarge(Invalid):
    """The request's body is larger than this server reads."""

    status = 413


class Authentication:
    """ASGI middleware: reads the body once, proves the caller, and puts an Actor into the request's state."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app, self.services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace = trace_of(Headers(scope=scope))
        structlog.contextvars.clear_contextvars()  # one connection carries many requests
        structlog.contextvars.bind_contextvars(trace=trace)
        try:
            body = await read_body(receive, self.services.settings.body_bytes_max)
            actor = await self.actor_of(scope, body, trace)
        except Refusal as refusal:
            await self.refuse(problem_response(refusal, trace=trace), scope, receive, send, trace)
            return
        scope.setdefault("state", {})["actor"] = actor
        structlog.contextvars.bind_contextvars(actor=actor.did or actor.kind)
        await self.app(scope, replayed(body, receive), traced(send, trace))

    async def actor_of(self, scope: Scope, body: bytes, trace: str) -> Actor:
        headers = Headers(scope=scope)
        if "signature-input" in headers or "signature" in headers:
            return await run_sync(self.agent, scope, headers, body, trace)
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return await run_sync(self.person, token.strip(), trace)
        return Actor(kind="anonymous", trace=trace)

    def agent(self, scope: Scope, headers: Headers, body: bytes, trace: str) -> Actor:
        """The agent whose key signed this request. Raises the refusals of infra/signatures, NonceReplayed, RateLimited."""
        with self.services.db.transaction(GATEKEEPER) as tx:
            signed = verify_request(
                method=scope["method"],
                url=received_url(scope),
                headers=headers,
                body=body,
                resolve_key=lambda did, key_id: people.signing_key(tx, did, key_id, at=tx.at),
                at=tx.at,
                clock_skew_s=self.services.settings.clock_skew_s,
                # From the settings: whoever hands on a request that was signed for another server chooses the Host.
                authority=urlsplit(self.services.settings.public_url).netloc or None,
            )
            # After the signature: nobody uses up what another may ask. With the nonce: a refused or repeated request
            # is not counted, for both are undone together.
            self.admit(tx, holder_of(signed.did))
            identity.consume_nonce(tx, signed.did, signed.nonce, expires_at=signed.remember_until)
        return Actor(kind="agent", did=signed.did, trace=trace)

    def person(self, token: str, trace: str) -> Actor:
        """The person behind a session. Raises SessionEnded, RateLimited."""
        with self.services.db.transaction(GATEKEEPER) as tx:
            user = people.session_user(tx, token)
            self.admit(tx, str(user.id))
        return Actor(kind="user", did=user.solana_did, user=user.id, trace=trace)

    def admit(self, tx: Tx, subject: str) -> None:
        limits.admit(tx, subject, per_minute=self.services.settings.requests_per_minute)

    async def refuse(self, answer: Response, scope: Scope, receive: Receive, send: Send, trace: str) -> None:
        log.info("request refused", path=scope["path"], status=answer.status_code)
        await answer(scope, receive, traced(send, trace))


def trace_of(headers: Headers) -> str:
    """The caller's trace id (W3C traceparent), or a new one."""
    parts = headers.get("traceparent", "").split("-")
    given = parts[1] if len(parts) == 4 else ""
    usable = len(given) == 32 and all(letter in "0123456789abcdef" for letter in given)
    return given if usable else secrets.token_hex(16)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body, since a signature covers all of it. Raises RequestTooLarge."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > limit:
            raise RequestTooLarge(f"a request body has at most {limit} bytes", bytes_max=limit)
        if not message.get("more_body", False):
            return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A receive channel that gives the body that was read, and then what the client does."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


SECURITY_HEADERS = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def traced(send: Send, trace: str) -> Send:
    """Every answer names its trace and says what browsers must not do with it."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"trace-id", trace.encode()), *SECURITY_HEADERS]
        await send(message)

    return with_headers
