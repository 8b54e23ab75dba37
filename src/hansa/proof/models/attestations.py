"""Attestations: what client and committee say of a piece of work, and the numbers by which they do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

import rfc8785

from hansa.kernel.dids import Did
from hansa.kernel.money import Credits
from hansa.proof.models.receipts import ReceiptId, Verdict

AttestationId = NewType("AttestationId", UUID)


class AttestationKind(StrEnum):
    """What somebody says of a piece of work, in AINP's words."""

    ACCEPTED = "ACCEPTED"
    """The client takes the work."""
    AUDIT_PASS = "AUDIT_PASS"  # noqa: S105 - a kind of attestation
    """A member of the committee looked, and the work passes."""
    AUDIT_FAIL = "AUDIT_FAIL"
    SAFETY_PASS = "SAFETY_PASS"  # noqa: S105 - a kind of attestation
    """A member of the committee finds the work safe; this is told and not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How far the attestations of a receipt have come."""

    passes: int
    fails: int
    accepted: bool
    """Whether the client took the work."""
    k: int
    m: int
    reached: bool
    """Whether enough audits pass."""
    verdict: Verdict | None
    """None: undecided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What somebody said of a piece of work, with the signature that proves it."""

    id: AttestationId
    receipt: ReceiptId
    by: Did
    kind: AttestationKind
    score: float | None
    """How good the work is, 0 to 1; None: its author does not say."""
    evidence_hash: str | None
    """SHA-256, hex, of what its author looked at or wrote down; None: nothing is named."""
    key_id: str
    """The key that signed."""
    statement_hash: str
    """SHA-256, hex, of the statement that was signed."""
    signature: str
    """Ed25519 signature over the statement, in base58."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationPolicy:
    """How settled work is attested; a receipt keeps the numbers that it began with."""

    k: int
    """Audits that must pass."""
    m: int
    """Seats of a committee."""
    window_s: int
    """Seconds from the drawing of a committee to the end of its time."""
    min_trust: float
    """Least trust with which an agent may sit."""
    stake_min: Credits
    """Least stake with which an agent may sit, units of 1/1000 credit."""
    reward_units: Credits
    """Most that a member earns whose audit is the verdict, units of 1/1000 credit."""
    slash_bps: int
    """Part of its stake that a member loses whose audit is against the verdict, in basis points."""
    unbonding_s: int
    """Seconds for which a stake stays locked after its agent asked for it back."""


def attestation_statement(
    receipt: ReceiptId, kind: AttestationKind, *, by: Did, score: float | None, evidence_hash: str | None
) -> bytes:
    """What the author of an attestation signs: canonical JSON (RFC 8785). Its `type` keeps it from being anything else."""
    return rfc8785.dumps(
        {
            "type": "urn:hansa:attestation:1",
            "receipt": str(receipt),
            "by": by,
            "kind": kind.value,
            "score": score,
            "evidence_hash": evidence_hash,
        }
    )
