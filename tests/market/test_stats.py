"""Statistics: counters kept by triggers and reactions are what a recount gives, whatever happened."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given.market import a_deal, a_failed_task, a_paid_task, a_task, an_agent, deliver_events
from hansa.infra.db import Query
from hansa.kernel.errors import Refusal
from hansa.market import commands, queries
from hansa.market.errors import ReviewUnknown
from hansa.market.models import ReviewDraft, ReviewEdit
from hansa.negotiation import commands as negotiations
from hansa.registry.queries import agent_of

SUCCESS_RATE = Query(str, "SELECT market.calculate_agent_success_rate(%(agent)s)::text")
STATS_ROWS = Query(int, "SELECT count(*) FROM market.agent_stats")

MOVES = ["start", "deliver", "accept", "review", "edit", "withdraw", "buyer cancels", "seller cancels"]
LIVES = st.lists(st.tuples(st.sampled_from(["next"] * 8 + MOVES), st.integers(1, 5)), max_size=16)
"""A life of one task: what is tried in turn, mostly the step that comes next; whatever is refused changes nothing."""


class Undone(Exception):
    """Ends one life of an agent."""


def test_an_agent_without_deeds_has_zeros_and_no_row(tx):
    agent = agent_of(tx, an_agent(tx))

    stats = queries.stats_of(tx, agent)

    assert (stats.tasks_completed, stats.success_rate, stats.rating, stats.total_earnings) == (0, 0, 0, 0)
    assert stats.avg_response_time_minutes is None
    assert tx.one(STATS_ROWS) == 0


def test_success_is_right_at_the_event_that_changes_it(tx, keys):
    first = a_paid_task(tx, keys)
    agent = agent_of(tx, first.seller_did)

    rates = [queries.stats_of(tx, agent).success_rate]
    a_failed_task(tx, seller=first.seller_did)
    rates.append(queries.stats_of(tx, agent).success_rate)
    a_paid_task(tx, keys, seller=first.seller_did)
    rates.append(queries.stats_of(tx, agent).success_rate)

    assert [str(rate) for rate in rates] == ["100.00", "50.00", "66.67"]
    assert tx.one(SUCCESS_RATE, agent=agent.id) == "66.67"


def test_a_correction_by_psql_moves_the_counters_both_ways(db, owner):
    with db.transaction() as tx:
        task = a_failed_task(tx)
        agent = agent_of(tx, task.seller_did)
        assert queries.stats_of(tx, agent).tasks_failed == 1

    owner.execute("UPDATE market.tasks SET status = 'cancelled' WHERE id = %s", [task.id])

    with db.transaction() as tx:
        assert queries.stats_of(tx, agent).tasks_failed == 0
        assert queries.stats_that_differ(tx, with_deals=False) == []


def test_statistics_outlive_the_tasks_that_they_count(db, owner, keys):
    with db.transaction() as tx:
        task = a_paid_task(tx, keys, rating=4)
        agent = agent_of(tx, task.seller_did)
        before = queries.stats_of(tx, agent)

    owner.execute("DELETE FROM market.task_deliverables")
    owner.execute("DELETE FROM market.tasks")

    with db.transaction() as tx:
        assert queries.stats_of(tx, agent) == before
        assert queries.stats_that_differ(tx, with_deals=False) == []
        assert len(queries.reviews_of(tx, agent).items) == 1


def test_hires_and_earnings_follow_every_settled_deal_once(db, keys):
    with db.transaction() as tx:
        task = a_paid_task(tx, keys, price=10_000)
        direct = a_deal(tx, seller=task.seller_did, price=2000)
        negotiations.settle(tx, keys, direct.id, by=direct.initiator_did)
        agent = agent_of(tx, task.seller_did)
        assert queries.stats_that_differ(tx, with_deals=True) == [agent.id]

    deliver_events(db)
    with db.transaction() as tx:
        tx.connection.execute("UPDATE ops.outbox SET delivered_at = NULL, due_at = clock_timestamp()")
    deliver_events(db)

    with db.transaction() as tx:
        stats = queries.stats_of(tx, agent)
        assert (stats.hire_count, stats.total_earnings, stats.tasks_completed) == (2, 8400, 1)
        assert queries.stats_that_differ(tx, with_deals=True) == []


def test_a_recount_finds_a_counter_that_was_changed_by_hand(db, owner, keys):
    with db.transaction() as tx:
        task = a_paid_task(tx, keys)

    owner.execute("UPDATE market.agent_stats SET tasks_completed = 7")

    with db.transaction() as tx:
        assert queries.stats_that_differ(tx, with_deals=False) == [task.agent_id]


@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lives=st.tuples(LIVES, LIVES, LIVES))
def test_whatever_happens_the_statistics_equal_a_recount(tx, keys, lives):
    with suppress(Undone), tx.savepoint():
        seller = an_agent(tx)
        tasks = [a_task(tx, seller=seller) for _ in lives]

        ratings = [stars for task, life in zip(tasks, lives, strict=True) if (stars := lived(tx, keys, task, life))]

        stats = queries.stats_of(tx, agent_of(tx, seller))
        assert queries.stats_that_differ(tx, with_deals=False) == []
        statuses = [queries.task_of(tx, task.id).status for task in tasks]
        assert (stats.tasks_completed, stats.tasks_failed) == (statuses.count("completed"), statuses.count("failed"))
        assert stats.review_count == len(ratings)
        assert float(stats.rating) == pytest.approx(sum(ratings) / len(ratings) if ratings else 0, abs=0.005)
        raise Undone


def lived(tx, keys, task, life):
    """Let a task live; the stars that it has in the end, as a person with a pencil would note them down."""
    stars, review, position = None, None, 0
    for tried, rating in life:
        move = MOVES[position] if tried == "next" else tried
        with suppress(Refusal), tx.savepoint():
            review = made(tx, keys, move, task, review, rating) or review
            position = min(MOVES.index(move) + 1, MOVES.index("withdraw"))
            stars = {"review": rating, "edit": rating, "withdraw": None}.get(move, stars)
    return stars


def made(tx, keys, move, task, review, rating):
    """One move by whoever may make it; the review, once there is one."""
    match move:
        case "start":
            commands.start(tx, task.id, by=task.seller_did)
        case "deliver":
            commands.deliver(tx, task.id, by=task.seller_did, notes="Done.", at=tx.at)
        case "accept":
            commands.accept_delivery(tx, keys, task.id, by=task.buyer_did, at=tx.at)
        case "buyer cancels":
            commands.cancel(tx, task.id, by=task.buyer_did)
        case "seller cancels":
            commands.cancel(tx, task.id, by=task.seller_did)
        case "review":
            return commands.review(tx, task.id, by=task.buyer_did, draft=ReviewDraft(rating=rating), at=tx.at)
        case "edit" | "withdraw" if review is None:
            raise ReviewUnknown
        case "edit":
            return commands.edit_review(tx, review.id, by=task.buyer_did, edit=ReviewEdit(rating=rating), at=tx.at)
        case "withdraw":
            return commands.withdraw_review(tx, review.id, by=task.buyer_did, at=tx.at)
    return None
