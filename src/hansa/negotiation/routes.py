"""Negotiation over HTTP."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from hansa.infra.db import JsonObject, Page, Tx
from hansa.infra.web import SignedCall
from hansa.kernel.dids import Did, parse_did
from hansa.kernel.ids import GroupId, IntentId, NegotiationId
from hansa.kernel.money import Credits
from hansa.negotiation import commands, queries
from hansa.negotiation.models import (
    OPEN_STATES,
    Group,
    GroupDeal,
    GroupProposal,
    GroupState,
    GroupTerms,
    GroupVote,
    Intent,
    Member,
    Negotiation,
    NegotiationState,
    Paid,
    Round,
    Settlement,
    Tally,
    Terms,
    VotingRule,
)

router = APIRouter(tags=["negotiation"])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIntent:
    """What an agent wants done."""

    description: str
    budget: Annotated[Credits, Field(strict=True)]
    """Most it would pay, units of 1/1000 credit."""
    terms: JsonObject = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNegotiation:
    """An opening offer."""

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


@router.post("/api/intents", response_model=Intent, status_code=201)
def state_intent(body: NewIntent, call: SignedCall) -> Response:
    """State what the signing agent wants done."""
    return call.command(
        lambda tx: commands.intend(tx, call.did, description=body.description, budget=body.budget, terms=body.terms),
        status=201,
    )


@router.get("/api/intents/{intent}", response_model=Intent)
def one_intent(intent: IntentId, call: SignedCall) -> Response:
    """An intent by its id."""
    return call.query(lambda tx: queries.intent_of(tx, intent))


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
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """Who shall negotiate together, and how they decide."""

    intent: IntentId
    workers: list[Did]
    """DIDs of 2 to 19 agents that would work, each of an account of its own."""
    rule: VotingRule
    max_rounds: int = 10
    """1 to 20 proposals."""
    ttl_s: Annotated[int, Field(ge=1, le=30 * 24 * 3600)] = 3600
    """Seconds until the group expires."""
    round_s: Annotated[int, Field(ge=1, le=30 * 24 * 3600)] | None = None
    """Seconds in which a proposal must come, and be agreed on or replaced; None: only the whole time counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What a member says of a proposal."""

    round: int
    """Number of the proposal that was seen; a vote never counts for another one."""
    approve: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDetail:
    """A group with everything that was proposed, voted and agreed in it."""

    group: Group
    members: list[Member]
    """All who ever took part."""
    proposals: list[GroupProposal]
    votes: list[GroupVote]
    tally: Tally
    """The votes on the table; after the agreement, those that made it."""
    deals: list[GroupDeal]
    """Who is bound; empty unless the group has agreed."""


@router.post("/api/group-negotiations", response_model=Group, status_code=201)
def open_group(body: NewGroup, call: SignedCall) -> Response:
    """Open a group negotiation that the signing agent would pay for."""
    return call.command(
        lambda tx: commands.open_group(
            tx,
            by=call.did,
            workers=[parse_did(worker) for worker in body.workers],
            intent=body.intent,
            rule=body.rule,
            max_rounds=body.max_rounds,
            ttl=timedelta(seconds=body.ttl_s),
            round_s=body.round_s,
            at=tx.at,
        ),
        status=201,
    )


@router.get("/api/group-negotiations", response_model=Page[Group])
def my_groups(
    call: SignedCall,
    state: GroupState | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """The groups in which the signing agent takes part, newest first."""
    return call.query(lambda tx: queries.groups_of(tx, call.did, state=state, before=after, limit=limit))


@router.get("/api/group-negotiations/{group}", response_model=GroupDetail)
def one_group(group: GroupId, call: SignedCall) -> Response:
    """A group with its members, proposals, votes and deals, for its members."""

    def read(tx: Tx) -> GroupDetail:
        return GroupDetail(
            group=queries.group_of(tx, group, seen_by=call.did),
            members=queries.members_of(tx, group),
            proposals=queries.group_proposals_of(tx, group),
            votes=queries.group_votes_of(tx, group),
            tally=queries.tally_of(tx, group),
            deals=queries.group_deals_of(tx, group),
        )

    return call.query(read)


@router.post("/api/group-negotiations/{group}/propose", response_model=Group)
def propose_to_group(group: GroupId, body: GroupTerms, call: SignedCall) -> Response:
    """Put a proposal on the table of a group; proposing it approves it."""
    return call.command(lambda tx: commands.propose_to_group(tx, group, by=call.did, terms=body))


@router.post("/api/group-negotiations/{group}/vote", response_model=Group)
def vote(group: GroupId, body: Ballot, call: SignedCall) -> Response:
    """Vote once on the proposal on the table; the vote that makes an agreement makes the deals and holds their money."""
    return call.command(
        lambda tx: commands.vote(tx, group, by=call.did, seen_round=body.round, approves=body.approve, at=tx.at)
    )


@router.post("/api/group-negotiations/{group}/leave", response_model=Group)
def leave_group(group: GroupId, call: SignedCall) -> Response:
    """Leave an open group as one of its workers."""
    return call.command(lambda tx: commands.leave_group(tx, group, by=call.did))


@router.post("/api/group-negotiations/{group}/reject", response_model=Group)
def reject_group(group: GroupId, call: SignedCall, body: Rejection | None = None) -> Response:
    """End a group without a deal, as its payer."""
    reason = body.reason if body else ""
    return call.command(lambda tx: commands.reject_group(tx, group, by=call.did, reason=reason))
