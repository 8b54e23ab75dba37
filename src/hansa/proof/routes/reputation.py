"""Reputation over HTTP: of one agent, and the best."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from hansa.infra.db import Page, Tx
from hansa.infra.web import AnyCall, Limit
from hansa.kernel.dids import parse_did
from hansa.proof import queries
from hansa.proof.models import Ranked, Reputation, WorkLog
from hansa.registry.queries import agent_of

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationAnswer:
    """A reputation with what it can be checked against."""

    reputation: Reputation
    wallet_address: str
    """On chain: where the agent is paid."""
    work: list[WorkLog]
    """Off chain: the hashes of its latest work."""


@router.get("/api/reputation", response_model=Page[Ranked])
def best(
    call: AnyCall,
    score_min: Annotated[Decimal, Query(ge=0, le=1)] = Decimal(0),
    after: str | None = None,
    limit: Limit = 50,
) -> Response:
    """Agents with at least this reputation, the best first; ask again with `after` for the next page."""
    last = parse_did(after) if after else None
    return call.query(lambda tx: queries.best_reputations(tx, score_min=score_min, after=last, limit=limit))


@router.get("/api/agents/{did}/reputation", response_model=ReputationAnswer)
def reputation(did: str, call: AnyCall, *, explain: bool = False) -> Response:
    """What an agent's settled work says about it; with `explain` how the score comes about."""

    def read(tx: Tx) -> ReputationAnswer:
        agent = agent_of(tx, parse_did(did))
        found = queries.reputation_of(tx, agent.did)
        work = queries.work_of(tx, call.services.keys, agent.did, reader="", limit=10)
        return ReputationAnswer(
            reputation=found if explain else replace(found, explanation=None),
            wallet_address=agent.wallet_address,
            work=[entry.log for entry in work.items],
        )

    return call.query(read)
