"""Members of a group who act at once: an agreement is made once, of what everybody saw, and the books balance."""

import pytest

from concurrency.test_deals_raced import balanced, names, race
from given import groups
from hansa.credits import queries as books
from hansa.negotiation import commands, queries
from hansa.negotiation.models import GroupState, GroupTerms, VotingRule


def table(db, *, workers, rule=VotingRule.UNANIMOUS, part=10_000, proposer=None, **options):
    """A group with a proposal on the table: its payer, its workers and itself."""
    with db.transaction() as tx:
        payer, team = groups.team(tx, workers=workers)
        opened = groups.opened(tx, payer, team, rule=rule, **options)
        by = payer if proposer is None else team[proposer]
        return payer, team, groups.proposed(tx, opened, by, dict.fromkeys(team, part))


def ballot(group, member, *, approves=True):
    return lambda tx: commands.vote(tx, group.id, by=member, seen_round=group.round, approves=approves, at=tx.at)


def state_of(db, group, payer):
    """Where a group stands, what its deals cost, and what is held of its payer's money."""
    with db.transaction() as tx:
        found = queries.group_of(tx, group.id)
        prices = [deal.price for deal in queries.group_deals_of(tx, group.id)]
        return found.state, sum(prices), books.account_of(tx, payer).reserved


def test_votes_of_all_at_once_agree_once(db):
    payer, workers, group = table(db, workers=9)

    results = race(db, *[ballot(group, worker) for worker in workers])

    assert names(results) == {"done": 9}
    assert sum(one.state is GroupState.AGREED for one in results) == 1
    assert state_of(db, group, payer) == (GroupState.AGREED, 90_000, 90_000)
    assert balanced(db)


def test_a_majority_that_votes_at_once_closes_before_the_rest(db):
    payer, workers, group = table(db, workers=9, rule=VotingRule.MAJORITY)

    results = race(db, *[ballot(group, worker) for worker in workers])

    assert names(results) == {"done": 5, "GroupClosed": 4}  # with the payer, who proposed, six of ten
    assert state_of(db, group, payer) == (GroupState.AGREED, 50_000, 50_000)
    assert balanced(db)


def test_one_vote_sent_eight_times_at_once_counts_once(db):
    payer, workers, group = table(db, workers=3)

    results = race(db, *[ballot(group, workers[0])] * 8)

    assert names(results) == {"done": 1, "VotedAlready": 7}
    assert state_of(db, group, payer) == (GroupState.OPEN, 0, 0)


@pytest.mark.parametrize("attempt", range(6))
def test_the_last_vote_and_a_new_proposal_never_agree_on_what_was_not_seen(db, attempt):
    payer, workers, group = table(db, workers=2, proposer=0)
    with db.transaction() as tx:
        ballot(group, workers[1])(tx)

    greedy = GroupTerms(parts={workers[1]: 900_000})
    results = race(
        db,
        ballot(group, payer),
        lambda tx: commands.propose_to_group(tx, group.id, by=workers[1], terms=greedy),
    )

    assert names(results)["done"] == 1
    if state_of(db, group, payer)[0] is GroupState.AGREED:
        assert names(results)["GroupClosed"] == 1
        assert state_of(db, group, payer) == (GroupState.AGREED, 20_000, 20_000)
    else:
        assert names(results)["ProposalChanged"] == 1
        assert state_of(db, group, payer) == (GroupState.OPEN, 0, 0)
        with db.transaction() as tx:
            assert queries.tally_of(tx, group.id).bound == [workers[1]]


def test_proposals_at_once_take_one_round_each_or_are_refused(db):
    _, workers, group = table(db, workers=4, max_rounds=3)

    results = race(
        db,
        *[
            lambda tx, w=worker: commands.propose_to_group(tx, group.id, by=w, terms=GroupTerms(parts={w: 1}))
            for worker in workers
        ],
    )

    assert names(results) == {"done": 2, "RoundsUsedUp": 2}
    with db.transaction() as tx:
        assert [one.n for one in queries.group_proposals_of(tx, group.id)] == [1, 2, 3]


@pytest.mark.parametrize("attempt", range(4))
def test_leaving_and_the_last_vote_at_once_bind_nobody_who_left(db, attempt):
    payer, workers, group = table(db, workers=3)
    with db.transaction() as tx:
        ballot(group, workers[0])(tx)
        ballot(group, workers[1])(tx)

    results = race(db, ballot(group, workers[2]), lambda tx: commands.leave_group(tx, group.id, by=workers[1]))

    assert names(results)["done"] == 1
    if isinstance(results[1], Exception):
        assert state_of(db, group, payer) == (GroupState.AGREED, 30_000, 30_000)
    else:
        assert names(results)["ProposalChanged"] == 1
        assert state_of(db, group, payer) == (GroupState.OPEN, 0, 0)


def test_two_groups_with_money_for_one_agree_once(db):
    with db.transaction() as tx:
        payer, workers = groups.team(tx)
        tables = [
            groups.proposed(tx, groups.opened(tx, payer, workers), payer, dict.fromkeys(workers, 300_000))
            for _ in range(2)
        ]
    with db.transaction() as tx:
        for group in tables:
            ballot(group, workers[0])(tx)

    results = race(db, *[ballot(group, workers[1]) for group in tables])

    assert names(results) == {"done": 1, "InsufficientFunds": 1}
    with db.transaction() as tx:
        assert books.account_of(tx, payer).reserved == 600_000
        assert sorted(queries.group_of(tx, one.id).state for one in tables) == ["agreed", "open"]
        assert sorted(queries.tally_of(tx, one.id).approving for one in tables) == [2, 3]
    assert balanced(db)


def test_the_last_vote_and_the_end_of_the_time_end_a_group_once(db, owner):
    payer, workers, group = table(db, workers=2)
    with db.transaction() as tx:
        ballot(group, workers[0])(tx)
    owner.execute("UPDATE negotiation.groups SET deadline_at = clock_timestamp()")

    results = race(db, ballot(group, workers[1]), commands.expire_groups, commands.expire_groups)

    assert isinstance(results[0], Exception)
    assert sum(results[1:]) == 1
    assert state_of(db, group, payer) == (GroupState.EXPIRED, 0, 0)
