"""Real sessions that want the same thing at once: one gets it, the others get a named conflict, the books balance."""

import pytest

from given import deals
from given.racing import names, race
from hansa.credits import queries as books
from hansa.market import commands as market
from hansa.negotiation import commands, queries
from hansa.negotiation.models import NegotiationState, Terms


@pytest.fixture
def buyer_and_seller(db):
    with db.transaction() as tx:
        return deals.pair(tx)


def made(db, make, *parties, **options):
    with db.transaction() as tx:
        return make(tx, *parties, **options)


def balanced(db):
    with db.transaction() as tx:
        return books.reconcile(tx) == []


def test_thirty_two_settlements_of_one_deal_are_one(db, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    deal = made(db, deals.accepted, buyer, seller)

    results = race(db, *[lambda tx: commands.settle(tx, services_keys, deal.id, by=buyer)] * 32)

    assert names(results) == {"done": 1, "AlreadySettled": 31}
    with db.transaction() as tx:
        assert books.account_of(tx, seller).balance == 63_000
        assert books.live_holds(tx) == 0
    assert balanced(db)


def test_two_accepts_hold_the_money_once(db, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = made(db, deals.opened, buyer, seller)

    results = race(db, *[lambda tx: commands.accept(tx, opened.id, by=seller, at=tx.at)] * 8)

    assert names(results) == {"done": 1, "NegotiationClosed": 7}
    with db.transaction() as tx:
        assert books.account_of(tx, buyer).reserved == 90_000
    assert balanced(db)


@pytest.mark.parametrize("attempt", range(6))
def test_accept_and_propose_never_seal_a_price_that_is_not_held(db, buyer_and_seller, attempt):
    buyer, seller = buyer_and_seller
    opened = made(db, deals.opened, buyer, seller, price=10_000)

    results = race(
        db,
        lambda tx: commands.accept(tx, opened.id, by=seller, at=tx.at),
        lambda tx: commands.propose(tx, opened.id, by=seller, terms=Terms(price=900_000)),
    )

    with db.transaction() as tx:
        found = queries.negotiation_of(tx, opened.id)
        held = books.account_of(tx, buyer).reserved
    assert names(results)["done"] == 1
    if found.state is NegotiationState.ACCEPTED:
        assert (held, found.final_proposal["price"]) == (10_000, 10_000)
        assert names(results)["NegotiationClosed"] == 1
    else:
        assert (held, found.price) == (0, 900_000)
        assert names(results)["NotYourTurn"] + names(results)["ProposalChanged"] == 1


def test_proposals_at_once_are_one_round(db, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = made(db, deals.opened, buyer, seller)

    results = race(
        db,
        *[
            lambda tx, p=price: commands.propose(tx, opened.id, by=seller, terms=Terms(price=p))
            for price in range(1, 9)
        ],
    )

    assert names(results) == {"done": 1, "NotYourTurn": 7}
    with db.transaction() as tx:
        assert len(queries.rounds_of(tx, opened.id)) == 2


def test_accepting_two_deals_with_money_for_one_makes_one(db, buyer_and_seller):
    buyer, seller = buyer_and_seller
    first = made(db, deals.opened, buyer, seller, price=600_000)
    second = made(db, deals.opened, buyer, seller, price=600_000)

    results = race(
        db, *[lambda tx, n=opened: commands.accept(tx, n.id, by=seller, at=tx.at) for opened in (first, second)]
    )

    assert names(results) == {"done": 1, "InsufficientFunds": 1}
    assert balanced(db)


def test_settle_and_expiry_of_the_hold_end_it_once(db, owner, services_keys, buyer_and_seller):
    from hansa.credits import commands as ledger

    buyer, seller = buyer_and_seller
    deal = made(db, deals.accepted, buyer, seller)
    owner.execute("UPDATE credits.holds SET expires_at = clock_timestamp() WHERE id = %s", [deal.hold_id])

    results = race(db, lambda tx: commands.settle(tx, services_keys, deal.id, by=buyer), ledger.expire_holds)

    with db.transaction() as tx:
        assert books.account_of(tx, buyer).balance == 1_000_000
        assert books.account_of(tx, seller).balance == 0
    assert names(results)["done"] == 1
    assert balanced(db)


def test_two_tasks_from_one_deal_are_one(db, buyer_and_seller):
    buyer, seller = buyer_and_seller
    deal = made(db, deals.accepted, buyer, seller)

    def create(tx):
        return market.create_task(
            tx, negotiation=deal.id, by=buyer, title="A brief", description="One page", domain=6, at=tx.at
        )

    results = race(db, *[create] * 4)

    assert names(results) == {"done": 1, "DealHasATask": 3}


def test_two_reviews_of_one_task_are_one(db, services_keys, buyer_and_seller):
    from hansa.market.models import ReviewDraft

    buyer, seller = buyer_and_seller
    deal = made(db, deals.accepted, buyer, seller)
    with db.transaction() as tx:
        task = market.create_task(
            tx, negotiation=deal.id, by=buyer, title="A brief", description="One page", domain=6, at=tx.at
        )
        market.start(tx, task.id, by=seller)
        market.deliver(tx, task.id, by=seller, files=[], notes="done", at=tx.at)
    with db.transaction() as tx:
        market.accept_delivery(tx, services_keys, task.id, by=buyer, at=tx.at)

    results = race(db, *[lambda tx: market.review(tx, task.id, by=buyer, draft=ReviewDraft(rating=5), at=tx.at)] * 4)

    assert names(results) == {"done": 1, "AlreadyReviewed": 3}
