"""Negotiating over HTTP: each refusal has its status and its name, and each party sees what concerns it."""

import uuid
from dataclasses import dataclass

import pytest

from hansa.client import Hansa, Refused

NOWHERE = str(uuid.UUID(int=1))
PAST = "UPDATE negotiation.negotiations SET {} = clock_timestamp() - interval '1 s' WHERE id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Three agents, and negotiations of the first two in the states that a refusal needs."""

    buyer: Hansa
    seller: Hansa
    stranger: Hansa
    intent: str
    """Budget 90 000."""
    opened: str
    """The seller is to answer an offer of 70 000."""
    dear: str
    """An offer of 2 000 000, more than the buyer has."""
    last: str
    """Its only round is used."""
    closed: str
    late: str
    slow: str
    """The time of its round is over."""

    def offer(self, *, by=None, to=None, intent=None, price=70_000, **options):
        responder = (to or self.seller).key.did
        terms = {"price": price, **options.pop("terms", {})}
        return (by or self.buyer).negotiate(responder, intent=intent or self.intent, terms=terms, **options)


@pytest.fixture
def scene(agent, owner):
    buyer, seller, stranger = agent("Buyer"), agent("Seller"), agent("Stranger")
    modest, lavish = buyer.intend("x", budget=90_000)["id"], buyer.intend("y", budget=10**10)["id"]

    def offer(intent=modest, price=70_000, **options):
        return buyer.negotiate(seller.key.did, intent=intent, terms={"price": price}, **options)["id"]

    made = Scene(
        buyer=buyer,
        seller=seller,
        stranger=stranger,
        intent=modest,
        opened=offer(),
        dear=offer(lavish, 2_000_000),
        last=offer(max_rounds=1),
        closed=offer(),
        late=offer(),
        slow=offer(round_s=60),
    )
    buyer.post(f"/api/negotiations/{made.closed}/reject")
    owner.execute(PAST.format("expires_at"), [made.late])
    owner.execute(PAST.format("round_due_at"), [made.slow])
    return made


REFUSALS = [
    (402, "insufficient_funds", lambda s: s.seller.accept(s.dear)),
    (403, "intent_foreign", lambda s: s.offer(by=s.seller, to=s.buyer)),
    (403, "not_a_participant", lambda s: s.stranger.accept(s.opened)),
    (403, "not_a_participant", lambda s: s.stranger.propose(s.opened, {"price": 1})),
    (404, "negotiation_unknown", lambda s: s.seller.accept(NOWHERE)),
    (404, "negotiation_unknown", lambda s: s.seller.propose(NOWHERE, {"price": 1})),
    (404, "negotiation_unknown", lambda s: s.seller.post(f"/api/negotiations/{NOWHERE}/reject")),
    (404, "intent_unknown", lambda s: s.offer(intent=NOWHERE)),
    (409, "not_your_turn", lambda s: s.buyer.accept(s.opened)),
    (409, "not_your_turn", lambda s: s.buyer.propose(s.opened, {"price": 1})),
    (409, "proposal_changed", lambda s: s.seller.accept(s.opened, seen_round=7)),
    (409, "rounds_used_up", lambda s: s.seller.propose(s.last, {"price": 1})),
    (409, "negotiation_closed", lambda s: s.seller.accept(s.closed)),
    (409, "negotiation_closed", lambda s: s.seller.propose(s.closed, {"price": 1})),
    (409, "negotiation_closed", lambda s: s.seller.post(f"/api/negotiations/{s.closed}/reject")),
    (409, "deal_not_accepted", lambda s: s.buyer.settle(s.opened)),
    (410, "negotiation_expired", lambda s: s.seller.accept(s.late)),
    (410, "negotiation_expired", lambda s: s.seller.propose(s.late, {"price": 1})),
    (410, "negotiation_expired", lambda s: s.buyer.post(f"/api/negotiations/{s.late}/reject")),
    (410, "round_expired", lambda s: s.seller.accept(s.slow)),
    (410, "round_expired", lambda s: s.seller.propose(s.slow, {"price": 1})),
    (410, "round_expired", lambda s: s.buyer.post(f"/api/negotiations/{s.slow}/reject")),
    (422, "price_above_budget", lambda s: s.offer(price=90_001)),
    (422, "self_hire", lambda s: s.offer(to=s.buyer)),
    (422, "terms_impossible", lambda s: s.offer(price=0)),
    (422, "terms_impossible", lambda s: s.seller.propose(s.opened, {"price": 0})),
    (422, "terms_impossible", lambda s: s.seller.propose(s.opened, {"price": 1, "delivery_s": 0})),
    (422, "terms_impossible", lambda s: s.seller.propose(s.opened, {"price": 1, "quality": "1.01"})),
    (422, "terms_impossible", lambda s: s.seller.propose(s.opened, {"price": 1, "split": {"agent": 1}})),
    (422, "request_malformed", lambda s: s.seller.propose(s.opened, {"delivery_s": 60})),
    (422, "request_malformed", lambda s: s.seller.propose(s.opened, {"price": 1, "split": {"agent": None}})),
    (422, "request_malformed", lambda s: s.offer(round_s="60")),
    (422, "request_malformed", lambda s: s.offer(accepts_at="NaN")),
    (422, "request_malformed", lambda s: s.buyer.get("/api/negotiations", state="asleep")),
    (422, "round_limit_impossible", lambda s: s.offer(max_rounds=21)),
    (422, "round_time_impossible", lambda s: s.offer(round_s=4)),
    (422, "number_out_of_range", lambda s: s.offer(round_s=10**12)),
    (422, "standing_acceptance_impossible", lambda s: s.offer(accepts_at="0.49")),
    (422, "standing_acceptance_impossible", lambda s: s.seller.propose(s.opened, {"price": 1, "accepts_at": 1.01})),
    (422, "rejection_too_long", lambda s: s.buyer.post(f"/api/negotiations/{s.opened}/reject", {"reason": "x" * 1001})),
]


def test_every_refusal_of_negotiating_has_its_status_and_its_name(scene, written):
    before = written()

    found = [refused(act, scene) for _, _, act in REFUSALS]

    assert found == [(status, code) for status, code, _ in REFUSALS]
    assert written() == before


def refused(act, scene):
    with pytest.raises(Refused) as caught:
        act(scene)
    return caught.value.status, caught.value.code


def test_an_acceptance_above_the_budget_says_what_is_committed(scene):
    deal = scene.offer(price=50_000)["id"]
    scene.seller.accept(deal)
    other = scene.seller.propose(scene.opened, {"price": 40_001})["id"]

    with pytest.raises(Refused) as caught:
        scene.buyer.accept(other)

    problem = caught.value.problem
    assert (problem["status"], problem["code"]) == (422, "price_above_budget")
    assert (problem["budget"], problem["committed"], problem["price"]) == (90_000, 50_000, 40_001)


def test_what_was_left_out_stays_out_from_offer_to_timeline(scene):
    shown = scene.buyer.get(f"/api/negotiations/{scene.opened}")
    timeline = scene.buyer.get(f"/api/deals/{scene.opened}")

    assert shown["negotiation"]["current_proposal"].keys() == {"price", "round", "by", "custom"}
    assert shown["rounds"][0]["delivery_s"] is None
    assert [moment["text"] for moment in timeline["moments"] if moment["what"] == "offer"] == ["round 1: 70.000 CREDIT"]


def test_a_standing_acceptance_works_over_http_and_is_told_its_own_party_alone(scene):
    opened = scene.offer(price=50_000, accepts_at="0.90", round_s=60)

    seen = [who.get(f"/api/negotiations/{opened['id']}")["accepts_at"] for who in (scene.buyer, scene.seller)]
    deal = scene.seller.propose(opened["id"], {"price": 52_000})

    assert seen == ["0.90", None]
    assert (deal["state"], deal["standing_did"]) == ("accepted", scene.buyer.key.did)
    assert scene.buyer.account()["reserved"] == 52_000
    assert opened["round_due_at"] < opened["expires_at"]


def test_a_standing_acceptance_that_cannot_be_kept_says_why(scene):
    opened = scene.offer(price=85_000, accepts_at="0.90")

    answer = scene.seller.propose(opened["id"], {"price": 91_000})

    assert (answer["state"], answer["not_accepted"]) == ("proposed", "price_above_budget")
    assert scene.buyer.account()["reserved"] == 0


def test_a_rejection_says_by_whom_and_why_in_the_list_and_in_the_timeline(scene):
    scene.seller.post(f"/api/negotiations/{scene.opened}/reject", {"reason": "too little"})

    [found] = [
        one for one in scene.buyer.get("/api/negotiations", state="rejected")["items"] if one["id"] == scene.opened
    ]
    moments = scene.buyer.get(f"/api/deals/{scene.opened}")["moments"]

    assert (found["ended_by"], found["reject_reason"]) == (scene.seller.key.did, "too little")
    assert (moments[-1]["what"], moments[-1]["text"]) == ("rejected", "rejected: too little")


def test_active_negotiations_are_those_in_any_open_state(scene):
    scene.seller.propose(scene.opened, {"price": 1})

    active = scene.buyer.get("/api/negotiations", state="active")["items"]

    assert {one["id"] for one in active} == {scene.opened, scene.dear, scene.last, scene.late, scene.slow}
    assert {one["state"] for one in active} == {"initiated", "proposed"}
