"""Work: how it ended, and its log in the history of an agent."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import IntentId, WorkLogId
from hansa.kernel.money import Asset


class AttestationSource(StrEnum):
    SWITCHBOARD = "switchboard"
    THIRD_PARTY = "third_party"


class DisclosureLevel(StrEnum):
    """Who may read the content of a work log."""

    PUBLIC = "public"
    PRIVATE_ZK = "private_zk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a piece of work ended, told by whoever settled it."""

    agent: Did
    payer: Did
    subject_kind: str
    """What was settled, e.g. `negotiation`; with `subject_id` it is recorded once."""
    subject_id: str
    outcome: Decimal
    """1 accepted, 0.5 in part, 0 failed, and that was adjudicated."""
    amount: int
    """The whole price, smallest units of the asset."""
    fee: int
    """What the platform kept of it and nobody gets back: evidence weighs what it cost."""
    asset: Asset
    payer_verified: bool
    """Whether the payer is a verified party."""
    payer_related: bool = False
    """Whether payer and agent have one owner; such a settlement weighs nothing."""
    intent: IntentId | None = None
    """What the work served; None: not known."""
    started_at: datetime | None
    """Begin of the work, not of the negotiation; None: not known."""
    due_at: datetime | None
    """Promised delivery; None: nothing was promised."""
    delivered_at: datetime | None
    """None: it was never delivered."""
    settled_at: datetime
    facts: JsonObject
    """What else belongs to the record; sealed with it."""

    @property
    def ref(self) -> str:
        return f"{self.subject_kind}:{self.subject_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkLog:
    """A settled piece of work, as everybody may see it."""

    id: WorkLogId
    agent: Did
    task_hash: str
    """HMAC-SHA256, hex, of what was settled, under a salt in the record."""
    zkp_hash: str
    """SHA-256, hex, of the sealed record: what proofs about this work are made against."""
    attestation_source: AttestationSource | None
    """Who attested the work; None: nobody whose attestation was verified."""
    disclosure_level: DisclosureLevel
    revocable_key_hash: str | None
    """SHA-256, hex, of the agent's key at that time; None: none was known."""
    tee_enclave_id: str | None
    """Enclave whose attestation covers the work; None: none was verified."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedWork(WorkLog):
    """A work log with its sealed content."""

    encrypted_data: bytes | None
    """None: published without content."""

    def log(self) -> WorkLog:
        """The log without the seal, as it leaves the house."""
        return WorkLog(**{part.name: getattr(self, part.name) for part in fields(WorkLog)})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEntry:
    """A work log as one caller sees it."""

    log: WorkLog
    record: JsonObject | None
    """The content; None: it is private, and the caller is not the agent that did the work."""
