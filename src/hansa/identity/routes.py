"""Identity over HTTP: signing in with a wallet, the own account, and the keys of the own DID."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import Response

from hansa.identity import commands, queries
from hansa.identity.commands import ProfileChange
from hansa.identity.errors import KeyProofWrong
from hansa.identity.models import DidKey, KeyEnd, SignedIn, SignInChallenge, User
from hansa.infra.db import Actor, Tx
from hansa.infra.settings import Settings
from hansa.infra.web import AnyCall, Call, PersonalCall, SignedCall, SignInRequired, json_response
from hansa.kernel import base58
from hansa.kernel.dids import Did, InvalidDid, did_public_key, parse_did
from hansa.kernel.ids import UserId

router = APIRouter(tags=["identity"])

DOORMAN = Actor(kind="system", did="identity.sign_in")
"""Signs people in: before that nobody is known, and row security shows a stranger no account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletAddress:
    address: str
    """Solana address of the wallet that is going to sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    message: str
    """The message exactly as it was handed out."""
    signature: str
    """The wallet's signature over it, 64 bytes in base58."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    key_id: str
    """The key that is replaced: the one that signs this request."""
    new_key: str
    """The new key as a did:key."""
    proof: str
    """The new key's signature over the rotation statement, 64 bytes in base58."""
    reason: KeyEnd = KeyEnd.ROTATED
    """rotated, or compromised when somebody else may have the old key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevocation:
    key_id: str
    """The key that ends: the one that signs this request."""
    reason: KeyEnd
    """retired, or compromised when somebody else may have the key."""


@router.post("/api/sign-in/challenge", response_model=SignInChallenge)
def challenge(wallet: WalletAddress, call: AnyCall) -> Response:
    """A message for the wallet to sign; it lets that wallet in once, within five minutes."""
    domain, uri = site(call.services.settings)
    with call.services.db.transaction(DOORMAN) as tx:
        handed_out = commands.start_sign_in(tx, wallet.address, domain=domain, uri=uri, at=tx.at)
    return json_response(handed_out)


@router.post("/api/sign-in", response_model=SignedIn)
def sign_in(signed: SignedMessage, call: AnyCall) -> Response:
    """Open a session with a signed message; send its token as a bearer token for 24 hours."""
    domain, _ = site(call.services.settings)
    with call.services.db.transaction(DOORMAN) as tx:
        opened = commands.finish_sign_in(tx, signed.message, signed.signature, domain=domain, at=tx.at)
    return json_response(opened)


@router.post("/api/sign-out", status_code=204)
def sign_out(call: PersonalCall) -> Response:
    """End the session whose token the request carries."""
    call.command(lambda tx: commands.end_session(tx, bearer_token(call)))
    return Response(status_code=204)


@router.get("/api/me", response_model=User)
def me(call: AnyCall) -> Response:
    """The account of the signed-in person, or the one behind the signing agent."""
    return call.query(lambda tx: account_of(tx, call.actor))


@router.patch("/api/me", response_model=User)
def change_me(change: ProfileChange, call: AnyCall) -> Response:
    """Change the own profile; what is left out stays as it is."""
    return call.command(lambda tx: commands.change_profile(tx, account_of(tx, call.actor).id, change))


@router.get("/api/keys/{did}", response_model=list[DidKey])
def keys(did: str, call: AnyCall) -> Response:
    """All keys on record for a DID, with the times between which they count; empty: only the key inside the DID."""
    return call.query(lambda tx: queries.keys_of(tx, parse_did(did)))


@router.post("/api/keys/rotate", response_model=DidKey)
def rotate(rotation: KeyRotation, call: SignedCall) -> Response:
    """Replace the key of the signing DID by another one; the request is the last that the old key signs."""
    new_key, proof = new_public_key(rotation.new_key), proof_bytes(rotation.proof)
    return call.command(
        lambda tx: commands.rotate_key(
            tx, call.did, new_key, replaces=rotation.key_id, proof=proof, reason=rotation.reason, at=tx.at
        )
    )


@router.post("/api/keys/revoke", response_model=DidKey)
def revoke(revocation: KeyRevocation, call: SignedCall) -> Response:
    """End the key of the signing DID for good; nobody can act for this DID afterwards."""
    return call.command(
        lambda tx: commands.revoke_key(tx, call.did, revocation.key_id, reason=revocation.reason, at=tx.at)
    )


def site(settings: Settings) -> tuple[str, str]:
    """Domain and URI that a sign-in message names.

    Both come from the settings, never from the request: a phishing site chooses its own Host header.
    """
    uri = settings.public_url or f"http://{settings.host}:{settings.port}"
    return urlsplit(uri).netloc, uri


def account_of(tx: Tx, actor: Actor) -> User:
    if actor.kind == "user" and actor.user is not None:
        return queries.user_by_id(tx, UserId(actor.user))
    if actor.kind == "agent":
        return queries.user_of(tx, Did(actor.did))
    raise SignInRequired


def bearer_token(call: Call) -> str:
    scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignInRequired
    return token


def new_public_key(text: str) -> bytes:
    public_key = did_public_key(parse_did(text))
    if public_key is None:
        raise InvalidDid("a did:web holds no key; name the new key as a did:key")
    return public_key


def proof_bytes(text: str) -> bytes:
    try:
        return base58.decode(text, size=64)
    except ValueError as strange:
        raise KeyProofWrong(f"the proof is not 64 bytes in base58: {strange}") from strange
