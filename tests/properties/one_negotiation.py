"""The rules of one negotiation in plain Python: what each command gives, or the name of its refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from fractions import Fraction

from hansa.negotiation.models import PRICE_MAX, Terms

CENT = Decimal("0.01")
PARTIES = ("initiator", "responder")
OPEN = ("initiated", "proposed", "counter_proposed")


class Refused(Exception):
    """A rule says no; its argument is the code of the refusal."""


def require(truth: object, code: str) -> None:
    if not truth:
        raise Refused(code)


@dataclass
class Model:
    """One negotiation, its payer's money and its intent's budget."""

    funds: int
    """What the payer has available."""
    budget: int
    max_rounds: int
    round_s: int | None
    state: str = ""
    rounds: list[tuple[str, Terms]] = field(default_factory=list)
    accepts_at: dict[str, Decimal] = field(default_factory=dict)
    convergence: Decimal = Decimal(0)
    standing: str | None = None
    not_accepted: str | None = None
    held: int = 0
    overdue: bool = False
    round_overdue: bool = False
    settled: bool = False

    @property
    def turn(self) -> str:
        return PARTIES[len(self.rounds) % 2]

    @property
    def terms(self) -> Terms:
        return self.rounds[-1][1]

    def initiate(self, terms: Terms, accepts_at: Decimal | None) -> None:
        require(1 <= terms.price <= PRICE_MAX, "terms_impossible")
        require(accepts_at is None or Decimal("0.5") <= up(accepts_at) <= 1, "standing_acceptance_impossible")
        check_terms(terms)
        require(terms.price <= self.budget, "price_above_budget")
        self.append("initiator", terms, accepts_at)

    def take_turn(self, by: str, *, any_turn: bool = False) -> None:
        require(by in PARTIES, "not_a_participant")
        require(self.state in OPEN, "negotiation_closed")
        require(not self.overdue, "negotiation_expired")
        require(not self.round_overdue, "round_expired")
        require(any_turn or by == self.turn, "not_your_turn")

    def propose(self, by: str, terms: Terms, accepts_at: Decimal | None) -> None:
        self.take_turn(by)
        require(len(self.rounds) < self.max_rounds, "rounds_used_up")
        require(accepts_at is None or Decimal("0.5") <= up(accepts_at) <= 1, "standing_acceptance_impossible")
        check_terms(terms)
        require(by != "initiator" or terms.price <= self.budget, "price_above_budget")
        self.append(by, terms, accepts_at)
        if self.standing:
            try:
                self.seal()
            except Refused as refused:
                self.not_accepted = refused.args[0]

    def append(self, by: str, terms: Terms, accepts_at: Decimal | None) -> None:
        if accepts_at is not None:
            self.accepts_at[by] = up(accepts_at)
        before, self.round_overdue, self.not_accepted, self.standing = self.rounds[-1:], False, None, None
        self.rounds.append((by, terms))
        self.state = OPEN[min(len(self.rounds), 3) - 1]
        alike = convergence(before[0][1], terms) if before else Fraction(0)
        self.convergence = Decimal(alike.numerator) / Decimal(alike.denominator)
        self.convergence = self.convergence.quantize(CENT, ROUND_HALF_UP)
        at = self.accepts_at.get(self.turn)
        if before and at is not None and alike >= Fraction(at) and same_unmeasured(before[0][1], terms):
            self.standing = self.turn

    def accept(self, by: str, seen: int | None) -> None:
        require(by in PARTIES, "not_a_participant")
        self.take_turn(by)
        require(seen in {None, len(self.rounds)}, "proposal_changed")
        self.seal()

    def seal(self) -> None:
        require(self.terms.price <= self.budget, "price_above_budget")
        require(self.terms.price <= self.funds, "insufficient_funds")
        self.state, self.held = "accepted", self.terms.price
        self.funds -= self.held

    def reject(self, by: str, reason: str) -> None:
        self.take_turn(by, any_turn=True)
        require(len(reason) <= 1000, "rejection_too_long")
        self.state = "rejected"

    def settle(self, by: str) -> dict[str, int]:
        """Units of the worker and of the pool; a deal without broker and validator."""
        require(by == "initiator", "only_the_payer_settles")
        require(not self.settled, "already_settled")
        require(self.state == "accepted", "deal_not_accepted")
        self.settled, price = True, self.terms.price
        share = self.terms.split.agent if self.terms.split else 7000
        agent = price * share // 10_000
        return {"agent": agent, "pool": price - agent}

    def expire(self) -> int:
        """How many negotiations a sweep ends: this one, if its time or its round's is over."""
        if self.state not in OPEN or not (self.overdue or self.round_overdue):
            return 0
        self.state = "expired"
        return 1


def up(share: Decimal) -> Decimal:
    return share.quantize(CENT, ROUND_CEILING)


def check_terms(terms: Terms) -> None:
    split = terms.split
    require(1 <= terms.price <= PRICE_MAX, "terms_impossible")
    require(terms.delivery_s is None or 1 <= terms.delivery_s <= 31_536_000, "terms_impossible")
    require(terms.quality is None or 0 <= terms.quality <= 1, "terms_impossible")
    require(split is None or (min(shares(terms)) >= 0 and sum(shares(terms)) == 10_000), "terms_impossible")


def shares(terms: Terms) -> tuple[int, int, int, int]:
    assert terms.split is not None
    return terms.split.agent, terms.split.broker, terms.split.validator, terms.split.pool


def convergence(before: Terms, after: Terms) -> Fraction:
    """Mean similarity of the terms that both state."""
    alike = [Fraction(min(before.price, after.price), max(before.price, after.price))]
    if before.delivery_s is not None and after.delivery_s is not None:
        alike.append(Fraction(min(before.delivery_s, after.delivery_s), max(before.delivery_s, after.delivery_s)))
    if before.quality is not None and after.quality is not None:
        alike.append(1 - abs(Fraction(before.quality) - Fraction(after.quality)))
    if before.split is not None and after.split is not None:
        apart = sum(abs(one - other) for one, other in zip(shares(before), shares(after), strict=True))
        alike.append(1 - Fraction(apart, 40_000))
    return sum(alike, Fraction(0)) / len(alike)


def same_unmeasured(before: Terms, after: Terms) -> bool:
    """Whether both state the same terms, and the same of what convergence does not measure."""
    return [value is None for value in (before.delivery_s, before.quality, before.split)] == [
        value is None for value in (after.delivery_s, after.quality, after.split)
    ] and before.custom == after.custom
