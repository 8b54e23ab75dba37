"""What can be read of work, reputation, trust, disclosures, useful work, receipts, stakes and rewards."""

from hansa.proof.queries.attestations import ATTESTATION_COLUMNS, attestation_policy, attestations_of, quorum_of
from hansa.proof.queries.disclosures import (
    REQUEST_COLUMNS,
    disclosure_request,
    disclosure_requests,
    sealed_presentation,
)
from hansa.proof.queries.receipts import (
    committee_draw,
    findings_of,
    receipt_of,
    receipts_of_agent,
    receipts_of_party,
    receipts_to_audit,
)
from hansa.proof.queries.reputation import best_reputations, counted, pending, recompute, reputation_of
from hansa.proof.queries.rewards import open_reward_epochs, reward_epoch, reward_epochs, rewards_of, unpaid_rewards
from hansa.proof.queries.stakes import stake_of
from hansa.proof.queries.trust import trust_moves, trust_of
from hansa.proof.queries.usefulness import USEFULNESS_COLUMNS, usefulness_of, usefulness_proofs
from hansa.proof.queries.work import sealed_work, work_by_hash, work_entry, work_log, work_of, work_of_subject

__all__ = [
    "ATTESTATION_COLUMNS",
    "REQUEST_COLUMNS",
    "USEFULNESS_COLUMNS",
    "attestation_policy",
    "attestations_of",
    "best_reputations",
    "committee_draw",
    "counted",
    "disclosure_request",
    "disclosure_requests",
    "findings_of",
    "open_reward_epochs",
    "pending",
    "quorum_of",
    "receipt_of",
    "receipts_of_agent",
    "receipts_of_party",
    "receipts_to_audit",
    "recompute",
    "reputation_of",
    "reward_epoch",
    "reward_epochs",
    "rewards_of",
    "sealed_presentation",
    "sealed_work",
    "stake_of",
    "trust_moves",
    "trust_of",
    "unpaid_rewards",
    "usefulness_of",
    "usefulness_proofs",
    "work_by_hash",
    "work_entry",
    "work_log",
    "work_of",
    "work_of_subject",
]
