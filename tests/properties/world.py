"""What the sessions of the machine share: agents with different money, and the deals that they all want to have."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from given import registry
from given.credits import as_operator
from hansa.credits import commands as ledger
from hansa.infra.db import Actor, Db, Tx
from hansa.infra.seal import LocalKeyRing
from hansa.proof import commands as proof

WATCH = Path(__file__).with_name("watch.sql")
OPENING = (0, 0, 900, 7_000, 25_000, 60_000, 120_000, 300_000, 600_000, 1_000_000, 1_000_000, 5_000_000)
"""Opening credits of the agents: from nothing to more than they can spend."""
CAUTIOUS = (3, 9)
"""Agents that an operator lets pay little at once, and little in a day."""
TRANSFER_MAX, DAY_MAX = 4_000, 9_000
OVER = {"negotiation_closed", "already_settled", "deal_not_accepted", "hold_ended"}
"""Refusals after which a session looks for another negotiation."""
HOT = 5
"""So many negotiations are fought over at a time."""


@dataclass(slots=True)
class Deal:
    """A negotiation as the sessions last heard of it; they act on it also when it is out of date."""

    id: Any
    intent: Any
    initiator: str
    responder: str
    state: str
    round: int
    turn: str
    hold: Any = None

    @property
    def parties(self) -> tuple[str, str]:
        return self.initiator, self.responder

    @property
    def open(self) -> bool:
        return self.state in {"initiated", "proposed", "counter_proposed"}


@dataclass(slots=True)
class Team:
    """A group as the sessions last heard of it."""

    id: Any
    payer: str
    workers: list[str]
    round: int = 0
    open: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What a session is about to do. `act` is one command in one transaction."""

    kind: str
    act: Callable[[Tx], Any]
    by: str = ""
    role: str = "agent"
    about: str = ""
    """Id of what the step may change; empty when that is new, or a sweep finds it."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """A step that was answered: with a result, with a denial that stays as evidence, or with a refusal."""

    id: str
    step: Step
    outcome: str
    """`done`, or the code of the refusal."""
    result: Any = None

    @property
    def done(self) -> bool:
        return self.outcome == "done"


class World:
    """Everything that the sessions share. Reading it without its lock is fine: it is hearsay anyway."""

    def __init__(self, db: Db, owner: psycopg.Connection[Any], keys: LocalKeyRing) -> None:
        self.db, self.owner, self.keys = db, owner, keys
        self.lock = threading.Lock()
        self.opening: dict[str, int] = {}
        self.intents: list[tuple[Any, str, int]] = []
        self.deals: dict[str, Deal] = {}
        self.teams: dict[str, Team] = {}
        self.holds: list[tuple[Any, str]] = []
        self.notes: list[Note] = []
        self.inside: Counter[str] = Counter()
        self.met = 0
        """Steps that began while another session was at work on the same negotiation, group or account."""
        owner.execute(WATCH.read_text())
        with db.transaction() as tx:
            self.populate(tx)

    def populate(self, tx: Tx) -> None:
        for number, units in enumerate(OPENING):
            did = registry.agent(tx, name=f"Agent {number}").did
            self.opening[did] = units
            with as_operator(tx) as operator:
                if units:
                    ledger.deposit(operator, did, units, key=f"opening:{did}", reason="opening")
                if number in CAUTIOUS:
                    ledger.set_account_limits(operator, did, transfer_max=TRANSFER_MAX, day_max=DAY_MAX)
        with as_operator(tx) as operator:
            proof.set_attestation_policy(operator, unbonding_s=0)

    @property
    def agents(self) -> list[str]:
        return list(self.opening)

    @property
    def cautious(self) -> list[str]:
        return [self.agents[number] for number in CAUTIOUS]

    def enter(self, about: str) -> None:
        if about:
            with self.lock:
                self.met += self.inside[about] > 0
                self.inside[about] += 1

    def leave(self, about: str) -> None:
        if about:
            with self.lock:
                self.inside[about] -= 1

    def keep(self, note: Note, hear: Callable[[World, Note], None] | None) -> None:
        """Write down what was answered, and tell the other sessions of it."""
        with self.lock:
            self.notes.append(note)
            if note.done and hear:
                hear(self, note)
            elif note.outcome in OVER and (deal := self.deals.get(note.step.about)):
                deal.state = "over"
            elif note.outcome == "group_closed":
                self.teams[note.step.about].open = False


@dataclass(slots=True)
class Hand:
    """One session's luck: what it draws next."""

    luck: random.Random
    world: World

    def chance(self, share: float) -> bool:
        return self.luck.random() < share

    def agent(self) -> str:
        return self.luck.choice(self.world.agents)

    def units(self) -> int:
        """Mostly amounts that somebody has, sometimes ones that nobody has, rarely none at all."""
        return self.luck.choice((self.luck.randint(1, 900), self.luck.randint(1, 9_000), self.luck.randint(1, 60_000)))

    def deal(self, wanted: Callable[[Deal], bool]) -> Deal | None:
        """One of the last few negotiations that are believed to be so; sometimes any that ever was."""
        every = list(self.world.deals.values())
        fit = [deal for deal in every[-60:] if wanted(deal)][-HOT:]
        if every and (not fit or self.chance(0.08)):
            return self.luck.choice(every)
        return self.luck.choice(fit) if fit else None

    def team(self) -> Team | None:
        every = list(self.world.teams.values())
        fit = [team for team in every[-20:] if team.open][-3:]
        if every and (not fit or self.chance(0.1)):
            return self.luck.choice(every)
        return self.luck.choice(fit) if fit else None

    def intent(self) -> tuple[Any, str, int] | None:
        return self.luck.choice(self.world.intents[-4:]) if self.world.intents else None


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that sessions do, and how often they do it."""

    weight: int
    draw: Callable[[Hand], Step | None]
    """None: there is nothing to do it to."""
    hear: Callable[[World, Note], None] | None


KINDS: dict[str, Kind] = {}


def kind(weight: int, hear: Callable[[World, Note], None] | None = None):
    """Register a function that draws steps of the kind that its name says."""

    def register(draw: Callable[[Hand], Step | None]):
        KINDS[draw.__name__] = Kind(weight, draw, hear)
        return draw

    return register


def actor_of(step: Step, ident: str) -> Actor:
    return Actor(kind=step.role, did=step.by or "tests", trace=ident)
