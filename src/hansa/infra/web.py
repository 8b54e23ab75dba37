"""What the routes of all contexts stand on: the caller, one transaction per request, and answers kept under a key.

    @router.post("/api/negotiations/{negotiation}/accept", response_model=Negotiation)
    def accept(negotiation: NegotiationId, call: SignedCall) -> Response:
        return call.command(lambda tx: commands.accept(tx, negotiation, by=call.did, at=tx.at))

The transaction opens inside the handler and has committed before the answer leaves. (A FastAPI `yield` dependency
would commit after the client has its 200.) With an `Idempotency-Key` the answer is stored in the same transaction, so
the same request sent again gets the same answer, also after a crash between commit and answer.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request
from fastapi import Query as Parameter
from fastapi.responses import Response
from pydantic_core import to_json, to_jsonable_python

from hansa.infra.db import Actor, Query, Tx
from hansa.infra.outbox import delivered
from hansa.infra.services import Services
from hansa.kernel.dids import Did
from hansa.kernel.errors import Conflict, Denied, Forbidden, Invalid, Refusal, ServiceUnavailable, Unauthenticated
from hansa.kernel.ids import EventId

T = TypeVar("T")

REPLAYED = "idempotency-replayed"
KEY_LENGTH_MAX = 200
PATIENCE_S = 5.0
"""How long a read with `?after=` waits for the reactions."""


class ReactionsPending(ServiceUnavailable):
    """What follows from that event has not been worked out yet; ask again."""


class SignatureRequired(Unauthenticated):
    """This request must be signed by an agent (RFC 9421) with the key of its DID."""


class SignInRequired(Unauthenticated):
    """This request needs a signed-in person: sign in with a wallet and send the session as a bearer token."""


class OperatorRequired(Forbidden):
    """Only an operator may do this; the command line does it on the database."""


class IdempotencyKeyMalformed(Invalid):
    """An Idempotency-Key is 1 to 200 printable ASCII characters."""


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key was used for a different request; take a new key for a new request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What was answered under an Idempotency-Key."""

    request_digest: bytes
    status: int
    answer: str


FIND_ANSWER = Query(
    StoredAnswer,
    """
    SELECT request_digest, status, answer::text AS answer
      FROM ops.idempotency_keys
     WHERE actor = %(actor)s
       AND key = %(key)s
    """,
)

# Serialises requests with one key: the second waits here until the first has committed, and then finds its answer.
LOCK_KEY = Query(str, "SELECT pg_advisory_xact_lock(hashtextextended(%(actor)s || ' ' || %(key)s, 0))::text")

KEEP_ANSWER = Query(
    int,
    """
    INSERT INTO ops.idempotency_keys (actor, key, request_digest, status, answer)
    VALUES (%(actor)s, %(key)s, %(digest)s, %(status)s, %(answer)s::jsonb)
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request with its proven caller."""

    services: Services
    actor: Actor
    request: Request
    body: bytes

    @property
    def did(self) -> Did:
        """The DID that signed the request."""
        return Did(self.actor.did)

    def query(self, read: Callable[[Tx], object]) -> Response:
        """Answer with what a query reads; with `?after=<event id>`, once that event's reactions have run."""
        event = self.request.query_params.get("after", "")
        if event.isdecimal():
            self._wait_for(EventId(int(event[:18])))
        with self.services.db.transaction(self.actor) as tx:
            value = read(tx)
        return json_response(value)

    def _wait_for(self, event: EventId) -> None:
        """Raises ReactionsPending when it takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with self.services.db.transaction(self.actor) as tx:
                if delivered(tx, event):
                    return
            time.sleep(0.02)
        raise ReactionsPending

    def command(self, write: Callable[[Tx], object], *, status: int = 200) -> Response:
        """Run one command in one transaction and answer after it has committed; once per Idempotency-Key."""
        key = self.request.headers.get("idempotency-key")
        # Strangers have no name under which an answer could be kept apart from that of other strangers.
        if key is None or self.actor.kind == "anonymous":
            with self.services.db.transaction(self.actor) as tx:
                value = write(tx)
            return answer_of(value, status)
        return self._command_once(write, status, checked_key(key))

    def _command_once(self, write: Callable[[Tx], object], status: int, key: str) -> Response:
        actor = self.actor.did or str(self.actor.user or "anonymous")
        digest = request_digest(self.request, self.body)
        with self.services.db.transaction(self.actor) as tx:
            tx.one(LOCK_KEY, actor=actor, key=key)
            stored = tx.maybe(FIND_ANSWER, actor=actor, key=key)
            if stored is not None:
                return replay(stored, digest)
            answer = answer_of(write(tx), status)
            text = bytes(answer.body).decode()
            tx.run(KEEP_ANSWER, actor=actor, key=key, digest=digest, status=answer.status_code, answer=text)
        return answer


def answer_of(value: object, status: int) -> Response:
    """A command's value as an answer; a denial is a value too, so that its evidence is committed."""
    return problem_response(value.refusal) if isinstance(value, Denied) else json_response(value, status)


def json_response(value: object, status: int = 200) -> Response:
    return Response(to_json(value), status_code=status, media_type="application/json")


def problem_response(refusal: Refusal, *, trace: str = "") -> Response:
    """A refusal as problem+json (RFC 9457), with Retry-After when a retry makes sense."""
    document = cast("dict[str, Any]", to_jsonable_python(refusal.problem(), fallback=str))  # Any: facts are open
    headers = {"retry-after": str(document.get("retry_after_s", 1))} if refusal.retryable else {}
    if trace:
        document["trace"] = trace
    body = to_json(document)
    return Response(body, status_code=refusal.status, media_type="application/problem+json", headers=headers)


def replay(stored: StoredAnswer, digest: bytes) -> Response:
    if stored.request_digest != digest:
        raise IdempotencyKeyReused
    media = "application/json" if stored.status < 400 else "application/problem+json"
    return Response(stored.answer, status_code=stored.status, media_type=media, headers={REPLAYED: "true"})


def checked_key(key: str) -> str:
    if not 0 < len(key) <= KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()):
        raise IdempotencyKeyMalformed
    return key


def request_digest(request: Request, body: bytes) -> bytes:
    """What makes two requests the same: method, path, query and body."""
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(head + body).digest()


async def any_call(request: Request) -> Call:
    """The request with its caller, proven or anonymous; authentication has set both before the route ran."""
    return Call(
        services=cast("Services", request.app.state.services),
        actor=cast("Actor", request.state.actor),
        request=request,
        body=await request.body(),
    )


async def signed_call(request: Request) -> Call:
    """A request signed by an agent."""
    call = await any_call(request)
    if call.actor.kind != "agent":
        raise SignatureRequired
    return call


async def personal_call(request: Request) -> Call:
    """A request of a signed-in person."""
    call = await any_call(request)
    if call.actor.kind != "user":
        raise SignInRequired
    return call


AnyCall = Annotated[Call, Depends(any_call)]
SignedCall = Annotated[Call, Depends(signed_call)]
PersonalCall = Annotated[Call, Depends(personal_call)]
Limit = Annotated[int, Parameter(ge=1, le=500)]
"""How many entries a page of a list has at the most."""
