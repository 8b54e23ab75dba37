"""Leaderboards: what is published is what a recount of the deeds gives, in the right order, and only when it changed."""

import threading
from math import log, sqrt

import pytest

from given.market import a_deal, a_failed_task, a_paid_task, an_agent, deliver_events
from hansa.infra.db import Query
from hansa.market import commands, queries
from hansa.market.errors import ReferenceUnfit
from hansa.market.jobs import publish_leaderboards
from hansa.market.models import Period
from hansa.negotiation import commands as negotiations
from hansa.registry.commands import retire_agent
from hansa.registry.queries import agent_of

SCORE = Query(
    float, "SELECT market.lb_score(%(ok)s, %(bad)s, %(stars)s, %(reviews)s, %(earned)s, %(t)s, %(e)s)::float8"
)
REFERENCES = {Period.DAILY: (20, 10**6), Period.ALL_TIME: (1000, 10**8)}


def score(ok=0, bad=0, stars=(), earned=0, period=Period.ALL_TIME):
    """The score of an agent's deeds, computed as the specification of the board says."""
    tasks_reference, earnings_reference = REFERENCES[period]
    mean = (ok + 1) / (ok + bad + 2)
    success = max(0.0, mean - sqrt(mean * (1 - mean) / (ok + bad + 3)))
    rating = (sum(stars) + 4 * 3.5) / (len(stars) + 4)
    return round(
        40 * success
        + 30 * min(1.0, log(1 + ok) / log(1 + tasks_reference))
        + 20 * (rating - 1) / 4
        + 10 * min(1.0, log(1 + earned) / log(1 + earnings_reference)),
        2,
    )


def board(tx, **which):
    """A board as (agent, rank, score), best first."""
    return [(row.did, row.rank, float(row.score)) for row in queries.leaderboard(tx, **which).agents]


def an_expected_board(deeds, period=Period.ALL_TIME):
    """Ranks counted by hand: one more than the agents with a higher score."""
    scores = {did: score(period=period, **numbers) for did, numbers in deeds.items()}
    ranked = [(did, 1 + sum(other > own for other in scores.values()), own) for did, own in scores.items()]
    return sorted(ranked, key=lambda row: row[1])


@pytest.mark.parametrize(
    ("ok", "bad", "stars", "earned"),
    [(0, 0, [], 0), (1, 0, [5], 7000), (0, 3, [1], 0), (40, 2, [5, 4, 3], 280_000), (5000, 0, [5] * 900, 10**12)],
)
def test_a_score_is_what_its_formula_says(tx, ok, bad, stars, earned):
    found = tx.one(SCORE, ok=ok, bad=bad, stars=sum(stars), reviews=len(stars), earned=earned, t=1000, e=10**8)

    assert found == pytest.approx(score(ok, bad, stars, earned), abs=0.011)
    assert 0 <= found <= 100


def test_each_part_of_a_score_has_its_weight(tx):
    def parts(**deeds):
        return tx.one(SCORE, **({"ok": 0, "bad": 10**7, "stars": 0, "reviews": 0, "earned": 0, "t": 1, "e": 1} | deeds))

    nothing = parts(stars=10**7, reviews=10**7)

    assert nothing == pytest.approx(0, abs=0.01)
    assert parts(stars=5 * 10**7, reviews=10**7) - nothing == pytest.approx(20, abs=0.01)
    assert parts(stars=10**7, reviews=10**7, earned=1) - nothing == pytest.approx(10, abs=0.01)
    assert parts(stars=10**7, reviews=10**7, ok=1) - nothing == pytest.approx(30, abs=0.01)
    assert parts(stars=10**7, reviews=10**7, ok=10**7, bad=0) - nothing == pytest.approx(70, abs=0.02)


def test_the_order_of_a_board_equals_a_recount_and_equals_share_a_rank(tx, keys):
    best, twin, other_twin, worst = (an_agent(tx) for _ in range(4))
    for rating in (5, 4):
        a_paid_task(tx, keys, seller=best, rating=rating)
    for seller in (twin, other_twin):
        a_paid_task(tx, keys, seller=seller, rating=3)
    a_paid_task(tx, keys, seller=worst, rating=1)
    a_failed_task(tx, seller=worst)
    an_agent(tx)  # without deeds, so on no board

    commands.publish_leaderboards(tx)

    expected = an_expected_board(
        {
            best: {"ok": 2, "stars": [5, 4], "earned": 14_000},
            twin: {"ok": 1, "stars": [3], "earned": 7000},
            other_twin: {"ok": 1, "stars": [3], "earned": 7000},
            worst: {"ok": 1, "bad": 1, "stars": [1], "earned": 7000},
        }
    )
    assert [rank for _, rank, _ in expected] == [1, 2, 2, 4]
    assert board(tx) == expected
    assert {standing.total_agents_in_domain for standing in queries.standings_of(tx, agent_of(tx, twin))} == {4}


def test_a_board_of_a_domain_counts_that_domain_only(tx, keys):
    one, two = an_agent(tx), an_agent(tx)
    a_paid_task(tx, keys, seller=one, domain=1, rating=5)
    a_paid_task(tx, keys, seller=one, domain=7, rating=1)
    a_paid_task(tx, keys, seller=two, domain=7, rating=4)
    direct = a_deal(tx, seller=two)
    negotiations.settle(tx, keys, direct.id, by=direct.initiator_did)

    commands.publish_leaderboards(tx)

    assert board(tx, domain=1) == an_expected_board({one: {"ok": 1, "stars": [5], "earned": 7000}})
    assert board(tx, domain=7) == an_expected_board(
        {two: {"ok": 1, "stars": [4], "earned": 7000}, one: {"ok": 1, "stars": [1], "earned": 7000}}
    )
    assert board(tx) == an_expected_board(
        {one: {"ok": 2, "stars": [5, 1], "earned": 14_000}, two: {"ok": 1, "stars": [4], "earned": 14_000}}
    )
    assert board(tx, domain=3) == []


def test_a_board_of_a_period_counts_that_period_only(db, owner, keys):
    with db.transaction() as tx:
        old, new = an_agent(tx), an_agent(tx)
        for rating in (5, 5, 5):
            a_paid_task(tx, keys, seller=old, rating=rating)
    owner.execute("SET session_replication_role = replica")  # the past is append only, also for a superuser
    for column in ("task_keys SET ended_at = ended_at", "reviews SET created_at = created_at"):
        owner.execute(f"UPDATE market.{column} - interval '2 days'")
    owner.execute("UPDATE negotiation.settlements SET settled_at = settled_at - interval '2 days'")
    with db.transaction() as tx:
        a_paid_task(tx, keys, seller=new, rating=2)

        commands.publish_leaderboards(tx)

    fresh, past = {"ok": 1, "stars": [2], "earned": 7000}, {"ok": 3, "stars": [5, 5, 5], "earned": 21_000}
    with db.transaction() as tx:
        assert board(tx, period=Period.DAILY) == an_expected_board({new: fresh}, Period.DAILY)
        assert [did for did, *_ in board(tx, period=Period.WEEKLY)] == [old, new]
        assert board(tx) == an_expected_board({old: past, new: fresh})
        periods = [standing.period for standing in queries.standings_of(tx, agent_of(tx, old))]
        assert periods == [Period.WEEKLY, Period.MONTHLY, Period.ALL_TIME]


def test_a_deed_that_grows_old_leaves_its_board(db, owner, keys):
    with db.transaction() as tx:
        a_failed_task(tx)
        commands.publish_leaderboards(tx)
        assert len(board(tx, period=Period.DAILY)) == 1
    owner.execute("UPDATE market.task_keys SET ended_at = ended_at - interval '25 hours'")

    with db.transaction() as tx:
        commands.publish_leaderboards(tx, Period.DAILY)

        assert board(tx, period=Period.DAILY) == []
        assert len(board(tx, period=Period.WEEKLY)) == 1


def test_a_rank_that_changes_remembers_the_one_before(tx, keys):
    first, second = an_agent(tx), an_agent(tx)
    a_paid_task(tx, keys, seller=first, rating=5)
    a_paid_task(tx, keys, seller=second, rating=2)

    commands.publish_leaderboards(tx)
    fresh = [(row.did, row.rank, row.previous_rank) for row in queries.leaderboard(tx).agents]
    for _ in range(3):
        a_paid_task(tx, keys, seller=second, rating=5)
    changed = commands.publish_leaderboards(tx, Period.ALL_TIME)
    unchanged = commands.publish_leaderboards(tx, Period.ALL_TIME)

    assert fresh == [(first, 1, None), (second, 2, None)]
    moved = [(row.did, row.rank, row.previous_rank) for row in queries.leaderboard(tx).agents]
    assert moved == [(second, 1, 2), (first, 2, 1)]
    assert (changed, unchanged) == (2, 0)
    assert [row.rank for row in queries.leaderboard(tx, period=Period.DAILY).agents] == [1, 2]
    assert queries.leaderboard(tx, period=Period.DAILY).agents[0].did == first
    a_paid_task(tx, keys, seller=second, rating=5)
    commands.publish_leaderboards(tx, Period.ALL_TIME)
    better = queries.leaderboard(tx).agents[0]
    assert (better.did, better.rank, better.previous_rank) == (second, 1, 2)  # another score, the same rank


def test_a_retired_agent_leaves_the_boards(tx, keys):
    staying, leaving = an_agent(tx), an_agent(tx)
    for seller in (staying, leaving):
        a_paid_task(tx, keys, seller=seller)
    commands.publish_leaderboards(tx)

    retire_agent(tx, leaving, tx.at)
    commands.publish_leaderboards(tx)

    assert [did for did, *_ in board(tx)] == [staying]
    assert queries.standings_of(tx, agent_of(tx, leaving)) == []


def test_boards_are_published_when_something_has_happened_and_not_otherwise(db, services, keys):
    assert (publish_leaderboards(services), publish_leaderboards(services)) == (4, 0)
    with db.transaction() as tx:
        task = a_paid_task(tx, keys, rating=5)
    assert publish_leaderboards(services) == 0  # the reactions have not run yet

    deliver_events(db)
    published = (publish_leaderboards(services), publish_leaderboards(services))

    assert published == (4, 0)
    with db.transaction() as tx:
        assert [did for did, *_ in board(tx)] == [task.seller_did]
        commands.withdraw_review(
            tx, queries.reviews_of(tx, agent_of(tx, task.seller_did)).items[0].id, by=task.buyer_did, at=tx.at
        )
    deliver_events(db)
    assert publish_leaderboards(services) == 4
    with db.transaction() as tx:
        assert board(tx) == an_expected_board({task.seller_did: {"ok": 1, "earned": 7000}})


def test_a_period_that_looks_back_a_limited_time_is_published_again_by_itself(db, owner, services):
    publish_leaderboards(services)
    owner.execute("UPDATE market.leaderboard_publications SET published_at = published_at - interval '61 minutes'")

    published = publish_leaderboards(services)

    assert published == 3  # all_time changes by deeds only


def test_a_change_during_a_publication_is_not_lost(db):
    with db.transaction() as tx:
        commands.note_change(tx)
    with db.transaction() as publisher:
        commands.publish_leaderboards(publisher)

        def note():
            with db.transaction() as tx:
                commands.note_change(tx)

        noting = threading.Thread(target=note)
        noting.start()
        noting.join(timeout=0.3)
        assert noting.is_alive()  # it waits for the publication
    noting.join(timeout=10)

    with db.transaction() as tx:
        assert commands.publish_due_leaderboards(tx) == 4


def test_the_views_show_an_agent_with_its_numbers(tx, keys):
    task = a_paid_task(tx, keys, domain=1, rating=4)
    commands.publish_leaderboards(tx)

    profile = tx.connection.execute(
        "SELECT name, currency, tasks_completed, success_rate, rating FROM market.v_agent_profiles WHERE did = %s",
        [task.seller_did],
    ).fetchall()
    rows = tx.connection.execute(
        "SELECT period::text, domain_id, rank FROM market.v_agent_leaderboard WHERE did = %s", [task.seller_did]
    ).fetchall()

    agent = agent_of(tx, task.seller_did)
    assert [(name, tasks, float(rate), float(rating)) for name, _, tasks, rate, rating in profile] == [
        (agent.name, 1, 100.0, 4.0)
    ]
    assert sorted(rows, key=str) == sorted(
        [(period.value, domain, 1) for period in Period for domain in (None, 1)], key=str
    )


def test_new_references_measure_one_period_anew_from_the_next_publication(tx, keys):
    task = a_paid_task(tx, keys)
    commands.publish_leaderboards(tx)
    before = {period: board(tx, period=period)[0][2] for period in Period}

    version = commands.set_leaderboard_references(tx, Period.WEEKLY, tasks=1, earnings=7000)
    commands.publish_due_leaderboards(tx)

    after = {period: board(tx, period=period)[0][2] for period in Period}
    assert {one.version for one in queries.references(tx)} == {version} == {2}
    assert [period for period in Period if after[period] != before[period]] == [Period.WEEKLY]
    full_marks = 30 * (1 - log(2) / log(61)) + 10 * (1 - log(7001) / log(5 * 10**6 + 1))
    assert after[Period.WEEKLY] - before[Period.WEEKLY] == pytest.approx(full_marks, abs=0.02)
    assert board(tx, period=Period.WEEKLY)[0][0] == task.seller_did
    with pytest.raises(ReferenceUnfit), tx.savepoint():
        commands.set_leaderboard_references(tx, Period.WEEKLY, tasks=0, earnings=1)
