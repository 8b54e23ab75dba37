"""Useful work over HTTP: proving it, and what the proofs say."""

from dataclasses import dataclass, field
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import AwareDatetime

from hansa.infra.db import JsonObject, Page, Tx
from hansa.infra.web import AnyCall, Limit, SignedCall
from hansa.kernel.dids import parse_did
from hansa.kernel.ids import IntentId
from hansa.proof import commands, queries
from hansa.proof.models import Usefulness, UsefulnessProof, WorkType
from hansa.proof.routes.parties import house_key
from hansa.registry.queries import agent_of

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessOrder:
    """What the signing agent did."""

    intent: IntentId
    """What the work served."""
    work_type: WorkType
    metrics: JsonObject
    """With the metric of the work type above zero: `compute_ms` (at most 3 600 000), `memory_bytes` (2^30),
    `routing_hops` (100), `validation_checks` (10 000) or `learning_samples` (1 000 000)."""
    trace: str
    """The agent's own name for the work, 1 to 200 characters; one proof each."""
    timestamp: AwareDatetime
    """The agent's own time of the work, at most five minutes away from the clock of the house."""
    attestations: list[str] = field(default_factory=list[str])
    """Work credentials of the house, at most five, each presented for the house's DID with the trace as nonce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessAnswer:
    """How useful an agent is, and the proofs that say so."""

    usefulness: Usefulness
    proofs: Page[UsefulnessProof]


@router.get("/api/agents/{did}/usefulness", response_model=UsefulnessAnswer)
def usefulness(did: str, call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """The average usefulness of an agent over the last 30 days, with its proofs of all times, newest first."""

    def read(tx: Tx) -> UsefulnessAnswer:
        agent = agent_of(tx, parse_did(did)).did
        return UsefulnessAnswer(
            usefulness=queries.usefulness_of(tx, agent),
            proofs=queries.usefulness_proofs(tx, agent, before=after, limit=limit),
        )

    return call.query(read)


@router.post("/api/usefulness/proofs", response_model=UsefulnessProof, status_code=201)
def prove_usefulness(order: UsefulnessOrder, call: SignedCall) -> Response:
    """Say what useful work the signing agent did: scored from 0 to 100 by the metric of its type, once per trace.

    Proofs of an agent are at least 5 seconds apart, at most 100 in an hour, and at most five of them with 99 or more.
    """
    house = house_key(call.services.settings).did if order.attestations else None

    def write(tx: Tx) -> UsefulnessProof:
        return commands.record_usefulness(
            tx,
            by=call.did,
            intent=order.intent,
            work_type=order.work_type,
            metrics=order.metrics,
            trace=order.trace,
            worked_at=order.timestamp,
            attestations=order.attestations,
            house=house,
            at=tx.at,
        )

    return call.command(write, status=201)
