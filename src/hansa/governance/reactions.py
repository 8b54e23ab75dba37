"""Governance keeps the standing of role agents in step with the trust that their agents earn."""

from hansa.governance import commands
from hansa.infra.db import Tx
from hansa.infra.outbox import on
from hansa.kernel.ids import EventId
from hansa.proof.events import TrustChanged


@on(TrustChanged)
def keep_standing(tx: Tx, event: TrustChanged, event_id: EventId) -> None:
    """Write the new trust on every role that the agent plays."""
    del event_id  # writing the same score twice is the same as once
    commands.note_trust(tx, event.agent, event.score, at=tx.at)
