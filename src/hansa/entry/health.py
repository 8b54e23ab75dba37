"""Probes: is the process there, and can it serve."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import Response

from hansa import __version__
from hansa.infra.db import Query, Tx
from hansa.infra.web import AnyCall, json_response

router = APIRouter(tags=["operation"])

WORKER_SILENCE_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The process answers."""

    status: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether requests can be served, and what is missing if not."""

    ready: bool
    database: bool
    migrations: bool
    """The schema is the one that this version of the code was made for."""
    worker: bool
    """A worker gave a sign of life in the last 15 seconds."""
    undelivered_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the database knows about the state of the house."""

    applied: list[str]
    worker_beat_at: datetime | None
    """Last sign of life of any worker; None: none ever."""
    undelivered: int


SIGNS = Query(
    Signs,
    """
    SELECT (SELECT coalesce(array_agg(revision.id ORDER BY revision.id), '{}') FROM mig.revisions AS revision) AS applied,
           (SELECT max(heartbeat.beat_at) FROM ops.heartbeats AS heartbeat) AS worker_beat_at,
           (SELECT count(*) FROM ops.outbox WHERE delivered_at IS NULL) AS undelivered
    """,
)


@router.get("/healthz", response_model=Health)
def healthz() -> Response:
    """The process answers; says nothing about what it depends on."""
    return json_response(Health(status="ok", version=__version__))


@router.get("/readyz", response_model=Readiness)
def readyz(call: AnyCall) -> Response:
    """Requests can be served: database, schema and worker are there. 503 when not."""
    with call.services.db.transaction(call.actor) as tx:
        found = readiness(tx)
    return json_response(found, 200 if found.ready else 503)


def readiness(tx: Tx) -> Readiness:
    """What is there and what is missing."""
    from hansa.migrations import names

    signs = tx.one(SIGNS)
    beat = signs.worker_beat_at
    worker = beat is not None and (tx.at - beat).total_seconds() < WORKER_SILENCE_S
    migrations = signs.applied == names()
    return Readiness(
        ready=worker and migrations,
        database=True,
        migrations=migrations,
        worker=worker,
        undelivered_events=signs.undelivered,
    )
