"""Strategies: what to answer when it is one's turn. Pure, so that they can be tried without a house."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from hansa.client.refusals import Json, NotAgreed, Refused

KEPT = ("delivery_s", "quality", "split", "custom")
"""What a proposal says besides its price."""
OVERTAKEN = frozenset(
    {"negotiation_closed", "negotiation_expired", "not_your_turn", "proposal_changed", "round_expired"}
)
"""Refusals of a move that came too late; the next event says what happened instead."""
OPEN = frozenset({"initiated", "proposed", "counter_proposed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One answer to the proposal on the table."""

    kind: Literal["accept", "propose", "reject"]
    terms: Json | None = None
    """Of a proposal."""
    reason: str = ""
    """Of a rejection."""


Strategy = Callable[[Json, str], Move]
"""What to answer: takes the document of `negotiation(id)` and one's own DID; asked only when it is one's turn."""


def accepted() -> Move:
    return Move(kind="accept")


def proposed(terms: Json) -> Move:
    return Move(kind="propose", terms=terms)


def rejected(reason: str) -> Move:
    return Move(kind="reject", reason=reason)


def is_turn_of(detail: Json, me: str) -> bool:
    """Whether a negotiation waits for this party's answer."""
    negotiation = detail["negotiation"]
    return negotiation["state"] in OPEN and negotiation["turn_did"] == me


@contextmanager
def overtaken() -> Generator[None]:
    """Let a move that came too late pass; whoever listens hears of what was quicker."""
    try:
        yield
    except Refused as refused:
        if refused.code not in OVERTAKEN:
            raise


def agreed(detail: Json) -> Json:
    """The negotiation, when it is accepted. Raises NotAgreed."""
    if detail["negotiation"]["state"] != "accepted":
        raise NotAgreed(detail["negotiation"])
    return detail["negotiation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Halfway:
    """Meet the other side halfway, round after round, and never beyond one's limit.

    Takes what is within the limit once one would not ask for much better oneself, or when no round is left. Everything
    but the price stays as the other side wants it.
    """

    limit: int
    """Most that a buyer pays, least that a seller takes; units of 1/1000 credit."""
    opening: int | None = None
    """What a seller asks first; None: half more than its limit."""
    close_bps: int = 300
    """How far apart prices are that count as equal, in 1/10 000 of the one on the table."""

    def __call__(self, detail: Json, me: str) -> Move:
        """The answer to the proposal on the table."""
        negotiation = detail["negotiation"]
        table = negotiation["current_proposal"]
        buys = negotiation["initiator_did"] == me
        fits = table["price"] <= self.limit if buys else table["price"] >= self.limit
        price = self.next_price(table["price"], own_last_price(detail, me), buys=buys)
        last = negotiation["round"] >= negotiation["max_rounds"]
        gains = price < table["price"] if buys else price > table["price"]
        if fits and (last or not gains or self.is_close(price, table["price"])):
            return accepted()
        if last:
            return rejected(f"{table['price']} is beyond my limit, and no round is left")
        return proposed({**{name: table[name] for name in KEPT if table.get(name) is not None}, "price": price})

    def next_price(self, theirs: int, mine: int | None, *, buys: bool) -> int:
        """Halfway from one's own last price to theirs, at most up to the limit."""
        if mine is None:
            return max(theirs, self.limit * 3 // 2 if self.opening is None else self.opening)
        halfway = mine + (theirs - mine) // 2
        return min(halfway, self.limit) if buys else max(halfway, self.limit)

    def is_close(self, price: int, theirs: int) -> bool:
        return abs(price - theirs) * 10_000 <= theirs * self.close_bps


def own_last_price(detail: Json, me: str) -> int | None:
    """What one proposed last; None: nothing yet."""
    own = [one["price"] for one in detail["rounds"] if one["by_did"] == me]
    return own[-1] if own else None
