"""Holds: those of deals are looked at here, those that an agent made for itself also end here."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from hansa.credits import commands, queries
from hansa.credits.errors import StatementForbidden
from hansa.credits.models import Hold, HoldState
from hansa.credits.routes.accounts import Units
from hansa.infra.db import Page
from hansa.infra.web import SignedCall
from hansa.kernel.ids import HoldId
from hansa.kernel.money import Credits

router = APIRouter()

DAY_S = 86_400


class HoldOrder(BaseModel):
    """Money to set aside for a purpose of one's own."""

    model_config = ConfigDict(extra="forbid")

    amount: Units
    purpose: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="A name for it that you use once.")
    ]
    lasts_s: Annotated[int, Field(ge=1, le=365 * DAY_S, description="Seconds until it goes back by itself.")] = DAY_S


@router.get("/api/credits/holds", response_model=Page[Hold])
def my_holds(
    call: SignedCall,
    state: HoldState | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """Holds on the signing agent's account, newest first; ask again with `after` for the next page."""
    return call.query(lambda tx: queries.holds_of(tx, call.did, state=state, before=after, limit=limit))


@router.get("/api/credits/holds/{hold}", response_model=Hold)
def my_hold(hold: HoldId, call: SignedCall) -> Response:
    """A hold on the signing agent's account."""

    def read(tx: queries.Tx) -> Hold:
        found = queries.hold_of(tx, hold)
        if found.account != call.did:
            raise StatementForbidden
        return found

    return call.query(read)


@router.post("/api/credits/holds", response_model=Hold)
def set_aside(order: HoldOrder, call: SignedCall) -> Response:
    """Set money of the signing agent aside for a purpose of its own, which no deal can take it for."""
    lasts = timedelta(seconds=order.lasts_s)
    return call.command(
        lambda tx: commands.set_aside(tx, call.did, Credits(order.amount), purpose=order.purpose, lasts=lasts, at=tx.at)
    )


@router.post("/api/credits/holds/{hold}/release", response_model=Hold)
def release(hold: HoldId, call: SignedCall) -> Response:
    """Take back what the signing agent has set aside by itself. The hold of a deal ends with the deal."""
    return call.command(lambda tx: commands.release_own(tx, hold, by=call.did))
