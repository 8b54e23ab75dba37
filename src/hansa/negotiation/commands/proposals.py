"""Proposals, and what becomes of one whose receiver has said in advance that it would accept it.

A standing acceptance names a convergence: a proposal of the other party that comes as near to one's own is accepted in
the transaction that makes it, by the command that accepts any other. It is off unless a party says otherwise, only its
own party is told its number, and it never takes what convergence does not measure: both proposals state the same terms
and the same custom terms. Source: AINP RFC 6.3.
"""

from decimal import Decimal

from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.dids import Did
from hansa.kernel.errors import Defect, Denied, Refusal, ServiceUnavailable
from hansa.kernel.ids import NegotiationId
from hansa.negotiation.commands.deals import accept, columns, parties
from hansa.negotiation.events import ProposalMade
from hansa.negotiation.models import Negotiation, Terms
from hansa.negotiation.queries import COLUMNS

PROPOSE = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.propose(
           %(negotiation)s, %(by)s,
           (NULL, 1, NULL, %(price)s, %(delivery_s)s, %(quality)s, %(agent)s, %(broker)s, %(validator)s, %(pool)s,
            %(custom)s, 0, now())::negotiation.rounds,
           %(accepts_at)s)
    """,
)

LEAVE = Query(
    Negotiation,
    f"""
    SELECT {COLUMNS}
      FROM negotiation.leave_on_the_table(%(negotiation)s, %(code)s)
    """,
)


def propose(
    tx: Tx, negotiation: NegotiationId, *, by: Did, terms: Terms, accepts_at: Decimal | None = None
) -> Negotiation:
    """Answer the proposal on the table with another one, which the other party may have said it would accept.

    `accepts_at` is the proposer's own standing acceptance from now on; None: as it was.
    Raises NegotiationUnknown, NotAParticipant, NegotiationClosed, NegotiationExpired, RoundExpired, NotYourTurn,
    RoundsUsedUp, TermsImpossible, PriceAboveBudget (the initiator's own price), StandingAcceptanceImpossible.
    Source: AINP propose.
    """
    made = tx.one(PROPOSE, negotiation=negotiation, by=by, accepts_at=accepts_at, **columns(terms))
    publish(tx, ProposalMade(**parties(made), round=made.round, by=by, price=terms.price))
    return made if made.standing_did is None else accept_unasked(tx, made, by=made.standing_did)


def accept_unasked(tx: Tx, made: Negotiation, *, by: Did) -> Negotiation:
    """Let a standing acceptance take the proposal on the table; if it cannot, the proposal stays there and says why.

    A refusal is undone to the savepoint; a denial of the hire gate is a value, so its evidence is kept.
    """
    try:
        with tx.savepoint():
            deal = accept(tx, made.id, by=by, seen_round=made.round, at=tx.at)
    except (Defect, ServiceUnavailable):
        raise
    except Refusal as refusal:
        return tx.one(LEAVE, negotiation=made.id, code=refusal.code())
    if isinstance(deal, Denied):
        return tx.one(LEAVE, negotiation=made.id, code=deal.refusal.code())
    return deal
