"""A party may say in advance how near a proposal must come to be accepted; its money is as safe as if it looked."""

from decimal import Decimal

import pytest

from given import deals
from hansa.credits import queries as books
from hansa.governance import queries as governance
from hansa.negotiation import commands, queries
from hansa.negotiation.errors import StandingAcceptanceImpossible
from hansa.negotiation.models import NegotiationState, Split, Terms
from hansa.registry import commands as registry

NEAR = Decimal("0.90")


@pytest.fixture
def buyer_and_seller(tx):
    return deals.pair(tx)


def proposed(tx, opened, by, price, **options):
    return commands.propose(tx, opened.id, by=by, terms=Terms(price=price), **options)


def test_nothing_is_accepted_unasked_unless_a_party_says_so(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=90_000)

    answer = proposed(tx, opened, seller, 90_000)

    assert answer.convergence_score == 1
    assert (answer.state, answer.standing_did, answer.hold_id) == (NegotiationState.PROPOSED, None, None)


def test_a_proposal_that_comes_near_enough_is_accepted_and_its_price_is_held(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=90_000, accepts_at=NEAR)

    deal = proposed(tx, opened, seller, 100_000)

    assert (deal.state, deal.standing_did, deal.turn_did) == (NegotiationState.ACCEPTED, buyer, buyer)
    assert (deal.final_proposal["price"], deal.final_proposal["by"]) == (100_000, seller)
    assert books.hold_of(tx, deal.hold_id).amount == books.account_of(tx, buyer).reserved == 100_000


def test_a_proposal_that_is_a_hair_too_far_stays_on_the_table(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=90_000, accepts_at=NEAR)

    answer = proposed(tx, opened, seller, 100_001)

    assert answer.convergence_score == NEAR, "two decimals hide the hair"
    assert (answer.state, answer.standing_did, answer.not_accepted) == (NegotiationState.PROPOSED, None, None)
    assert books.account_of(tx, buyer).reserved == 0


def test_the_responder_says_it_with_any_proposal_and_the_last_word_counts(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=50_000)
    proposed(tx, opened, seller, 100_000, accepts_at=Decimal("0.50"))
    far = proposed(tx, deals.opened(tx, buyer, seller, price=1), seller, 100_000, accepts_at=Decimal("0.95"))
    proposed(tx, far, buyer, 94_000)
    proposed(tx, far, seller, 100_000, accepts_at=NEAR)

    first, second = proposed(tx, opened, buyer, 50_000), proposed(tx, far, buyer, 90_000)

    assert [(one.state, one.standing_did) for one in (first, second)] == [(NegotiationState.ACCEPTED, seller)] * 2


def test_a_later_proposal_without_a_word_keeps_the_earlier_word(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=10_000, accepts_at=NEAR)
    proposed(tx, opened, seller, 100_000)
    proposed(tx, opened, buyer, 90_000)

    assert proposed(tx, opened, seller, 95_000).state is NegotiationState.ACCEPTED


def test_ones_own_standing_acceptance_does_not_take_ones_own_proposal(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=90_000)

    answer = proposed(tx, opened, seller, 90_000, accepts_at=Decimal("0.50"))

    assert (answer.state, answer.turn_did) == (NegotiationState.PROPOSED, buyer)


@pytest.mark.parametrize(
    "terms",
    [
        Terms(price=90_000, custom={"penalty": 1_000_000}),
        Terms(price=90_000, delivery_s=3600, quality=Decimal("0.9")),
        Terms(price=90_000, quality=Decimal("0.9"), split=Split()),
        Terms(price=90_000, delivery_s=3600, quality=Decimal("0.9"), split=Split(), custom={"x": 1}),
        Terms(price=90_000),
    ],
)
def test_what_convergence_does_not_measure_is_never_accepted_unasked(tx, buyer_and_seller, terms):
    buyer, seller = buyer_and_seller
    stated = Terms(price=90_000, delivery_s=3600, quality=Decimal("0.9"), split=Split())
    opened = deals.opened(tx, buyer, seller, terms=stated, accepts_at=NEAR)

    answer = commands.propose(tx, opened.id, by=seller, terms=terms)

    assert answer.convergence_score == 1
    assert (answer.state, answer.standing_did) == (NegotiationState.PROPOSED, None)


def test_an_acceptance_that_the_payers_account_cannot_bear_leaves_the_proposal_and_says_why(tx):
    buyer, seller = deals.pair(tx, units=95_000)
    opened = deals.opened(tx, buyer, seller, price=90_000, accepts_at=NEAR)

    answer = proposed(tx, opened, seller, 96_000)

    assert (answer.state, answer.round) == (NegotiationState.PROPOSED, 2)
    assert (answer.standing_did, answer.not_accepted) == (buyer, "insufficient_funds")
    assert books.account_of(tx, buyer).reserved == 0
    assert queries.intent_of(tx, opened.intent_id).status == "open", "nothing of the acceptance stayed"
    assert proposed(tx, opened, buyer, 80_000).not_accepted is None, "the reason goes with its proposal"


def test_no_standing_acceptance_goes_above_the_budget(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=90_000, budget=95_000, accepts_at=Decimal("0.50"))

    answer = proposed(tx, opened, seller, 95_001)

    assert (answer.state, answer.not_accepted) == (NegotiationState.PROPOSED, "price_above_budget")
    assert books.account_of(tx, buyer).reserved == 0
    proposed(tx, opened, buyer, 90_000)
    assert proposed(tx, opened, seller, 95_000).state is NegotiationState.ACCEPTED


def test_a_denial_of_the_gate_leaves_the_proposal_and_its_evidence(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=90_000, accepts_at=NEAR)
    registry.retire_agent(tx, seller, tx.at)
    before = denials(tx, opened)

    answer = proposed(tx, opened, seller, 90_000)

    assert (answer.state, answer.not_accepted) == (NegotiationState.PROPOSED, "hire_denied")
    assert denials(tx, opened) == before + 1


def denials(tx, negotiation):
    """How often the gate has said no to this negotiation."""
    return tx.connection.execute(
        "SELECT count(*) FROM governance.decisions WHERE subject = %s AND outcome = 'DENY'",
        [f"negotiation:{negotiation.id}"],
    ).fetchone()[0]


def test_the_sealed_deal_names_the_decision_of_its_own_acceptance(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=90_000, accepts_at=NEAR)

    deal = proposed(tx, opened, seller, 95_000)

    [(decision,)] = tx.connection.execute(
        "SELECT accept_decision_id FROM negotiation.negotiations WHERE id = %s", [deal.id]
    ).fetchall()
    assert decision != opened.decision_id
    assert governance.decision_of(tx, decision).outcome == "ALLOW"


@pytest.mark.parametrize("number", ["0.49", "0", "-1", "1.01", "1.001"])
def test_it_is_said_as_a_convergence_of_a_half_to_one(tx, buyer_and_seller, number):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller)

    with pytest.raises(StandingAcceptanceImpossible), tx.savepoint():
        deals.opened(tx, buyer, seller, accepts_at=Decimal(number))
    with pytest.raises(StandingAcceptanceImpossible), tx.savepoint():
        proposed(tx, opened, seller, 1, accepts_at=Decimal(number))


def test_rounding_never_lowers_what_a_party_said(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller

    opened = deals.opened(tx, buyer, seller, price=90_000, accepts_at=Decimal("0.9001"))

    assert queries.accepts_at(tx, opened.id, of=buyer) == Decimal("0.91")
    assert proposed(tx, opened, seller, 100_000).state is NegotiationState.PROPOSED


def test_each_party_reads_its_own_number_alone(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, price=1_000, accepts_at=NEAR)
    answer = proposed(tx, opened, seller, 100_000, accepts_at=Decimal("0.75"))

    assert queries.accepts_at(tx, opened.id, of=buyer) == NEAR
    assert queries.accepts_at(tx, opened.id, of=seller) == Decimal("0.75")
    assert queries.accepts_at(tx, opened.id, of=deals.rich_agent(tx, "Stranger")) is None
    assert not {"initiator_accepts_at", "responder_accepts_at"} & set(answer.__slots__)
