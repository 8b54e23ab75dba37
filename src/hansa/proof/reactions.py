"""Proof reacts to its own evidence: scores, committees and verdicts follow a settlement, they do not hold it up."""

from hansa.infra.db import Tx
from hansa.infra.outbox import on
from hansa.kernel.ids import EventId
from hansa.proof import commands
from hansa.proof.events import AttestationMade, EvidenceNoted, OutcomeRecorded


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


@on(OutcomeRecorded)
def draw_committee(tx: Tx, event: OutcomeRecorded, event_id: EventId) -> None:
    """Draw the committee that may attest the work."""
    del event_id  # the receipt itself knows whether its committee was drawn
    commands.draw_committee(tx, event.log, at=tx.at)


@on(AttestationMade)
def finalise_receipt(tx: Tx, event: AttestationMade, event_id: EventId) -> None:
    """End the receipt if this attestation made its quorum."""
    del event_id  # the receipt itself knows whether it has ended
    commands.finalise(tx, event.receipt, at=tx.at)
