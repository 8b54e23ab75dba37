"""What every route owes to who calls it: words, the shape of its answer, and a closed door."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.testclient import TestClient

from architecture.rules import nobody_breaks
from hansa.chain.client import ChainRpc
from hansa.entry.api import create_app
from hansa.infra.db import Db
from hansa.infra.seal import LocalKeyRing
from hansa.infra.services import Services
from hansa.infra.settings import Settings
from hansa.infra.web import personal_call, signed_call

SAFE = {"GET", "HEAD"}

OPEN_TO_EVERYBODY = {
    "POST /api/sign-in/challenge": "a person who is not signed in yet asks for the message to sign",
    "POST /api/sign-in": "the signed message itself is the proof",
    "POST /api/agents/query": "a search whose question is too long for a URL; it changes nothing that others see",
    "POST /facilitator/verify": "the payment inside is signed by its payer; x402 knows no other caller",
    "POST /facilitator/settle": "the payment inside is signed by its payer; x402 knows no other caller",
}
"""Routes that change something and take anybody -> why they may."""

OF_AN_AGENT_OR_A_PERSON: dict[str, dict[str, str]] = {
    "PATCH /api/me": {},
    "POST /api/disclosures": {"log": "0197b1d2-0000-7000-8000-000000000000", "audience": "did:web:verifier.example"},
}
"""Routes that look at the caller themselves, because both kinds may call them -> a body that they read."""

NO_JSON = {
    "GET /": "a page",
    "GET /docs": "a page",
    "GET /static/{name}": "a file",
    "GET /api/agents/{ref}/card": "the card as its agent signed it, byte for byte",
    "GET /api/agents/{ref}/avatar.svg": "an image",
    "GET /api/negotiations/{negotiation}/events": "a stream of events",
    "GET /api/group-negotiations/{group}/events": "a stream of events",
    "GET /api/events": "a stream of events",
    "POST /api/sign-out": "204: there is nothing to say",
}
"""Routes without a model of their answer -> what they answer."""


@pytest.fixture(scope="module")
def app(_shared_db: Db, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    home = tmp_path_factory.mktemp("routes")
    with httpx.Client() as http:
        yield create_app(
            Services(
                db=_shared_db,
                settings=Settings(home=home),
                http=http,
                chain=ChainRpc("http://127.0.0.1:9"),
                keys=LocalKeyRing.create(home / "keyring.json"),
            )
        )


@pytest.fixture(scope="module")
def routes(app: FastAPI) -> dict[str, RouteContext]:
    """Every route as `METHOD path`."""
    found = [route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute)]
    return {f"{method} {route.path}": route for route in found for method in route.methods}


def test_every_route_says_what_it_does(routes: dict[str, RouteContext]):
    silent = [name for name, route in routes.items() if not route.endpoint.__doc__]

    assert len(routes) > 60
    nobody_breaks("the docstring of a route is its description in the API", silent)


def test_every_route_says_what_it_answers(routes: dict[str, RouteContext]):
    shapeless = [name for name, route in routes.items() if route.response_model is None and name not in NO_JSON]

    nobody_breaks("response_model=... names the class of the answer", shapeless)
    assert set(NO_JSON) <= set(routes)


def test_every_route_that_changes_something_wants_a_signature_or_a_session(routes: dict[str, RouteContext]):
    open_ones = [
        name
        for name, route in routes.items()
        if not route.methods <= SAFE
        and name not in OPEN_TO_EVERYBODY | OF_AN_AGENT_OR_A_PERSON
        and not {signed_call, personal_call} & {dependency.call for dependency in route.dependant.dependencies}
    ]

    nobody_breaks("take a SignedCall or a PersonalCall", open_ones)
    assert set(OPEN_TO_EVERYBODY | OF_AN_AGENT_OR_A_PERSON) <= set(routes)


def test_nobody_changes_anything_without_saying_who_it_is(app: FastAPI, routes: dict[str, RouteContext]):
    client = TestClient(app, raise_server_exceptions=False)
    shut = [name for name, route in routes.items() if not route.methods <= SAFE and name not in OPEN_TO_EVERYBODY]

    answers = {
        name: client.request(*called(name), json=OF_AN_AGENT_OR_A_PERSON.get(name, {})).status_code for name in shut
    }

    nobody_breaks("an unsigned request gets a 401", {name: code for name, code in answers.items() if code != 401})


def called(name: str) -> tuple[str, str]:
    """A route as a request; an identifier stands for each parameter of the path."""
    method, _, path = name.partition(" ")
    return method, re.sub(r"\{\w+\}", "0197b1d2-0000-7000-8000-000000000000", path)


def test_the_openapi_document_describes_every_route_once(app: FastAPI, routes: dict[str, RouteContext]):
    document = app.openapi()

    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]

    assert len(operations) == len({name for name, route in routes.items() if route.include_in_schema})
    assert sorted(names) == sorted(set(names))
    assert not [one["operationId"] for one in operations if not one.get("description")]
