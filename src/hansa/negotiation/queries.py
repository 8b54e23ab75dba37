"""What can be read of negotiations."""

from collections.abc import Collection
from decimal import Decimal
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import GroupId, IntentId, NegotiationId
from hansa.negotiation.errors import GroupUnknown, IntentUnknown, NegotiationUnknown, NotAMember, NotAParticipant
from hansa.negotiation.models import (
    Group,
    GroupDeal,
    GroupProposal,
    GroupState,
    GroupVote,
    Intent,
    Member,
    Negotiation,
    NegotiationState,
    Paid,
    Round,
    Tally,
)

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


GROUP_COLUMNS = """
           id, intent_id, payer_did, rule, state, round, on_table, max_rounds, round_s, convergence_score, created_at,
           expires_at, deadline_at, ended_at
"""
"""The columns of a Group: the table's rows and what its routines return."""

GROUP = Query(Group, f"SELECT {GROUP_COLUMNS} FROM negotiation.groups WHERE id = %(group)s")

GROUPS_OF = Query(
    Group,
    f"""
    SELECT {GROUP_COLUMNS}
      FROM negotiation.groups
     WHERE id IN (SELECT group_id
                    FROM negotiation.group_members
                   WHERE did = %(did)s
                     AND left_at IS NULL)
       AND (%(state)s::negotiation.group_state IS NULL OR state = %(state)s::negotiation.group_state)
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

MEMBERS = Query(
    Member,
    """
    SELECT did, weight, left_at
      FROM negotiation.group_members
     WHERE group_id = %(group)s
     ORDER BY did
    """,
)

GROUP_PROPOSALS = Query(
    GroupProposal,
    """
    SELECT proposal.n, proposal.by_did, proposal.price,
           (SELECT jsonb_object_agg(part.worker_did, part.units)
              FROM negotiation.group_parts AS part
             WHERE part.group_id = proposal.group_id
               AND part.n = proposal.n) AS parts,
           proposal.delivery_s, proposal.quality, proposal.custom, proposal.convergence_delta, proposal.proposed_at
      FROM negotiation.group_proposals AS proposal
     WHERE proposal.group_id = %(group)s
     ORDER BY proposal.n
    """,
)

GROUP_VOTES = Query(
    GroupVote,
    """
    SELECT n, member_did, approves, voted_at
      FROM negotiation.group_votes
     WHERE group_id = %(group)s
     ORDER BY n, voted_at, member_did
    """,
)

GROUP_TALLY = Query(
    Tally,
    """
    SELECT members, approving, opposing, weight, approving_weight, payer_approves, bound, agreed
      FROM negotiation.group_tally(%(group)s)
    """,
)

GROUP_DEALS = Query(
    GroupDeal,
    """
    SELECT deal.worker_did, deal.negotiation_id, part.units AS price
      FROM negotiation.group_deals AS deal
      JOIN negotiation.groups AS team ON team.id = deal.group_id
      JOIN negotiation.group_parts AS part
        ON part.group_id = deal.group_id AND part.n = team.on_table AND part.worker_did = deal.worker_did
     WHERE deal.group_id = %(group)s
     ORDER BY deal.worker_did
    """,
)


def group_of(tx: Tx, group: GroupId, *, seen_by: Did | None = None) -> Group:
    """A group, for those who take part in it. Raises GroupUnknown, NotAMember."""
    found = tx.maybe(GROUP, group=group)
    if found is None:
        raise GroupUnknown
    if seen_by is not None and seen_by not in members_present(tx, group):
        raise NotAMember
    return found


def groups_of(
    tx: Tx, did: Did, *, state: GroupState | None = None, before: UUID | None = None, limit: int = 50
) -> Page[Group]:
    """Groups in which an agent takes part, newest first."""
    found = tx.all(GROUPS_OF, did=did, state=state, before=before, limit=limit)
    return Page(items=found, after=str(found[-1].id) if len(found) == limit else None)


def members_of(tx: Tx, group: GroupId) -> list[Member]:
    """All who ever took part in a group."""
    return tx.all(MEMBERS, group=group)


def members_present(tx: Tx, group: GroupId) -> list[Did]:
    """Who takes part in a group: all who have not left."""
    return [member.did for member in members_of(tx, group) if member.left_at is None]


def group_proposals_of(tx: Tx, group: GroupId) -> list[GroupProposal]:
    """All proposals made to a group, first to last."""
    return tx.all(GROUP_PROPOSALS, group=group)


def group_votes_of(tx: Tx, group: GroupId) -> list[GroupVote]:
    """All votes in a group, round by round."""
    return tx.all(GROUP_VOTES, group=group)


def tally_of(tx: Tx, group: GroupId) -> Tally:
    """The votes on the table, counted; all zero when nothing is on it."""
    return tx.one(GROUP_TALLY, group=group)


def group_deals_of(tx: Tx, group: GroupId) -> list[GroupDeal]:
    """Whom an agreed group binds; empty before it has agreed."""
    return tx.all(GROUP_DEALS, group=group)
