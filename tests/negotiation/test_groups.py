"""Groups: who may do what, whose votes make an agreement, and whom an agreement binds to what."""

import time
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from given import deals, groups, proof
from given.credits import issued
from hansa.credits import queries as books
from hansa.credits.errors import InsufficientFunds
from hansa.governance.errors import HireDenied
from hansa.infra.db import Query
from hansa.kernel.errors import Denied
from hansa.migrations import DIRECTORY
from hansa.negotiation import commands, jobs, queries
from hansa.negotiation.commands.groups import PROPOSE_TO_GROUP
from hansa.negotiation.errors import (
    GroupClosed,
    GroupExpired,
    GroupLimitsImpossible,
    GroupTermsImpossible,
    GroupUnknown,
    IntentForeign,
    MembersImpossible,
    NotAMember,
    OnlyThePayerRejects,
    OwnProposalOnTheTable,
    PartsImpossible,
    PartyUnknown,
    PayerStays,
    ProposalChanged,
    RoundsUsedUp,
    VotedAlready,
)
from hansa.negotiation.models import GroupState, NegotiationState, VotingRule
from hansa.proof import queries as evidence
from hansa.registry import commands as agents

STRANGER = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
PUBLISHED = Query(str, "SELECT name FROM ops.outbox WHERE ordering_key = %(key)s ORDER BY id")
DECISIONS = Query(str, "SELECT outcome FROM governance.decisions WHERE subject = %(subject)s")


def published(tx, group):
    """What became known of a group, in its order."""
    return [name.removeprefix("negotiation.") for name in tx.all(PUBLISHED, key=f"group:{group.id}")]


def bound(tx, group):
    """Whom a group binds, at which price."""
    return {deal.worker_did: deal.price for deal in queries.group_deals_of(tx, group.id)}


def reserved(tx, did):
    return books.account_of(tx, did).reserved


# Opening


def test_a_group_opens_with_its_payer_and_its_workers_and_holds_no_money(tx):
    payer, workers = groups.team(tx, workers=3)

    group = groups.opened(tx, payer, workers, rule=VotingRule.MAJORITY)

    assert (group.state, group.round, group.on_table) == (GroupState.OPEN, 0, None)
    assert {member.did for member in queries.members_of(tx, group.id)} == {payer, *workers}
    assert reserved(tx, payer) == 0
    assert published(tx, group) == ["group_opened"]


def test_a_member_weighs_what_it_is_trusted_when_the_group_opens(tx, services_keys):
    payer, (known, unknown) = groups.team(tx)
    proof.settled(tx, known, services_keys)
    trust = evidence.trust_of(tx, known, tx.at).score

    group = groups.opened(tx, payer, [known, unknown])
    proof.settled(tx, known, services_keys)

    weights = {member.did: member.weight for member in queries.members_of(tx, group.id)}
    assert weights[unknown] == Decimal("0.5")
    assert Decimal("0.5") < weights[known] == round(Decimal(trust), 4)


def test_nobody_weighs_nothing(tx, services_keys):
    payer, (distrusted, other) = groups.team(tx)
    proof.settled(tx, distrusted, services_keys)
    tx.connection.execute(
        "UPDATE proof.trust_scores SET reliability = 0, honesty = 0, competence = 0, timeliness = 0,"
        " last_updated = clock_timestamp() WHERE agent_did = %s",
        [distrusted],
    )

    group = groups.opened(tx, payer, [distrusted, other])

    weights = {member.did: member.weight for member in queries.members_of(tx, group.id)}
    assert weights[distrusted] == Decimal("0.05")


@pytest.mark.parametrize("count", [1, 20])
def test_a_group_of_another_size_is_refused(tx, count):
    payer, workers = groups.team(tx, workers=count)

    with pytest.raises(MembersImpossible, match=f"2 to 19 workers, not {count}"):
        groups.opened(tx, payer, workers)


def test_the_largest_group_has_nineteen_workers(tx):
    payer, workers = groups.team(tx, workers=19)

    group = groups.opened(tx, payer, workers)

    assert len(queries.members_of(tx, group.id)) == 20


def test_nobody_is_two_members(tx):
    payer, (first, second) = groups.team(tx)

    for workers in ([first, second, first], [first, second, payer]):
        with pytest.raises(MembersImpossible), tx.savepoint():
            groups.opened(tx, payer, workers)


def test_one_account_has_one_member(db, owner):
    with db.transaction() as tx:
        payer, (first, second) = groups.team(tx)
    owner.execute(
        "UPDATE registry.agents SET creator_user_id = (SELECT creator_user_id FROM registry.agents WHERE did = %s)"
        " WHERE did = %s",
        [first, second],
    )

    with pytest.raises(MembersImpossible, match="one account"), db.transaction() as tx:
        groups.opened(tx, payer, [first, second])


def test_members_are_registered_agents(tx):
    payer, (worker, _) = groups.team(tx)

    with pytest.raises(PartyUnknown):
        groups.opened(tx, payer, [worker, STRANGER])


def test_a_group_serves_an_intent_of_its_payer(tx):
    payer, (first, second) = groups.team(tx)
    foreign = deals.intent(tx, first)

    with pytest.raises(IntentForeign):
        commands.open_group(tx, by=payer, workers=[first, second], intent=foreign, rule=VotingRule.MAJORITY, at=tx.at)


@pytest.mark.parametrize(
    "limits",
    [{"max_rounds": 0}, {"max_rounds": 21}, {"round_s": 0}, {"round_s": 2_592_001}, {"ttl": timedelta(0)}],
)
def test_impossible_limits_are_refused(tx, limits):
    payer, workers = groups.team(tx)

    with pytest.raises(GroupLimitsImpossible):
        groups.opened(tx, payer, workers, **limits)


# Proposing


def test_a_proposal_names_the_part_of_each_worker_and_its_proposer_approves_it(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.opened(tx, payer, [first, second])

    changed = groups.proposed(tx, group, first, {first: 40_000, second: 20_001}, delivery_s=600)

    (proposal,) = queries.group_proposals_of(tx, group.id)
    (vote,) = queries.group_votes_of(tx, group.id)
    assert (changed.round, changed.on_table) == (1, 1)
    assert (proposal.by_did, proposal.price, proposal.delivery_s, proposal.quality) == (first, 60_001, 600, None)
    assert proposal.parts == {first: 40_000, second: 20_001}
    assert (vote.n, vote.member_did, vote.approves) == (1, first, True)


def test_convergence_is_the_mean_similarity_of_what_both_last_proposals_state(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.opened(tx, payer, [first, second])
    groups.proposed(tx, group, payer, {first: 50, second: 30}, delivery_s=100, quality=Decimal("0.50"))

    two = groups.proposed(tx, group, first, {first: 100}, delivery_s=200, quality=Decimal("0.60"))
    three = groups.proposed(tx, group, payer, {first: 90})

    assert two.convergence_score == Decimal("0.73")  # (0.8 + 0.5 + 0.9) / 3
    assert three.convergence_score == Decimal("0.90")  # the price alone
    assert [str(one.convergence_delta)[:6] for one in queries.group_proposals_of(tx, group.id)] == [
        "0",
        "0.7333",
        "0.9000",
    ]


def test_any_other_member_may_answer_a_proposal_and_nobody_replaces_its_own(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.proposed(tx, groups.opened(tx, payer, [first, second]), first, {first: 1})

    with pytest.raises(OwnProposalOnTheTable), tx.savepoint():
        groups.proposed(tx, group, first, {first: 2})
    groups.proposed(tx, group, second, {second: 3})
    groups.proposed(tx, group, first, {first: 2})
    last = groups.proposed(tx, group, payer, {first: 1, second: 1})

    assert last.on_table == 4


def test_rounds_end(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.opened(tx, payer, [first, second], max_rounds=2)
    groups.proposed(tx, group, payer, {first: 1})
    groups.proposed(tx, group, first, {first: 2})

    with pytest.raises(RoundsUsedUp):
        groups.proposed(tx, group, second, {first: 1})


def test_parts_are_for_workers_of_the_group(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.opened(tx, payer, [first, second])

    for parts in ({payer: 1}, {first: 1, STRANGER: 1}, {}, {first: 0}, {first: 2, second: -1}):
        with pytest.raises(PartsImpossible), tx.savepoint():
            groups.proposed(tx, group, payer, parts)

    assert queries.group_proposals_of(tx, group.id) == []


def test_a_worker_has_one_part(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.opened(tx, payer, [first, second])

    # Two spellings of one DID are two keys of the document and the same worker.
    with pytest.raises(PartsImpossible):
        tx.one(
            PROPOSE_TO_GROUP,
            group=group.id,
            by=payer,
            workers=[first, first],
            units=[1, 1],
            delivery_s=None,
            quality=None,
            custom={},
        )


def test_the_sum_of_the_parts_is_at_most_ten_to_the_fifteenth(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.opened(tx, payer, [first, second])

    with pytest.raises(PartsImpossible), tx.savepoint():
        groups.proposed(tx, group, payer, {first: 10**15, second: 1})
    groups.proposed(tx, group, payer, {first: 10**15 - 1, second: 1})

    assert queries.group_proposals_of(tx, group.id)[0].price == 10**15


@pytest.mark.parametrize(
    "terms",
    [
        {"delivery_s": 0},
        {"delivery_s": 31_536_001},
        {"quality": Decimal("1.01")},
        {"quality": Decimal("-0.01")},
        {"custom": {"text": "x" * 10_001}},
    ],
)
def test_impossible_terms_are_refused_by_name(tx, terms):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers)

    with pytest.raises(GroupTermsImpossible):
        groups.proposed(tx, group, payer, {workers[0]: 1}, **terms)


# Voting


def test_a_vote_is_said_once(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.proposed(tx, groups.opened(tx, payer, [first, second]), payer, {first: 1, second: 1})
    groups.voted(tx, group, first, approves=False)

    for member in (first, payer):
        with pytest.raises(VotedAlready), tx.savepoint():
            groups.voted(tx, group, member)

    assert queries.tally_of(tx, group.id).opposing == 1


def test_a_vote_counts_for_the_proposal_that_it_names(tx):
    payer, (first, second) = groups.team(tx)
    seen = groups.proposed(tx, groups.opened(tx, payer, [first, second]), payer, {first: 9, second: 9})
    groups.voted(tx, seen, first)
    groups.proposed(tx, seen, second, {second: 500_000})

    with pytest.raises(ProposalChanged) as refused:
        groups.voted(tx, seen, payer)

    assert refused.value.facts == {"round": 2}


def test_votes_for_an_earlier_proposal_do_not_count_for_the_next(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.proposed(tx, groups.opened(tx, payer, [first, second]), payer, {first: 9, second: 9})
    groups.voted(tx, group, first)

    groups.proposed(tx, group, second, {first: 8, second: 8})

    tally = queries.tally_of(tx, group.id)
    assert (tally.approving, tally.payer_approves, tally.bound) == (1, False, [second])


def test_there_is_nothing_to_vote_on_before_somebody_proposes(tx):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers)

    with pytest.raises(ProposalChanged):
        commands.vote(tx, group.id, by=payer, seen_round=0, approves=True, at=tx.at)


def test_under_unanimity_everybody_must_approve(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.proposed(tx, groups.opened(tx, payer, [first, second]), payer, {first: 10_000})

    before = groups.voted(tx, group, first)
    after = groups.voted(tx, group, second)

    assert (before.state, after.state) == (GroupState.OPEN, GroupState.AGREED)
    assert bound(tx, group) == {first: 10_000}, "approving is not working: the second has no part"


def test_under_unanimity_one_is_enough_to_stop_all(tx):
    payer, (first, second) = groups.team(tx)
    group = groups.proposed(tx, groups.opened(tx, payer, [first, second]), payer, {first: 1, second: 1})

    groups.voted(tx, group, second, approves=False)
    after = groups.voted(tx, group, first)

    assert after.state is GroupState.OPEN
    assert reserved(tx, payer) == 0


def test_exactly_half_is_no_majority(tx):
    payer, workers = groups.team(tx, workers=3)
    opened = groups.opened(tx, payer, workers, rule=VotingRule.MAJORITY)
    group = groups.proposed(tx, opened, payer, dict.fromkeys(workers, 5_000))

    half = groups.voted(tx, group, workers[0])
    more = groups.voted(tx, group, workers[1])

    assert (half.state, more.state) == (GroupState.OPEN, GroupState.AGREED)
    assert bound(tx, group) == {workers[0]: 5_000, workers[1]: 5_000}
    assert reserved(tx, payer) == 10_000, "who has not approved is not bound, and its part is not held"


def test_who_dissents_from_a_majority_is_not_bound(tx):
    payer, workers = groups.team(tx, workers=3)
    opened = groups.opened(tx, payer, workers, rule=VotingRule.MAJORITY)
    group = groups.proposed(tx, opened, payer, dict.fromkeys(workers, 5_000))
    groups.voted(tx, group, workers[2], approves=False)

    agreed = groups.voted(tx, group, workers[0], workers[1])

    assert agreed.state is GroupState.AGREED
    assert bound(tx, group) == {workers[0]: 5_000, workers[1]: 5_000}
    assert queries.negotiations_of(tx, workers[2]).items == []


def test_a_payer_who_is_outvoted_pays_nothing(tx):
    payer, workers = groups.team(tx, workers=4)
    opened = groups.opened(tx, payer, workers, rule=VotingRule.MAJORITY)
    group = groups.proposed(tx, opened, workers[0], dict.fromkeys(workers, 50_000))
    groups.voted(tx, group, payer, approves=False)

    after = groups.voted(tx, group, *workers[1:])

    assert after.state is GroupState.OPEN
    assert queries.tally_of(tx, group.id).approving == 4
    assert (reserved(tx, payer), bound(tx, group)) == (0, {})


def test_a_majority_waits_for_the_payer(tx):
    payer, workers = groups.team(tx, workers=3)
    opened = groups.opened(tx, payer, workers, rule=VotingRule.MAJORITY)
    group = groups.proposed(tx, opened, workers[0], dict.fromkeys(workers, 5_000))

    before = groups.voted(tx, group, *workers[1:])
    after = groups.voted(tx, group, payer)

    assert (before.state, after.state) == (GroupState.OPEN, GroupState.AGREED)
    assert bound(tx, group) == dict.fromkeys(workers, 5_000)


def test_exactly_half_of_the_weight_is_not_enough(tx):
    group, (payer, first, second, _) = groups.weighted(tx, ["0.3", "0.2", "0.1", "0.4"])
    group = groups.proposed(tx, group, payer, {first: 1, second: 1})

    half = groups.voted(tx, group, first)
    more = groups.voted(tx, group, second)

    assert (half.state, more.state) == (GroupState.OPEN, GroupState.AGREED)


def test_a_heavy_member_decides_with_the_payer_and_never_without(tx):
    group, (payer, heavy, light, lighter) = groups.weighted(tx, ["0.05", "1", "0.1", "0.2"])
    group = groups.proposed(tx, group, heavy, {heavy: 7_000, light: 7_000})

    before = groups.voted(tx, group, light, lighter)
    after = groups.voted(tx, group, payer)

    assert (before.state, after.state) == (GroupState.OPEN, GroupState.AGREED)
    assert bound(tx, group) == {heavy: 7_000, light: 7_000}


def test_a_payer_heavy_enough_binds_nobody_who_has_not_approved(tx):
    group, (payer, first, second) = groups.weighted(tx, ["1", "0.05", "0.05"])
    group = groups.proposed(tx, group, payer, {first: 1})

    without_part = groups.voted(tx, group, second)
    with_part = groups.voted(tx, group, first)

    assert (without_part.state, with_part.state) == (GroupState.OPEN, GroupState.AGREED)
    assert bound(tx, group) == {first: 1}


# Agreeing


def test_an_agreement_is_one_ordinary_deal_for_each_who_is_bound(tx, services_keys):
    payer, workers = groups.team(tx, workers=3)
    parts = dict(zip(workers, (10_000, 20_000, 30_001), strict=True))
    group = groups.proposed(tx, groups.opened(tx, payer, workers), payer, parts, delivery_s=60, custom={"lot": 7})

    agreed = groups.voted(tx, group, *workers)

    found = [queries.negotiation_of(tx, one.negotiation_id) for one in queries.group_deals_of(tx, group.id)]
    assert agreed.state is GroupState.AGREED
    assert {one.responder_did: one.price for one in found} == parts
    assert {(one.state, one.initiator_did, one.intent_id) for one in found} == {
        (NegotiationState.ACCEPTED, payer, group.intent_id)
    }
    assert all(one.final_proposal["delivery_s"] == 60 and one.final_proposal["custom"] == {"lot": 7} for one in found)
    assert sum(books.hold_of(tx, one.hold_id).amount for one in found) == reserved(tx, payer) == 60_001
    assert published(tx, group) == ["group_opened", "group_proposed", *["group_voted"] * 3, "group_agreed"]
    assert books.reconcile(tx) == []


def test_the_deals_of_a_group_are_settled_like_any_other(tx, services_keys):
    group, payer, workers = groups.agreed(tx, part=90_000)

    for deal in queries.group_deals_of(tx, group.id):
        commands.settle(tx, services_keys, deal.negotiation_id, by=payer)

    assert [books.account_of(tx, worker).earned for worker in workers] == [63_000, 63_000]
    assert books.account_of(tx, payer).balance == 820_000
    assert books.reconcile(tx) == []


def test_without_money_for_all_nothing_is_agreed_and_the_vote_is_not_counted(tx):
    payer, workers = groups.team(tx, units=100_000)
    group = groups.proposed(tx, groups.opened(tx, payer, workers), payer, dict.fromkeys(workers, 60_000))
    groups.voted(tx, group, workers[0])

    with pytest.raises(InsufficientFunds) as refused, tx.savepoint():
        groups.voted(tx, group, workers[1])

    assert refused.value.facts == {"available": 100_000, "needed": 120_000, "missing": 20_000}
    assert queries.group_of(tx, group.id).state is GroupState.OPEN
    assert queries.tally_of(tx, group.id).approving == 2
    assert (reserved(tx, payer), queries.negotiations_of(tx, payer).items) == (0, [])

    issued(tx, payer, 20_000)
    assert groups.voted(tx, group, workers[1]).state is GroupState.AGREED


def test_when_the_gate_denies_one_worker_nothing_is_agreed_and_the_denial_stays(tx):
    payer, workers = groups.team(tx, workers=3)
    opened = groups.opened(tx, payer, workers, rule=VotingRule.MAJORITY)
    group = groups.proposed(tx, opened, workers[0], dict.fromkeys(workers, 5_000))
    groups.voted(tx, group, *workers[1:])
    agents.retire_agent(tx, workers[2], tx.at)

    answer = groups.voted(tx, group, payer)

    assert isinstance(answer, Denied)
    assert isinstance(answer.refusal, HireDenied)
    assert "seller_retired" in answer.refusal.facts["reasons"][0]
    assert tx.all(DECISIONS, subject=f"group:{group.id}") == ["DENY"]
    assert queries.group_of(tx, group.id).state is GroupState.OPEN
    assert not queries.tally_of(tx, group.id).payer_approves, "the payer votes again when it can be done"
    assert (reserved(tx, payer), queries.negotiations_of(tx, payer).items) == (0, [])
    assert published(tx, group)[-1] == "group_voted"
    assert published(tx, group).count("group_voted") == 2

    without = groups.proposed(tx, group, payer, {workers[0]: 5_000, workers[1]: 5_000})
    assert groups.voted(tx, without, workers[0], workers[1]).state is GroupState.AGREED


# Ending


def test_an_agreed_group_takes_no_further_acts(tx):
    group, payer, (first, _) = groups.agreed(tx)

    for act in (
        lambda: groups.proposed(tx, group, first, {first: 1}),
        lambda: groups.voted(tx, group, first),
        lambda: commands.leave_group(tx, group.id, by=first),
        lambda: commands.reject_group(tx, group.id, by=payer),
    ):
        with pytest.raises(GroupClosed) as refused, tx.savepoint():
            act()
        assert refused.value.facts == {"state": "agreed"}


def test_only_the_payer_rejects_its_group(tx):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers)

    with pytest.raises(OnlyThePayerRejects), tx.savepoint():
        commands.reject_group(tx, group.id, by=workers[0])
    ended = commands.reject_group(tx, group.id, by=payer, reason="done by myself")

    assert ended.state is GroupState.REJECTED
    assert ended.ended_at is not None
    assert published(tx, group) == ["group_opened", "group_ended"]


def test_who_leaves_is_not_counted_and_takes_the_proposal_off_the_table(tx):
    payer, workers = groups.team(tx, workers=3)
    group = groups.proposed(tx, groups.opened(tx, payer, workers), payer, dict.fromkeys(workers, 5_000))
    groups.voted(tx, group, workers[0], workers[1])

    left = commands.leave_group(tx, group.id, by=workers[2])

    assert (left.state, left.on_table, left.round) == (GroupState.OPEN, None, 1)
    assert queries.tally_of(tx, group.id).members == 3
    for act in (
        lambda: groups.voted(tx, group, payer),
        lambda: groups.proposed(tx, group, payer, {workers[2]: 1}),
        lambda: groups.proposed(tx, group, workers[2], {workers[2]: 1}),
    ):
        with pytest.raises((ProposalChanged, PartsImpossible, NotAMember)), tx.savepoint():
            act()

    again = groups.proposed(tx, group, payer, dict.fromkeys(workers[:2], 5_000))
    assert groups.voted(tx, again, workers[0], workers[1]).state is GroupState.AGREED
    assert bound(tx, group) == dict.fromkeys(workers[:2], 5_000)


def test_a_group_that_all_workers_left_is_rejected(tx):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers)

    one_left = commands.leave_group(tx, group.id, by=workers[0])
    none_left = commands.leave_group(tx, group.id, by=workers[1])

    assert (one_left.state, none_left.state) == (GroupState.OPEN, GroupState.REJECTED)
    assert published(tx, group) == ["group_opened", "group_left", "group_left", "group_ended"]


def test_the_payer_does_not_leave(tx):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers)

    with pytest.raises(PayerStays):
        commands.leave_group(tx, group.id, by=payer)


def test_a_group_ends_with_its_time(tx):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers, ttl=timedelta(milliseconds=50))
    alive = groups.opened(tx, payer, workers)
    groups.proposed(tx, group, payer, {workers[0]: 1})
    time.sleep(0.06)

    with pytest.raises(GroupExpired), tx.savepoint():
        groups.voted(tx, group, workers[0])
    expired = commands.expire_groups(tx)

    assert expired == 1
    assert queries.group_of(tx, group.id).state is GroupState.EXPIRED
    assert queries.group_of(tx, alive.id).state is GroupState.OPEN
    assert published(tx, group)[-1] == "group_ended"
    assert commands.expire_groups(tx) == 0


def test_the_tick_of_negotiations_ends_groups_too(services):
    with services.db.transaction() as tx:
        payer, workers = groups.team(tx)
        group = groups.opened(tx, payer, workers, ttl=timedelta(milliseconds=1))

    ended = jobs.expire_stale(services)

    with services.db.transaction() as tx:
        assert (ended, queries.group_of(tx, group.id).state) == (1, GroupState.EXPIRED)


def test_a_round_has_its_own_time_which_every_proposal_starts_anew(tx):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers, round_s=60)

    changed = groups.proposed(tx, group, payer, {workers[0]: 1})

    assert group.deadline_at == group.created_at + timedelta(seconds=60) < group.expires_at
    assert group.deadline_at < changed.deadline_at < group.deadline_at + timedelta(seconds=30)


def test_a_round_lasts_no_longer_than_the_group(tx):
    payer, workers = groups.team(tx)

    group = groups.opened(tx, payer, workers, round_s=7200)

    assert group.deadline_at == group.expires_at


def test_a_group_ends_with_its_round(tx):
    payer, workers = groups.team(tx)
    group = groups.opened(tx, payer, workers, round_s=1)
    time.sleep(1.01)

    with pytest.raises(GroupExpired), tx.savepoint():
        groups.proposed(tx, group, payer, {workers[0]: 1})

    assert commands.expire_groups(tx) == 1


# Seeing


def test_only_members_see_a_group_and_act_in_it(tx):
    payer, workers = groups.team(tx)
    outsider = deals.rich_agent(tx, "Outsider")
    group = groups.proposed(tx, groups.opened(tx, payer, workers), payer, {workers[0]: 1})

    for act in (
        lambda: queries.group_of(tx, group.id, seen_by=outsider),
        lambda: groups.voted(tx, group, outsider),
        lambda: groups.proposed(tx, group, outsider, {workers[0]: 1}),
        lambda: commands.leave_group(tx, group.id, by=outsider),
        lambda: commands.reject_group(tx, group.id, by=outsider),
    ):
        with pytest.raises(NotAMember), tx.savepoint():
            act()

    assert queries.groups_of(tx, outsider).items == []
    assert [one.id for one in queries.groups_of(tx, workers[1]).items] == [group.id]
    assert queries.groups_of(tx, payer, state=GroupState.AGREED).items == []


def test_an_unknown_group_is_named(tx):
    payer = deals.rich_agent(tx, "Payer")

    with pytest.raises(GroupUnknown):
        queries.group_of(tx, uuid4(), seen_by=payer)
    with pytest.raises(GroupUnknown):
        commands.leave_group(tx, uuid4(), by=payer)


# What PostgreSQL keeps, also against its owner


@pytest.fixture
def agreed(db):
    with db.transaction() as tx:
        return groups.agreed(tx)


@pytest.mark.parametrize("table", ["group_proposals", "group_parts", "group_votes", "group_deals"])
@pytest.mark.parametrize("change", ["UPDATE negotiation.{} SET group_id = group_id", "DELETE FROM negotiation.{}"])
def test_what_was_proposed_voted_and_agreed_stays_also_for_the_owner(agreed, owner, table, change):
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(change.format(table))

    assert refused.value.diag.constraint_name == "group_history_is_append_only"


@pytest.mark.parametrize("table", ["group_proposals", "group_parts", "group_votes", "group_deals"])
def test_nobody_empties_the_history_of_groups(agreed, owner, table):
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(f"TRUNCATE negotiation.{table} CASCADE")

    assert refused.value.diag.constraint_name == "group_history_is_append_only"


def test_a_group_ends_once(agreed, owner):
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute("UPDATE negotiation.groups SET state = 'open', ended_at = NULL")

    assert refused.value.diag.constraint_name == "group_history_is_append_only"


def test_no_group_agrees_without_an_agreement(db, owner):
    with db.transaction() as tx:
        payer, workers = groups.team(tx)
        groups.proposed(tx, groups.opened(tx, payer, workers), payer, {workers[0]: 1})

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute("UPDATE negotiation.groups SET state = 'agreed', ended_at = now()")

    assert refused.value.diag.constraint_name == "group_binds_what_was_agreed"


def test_nobody_is_bound_by_an_open_group(db, agreed, owner):
    _, payer, workers = agreed
    with db.transaction() as tx:
        still_open = groups.opened(tx, payer, workers)
        deal = deals.accepted(tx, payer, workers[0])

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute("INSERT INTO negotiation.group_deals VALUES (%s, %s, %s)", [still_open.id, workers[0], deal.id])

    assert refused.value.diag.constraint_name == "group_binds_what_was_agreed"


def test_nobody_more_is_bound_by_an_agreed_group(db, owner):
    with db.transaction() as tx:
        payer, workers = groups.team(tx, workers=3)
        opened = groups.opened(tx, payer, workers, rule=VotingRule.MAJORITY)
        group = groups.proposed(tx, opened, payer, dict.fromkeys(workers, 5_000))
        groups.voted(tx, group, workers[0], workers[1])
        deal = deals.accepted(tx, payer, workers[2], price=5_000)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute("INSERT INTO negotiation.group_deals VALUES (%s, %s, %s)", [group.id, workers[2], deal.id])

    assert refused.value.diag.constraint_name == "group_binds_what_was_agreed"


def test_a_price_that_is_not_the_sum_of_its_parts_is_refused(db, owner):
    with db.transaction() as tx:
        payer, workers = groups.team(tx)
        group = groups.proposed(tx, groups.opened(tx, payer, workers), payer, {workers[0]: 5})

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute("INSERT INTO negotiation.group_parts VALUES (%s, 1, %s, 3)", [group.id, workers[1]])

    assert refused.value.diag.constraint_name == "group_price_is_its_parts"


def test_taking_the_migration_back_refuses_to_forget_groups(agreed, owner):
    down = (DIRECTORY / "20261121T010100_group_negotiation" / "down.sql").read_text()

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(down.encode())

    assert refused.value.diag.constraint_name == "no_groups_to_forget"
    assert owner.execute("SELECT state FROM negotiation.groups").fetchall() == [("agreed",)]
