"""What can be read of the market."""

from datetime import datetime
from typing import LiteralString
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import NegotiationId, ReviewId, TaskId
from hansa.market.errors import ReviewUnknown, TaskUnknown
from hansa.market.models import (
    AgentStats,
    Board,
    Deliverable,
    Period,
    RankedAgent,
    References,
    Review,
    Standing,
    Task,
    TaskStatus,
    TaskWithWork,
)
from hansa.registry.models import Agent

TASK_COLUMNS: LiteralString = """
    id, user_id, agent_id, negotiation_id, buyer_did, seller_did, domain_id, title, description, task_type, status,
    priority, budget, payment_type, estimated_hours, actual_hours, due_date, expires_at, started_at, delivered_at,
    accepted_at, completed_at, metadata, created_at, updated_at
"""
"""The columns of a Task: the table's rows and what its routines return."""

STATS_COLUMNS: LiteralString = """
    agent_id, tasks_completed, tasks_failed, success_rate, avg_response_time_minutes, total_earnings, rating,
    avg_rating, bayesian_rating, review_count, hire_count
"""

TASK = Query(Task, f"SELECT {TASK_COLUMNS} FROM market.tasks WHERE id = %(task)s")

TASK_OF_DEAL = Query(
    Task,
    f"""
    SELECT {TASK_COLUMNS}
      FROM market.tasks
     WHERE negotiation_id = %(negotiation)s
    """,
)

TASKS_OF = Query(
    Task,
    f"""
    SELECT {TASK_COLUMNS}
      FROM market.tasks
     WHERE (buyer_did = %(did)s OR seller_did = %(did)s)
       AND (%(status)s::market.task_status IS NULL OR status = %(status)s::market.task_status)
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

DELIVERABLES = Query(
    Deliverable,
    """
    SELECT id, file_url, file_name, file_type, description, content_hash, created_at
      FROM market.task_deliverables
     WHERE task_id = %(task)s
     ORDER BY id
    """,
)

REVIEW_COLUMNS: LiteralString = """
    review.id, review.user_id, review.agent_id, review.task_id, review.rating, review.title, review.review_text,
    review.pros, review.cons, review.would_hire_again, review.response_time_rating, review.quality_rating,
    review.communication_rating, review.value_rating, response.response_text, review.created_at, review.updated_at,
    review.withdrawn_at
"""

REVIEW = Query(
    Review,
    f"""
    SELECT {REVIEW_COLUMNS}
      FROM market.reviews AS review
      LEFT JOIN market.review_responses AS response ON response.review_id = review.id
     WHERE review.id = %(review)s
    """,
)

REVIEWS_OF_TASK = Query(
    Review,
    f"""
    SELECT {REVIEW_COLUMNS}
      FROM market.reviews AS review
      LEFT JOIN market.review_responses AS response ON response.review_id = review.id
     WHERE review.task_id = %(task)s
       AND review.withdrawn_at IS NULL
     ORDER BY review.id
    """,
)

REVIEWS_OF_AGENT = Query(
    Review,
    f"""
    SELECT {REVIEW_COLUMNS}
      FROM market.reviews AS review
      LEFT JOIN market.review_responses AS response ON response.review_id = review.id
     WHERE review.agent_id = %(agent)s
       AND review.withdrawn_at IS NULL
       AND (%(before)s::uuid IS NULL OR review.id < %(before)s)
     ORDER BY review.id DESC
     LIMIT %(limit)s
    """,
)

STATS = Query(AgentStats, f"SELECT {STATS_COLUMNS} FROM market.agent_stats WHERE agent_id = %(agent)s")

BOARD = Query(
    RankedAgent,
    """
    SELECT did, agent_id, name, avatar_url, rank, previous_rank, score, tasks_completed, success_rate, rating,
           review_count, domains
      FROM market.v_agent_leaderboard
     WHERE period = %(period)s::market.leaderboard_period
       AND domain_id IS NOT DISTINCT FROM %(domain)s::integer
     ORDER BY rank, joined_at, id
     LIMIT %(limit)s
    """,
)

PUBLISHED_AT = Query(
    datetime,
    """
    SELECT published_at
      FROM market.leaderboard_publications
     WHERE period = %(period)s::market.leaderboard_period
    """,
)

STANDINGS_OF = Query(
    Standing,
    """
    SELECT period, domain_id, rank, previous_rank, total_agents_in_domain, score, updated_at
      FROM market.leaderboard_rankings
     WHERE agent_id = %(agent)s
     ORDER BY period, domain_id NULLS FIRST
    """,
)

REFERENCES = Query(
    References,
    """
    SELECT period, version, tasks_reference, earnings_reference
      FROM market.leaderboard_params
     WHERE version = (SELECT max(version) FROM market.leaderboard_params)
     ORDER BY period
    """,
)

# Hires and earnings follow a settlement by a reaction, so they are compared only where all events were delivered.
STATS_THAT_DIFFER = Query(
    UUID,
    """
    SELECT recounted.agent_id
      FROM market.recounted_stats AS recounted
      LEFT JOIN market.agent_stats AS kept ON kept.agent_id = recounted.agent_id
     WHERE (coalesce(kept.tasks_completed, 0), coalesce(kept.tasks_failed, 0), coalesce(kept.responses, 0),
            coalesce(kept.response_s, 0), coalesce(kept.review_count, 0), coalesce(kept.stars, 0),
            coalesce(kept.success_rate, 0), coalesce(kept.rating, 0))
        <> (recounted.tasks_completed, recounted.tasks_failed, recounted.responses, recounted.response_s,
            recounted.review_count, recounted.stars, recounted.success_rate, recounted.rating)
        OR (%(with_deals)s AND (coalesce(kept.hire_count, 0), coalesce(kept.total_earnings, 0))
                            <> (recounted.hire_count, recounted.total_earnings))
     ORDER BY recounted.agent_id
    """,
)


def task_of(tx: Tx, task: TaskId, *, seen_by: Did | None = None) -> Task:
    """A task, for one of its parties. Raises TaskUnknown, to strangers too."""
    found = tx.maybe(TASK, task=task)
    if found is None or (seen_by is not None and seen_by not in (found.buyer_did, found.seller_did)):
        raise TaskUnknown
    return found


def task_with_work(tx: Tx, task: TaskId, *, seen_by: Did) -> TaskWithWork:
    """A task and what was delivered for it, for one of its parties. Raises TaskUnknown."""
    return TaskWithWork(task=task_of(tx, task, seen_by=seen_by), deliverables=tx.all(DELIVERABLES, task=task))


def tasks_of(
    tx: Tx, did: Did, *, status: TaskStatus | None = None, before: UUID | None = None, limit: int = 50
) -> Page[Task]:
    """Tasks that an agent bought or works on, newest first."""
    found = tx.all(TASKS_OF, did=did, status=status, before=before, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def review_of(tx: Tx, review: ReviewId) -> Review:
    """A review by its id, also one that was taken back. Raises ReviewUnknown."""
    found = tx.maybe(REVIEW, review=review)
    if found is None:
        raise ReviewUnknown
    return found


def reviews_of(tx: Tx, agent: Agent, *, before: UUID | None = None, limit: int = 50) -> Page[Review]:
    """Reviews of an agent that count, newest first, with the agent's answers."""
    found = tx.all(REVIEWS_OF_AGENT, agent=agent.id, before=before, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def task_of_deal(tx: Tx, negotiation: NegotiationId) -> Task | None:
    """The task that fulfils a deal; None: the deal is settled directly, or nobody made a task of it yet."""
    return tx.maybe(TASK_OF_DEAL, negotiation=negotiation)


def reviews_of_task(tx: Tx, task: TaskId) -> list[Review]:
    """What was written about a task and still counts."""
    return tx.all(REVIEWS_OF_TASK, task=task)


def stats_of(tx: Tx, agent: Agent) -> AgentStats:
    """Lifetime numbers of an agent; zeros before its first deed."""
    return tx.maybe(STATS, agent=agent.id) or AgentStats(agent_id=agent.id)


def leaderboard(tx: Tx, *, domain: int | None = None, period: Period = Period.ALL_TIME, limit: int = 100) -> Board:
    """The published board of a domain and period, best first; among equals whoever joined earlier comes first."""
    return Board(
        domain=domain,
        period=period,
        published_at=tx.one(PUBLISHED_AT, period=period),
        agents=tx.all(BOARD, domain=domain, period=period, limit=limit),
    )


def standings_of(tx: Tx, agent: Agent) -> list[Standing]:
    """Where an agent stands on each board that ranks it; the boards over all domains come first in their period."""
    return tx.all(STANDINGS_OF, agent=agent.id)


def references(tx: Tx) -> list[References]:
    """What scores are measured against now, for each period."""
    return tx.all(REFERENCES)


def stats_that_differ(tx: Tx, *, with_deals: bool) -> list[UUID]:
    """Agents whose statistics are not what a recount of tasks and reviews gives; empty when all is right.

    `with_deals` compares hires and earnings too: they are right once all events were delivered.
    """
    return tx.all(STATS_THAT_DIFFER, with_deals=with_deals)
