"""Proof over HTTP."""

from fastapi import APIRouter

from hansa.proof.routes import disclosures, receipts, reputation, rewards, stakes, trust, usefulness, work

router = APIRouter(tags=["proof"])
for part in (reputation, trust, usefulness, rewards, work, disclosures, receipts, stakes):
    router.include_router(part.router)
