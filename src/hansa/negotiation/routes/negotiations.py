"""Negotiations of two over HTTP, from the opening offer to the shares."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from hansa.infra.db import Page, Tx
from hansa.infra.web import Limit, SignedCall
from hansa.kernel.dids import Did, parse_did
from hansa.kernel.ids import IntentId, NegotiationId
from hansa.negotiation import commands, queries
from hansa.negotiation.models import (
    NOTHING_ELSE,
    OPEN_STATES,
    Negotiation,
    NegotiationState,
    Paid,
    Round,
    Settlement,
    Terms,
)

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNegotiation:
    """An opening offer."""

    __pydantic_config__: ClassVar = NOTHING_ELSE

    intent: IntentId
    responder: Did
    """DID of the agent that shall work."""
    terms: Terms
    max_rounds: int = 10
    """1 to 20; the opening offer is the first."""
    ttl_s: Annotated[int, Field(ge=1, le=30 * 24 * 3600)] = 3600
    """Seconds until the negotiation expires."""
    round_s: Annotated[int, Field(strict=True)] | None = None
    """Seconds that each party has to answer a proposal, 5 to 86 400; None: only `ttl_s` counts."""
    accepts_at: Decimal | None = None
    """Convergence, 0.50 to 1.00, at which the initiator accepts the responder's proposal unasked; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProposal(Terms):
    """What one side proposes, and at which convergence it accepts what the other side will propose."""

    accepts_at: Decimal | None = None
    """Convergence, 0.50 to 1.00, at which the proposer accepts the other's proposal unasked; None: as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Which proposal is accepted."""

    round: int | None = None
    """Number of the round that was seen; another one on the table is then refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why there will be no deal."""

    reason: str = ""
    """At most 1000 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRequest:
    """Who else earned a share."""

    validator: Did | None = None
    """DID of the validator; None: the validator's share goes to the pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationDetail:
    """A negotiation with all its rounds and, once settled, its shares."""

    negotiation: Negotiation
    rounds: list[Round]
    paid: Paid | None
    """None: not settled."""
    accepts_at: Decimal | None
    """Convergence at which the reader itself accepts the other's proposal unasked; None: never."""


@router.post("/api/negotiations", response_model=Negotiation, status_code=201)
def initiate(body: NewNegotiation, call: SignedCall) -> Response:
    """Open a negotiation; 403 when the hire gate denies this pair."""
    return call.command(
        lambda tx: commands.initiate(
            tx,
            by=call.did,
            responder=parse_did(body.responder),
            intent=body.intent,
            terms=body.terms,
            max_rounds=body.max_rounds,
            ttl=timedelta(seconds=body.ttl_s),
            round_s=body.round_s,
            accepts_at=body.accepts_at,
            at=tx.at,
        ),
        status=201,
    )


@router.get("/api/negotiations", response_model=Page[Negotiation])
def my_negotiations(
    call: SignedCall,
    state: NegotiationState | Literal["active"] | None = None,
    after: UUID | None = None,
    limit: Limit = 50,
) -> Response:
    """The signing agent's negotiations, newest first; `state=active` means every open state."""
    states = None if state is None else OPEN_STATES if state == "active" else (state,)
    return call.query(lambda tx: queries.negotiations_of(tx, call.did, states=states, before=after, limit=limit))


@router.get("/api/negotiations/{negotiation}", response_model=NegotiationDetail)
def one_negotiation(negotiation: NegotiationId, call: SignedCall) -> Response:
    """A negotiation with its rounds, for its parties."""

    def read(tx: Tx) -> NegotiationDetail:
        found = queries.negotiation_of(tx, negotiation, seen_by=call.did)
        rounds, paid = queries.rounds_of(tx, negotiation), queries.paid_for(tx, negotiation)
        accepts_at = queries.accepts_at(tx, negotiation, of=call.did)
        return NegotiationDetail(negotiation=found, rounds=rounds, paid=paid, accepts_at=accepts_at)

    return call.query(read)


@router.post("/api/negotiations/{negotiation}/propose", response_model=Negotiation)
def propose(negotiation: NegotiationId, body: NewProposal, call: SignedCall) -> Response:
    """Answer the proposal on the table with another one.

    When the other party has said that it accepts at the convergence reached, the answer is the accepted deal; when its
    acceptance was refused, the proposal stays on the table and `not_accepted` has the code of the refusal.
    """
    return call.command(
        lambda tx: commands.propose(tx, negotiation, by=call.did, terms=body, accepts_at=body.accepts_at)
    )


@router.post("/api/negotiations/{negotiation}/accept", response_model=Negotiation)
def accept(negotiation: NegotiationId, call: SignedCall, body: Acceptance | None = None) -> Response:
    """Seal the proposal on the table and hold its price."""
    seen = body.round if body else None
    return call.command(lambda tx: commands.accept(tx, negotiation, by=call.did, seen_round=seen, at=tx.at))


@router.post("/api/negotiations/{negotiation}/reject", response_model=Negotiation)
def reject(negotiation: NegotiationId, call: SignedCall, body: Rejection | None = None) -> Response:
    """End the negotiation without a deal."""
    reason = body.reason if body else ""
    return call.command(lambda tx: commands.reject(tx, negotiation, by=call.did, reason=reason))


@router.post("/api/negotiations/{negotiation}/settle", response_model=Settlement)
def settle(negotiation: NegotiationId, call: SignedCall, body: SettlementRequest | None = None) -> Response:
    """Pay the shares of an accepted deal that no task fulfils; only the payer can."""
    validator = parse_did(body.validator) if body and body.validator is not None else None
    broker = Did(call.services.settings.broker_did) if call.services.settings.broker_did else None
    return call.command(
        lambda tx: commands.settle(tx, call.services.keys, negotiation, by=call.did, broker=broker, validator=validator)
    )
