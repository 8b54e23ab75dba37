"""Deals: an intent, the haggle about it in rounds, and the settlement of what was agreed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from hansa.credits.events import HoldLapsed
from hansa.governance import commands as governance
from hansa.governance.models import Decision
from hansa.governance.models import Outcome as Verdict
from hansa.identity import queries as identity
from hansa.infra.db import JsonObject, Query, Tx
from hansa.infra.outbox import publish
from hansa.infra.seal import KeyRing
from hansa.kernel.dids import Did
from hansa.kernel.errors import Denied
from hansa.kernel.ids import IntentId, NegotiationId
from hansa.kernel.money import Asset, Credits
from hansa.negotiation import queries
from hansa.negotiation.errors import IntentForeign, SelfHire, TermsImpossible
from hansa.negotiation.events import DealAccepted, DealExpired, DealOpened, DealRejected, DealSettled
from hansa.negotiation.models import PRICE_MAX, Intent, Negotiation, Paid, Settlement, Terms
from hansa.negotiation.queries import COLUMNS
from hansa.proof import commands as proof
from hansa.proof.models import Outcome

TTL_DEFAULT = timedelta(hours=1)
"""How long a negotiation stays open unless its initiator says otherwise (AINP)."""
SETTLE_WITHIN = timedelta(days=7)
"""How long the money of an accepted deal is held, beyond the promised delivery time if there is one."""

INTEND = Query(
    Intent,
    """
    INSERT INTO negotiation.intents (requester_did, description, budget, terms)
    VALUES (%(requester)s, %(description)s, %(budget)s, %(terms)s)
    RETURNING id, requester_did, description, budget, terms, status, created_at
    """,
)

OPEN = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.open(
           %(intent)s, %(initiator)s, %(responder)s, %(decision)s, %(max_rounds)s::integer, %(ttl)s,
           (NULL, 1, NULL, %(price)s, %(delivery_s)s, %(quality)s, %(agent)s, %(broker)s, %(validator)s, %(pool)s,
            %(custom)s, 0, now())::negotiation.rounds,
           %(accepts_at)s, %(round_s)s::integer)
    """,
)

ACCEPT = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.accept(%(negotiation)s, %(by)s, %(round)s::integer, %(decision)s, %(settle_within)s)
    """,
)

REJECT = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.reject(%(negotiation)s, %(by)s, %(reason)s)
    """,
)

BIND = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.bind(%(negotiation)s, %(kind)s, %(ident)s)
    """,
)

EXPIRE_STALE = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.expire_stale(%(limit)s)
    """,
)

LAPSE = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.lapse(%(negotiation)s)
    """,
)

SETTLE = Query(
    Paid,
    """
    SELECT negotiation_id, movement_id, amount, agent_units, broker_units, validator_units, pool_units, broker_did,
           validator_did, settled_at
      FROM negotiation.settle(%(negotiation)s, %(by)s, %(kind)s, %(id)s, %(broker)s, %(validator)s)
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfilment:
    """What fulfilled a deal, as its settlement needs to know it."""

    kind: str | None = None
    """What the deal is bound to, e.g. task; None: it is settled directly."""
    id: str | None = None
    delivered_at: datetime | None = None
    """When the work was delivered; None: with the settlement."""
    outcome: Decimal = Decimal(1)
    """1 accepted, 0.5 partly, 0 failed and adjudicated."""


DIRECT = Fulfilment()


def intend(tx: Tx, by: Did, *, description: str, budget: Credits, terms: JsonObject | None = None) -> Intent:
    """State what an agent wants done. Raises TermsImpossible, PartyUnknown. Source: AINP intents."""
    return tx.one(INTEND, requester=by, description=description, budget=budget, terms=terms or {})


def initiate(
    tx: Tx,
    *,
    by: Did,
    responder: Did,
    intent: IntentId,
    terms: Terms,
    max_rounds: int = 10,
    ttl: timedelta = TTL_DEFAULT,
    round_s: int | None = None,
    accepts_at: Decimal | None = None,
    at: datetime,
) -> Negotiation | Denied:
    """Open a negotiation with an offer, if the hire gate lets this pair deal.

    `round_s` gives each party that many seconds to answer; None: only `ttl` counts. `accepts_at` is a standing
    acceptance (proposals.py); None: the initiator accepts by itself alone.
    Raises SelfHire, TermsImpossible, PriceAboveBudget, RoundLimitImpossible, RoundTimeImpossible,
    StandingAcceptanceImpossible, PartyUnknown, IntentUnknown, IntentForeign. Source: AINP initiate.
    """
    if by == responder:
        raise SelfHire
    if not 0 < terms.price <= PRICE_MAX:
        # Before the gate is asked: its decision is about an amount, and this is none.
        raise TermsImpossible(f"a price is 1 to {PRICE_MAX} units")
    if queries.intent_of(tx, intent).requester_did != by:
        raise IntentForeign
    decision = hire_gate(tx, buyer=by, seller=responder, amount=terms.price, subject=f"intent:{intent}", at=at)
    if decision.outcome is Verdict.DENY:
        return denied(decision)
    negotiation = tx.one(
        OPEN,
        intent=intent,
        initiator=by,
        responder=responder,
        decision=decision.id,
        max_rounds=max_rounds,
        ttl=ttl,
        accepts_at=accepts_at,
        round_s=round_s,
        **columns(terms),
    )
    publish(tx, DealOpened(**parties(negotiation), intent=intent, price=terms.price))
    return negotiation


def accept(
    tx: Tx, negotiation: NegotiationId, *, by: Did, seen_round: int | None = None, at: datetime
) -> Negotiation | Denied:
    """Seal the proposal on the table and hold its price on the initiator's account.

    `seen_round` names the proposal that was seen: another one on the table is refused (ProposalChanged). The hire gate is
    asked again, since trust may have changed while the parties talked.
    Raises what `propose` raises, PriceAboveBudget when the intent's other deals leave too little of its budget, and
    InsufficientFunds. Source: AINP accept.
    """
    seen = queries.negotiation_of(tx, negotiation, seen_by=by)
    decision = hire_gate(
        tx,
        buyer=seen.initiator_did,
        seller=seen.responder_did,
        amount=seen.price,
        subject=f"negotiation:{negotiation}",
        at=at,
    )
    if decision.outcome is Verdict.DENY:
        return denied(decision)
    deal = tx.one(
        ACCEPT,
        negotiation=negotiation,
        by=by,
        # The gate has judged the price that was read above, so no other proposal may be sealed under its decision.
        round=seen.round if seen_round is None else seen_round,
        decision=decision.id,
        settle_within=SETTLE_WITHIN + (seen.delivery or timedelta(0)),
    )
    publish(tx, DealAccepted(**parties(deal), price=deal.price))
    return deal


def reject(tx: Tx, negotiation: NegotiationId, *, by: Did, reason: str = "") -> Negotiation:
    """End an open negotiation without a deal; the reason stays with it.

    Raises what `propose` raises, except NotYourTurn, and RejectionTooLong. Source: AINP reject.
    """
    ended = tx.one(REJECT, negotiation=negotiation, by=by, reason=reason)
    publish(tx, DealRejected(**parties(ended), by=by, reason=reason))
    return ended


def expire_stale(tx: Tx, *, limit: int = 100) -> int:
    """End open negotiations whose time, or whose round's time, is over; returns how many.

    Source: AINP expire_stale_negotiations.
    """
    expired = tx.all(EXPIRE_STALE, limit=limit)
    for negotiation in expired:
        publish(tx, DealExpired(**parties(negotiation), was_accepted=False))
    return len(expired)


def lapse(tx: Tx, hold: HoldLapsed) -> None:
    """End an accepted deal that nobody settled before its money went back."""
    for negotiation in tx.all(LAPSE, negotiation=hold.purpose_id):
        publish(tx, DealExpired(**parties(negotiation), was_accepted=True))


def bind(tx: Tx, negotiation: NegotiationId, *, kind: str, ident: str) -> Negotiation:
    """Say what fulfils a deal; from then on only that thing may settle it. Raises DealNotAccepted, DealBound."""
    return tx.one(BIND, negotiation=negotiation, kind=kind, ident=ident)


def settle(
    tx: Tx,
    keys: KeyRing,
    negotiation: NegotiationId,
    *,
    by: Did,
    fulfilment: Fulfilment = DIRECT,
    broker: Did | None = None,
    validator: Did | None = None,
) -> Settlement:
    """Pay the shares of an accepted deal from its hold and record the outcome; once.

    All of it happens in `tx`, so a paid deal without a work record cannot exist.
    Raises NegotiationUnknown, OnlyThePayerSettles, DealNotAccepted, AlreadySettled, SettledElsewhere, HoldEnded,
    HoldExpired, PartyUnknown (the validator), ValidatorNotIndependent.
    Source: AINP settle; Proof-of-Service registry, settlement.
    """
    paid = tx.one(
        SETTLE,
        negotiation=negotiation,
        by=by,
        kind=fulfilment.kind,
        id=fulfilment.id,
        broker=broker,
        validator=validator,
    )
    deal = queries.negotiation_of(tx, negotiation)
    work = proof.record_outcome(tx, outcome_of(tx, deal, paid, fulfilment), keys)
    event = publish(
        tx,
        DealSettled(
            **parties(deal),
            intent=deal.intent_id,
            amount=paid.amount,
            agent_units=paid.agent_units,
            work_log=work.id,
            settled_at=paid.settled_at,
        ),
    )
    return Settlement(paid=paid, work_log=work.id, event=event)


def outcome_of(tx: Tx, deal: Negotiation, paid: Paid, fulfilment: Fulfilment) -> Outcome:
    """What a settled deal proves about the agent that worked. The work's clock starts with the acceptance."""
    assert deal.accepted_at is not None, "only an accepted deal can be settled"
    return Outcome(
        agent=deal.responder_did,
        payer=deal.initiator_did,
        subject_kind="negotiation",
        subject_id=str(deal.id),
        outcome=fulfilment.outcome,
        amount=paid.amount,
        fee=paid.pool_units,
        asset=Asset.CREDIT,
        # A signed card proves a key, and keys are free: only an account that somebody verified makes a payer scarce.
        payer_verified=identity.user_of(tx, deal.initiator_did).is_verified,
        intent=deal.intent_id,
        started_at=deal.accepted_at,
        due_at=deal.due_at,
        delivered_at=fulfilment.delivered_at or paid.settled_at,
        settled_at=paid.settled_at,
        facts={"negotiation": str(deal.id), "movement": str(paid.movement_id), "proposal": deal.final_proposal},
    )


def hire_gate(tx: Tx, *, buyer: Did, seller: Did, amount: Credits, subject: str, at: datetime) -> Decision:
    """Ask governance whether this pair may deal; the one place through which every deal goes."""
    return governance.decide_hire(tx, buyer=buyer, seller=seller, amount=amount, subject=subject, at=at)


def denied(decision: Decision) -> Denied:
    """A denial is a value: the decision and its audit row are committed, then the caller gets a 403."""
    return Denied(governance.hire_refusal(decision))


def columns(terms: Terms) -> JsonObject:
    """Terms as the columns of a round; what is not stated is NULL."""
    split = terms.split
    return {
        "price": terms.price,
        "delivery_s": terms.delivery_s,
        "quality": terms.quality,
        "agent": split and split.agent,
        "broker": split and split.broker,
        "validator": split and split.validator,
        "pool": split and split.pool,
        "custom": terms.custom,
    }


def parties(negotiation: Negotiation) -> JsonObject:
    """What every event of a negotiation carries."""
    return {
        "negotiation": negotiation.id,
        "initiator": negotiation.initiator_did,
        "responder": negotiation.responder_did,
    }
