"""What can be read of useful work."""

from typing import LiteralString
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.proof.errors import AgentNotRegistered
from hansa.proof.models import Usefulness, UsefulnessProof

USEFULNESS_COLUMNS: LiteralString = """
    id, intent_id AS intent, agent_did AS agent, work_type, metrics, cardinality(attestations) AS attestations,
    trace_id AS trace, usefulness_score, worked_at, created_at
"""

USEFULNESS = Query(
    Usefulness,
    """
    SELECT agent.did AS agent, coalesce(recent.score, 0.00) AS score, coalesce(recent.proofs, 0) AS proofs,
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                'work_type', by_type.work_type, 'score', by_type.score::text, 'proofs', by_type.proofs,
                                'best_score', by_type.best_score::text, 'best_proof', by_type.best_proof
                            ) ORDER BY proof.work_type_position(by_type.work_type)), '[]')
              FROM proof.recent_usefulness_by_type AS by_type
             WHERE by_type.agent_did = agent.did) AS by_work_type,
           agent.usefulness_score_cached AS published, agent.usefulness_last_updated AS published_at
      FROM registry.agents AS agent
      LEFT JOIN proof.recent_usefulness AS recent ON recent.agent_did = agent.did
     WHERE agent.did = %(agent)s
    """,
)

USEFULNESS_PROOFS = Query(
    UsefulnessProof,
    f"""
    SELECT {USEFULNESS_COLUMNS}
      FROM proof.usefulness_proofs
     WHERE agent_did = %(agent)s
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)


def usefulness_of(tx: Tx, agent: Did) -> Usefulness:
    """What the proofs of a registered agent over the last 30 days say; 0 without any. Raises AgentNotRegistered."""
    found = tx.maybe(USEFULNESS, agent=agent)
    if found is None:
        raise AgentNotRegistered
    return found


def usefulness_proofs(tx: Tx, agent: Did, *, before: UUID | None = None, limit: int = 50) -> Page[UsefulnessProof]:
    """The useful work that an agent has proven, newest first."""
    rows = tx.all(USEFULNESS_PROOFS, agent=agent, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.id)
