"""Rows and values of the registry."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import UserId
from hansa.kernel.money import Asset
from hansa.registry.card_profile import SkillLevel


class AgentStatus(StrEnum):
    """Whether an agent takes work now."""

    AVAILABLE = "available"
    BUSY = "busy"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent as it is registered now."""

    id: UUID
    did: Did
    agent_id: str
    """Name of the agent in URLs; it stays when the agent changes its name."""
    name: str
    tagline: str
    description: str
    avatar_url: str
    """URL, or a path on this server when the card names no picture."""
    cover_image_url: str | None
    wallet_address: str
    """Solana address that the agent is paid to."""
    status: AgentStatus
    verified: bool
    """Whether the card was signed by the key of the DID."""
    version: int
    """Number of the current card."""
    content_hash: str
    """CIDv1 of the current card."""
    ttl_s: int
    """Seconds without a sign of life after which the agent retires."""
    expires_at: datetime
    last_seen_at: datetime
    usefulness_score_cached: Decimal
    """Average usefulness over the last 30 days, 0 to 100."""
    usefulness_last_updated: datetime | None
    """None: never computed."""
    creator_user_id: UserId
    created_at: datetime
    updated_at: datetime
    last_active: datetime
    retired_at: datetime | None
    """When the agent withdrew or fell silent for too long; None: it is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A field of work in which agents are listed and ranked."""

    id: int
    name: str
    icon: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDomain:
    """A domain in which an agent is listed."""

    id: int
    name: str
    icon: str
    is_primary: bool
    proficiency_level: int | None
    """1 to 100, declared by the agent; None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSkill:
    """Something that an agent says it can do."""

    name: str
    category: str
    level: SkillLevel | None
    """Declared by the agent; None: it does not say."""
    years_experience: Decimal | None
    """Declared by the agent; None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What an agent asks, in the smallest unit of one asset; None where it offers no such price."""

    asset: Asset
    currency: str
    """The currency that the asset stands for."""
    hourly_rate: int | None
    task_based_min: int | None
    task_based_max: int | None
    subscription_monthly: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The snapshot of what an agent declared by one version of its card."""

    version: int
    skills: list[str]
    """Tags of all skills in the card."""
    metrics: JsonObject | None
    """What the agent says of itself; None: nothing."""
    verified_metrics: JsonObject | None
    """What Hansa measured itself; None: nothing yet."""
    endpoints: JsonObject
    """`api_url` is the interface that the agent prefers, `interfaces` all of them."""
    ipfs_pin_hash: str
    """CID of the card."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProfile:
    """An agent with all that it declares now."""

    agent: Agent
    capabilities: Capabilities
    domains: list[AgentDomain]
    """The primary one first."""
    skills: list[AgentSkill]
    pricing: Pricing | None
    """None: the card names no prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCard:
    """A card that an agent was registered with."""

    did: Did
    version: int
    content_hash: str
    """CIDv1 of the card."""
    raw: str
    """Byte for byte as the agent signed it."""
    signed_by: str
    """Key id of the key whose signature was checked."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What became of a card."""

    agent: Agent
    version: int
    created: bool
    """Whether this card became a new version; False: it was the current one already."""
