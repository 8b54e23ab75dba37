"""What can be read of negotiations."""

from collections.abc import Collection
from decimal import Decimal
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import IntentId, NegotiationId
from hansa.negotiation.errors import IntentUnknown, NegotiationUnknown, NotAParticipant
from hansa.negotiation.models import Intent, Negotiation, NegotiationState, Paid, Round

COLUMNS = """
           id, intent_id, initiator_did, responder_did, state, round, max_rounds, turn_did, convergence_score,
           current_proposal, final_proposal, incentive_split, created_at, expires_at, updated_at, accepted_at, hold_id,
           decision_id, bound_kind, bound_id, round_s, round_due_at, standing_did, not_accepted, ended_by, reject_reason
"""
"""The columns of a Negotiation: the table's rows and what its routines return. At which convergence a party accepts is
not among them, for the other party reads them too."""

INTENT = Query(
    Intent,
    """
    SELECT id, requester_did, description, budget, terms, status, created_at
      FROM negotiation.intents
     WHERE id = %(intent)s
    """,
)

NEGOTIATION = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.negotiations
     WHERE id = %(negotiation)s
    """,
)

NEGOTIATIONS_OF = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.negotiations
     WHERE (initiator_did = %(did)s OR responder_did = %(did)s)
       AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

ACCEPTS_AT = Query(
    Decimal,
    """
    SELECT CASE %(did)s WHEN initiator_did THEN initiator_accepts_at WHEN responder_did THEN responder_accepts_at END
      FROM negotiation.negotiations
     WHERE id = %(negotiation)s
    """,
)

ROUNDS = Query(
    Round,
    """
    SELECT n, by_did, price, delivery_s, quality, agent_bps, broker_bps, validator_bps, pool_bps, custom,
           convergence_delta, proposed_at
      FROM negotiation.rounds
     WHERE negotiation_id = %(negotiation)s
     ORDER BY n
    """,
)

PAID = Query(
    Paid,
    """
    SELECT negotiation_id, movement_id, amount, agent_units, broker_units, validator_units, pool_units, broker_did,
           validator_did, settled_at
      FROM negotiation.settlements
     WHERE negotiation_id = %(negotiation)s
    """,
)


def intent_of(tx: Tx, intent: IntentId) -> Intent:
    """An intent by its id. Raises IntentUnknown."""
    found = tx.maybe(INTENT, intent=intent)
    if found is None:
        raise IntentUnknown
    return found


def negotiation_of(tx: Tx, negotiation: NegotiationId, *, seen_by: Did | None = None) -> Negotiation:
    """A negotiation, for one of its parties. Raises NegotiationUnknown, NotAParticipant."""
    found = tx.maybe(NEGOTIATION, negotiation=negotiation)
    if found is None:
        raise NegotiationUnknown
    if seen_by is not None and seen_by not in (found.initiator_did, found.responder_did):
        raise NotAParticipant
    return found


def negotiations_of(
    tx: Tx,
    did: Did,
    *,
    states: Collection[NegotiationState] | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Page[Negotiation]:
    """Negotiations of an agent, newest first; None: in whatever state."""
    wanted = None if states is None else list(states)
    found = tx.all(NEGOTIATIONS_OF, did=did, states=wanted, before=before, limit=limit)
    return Page(items=found, after=str(found[-1].id) if len(found) == limit else None)


def accepts_at(tx: Tx, negotiation: NegotiationId, *, of: Did) -> Decimal | None:
    """Convergence at which a party accepts the other's proposal unasked; None: never, or it is no party."""
    return tx.maybe(ACCEPTS_AT, negotiation=negotiation, did=of)


def rounds_of(tx: Tx, negotiation: NegotiationId) -> list[Round]:
    """All proposals of a negotiation, first to last."""
    return tx.all(ROUNDS, negotiation=negotiation)


def paid_for(tx: Tx, negotiation: NegotiationId) -> Paid | None:
    """The shares that were paid; None: the deal is not settled."""
    return tx.maybe(PAID, negotiation=negotiation)
