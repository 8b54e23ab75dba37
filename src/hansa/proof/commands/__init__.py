"""What can be done with work, reputation, trust, disclosures, proofs of useful work and their rewards."""

from hansa.proof.commands.counting import adopt_policy, age_reputations, fold_reputation, fold_trust
from hansa.proof.commands.credentials import WorkCredential, issue_work_credential
from hansa.proof.commands.disclosures import answer_disclosure, ask_disclosure, open_disclosure
from hansa.proof.commands.evidence import note_evidence
from hansa.proof.commands.outcomes import publish_work, record_outcome
from hansa.proof.commands.receipts import attest, draw_committee
from hansa.proof.commands.rewards import (
    epoch_before,
    open_reward_epoch,
    pay_rewards,
    reward,
    reward_policy,
    set_reward_policy,
)
from hansa.proof.commands.stakes import lock_stake, tend_stakes, unlock_stake
from hansa.proof.commands.usefulness import record_usefulness, refresh_usefulness
from hansa.proof.commands.verdicts import due_receipt, finalise, pay_attesters, set_attestation_policy

__all__ = [
    "WorkCredential",
    "adopt_policy",
    "age_reputations",
    "answer_disclosure",
    "ask_disclosure",
    "attest",
    "draw_committee",
    "due_receipt",
    "epoch_before",
    "finalise",
    "fold_reputation",
    "fold_trust",
    "issue_work_credential",
    "lock_stake",
    "note_evidence",
    "open_disclosure",
    "open_reward_epoch",
    "pay_attesters",
    "pay_rewards",
    "publish_work",
    "record_outcome",
    "record_usefulness",
    "refresh_usefulness",
    "reward",
    "reward_policy",
    "set_attestation_policy",
    "set_reward_policy",
    "tend_stakes",
    "unlock_stake",
]
