"""Real sessions that want one budget at once: it is spent once."""

from decimal import Decimal

import pytest

from given import deals
from given.racing import names, race
from hansa.credits import queries as books
from hansa.negotiation import commands, queries
from hansa.negotiation.models import NegotiationState, Terms


@pytest.fixture
def house(db):
    """A buyer, eight sellers, and an intent with money for two of them."""
    with db.transaction() as tx:
        buyer = deals.rich_agent(tx, "Buyer")
        sellers = [deals.rich_agent(tx, f"Seller {n}", units=0) for n in range(8)]
        intent = deals.intent(tx, buyer, budget=100_000)
        opened = [deals.opened(tx, buyer, seller, price=50_000, intent=intent) for seller in sellers]
    return buyer, sellers, opened


def balanced(db):
    with db.transaction() as tx:
        return books.reconcile(tx) == []


def committed(db, opened):
    with db.transaction() as tx:
        found = [queries.negotiation_of(tx, one.id) for one in opened]
    return [one for one in found if one.state is NegotiationState.ACCEPTED]


def test_eight_acceptances_of_eight_negotiations_spend_one_budget_once(db, house):
    buyer, sellers, opened = house

    results = race(
        db,
        *[
            lambda tx, n=one, by=seller: commands.accept(tx, n.id, by=by, at=tx.at)
            for one, seller in zip(opened, sellers, strict=True)
        ],
    )

    assert names(results) == {"done": 2, "PriceAboveBudget": 6}
    assert len(committed(db, opened)) == 2
    with db.transaction() as tx:
        assert books.account_of(tx, buyer).reserved == 100_000
    assert balanced(db)


def test_eight_standing_acceptances_spend_one_budget_once(db, house):
    buyer, sellers, _ = house
    with db.transaction() as tx:
        intent = deals.intent(tx, buyer, budget=100_000)
        opened = [
            deals.opened(tx, buyer, seller, price=45_000, intent=intent, accepts_at=Decimal("0.90"))
            for seller in sellers
        ]

    results = race(
        db,
        *[
            lambda tx, n=one, by=seller: commands.propose(tx, n.id, by=by, terms=Terms(price=50_000))
            for one, seller in zip(opened, sellers, strict=True)
        ],
    )

    assert names(results) == {"done": 8}, "a proposal stands whether or not it is accepted"
    assert sorted(one.not_accepted or "" for one in results) == ["", "", *["price_above_budget"] * 6]
    assert len(committed(db, opened)) == 2
    with db.transaction() as tx:
        assert books.account_of(tx, buyer).reserved == 100_000
    assert balanced(db)


def test_settling_and_accepting_for_one_intent_do_not_wait_in_a_circle(db, services_keys, house):
    buyer, sellers, opened = house
    with db.transaction() as tx:
        deal = commands.accept(tx, opened[0].id, by=sellers[0], at=tx.at)

    results = race(
        db,
        lambda tx: commands.settle(tx, services_keys, deal.id, by=buyer),
        *[
            lambda tx, n=one, by=seller: commands.accept(tx, n.id, by=by, at=tx.at)
            for one, seller in zip(opened[1:], sellers[1:], strict=True)
        ],
    )

    assert names(results) == {"done": 2, "PriceAboveBudget": 6}
    assert len(committed(db, opened)) == 2
    assert balanced(db)
