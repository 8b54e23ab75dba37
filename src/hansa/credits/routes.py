"""Credits over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from hansa.credits import queries, writer
from hansa.credits.errors import StatementForbidden
from hansa.credits.models import Account, Hold, StatementLine
from hansa.infra.db import Page
from hansa.infra.web import SignedCall
from hansa.kernel.ids import HoldId
from hansa.kernel.money import Credits

router = APIRouter(tags=["credits"])


@router.get("/api/credits/account", response_model=Account)
def my_account(call: SignedCall) -> Response:
    """What the signing agent has: balance, reserved, earned, spent."""
    return call.query(lambda tx: queries.account_of(tx, call.did))


@router.get("/api/credits/statement", response_model=Page[StatementLine])
def my_statement(
    call: SignedCall, after: UUID | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    """The signing agent's postings, newest first; ask again with `after` for the next page."""
    return call.query(lambda tx: queries.statement(tx, call.did, before=after, limit=limit))


@router.get("/api/credits/holds/{hold}", response_model=Hold)
def my_hold(hold: HoldId, call: SignedCall) -> Response:
    """A hold on the signing agent's account."""

    def read(tx: queries.Tx) -> Hold:
        found = queries.hold_of(tx, hold)
        if found.account != call.did:
            raise StatementForbidden
        return found

    return call.query(read)


@router.post("/api/credits/faucet", response_model=Account)
def faucet(call: SignedCall) -> Response:
    """Opening credits for the signing agent, once; only in development."""
    settings = call.services.settings
    amount = Credits(0 if settings.production else settings.faucet_credits)
    # The key of the movement is the agent's, so that an answer kept under an Idempotency-Key may follow it.
    writer.open_with_faucet(writer.writer_of(call.services.db), call.did, amount)
    return call.command(lambda tx: queries.account_of(tx, call.did))
