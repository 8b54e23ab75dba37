"""Facts that negotiation publishes."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hansa.kernel.dids import Did
from hansa.kernel.events import Event, event
from hansa.kernel.ids import GroupId, IntentId, NegotiationId, WorkLogId
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvent(Event):
    """Something happened in a group; events of one group keep their order."""

    group: GroupId
    payer: Did
    members: list[Did]
    """Who takes part, the payer too."""

    def ordering_key(self) -> str:
        return f"group:{self.group}"


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOpened(GroupEvent):
    name: ClassVar[str] = "negotiation.group_opened"

    intent: IntentId
    rule: str


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProposed(GroupEvent):
    name: ClassVar[str] = "negotiation.group_proposed"

    round: int
    by: Did
    price: Credits


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupVoted(GroupEvent):
    name: ClassVar[str] = "negotiation.group_voted"

    round: int
    by: Did
    approves: bool


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLeft(GroupEvent):
    """A worker left and is no longer among the members; what was on the table is not any more."""

    name: ClassVar[str] = "negotiation.group_left"

    by: Did


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAgreed(GroupEvent):
    name: ClassVar[str] = "negotiation.group_agreed"

    round: int
    price: Credits
    """Held for all who are bound."""
    deals: dict[str, NegotiationId]
    """DID of each worker that is bound -> its negotiation."""


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEnded(GroupEvent):
    """A group ended without an agreement."""

    name: ClassVar[str] = "negotiation.group_ended"

    state: str
    """rejected: by the payer, or because all workers left; expired: its time is over."""
    reason: str
