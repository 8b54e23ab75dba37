"""Rows and values of identity."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from hansa.kernel.dids import Did, did_key
from hansa.kernel.ids import UserId


class Role(StrEnum):
    """What an account is here for."""

    DEVELOPER = "developer"
    MARKETPLACE = "marketplace"
    END_USER = "end_user"


class KeyPurpose(StrEnum):
    AUTHENTICATION = "authentication"
    """Signs requests."""
    ASSERTION = "assertion"
    """Signs cards and attestations."""


class KeyEnd(StrEnum):
    """Why a key does not count any more."""

    ROTATED = "rotated"
    RETIRED = "retired"
    COMPROMISED = "compromised"
    """Nothing it ever signed counts, because nobody knows who signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account: one wallet, and whoever is behind it."""

    id: UserId
    solana_did: Did
    """did:sol of the key with which the account began."""
    wallet_address: str
    """Solana address of the key that counts now."""
    username: str | None
    email: str | None
    """None until given and confirmed."""
    role: Role
    avatar_url: str | None
    bio: str | None
    created_at: datetime
    updated_at: datetime
    last_active: datetime | None
    """When the person last signed in; None: never did."""
    is_verified: bool
    """Whether an operator knows who stands behind the account; a signature alone makes nobody known."""
    reputation_score: int
    """Standing as a payer, 0 (nothing known) and up."""
    total_spent: Decimal
    """All that was ever paid from this account, in whole units with nine decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DidKey:
    """A key of a DID, and from when to when it counts."""

    did: Did
    kid: str
    """DID URL under which signatures name the key."""
    key_hash: str
    """sha256 of the public key in hexadecimal."""
    purposes: list[KeyPurpose]
    valid_from: datetime | None
    """None: from the beginning, because the DID is made of this key."""
    revoked_at: datetime | None
    """None: it counts."""
    reason: KeyEnd | None
    replaced_by: str | None
    """Key id of the key that came after it; None: none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInChallenge:
    """What a wallet is asked to sign."""

    message: str
    """To be signed byte for byte."""
    nonce: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that was opened."""

    token: str
    """Bearer token; shown this once and kept nowhere."""
    expires_at: datetime
    user: User


def key_id_of(did: Did, public_key: bytes) -> str:
    """The key id of a key that a DID gets later on: its fragment is the key itself."""
    return f"{did}#{did_key(public_key).removeprefix('did:key:')}"


def rotation_statement(did: Did, new_key: bytes) -> bytes:
    """What a new key signs to show that its holder agrees to become the key of a DID."""
    return f"Hansa key rotation\nDID: {did}\nNew key: {key_id_of(did, new_key)}".encode()
