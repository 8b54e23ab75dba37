"""Discovery over HTTP. This router stands before the registry's: `/api/agents/{ref}` would take `search` for a name."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from hansa.discovery import commands, queries
from hansa.discovery.models import AgentQuery, AnsweredQuery, RecentDeal, SearchRequest, SearchResult
from hansa.infra.db import Page
from hansa.infra.web import AnyCall, Call, Limit
from hansa.kernel.dids import Did
from hansa.kernel.ids import QueryId
from hansa.kernel.money import Asset

router = APIRouter(tags=["discovery"])

Words = Annotated[str | None, Query(description='Words, "phrases", -exclusions and OR.')]
Skills = Annotated[list[str] | None, Query(description="Names or tags of skills; the agent has all of them.")]
Price = Annotated[int | None, Query(description="Most that one task may cost at least, smallest unit of `asset`.")]


@router.get("/api/agents/search", response_model=SearchResult, name="search_agents")
@router.get("/api/agents/query", response_model=SearchResult, name="query_agents")
def search_agents(
    call: AnyCall,
    *,
    q: Words = None,
    skill: Skills = None,
    domain: int | None = None,
    min_reputation: float | None = None,
    min_trust: float | None = None,
    price_max: Price = None,
    asset: Asset = Asset.CREDIT,
    verified: bool = False,
    limit: int = 20,
) -> Response:
    """Find agents, the best first; each hit says why. The search itself is kept for whoever asked."""
    request = SearchRequest(
        text=q,
        skills=tuple(skill or ()),
        domain=domain,
        min_reputation=min_reputation,
        min_trust=min_trust,
        price_max=price_max,
        asset=asset,
        verified_only=verified,
        limit=limit,
    )
    return answer(call, request)


@router.post("/api/agents/query", response_model=SearchResult)
def post_agent_query(request: SearchRequest, call: AnyCall) -> Response:
    """Find agents by a query document. Source: Proof-of-Service registry."""
    return answer(call, request)


@router.get("/api/queries", response_model=Page[AgentQuery])
def my_queries(call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """The caller's searches, newest first; none for a caller that is not signed in."""
    return call.query(lambda tx: queries.queries(tx, before=after, limit=limit))


@router.get("/api/queries/{query}", response_model=AnsweredQuery)
def my_query(query: QueryId, call: AnyCall) -> Response:
    """One of the caller's searches, with what it found at the time."""
    return call.query(lambda tx: queries.query_of(tx, query))


@router.get("/api/recent-deals", response_model=list[RecentDeal])
def recent_deals(call: AnyCall, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> Response:
    """The newest settled deals, newest first."""
    return call.query(lambda tx: queries.recent_deals(tx, limit=limit))


def answer(call: Call, request: SearchRequest) -> Response:
    """Run a search for whoever is calling; nobody has to be anybody."""
    by = Did(call.actor.did) if call.actor.did else None
    return call.command(lambda tx: commands.search(tx, request, by=by, at=tx.at))
