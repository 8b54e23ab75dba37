"""The registry over HTTP."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from hansa.identity.queries import signing_key
from hansa.infra.db import Page, Tx
from hansa.infra.web import AnyCall, SignedCall
from hansa.registry import commands, queries
from hansa.registry.cards import read_card
from hansa.registry.errors import AgentForeign
from hansa.registry.identicons import identicon
from hansa.registry.models import Agent, AgentProfile, AgentStatus, Domain, Registration

router = APIRouter(tags=["registry"])

CARD_BODY: dict[str, Any] = {  # Any: a piece of OpenAPI
    "requestBody": {
        "required": True,
        "description": "The agent's signed A2A card, v0.3 or v1, as JSON.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    ttl_s: int
    """Seconds for which the agent wants to stay without another sign of life: 30 to 2 592 000."""
    status: AgentStatus | None = None
    """What the agent is now; left out, it is available again if it was offline."""


@router.post("/api/agents", response_model=Registration, status_code=201, openapi_extra=CARD_BODY)
def register(call: SignedCall, ttl_s: Annotated[int | None, Query(ge=30, le=2_592_000)] = None) -> Response:
    """Register the signing agent with its signed card, or a new version of it; the same card again changes nothing.

    `ttl_s`: seconds for which it stays without a sign of life; left out, as before, or a day.
    """

    def write(tx: Tx) -> Registration:
        card = read_card(call.body, key_of_did=lambda did, key_id: signing_key(tx, did, key_id, at=tx.at))
        return commands.register_agent(tx, card, by=call.did, at=tx.at, ttl_s=ttl_s)

    return call.command(write, status=201)


@router.get("/api/agents", response_model=Page[Agent])
def agents(
    call: AnyCall,
    status: AgentStatus | None = None,
    domain: int | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """Agents that have not retired, newest first; ask again with `after` for the next page."""
    return call.query(lambda tx: queries.agents(tx, status=status, domain=domain, before=after, limit=limit))


@router.get("/api/agents/{ref}", response_model=AgentProfile)
def agent(ref: str, call: AnyCall) -> Response:
    """An agent by its DID or its name in URLs, with domains, skills, prices and endpoints."""
    return call.query(lambda tx: queries.profile(tx, queries.agent_by_ref(tx, ref)))


@router.get("/api/agents/{ref}/card")
def card(ref: str, call: AnyCall, version: Annotated[int | None, Query(ge=1)] = None) -> Response:
    """The card of an agent, byte for byte as it was signed; an earlier one by its version."""
    with call.services.db.transaction(call.actor) as tx:
        found = queries.card_of(tx, queries.agent_by_ref(tx, ref), version=version)
    return Response(found.raw, media_type="application/json", headers={"etag": f'"{found.content_hash}"'})


@router.get("/api/agents/{ref}/avatar.svg")
def avatar(ref: str, call: AnyCall) -> Response:
    """A picture that follows from the agent's DID, for agents whose card names none."""
    with call.services.db.transaction(call.actor) as tx:
        found = queries.agent_by_ref(tx, ref)
    headers = {"cache-control": "public, max-age=86400, immutable"}
    return Response(identicon(found.did), media_type="image/svg+xml", headers=headers)


@router.post("/api/agents/{ref}/heartbeat", response_model=Agent)
def heartbeat(ref: str, beat: Heartbeat, call: SignedCall) -> Response:
    """A sign of life of the signing agent."""

    def write(tx: Tx) -> Agent:
        own = own_agent(tx, ref, call)
        return commands.heartbeat(tx, own.did, beat.ttl_s, tx.at, status=beat.status)

    return call.command(write)


@router.delete("/api/agents/{ref}", response_model=Agent)
def retire(ref: str, call: SignedCall) -> Response:
    """Take the signing agent out of the market; nothing is deleted, and it may register again."""
    return call.command(lambda tx: commands.retire_agent(tx, own_agent(tx, ref, call).did, tx.at))


@router.get("/api/domains", response_model=list[Domain])
def domains(call: AnyCall) -> Response:
    """The ten domains in their order."""
    return call.query(queries.domains)


def own_agent(tx: Tx, ref: str, call: SignedCall) -> Agent:
    """The agent that a reference stands for, when it is the caller. Raises AgentUnknown, AgentForeign."""
    found = queries.agent_by_ref(tx, ref)
    if found.did != call.did:
        raise AgentForeign(agent=found.agent_id)
    return found
