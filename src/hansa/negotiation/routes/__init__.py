"""Negotiation over HTTP."""

from fastapi import APIRouter

from hansa.negotiation.routes import groups, intents, negotiations

router = APIRouter(tags=["negotiation"])
for part in (intents, negotiations, groups):
    router.include_router(part.router)
