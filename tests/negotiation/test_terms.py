"""A proposal states a price and whatever else it wants to; nothing is promised that nobody stated."""

from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from given import deals
from hansa.credits import queries as books
from hansa.market import commands as market
from hansa.negotiation import commands, queries
from hansa.negotiation.errors import RejectionTooLong, TermsImpossible
from hansa.negotiation.models import NegotiationState, Split, Terms
from hansa.proof import queries as proof

SPLIT = Split(agent=5000, broker=2000, validator=2000, pool=1000)


@pytest.fixture
def buyer_and_seller(tx):
    return deals.pair(tx)


def test_a_proposal_shows_what_it_states_and_nothing_else(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, terms=Terms(price=80))

    answer = commands.propose(tx, opened.id, by=seller, terms=Terms(price=90, quality=Decimal("0.8"), split=SPLIT))

    assert opened.current_proposal == {"price": 80, "round": 1, "by": buyer, "custom": {}}
    assert answer.current_proposal == {
        "price": 90,
        "quality": 0.8,
        "split": {"agent": 5000, "broker": 2000, "validator": 2000, "pool": 1000},
        "round": 2,
        "by": seller,
        "custom": {},
    }
    offer, counter = queries.rounds_of(tx, opened.id)
    assert (offer.delivery_s, offer.quality, offer.agent_bps, offer.pool_bps) == (None, None, None, None)
    assert (counter.delivery_s, counter.quality, counter.agent_bps) == (None, Decimal("0.80"), 5000)


def test_a_null_within_custom_terms_is_kept(tx, buyer_and_seller):
    opened = deals.opened(tx, *buyer_and_seller, terms=Terms(price=80, custom={"deadline": None}))

    assert opened.current_proposal["custom"] == {"deadline": None}


FULL = Terms(price=80, delivery_s=100, quality=Decimal("0.50"), split=Split())


@pytest.mark.parametrize(
    ("before", "after", "delta"),
    [
        (FULL, FULL, Decimal(1)),
        (Terms(price=80), Terms(price=100), Decimal("0.8")),
        (FULL, Terms(price=100), Decimal("0.8")),
        (Terms(price=100), FULL, Decimal("0.8")),
        (FULL, Terms(price=80, delivery_s=400), Decimal("0.625")),
        (FULL, Terms(price=80, quality=Decimal("0.7")), Decimal("0.9")),
        (FULL, Terms(price=80, split=Split(agent=9000, broker=0, validator=0, pool=1000)), Decimal("0.95")),
        (Terms(price=80, quality=Decimal("0.1")), Terms(price=40, delivery_s=9), Decimal("0.5")),
        (FULL, Terms(price=100, delivery_s=200, quality=Decimal("0.60"), split=Split()), Decimal("0.8")),
        (FULL, Terms(price=80, split=Split(agent=0, broker=0, validator=0, pool=10_000)), Decimal("0.775")),
    ],
)
def test_convergence_is_the_mean_over_the_terms_that_both_rounds_state(tx, buyer_and_seller, before, after, delta):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, terms=before)

    answer = commands.propose(tx, opened.id, by=seller, terms=after)

    offer, counter = queries.rounds_of(tx, opened.id)
    assert (offer.convergence_delta, opened.convergence_score) == (0, 0), "no round came before"
    assert counter.convergence_delta == delta
    assert abs(answer.convergence_score - delta) <= Decimal("0.005")


def test_convergence_is_kept_in_full_in_the_round_and_in_two_decimals_on_the_negotiation(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, terms=Terms(price=3))

    answer = commands.propose(tx, opened.id, by=seller, terms=Terms(price=2))

    assert answer.convergence_score == Decimal("0.67")
    assert abs(queries.rounds_of(tx, opened.id)[1].convergence_delta - Decimal(2) / 3) < Decimal("1e-15")


def test_only_the_last_two_rounds_are_compared(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, terms=FULL)
    commands.propose(tx, opened.id, by=seller, terms=Terms(price=40))

    answer = commands.propose(tx, opened.id, by=buyer, terms=FULL)

    assert answer.convergence_score == Decimal("0.50"), "the price alone is in both"


@pytest.mark.parametrize("missing", ["agent_bps", "broker_bps", "validator_bps", "pool_bps"])
def test_a_split_is_stated_whole_or_not_at_all_also_through_psql(db, owner, missing):
    with db.transaction() as tx:
        opened = deals.opened(tx, *deals.pair(tx))
    shares = {"agent_bps": 7000, "broker_bps": 1000, "validator_bps": 1000, "pool_bps": 1000, missing: None}

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(
            "INSERT INTO negotiation.rounds (negotiation_id, n, by_did, price, agent_bps, broker_bps, validator_bps, "
            "pool_bps) VALUES (%s, 2, 'x', 1, %s, %s, %s, %s)",
            [opened.id, *shares.values()],
        )

    assert refused.value.diag.constraint_name == "shares_stated_together"


@pytest.mark.parametrize(
    "terms",
    [
        Terms(price=0),
        Terms(price=1, delivery_s=31_536_001),
        Terms(price=1, delivery_s=-1),
        Terms(price=1, quality=Decimal("1.01")),
        Terms(price=1, split=Split(agent=10_000)),
    ],
)
def test_what_is_stated_must_still_be_possible(tx, buyer_and_seller, terms):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller)

    with pytest.raises(TermsImpossible):
        commands.propose(tx, opened.id, by=seller, terms=terms)


def test_a_deal_that_states_no_split_is_paid_by_the_default(tx, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, terms=Terms(price=90_000, split=SPLIT))
    commands.propose(tx, opened.id, by=seller, terms=Terms(price=90_000))
    deal = commands.accept(tx, opened.id, by=buyer, at=tx.at)

    paid = commands.settle(tx, services_keys, deal.id, by=buyer).paid

    default = Split()
    assert deal.incentive_split == {
        "agent": default.agent,
        "broker": default.broker,
        "validator": default.validator,
        "pool": default.pool,
    }
    assert (paid.agent_units, paid.pool_units) == (63_000, 27_000)


def test_a_split_that_the_accepted_proposal_states_is_the_one_that_is_paid(tx, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, terms=Terms(price=100_001))
    commands.propose(tx, opened.id, by=seller, terms=Terms(price=100_001, split=SPLIT))
    commands.accept(tx, opened.id, by=buyer, at=tx.at)
    broker, validator = deals.rich_agent(tx, "Broker", units=0), deals.rich_agent(tx, "Validator", units=0)

    paid = commands.settle(tx, services_keys, opened.id, by=buyer, broker=broker, validator=validator).paid

    assert (paid.agent_units, paid.broker_units, paid.validator_units, paid.pool_units) == (
        50_000,
        20_000,
        20_000,
        10_001,
    )


def test_without_a_delivery_time_the_money_waits_a_week_and_nobody_is_late(tx, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    deal = deals.accepted(tx, buyer, seller)
    trusted = proof.trust_of(tx, seller, at=tx.at).timeliness

    commands.settle(tx, services_keys, deal.id, by=buyer)

    assert deal.due_at is None
    waits = books.hold_of(tx, deal.hold_id).expires_at - deal.accepted_at
    assert abs(waits - timedelta(days=7)) < timedelta(seconds=1)
    assert proof.trust_of(tx, seller, at=tx.at).timeliness == trusted, "nothing was promised, so nothing was kept"


def test_a_task_of_a_deal_is_due_when_the_deal_says_and_else_never(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    promised = deals.accepted(tx, buyer, seller, terms=Terms(price=10, delivery_s=86_400))
    open_end = deals.accepted(tx, buyer, seller, terms=Terms(price=10))

    due, never = (
        market.create_task(tx, negotiation=deal.id, by=buyer, title="T", description="D", domain=6, at=tx.at)
        for deal in (promised, open_end)
    )

    assert due.due_date == promised.accepted_at + timedelta(days=1)
    assert never.due_date is None


def test_a_rejection_keeps_who_and_why(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    silent, spoken = deals.opened(tx, buyer, seller), deals.opened(tx, buyer, seller)

    commands.reject(tx, silent.id, by=buyer)
    commands.reject(tx, spoken.id, by=seller, reason="too dear")

    found = [queries.negotiation_of(tx, one.id) for one in (silent, spoken)]
    assert [(one.state, one.ended_by, one.reject_reason) for one in found] == [
        (NegotiationState.REJECTED, buyer, None),
        (NegotiationState.REJECTED, seller, "too dear"),
    ]


def test_a_reason_is_at_most_a_thousand_characters(tx, buyer_and_seller):
    opened = deals.opened(tx, *buyer_and_seller)

    with pytest.raises(RejectionTooLong), tx.savepoint():
        commands.reject(tx, opened.id, by=buyer_and_seller[0], reason="x" * 1001)

    assert commands.reject(tx, opened.id, by=buyer_and_seller[0], reason="x" * 1000).reject_reason == "x" * 1000


def test_active_means_every_open_state(tx, buyer_and_seller):
    from hansa.negotiation.models import OPEN_STATES

    buyer, seller = buyer_and_seller
    initiated, proposed, countered, rejected = (deals.opened(tx, buyer, seller) for _ in range(4))
    deals.accepted(tx, buyer, seller)
    for one in (proposed, countered):
        commands.propose(tx, one.id, by=seller, terms=Terms(price=1))
    commands.propose(tx, countered.id, by=buyer, terms=Terms(price=1))
    commands.reject(tx, rejected.id, by=buyer)

    found = queries.negotiations_of(tx, buyer, states=OPEN_STATES).items

    assert {one.id for one in found} == {initiated.id, proposed.id, countered.id}
