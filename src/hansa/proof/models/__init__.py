"""Rows and values of proof."""

from hansa.proof.models.attestations import (
    Attestation,
    AttestationId,
    AttestationKind,
    AttestationPolicy,
    Quorum,
    attestation_statement,
)
from hansa.proof.models.disclosures import Disclosure, DisclosureId, DisclosureRequest, Presentation, SealedPresentation
from hansa.proof.models.receipts import (
    CommitteeDraw,
    Finding,
    Receipt,
    ReceiptId,
    ReceiptState,
    ReceiptSummary,
    SeatFinding,
    Verdict,
)
from hansa.proof.models.reputation import Difference, Explanation, Ranked, Reputation, Rescored, UpdateTrigger
from hansa.proof.models.rewards import Reward, RewardEpoch, RewardPolicy
from hansa.proof.models.stakes import Stake
from hansa.proof.models.trust import CONFIRMED, REFUTED, Evidence, EvidenceCount, EvidenceKind, Trust, TrustMove
from hansa.proof.models.usefulness import (
    Usefulness,
    UsefulnessId,
    UsefulnessOfType,
    UsefulnessProof,
    UsefulnessRefreshed,
    WorkType,
)
from hansa.proof.models.work import AttestationSource, DisclosureLevel, Outcome, SealedWork, WorkEntry, WorkLog

__all__ = [
    "CONFIRMED",
    "REFUTED",
    "Attestation",
    "AttestationId",
    "AttestationKind",
    "AttestationPolicy",
    "AttestationSource",
    "CommitteeDraw",
    "Difference",
    "Disclosure",
    "DisclosureId",
    "DisclosureLevel",
    "DisclosureRequest",
    "Evidence",
    "EvidenceCount",
    "EvidenceKind",
    "Explanation",
    "Finding",
    "Outcome",
    "Presentation",
    "Quorum",
    "Ranked",
    "Receipt",
    "ReceiptId",
    "ReceiptState",
    "ReceiptSummary",
    "Reputation",
    "Rescored",
    "Reward",
    "RewardEpoch",
    "RewardPolicy",
    "SealedPresentation",
    "SealedWork",
    "SeatFinding",
    "Stake",
    "Trust",
    "TrustMove",
    "UpdateTrigger",
    "Usefulness",
    "UsefulnessId",
    "UsefulnessOfType",
    "UsefulnessProof",
    "UsefulnessRefreshed",
    "Verdict",
    "WorkEntry",
    "WorkLog",
    "WorkType",
    "attestation_statement",
]
