"""Signed JSON as SD-JWT uses it: base64url, JWK and JWS, read strictly so that nothing has two spellings."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from hansa.infra.keys import verification_key
from hansa.kernel.errors import Refusal
from hansa.proof.sd_jwt_errors import AlgorithmRefused, CredentialMalformed, TokenTypeWrong

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

# Any: the members of a JSON object are whatever their author wrote; each one is checked where it is used.
JsonObject = dict[str, Any]


class Signer(Protocol):
    """An Ed25519 key that signs: a private key of `cryptography`, or an agent's key."""

    def sign(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A signed JWT, read but not believed until `check` has passed."""

    header: JsonObject
    payload: JsonObject
    signed: bytes
    signature: bytes

    @classmethod
    def of(cls, text: str, *, typ: str | None) -> Token:
        head, dot, rest = text.partition(".")
        body, other_dot, signature = rest.partition(".")
        if not (dot and other_dot):
            raise CredentialMalformed("a token has three parts: header, payload, signature")
        header, payload = _decode_object(head), _decode_object(body)
        if "crit" in header:
            raise CredentialMalformed("the token asks for extensions that this verifier does not know")
        if typ is not None and header.get("typ") != typ:
            raise TokenTypeWrong(f"expected a token of type {typ}", expected=typ, found=header.get("typ"))
        return cls(header=header, payload=payload, signed=f"{head}.{body}".encode(), signature=decode(signature))

    def check(self, key: PublicKey, refusal: type[Refusal]) -> None:
        """The key decides the algorithm; the header only has to agree, so no header can weaken a key."""
        expected = "EdDSA" if isinstance(key, Ed25519PublicKey) else "ES256"
        if self.header.get("alg") != expected:
            raise AlgorithmRefused(f"this key signs with {expected}", expected=expected, found=self.header.get("alg"))
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(self.signature, self.signed)
            else:
                key.verify(_der(self.signature), self.signed, ECDSA(SHA256()))
        except InvalidSignature as wrong:
            raise refusal from wrong


def jwk_of(key: PublicKey) -> dict[str, str]:
    """A public key as the JSON Web Key that credentials and verifiers exchange."""
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_bytes_raw())}
    numbers = key.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": encode(numbers.x.to_bytes(32, "big")),
        "y": encode(numbers.y.to_bytes(32, "big")),
    }


def key_of_jwk(jwk: object) -> PublicKey:
    """The public key in a JSON Web Key: Ed25519 or P-256. Raises CredentialMalformed or WeakKey for any other."""
    members = object_of(jwk)
    try:
        match members:
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                return verification_key(decode(x))
            case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
                point = EllipticCurvePublicNumbers(_coordinate(x), _coordinate(y), SECP256R1())
                return point.public_key()
            case _:
                raise CredentialMalformed("a key is neither Ed25519 nor P-256")
    except ValueError as off_curve:
        raise CredentialMalformed("a key is not a point of its curve") from off_curve


def sign_token(header: JsonObject, payload: JsonObject, key: Signer) -> str:
    signed = f"{encode_json(header)}.{encode_json(payload)}"
    return f"{signed}.{encode(key.sign(signed.encode()))}"


def new_salt() -> str:
    return encode(secrets.token_bytes(16))


def digest_of(text: str) -> str:
    return encode(hashlib.sha256(text.encode()).digest())


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_json(value: object) -> str:
    try:
        return encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())
    except ValueError as wrong:
        raise CredentialMalformed("a claim has no form in JSON") from wrong


def decode(text: str) -> bytes:
    """Strict base64url: one spelling for each value, so that a signed text cannot be respelled."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise CredentialMalformed("a part is not base64url") from wrong
    if encode(data) != text:
        raise CredentialMalformed("a part is not base64url in its one spelling")
    return data


def decode_json(text: str) -> object:
    try:
        return json.loads(decode(text), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as wrong:
        raise CredentialMalformed("a part is not JSON") from wrong


def _decode_object(text: str) -> JsonObject:
    return object_of(decode_json(text))


def object_of(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise CredentialMalformed("a JSON object is missing")
    return cast("JsonObject", value)


def _unique(pairs: list[tuple[str, object]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CredentialMalformed("a JSON object names a member twice")
    return members


def _refuse_constant(name: str) -> object:
    raise CredentialMalformed(f"{name} is not JSON")


def moment_of(claims: JsonObject, name: str) -> datetime | None:
    """A NumericDate as a moment; None when the claim is absent."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CredentialMalformed(f"{name} is not a time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as outside:
        raise CredentialMalformed(f"{name} is not a time") from outside


def _coordinate(text: str) -> int:
    data = decode(text)
    if len(data) != 32:
        raise CredentialMalformed("a coordinate of P-256 has 32 bytes")
    return int.from_bytes(data, "big")


def _der(signature: bytes) -> bytes:
    """A JWS carries r and s side by side; `cryptography` takes them in DER."""
    if len(signature) != 64:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
