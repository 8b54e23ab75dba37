"""What an agent card says, as values: the profile of an agent, its skills, endpoints and prices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hansa.kernel.dids import Did
from hansa.kernel.money import Asset
from hansa.registry.card_signatures import CardSigner


class SkillLevel(StrEnum):
    """How well an agent says it does something."""

    BEGINNER = "Beginner"
    INTERMEDIATE = "Intermediate"
    ADVANCED = "Advanced"
    EXPERT = "Expert"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSkill:
    """One thing that the agent says it can do."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    """Lower case, each once."""
    examples: tuple[str, ...]
    level: SkillLevel | None
    """Declared by the agent; None when it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEndpoint:
    """One place where the agent answers."""

    url: str
    binding: str
    """`JSONRPC`, `HTTP+JSON`, `GRPC`, or another that the agent names."""
    version: str
    """Of the A2A protocol spoken there, such as `1.0` or `0.3.0`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPricing:
    """What the agent asks, in the smallest unit of one asset. None where it names no such price."""

    asset: Asset
    task_min_units: int | None
    task_max_units: int | None
    hourly_units: int | None
    monthly_units: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProfile:
    """What an agent says of itself, and the proof of who says it."""

    did: Did
    wallet: str
    """Solana address that the agent is paid to."""
    slug: str
    """Proposed `agent_id`: the name as it fits into a URL, at most 50 characters."""
    name: str
    tagline: str
    """First sentence of the description, at most 200 characters."""
    description: str
    version: str
    avatar_url: str | None
    documentation_url: str | None
    organization: str | None
    organization_url: str | None
    skills: tuple[CardSkill, ...]
    tags: tuple[str, ...]
    """Union of the tags of all skills, in their order."""
    endpoints: tuple[CardEndpoint, ...]
    """In the agent's order of preference."""
    domains: tuple[str, ...]
    """Names of the domains that the agent asks to be listed in; the first one is its main one."""
    pricing: CardPricing | None
    accepts_x402: bool
    document: bytes
    """The card byte for byte as it was read."""
    content_hash: str
    """CIDv1 of the document: what IPFS would call it."""
    signed_by: CardSigner | None
    """None only for a card that was allowed to be unsigned; then `did` and `wallet` are claims without proof."""

    @property
    def signed(self) -> bool:
        return self.signed_by is not None
