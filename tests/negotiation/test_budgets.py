"""What the deals of one intent commit never exceeds its budget."""

import pytest

from given import deals
from hansa.credits import commands as ledger
from hansa.credits.events import HoldLapsed
from hansa.negotiation import commands, queries
from hansa.negotiation.errors import PriceAboveBudget
from hansa.negotiation.models import NegotiationState, Terms


@pytest.fixture
def buyer_and_sellers(tx):
    return [deals.rich_agent(tx, "Buyer"), *(deals.rich_agent(tx, name, units=0) for name in ("Seller", "Rival"))]


def test_an_offer_above_the_budget_is_refused_at_once(tx, buyer_and_sellers):
    buyer, seller, _ = buyer_and_sellers

    with pytest.raises(PriceAboveBudget) as refused, tx.savepoint():
        deals.opened(tx, buyer, seller, price=50_001, budget=50_000)

    assert refused.value.facts == {"budget": 50_000, "committed": 0, "price": 50_001}
    assert deals.opened(tx, buyer, seller, price=50_000, budget=50_000).price == 50_000


def test_the_initiators_own_proposal_above_the_budget_is_refused_at_once(tx, buyer_and_sellers):
    buyer, seller, _ = buyer_and_sellers
    opened = deals.opened(tx, buyer, seller, price=10_000, budget=50_000)
    commands.propose(tx, opened.id, by=seller, terms=Terms(price=80_000))

    with pytest.raises(PriceAboveBudget), tx.savepoint():
        commands.propose(tx, opened.id, by=buyer, terms=Terms(price=50_001))

    assert queries.negotiation_of(tx, opened.id).round == 2
    assert commands.propose(tx, opened.id, by=buyer, terms=Terms(price=50_000)).round == 3


def test_a_price_of_the_other_party_above_the_budget_may_be_asked_but_not_accepted(tx, buyer_and_sellers):
    buyer, seller, _ = buyer_and_sellers
    opened = deals.opened(tx, buyer, seller, price=10_000, budget=50_000)
    commands.propose(tx, opened.id, by=seller, terms=Terms(price=50_001))

    with pytest.raises(PriceAboveBudget), tx.savepoint():
        commands.accept(tx, opened.id, by=buyer, at=tx.at)

    assert queries.negotiation_of(tx, opened.id).state is NegotiationState.PROPOSED


def test_all_deals_of_one_intent_share_its_budget(tx, buyer_and_sellers):
    buyer, seller, rival = buyer_and_sellers
    intent = deals.intent(tx, buyer, budget=100_000)
    first, second, third = (
        deals.opened(tx, buyer, who, price=price, intent=intent)
        for who, price in [(seller, 60_000), (rival, 40_000), (rival, 40_001)]
    )
    commands.accept(tx, first.id, by=seller, at=tx.at)

    with pytest.raises(PriceAboveBudget) as refused, tx.savepoint():
        commands.accept(tx, third.id, by=rival, at=tx.at)

    assert refused.value.facts == {"budget": 100_000, "committed": 60_000, "price": 40_001}
    assert commands.accept(tx, second.id, by=rival, at=tx.at).state is NegotiationState.ACCEPTED
    with pytest.raises(PriceAboveBudget):
        deals.opened(tx, buyer, seller, price=1, intent=intent)


def test_what_was_settled_stays_committed(tx, services_keys, buyer_and_sellers):
    buyer, seller, rival = buyer_and_sellers
    intent = deals.intent(tx, buyer, budget=100_000)
    other = deals.opened(tx, buyer, rival, price=40_001, intent=intent)
    deal = deals.accepted(tx, buyer, seller, price=60_000, intent=intent)
    commands.settle(tx, services_keys, deal.id, by=buyer)

    with pytest.raises(PriceAboveBudget):
        commands.accept(tx, other.id, by=rival, at=tx.at)


@pytest.mark.parametrize("news_arrived", [True, False])
def test_what_went_back_is_free_again(tx, buyer_and_sellers, news_arrived):
    buyer, seller, rival = buyer_and_sellers
    intent = deals.intent(tx, buyer, budget=100_000)
    deal = deals.accepted(tx, buyer, seller, price=60_000, intent=intent)
    ledger.release(tx, deal.hold_id)
    if news_arrived:
        lapsed = {"purpose_kind": "negotiation", "purpose_id": str(deal.id)}
        commands.lapse(tx, HoldLapsed(hold=deal.hold_id, account=buyer, amount=60_000, **lapsed))

    again = deals.accepted(tx, buyer, rival, price=100_000, intent=intent)

    assert again.state is NegotiationState.ACCEPTED


def test_rejected_and_open_negotiations_commit_nothing(tx, buyer_and_sellers):
    buyer, seller, rival = buyer_and_sellers
    intent = deals.intent(tx, buyer, budget=100_000)
    deals.opened(tx, buyer, seller, price=100_000, intent=intent)
    commands.reject(tx, deals.opened(tx, buyer, seller, price=100_000, intent=intent).id, by=seller)

    assert deals.accepted(tx, buyer, rival, price=100_000, intent=intent).price == 100_000


def test_the_budgets_of_two_intents_are_two(tx, buyer_and_sellers):
    buyer, seller, _ = buyer_and_sellers

    made = [deals.accepted(tx, buyer, seller, price=90_000, budget=90_000) for _ in range(2)]

    assert {one.state for one in made} == {NegotiationState.ACCEPTED}
