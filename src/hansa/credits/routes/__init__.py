"""Credits over HTTP."""

from fastapi import APIRouter

from hansa.credits.routes import accounts, holds, statements

router = APIRouter(tags=["credits"])
for part in (accounts, statements, holds):
    router.include_router(part.router)
