"""Facts that identity publishes."""

from dataclasses import dataclass
from typing import ClassVar

from hansa.kernel.events import Event, event


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEnded(Event):
    """A key of a DID was rotated away or revoked: what was granted to it must end too."""

    name: ClassVar[str] = "identity.key_ended"

    did: str
    kid: str
    key_hash: str
    reason: str
    """rotated, retired or compromised."""
    replaced_by: str | None
    """Key id of the new key; None: the DID can sign nothing any more."""

    def ordering_key(self) -> str:
        return self.did
