"""Steps of two parties: intents, offers, answers, acceptances, settlements, and the time that ends them."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from hansa.credits.events import HoldLapsed
from hansa.infra.db import Query, Tx
from hansa.negotiation import commands
from hansa.negotiation.commands import Fulfilment
from hansa.negotiation.models import PRICE_MAX, Negotiation, Split, Terms
from properties.world import Deal, Hand, Note, Step, World, kind

LONG_AGO = "clock_timestamp() - interval '1 hour'"
SPLITS = (
    Split(),
    Split(agent=9000, broker=0, validator=0, pool=1000),
    Split(agent=3333, broker=3333, validator=3333, pool=1),
    Split(agent=0, broker=0, validator=5000, pool=5000),
)


def terms(hand: Hand, near: int | None = None) -> Terms:
    """An offer in which everything but the price may be missing; one in twenty-five is impossible."""
    luck = hand.luck
    price = hand.units() if near is None or hand.chance(0.4) else max(1, near + luck.randint(-near // 5, near // 5))
    offer: dict[str, Any] = {"price": price}
    if hand.chance(0.5):
        offer["delivery_s"] = luck.choice((60, 3_600, 7_000, 86_400))
    if hand.chance(0.4):
        offer["quality"] = Decimal(luck.randint(0, 100)) / 100
    if hand.chance(0.3):
        offer["split"] = luck.choice(SPLITS)
    if hand.chance(0.2):
        offer["custom"] = {"colour": luck.choice(("red", "blue"))}
    if hand.chance(0.04):
        offer |= luck.choice(
            (
                {"price": 0},
                {"price": PRICE_MAX + 1},
                {"delivery_s": 0},
                {"quality": Decimal("1.01")},
                {"split": Split(agent=7001)},
                {"split": Split(agent=-1000, broker=9000)},
            )
        )
    return Terms(**offer)


def accepts_at(hand: Hand) -> Decimal | None:
    if hand.chance(0.85):
        return None
    return Decimal(hand.luck.choice(("0.50", "0.80", "0.97", "1", "0.49")))


def heard(world: World, note: Note) -> None:
    found: Negotiation = note.result
    world.deals[str(found.id)] = known(found)


def known(found: Negotiation) -> Deal:
    return Deal(
        id=found.id,
        intent=found.intent_id,
        initiator=found.initiator_did,
        responder=found.responder_did,
        state=found.state.value,
        round=found.round,
        turn=found.turn_did,
        hold=found.hold_id,
    )


def heard_intent(world: World, note: Note) -> None:
    world.intents.append((note.result.id, note.result.requester_did, note.result.budget))


@kind(4, heard_intent)
def intend(hand: Hand) -> Step:
    by, budget = hand.agent(), 0 if hand.chance(0.03) else hand.luck.choice((2_000, 20_000, 60_000, 200_000))
    return Step(
        "intend",
        lambda tx: commands.intend(tx, by, description="something to do", budget=budget),
        by=by,
        facts={"budget": budget},
    )


@kind(16, heard)
def initiate(hand: Hand) -> Step | None:
    if (intent := hand.intent()) is None:
        return None
    ident, owner, _ = intent
    by = hand.agent() if hand.chance(0.03) else owner
    responder, offer, accept_at = hand.agent(), terms(hand), accepts_at(hand)
    max_rounds = hand.luck.choice((1, 2, 3, 5, 10, 20, 21)) if hand.chance(0.5) else 10
    round_s = hand.luck.choice((None, None, None, 60, 3_600, 4))
    return Step(
        "initiate",
        lambda tx: commands.initiate(
            tx,
            by=by,
            responder=responder,
            intent=ident,
            terms=offer,
            max_rounds=max_rounds,
            round_s=round_s,
            accepts_at=accept_at,
            at=tx.at,
        ),
        by=by,
        facts={"terms": offer, "intent": ident},
    )


def answering(hand: Hand, *, own_turn: float) -> tuple[Deal, str] | None:
    """A negotiation and who acts in it: mostly whose turn it is said to be, sometimes the other, rarely an outsider."""
    deal = hand.deal(lambda deal: deal.open)
    if deal is None:
        return None
    if hand.chance(0.03):
        return deal, hand.agent()
    return deal, deal.turn if hand.chance(own_turn) else hand.luck.choice(deal.parties)


@kind(30, heard)
def propose(hand: Hand) -> Step | None:
    if (found := answering(hand, own_turn=0.8)) is None:
        return None
    (deal, by), offer, accept_at = found, terms(hand, near=20_000), accepts_at(hand)
    return Step(
        "propose",
        lambda tx: commands.propose(tx, deal.id, by=by, terms=offer, accepts_at=accept_at),
        by=by,
        about=str(deal.id),
        facts={"terms": offer},
    )


@kind(14, heard)
def accept(hand: Hand) -> Step | None:
    if (found := answering(hand, own_turn=0.85)) is None:
        return None
    deal, by = found
    seen = hand.luck.choice((None, deal.round, deal.round, max(1, deal.round - 1)))
    return Step(
        "accept",
        lambda tx: commands.accept(tx, deal.id, by=by, seen_round=seen, at=tx.at),
        by=by,
        about=str(deal.id),
        facts={"seen": seen},
    )


@kind(3, heard)
def reject(hand: Hand) -> Step | None:
    if (found := answering(hand, own_turn=0.5)) is None:
        return None
    deal, by = found
    reason = "x" * hand.luck.choice((0, 5, 1001))
    return Step("reject", lambda tx: commands.reject(tx, deal.id, by=by, reason=reason), by=by, about=str(deal.id))


def heard_settled(world: World, note: Note) -> None:
    world.deals[note.step.about].state = "settled"


@kind(14, heard_settled)
def settle(hand: Hand) -> Step | None:
    deal = hand.deal(lambda deal: deal.state in {"accepted", "bound"})
    if deal is None:
        return None
    by = deal.initiator if hand.chance(0.9) else hand.agent()
    broker = hand.agent() if hand.chance(0.3) else None
    validator = hand.agent() if hand.chance(0.3) else None
    fulfilment = (
        Fulfilment(kind="thing", id=str(deal.id)) if deal.state == "bound" or hand.chance(0.05) else Fulfilment()
    )
    return Step(
        "settle",
        lambda tx: commands.settle(
            tx, hand.world.keys, deal.id, by=by, fulfilment=fulfilment, broker=broker, validator=validator
        ),
        by=by,
        about=str(deal.id),
        facts={"broker": broker, "validator": validator},
    )


def heard_bound(world: World, note: Note) -> None:
    world.deals[note.step.about].state = "bound"


@kind(3, heard_bound)
def bind(hand: Hand) -> Step | None:
    deal = hand.deal(lambda deal: deal.state in {"accepted", "bound"})
    if deal is None:
        return None
    return Step(
        "bind",
        lambda tx: commands.bind(tx, deal.id, kind="thing", ident=str(deal.id)),
        about=str(deal.id),
        role="system",
    )


AGE_DEAL = Query(
    str, f"UPDATE negotiation.negotiations SET expires_at = {LONG_AGO} WHERE id = %(id)s RETURNING id::text"
)
AGE_ROUND = Query(
    str,
    f"UPDATE negotiation.negotiations SET round_due_at = {LONG_AGO} WHERE id = %(id)s AND round_s IS NOT NULL RETURNING id::text",
)
AGE_HOLD = Query(
    str, f"UPDATE credits.holds SET expires_at = {LONG_AGO} WHERE id = %(id)s AND state = 'held' RETURNING id::text"
)


@kind(2)
def age_deal(hand: Hand) -> Step | None:
    """Only the owner of the tables can move a deadline."""
    if (deal := hand.deal(lambda deal: deal.open)) is None:
        return None
    query = hand.luck.choice((AGE_DEAL, AGE_ROUND))
    return Step("age_deal", lambda tx: tx.all(query, id=deal.id), role="owner", about=str(deal.id))


@kind(3)
def age_hold(hand: Hand) -> Step | None:
    deal = hand.deal(lambda deal: deal.state in {"accepted", "bound"})
    manual = hand.world.holds[-HOLDS:]
    hold = hand.luck.choice(manual)[0] if manual and hand.chance(0.4) else deal and deal.hold
    if hold is None:
        return None
    return Step("age_hold", lambda tx: tx.all(AGE_HOLD, id=hold), role="owner", about=str(hold))


HOLDS = 6


@kind(2)
def expire_stale(hand: Hand) -> Step:
    limit = hand.luck.choice((1, 3, 100))
    return Step("expire_stale", lambda tx: commands.expire_stale(tx, limit=limit), role="system")


LAPSED = Query(
    dict,
    """
    SELECT jsonb_build_object('hold', id, 'account', account, 'amount', amount, 'purpose_kind', purpose_kind,
                              'purpose_id', purpose_id)
      FROM credits.holds
     WHERE state IN ('expired', 'released', 'captured')
       AND purpose_kind = 'negotiation'
     ORDER BY ended_at DESC
     LIMIT 8
    """,
)


@kind(2)
def lapse(hand: Hand) -> Step:
    """News of holds that ended may come late and several times, and even of those that were paid out."""

    def act(tx: Tx) -> None:
        for hold in tx.all(LAPSED):
            commands.lapse(tx, HoldLapsed(**hold))

    return Step("lapse", act, role="system")


def stated(offer: Terms) -> dict[str, Any]:
    """What an offer says, as a row of rounds says it."""
    split = asdict(offer.split) if offer.split else dict.fromkeys(("agent", "broker", "validator", "pool"))
    return {
        "price": offer.price,
        "delivery_s": offer.delivery_s,
        "quality": offer.quality,
        "split": split,
        "custom": offer.custom,
    }
