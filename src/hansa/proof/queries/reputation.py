"""What can be read of reputation, and whether the published numbers are what the evidence says."""

from decimal import Decimal

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.proof.models import Difference, Ranked, Reputation

REPUTATION = Query(
    Reputation,
    """
    SELECT asked.agent, coalesce(known.score, 0.00) AS score, coalesce(known.exact, 0) AS exact,
           known.update_trigger, known.last_updated, known.scored_on, coalesce(known.metadata, '{}') AS metadata,
           coalesce(known.policy_id, (proof.adopted_policy()).id) AS policy, known.explanation
      FROM (SELECT %(agent)s::text AS agent) AS asked
      LEFT JOIN proof.reputations AS known ON known.agent_did = asked.agent
    """,
)

BEST_REPUTATIONS = Query(
    Ranked,
    """
    SELECT agent_did AS agent, score, update_trigger, last_updated, metadata
      FROM proof.reputation_scores
     WHERE score >= %(score_min)s
       AND (%(after)s::text IS NULL
            OR score < (SELECT last.score FROM proof.reputation_scores AS last WHERE last.agent_did = %(after)s)
            OR (score = (SELECT last.score FROM proof.reputation_scores AS last WHERE last.agent_did = %(after)s)
                AND agent_did > %(after)s))
     ORDER BY score DESC, agent_did
     LIMIT %(limit)s
    """,
)

DIFFERENCES = Query(Difference, "SELECT kind, subject, finding FROM proof.differences ORDER BY kind, subject")

COUNTED = Query(int, "SELECT count(*) FROM proof.reputation_events WHERE fold_position IS NOT NULL")

PENDING = Query(int, "SELECT count(*) FROM proof.reputation_events WHERE fold_position IS NULL")


def reputation_of(tx: Tx, agent: Did) -> Reputation:
    """What an agent's settled work says about it; 0 without evidence. Source: Proof-of-Service registry."""
    return tx.one(REPUTATION, agent=agent)


def best_reputations(tx: Tx, *, score_min: Decimal, after: Did | None = None, limit: int = 50) -> Page[Ranked]:
    """Agents with at least this reputation, the best first; `after` is the last agent of the page before."""
    rows = tx.all(BEST_REPUTATIONS, score_min=score_min, after=after, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.agent)


def recompute(tx: Tx) -> list[Difference]:
    """Count all evidence again: every way in which reputation and trust are not what it says; empty when right."""
    return tx.all(DIFFERENCES)


def counted(tx: Tx) -> int:
    """How many settlements the reputations stand on."""
    return tx.one(COUNTED)


def pending(tx: Tx) -> int:
    """How many settlements wait to be counted."""
    return tx.one(PENDING)
