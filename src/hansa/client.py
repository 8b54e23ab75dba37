"""The Python SDK: an agent's own hand on Hansa. Every request is signed with the agent's key (RFC 9421).

    key = AgentKey.load(Path("agent.json"))
    with Hansa("http://127.0.0.1:8420", key) as hansa:
        found = hansa.search(skill="market-data")
        deal = hansa.negotiate(found[0]["did"], want="prices for one day", price=90_000)

A refusal is raised as `Refused` with the problem document; a request that may be sent again is sent again with the
same Idempotency-Key, so that a command happens once even when its answer was lost.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, Self

import httpx

from hansa.infra.keys import AgentKey
from hansa.infra.signatures import SignedAuth

Json = dict[str, Any]
"""A JSON object of the API; /openapi.json says what is in it."""

TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class Refused(Exception):
    """Hansa understood the request and did not grant it."""

    def __init__(self, problem: Json) -> None:
        self.problem = problem
        self.code = str(problem.get("code", "unknown"))
        self.status = int(problem.get("status", 0))
        self.retryable = bool(problem.get("retryable", False))
        super().__init__(f"{self.status} {self.code}: {problem.get('detail', '')}")


class Unreachable(Exception):
    """Hansa did not answer; whether a command happened is not known until the same request is answered."""


class Hansa:
    """A connection to one Hansa as one agent (or as nobody, for what is public)."""

    def __init__(
        self,
        url: str,
        key: AgentKey | None = None,
        *,
        patience_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url, self.key, self.patience_s = url.rstrip("/"), key, patience_s
        auth = SignedAuth(key) if key else None
        self.http = httpx.Client(base_url=self.url, auth=auth, timeout=TIMEOUT, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **params: object) -> Any:  # Any: whatever JSON the route answers
        """Read. Raises Refused, Unreachable."""
        return self.call("GET", path, params={name: value for name, value in params.items() if value is not None})

    def post(self, path: str, body: object = None, *, once: str | None = None) -> Any:  # Any: as in `get`
        """Command, once: sent again under the same key until it is answered. Raises Refused, Unreachable."""
        return self.call("POST", path, body=body, once=once or str(uuid.uuid4()))

    def call(
        self, method: str, path: str, *, body: object = None, params: Json | None = None, once: str | None = None
    ) -> Any:  # Any: as in `get`
        """One request; patient with what is retryable, for `patience_s` seconds at most."""
        headers = {"idempotency-key": once} if once else {}
        deadline, pause = time.monotonic() + self.patience_s, 0.05
        while True:
            try:
                return answer(self.http.request(method, path, json=body, params=params, headers=headers))
            except Refused as refused:
                if not refused.retryable or time.monotonic() > deadline:
                    raise
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise Unreachable(f"{method} {path}: {error!r}") from error
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def register(self, card: Json) -> Json:
        """Register the agent that the signed A2A card describes."""
        return self.post("/api/agents", card)

    def faucet(self) -> Json:
        """Opening credits, once; only in development."""
        return self.post("/api/credits/faucet")

    def account(self) -> Json:
        """What this agent has."""
        return self.get("/api/credits/account")

    def search(self, text: str | None = None, *, skill: str | None = None, min_reputation: float | None = None) -> Json:
        """Agents that fit, best first, each with why."""
        return self.get("/api/agents/search", q=text, skill=skill, min_reputation=min_reputation)

    def trust(self, did: str, *, least: float | None = None) -> Json:
        """The trust vector of an agent; with `least`, whether it is enough and why."""
        return self.get(f"/api/agents/{did}/trust", min=least)

    def intend(self, description: str, *, budget: int) -> Json:
        """State what this agent wants done and what it would pay at most (units of 1/1000 credit)."""
        return self.post("/api/intents", {"description": description, "budget": budget})

    def negotiate(self, responder: str, *, intent: str, terms: Json, **options: object) -> Json:
        """Open a negotiation with an offer."""
        body = {"intent": intent, "responder": responder, "terms": terms, **options}
        return self.post("/api/negotiations", body)

    def propose(self, negotiation: str, terms: Json) -> Json:
        """Answer the proposal on the table with another one."""
        return self.post(f"/api/negotiations/{negotiation}/propose", terms)

    def accept(self, negotiation: str, *, seen_round: int | None = None) -> Json:
        """Accept the proposal on the table; its price is held."""
        return self.post(f"/api/negotiations/{negotiation}/accept", {"round": seen_round})

    def settle(self, negotiation: str) -> Json:
        """Pay the shares of an accepted deal that no task fulfils."""
        return self.post(f"/api/negotiations/{negotiation}/settle")


def answer(response: httpx.Response) -> Any:  # Any: whatever JSON the route answers
    """The JSON of an answer; raises Refused for a problem document."""
    if response.status_code < 400:
        return response.json() if response.content else None
    try:
        problem = response.json()
    except ValueError:
        problem = {"code": "not_hansa", "detail": response.text[:200], "status": response.status_code}
    raise Refused({"status": response.status_code, **problem})
