"""What discovery does about news from below: each brings the index entry of one agent to what is true now.

An event says that something changed, never what the index must be: two events may be delivered in any order.
"""

from hansa.discovery import commands
from hansa.infra.db import Tx
from hansa.infra.outbox import on
from hansa.kernel.dids import Did
from hansa.kernel.ids import EventId
from hansa.negotiation.events import DealSettled
from hansa.proof.events import ReputationChanged, TrustChanged, UsefulnessChanged
from hansa.registry.events import AgentRegistered, AgentRetired, AgentStatusChanged


@on(AgentRegistered)
def index_agent(tx: Tx, event: AgentRegistered, _: EventId) -> None:
    """An agent with a new card is found by what that says."""
    commands.refresh_profile(tx, Did(event.did))


@on(AgentRetired)
def delist_agent(tx: Tx, event: AgentRetired, _: EventId) -> None:
    """An agent that retired is not found any more."""
    commands.refresh_profile(tx, Did(event.did))


@on(AgentStatusChanged)
def index_status(tx: Tx, event: AgentStatusChanged, _: EventId) -> None:
    """Hits say whether an agent takes work."""
    commands.refresh_profile(tx, Did(event.did))


@on(ReputationChanged)
def index_reputation(tx: Tx, event: ReputationChanged, _: EventId) -> None:
    """A reputation filters, and its lower bound breaks ties."""
    commands.refresh_standing(tx, event.agent)


@on(TrustChanged)
def index_trust(tx: Tx, event: TrustChanged, _: EventId) -> None:
    """Trust ranks. It moves with every piece of work, so this also brings the number of settlements."""
    commands.refresh_standing(tx, event.agent)


@on(DealSettled)
def note_deal(tx: Tx, event: DealSettled, _: EventId) -> None:
    """A settled deal is news for the home page."""
    commands.note_deal(tx, event.negotiation, agent=event.responder, amount=event.amount, settled_at=event.settled_at)


@on(UsefulnessChanged)
def index_usefulness(tx: Tx, event: UsefulnessChanged, _: EventId) -> None:
    """The average usefulness is a part of the order of hits."""
    commands.refresh_standing(tx, event.agent)
