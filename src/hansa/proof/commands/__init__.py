"""What can be done with work, reputation, trust, disclosures and proofs of useful work."""

from hansa.proof.commands.counting import adopt_policy, age_reputations, fold_reputation, fold_trust
from hansa.proof.commands.credentials import WorkCredential, issue_work_credential
from hansa.proof.commands.disclosures import answer_disclosure, ask_disclosure, open_disclosure
from hansa.proof.commands.evidence import note_evidence
from hansa.proof.commands.outcomes import publish_work, record_outcome
from hansa.proof.commands.usefulness import record_usefulness, refresh_usefulness

__all__ = [
    "WorkCredential",
    "adopt_policy",
    "age_reputations",
    "answer_disclosure",
    "ask_disclosure",
    "fold_reputation",
    "fold_trust",
    "issue_work_credential",
    "note_evidence",
    "open_disclosure",
    "publish_work",
    "record_outcome",
    "record_usefulness",
    "refresh_usefulness",
]
