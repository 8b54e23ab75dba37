"""Negotiations for a person to read: one as a page, many as a list, and one line for each thing that happens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hansa.client import LiveEvent
from hansa.entry.arguments import span_text, split_text
from hansa.kernel.money import decimal_text

Json = dict[str, Any]
"""A JSON document of the API."""
OPEN = frozenset({"initiated", "proposed", "counter_proposed"})


def credit(amount: int) -> str:
    return f"{decimal_text(amount, 3)} CREDIT"


def offer(terms: Json) -> str:
    """What a proposal says: price, delivery, quality, and whatever else it states."""
    parts = [credit(terms["price"])]
    if terms.get("delivery_s") is not None:
        parts.append(f"within {span_text(terms['delivery_s'])}")
    if terms.get("quality") is not None:
        parts.append(f"quality {terms['quality']}")
    if terms.get("split") is not None:
        parts.append(f"split {split_text(terms['split'])}")
    return ", ".join([*parts, *(f"{name} {value}" for name, value in (terms.get("custom") or {}).items())])


def role(negotiation: Json, did: str, me: str) -> str:
    """Who somebody is in a negotiation, as its reader calls it."""
    if did == me:
        return "you"
    return {negotiation["initiator_did"]: "payer", negotiation["responder_did"]: "worker"}.get(did, did)


def standing(negotiation: Json, me: str) -> str:
    """State and turn in one line."""
    if negotiation["state"] not in OPEN:
        return negotiation["state"]
    turn = "your turn" if negotiation["turn_did"] == me else "their turn"
    left = (datetime.fromisoformat(negotiation["expires_at"]) - datetime.now(UTC)).total_seconds()
    return (
        f"{negotiation['state'].replace('_', ' ')}, round {negotiation['round']} of {negotiation['max_rounds']}, "
        + (f"{turn}, {span_text(left)} left" if left > 0 else "out of time")
    )


def page(detail: Json, me: str) -> Iterable[str]:
    """A negotiation with its rounds and its end."""
    negotiation = detail["negotiation"]
    settled = ", settled" if detail["paid"] else ""
    yield f"{negotiation['id']}  {standing(negotiation, me)}{settled}"
    for name, did in (("payer", negotiation["initiator_did"]), ("worker", negotiation["responder_did"])):
        yield f"  {name:<8}{did}{'  (you)' if did == me else ''}"
    for one in detail["rounds"]:
        terms = {**one, "split": {party: one[f"{party}_bps"] for party in ("agent", "broker", "validator", "pool")}}
        if one["agent_bps"] is None:
            terms["split"] = None
        yield f"  {'round ' + str(one['n']):<10}{role(negotiation, one['by_did'], me):<8}{offer(terms)}"
    if negotiation["round"] > 1:
        yield f"  the last two proposals are {Decimal(negotiation['convergence_score']):.0%} alike"
    paid = detail["paid"]
    if paid:
        yield f"  settled   {shares(paid)}"
    elif negotiation["state"] == "accepted":
        yield f"  accepted  {credit(negotiation['final_proposal']['price'])} held until the deal is settled"


def shares(paid: Json) -> str:
    named = ((party, paid[f"{party}_units"]) for party in ("agent", "broker", "validator", "pool"))
    return ", ".join(f"{'worker' if party == 'agent' else party} {credit(amount)}" for party, amount in named if amount)


def row(negotiation: Json, me: str) -> str:
    """A negotiation in a list."""
    does = "pay" if negotiation["initiator_did"] == me else "work"
    price = credit(negotiation["current_proposal"]["price"])
    return f"{negotiation['id']}  {does:<5}{price:>20}  {standing(negotiation, me)}"


def happening(event: LiveEvent, me: str) -> str:
    """One line for one event."""
    data = event.data
    parties = {"initiator_did": data.get("initiator"), "responder_did": data.get("responder")}
    tell = WORDS.get(event.name)
    who, what = tell(data) if tell else ("", as_it_is(event))
    at = datetime.fromisoformat(data["at"]).astimezone(UTC)
    return f"{at:%H:%M:%S}  {role(parties, who, me) if who else 'house':<8}{what}"


def opened(data: Json) -> tuple[str, str]:
    return data["initiator"], f"round 1: offers {credit(data['price'])}"


def proposed(data: Json) -> tuple[str, str]:
    verb = "offers" if data["by"] == data["initiator"] else "asks"
    return data["by"], f"round {data['round']}: {verb} {credit(data['price'])}"


def accepted(data: Json) -> tuple[str, str]:
    return "", f"accepted: {credit(data['price'])} held on the payer's account"


def rejected(data: Json) -> tuple[str, str]:
    return data["by"], f"rejected{': ' + data['reason'] if data['reason'] else ''}"


def expired(data: Json) -> tuple[str, str]:
    text = "nobody settled in time, the payer has the money back" if data["was_accepted"] else "nobody accepted in time"
    return "", f"expired: {text}"


def settled(data: Json) -> tuple[str, str]:
    rest = data["amount"] - data["agent_units"]
    return "", f"settled: worker {credit(data['agent_units'])}" + (f", other shares {credit(rest)}" if rest else "")


def as_it_is(event: LiveEvent) -> str:
    """An event that this version has no words for."""
    name = event.name.rpartition(".")[2].replace("_", " ")
    return f"{name}: " + ", ".join(f"{fact} {value}" for fact, value in event.data.items() if fact != "at")


WORDS = {
    "negotiation.deal_opened": opened,
    "negotiation.proposal_made": proposed,
    "negotiation.deal_accepted": accepted,
    "negotiation.deal_rejected": rejected,
    "negotiation.deal_expired": expired,
    "negotiation.deal_settled": settled,
}
"""Event -> who did it, and what it was; nobody in particular when the house did it."""
