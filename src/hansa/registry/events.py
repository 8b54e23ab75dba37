"""Facts that the registry publishes."""

from dataclasses import dataclass
from typing import ClassVar

from hansa.kernel.events import Event, event


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHint:
    """What an agent asks, in the smallest unit of one asset; None where it offers no such price."""

    asset: str
    task_min_units: int | None
    task_max_units: int | None
    hourly_units: int | None
    monthly_units: int | None


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRegistered(Event):
    """An agent is here with a new card, or is back from retirement with the card it had."""

    name: ClassVar[str] = "registry.agent_registered"

    did: str
    agent_id: str
    agent_name: str
    card_version: int
    status: str
    skills: tuple[str, ...]
    """Names of the skills."""
    tags: tuple[str, ...]
    """Tags of the skills, lower case."""
    domains: tuple[str, ...]
    """Names of the domains, the primary one first."""
    tagline: str
    text: str
    """Description of the agent and of each of its skills, for search."""
    price: PriceHint | None
    """None: the card names no prices."""
    accepts_x402: bool

    def ordering_key(self) -> str:
        return self.did


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatusChanged(Event):
    """An agent says that it is available, busy or offline now."""

    name: ClassVar[str] = "registry.agent_status_changed"

    did: str
    status: str

    def ordering_key(self) -> str:
        return self.did


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRetired(Event):
    """An agent withdrew, or was not heard of within its time to live."""

    name: ClassVar[str] = "registry.agent_retired"

    did: str
    agent_id: str
    reason: str
    """withdrawn or expired."""

    def ordering_key(self) -> str:
        return self.did
