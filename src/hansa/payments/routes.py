"""The facilitator over HTTP, in the words of x402: a seller with the unmodified SDK points its client here."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from x402.schemas import SettleRequest, SettleResponse, SupportedResponse, VerifyRequest, VerifyResponse
from x402.schemas.base import BaseX402Model

from hansa.infra.web import AnyCall, Call
from hansa.payments.facilitator import Facilitator

router = APIRouter(tags=["payments"], prefix="/facilitator")


@router.get("/supported", response_model=SupportedResponse)
def supported(call: AnyCall) -> Response:
    """What is settled here: scheme, network and fee payer."""
    return wire(facilitator_of(call).get_supported())


@router.post("/verify", response_model=VerifyResponse)
def verify(asked: VerifyRequest, call: AnyCall) -> Response:
    """Whether a payment would settle now. A payment that is settled already does not."""
    return wire(facilitator_of(call).verify(asked.payment_payload, asked.payment_requirements))


@router.post("/settle", response_model=SettleResponse)
def settle(asked: SettleRequest, call: AnyCall) -> Response:
    """Make a payment, once; the same payment for the same purchase gets the same result again.

    `settlement_pending` means that it is not known yet whether it landed: ask again with the same payment.
    """
    return wire(facilitator_of(call).settle(asked.payment_payload, asked.payment_requirements))


def facilitator_of(call: Call) -> Facilitator:
    """The application's facilitator; its key is read once."""
    state = call.request.app.state
    if not hasattr(state, "facilitator"):
        state.facilitator = Facilitator(call.services)
    return state.facilitator


def wire(message: BaseX402Model) -> Response:
    """As the SDK writes it: names in camelCase, and nothing that is not known."""
    return Response(message.model_dump_json(by_alias=True, exclude_none=True), media_type="application/json")
