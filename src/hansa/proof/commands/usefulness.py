"""Proofs of useful work: an agent says what it did, the formula scores it, and agents carry their 30-day average."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hansa.infra.db import JsonObject, Query, Tx
from hansa.infra.outbox import publish, publish_all
from hansa.kernel.dids import Did
from hansa.kernel.ids import IntentId, WorkLogId
from hansa.proof import sd_jwt
from hansa.proof.commands.credentials import VCT
from hansa.proof.commands.disclosures import house_key
from hansa.proof.errors import AttestationsTooMany, HouseKeyMissing, WorkOfAnotherAgent
from hansa.proof.events import UsefulnessChanged, UsefulWorkProven
from hansa.proof.models import UsefulnessProof, UsefulnessRefreshed, WorkType
from hansa.proof.queries import USEFULNESS_COLUMNS, work_log

ATTESTATIONS_MAX = 5

RECORD = Query(
    UsefulnessProof,
    f"""
    INSERT INTO proof.usefulness_proofs
           (intent_id, agent_did, work_type, metrics, attestations, trace_id, worked_at)
    VALUES (%(intent)s, %(agent)s, %(work_type)s, %(metrics)s, %(attestations)s, %(trace)s, %(worked_at)s)
    RETURNING {USEFULNESS_COLUMNS}
    """,
)

# All agents in one statement: the registry's routine writes beside those only whose number is another one.
# What is right is said again once an hour, so that its time tells whether somebody still looks.
REFRESH = Query(
    UsefulnessRefreshed,
    """
    WITH due AS MATERIALIZED (
        SELECT agent.did, coalesce(recent.score, 0.00) AS score
          FROM registry.agents AS agent
          LEFT JOIN proof.recent_usefulness AS recent ON recent.agent_did = agent.did
         WHERE agent.usefulness_score_cached <> coalesce(recent.score, 0)
            OR (recent.proofs > 0
                AND coalesce(agent.usefulness_last_updated, '-infinity') < %(at)s::timestamptz - interval '1 hour')
    )
    SELECT refreshed.agent, refreshed.score, refreshed.previous
      FROM (SELECT array_agg(due.did) AS dids, array_agg(due.score) AS scores FROM due) AS gathered
     CROSS JOIN LATERAL registry.cache_usefulness(gathered.dids, gathered.scores, %(at)s) AS refreshed
     ORDER BY refreshed.agent
    """,
)


def record_usefulness(
    tx: Tx,
    *,
    by: Did,
    intent: IntentId,
    work_type: WorkType,
    metrics: JsonObject,
    trace: str,
    worked_at: datetime,
    attestations: Sequence[str] = (),
    house: Did | None = None,
    at: datetime,
) -> UsefulnessProof:
    """Write down what an agent says it did, scored by the metric of its type of work; once per trace.

    An attestation is a work credential of the house, presented by the agent for the audience `house` with the trace
    as nonce; with one the score is a tenth higher. Score and limits are kept by the database, by its own clock, also
    against whoever writes the table itself. Raises AgentNotRegistered, WorkTypeUnknown, MetricUnfit, MetricsMalformed,
    TraceMalformed, UsefulWorkProvenBefore, AttestationsTooMany, WorkOfAnotherAgent, HouseKeyMissing, WorkUntimely,
    ProofsTooMany, TopScoresTooMany, ProofTooSoon and every refusal of `sd_jwt_errors`.
    Source: AINP proofs of useful work.
    """
    if len(attestations) > ATTESTATIONS_MAX:  # before any of them costs a signature check
        raise AttestationsTooMany
    for presentation in attestations:
        require_own_work(tx, presentation, by=by, trace=trace, house=house, at=at)
    proven = tx.one(
        RECORD,
        intent=intent,
        agent=by,
        work_type=work_type,
        metrics=metrics,
        attestations=list(attestations),
        trace=trace,
        worked_at=worked_at,
    )
    publish(tx, UsefulWorkProven(proof=proven.id, agent=by, work_type=work_type, score=proven.usefulness_score))
    return proven


def require_own_work(tx: Tx, presentation: str, *, by: Did, trace: str, house: Did | None, at: datetime) -> None:
    """Refuse what is no credential of this house about work of this agent, presented for this proof."""
    if house is None:
        raise HouseKeyMissing
    shown = sd_jwt.verify(
        presentation,
        issuer_keys=lambda issuer, _key_id: house_key(house) if issuer == house else None,
        audience=house,
        nonce=trace,
        at=at,
        vct=VCT,
    )
    if work_log(tx, WorkLogId(UUID(shown.claims["log"]))).agent != by:
        raise WorkOfAnotherAgent


def refresh_usefulness(tx: Tx, *, at: datetime) -> int:
    """Bring the usefulness beside all agents to the average of their last 30 days, in one statement.

    Returns beside how many it wrote. Source: AINP usefulness cache.
    """
    refreshed = tx.all(REFRESH, at=at)
    publish_all(
        tx, [UsefulnessChanged(agent=row.agent, score=row.score) for row in refreshed if row.score != row.previous]
    )
    return len(refreshed)
