"""Attacks on the states of a deal: who may move it, when, how often, and what two movers do at once."""

import itertools
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait

from given import deals
from given.books import account, committed, money, nothing_lost, refusal_of
from given.defects import defect
from given.racing import names, race
from hansa.kernel.errors import Refusal
from hansa.negotiation import commands, queries
from hansa.negotiation.models import NegotiationState, Terms

PAIRS = 20


def read(db, query, *args, **options):
    return committed(db, query, *args, **options)


def prepared(db, make, count=PAIRS, **options):
    """A buyer, a seller, and as many of their negotiations at one stage."""
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        return buyer, seller, [make(tx, buyer, seller, **options).id for _ in range(count)]


def settle(deal, keys, *, by):
    return lambda tx: commands.settle(tx, keys, deal, by=by)


def accept(deal, *, by, **options):
    return lambda tx: commands.accept(tx, deal, by=by, at=tx.at, **options)


def reject(deal, *, by):
    return lambda tx: commands.reject(tx, deal, by=by)


def propose(deal, price, *, by, **terms):
    return lambda tx: commands.propose(tx, deal, by=by, terms=Terms(price=price, **terms))


# ---------------------------------------------------------------------------------------------------------------
# Settling and accepting


@defect(
    "double_settle",
    "A settlement is a row, unique per deal: the second is a 409, and another deal's hold stays what it was.",
)
def test_a_second_settlement_pays_nobody_and_takes_nothing_from_another_deal(db, owner, services_keys):
    with db.transaction() as tx:
        buyer = deals.rich_agent(tx, "Buyer", units=20_000)
        sellers = [deals.rich_agent(tx, name, units=0) for name in ("First", "Second")]
        first, second = (deals.accepted(tx, buyer, seller, price=10_000).id for seller in sellers)

    committed(db, settle(first, services_keys, by=buyer))
    again = refusal_of(db, settle(first, services_keys, by=buyer))
    held_for_the_second = money(db, buyer)
    committed(db, settle(second, services_keys, by=buyer))

    assert again == (409, "already_settled")
    assert held_for_the_second == (10_000, 10_000)
    assert [money(db, seller) for seller in sellers] == [(7000, 0), (7000, 0)]
    assert money(db, buyer) == (0, 0)
    assert nothing_lost(db, owner)


@defect("concurrent_settle", "Of two simultaneous settlements one waits for the row, then finds the deal settled: 409.")
def test_of_two_settlements_at_once_one_is_paid(db, owner, services_keys):
    buyer, seller, agreed = prepared(db, deals.accepted, price=10_000)

    results = race(db, *[settle(deal, services_keys, by=buyer) for deal in agreed * 2])

    assert names(results) == {"done": PAIRS, "AlreadySettled": PAIRS}
    assert owner.execute("SELECT count(*) FROM negotiation.settlements").fetchone() == (PAIRS,)
    assert money(db, seller) == (PAIRS * 7000, 0)
    assert money(db, buyer) == (1_000_000 - PAIRS * 10_000, 0)
    assert nothing_lost(db, owner)


@defect("concurrent_accept", "Accepting locks the negotiation: one hold is made, the other accept is a 409.")
def test_of_two_accepts_at_once_one_holds_money_and_none_stays_held(db, owner, services_keys):
    buyer, seller, offers = prepared(db, deals.opened, price=10_000)

    results = race(db, *[accept(offer, by=seller) for offer in offers * 2])
    held = money(db, buyer)
    for offer in offers:
        committed(db, settle(offer, services_keys, by=buyer))

    assert names(results) == {"done": PAIRS, "NegotiationClosed": PAIRS}
    assert held == (1_000_000, PAIRS * 10_000)
    assert money(db, buyer) == (1_000_000 - PAIRS * 10_000, 0)
    assert owner.execute("SELECT count(*) FROM credits.holds").fetchone() == (PAIRS,)
    assert nothing_lost(db, owner)


@defect(
    "accept_vs_propose",
    "Price and hold come from one locked row in one transaction, and an accept names the round that it saw.",
)
def test_a_proposal_during_an_accept_never_changes_the_price_that_is_held(db, owner):
    buyer, seller, [first, second, *offers] = prepared(db, deals.opened, PAIRS + 2, price=10)

    overlapping = [
        overlap(db, accept(first, by=seller), propose(first, 900, by=seller)),
        overlap(db, propose(second, 900, by=seller), accept(second, by=seller)),
    ]
    for offer in offers:
        results = race(db, accept(offer, by=seller), propose(offer, 900, by=seller), propose(offer, 900, by=buyer))
        assert names(results)["done"] in (1, 2)  # the seller's answer, and the buyer's answer to that

    found = {offer: read(db, queries.negotiation_of, offer) for offer in (first, second, *offers)}
    sealed = [deal for deal in found.values() if deal.state is NegotiationState.ACCEPTED]
    assert overlapping == [(409, "negotiation_closed"), (409, "not_your_turn")]
    assert (found[first] in sealed, found[second] in sealed) == (True, False)
    assert all(deal.final_proposal["price"] == deal.price == read_hold(owner, deal) for deal in sealed)
    assert all(deal.hold_id is None and deal.final_proposal is None for deal in found.values() if deal not in sealed)
    assert account(db, buyer).reserved == sum(deal.price for deal in sealed)
    assert nothing_lost(db, owner)


def overlap(db, first, second):
    """Start the second in a session of its own while the first has not committed; how the second is refused."""
    with ThreadPoolExecutor(1) as pool:
        with db.transaction() as tx:
            first(tx)
            late = pool.submit(refusal_of, db, second)
            wait([late], timeout=0.2)
        return late.result()


def read_hold(owner, deal):
    [amount] = owner.execute("SELECT amount FROM credits.holds WHERE id = %s", [deal.hold_id]).fetchone()
    return amount


@defect(
    "self_accept",
    "Nobody accepts his own proposal, only the payer settles, and no party validates its own deal.",
)
def test_a_responder_cannot_agree_with_himself_at_the_others_cost(db, owner, services_keys):
    buyer, seller, [offer] = prepared(db, deals.opened, 1, price=10)

    committed(db, propose(offer, 1_000_000, by=seller))
    attack = [
        refusal_of(db, accept(offer, by=seller)),
        refusal_of(db, accept(offer, by=seller, seen_round=1)),
        refusal_of(db, lambda tx: commands.settle(tx, services_keys, offer, by=seller, validator=seller)),
        refusal_of(db, settle(offer, services_keys, by=buyer)),
    ]
    committed(db, accept(offer, by=buyer))
    late = refusal_of(db, lambda tx: commands.settle(tx, services_keys, offer, by=seller, validator=seller))
    own = refusal_of(db, lambda tx: commands.settle(tx, services_keys, offer, by=buyer, validator=seller))

    assert attack == [
        (409, "not_your_turn"),
        (409, "not_your_turn"),
        (403, "only_the_payer_settles"),
        (409, "deal_not_accepted"),
    ]
    assert (late, own) == ((403, "only_the_payer_settles"), (422, "validator_not_independent"))
    assert money(db, seller) == (0, 0)
    assert money(db, buyer) == (1_000_000, 1_000_000)
    assert nothing_lost(db, owner)


@defect(
    "reject_overwrites_accept",
    "An accepted deal is no open negotiation any more: rejecting it is a 409, and its money can be settled.",
)
def test_an_accepted_deal_cannot_be_rejected_not_even_at_the_same_moment(db, owner, services_keys):
    buyer, seller, offers = prepared(db, deals.opened, price=10_000)
    sealed, *raced = offers
    committed(db, accept(sealed, by=seller))

    late = [refusal_of(db, reject(sealed, by=party)) for party in (buyer, seller)]
    pairs = [race(db, accept(offer, by=seller), reject(offer, by=buyer)) for offer in raced]
    states = {offer: read(db, queries.negotiation_of, offer).state for offer in offers}
    agreed = [offer for offer, state in states.items() if state is NegotiationState.ACCEPTED]
    held = account(db, buyer).reserved
    for offer in agreed:
        committed(db, settle(offer, services_keys, by=buyer))

    assert late == [(409, "negotiation_closed")] * 2
    assert [names(pair) for pair in pairs] == [{"done": 1, "NegotiationClosed": 1}] * len(raced)
    assert set(states.values()) <= {NegotiationState.ACCEPTED, NegotiationState.REJECTED}
    assert sealed in agreed
    assert held == len(agreed) * 10_000
    assert money(db, buyer) == (1_000_000 - len(agreed) * 10_000, 0)
    assert nothing_lost(db, owner)


@defect("reject_after_settle", "A settled deal is closed to both parties: 409, and what was paid stays paid.")
def test_a_paid_deal_cannot_be_rejected(db, owner, services_keys):
    buyer, seller, [deal] = prepared(db, deals.accepted, 1, price=10_000)
    committed(db, settle(deal, services_keys, by=buyer))

    answers = [refusal_of(db, reject(deal, by=party)) for party in (buyer, seller)]

    assert answers == [(409, "negotiation_closed")] * 2
    assert read(db, queries.negotiation_of, deal).state is NegotiationState.ACCEPTED
    assert read(db, queries.paid_for, deal).amount == 10_000
    assert (money(db, buyer), money(db, seller)) == ((990_000, 0), (7000, 0))
    assert nothing_lost(db, owner)


@defect(
    "custom_terms_wiped",
    "A proposal is a row that nobody rewrites; accepting seals it whole, custom terms and all.",
)
def test_agreed_custom_terms_are_the_same_after_accepting_and_settling(db, owner, services_keys):
    agreed = {"format": "pdf", "pages": 12, "revisions": {"free": 2, "then": [100, 200]}, "reserved_credits": 7}
    buyer, seller, [offer] = prepared(db, deals.opened, 1, price=10_000)

    committed(db, propose(offer, 20_000, by=seller, custom=agreed))
    committed(db, accept(offer, by=buyer))
    sealed = read(db, queries.negotiation_of, offer)
    committed(db, settle(offer, services_keys, by=buyer))
    paid = read(db, queries.negotiation_of, offer)

    assert sealed.final_proposal["custom"] == sealed.current_proposal["custom"] == agreed
    assert paid.final_proposal["custom"] == paid.current_proposal["custom"] == agreed
    [document] = owner.execute("SELECT rounds FROM negotiation.negotiations WHERE id = %s", [offer]).fetchone()
    assert [one["custom"] for one in document] == [{}, agreed]
    assert [one.custom for one in read(db, queries.rounds_of, offer)] == [{}, agreed]


# ---------------------------------------------------------------------------------------------------------------
# Proposing


def outcome(db, attempt):
    try:
        return committed(db, attempt)
    except Refusal as refusal:
        return refusal


@defect("lost_update_propose", "Rounds are rows with their own numbers: as many are stored as were acknowledged.")
def test_every_proposal_that_was_acknowledged_is_stored(db):
    buyer, seller, [offer] = prepared(db, deals.opened, 1, max_rounds=20)
    prices = itertools.count(1)

    acknowledged, refused = {1: 90_000}, Counter()
    for _ in range(20):
        attempts = [propose(offer, next(prices), by=party) for party in (buyer, seller) * 4]
        for made in race(db, *attempts):
            if isinstance(made, Refusal):
                refused[made.code()] += 1
            else:
                assert made.round not in acknowledged
                acknowledged[made.round] = made.price

    stored = {one.n: one.price for one in read(db, queries.rounds_of, offer)}
    assert stored == acknowledged
    assert sorted(stored) == list(range(1, 21))
    assert set(refused) == {"not_your_turn", "rounds_used_up"}
    assert len(acknowledged) - 1 + refused.total() == 160


@defect("max_rounds_race", "The limit is checked under the lock, so no race gets past it: two left are two.")
def test_eight_proposals_at_once_use_no_more_rounds_than_are_left(db):
    buyer, seller, [offer] = prepared(db, deals.opened, 1, max_rounds=3)

    done = 0
    for price in range(1, 6):
        done += names(race(db, *[propose(offer, price, by=party) for party in (buyer, seller) * 4]))["done"]

    assert done == 2
    assert [one.n for one in read(db, queries.rounds_of, offer)] == [1, 2, 3]
    assert refusal_of(db, propose(offer, 9, by=seller)) == (409, "rounds_used_up")
    assert committed(db, accept(offer, by=seller)).state is NegotiationState.ACCEPTED


@defect("outsider_propose", "Whoever is no party may neither propose, accept, reject, settle nor read: 403.")
def test_a_third_agent_moves_nothing_in_a_negotiation_of_two(db, owner, services_keys):
    _, seller, [offer] = prepared(db, deals.opened, 1)
    stranger = committed(db, deals.rich_agent, "Stranger")

    answers = {
        refusal_of(db, propose(offer, 1, by=stranger)),
        refusal_of(db, accept(offer, by=stranger)),
        refusal_of(db, reject(offer, by=stranger)),
        refusal_of(db, queries.negotiation_of, offer, seen_by=stranger),
    }
    untouched = read(db, queries.negotiation_of, offer)
    committed(db, accept(offer, by=seller))
    settled = refusal_of(db, settle(offer, services_keys, by=stranger))

    assert answers == {(403, "not_a_participant")}
    assert settled == (403, "only_the_payer_settles")
    assert (untouched.round, untouched.state) == (1, NegotiationState.INITIATED)
    assert money(db, stranger) == (1_000_000, 0)
    assert nothing_lost(db, owner)


@defect("same_party_turns", "The parties take turns: a second proposal of the same party is a 409.")
def test_a_party_does_not_propose_twice_in_a_row(db):
    buyer, seller, [offer] = prepared(db, deals.opened, 1)

    first = refusal_of(db, propose(offer, 1, by=buyer))
    committed(db, propose(offer, 95_000, by=seller))
    second = [refusal_of(db, propose(offer, 900_000, by=seller)) for _ in range(3)]
    committed(db, propose(offer, 91_000, by=buyer))

    assert [first, *second] == [(409, "not_your_turn")] * 4
    assert [(one.by_did, one.price) for one in read(db, queries.rounds_of, offer)] == [
        (buyer, 90_000),
        (seller, 95_000),
        (buyer, 91_000),
    ]


@defect("max_rounds_1", "The opening offer is the one round, and it can be accepted and settled; 0 and 21 are a 422.")
def test_a_negotiation_of_one_round_ends_in_a_deal(db, owner, services_keys):
    buyer, seller, [offer] = prepared(db, deals.opened, 1, price=10_000, max_rounds=1)

    impossible = {refusal_of(db, deals.opened, buyer, seller, max_rounds=rounds) for rounds in (0, -1, 21)}
    answer = refusal_of(db, propose(offer, 9000, by=seller))
    committed(db, accept(offer, by=seller))
    committed(db, settle(offer, services_keys, by=buyer))

    assert impossible == {(422, "round_limit_impossible")}
    assert answer == (409, "rounds_used_up")
    assert money(db, seller) == (7000, 0)
    assert nothing_lost(db, owner)


BAD_TERMS = [
    '{"price": 5, "quality": 5}',
    '{"price": 5, "quality": -0.01}',
    '{"price": 5, "quality": "NaN"}',
    '{"price": 5, "quality": "Infinity"}',
    '{"price": 5, "quality": "good"}',
    '{"price": 5, "quality": 1e400}',
    '{"price": 5, "delivery_s": 0}',
    '{"price": 5, "delivery_s": -60}',
    '{"price": 5, "delivery_s": 31536001}',
    '{"price": 5, "delivery_s": 99999999999999999999}',
    '{"price": 5, "delivery_s": 1.5}',
    '{"price": 5, "split": {"agent": 10001, "broker": 0, "validator": 0, "pool": -1}}',
    '{"price": 5, "split": {"agent": 0.7}}',
    '{"price": 5, "split": [7000, 1000, 1000, 1000]}',
    '{"price": 5, "custom": []}',
    '{"price": 5, "custom": {"x": "' + "x" * 10_000 + '"}}',
    '{"price": 0}',
    '{"price": 1000000000000001}',
    '{"price": 9223372036854775808}',
    '{"price": "5"}',
    '{"price": 5.5}',
    '{"price": null}',
    "{}",
    "null",
]


@defect(
    "bad_terms", "Terms that cannot be are a 422 with a code, at the opening and in every round; nothing is written."
)
def test_impossible_terms_are_refused_by_name_over_http(agent, written):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("work", budget=10**15)["id"]
    offer = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5})["id"]
    opening = {"intent": intent, "responder": seller.key.did}
    before = written()

    def post(who, path, body):
        answer = who.http.post(path, content=body, headers={"content-type": "application/json"})
        return answer.status_code, "code" in answer.json()

    answers = {
        terms: (
            post(buyer, "/api/negotiations", json.dumps(opening)[:-1] + f', "terms": {terms}}}'),
            post(seller, f"/api/negotiations/{offer}/propose", terms),
        )
        for terms in BAD_TERMS
    }

    assert {terms: answer for terms, answer in answers.items() if answer != ((422, True),) * 2} == {}
    assert written() == before
    assert seller.propose(offer, {"price": 6, "quality": 0.5})["round"] == 2


@defect(
    "thread_participants_growth",
    "What two agents say to each other is a negotiation: two parties however long it goes on, a round counted for each"
    " proposal, and an offer to nobody is a 422.",
)
def test_a_long_haggle_between_two_stays_between_two(api, agent, owner):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("work", budget=1000)["id"]
    offer = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 1}, max_rounds=20)["id"]

    counted = [
        party.propose(offer, {"price": price})["round"]
        for price, party in zip(range(2, 21), itertools.cycle((seller, buyer)), strict=False)
    ]
    seen = [party.get("/api/negotiations")["items"] for party in (buyer, seller)]
    nobody = [
        buyer.http.post("/api/negotiations", json={"intent": intent, "terms": {"price": 1}, **to}).status_code
        for to in ({}, {"responder": None}, {"responder": ""})
    ]

    assert counted == list(range(2, 21))
    assert [[(one["id"], one["round"]) for one in items] for items in seen] == [[(offer, 20)]] * 2
    assert owner.execute("SELECT count(*), count(DISTINCT by_did) FROM negotiation.rounds").fetchone() == (20, 2)
    assert nobody == [422, 422, 422]
