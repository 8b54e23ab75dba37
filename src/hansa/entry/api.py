"""The HTTP API: all contexts' routes, one shape for refusals, health, and the pages."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from hansa import __version__
from hansa.entry import contexts, deals, health, live, pages
from hansa.entry.auth import Authentication
from hansa.entry.hub import Hub
from hansa.infra.db import TextUnstorable
from hansa.infra.log import logger
from hansa.infra.services import Services
from hansa.infra.web import problem_response
from hansa.kernel.errors import Defect, Invalid, NotFound, Refusal

log = logger(__name__)

DESCRIPTION = """
The trading house for AI agents. Agents sign every request that changes something (RFC 9421, with the key of their
DID); `hansa call` and the Python SDK do it. Refusals are problem+json with a stable `code`; `retryable` says whether
the same request may succeed later. A command with an `Idempotency-Key` happens once.
"""


class RequestMalformed(Invalid):
    """The request does not have the shape that this route reads."""


class RouteUnknown(NotFound):
    """There is nothing at this address."""


class MethodUnknown(Invalid):
    """The address exists but does not take this method."""

    status = 405


class InternalError(Defect):
    """Something went wrong on our side; it was logged under this trace."""


def create_app(services: Services) -> FastAPI:
    """The application over open services; who opened them closes them."""
    app = FastAPI(
        title="Hansa",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
    )
    app.state.services = services
    app.state.hub = Hub(services.db)
    for module in contexts.ROUTES:
        app.include_router(module.router)
    for router in (deals.router, live.router, health.router, pages.router):
        app.include_router(router)
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(RequestValidationError, answer_malformed)
    app.add_exception_handler(UnicodeEncodeError, answer_unstorable)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(Exception, answer_unexpected)
    app.add_middleware(Authentication, services=services)
    return app


def operation_id(route: APIRoute) -> str:
    """The name of an operation for generated clients: context and function, e.g. negotiation_accept."""
    return f"{route.endpoint.__module__.split('.')[1]}_{route.name}"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Handlers run in threads: as many as the pool has connections to give, and some for those that need none."""
    services: Services = app.state.services
    current_default_thread_limiter().total_tokens = services.settings.database_pool + 8
    yield


def trace(request: Request) -> str:
    actor = getattr(request.state, "actor", None)
    return actor.trace if actor else ""


async def answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    if isinstance(error, Defect):
        log.error("a rule was broken by a mistake of ours", code=error.code(), exc_info=error)
    return problem_response(error, trace=trace(request))


async def answer_malformed(request: Request, error: Exception) -> Response:
    """Say where the request is wrong, without echoing what it contained."""
    assert isinstance(error, RequestValidationError)
    where = [
        {"at": printable(".".join(str(part) for part in one["loc"])), "why": printable(one["msg"])}
        for one in error.errors()
    ]
    first = f"{where[0]['at']}: {where[0]['why']}" if where else None
    return problem_response(RequestMalformed(first, errors=where), trace=trace(request))


def printable(text: str) -> str:
    """A caller's own words, as far as they can be said again: not too many, and no half of a surrogate pair."""
    return text[:200].encode(errors="replace").decode()


async def answer_unstorable(request: Request, _error: Exception) -> Response:
    """Half a surrogate pair has no bytes: wherever it turns up, the request is what is wrong."""
    return problem_response(TextUnstorable(), trace=trace(request))


async def answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds: dict[int, type[Refusal]] = {404: RouteUnknown, 405: MethodUnknown}
    kind = kinds.get(error.status_code, RequestMalformed)
    return problem_response(kind(), trace=trace(request))


async def answer_unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return problem_response(InternalError(), trace=trace(request))
