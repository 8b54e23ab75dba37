"""Rounds, turns, time, and the money of an accepted deal."""

from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from given import deals
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.credits.errors import InsufficientFunds
from hansa.credits.events import HoldLapsed
from hansa.credits.models import POOL
from hansa.governance.errors import HireDenied
from hansa.kernel.errors import Denied
from hansa.negotiation import commands, queries
from hansa.negotiation.commands import Fulfilment
from hansa.negotiation.errors import (
    AlreadySettled,
    DealBound,
    DealNotAccepted,
    IntentUnknown,
    NegotiationClosed,
    NegotiationExpired,
    NegotiationUnknown,
    NotAParticipant,
    NotYourTurn,
    OnlyThePayerSettles,
    ProposalChanged,
    RoundLimitImpossible,
    RoundsUsedUp,
    SelfHire,
    SettledElsewhere,
    TermsImpossible,
)
from hansa.negotiation.models import NegotiationState, Split, Terms


@pytest.fixture
def buyer_and_seller(tx):
    return deals.pair(tx)


def test_an_opening_offer_is_round_one_and_the_other_party_is_to_answer(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller

    opened = deals.opened(tx, buyer, seller, price=70_000)

    assert opened.state is NegotiationState.INITIATED
    assert (opened.round, opened.turn_did, opened.price) == (1, seller, 70_000)
    assert books.account_of(tx, buyer).reserved == 0


def test_proposals_alternate_and_every_round_is_kept(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=70_000)

    first = commands.propose(tx, opened.id, by=seller, terms=Terms(price=100_000))
    second = commands.propose(tx, opened.id, by=buyer, terms=Terms(price=90_000))

    assert (first.state, second.state) == (NegotiationState.PROPOSED, NegotiationState.COUNTER_PROPOSED)
    assert [one.price for one in queries.rounds_of(tx, opened.id)] == [70_000, 100_000, 90_000]
    assert second.turn_did == seller


def test_convergence_is_the_mean_similarity_of_the_terms(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    offer = Terms(price=80, delivery_s=100, quality=Decimal("0.50"), split=Split())
    counter = Terms(price=100, delivery_s=200, quality=Decimal("0.60"), split=Split())
    opened = deals.opened(tx, buyer, seller, terms=offer)

    answer = commands.propose(tx, opened.id, by=seller, terms=counter)

    assert answer.convergence_score == Decimal("0.80")  # (0.8 + 0.5 + 0.9 + 1) / 4
    assert queries.rounds_of(tx, opened.id)[1].convergence_delta == Decimal("0.8")


def test_nobody_answers_himself(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller)

    with pytest.raises(NotYourTurn), tx.savepoint():
        commands.propose(tx, opened.id, by=buyer, terms=Terms(price=1))
    with pytest.raises(NotYourTurn), tx.savepoint():
        commands.accept(tx, opened.id, by=buyer, at=tx.at)

    assert queries.negotiation_of(tx, opened.id).round == 1


def test_a_third_agent_takes_no_part(tx, buyer_and_seller):
    opened = deals.opened(tx, *buyer_and_seller)
    stranger = deals.rich_agent(tx, "Stranger")

    with pytest.raises(NotAParticipant), tx.savepoint():
        commands.propose(tx, opened.id, by=stranger, terms=Terms(price=1))
    with pytest.raises(NotAParticipant), tx.savepoint():
        commands.accept(tx, opened.id, by=stranger, at=tx.at)
    with pytest.raises(NotAParticipant), tx.savepoint():
        commands.reject(tx, opened.id, by=stranger)
    with pytest.raises(NotAParticipant):
        queries.negotiation_of(tx, opened.id, seen_by=stranger)


def test_accepting_holds_exactly_the_accepted_price(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller

    deal = deals.accepted(tx, buyer, seller, price=90_000)

    assert deal.state is NegotiationState.ACCEPTED
    assert deal.final_proposal["price"] == 90_000
    assert books.hold_of(tx, deal.hold_id).amount == 90_000
    assert books.account_of(tx, buyer).reserved == 90_000


def test_a_price_that_the_payer_cannot_pay_is_refused_and_the_negotiation_goes_on(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=1_000_001, budget=2_000_000)

    with pytest.raises(InsufficientFunds) as refused, tx.savepoint():
        commands.accept(tx, opened.id, by=seller, at=tx.at)

    assert refused.value.facts["missing"] == 1
    assert queries.negotiation_of(tx, opened.id).state is NegotiationState.INITIATED


def test_only_the_proposal_that_was_seen_is_accepted(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller)
    commands.propose(tx, opened.id, by=seller, terms=Terms(price=95_000))

    with pytest.raises(ProposalChanged) as refused:
        commands.accept(tx, opened.id, by=buyer, seen_round=1, at=tx.at)

    assert refused.value.facts["round"] == 2


@pytest.mark.parametrize("limit", [0, -1, 21])
def test_a_negotiation_has_one_to_twenty_rounds(tx, buyer_and_seller, limit):
    with pytest.raises(RoundLimitImpossible):
        deals.opened(tx, *buyer_and_seller, max_rounds=limit)


def test_with_one_round_the_offer_can_be_taken_or_left(tx, buyer_and_seller):
    _, seller = buyer_and_seller
    opened = deals.opened(tx, *buyer_and_seller, max_rounds=1)

    with pytest.raises(RoundsUsedUp), tx.savepoint():
        commands.propose(tx, opened.id, by=seller, terms=Terms(price=1))

    assert commands.accept(tx, opened.id, by=seller, at=tx.at).state is NegotiationState.ACCEPTED


def test_time_is_the_databases(tx, buyer_and_seller):
    _, seller = buyer_and_seller
    opened = deals.opened(tx, *buyer_and_seller, ttl=deals.past())

    with pytest.raises(NegotiationExpired), tx.savepoint():
        commands.accept(tx, opened.id, by=seller, at=tx.at)
    assert commands.expire_stale(tx) == 1

    assert queries.negotiation_of(tx, opened.id).state is NegotiationState.EXPIRED
    assert commands.expire_stale(tx) == 0


def test_expiry_leaves_running_and_ended_negotiations_alone(tx, buyer_and_seller):
    running = deals.opened(tx, *buyer_and_seller)
    deal = deals.accepted(tx, *buyer_and_seller)

    assert commands.expire_stale(tx) == 0

    assert queries.negotiation_of(tx, running.id).state is NegotiationState.INITIATED
    assert queries.negotiation_of(tx, deal.id).state is NegotiationState.ACCEPTED


@pytest.mark.parametrize("by", [0, 1])
def test_either_party_may_reject_and_then_nothing_more_happens(tx, buyer_and_seller, by):
    opened = deals.opened(tx, *buyer_and_seller)

    commands.reject(tx, opened.id, by=buyer_and_seller[by], reason="too dear")

    for act in (
        lambda: commands.reject(tx, opened.id, by=buyer_and_seller[0]),
        lambda: commands.accept(tx, opened.id, by=buyer_and_seller[1], at=tx.at),
        lambda: commands.propose(tx, opened.id, by=buyer_and_seller[1], terms=Terms(price=1)),
    ):
        with pytest.raises(NegotiationClosed), tx.savepoint():
            act()


def test_an_accepted_deal_cannot_be_rejected(tx, buyer_and_seller):
    deal = deals.accepted(tx, *buyer_and_seller)

    with pytest.raises(NegotiationClosed), tx.savepoint():
        commands.reject(tx, deal.id, by=buyer_and_seller[0])

    assert books.account_of(tx, buyer_and_seller[0]).reserved == 90_000


@pytest.mark.parametrize(
    "terms",
    [
        Terms(price=0),
        Terms(price=-100),
        Terms(price=10**15 + 1),
        Terms(price=1, delivery_s=0),
        Terms(price=1, quality=Decimal("1.01")),
        Terms(price=1, quality=Decimal("-0.01")),
        Terms(price=1, split=Split(agent=50_000, broker=-40_000, validator=0, pool=0)),
        Terms(price=1, split=Split(agent=7000, broker=1000, validator=1000, pool=999)),
        Terms(price=1, custom={"text": "x" * 10_001}),
    ],
)
def test_impossible_terms_are_refused_by_name_in_the_offer_and_in_a_proposal(tx, buyer_and_seller, terms):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller)

    with pytest.raises(TermsImpossible), tx.savepoint():
        deals.opened(tx, buyer, seller, terms=terms)
    with pytest.raises(TermsImpossible), tx.savepoint():
        commands.propose(tx, opened.id, by=seller, terms=terms)


def test_self_hire_is_refused(tx, buyer_and_seller):
    buyer, _ = buyer_and_seller

    with pytest.raises(SelfHire):
        deals.opened(tx, buyer, buyer)


def test_a_denial_of_the_gate_is_a_value_that_leaves_its_decision(tx, buyer_and_seller):
    buyer, _ = buyer_and_seller

    answer = deals.opened(tx, buyer, "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")

    assert isinstance(answer, Denied)
    assert isinstance(answer.refusal, HireDenied)
    assert "seller_unknown" in answer.refusal.facts["reasons"][0]


def test_an_unknown_intent_or_negotiation_is_named(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller)
    nowhere = opened.id.__class__(int=opened.id.int ^ 1)

    with pytest.raises(IntentUnknown):
        commands.initiate(tx, by=buyer, responder=seller, intent=nowhere, terms=Terms(price=1), at=tx.at)
    with pytest.raises(NegotiationUnknown), tx.savepoint():
        commands.propose(tx, nowhere, by=buyer, terms=Terms(price=1))


def test_a_settlement_pays_the_agreed_shares_and_unclaimed_ones_go_to_the_pool(tx, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    deal = deals.accepted(tx, buyer, seller, price=90_000)

    paid = commands.settle(tx, services_keys, deal.id, by=buyer).paid

    assert (paid.agent_units, paid.broker_units, paid.validator_units, paid.pool_units) == (63_000, 0, 0, 27_000)
    assert books.account_of(tx, seller).earned == 63_000
    assert books.account_of(tx, buyer).balance == 910_000
    assert books.reconcile(tx) == []


def test_broker_and_validator_are_paid_and_the_pool_takes_the_remainder(tx, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    broker, validator = deals.rich_agent(tx, "Broker", units=0), deals.rich_agent(tx, "Validator", units=0)
    deal = deals.accepted(tx, buyer, seller, price=100_001)

    commands.settle(tx, services_keys, deal.id, by=buyer, broker=broker, validator=validator)

    balances = [books.account_of(tx, who).balance for who in (seller, broker, validator)]
    pool = {one.account: one.balance for one in books.system_balances(tx)}[POOL]
    assert (*balances, pool) == (70_000, 10_000, 10_000, 10_001)


def test_the_shares_of_the_accepted_proposal_count_not_those_of_the_opening_offer(tx, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller)
    split = Split(agent=9000, broker=0, validator=0, pool=1000)
    commands.propose(tx, opened.id, by=seller, terms=Terms(price=90_000, split=split))
    commands.accept(tx, opened.id, by=buyer, at=tx.at)

    paid = commands.settle(tx, services_keys, opened.id, by=buyer).paid

    assert paid.agent_units == 81_000


def test_only_the_payer_settles_and_only_once(tx, services_keys, buyer_and_seller):
    buyer, seller = buyer_and_seller
    deal = deals.accepted(tx, buyer, seller)

    with pytest.raises(OnlyThePayerSettles), tx.savepoint():
        commands.settle(tx, services_keys, deal.id, by=seller)
    commands.settle(tx, services_keys, deal.id, by=buyer)
    with pytest.raises(AlreadySettled), tx.savepoint():
        commands.settle(tx, services_keys, deal.id, by=buyer)


def test_nothing_but_an_accepted_deal_is_settled(tx, services_keys, buyer_and_seller):
    opened = deals.opened(tx, *buyer_and_seller)

    with pytest.raises(DealNotAccepted) as refused:
        commands.settle(tx, services_keys, opened.id, by=buyer_and_seller[0])

    assert refused.value.facts["state"] == "initiated"


def test_a_bound_deal_is_settled_through_its_task_alone(tx, services_keys, buyer_and_seller):
    buyer, _ = buyer_and_seller
    deal = deals.accepted(tx, *buyer_and_seller)
    commands.bind(tx, deal.id, kind="task", ident="t1")

    with pytest.raises(DealBound), tx.savepoint():
        commands.bind(tx, deal.id, kind="task", ident="t2")
    with pytest.raises(SettledElsewhere), tx.savepoint():
        commands.settle(tx, services_keys, deal.id, by=buyer)
    with pytest.raises(SettledElsewhere), tx.savepoint():
        commands.settle(tx, services_keys, deal.id, by=buyer, fulfilment=Fulfilment(kind="task", id="t2"))

    assert commands.settle(tx, services_keys, deal.id, by=buyer, fulfilment=Fulfilment(kind="task", id="t1"))


def test_a_deal_whose_money_went_back_is_over(tx, services_keys, buyer_and_seller):
    buyer, _ = buyer_and_seller
    deal = deals.accepted(tx, *buyer_and_seller)
    lapsed = HoldLapsed(
        hold=deal.hold_id, account=buyer, amount=90_000, purpose_kind="negotiation", purpose_id=str(deal.id)
    )

    commands.lapse(tx, lapsed)
    assert queries.negotiation_of(tx, deal.id).state is NegotiationState.ACCEPTED, "its money is still held"
    ledger.release(tx, deal.hold_id)
    commands.lapse(tx, lapsed)

    assert queries.negotiation_of(tx, deal.id).state is NegotiationState.EXPIRED
    with pytest.raises(DealNotAccepted):
        commands.settle(tx, services_keys, deal.id, by=buyer)


def test_a_settled_deal_leaves_one_work_record_for_the_agent_that_worked(tx, services_keys, buyer_and_seller):
    from hansa.proof import queries as proof

    buyer, seller = buyer_and_seller
    deal = deals.accepted(tx, buyer, seller)

    settlement = commands.settle(tx, services_keys, deal.id, by=buyer)

    [log] = proof.work_of_subject(tx, "negotiation", str(deal.id))
    assert (log.id, log.agent) == (settlement.work_log, seller)


def test_rounds_stay_as_they_were_made_also_for_the_owner(db, owner):
    with db.transaction() as tx:
        deals.opened(tx, *deals.pair(tx))

    with pytest.raises(psycopg.errors.CheckViolation, match="stay as they were made"):
        owner.execute("UPDATE negotiation.rounds SET price = 1")


def test_my_negotiations_are_mine_newest_first_and_paged(tx, buyer_and_seller):
    made = [deals.opened(tx, *buyer_and_seller).id for _ in range(3)]
    deals.opened(tx, *(deals.rich_agent(tx, name) for name in ("Other", "Another")))

    first = queries.negotiations_of(tx, buyer_and_seller[1], limit=2)
    rest = queries.negotiations_of(tx, buyer_and_seller[1], before=first.after, limit=2)

    assert [one.id for one in first.items + rest.items] == made[::-1]
    assert queries.negotiations_of(tx, buyer_and_seller[1], states=[NegotiationState.ACCEPTED]).items == []


def test_the_hold_outlives_the_promised_delivery(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, terms=Terms(price=10, delivery_s=86_400 * 30))

    deal = commands.accept(tx, opened.id, by=seller, at=tx.at)

    assert books.hold_of(tx, deal.hold_id).expires_at - deal.accepted_at > timedelta(days=36)
