"""Facts that negotiation publishes."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hansa.kernel.dids import Did
from hansa.kernel.events import Event, event
from hansa.kernel.ids import IntentId, NegotiationId, WorkLogId
from hansa.kernel.money import Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationEvent(Event):
    """Something happened in a negotiation; events of one negotiation keep their order."""

    negotiation: NegotiationId
    initiator: Did
    responder: Did

    def ordering_key(self) -> str:
        return f"negotiation:{self.negotiation}"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class DealOpened(NegotiationEvent):
    name: ClassVar[str] = "negotiation.deal_opened"

    intent: IntentId
    price: Credits


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalMade(NegotiationEvent):
    name: ClassVar[str] = "negotiation.proposal_made"

    round: int
    by: Did
    price: Credits


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class DealAccepted(NegotiationEvent):
    name: ClassVar[str] = "negotiation.deal_accepted"

    price: Credits


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class DealRejected(NegotiationEvent):
    name: ClassVar[str] = "negotiation.deal_rejected"

    by: Did
    reason: str


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class DealExpired(NegotiationEvent):
    """Nobody accepted in time, or nobody settled before the hold lapsed."""

    name: ClassVar[str] = "negotiation.deal_expired"

    was_accepted: bool


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class DealSettled(NegotiationEvent):
    name: ClassVar[str] = "negotiation.deal_settled"

    intent: IntentId
    amount: Credits
    agent_units: Credits
    work_log: WorkLogId
    settled_at: datetime
