"""What can be read of accounts and keys."""

import hashlib
from datetime import datetime
from typing import LiteralString

from hansa.identity.errors import DidWithoutKey, SessionEnded, UserUnknown
from hansa.identity.models import DidKey, User
from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did, did_public_key, key_id
from hansa.kernel.ids import UserId

USER_COLUMNS: LiteralString = """
    id, solana_did, wallet_address, username, email, role, avatar_url, bio, created_at, updated_at, last_active,
    is_verified, reputation_score, total_spent
"""
KEY_COLUMNS: LiteralString = (
    "did, kid, key_hash, purposes::text[] AS purposes, valid_from, revoked_at, reason, replaced_by"
)

USER = Query(User, f"SELECT {USER_COLUMNS} FROM identity.users WHERE id = %(user)s")

USER_OF_DID = Query(
    User,
    f"""
    SELECT {USER_COLUMNS}
      FROM identity.users
     WHERE id = (SELECT user_id FROM identity.user_dids WHERE did = %(did)s)
    """,
)

USER_OF_SESSION = Query(
    User,
    f"""
    SELECT {USER_COLUMNS}
      FROM identity.users
     WHERE id = (SELECT user_id
                   FROM identity.sessions
                  WHERE token_hash = %(token_hash)s
                    AND revoked_at IS NULL
                    AND expires_at > clock_timestamp()
                    AND NOT EXISTS (SELECT
                                      FROM identity.did_keys AS ended
                                     WHERE ended.key_hash = sessions.key_hash
                                       AND ended.revoked_at IS NOT NULL))
    """,
)

KEYS = Query(
    DidKey,
    f"""
    SELECT {KEY_COLUMNS}
      FROM identity.did_keys
     WHERE did = %(did)s
     ORDER BY created_at, kid
    """,
)

# One key has several names, and whoever stole it has it under all of them: an end under one name ends it everywhere.
SIGNING_KEY = Query(
    bytes,
    """
    SELECT mine.public_key
      FROM identity.did_keys AS mine
     WHERE mine.did = %(did)s
       AND mine.kid = %(kid)s
       AND (mine.valid_from IS NULL OR mine.valid_from <= %(at)s)
       AND NOT EXISTS (SELECT
                         FROM identity.did_keys AS ended
                        WHERE ended.key_hash = mine.key_hash
                          AND ended.revoked_at IS NOT NULL
                          AND (ended.revoked_at <= %(at)s OR ended.reason = 'compromised'))
    """,
)

KEY_ENDED = Query(
    bool,
    """
    SELECT EXISTS (SELECT
                     FROM identity.did_keys
                    WHERE key_hash = %(key_hash)s
                      AND revoked_at IS NOT NULL
                      AND (revoked_at <= %(at)s OR reason = 'compromised'))
    """,
)

DID_HAS_KEYS = Query(bool, "SELECT EXISTS (SELECT FROM identity.did_keys WHERE did = %(did)s)")

FIRST_KEY = Query(
    bytes, "SELECT public_key FROM identity.did_keys WHERE did = %(did)s ORDER BY created_at, kid LIMIT 1"
)


def signing_key(tx: Tx, did: Did, key_id: str, *, at: datetime) -> bytes | None:
    """The key that counted under a key id at a moment; None when it had ended, or is unknown.

    With the time a signature was made, this is the rule for old signatures: they count when the key did at that
    time, unless it was compromised later. A DID that nothing was ever recorded about has the key inside it.
    """
    recorded = tx.maybe(SIGNING_KEY, did=did, kid=key_id, at=at)
    if recorded is not None:
        return recorded
    inside = own_key(did, key_id)
    if inside is None or key_ended(tx, inside, at=at):
        return None
    if tx.one(DID_HAS_KEYS, did=did):
        # The first row of a DID may have come between the two looks, and it is this key's.
        return tx.maybe(SIGNING_KEY, did=did, kid=key_id, at=at)
    return inside


def own_key(did: Did, named: str) -> bytes | None:
    """The key inside a DID, when a key id names that one."""
    public_key = did_public_key(did)
    return public_key if public_key is not None and named == key_id(did) else None


def key_ended(tx: Tx, public_key: bytes, *, at: datetime) -> bool:
    """Whether a key had ended by a moment, under whichever of its names."""
    return tx.one(KEY_ENDED, key_hash=key_hash(public_key), at=at)


def key_hash(public_key: bytes) -> str:
    """What a key is recorded under: sha256 of its bytes, in hexadecimal."""
    return hashlib.sha256(public_key).hexdigest()


def first_key(tx: Tx, did: Did) -> bytes:
    """The key with which a DID began: the one inside it, or the first that was recorded. Raises DidWithoutKey."""
    public_key = did_public_key(did) or tx.maybe(FIRST_KEY, did=did)
    if public_key is None:
        raise DidWithoutKey(did=did)
    return public_key


def keys_of(tx: Tx, did: Did) -> list[DidKey]:
    """All keys recorded for a DID, oldest first; none for a DID that has only the key inside it."""
    return tx.all(KEYS, did=did)


def user_by_id(tx: Tx, user: UserId) -> User:
    """An account. Raises UserUnknown, also when row security hides it from the caller."""
    found = tx.maybe(USER, user=user)
    if found is None:
        raise UserUnknown
    return found


def user_of(tx: Tx, did: Did) -> User:
    """The account that a DID acts for. Raises UserUnknown."""
    found = tx.maybe(USER_OF_DID, did=did)
    if found is None:
        raise UserUnknown
    return found


def session_user(tx: Tx, token: str) -> User:
    """Who is signed in with a token; asked by the house, before anybody is known. Raises SessionEnded."""
    found = tx.maybe(USER_OF_SESSION, token_hash=token_hash(token))
    if found is None:
        raise SessionEnded
    return found


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
