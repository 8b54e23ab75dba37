"""Signatures of agent cards: detached JWS over RFC 8785, checked by the A2A SDK with keys that DIDs vouch for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import rfc8785
from a2a.types import AgentCard
from a2a.utils.signing import SignatureVerificationError, create_signature_verifier
from google.protobuf.json_format import MessageToDict
from jwt.exceptions import PyJWTError

from hansa.infra.keys import AgentKey, verification_key
from hansa.kernel.dids import Did, InvalidDid, did_public_key, key_id, parse_key_id
from hansa.registry.card_errors import (
    CardDidForeign,
    CardFieldTooLong,
    CardKeyUnknown,
    CardMalformed,
    CardSignatureWrong,
    CardUnsigned,
)

ALGORITHMS = ["EdDSA"]
"""Only Ed25519: another key could not also be the Solana wallet that the card names."""
SIGNATURES_MAX = 8

KeyOfDid = Callable[[Did, str], bytes | None]
"""Finds the Ed25519 key under a key id of a DID: what was recorded of a did:web, or rotated in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSigner:
    """The key that signed a card."""

    key_id: str
    """DID URL of the key."""
    public_key: bytes
    """The 32 bytes of the Ed25519 key."""


def verify_card(card: AgentCard, did: Did | None, key_of_did: KeyOfDid | None) -> tuple[Did, CardSigner]:
    """The DID and key of the first signature that holds: of the DID that the card states, where it states one.

    Raises CardUnsigned, CardDidForeign, CardKeyUnknown, CardSignatureWrong.
    """
    if not card.signatures:
        raise CardUnsigned
    if len(card.signatures) > SIGNATURES_MAX:
        raise CardFieldTooLong(f"a card has at most {SIGNATURES_MAX} signatures", field="signatures")
    keys = _SignerKeys(did, key_of_did)
    try:
        create_signature_verifier(keys.provide, ALGORITHMS)(card)
    except (SignatureVerificationError, ValueError, RecursionError) as wrong:
        raise keys.refusal() from wrong
    assert keys.last is not None  # the verifier asks for a key before it can accept a signature
    return keys.last


def signature_of(card: AgentCard, kid: str, key: AgentKey) -> dict[str, str]:
    """An agent's signature over a card, as a member of the card's `signatures`: a JWS without its payload."""
    protected = _base64url(json.dumps({"alg": "EdDSA", "kid": kid, "typ": "JOSE"}).encode())
    payload = _base64url(_canonical(card))
    return {"protected": protected, "signature": _base64url(key.sign(f"{protected}.{payload}".encode()))}


def _canonical(card: AgentCard) -> bytes:
    """RFC 8785 over the card in v1 form, without signatures and without anything empty."""
    members = MessageToDict(card)
    members.pop("signatures", None)
    try:
        return rfc8785.dumps(_without_empty(members))
    except rfc8785.CanonicalizationError as strange:
        raise CardMalformed(f"the card has no canonical form: {strange}") from strange


def _without_empty(value: Any) -> Any:  # Any: JSON in, JSON out
    if isinstance(value, dict):
        members = ((name, _without_empty(member)) for name, member in cast("dict[str, Any]", value).items())
        return {name: member for name, member in members if member is not None} or None
    if isinstance(value, list):
        elements = (_without_empty(element) for element in cast("list[object]", value))
        return [element for element in elements if element is not None] or None
    return None if value == "" else value


class _SignerKeys:
    """Gives the SDK's verifier the key that a signature names, and remembers which one it asked for last.

    Signatures of other DIDs are passed over: anybody may add one to a card, and it must neither count nor harm.
    """

    def __init__(self, did: Did | None, key_of_did: KeyOfDid | None) -> None:
        self._did = did
        self._key_of_did = key_of_did
        self._own, self._unresolved = False, False
        self.last: tuple[Did, CardSigner] | None = None

    def provide(self, kid: str | None, _jku: str | None) -> Any:  # Any: the SDK's type leaves out key objects
        # `jku` is never followed: a key that the signer's own URL serves proves nothing about the DID.
        did, named = self._named(kid)
        self._own = True
        # What was recorded comes first: a key that was rotated in is not the one inside the DID.
        public_key = self._key_of_did(did, named) if self._key_of_did is not None else None
        inside = did_public_key(did)
        if public_key is None and inside is not None:
            public_key, named = inside, key_id(did)
        if public_key is None:
            self._unresolved = True
            raise PyJWTError(f"no key is known for {named}")
        self.last = did, CardSigner(key_id=named, public_key=public_key)
        return verification_key(public_key)

    def refusal(self) -> CardDidForeign | CardKeyUnknown | CardSignatureWrong:
        if self._did and not self._own:
            return CardDidForeign(f"the card speaks for {self._did}, which did not sign it", did=self._did)
        return CardKeyUnknown() if self._unresolved else CardSignatureWrong()

    def _named(self, kid: object) -> tuple[Did, str]:
        try:
            did, named = parse_key_id(kid if isinstance(kid, str) else "")
        except InvalidDid as strange:
            raise PyJWTError("the signature does not name a key of a DID") from strange
        if self._did is not None and did != self._did:
            raise PyJWTError("the signature is of another DID")
        return did, named


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
