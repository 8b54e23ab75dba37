"""Disclosures: somebody asks for claims about a piece of work, and its agent shows them."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType
from uuid import UUID

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import UserId, WorkLogId

DisclosureId = NewType("DisclosureId", UUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureRequest:
    """Somebody asks an agent to show claims about one piece of its work."""

    id: DisclosureId
    log: WorkLogId
    agent: Did
    requested_by_did: Did | None
    requested_by_user: UserId | None
    audience: str
    """The verifier for whom the agent must sign its presentation."""
    nonce: str
    """What the presentation must repeat."""
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    """When a presentation was verified; None: not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPresentation:
    """A verified presentation as it is stored."""

    id: UUID
    claims: list[str]
    presentation_hash: str
    encrypted_data: bytes
    verified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What an agent showed about its work, verified."""

    disclosed: list[str]
    """Names of the claims that the agent chose to show."""
    claims: JsonObject
    """All claims that the presentation proves, the ones never hidden among them."""
    presentation: str
    """The presentation itself, for whoever wants to verify it with another program."""
    presentation_hash: str
    """SHA-256, hex, of the presentation."""
    verified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A disclosure request and, once it was answered, what was shown."""

    request: DisclosureRequest
    presentation: Presentation | None
