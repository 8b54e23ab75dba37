"""Receipts over HTTP: reading them, and attesting the work."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from hansa.infra.db import Page, Tx
from hansa.infra.web import AnyCall, Limit, SignedCall
from hansa.kernel.dids import parse_did
from hansa.proof import commands, queries
from hansa.proof.models import (
    Attestation,
    AttestationKind,
    CommitteeDraw,
    Finding,
    Quorum,
    Receipt,
    ReceiptId,
    ReceiptState,
    ReceiptSummary,
)
from hansa.registry.queries import agent_of

router = APIRouter()


class ReceiptRole(StrEnum):
    """In which role the caller asks for its receipts."""

    PARTY = "party"
    COMMITTEE = "committee"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptAnswer:
    """A receipt with all that was said about it."""

    receipt: Receipt
    quorum: Quorum
    attestations: list[Attestation]
    """Each with the signature that proves it."""
    findings: list[Finding]
    """How the members of the committee did; empty while the receipt is pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationOrder:
    """What the signing agent says of the work, and its signature over that."""

    kind: AttestationKind
    signature: str
    """Ed25519 in base58, over canonical JSON (RFC 8785) of `type` (`urn:hansa:attestation:1`), `receipt`, `by`, `kind`,
    `score` and `evidence_hash`, null where left out."""
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    """How good the work is, 0 to 1."""
    evidence_hash: str | None = None
    """SHA-256, hex, of what was looked at or written down."""
    key_id: str | None = None
    """Which of the agent's keys signed; left out, the one that counts now."""


@router.get("/api/receipts", response_model=Page[Receipt])
def receipts(
    call: SignedCall,
    role: ReceiptRole = ReceiptRole.PARTY,
    state: ReceiptState | None = None,
    after: UUID | None = None,
    limit: Limit = 50,
) -> Response:
    """Receipts of work that the signing agent did or paid, or, as `committee`, those that it may audit; newest first."""
    read = queries.receipts_of_party if role is ReceiptRole.PARTY else queries.receipts_to_audit
    return call.query(lambda tx: read(tx, call.did, state=state, before=after, limit=limit))


@router.get("/api/receipts/{receipt}", response_model=ReceiptAnswer)
def receipt(receipt: ReceiptId, call: SignedCall) -> Response:
    """A receipt with its attestations and how far its quorum has come, for its two parties and its committee."""

    def read(tx: Tx) -> ReceiptAnswer:
        found = queries.receipt_of(tx, receipt)
        return ReceiptAnswer(
            receipt=found,
            quorum=queries.quorum_of(tx, receipt),
            attestations=queries.attestations_of(tx, receipt),
            findings=queries.findings_of(tx, receipt),
        )

    return call.query(read)


@router.get("/api/receipts/{receipt}/committee", response_model=CommitteeDraw)
def committee(receipt: ReceiptId, call: SignedCall) -> Response:
    """What a committee was drawn from and with, for its two parties and itself: enough to draw it again."""
    return call.query(lambda tx: queries.committee_draw(tx, receipt))


@router.post("/api/receipts/{receipt}/attestations", response_model=Attestation, status_code=201)
def attest(receipt: ReceiptId, order: AttestationOrder, call: SignedCall) -> Response:
    """Accept the work as its client, or audit it as a member of its committee, while the receipt is pending."""

    def write(tx: Tx) -> Attestation:
        return commands.attest(
            tx,
            receipt,
            order.kind,
            by=call.did,
            signature=order.signature,
            score=order.score,
            evidence_hash=order.evidence_hash,
            key_id=order.key_id,
            at=tx.at,
        )

    return call.command(write, status=201)


@router.get("/api/agents/{did}/receipts", response_model=Page[ReceiptSummary])
def receipts_of_agent(did: str, call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """How the work of an agent was attested, newest first; for everybody, so nothing tells who paid for it."""

    def read(tx: Tx) -> Page[ReceiptSummary]:
        return queries.receipts_of_agent(tx, agent_of(tx, parse_did(did)).did, before=after, limit=limit)

    return call.query(read)
