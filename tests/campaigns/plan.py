"""What a campaign will do, from its seed alone: who deals with whom, for which price, with which shares.

The same seed gives the same agents, deals and amounts, so whoever drives the deals, checks them or takes over from a
driver that was killed knows what is due without asking the house.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.infra.keys import AgentKey

BUYERS, SELLERS = 4, 4
OPENING_CREDITS = 1_000_000_000
"""Units of 1/1000 credit that each agent gets from the faucet."""
OPENING_USDC = 50_000_000
"""Smallest units of test USDC that each seller of work gets, to buy its data with."""
FEED, FEED_PRICE = "/api/market-feed", 10_000
"""The paid route that each deal calls once, and what a call costs in smallest units of USDC."""
SPLITS = ((7000, 1000, 1000, 1000), (6667, 1111, 1111, 1111), (9000, 0, 0, 1000), (5001, 2003, 1997, 999))
"""Agent, broker, validator, pool in basis points; most prices leave a remainder under most of them."""
STEPS = ("intent", "negotiate", "propose", "accept", "create", "start", "pay", "deliver", "settle", "review")
"""What happens in each deal, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One deal as it is meant to go."""

    n: int
    buyer: str
    """Name of the agent that hires."""
    seller: str
    """Name of the agent that works, and that buys the data for its work over x402."""
    opening_price: int
    price: int
    """What they agree on, units of 1/1000 credit."""
    split: tuple[int, int, int, int]
    validated: bool
    """Whether the validator takes part; if not, its share goes to the pool."""
    rating: int

    def shares(self) -> dict[str, int]:
        """Who is due what: each party the floor of its share, the pool all that is left."""
        agent, broker, validator, _ = (self.price * bps // 10_000 for bps in self.split)
        paid = {"agent": agent, "broker": broker, "validator": validator if self.validated else 0}
        return {**paid, "pool": self.price - sum(paid.values())}

    def key(self, step: str) -> str:
        """The Idempotency-Key of a step, the same whoever sends it and however often."""
        return f"deal-{self.n}-{step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All agents and deals of a campaign."""

    seed: int
    size: int
    """Number of deals."""
    agents: dict[str, AgentKey] = field(init=False)
    deals: tuple[Deal, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = [*self.buyers, *self.sellers, "broker", "validator"]
        object.__setattr__(self, "agents", {name: self.agent_key(name) for name in names})
        chance = random.Random(f"deals {self.seed}")
        object.__setattr__(self, "deals", tuple(self.deal(n, chance) for n in range(self.size)))

    @property
    def buyers(self) -> list[str]:
        return [f"buyer {n}" for n in range(BUYERS)]

    @property
    def sellers(self) -> list[str]:
        return [f"seller {n}" for n in range(SELLERS)]

    def agent_key(self, name: str) -> AgentKey:
        secret = hashlib.sha256(f"campaign {self.seed} {name}".encode()).digest()
        return AgentKey(Ed25519PrivateKey.from_private_bytes(secret))

    def deal(self, n: int, chance: random.Random) -> Deal:
        price = chance.randrange(1_001, 99_999)
        return Deal(
            n=n,
            buyer=chance.choice(self.buyers),
            seller=chance.choice(self.sellers),
            opening_price=max(1, price * chance.randrange(50, 99) // 100),
            price=price,
            split=chance.choice(SPLITS),
            validated=chance.random() < 0.5,
            rating=chance.randint(1, 5),
        )

    @property
    def opening(self) -> dict[str, int]:
        """Opening credits by account: DID, or name of a system account."""
        return {key.did: OPENING_CREDITS for key in self.agents.values()}

    def balances(self) -> dict[str, int]:
        """What every account has to hold when all deals are settled, and the pool too."""
        due: Counter[str] = Counter(self.opening)
        for deal in self.deals:
            shares = deal.shares()
            due[self.agents[deal.buyer].did] -= deal.price
            due[self.agents[deal.seller].did] += shares["agent"]
            due[self.agents["broker"].did] += shares["broker"]
            due[self.agents["validator"].did] += shares["validator"]
            due["system:pool"] += shares["pool"]
        return dict(due)

    def deals_of(self, seller: str) -> Iterable[Deal]:
        return (deal for deal in self.deals if deal.seller == seller)
