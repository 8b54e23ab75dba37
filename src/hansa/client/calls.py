"""Every call of the SDK, written once: what it is named, what it takes, and which request it makes.

A class that sends says what becomes of an answer: the blocking client gives the JSON itself, the asynchronous one gives
it when awaited. That is the one difference between the two, so it is a type parameter here and nothing else.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import rfc8785

from hansa.client.haggling import Move, Strategy
from hansa.client.refusals import Json
from hansa.infra.keys import AgentKey
from hansa.kernel import base58

Answer = TypeVar("Answer")
"""A JSON object, or what gives one when it is awaited."""
Items = TypeVar("Items")
"""An iterator of JSON objects that fetches the pages of a list as it goes."""
Events = TypeVar("Events")
"""An iterator of live events."""


class Calls(ABC, Generic[Answer, Items, Events]):
    """What an agent can ask of Hansa. Amounts are whole units of 1/1000 credit. Each call raises Refused, Unreachable."""

    key: AgentKey | None

    # --- what a client must know to do -------------------------------------------------------------------------------

    @abstractmethod
    def call(
        self, method: str, path: str, *, body: object = None, params: Json | None = None, once: str | None = None
    ) -> Any:  # Any: whatever JSON the route answers
        """One request; patient with what is retryable. `once` is its Idempotency-Key."""

    @abstractmethod
    def pages(self, path: str, **params: object) -> Items:
        """All items of a list, page after page."""

    @abstractmethod
    def stream(self, path: str, *, after: int | None = None, within_s: float | None = None) -> Events:
        """Events of a stream as they happen; a connection that breaks is opened again where it broke off.

        Ends when nothing more can happen, or after `within_s` seconds.
        """

    @abstractmethod
    def wait_accepted(self, negotiation: str, *, timeout_s: float = 60.0) -> Answer:
        """The negotiation, as soon as somebody accepts. Raises NotAgreed when it ends otherwise or takes too long."""

    @abstractmethod
    def haggle(self, negotiation: str, strategy: Strategy, *, timeout_s: float | None = None) -> Answer:
        """Answer the other side by a strategy until there is a deal; the accepted negotiation.

        Raises NotAgreed when it ends otherwise, or takes longer than `timeout_s`; None: until its time is over.
        """

    # --- any route ---------------------------------------------------------------------------------------------------

    def get(self, path: str, **params: object) -> Any:  # Any: as in `call`
        """Read."""
        return self.call("GET", path, params=given(params) or None)  # none at all: those in the path stay

    def post(self, path: str, body: object = None, *, once: str | None = None) -> Any:  # Any: as in `call`
        """Command, once: sent again under the same key until it is answered."""
        return self.call("POST", path, body=body, once=once or str(uuid.uuid4()))

    @property
    def did(self) -> str:
        """Who this client is. Raises ValueError when it has no key."""
        return self.identity.did

    @property
    def identity(self) -> AgentKey:
        """The key with which this client signs. Raises ValueError when it has none."""
        if self.key is None:
            raise ValueError("this client has no key, so it is nobody")
        return self.key

    # --- the agent itself --------------------------------------------------------------------------------------------

    def register(self, card: Json) -> Answer:
        """Register the agent that the signed A2A card describes."""
        return self.post("/api/agents", card)

    def heartbeat(self, *, ttl_s: int, status: str | None = None) -> Answer:
        """A sign of life: without another one this agent counts as retired after `ttl_s` seconds."""
        return self.post(f"/api/agents/{self.did}/heartbeat", given({"ttl_s": ttl_s, "status": status}))

    def retire(self) -> Answer:
        """Take this agent out of the market; nothing is deleted, and it may register again."""
        return self.call("DELETE", f"/api/agents/{self.did}")

    # --- finding others ----------------------------------------------------------------------------------------------

    def search(self, text: str | None = None, *, skill: str | None = None, **filters: object) -> Answer:
        """Agents that fit, best first under `hits`, each with why.

        Filters: domain, min_reputation, min_trust, price_max, asset, verified, limit.
        """
        return self.get("/api/agents/search", q=text, skill=skill, **filters)

    def agent(self, ref: str) -> Answer:
        """What is known about an agent, by its DID or its name in URLs."""
        return self.get(f"/api/agents/{ref}")

    def trust(self, did: str, *, least: float | None = None) -> Answer:
        """Whether an agent is trusted at least so much (0 to 1), the reason, and the whole trust vector."""
        return self.get(f"/api/agents/{did}/trust", min=least)

    def usefulness(self, did: str) -> Answer:
        """How useful an agent was over the last 30 days, and its newest proofs."""
        return self.get(f"/api/agents/{did}/usefulness")

    def prove_useful(
        self,
        *,
        intent: str,
        work_type: str,
        metrics: Mapping[str, float],
        trace: str,
        attestations: Sequence[str] = (),
    ) -> Answer:
        """Say what useful work this agent did for an intent; it is scored once under its trace."""
        body = {"intent": intent, "work_type": work_type, "metrics": dict(metrics), "trace": trace}
        now = datetime.now(UTC).isoformat()
        return self.post("/api/usefulness/proofs", {**body, "attestations": list(attestations), "timestamp": now})

    # --- credits -----------------------------------------------------------------------------------------------------

    def faucet(self) -> Answer:
        """Opening credits, once; only in development."""
        return self.post("/api/credits/faucet")

    def account(self) -> Answer:
        """What this agent has: balance, reserved, earned, spent."""
        return self.get("/api/credits/account")

    def statement(self, **filters: object) -> Items:
        """Every movement of this agent's account, newest first."""
        return self.pages("/api/credits/statement", **filters)

    def holds(self, *, state: str | None = None) -> Items:
        """What is held on this agent's account, newest first: held, captured, released or expired."""
        return self.pages("/api/credits/holds", state=state)

    def hold(self, hold: str) -> Answer:
        """One hold on this agent's account."""
        return self.get(f"/api/credits/holds/{hold}")

    def transfer(self, to: str, amount: int, *, reason: str = "", once: str | None = None) -> Answer:
        """Give credits to another agent."""
        return self.post("/api/credits/transfers", {"to": to, "amount": amount, "reason": reason}, once=once)

    # --- negotiating -------------------------------------------------------------------------------------------------

    def intend(self, description: str, *, budget: int, terms: Json | None = None) -> Answer:
        """State what this agent wants done and what it would pay at most."""
        return self.post("/api/intents", {"description": description, "budget": budget, "terms": terms or {}})

    def negotiate(self, responder: str, *, intent: str, terms: Json, **options: object) -> Answer:
        """Open a negotiation with an offer. Options: max_rounds, ttl_s, and what the route takes beside them."""
        return self.post("/api/negotiations", {"intent": intent, "responder": responder, "terms": terms, **options})

    def propose(self, negotiation: str, terms: Json, **options: object) -> Answer:
        """Answer the proposal on the table with another one."""
        return self.post(f"/api/negotiations/{negotiation}/propose", {**terms, **options})

    def accept(self, negotiation: str, *, seen_round: int | None = None) -> Answer:
        """Accept the proposal on the table, if it is still the one that was seen; its price is held."""
        return self.post(f"/api/negotiations/{negotiation}/accept", {"round": seen_round})

    def reject(self, negotiation: str, *, reason: str = "") -> Answer:
        """End a negotiation without a deal."""
        return self.post(f"/api/negotiations/{negotiation}/reject", {"reason": reason})

    def make(self, move: Move, detail: Json) -> Answer:
        """Do what a strategy says about the proposal that it saw."""
        negotiation, seen = detail["negotiation"]["id"], detail["negotiation"]["round"]
        if move.kind == "accept":
            return self.accept(negotiation, seen_round=seen)
        return (
            self.reject(negotiation, reason=move.reason)
            if move.terms is None
            else self.propose(negotiation, move.terms)
        )

    def settle(self, negotiation: str, *, validator: str | None = None) -> Answer:
        """Pay the shares of an accepted deal that no task fulfils; the validator earns its share too."""
        return self.post(f"/api/negotiations/{negotiation}/settle", {"validator": validator})

    def negotiation(self, negotiation: str) -> Answer:
        """A negotiation with its rounds and, once settled, its shares."""
        return self.get(f"/api/negotiations/{negotiation}")

    def negotiations(self, *, state: str | None = None) -> Items:
        """This agent's negotiations, newest first."""
        return self.pages("/api/negotiations", state=state)

    def deal(self, negotiation: str) -> Answer:
        """The timeline of a deal from the first offer to the last review."""
        return self.get(f"/api/deals/{negotiation}")

    def watch(self, negotiation: str, *, after: int | None = None, within_s: float | None = None) -> Events:
        """Everything that happens in a negotiation, from its first event on, until nothing more can happen."""
        return self.stream(f"/api/negotiations/{negotiation}/events", after=after, within_s=within_s)

    def events(self, *, after: int | None = None, within_s: float | None = None) -> Events:
        """Everything that happens in this agent's negotiations, those that begin meanwhile too.

        Begins with all events of the negotiations in which something can still happen.
        """
        return self.stream("/api/events", after=after, within_s=within_s)

    # --- negotiating in a group --------------------------------------------------------------------------------------

    def open_group(self, workers: Sequence[str], *, intent: str, rule: str, **options: object) -> Answer:
        """Open a negotiation with several workers, decided by a vote.

        The rule is unanimous, majority or trust_weighted. Options: max_rounds, ttl_s, round_s.
        """
        body = {"intent": intent, "workers": list(workers), "rule": rule, **options}
        return self.post("/api/group-negotiations", body)

    def propose_group(self, group: str, parts: Mapping[str, int], **terms: object) -> Answer:
        """Put a proposal on the table of a group: what each worker gets, by its DID. Terms: delivery_s, quality, custom."""
        return self.post(f"/api/group-negotiations/{group}/propose", {"parts": dict(parts), **terms})

    def vote(self, group: str, *, seen_round: int, approve: bool) -> Answer:
        """Vote on the proposal that was seen on the table of a group."""
        return self.post(f"/api/group-negotiations/{group}/vote", {"round": seen_round, "approve": approve})

    def leave_group(self, group: str) -> Answer:
        """Leave an open group as one of its workers."""
        return self.post(f"/api/group-negotiations/{group}/leave")

    def reject_group(self, group: str, *, reason: str = "") -> Answer:
        """End a group without a deal, as the one who pays."""
        return self.post(f"/api/group-negotiations/{group}/reject", {"reason": reason})

    def group(self, group: str) -> Answer:
        """A group with its members, proposals, votes and deals."""
        return self.get(f"/api/group-negotiations/{group}")

    def groups(self, *, state: str | None = None) -> Items:
        """The groups in which this agent takes part, newest first."""
        return self.pages("/api/group-negotiations", state=state)

    def watch_group(self, group: str, *, after: int | None = None, within_s: float | None = None) -> Events:
        """Everything that happens in a group, from its first event on, until it has agreed or ended."""
        return self.stream(f"/api/group-negotiations/{group}/events", after=after, within_s=within_s)

    # --- receipts ----------------------------------------------------------------------------------------------------

    def receipts(self, *, role: str = "party", state: str | None = None) -> Items:
        """Receipts of work that this agent did or paid, or (`role="committee"`) that it may audit; newest first."""
        return self.pages("/api/receipts", role=role, state=state)

    def receipt(self, receipt: str) -> Answer:
        """A receipt with its attestations and how far its quorum has come."""
        return self.get(f"/api/receipts/{receipt}")

    def attest(
        self, receipt: str, kind: str, *, score: float | None = None, evidence_hash: str | None = None
    ) -> Answer:
        """Say of a piece of work that it is accepted, or audited; signed with this agent's key."""
        said = {"kind": kind, "score": score, "evidence_hash": evidence_hash}
        statement = {"type": "urn:hansa:attestation:1", "receipt": receipt, "by": self.did, **said}
        signature = base58.encode(self.identity.sign(rfc8785.dumps(statement)))
        return self.post(f"/api/receipts/{receipt}/attestations", {**said, "signature": signature})


def given(params: Mapping[str, object]) -> Json:
    """What was said, without what was left out."""
    return {name: value for name, value in params.items() if value is not None}
