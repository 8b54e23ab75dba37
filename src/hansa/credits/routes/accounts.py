"""What an agent has, what it may pay, and paying."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from hansa.credits import commands, queries
from hansa.credits.models import Account, Allowance, Transfer
from hansa.infra.web import SignedCall
from hansa.kernel.dids import parse_did
from hansa.kernel.money import Credits

router = APIRouter()

UNITS_MAX = 2**63 - 1
"""Largest amount that the books can hold."""
Units = Annotated[int, Field(ge=1, le=UNITS_MAX, description="Units of 1/1000 credit.")]


class TransferOrder(BaseModel):
    """Money for another agent."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Field(max_length=255, description="DID of the agent that gets it.")]
    amount: Units
    reason: Annotated[str, Field(max_length=200, description="Both see it on their statements.")] = ""


@router.get("/api/credits/account", response_model=Account)
def my_account(call: SignedCall) -> Response:
    """What the signing agent has: balance, reserved, earned, spent."""
    return call.query(lambda tx: queries.account_of(tx, call.did))


@router.get("/api/credits/limits", response_model=Allowance)
def my_limits(call: SignedCall) -> Response:
    """What the signing agent may pay at once and in a day, and what is left of it today."""
    return call.query(lambda tx: queries.allowance(tx, call.did))


@router.post("/api/credits/transfers", response_model=Transfer)
def transfer(order: TransferOrder, call: SignedCall) -> Response:
    """Give money to another agent; with an Idempotency-Key, once."""
    receiver = receiver_of(order.to)
    amount = Credits(order.amount)
    return call.command(lambda tx: commands.transfer(tx, call.did, receiver, amount, reason=order.reason))


def receiver_of(text: str) -> str:
    """A DID in its canonical spelling; names of system accounts are let through, so that they are refused by name."""
    return text if text.startswith("system:") else parse_did(text)


@router.post("/api/credits/faucet", response_model=Account)
def faucet(call: SignedCall) -> Response:
    """Opening credits for the signing agent, once; only in development."""
    settings = call.services.settings
    amount = Credits(0 if settings.production else settings.faucet_credits)
    return call.command(lambda tx: commands.open_with_faucet(tx, call.did, amount))
