"""One timeline of a deal, put together from what every context knows of it; for its parties."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from hansa.credits import queries as books
from hansa.governance import queries as governance
from hansa.infra.db import JsonObject, Tx
from hansa.infra.web import SignedCall
from hansa.kernel.ids import NegotiationId
from hansa.kernel.money import Asset, Credits, Money
from hansa.market import queries as market
from hansa.negotiation import queries as negotiation
from hansa.negotiation.models import Negotiation, NegotiationState, Paid, Round
from hansa.proof import queries as proof

router = APIRouter(tags=["deals"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened in a deal."""

    at: datetime
    what: str
    """offer, gate, accepted, rejected, hold, task, delivered, settled, work record or review."""
    who: str
    """DID of whoever did it; empty: the house."""
    text: str
    """The same for a person to read."""
    facts: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A deal from the first offer to the last review."""

    negotiation: Negotiation
    moments: list[Moment]
    """In the order in which they happened."""


@router.get("/api/deals/{deal}", response_model=Timeline)
def one_deal(deal: NegotiationId, call: SignedCall) -> Response:
    """The timeline of a deal, for its parties."""

    def read(tx: Tx) -> Timeline:
        found = negotiation.negotiation_of(tx, deal, seen_by=call.did)
        return Timeline(negotiation=found, moments=sorted(moments(tx, found), key=lambda moment: moment.at))

    return call.query(read)


def moments(tx: Tx, deal: Negotiation) -> Iterable[Moment]:
    """Everything that happened, context by context."""
    yield from (offer(one) for one in negotiation.rounds_of(tx, deal.id))
    yield from gate_and_hold(tx, deal)
    if deal.state is NegotiationState.REJECTED:
        yield rejected(deal)
    yield from work(tx, deal)
    paid = negotiation.paid_for(tx, deal.id)
    if paid:
        yield settled(paid)
    for log in proof.work_of_subject(tx, "negotiation", str(deal.id)):
        text = f"work recorded, {log.disclosure_level}"
        yield Moment(at=log.created_at, what="work record", who="", text=text, facts={"log": str(log.id)})


def offer(one: Round) -> Moment:
    price = credit(one.price)
    stated = [price]
    stated += [f"delivery within {one.delivery_s} s"] if one.delivery_s is not None else []
    stated += [f"quality {one.quality}"] if one.quality is not None else []
    text = f"round {one.n}: {', '.join(stated)}"
    facts: JsonObject = {"round": one.n, "price": one.price, "convergence": str(one.convergence_delta)}
    return Moment(at=one.proposed_at, what="offer", who=one.by_did, text=text, facts=facts)


def gate_and_hold(tx: Tx, deal: Negotiation) -> Iterable[Moment]:
    decision = governance.decision_of(tx, deal.decision_id)
    facts: JsonObject = {"decision": str(decision.id), "reasons": decision.reasons}
    yield Moment(at=decision.decided_at, what="gate", who="", text=f"hire gate: {decision.outcome}", facts=facts)
    if deal.hold_id and deal.accepted_at:
        hold = books.hold_of(tx, deal.hold_id)
        yield Moment(
            at=hold.created_at,
            what="hold",
            who=deal.initiator_did,
            text=f"{credit(hold.amount)} held, now {hold.state}",
            facts={"hold": str(hold.id), "amount": hold.amount, "state": hold.state},
        )
        how = "accepted" if deal.standing_did is None else "accepted unasked, as said before,"
        text = f"{how} at {credit(deal.price)}"
        yield Moment(at=deal.accepted_at, what="accepted", who=deal.turn_did, text=text, facts={"price": deal.price})


def rejected(deal: Negotiation) -> Moment:
    text = f"rejected: {deal.reject_reason}" if deal.reject_reason else "rejected"
    return Moment(at=deal.updated_at, what="rejected", who=deal.ended_by or "", text=text, facts={})


def work(tx: Tx, deal: Negotiation) -> Iterable[Moment]:
    """The task that fulfils the deal, and what was said of it."""
    task = market.task_of_deal(tx, deal.id)
    if task is None:
        return
    facts: JsonObject = {"task": str(task.id), "status": task.status}
    yield Moment(at=task.created_at, what="task", who=deal.initiator_did, text=f"task: {task.title}", facts=facts)
    if task.delivered_at:
        yield Moment(at=task.delivered_at, what="delivered", who=deal.responder_did, text="work delivered", facts=facts)
    for review in market.reviews_of_task(tx, task.id):
        text = f"review: {review.rating} of 5" + (f", {review.title}" if review.title else "")
        facts = {"review": str(review.id), "rating": review.rating}
        yield Moment(at=review.created_at, what="review", who=deal.initiator_did, text=text, facts=facts)


def settled(paid: Paid) -> Moment:
    shares = {
        "agent": paid.agent_units,
        "broker": paid.broker_units,
        "validator": paid.validator_units,
        "pool": paid.pool_units,
    }
    text = "settled: " + ", ".join(f"{who} {credit(units)}" for who, units in shares.items() if units)
    facts: JsonObject = {"movement": str(paid.movement_id), "amount": paid.amount, "shares": shares}
    return Moment(at=paid.settled_at, what="settled", who="", text=text, facts=facts)


def credit(units: int) -> str:
    return str(Money(units=Credits(units), asset=Asset.CREDIT))


def print_timeline(timeline: dict[str, Any]) -> None:  # Any: the JSON document of the route above
    """The timeline for a person: one line per moment, with the time since the one before."""
    deal = timeline["negotiation"]
    print(f"deal {deal['id']}  {deal['state']}")
    print(f"  pays   {deal['initiator_did']}\n  works  {deal['responder_did']}\n")
    before: datetime | None = None
    for moment in timeline["moments"]:
        at = datetime.fromisoformat(moment["at"])
        later = f"+{(at - before).total_seconds():.3f} s" if before else f"{at:%Y-%m-%d %H:%M:%S}"
        who = {deal["initiator_did"]: "payer", deal["responder_did"]: "worker"}.get(moment["who"], "house")
        print(f"{later:>21}  {who:<7}{moment['what']:<13}{moment['text']}")
        before = at
