"""Negotiations of many over HTTP: proposals, votes, and who is bound."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from hansa.infra.db import Page, Tx
from hansa.infra.web import Limit, SignedCall
from hansa.kernel.dids import Did, parse_did
from hansa.kernel.ids import GroupId, IntentId
from hansa.negotiation import commands, queries
from hansa.negotiation.models import (
    Group,
    GroupDeal,
    GroupProposal,
    GroupState,
    GroupTerms,
    GroupVote,
    Member,
    Tally,
    VotingRule,
)
from hansa.negotiation.routes.negotiations import Rejection

router = APIRouter()


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
    limit: Limit = 50,
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
