"""Work over HTTP: history, publishing it, and credentials over it."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from hansa.infra.db import Page, Tx
from hansa.infra.web import AnyCall, Limit, SignedCall
from hansa.kernel.dids import parse_did
from hansa.kernel.ids import WorkLogId
from hansa.proof import commands, queries
from hansa.proof.models import WorkEntry, WorkLog
from hansa.proof.routes.parties import agent_behind, house_key
from hansa.registry.queries import agent_of

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialOrder:
    key_id: str | None = None
    """Which of the agent's keys will present the credential; left out, the one that counts now."""


@router.get("/api/agents/{did}/work", response_model=Page[WorkEntry])
def work_history(did: str, call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """Settled work of an agent, newest first: hashes for everybody, content where it is public or the caller's own."""
    reader, keys = agent_behind(call), call.services.keys

    def read(tx: Tx) -> Page[WorkEntry]:
        agent = agent_of(tx, parse_did(did))
        return queries.work_of(tx, keys, agent.did, reader=reader, before=after, limit=limit)

    return call.query(read)


@router.get("/api/work", response_model=list[WorkLog])
def work_by_hash(zkp_hash: Annotated[str, Query(pattern="^[0-9a-f]{64}$")], call: AnyCall) -> Response:
    """Which work a proof with this hash is about."""
    return call.query(lambda tx: queries.work_by_hash(tx, zkp_hash))


@router.get("/api/work/{log}", response_model=WorkEntry)
def work(log: WorkLogId, call: AnyCall) -> Response:
    """One piece of settled work, with its content where it is public or the caller's own."""
    reader, keys = agent_behind(call), call.services.keys
    return call.query(lambda tx: queries.work_entry(tx, keys, log, reader=reader))


@router.post("/api/work/{log}/publish", response_model=WorkLog)
def publish(log: WorkLogId, call: SignedCall) -> Response:
    """Let everybody read one piece of the signing agent's work; this cannot be taken back."""
    return call.command(lambda tx: commands.publish_work(tx, log, by=call.did))


@router.post("/api/work/{log}/credential", response_model=commands.WorkCredential)
def credential(log: WorkLogId, call: SignedCall, order: CredentialOrder | None = None) -> Response:
    """A credential over one piece of the signing agent's work, whose claims it can show one by one."""
    house, key_id = house_key(call.services.settings), order and order.key_id

    def write(tx: Tx) -> commands.WorkCredential:
        return commands.issue_work_credential(
            tx, call.services.keys, log, by=call.did, house=house, key_id=key_id, at=tx.at
        )

    return call.command(write)
