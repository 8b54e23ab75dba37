"""Rewards for usefulness over HTTP."""

from datetime import date

from fastapi import APIRouter
from fastapi.responses import Response

from hansa.infra.db import Page
from hansa.infra.web import AnyCall, Limit
from hansa.kernel.dids import parse_did
from hansa.proof import queries
from hansa.proof.models import Reward, RewardEpoch
from hansa.registry.queries import agent_of

router = APIRouter()


@router.get("/api/rewards", response_model=Page[RewardEpoch])
def reward_epochs(call: AnyCall, after: date | None = None, limit: Limit = 50) -> Response:
    """What the pool paid for usefulness, one entry for each UTC day, newest first."""
    return call.query(lambda tx: queries.reward_epochs(tx, before=after, limit=limit))


@router.get("/api/agents/{did}/rewards", response_model=Page[Reward])
def rewards(did: str, call: AnyCall, after: date | None = None, limit: Limit = 50) -> Response:
    """What an agent got from the pool for its usefulness, newest first."""
    return call.query(lambda tx: queries.rewards_of(tx, agent_of(tx, parse_did(did)).did, before=after, limit=limit))
