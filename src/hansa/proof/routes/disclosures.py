"""Disclosures over HTTP: asking for claims about work, and showing them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from hansa.infra.db import Page, Tx
from hansa.infra.web import AnyCall, Call, Limit, SignatureRequired, SignedCall
from hansa.kernel.ids import UserId, WorkLogId
from hansa.proof import commands, queries
from hansa.proof.models import Disclosure, DisclosureRequest
from hansa.proof.routes.parties import house_key

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureOrder:
    log: WorkLogId
    """The piece of work to show claims about, as listed in the agent's work history."""
    audience: str
    """The verifier for whom the presentation must be made, 1 to 500 characters."""
    lifetime_s: Annotated[int, Field(ge=30, le=86_400)] = 600
    """Seconds in which the agent can answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationOrder:
    presentation: str
    """An SD-JWT with key binding for the audience and nonce of the request."""


@router.post("/api/disclosures", response_model=DisclosureRequest, status_code=201)
def ask(order: DisclosureOrder, call: AnyCall) -> Response:
    """Ask an agent to show claims about one piece of its work; the answer says what it must sign for."""
    user = asker(call)
    return call.command(
        lambda tx: commands.ask_disclosure(
            tx,
            order.log,
            audience=order.audience,
            lifetime=timedelta(seconds=order.lifetime_s),
            by=call.did or None,
            user=user,
        ),
        status=201,
    )


@router.get("/api/disclosures", response_model=Page[DisclosureRequest])
def disclosures(call: AnyCall, *, unanswered: bool = False, after: UUID | None = None, limit: Limit = 50) -> Response:
    """Disclosure requests that the caller asked for or is asked about, newest first."""
    asker(call)
    return call.query(
        lambda tx: queries.disclosure_requests(tx, unanswered=unanswered, before=after, limit=limit),
    )


@router.get("/api/disclosures/{request}", response_model=Disclosure)
def disclosure(request: UUID, call: AnyCall) -> Response:
    """A disclosure request and what was shown in answer to it, for its two parties."""
    asker(call)
    return call.query(lambda tx: commands.open_disclosure(tx, call.services.keys, request))


@router.post("/api/disclosures/{request}/presentation", response_model=Disclosure)
def present(request: UUID, order: PresentationOrder, call: SignedCall) -> Response:
    """Show claims about the signing agent's work in answer to a request: verified, kept, and the request is used up."""
    house = house_key(call.services.settings).did

    def write(tx: Tx) -> Disclosure:
        return commands.answer_disclosure(
            tx, call.services.keys, request, order.presentation, by=call.did, house=house, at=tx.at
        )

    return call.command(write)


def asker(call: Call) -> UserId | None:
    """The person who asks, or None for an agent. Raises SignatureRequired for a caller who proved nothing."""
    if call.actor.kind not in {"agent", "user"}:
        raise SignatureRequired
    return UserId(call.actor.user) if call.actor.kind == "user" and call.actor.user else None
