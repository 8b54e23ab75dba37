"""Trust over HTTP: yes or no, why, and the evidence behind it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from hansa.infra.db import Page, Tx
from hansa.infra.web import AnyCall, Limit
from hansa.kernel.dids import parse_did
from hansa.proof import queries
from hansa.proof.models import Trust, TrustMove
from hansa.proof.routes.parties import agent_behind
from hansa.registry.queries import agent_of

router = APIRouter()


MoveCursor = Annotated[str, Query(pattern="^p[0-9]{1,18}$")]
"""Where a page of trust evidence ended; a bare number in `after` would be an event whose reactions to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnswer:
    """Whether an agent is trusted enough, and why."""

    trusted: bool
    reason: str
    trust: Trust


@router.get("/api/agents/{did}/trust", response_model=TrustAnswer)
def trust(did: str, call: AnyCall, least: Annotated[float, Query(alias="min", ge=0, le=1)] = 0.7) -> Response:
    """Yes or no: is this agent trusted at least as much as `min`, now? With the reason and what it stands on."""

    def read(tx: Tx) -> TrustAnswer:
        found = queries.trust_of(tx, agent_of(tx, parse_did(did)).did, tx.at)
        return TrustAnswer(trusted=is_enough(found, least), reason=reason_of(found, least), trust=found)

    return call.query(read)


@router.get("/api/agents/{did}/trust/events", response_model=Page[TrustMove])
def trust_events(did: str, call: AnyCall, after: MoveCursor | None = None, limit: Limit = 50) -> Response:
    """The evidence behind the trust in an agent, the last counted first: what each piece said and how far it counts."""
    reader, before = agent_behind(call), int(after[1:]) if after else None

    def read(tx: Tx) -> Page[TrustMove]:
        return queries.trust_moves(tx, agent_of(tx, parse_did(did)).did, reader=reader, before=before, limit=limit)

    return call.query(read)


def is_enough(trust: Trust, least: float) -> bool:
    """Whether trust reaches a minimum; the neutral 0.5 is a sum of four products and may miss 0.5 by binary dust."""
    return round(trust.score, 9) >= least


def reason_of(trust: Trust, least: float) -> str:
    """Why an agent is trusted enough or not: the verdict, the weakest dimension, and what it all stands on."""
    verdict = "reaches" if is_enough(trust, least) else "is below"
    if trust.last_updated is None:
        return f"nothing is known about this agent: the neutral {trust.score:.3f} {verdict} {least:.3f}"
    dimensions = {
        "reliability": trust.reliability,
        "honesty": trust.honesty,
        "competence": trust.competence,
        "timeliness": trust.timeliness,
    }
    weakest = min(dimensions, key=dimensions.__getitem__)
    return (
        f"trust {trust.score:.3f} {verdict} {least:.3f}; weakest is {weakest} with {dimensions[weakest]:.3f}; "
        f"evidence: {trust.evidence.work} settled work, {trust.evidence.attestations} attested, "
        f"{trust.evidence.disputes} disputed, the newest of {trust.last_updated:%Y-%m-%d %H:%M} UTC"
    )
