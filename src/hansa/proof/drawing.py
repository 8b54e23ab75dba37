"""Drawing a committee so that anybody can draw it again: hashes and decimal arithmetic, no floats, no database.

    seed    = sha256(receipt | work hash | digest of the draw before)
    u       = (sha256(seed | DID) + 1) / 2^256            uniform, another one for each candidate
    waiting = -ln(u) / trust                              who waits least sits: m times

This is the weighted draw without replacement of Efraimidis and Spirakis (order by u^(1/trust), the largest first), in
logarithms. `ln` of a Decimal is rounded correctly, so every program with decimal arithmetic finds the same digits;
doubles would differ in the last one between mathematical libraries.

Neither party can know the seed while it could still act on it. The work hash covers 32 random bytes that the house
draws when it records the settlement, and a settlement cannot be repeated or taken back. The digest of the draw before
ties all draws into one chain, so none can be dropped or redrawn later without changing every one after it. The house
itself could try several salts before it commits: this protects against parties, not against the house.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

import rfc8785

from hansa.kernel.dids import Did

FIRST = "0" * 64
"""What the first draw of all names as the one before it."""
PRECISION = Context(prec=50, rounding=ROUND_HALF_EVEN)
RANGE = Decimal(2**256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An agent that could sit in a committee."""

    agent: Did
    trust: str
    """Above 0, up to 1, at the moment of the draw; decimal text, so that it travels unchanged."""


def seed_of(receipt: str, work_hash: str, previous: str) -> str:
    """What a committee is drawn with, in hexadecimal."""
    return hashlib.sha256(f"{receipt}|{work_hash}|{previous}".encode()).hexdigest()


def draw(seed: str, candidates: Sequence[Candidate], seats: int) -> list[Did]:
    """The agents that sit, in the order of the draw; all candidates when there are no more than seats."""
    waiting = sorted(candidates, key=lambda candidate: (waiting_of(seed, candidate), candidate.agent))
    return [candidate.agent for candidate in waiting[:seats]]


def waiting_of(seed: str, candidate: Candidate) -> Decimal:
    """How long a candidate waits for a seat: an exponential time, shorter the more it is trusted."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}|{candidate.agent}".encode()).digest())
    uniform = PRECISION.divide(Decimal(drawn + 1), RANGE)
    return PRECISION.divide(PRECISION.minus(PRECISION.ln(uniform)), Decimal(candidate.trust))


def digest_of(seed: str, candidates: Sequence[Candidate], members: Sequence[Did]) -> str:
    """What the next draw names as the one before it, in hexadecimal."""
    document = {"seed": seed, "candidates": documents(candidates), "members": list(members)}
    return hashlib.sha256(rfc8785.dumps(document)).hexdigest()


def documents(candidates: Sequence[Candidate]) -> list[dict[str, str]]:
    """Candidates as JSON, as they are stored and hashed."""
    return [{"agent": candidate.agent, "trust": candidate.trust} for candidate in candidates]
