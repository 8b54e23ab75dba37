"""What can be done with accounts, keys and sessions."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature

from hansa.identity.errors import (
    AnotherKeyActive,
    KeyEndedBefore,
    KeyEndUnfit,
    KeyForeign,
    KeyNotActive,
    KeyProofWrong,
    UserUnknown,
    WalletRevoked,
)
from hansa.identity.events import KeyEnded
from hansa.identity.models import (
    DidKey,
    KeyEnd,
    Role,
    SignedIn,
    SignInChallenge,
    User,
    key_id_of,
    rotation_statement,
)
from hansa.identity.queries import (
    KEY_COLUMNS,
    USER_COLUMNS,
    first_key,
    key_ended,
    key_hash,
    token_hash,
    user_of,
)
from hansa.infra import siws
from hansa.infra.db import Query, Tx
from hansa.infra.keys import verification_key
from hansa.infra.outbox import publish
from hansa.kernel.dids import Did, did_public_key, did_sol, key_id, public_key_of_wallet, wallet_address
from hansa.kernel.ids import UserId

CHALLENGE_LIFE = timedelta(minutes=5)
"""How long a person may take to sign."""
SESSION_LIFE = timedelta(hours=24)

CONSUME_NONCE = Query(
    int,
    """
    INSERT INTO identity.nonces (did, nonce, expires_at)
    VALUES (%(did)s, %(nonce)s, %(expires_at)s)
    """,
)

REMEMBER_KEY = Query(
    int,
    """
    INSERT INTO identity.did_keys (did, kid, public_key, valid_from)
    VALUES (%(did)s, %(kid)s, %(public_key)s, %(valid_from)s)
    ON CONFLICT DO NOTHING
    """,
)

ADD_KEY = Query(
    DidKey,
    f"""
    INSERT INTO identity.did_keys (did, kid, public_key, valid_from)
    VALUES (%(did)s, %(kid)s, %(public_key)s, %(valid_from)s)
    RETURNING {KEY_COLUMNS}
    """,
)

KEY = Query(DidKey, f"SELECT {KEY_COLUMNS} FROM identity.did_keys WHERE did = %(did)s AND kid = %(kid)s")

# The key is named: of two rotations that race, the second waits for the row and finds that it has ended. Whichever
# key is active by then is not the one that signed its request.
END_KEY = Query(
    DidKey,
    f"""
    UPDATE identity.did_keys
       SET revoked_at = %(at)s, reason = %(reason)s::identity.key_end, replaced_by = %(replaced_by)s
     WHERE did = %(did)s
       AND kid = %(kid)s
       AND revoked_at IS NULL
    RETURNING {KEY_COLUMNS}
    """,
)

ENSURE_USER = Query(User, f"SELECT {USER_COLUMNS} FROM identity.account_behind(%(did)s, %(solana_did)s, %(wallet)s)")

MOVE_WALLET = Query(int, "UPDATE identity.users SET wallet_address = %(wallet)s WHERE id = %(user)s")

BECOME_DEVELOPER = Query(int, "UPDATE identity.users SET role = 'developer' WHERE id = %(user)s AND role = 'end_user'")

CHANGE_PROFILE = Query(
    User,
    f"""
    UPDATE identity.users
       SET username = coalesce(%(username)s, username),
           bio = coalesce(%(bio)s, bio),
           avatar_url = coalesce(%(avatar_url)s, avatar_url),
           role = coalesce(%(role)s::identity.user_role, role)
     WHERE id = %(user)s
    RETURNING {USER_COLUMNS}
    """,
)

VERIFY = Query(
    User,
    f"""
    UPDATE identity.users
       SET is_verified = %(verified)s
     WHERE id = %(user)s
    RETURNING {USER_COLUMNS}
    """,
)

HAND_OUT = Query(
    int,
    """
    INSERT INTO identity.sign_in_challenges (nonce, address, message, expires_at)
    VALUES (%(nonce)s, %(address)s, %(message)s, %(expires_at)s)
    """,
)

USE_CHALLENGE = Query(
    int,
    """
    UPDATE identity.sign_in_challenges
       SET used_at = clock_timestamp()
     WHERE nonce = %(nonce)s
       AND message = %(message)s
       AND used_at IS NULL
       AND expires_at > clock_timestamp()
    """,
)

GREET = Query(
    User,
    f"""
    UPDATE identity.users
       SET last_active = %(at)s
     WHERE id = %(user)s
    RETURNING {USER_COLUMNS}
    """,
)

OPEN_SESSION = Query(
    int,
    """
    INSERT INTO identity.sessions (token_hash, user_id, key_hash, expires_at)
    VALUES (%(token_hash)s, %(user)s, %(key_hash)s, %(expires_at)s)
    """,
)

END_SESSION = Query(
    int,
    """
    UPDATE identity.sessions
       SET revoked_at = clock_timestamp()
     WHERE token_hash = %(token_hash)s
       AND revoked_at IS NULL
    """,
)

SWEEP_NONCES = Query(int, "DELETE FROM identity.nonces WHERE expires_at < clock_timestamp()")
SWEEP_CHALLENGES = Query(int, "DELETE FROM identity.sign_in_challenges WHERE expires_at < clock_timestamp()")
SWEEP_SESSIONS = Query(int, "DELETE FROM identity.sessions WHERE expires_at < clock_timestamp()")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """What a person changes about their account; what is left out stays as it is."""

    username: str | None = None
    bio: str | None = None
    avatar_url: str | None = None
    role: Role | None = None


def consume_nonce(tx: Tx, did: Did, nonce: str, *, expires_at: datetime) -> None:
    """Use a nonce up, in a transaction of its own that commits whatever becomes of the request.

    Raises NonceReplayed when it was used before; `expires_at` says how long that must be known.
    """
    tx.run(CONSUME_NONCE, did=did, nonce=nonce, expires_at=expires_at)


# ---------------------------------------------------------------------------------------------------------------
# Accounts


def ensure_user(tx: Tx, did: Did, *, at: datetime) -> User:
    """The account behind the key of a DID; it begins as an end user's when there is none yet.

    All names of one key lead to one account, and so does the key it was rotated to. Raises DidWithoutKey.
    """
    del at  # the row takes its times from the database's clock; callers need not know which do
    public_key = first_key(tx, did)
    return tx.one(ENSURE_USER, did=did, solana_did=did_sol(public_key), wallet=wallet_address(public_key))


def become_developer(tx: Tx, user: UserId) -> None:
    """Whoever registers an agent is a developer from then on, unless the account is a marketplace."""
    tx.run(BECOME_DEVELOPER, user=user)


def change_profile(tx: Tx, user: UserId, change: ProfileChange) -> User:
    """Change what a person says about themselves.

    Raises UserUnknown, UsernameTaken, UsernameUnfit, AvatarUnfit, BioTooLong.
    """
    changed = tx.maybe(
        CHANGE_PROFILE,
        user=user,
        username=change.username,
        bio=change.bio,
        avatar_url=change.avatar_url,
        role=change.role,
    )
    if changed is None:
        raise UserUnknown
    return changed


def verify_account(tx: Tx, did: Did, *, verified: bool = True) -> User:
    """Say that the house knows who stands behind a DID, or that it does not any more; for operators.

    Evidence of a verified payer weighs more, so nobody may come to this by a signature alone. Raises UserUnknown.
    """
    return tx.one(VERIFY, user=user_of(tx, did).id, verified=verified)


# ---------------------------------------------------------------------------------------------------------------
# Keys of DIDs


def remember_key(tx: Tx, did: Did, public_key: bytes, *, at: datetime, kid: str | None = None) -> DidKey:
    """Put the first key of a DID on record; the second time changes nothing, also when the key has ended since.

    `kid`: how the document of a did:web names the key; every other DID names its key itself.
    Raises WeakKey, KeyForeign (not the key inside the DID), AnotherKeyActive.
    """
    verification_key(public_key)
    inside = did_public_key(did)
    if inside is not None and inside != public_key:
        raise KeyForeign(did=did)
    named = key_id(did) if inside is not None else kid or key_id_of(did, public_key)
    tx.run(REMEMBER_KEY, did=did, kid=named, public_key=public_key, valid_from=None if inside is not None else at)
    found = tx.maybe(KEY, did=did, kid=named)
    if found is None:
        raise AnotherKeyActive(did=did)
    return found


def rotate_key(
    tx: Tx,
    did: Did,
    new_key: bytes,
    *,
    replaces: str,
    proof: bytes,
    at: datetime,
    reason: KeyEnd = KeyEnd.ROTATED,
) -> DidKey:
    """Put a new key in the place of the one with the key id `replaces`, which signed the request.

    `proof` is the new key's consent. The account behind the DID gets the new key's wallet: it signs in with that one
    from now on. Raises WeakKey, KeyProofWrong, KeyEndedBefore, KeyKnownAlready, KeyNotActive, WalletTaken,
    KeyEndUnfit.
    """
    if reason is KeyEnd.RETIRED:
        raise KeyEndUnfit
    require_proof(did, new_key, proof)
    if key_ended(tx, new_key, at=at):
        raise KeyEndedBefore
    user = ensure_user(tx, did, at=at)
    kid = key_id_of(did, new_key)
    end_key(tx, did, replaces, reason=reason, replaced_by=kid, at=at)
    added = tx.one(ADD_KEY, did=did, kid=kid, public_key=new_key, valid_from=at)
    moved = tx.run(MOVE_WALLET, user=user.id, wallet=wallet_address(new_key))
    assert moved == 1, "a rotation runs as the agent itself or as the house, which both see the account"
    return added


def revoke_key(tx: Tx, did: Did, kid: str, *, reason: KeyEnd, at: datetime) -> DidKey:
    """End a key of a DID without a successor: nobody can act for the DID any more.

    Signatures made before stay good, unless the reason is compromised. Raises KeyNotActive, KeyEndUnfit.
    """
    if reason is KeyEnd.ROTATED:
        raise KeyEndUnfit
    return end_key(tx, did, kid, reason=reason, replaced_by=None, at=at)


def end_key(tx: Tx, did: Did, kid: str, *, reason: KeyEnd, replaced_by: str | None, at: datetime) -> DidKey:
    inside = did_public_key(did)
    if inside is not None:
        remember_key(tx, did, inside, at=at)
    ended = tx.maybe(END_KEY, did=did, kid=kid, reason=reason, replaced_by=replaced_by, at=at)
    if ended is None:
        raise KeyNotActive(key_id=kid)
    publish(tx, KeyEnded(did=did, kid=kid, key_hash=ended.key_hash, reason=reason, replaced_by=replaced_by))
    return ended


def require_proof(did: Did, new_key: bytes, proof: bytes) -> None:
    """Nobody becomes the key of a DID without their consent: it would also claim their wallet."""
    try:
        verification_key(new_key).verify(proof, rotation_statement(did, new_key))
    except InvalidSignature as wrong:
        raise KeyProofWrong from wrong


# ---------------------------------------------------------------------------------------------------------------
# Signing in; the house runs these, since nobody is known before


def start_sign_in(tx: Tx, address: str, *, domain: str, uri: str, at: datetime) -> SignInChallenge:
    """Write the message that a wallet is asked to sign, and remember that it was handed out. Raises InvalidDid."""
    public_key_of_wallet(address)
    nonce, expires_at = secrets.token_hex(16), at + CHALLENGE_LIFE
    valid_s = int(CHALLENGE_LIFE.total_seconds())
    message = siws.challenge(domain=domain, uri=uri, address=address, nonce=nonce, at=at, valid_s=valid_s)
    tx.run(HAND_OUT, nonce=nonce, address=address, message=message, expires_at=expires_at)
    return SignInChallenge(message=message, nonce=nonce, expires_at=expires_at)


def finish_sign_in(tx: Tx, message: str, signature: str, *, domain: str, at: datetime) -> SignedIn:
    """Open a session for whoever signed the message that was handed out; `signature` is base58.

    Raises WalletRevoked, and the kinds of SignInRefused: malformed, elsewhere, expired, wrong, replayed.
    """

    def use_nonce(nonce: str) -> bool:
        return tx.run(USE_CHALLENGE, nonce=nonce, message=message) == 1

    address = siws.verify(message, signature, expected_domain=domain, use_nonce=use_nonce, at=at)
    public_key = public_key_of_wallet(address)
    if key_ended(tx, public_key, at=at):
        raise WalletRevoked
    user = tx.one(GREET, user=ensure_user(tx, did_sol(public_key), at=at).id, at=at)
    token, expires_at = secrets.token_urlsafe(32), at + SESSION_LIFE
    signer = key_hash(public_key)
    tx.run(OPEN_SESSION, token_hash=token_hash(token), user=user.id, key_hash=signer, expires_at=expires_at)
    return SignedIn(token=token, expires_at=expires_at, user=user)


def end_session(tx: Tx, token: str) -> bool:
    """Sign out; False when there was no such session to end."""
    return tx.run(END_SESSION, token_hash=token_hash(token)) == 1


def sweep(tx: Tx) -> int:
    """Forget nonces, sign-in messages and sessions whose time is over; returns how many."""
    return tx.run(SWEEP_NONCES) + tx.run(SWEEP_CHALLENGES) + tx.run(SWEEP_SESSIONS)
