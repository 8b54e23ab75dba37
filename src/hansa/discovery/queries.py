"""What can be read of discovery. Searching itself leaves a row, so it is a command."""

from typing import LiteralString
from uuid import UUID

from hansa.discovery.errors import QueryUnknown
from hansa.discovery.models import AgentQuery, AnsweredQuery, IndexDifference, RankingWeights, RecentDeal
from hansa.infra.db import Page, Query, Tx
from hansa.kernel.ids import QueryId

QUERY_COLUMNS: LiteralString = """
    asked.id, asked.user_id, asked.asked_by, asked.query_params, asked.capability_filter, asked.results_hash,
    found.result_count, asked."timestamp", asked.age_s
"""

QUERY = Query(
    AnsweredQuery,
    f"""
    SELECT {QUERY_COLUMNS}, found.results
      FROM discovery.agent_queries AS asked
      JOIN discovery.results AS found ON found.results_hash = asked.results_hash
     WHERE asked.id = %(id)s
    """,
)

# Which rows there are for this caller is for row security to say.
QUERIES = Query(
    AgentQuery,
    f"""
    SELECT {QUERY_COLUMNS}
      FROM discovery.agent_queries AS asked
      JOIN discovery.results AS found ON found.results_hash = asked.results_hash
     WHERE (%(before)s::uuid IS NULL OR asked.id < %(before)s)
     ORDER BY asked.id DESC
     LIMIT %(limit)s
    """,
)

RANKING_WEIGHTS = Query(RankingWeights, "SELECT relevance, trust, usefulness FROM discovery.ranking_weights")

RECENT_DEALS = Query(
    RecentDeal,
    """
    SELECT deal.agent_did AS agent, agent.slug, agent.name, deal.amount, deal.settled_at
      FROM discovery.recent_deals AS deal
      LEFT JOIN discovery.agents AS agent ON agent.did = deal.agent_did
     ORDER BY deal.settled_at DESC, deal.negotiation_id DESC
     LIMIT %(limit)s
    """,
)

DIFFERENCES = Query(
    IndexDifference,
    """
    SELECT kind, subject, finding
      FROM discovery.differences
     ORDER BY kind, subject
     LIMIT %(limit)s
    """,
)


def query_of(tx: Tx, query: QueryId) -> AnsweredQuery:
    """A search and what it found, for whoever made it. Raises QueryUnknown."""
    found = tx.maybe(QUERY, id=query)
    if found is None:
        raise QueryUnknown
    return found


def queries(tx: Tx, *, before: UUID | None = None, limit: int = 50) -> Page[AgentQuery]:
    """The caller's searches, newest first."""
    found = tx.all(QUERIES, before=before, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def ranking_weights(tx: Tx) -> RankingWeights:
    """What counts how much in the order of results."""
    return tx.one(RANKING_WEIGHTS)


def recent_deals(tx: Tx, *, limit: int = 20) -> list[RecentDeal]:
    """The newest settled deals, newest first."""
    return tx.all(RECENT_DEALS, limit=limit)


def differences(tx: Tx, *, limit: int = 100) -> list[IndexDifference]:
    """Every way in which the index is not what the contexts below say; for the house, which sees all of them.

    Events on their way show here until they are delivered.
    """
    return tx.all(DIFFERENCES, limit=limit)
