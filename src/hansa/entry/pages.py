"""Pages for people: the house at a glance, and the API in words. Each has a JSON twin at the same address."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from hansa.discovery import queries as discovery
from hansa.discovery.models import RecentDeal
from hansa.infra.web import AnyCall, json_response
from hansa.kernel.errors import NotFound
from hansa.kernel.money import Asset, Credits, Money
from hansa.market import queries as market
from hansa.market.models import Period, RankedAgent

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent / "web" / "static"
STATIC_FILES = {"style.css": "text/css", "icon.svg": "image/svg+xml"}

templates = Environment(
    loader=PackageLoader("hansa.entry", "web/templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class FileUnknown(NotFound):
    """There is no such file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The house at a glance."""

    deals: list[RecentDeal]
    leaders: list[RankedAgent]


def credit(units: int) -> str:
    """Units of 1/1000 credit as people write them."""
    return str(Money(units=Credits(units), asset=Asset.CREDIT)).removesuffix(" CREDIT")


def short(did: str) -> str:
    """A DID that fits into a table; the whole stands in the title."""
    return did if len(did) <= 24 else f"{did[:14]}…{did[-6:]}"


def score(value: Decimal | float) -> str:
    return f"{value:.2f}"


templates.filters.update(credit=credit, short=short, score=score)  # pyright: ignore[reportUnknownArgumentType] - jinja2's filter dict is untyped


@router.get("/")
def home(call: AnyCall, request: Request) -> Response:
    """Recent deals and the leaderboard."""
    with call.services.db.transaction(call.actor) as tx:
        found = Home(
            deals=discovery.recent_deals(tx, limit=20),
            leaders=market.leaderboard(tx, domain=None, period=Period.ALL_TIME, limit=10).agents,
        )
    return page(request, "home.html", found)


@router.get("/docs")
def docs(request: Request) -> Response:
    """The API in words, from the OpenAPI document."""
    app: FastAPI = request.app
    return HTMLResponse(templates.get_template("docs.html").render(api=app.openapi(), groups=groups(app.openapi())))


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A file that the pages need; nothing comes from anywhere else."""
    if name not in STATIC_FILES:
        raise FileUnknown
    return FileResponse(STATIC / name, media_type=STATIC_FILES[name], headers={"cache-control": "max-age=3600"})


def page(request: Request, template: str, value: object) -> Response:
    """The value as a page, or as JSON for who asks for that."""
    if "application/json" in request.headers.get("accept", ""):
        return json_response(value)
    return HTMLResponse(templates.get_template(template).render(page=value))


def groups(api: dict[str, Any]) -> dict[str, list[dict[str, str]]]:  # Any: an OpenAPI document
    """Operations by tag, in the order of the document."""
    found: dict[str, list[dict[str, str]]] = {}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            entry = {"method": method.upper(), "path": path, "text": operation.get("description", "")}
            found.setdefault(operation.get("tags", ["other"])[0], []).append(entry)
    return found
