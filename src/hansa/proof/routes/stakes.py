"""Stakes over HTTP."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from hansa.infra.web import SignedCall
from hansa.kernel.money import Credits
from hansa.proof import commands, queries
from hansa.proof.models import Stake

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeOrder:
    amount: Annotated[int, Field(ge=1, le=10**15)]
    """How much more to stake, units of 1/1000 credit."""


@router.get("/api/stakes/mine", response_model=Stake)
def my_stake(call: SignedCall) -> Response:
    """What the signing agent has at stake."""
    return call.query(lambda tx: queries.stake_of(tx, call.did))


@router.post("/api/stakes", response_model=Stake, status_code=201)
def stake(order: StakeOrder, call: SignedCall) -> Response:
    """Put more of the signing agent's credits at stake, so that it may sit in committees."""
    return call.command(lambda tx: commands.lock_stake(tx, Credits(order.amount), by=call.did), status=201)


@router.delete("/api/stakes", response_model=Stake)
def unstake(call: SignedCall) -> Response:
    """Ask for the stake back: it comes by itself after the unbonding time, once the agent sits in no committee."""
    return call.command(lambda tx: commands.unlock_stake(tx, by=call.did))
