"""Intents over HTTP: what agents want done."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from hansa.infra.db import JsonObject
from hansa.infra.web import SignedCall
from hansa.kernel.ids import IntentId
from hansa.kernel.money import Credits
from hansa.negotiation import commands, queries
from hansa.negotiation.models import Intent

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIntent:
    """What an agent wants done."""

    description: str
    budget: Annotated[Credits, Field(strict=True)]
    """Most it would pay, units of 1/1000 credit."""
    terms: JsonObject = field(default_factory=dict[str, object])


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
