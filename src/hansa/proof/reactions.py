"""Proof reacts to its own evidence: scores follow a settlement, they do not hold it up."""

from hansa.infra.db import Tx
from hansa.infra.outbox import on
from hansa.kernel.ids import EventId
from hansa.proof import commands
from hansa.proof.events import EvidenceNoted, OutcomeRecorded


@on(OutcomeRecorded)
def fold_reputation(tx: Tx, event: OutcomeRecorded, event_id: EventId) -> None:
    """Count the settlement towards the reputation of its agent."""
    del event_id  # the evidence itself knows whether it was counted
    commands.fold_reputation(tx, event.ref, at=tx.at)


@on(OutcomeRecorded)
def fold_trust(tx: Tx, event: OutcomeRecorded, event_id: EventId) -> None:
    """Count the work towards the trust in its agent."""
    del event_id  # the evidence itself knows whether it was counted
    commands.fold_trust(tx, event.ref)


@on(EvidenceNoted)
def fold_evidence(tx: Tx, event: EvidenceNoted, event_id: EventId) -> None:
    """Count an attestation or a decided dispute towards the trust in its agent."""
    del event_id  # the evidence itself knows whether it was counted
    commands.fold_trust(tx, event.ref)
