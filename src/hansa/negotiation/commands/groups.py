"""Groups: three and more parties who agree by a vote, and are then bound by ordinary deals."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hansa.credits import queries as books
from hansa.credits.errors import InsufficientFunds
from hansa.governance.models import Outcome as Verdict
from hansa.infra.db import JsonObject, Query, TransactionRetry, Tx
from hansa.infra.outbox import publish
from hansa.kernel.dids import Did, parse_did
from hansa.kernel.errors import Denied
from hansa.kernel.ids import GroupId, IntentId
from hansa.kernel.money import Credits
from hansa.negotiation import queries
from hansa.negotiation.commands import deals
from hansa.negotiation.errors import IntentForeign
from hansa.negotiation.events import GroupAgreed, GroupEnded, GroupLeft, GroupOpened, GroupProposed, GroupVoted
from hansa.negotiation.models import (
    Group,
    GroupProposal,
    GroupState,
    GroupTerms,
    Negotiation,
    Tally,
    Terms,
    VotingRule,
)
from hansa.negotiation.queries import GROUP_COLUMNS
from hansa.proof import queries as proof

WEIGHT_MIN = Decimal("0.05")
"""Weight of a member in whom there is no trust at all: nobody weighs nothing."""
WEIGHT_SCALE = Decimal("0.0001")

OPEN_GROUP = Query(
    Group,
    f"""
    SELECT {GROUP_COLUMNS}
      FROM negotiation.open_group(
           %(intent)s, %(payer)s, %(rule)s::negotiation.voting_rule, %(members)s::text[], %(weights)s::numeric[],
           %(max_rounds)s::integer, %(ttl)s, %(round_s)s::integer)
    """,
)

PROPOSE_TO_GROUP = Query(
    Group,
    f"""
    SELECT {GROUP_COLUMNS}
      FROM negotiation.propose_to_group(
           %(group)s, %(by)s, %(workers)s::text[], %(units)s::bigint[], %(delivery_s)s::integer, %(quality)s::numeric,
           %(custom)s)
    """,
)

VOTE_IN_GROUP = Query(
    Group,
    f"""
    SELECT {GROUP_COLUMNS}
      FROM negotiation.vote_in_group(%(group)s, %(by)s, %(round)s::integer, %(approves)s)
    """,
)

AGREE_GROUP = Query(
    Group,
    f"""
    SELECT {GROUP_COLUMNS}
      FROM negotiation.agree_group(%(group)s, %(negotiations)s::uuid[])
    """,
)

LEAVE_GROUP = Query(Group, f"SELECT {GROUP_COLUMNS} FROM negotiation.leave_group(%(group)s, %(by)s)")

REJECT_GROUP = Query(Group, f"SELECT {GROUP_COLUMNS} FROM negotiation.reject_group(%(group)s, %(by)s)")

EXPIRE_GROUPS = Query(Group, f"SELECT {GROUP_COLUMNS} FROM negotiation.expire_groups(%(limit)s)")


class HireImpossible(Exception):
    """The hire gate denies one of the workers, so the agreement of the whole group is taken back."""

    def __init__(self, worker: Did, units: Credits) -> None:
        super().__init__(worker)
        self.worker, self.units = worker, units


def open_group(
    tx: Tx,
    *,
    by: Did,
    workers: Sequence[Did],
    intent: IntentId,
    rule: VotingRule,
    max_rounds: int = 10,
    ttl: timedelta = deals.TTL_DEFAULT,
    round_s: int | None = None,
    at: datetime,
) -> Group:
    """Open a group that serves an intent of its payer. What each member weighs is the trust in it at this instant.

    `round_s`: seconds in which a proposal must come, and be agreed on or replaced; None: only `ttl` counts.
    Raises IntentUnknown, IntentForeign, MembersImpossible, GroupLimitsImpossible, PartyUnknown.
    Source: AINP, negotiation of several parties.
    """
    if queries.intent_of(tx, intent).requester_did != by:
        raise IntentForeign
    members = [by, *workers]
    opened = tx.one(
        OPEN_GROUP,
        intent=intent,
        payer=by,
        rule=rule,
        members=members,
        weights=[weight_of(tx, member, at) for member in members],
        max_rounds=max_rounds,
        ttl=ttl,
        round_s=round_s,
    )
    publish(tx, GroupOpened(**team(tx, opened), intent=intent, rule=rule))
    return opened


def weight_of(tx: Tx, member: Did, at: datetime) -> Decimal:
    """What a member weighs: the trust in it, decayed to this instant, but never less than `WEIGHT_MIN`."""
    return max(WEIGHT_MIN, Decimal(proof.trust_of(tx, member, at).score).quantize(WEIGHT_SCALE))


def propose_to_group(tx: Tx, group: GroupId, *, by: Did, terms: GroupTerms) -> Group:
    """Put a proposal on the table, in place of another member's; the proposer approves it by proposing.

    Raises GroupUnknown, NotAMember, GroupClosed, GroupExpired, OwnProposalOnTheTable, RoundsUsedUp, PartsImpossible,
    GroupTermsImpossible. Source: AINP, negotiation of several parties.
    """
    changed = tx.one(
        PROPOSE_TO_GROUP,
        group=group,
        by=by,
        workers=[parse_did(worker) for worker in terms.parts],
        units=list(terms.parts.values()),
        delivery_s=terms.delivery_s,
        quality=terms.quality,
        custom=terms.custom,
    )
    price = Credits(sum(terms.parts.values()))
    publish(tx, GroupProposed(**team(tx, changed), round=changed.round, by=by, price=price))
    return changed


def vote(tx: Tx, group: GroupId, *, by: Did, seen_round: int, approves: bool, at: datetime) -> Group | Denied:
    """Say once whether a member approves the proposal of `seen_round`; the vote that makes an agreement makes the deals.

    An agreement opens and accepts one negotiation for each worker that it binds and holds their parts, all in `tx` or
    nothing. When that cannot be done (the payer's funds do not cover all, the hire gate denies a worker), the vote is
    not counted either: an open group never has an agreement on its table that waits to be carried out, so it is never
    made by surprise at somebody else's act. The voter is told why, and votes again when the reason is gone.

    Raises GroupUnknown, NotAMember, GroupClosed, GroupExpired, ProposalChanged, VotedAlready, InsufficientFunds.
    Source: AINP, voting of several parties.
    """
    try:
        with tx.savepoint():
            counted = tx.one(VOTE_IN_GROUP, group=group, by=by, round=seen_round, approves=approves)
            publish(tx, GroupVoted(**team(tx, counted), round=seen_round, by=by, approves=approves))
            tally = queries.tally_of(tx, group)
            return agree(tx, counted, tally, at=at) if tally.agreed else counted
    except HireImpossible as impossible:
        return denial(tx, group, impossible, at=at)


def agree(tx: Tx, group: Group, tally: Tally, *, at: datetime) -> Group:
    """Bind everybody whom the tally binds, by a deal of its own. Raises InsufficientFunds, HireImpossible."""
    proposal = queries.group_proposals_of(tx, group.id)[-1]
    parts = {worker: Credits(proposal.parts[worker]) for worker in tally.bound}
    price = Credits(sum(parts.values()))
    check_funds(tx, group.payer_did, price)
    bound = {worker: hire(tx, group, proposal, worker, units, at=at).id for worker, units in parts.items()}
    agreed = tx.one(AGREE_GROUP, group=group.id, negotiations=list(bound.values()))
    publish(tx, GroupAgreed(**team(tx, agreed), round=proposal.n, price=price, deals={**bound}))
    return agreed


def check_funds(tx: Tx, payer: Did, needed: Credits) -> None:
    """Say what is missing for all deals together; each hold is checked again under the lock of the account.

    Raises InsufficientFunds.
    """
    available = books.account_of(tx, payer).available
    if available < needed:
        raise InsufficientFunds(
            f"the account has {available} available and {needed} is needed",
            available=available,
            needed=needed,
            missing=needed - available,
        )


def hire(tx: Tx, group: Group, proposal: GroupProposal, worker: Did, units: Credits, *, at: datetime) -> Negotiation:
    """Open and accept the deal of one worker, whose approval and whose payer's stand in the votes."""
    stated: JsonObject = {"delivery_s": proposal.delivery_s, "quality": proposal.quality}
    terms = replace(
        Terms(price=units, custom=proposal.custom),
        **{name: value for name, value in stated.items() if value is not None},
    )
    opened = deals.initiate(
        tx, by=group.payer_did, responder=worker, intent=group.intent_id, terms=terms, max_rounds=1, at=at
    )
    if isinstance(opened, Denied):
        raise HireImpossible(worker, units)
    sealed = deals.accept(tx, opened.id, by=worker, seen_round=1, at=at)
    if isinstance(sealed, Denied):
        raise HireImpossible(worker, units)
    return sealed


def denial(tx: Tx, group: GroupId, impossible: HireImpossible, *, at: datetime) -> Denied:
    """Ask the gate again, for evidence that stays: its first answer went back with the deals. Raises TransactionRetry."""
    payer = queries.group_of(tx, group).payer_did
    decision = deals.hire_gate(
        tx, buyer=payer, seller=impossible.worker, amount=impossible.units, subject=f"group:{group}", at=at
    )
    if decision.outcome is not Verdict.DENY:
        raise TransactionRetry("the hire gate has changed its mind meanwhile")
    return deals.denied(decision)


def leave_group(tx: Tx, group: GroupId, *, by: Did) -> Group:
    """Take a worker out of an open group: it is not counted any more, and the proposal is off the table.

    What was voted on was a deal with the one who leaves; the others propose anew, whoever proposed last. A group
    without any worker is rejected. Raises GroupUnknown, NotAMember, GroupClosed, GroupExpired, PayerStays.
    """
    left = tx.one(LEAVE_GROUP, group=group, by=by)
    publish(tx, GroupLeft(**team(tx, left), by=by))
    if left.state is GroupState.REJECTED:
        publish(tx, GroupEnded(**team(tx, left), state=left.state, reason="all workers left"))
    return left


def reject_group(tx: Tx, group: GroupId, *, by: Did, reason: str = "") -> Group:
    """End an open group without a deal; only its payer does.

    Raises GroupUnknown, NotAMember, GroupClosed, GroupExpired, OnlyThePayerRejects.
    """
    ended = tx.one(REJECT_GROUP, group=group, by=by)
    publish(tx, GroupEnded(**team(tx, ended), state=ended.state, reason=reason))
    return ended


def expire_groups(tx: Tx, *, limit: int = 100) -> int:
    """End open groups whose time, or whose round's time, is over; returns how many."""
    expired = tx.all(EXPIRE_GROUPS, limit=limit)
    for group in expired:
        publish(tx, GroupEnded(**team(tx, group), state=group.state, reason="its time is over"))
    return len(expired)


def team(tx: Tx, group: Group) -> JsonObject:
    """What every event of a group carries."""
    return {"group": group.id, "payer": group.payer_did, "members": queries.members_present(tx, group.id)}
