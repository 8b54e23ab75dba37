"""What negotiation does about news from below."""

from hansa.credits.events import HoldLapsed
from hansa.infra.db import Tx
from hansa.infra.outbox import on
from hansa.kernel.ids import EventId
from hansa.negotiation import commands


@on(HoldLapsed)
def end_unsettled_deal(tx: Tx, event: HoldLapsed, _: EventId) -> None:
    """A deal whose money went back to the payer is over."""
    if event.purpose_kind == "negotiation":
        commands.lapse(tx, event)
