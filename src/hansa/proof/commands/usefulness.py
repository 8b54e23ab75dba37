"""Proofs of useful work: an agent says what it did, the formula scores it, and agents carry their 30-day average."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hansa.infra.db import JsonObject, Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.dids import Did
from hansa.kernel.ids import IntentId, WorkLogId
from hansa.proof import sd_jwt
from hansa.proof.commands.credentials import VCT
from hansa.proof.commands.disclosures import house_key
from hansa.proof.errors import AttestationsTooMany, HouseKeyMissing, WorkOfAnotherAgent
from hansa.proof.events import UsefulnessChanged, UsefulWorkProven
from hansa.proof.models import UsefulnessDue, UsefulnessProof, WorkType
from hansa.proof.queries import USEFULNESS_COLUMNS, work_log
from hansa.registry.commands import cache_usefulness

ATTESTATIONS_MAX = 5

RECORD = Query(
    UsefulnessProof,
    f"""
    INSERT INTO proof.usefulness_proofs
           (intent_id, agent_did, work_type, metrics, attestations, trace_id, usefulness_score)
    VALUES (%(intent)s, %(agent)s, %(work_type)s, %(metrics)s, %(attestations)s, %(trace)s,
            proof.usefulness_score(%(work_type)s, %(metrics)s, cardinality(%(attestations)s::text[]) > 0))
    RETURNING {USEFULNESS_COLUMNS}
    """,
)

# What is right is said again once an hour, so that its time tells whether somebody still looks.
DUE = Query(
    UsefulnessDue,
    """
    SELECT agent.did AS agent, coalesce(recent.score, 0.00) AS score, agent.usefulness_score_cached AS previous
      FROM registry.agents AS agent
      LEFT JOIN proof.recent_usefulness AS recent ON recent.agent_did = agent.did
     WHERE agent.usefulness_score_cached <> coalesce(recent.score, 0)
        OR (recent.proofs > 0
            AND coalesce(agent.usefulness_last_updated, '-infinity') < %(at)s::timestamptz - interval '1 hour')
     ORDER BY agent.usefulness_last_updated NULLS FIRST, agent.did
     LIMIT %(limit)s
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
    attestations: Sequence[str] = (),
    house: Did | None = None,
    at: datetime,
) -> UsefulnessProof:
    """Write down what an agent says it did, scored by the metric of its type of work; once per trace.

    An attestation is a work credential of the house, presented by the agent for the audience `house` with the trace
    as nonce; with one the score is a tenth higher. Raises AgentNotRegistered, WorkTypeUnknown, MetricUnfit,
    MetricsMalformed, TraceMalformed, UsefulWorkProvenBefore, AttestationsTooMany, WorkOfAnotherAgent, HouseKeyMissing
    and every refusal of `sd_jwt_errors`. Source: AINP proofs of useful work.
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


def refresh_usefulness(tx: Tx, *, at: datetime, limit: int = 1000) -> int:
    """Bring the usefulness beside each agent to the average of its last 30 days; returns how many were brought."""
    due = tx.all(DUE, at=at, limit=limit)
    cache_usefulness(tx, {row.agent: row.score for row in due}, at=at)
    for row in due:
        if row.score != row.previous:
            publish(tx, UsefulnessChanged(agent=row.agent, score=row.score))
    return len(due)
