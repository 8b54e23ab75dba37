r"""Selective disclosure of values: SD-JWT credentials with key binding (RFC 9901), and their strict verifier.

An issuer signs digests of salted claims. The holder shows the claims it chooses and signs the presentation for one
verifier and one request. Whoever knows the issuer's public key can check it, with this module alone and no network:

    python -m hansa.proof.sd_jwt verify --issuer-key did:key:z6Mk... \
        --audience https://verifier.example --nonce 8f1c... < presentation

Issued and presented with Ed25519; verified with Ed25519 or ES256, whichever the key is. A presentation without a
fresh key binding is refused, always: a credential that works for whoever holds a copy is not a proof of anything.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.infra.keys import verification_key
from hansa.kernel.dids import did_public_key, parse_did
from hansa.kernel.errors import Invalid, Refusal
from hansa.proof.sd_jwt_disclosure import (
    HASH_NAME,
    HIDDEN,
    HIDDEN_ELEMENT,
    NEVER_HIDDEN,
    Disclosure,
    disclose,
)
from hansa.proof.sd_jwt_errors import (
    AudienceForeign,
    ClaimReserved,
    ClaimUnknown,
    CredentialExpired,
    CredentialMalformed,
    CredentialNotYetValid,
    CredentialTooLarge,
    CredentialTypeForeign,
    DisclosureDuplicate,
    HolderKeyForeign,
    HolderKeyMissing,
    IssuerSignatureWrong,
    IssuerUnknown,
    KeyBindingMismatch,
    KeyBindingMissing,
    KeyBindingNotYetValid,
    KeyBindingSignatureWrong,
    KeyBindingTooOld,
    NonceForeign,
)
from hansa.proof.sd_jwt_token import (
    JsonObject,
    PublicKey,
    Signer,
    Token,
    digest_of,
    encode_json,
    jwk_of,
    key_of_jwk,
    moment_of,
    new_salt,
    sign_token,
)

PRESENTATION_BYTES_MAX = 64 * 1024
DISCLOSURES_MAX = 128
KEY_BINDING_AGE_MAX = timedelta(seconds=300)
CLOCK_SKEW_MAX = timedelta(seconds=30)
"""How far ahead of ours another clock may be."""

CREDENTIAL_TYP = "dc+sd-jwt"
KEY_BINDING_TYP = "kb+jwt"
SET_BY_ISSUE = frozenset({"iss", "iat", "exp", "cnf", "vct", HIDDEN, HASH_NAME, HIDDEN_ELEMENT})

IssuerKeys = Callable[[str | None, str | None], PublicKey | None]
"""Finds the key of an issuer by the `iss` and `kid` a credential claims; None when the verifier trusts no such key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPresentation:
    """What a presentation proves: the issuer said this about the holder, and the holder showed it to you, now."""

    claims: Mapping[str, Any]  # Any: JSON values
    """All claims in the open: those never hidden and those disclosed."""
    disclosed: tuple[str, ...]
    """Names of the hidden claims that the holder chose to show, in the order of the presentation."""
    issuer: str | None
    issuer_key_id: str | None
    vct: str | None
    """Type of the credential; None only for SD-JWTs that are not credentials."""
    holder_key: PublicKey
    issued_at: datetime | None
    expires_at: datetime | None
    """None when the issuer set no end."""
    presented_at: datetime


def issue(
    claims: Mapping[str, Any],  # Any: JSON values
    *,
    disclosable: Collection[str],
    issuer: str,
    key: Signer,
    holder: Ed25519PublicKey,
    vct: str,
    issued_at: datetime,
    expires_at: datetime,
    key_id: str | None = None,
    decoys: int = 0,
) -> str:
    """Sign a credential about the holder of a key; the claims named in `disclosable` can be shown one by one.

    `decoys` adds digests of nothing, so that the number of hidden claims does not tell either. Each digest is unique
    to one credential: whoever must not be recognised across verifiers takes several. Raises ClaimReserved,
    ClaimUnknown, and CredentialTooLarge for what `verify` would refuse to read.
    """
    _refuse_reserved(claims, disclosable)
    disclosures = [encode_json([new_salt(), name, claims[name]]) for name in claims if name in disclosable]
    hidden = [*map(digest_of, disclosures), *(digest_of(new_salt()) for _ in range(decoys))]
    payload: JsonObject = {
        "iss": issuer,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "vct": vct,
        "cnf": {"jwk": jwk_of(holder)},
        **{name: value for name, value in claims.items() if name not in disclosable},
        **({HIDDEN: sorted(hidden)} if hidden else {}),  # sorted, so that the order of the claims does not tell
        HASH_NAME: "sha-256",
    }
    header = {"alg": "EdDSA", "typ": CREDENTIAL_TYP} | ({"kid": key_id} if key_id else {})
    credential = "~".join([sign_token(header, payload, key), *disclosures, ""])
    disclose(payload, _Parts.of(credential).disclosures)
    return credential


def present(sd_jwt: str, names: Collection[str], *, holder: Signer, audience: str, nonce: str, at: datetime) -> str:
    """Show the named claims of a credential to one verifier, in answer to one request.

    Raises ClaimUnknown for a name the credential does not hide, HolderKeyForeign when the verifier would refuse the
    holder's signature, and CredentialMalformed.
    """
    parts = _Parts.of(sd_jwt)
    if parts.key_binding:
        raise CredentialMalformed("this is a presentation already: present the credential itself")
    credential = Token.of(parts.issuer_jwt, typ=None)
    disclose(credential.payload, parts.disclosures)  # what a verifier would refuse to read is not worth signing for
    offered = _offered(credential.payload, parts.disclosures)
    if unknown := sorted(set(names) - offered.keys()):
        raise ClaimUnknown(f"this credential hides no claim {', '.join(unknown)}", names=unknown)
    shown = replace(parts, disclosures=tuple(text for name, text in offered.items() if name in names))
    payload: JsonObject = {
        "iat": int(at.timestamp()),
        "aud": audience,
        "nonce": nonce,
        "sd_hash": digest_of(shown.bound_text()),
    }
    signed = sign_token({"alg": "EdDSA", "typ": KEY_BINDING_TYP}, payload, holder)
    # The credential names its holder's key: who took a wrong one learns it here, not at the verifier.
    Token.of(signed, typ=KEY_BINDING_TYP).check(_holder_key(credential.payload), HolderKeyForeign)
    return shown.bound_text() + signed


def verify(
    presentation: str,
    *,
    issuer_keys: IssuerKeys,
    audience: str,
    nonce: str,
    at: datetime,
    vct: str | None = None,
    typ: str = CREDENTIAL_TYP,
) -> VerifiedPresentation:
    """Check a presentation made for this verifier and this request at this moment.

    `audience` and `nonce` are what the verifier itself asked with; a nonce must be used once, which is the caller's
    part. `vct` refuses credentials of another type. Every doubt is a refusal of `sd_jwt_errors`.
    """
    parts = _Parts.of(presentation)
    token = Token.of(parts.issuer_jwt, typ=typ)
    issuer_key = _issuer_key(token, issuer_keys)
    token.check(issuer_key, IssuerSignatureWrong)
    claims, disclosed = disclose(token.payload, parts.disclosures)
    _check_credential_type(claims, typ, vct)
    issued_at, expires_at = _check_credential_time(claims, at)
    holder_key = _holder_key(token.payload)
    presented_at = _check_key_binding(parts, holder_key, audience=audience, nonce=nonce, at=at)
    return VerifiedPresentation(
        claims=claims,
        disclosed=disclosed,
        issuer=claims.get("iss"),
        issuer_key_id=token.header.get("kid"),
        vct=claims.get("vct"),
        holder_key=holder_key,
        issued_at=issued_at,
        expires_at=expires_at,
        presented_at=presented_at,
    )


# ---------------------------------------------------------------------------------------------------------------
# Issuing and presenting


def _refuse_reserved(claims: Mapping[str, Any], disclosable: Collection[str]) -> None:  # Any: JSON values
    if unknown := sorted(set(disclosable) - claims.keys()):
        raise ClaimUnknown(f"there is no claim {', '.join(unknown)} to hide", names=unknown)
    if reserved := sorted((SET_BY_ISSUE & claims.keys()) | (NEVER_HIDDEN & set(disclosable))):
        raise ClaimReserved(f"{', '.join(reserved)} cannot be set or hidden by the claims", names=reserved)
    for inner in _objects_within(list(claims.values())):
        if taken := {HIDDEN, HIDDEN_ELEMENT} & inner.keys():
            raise ClaimReserved(f"{', '.join(sorted(taken))} would be read as a hidden value", names=sorted(taken))


def _offered(payload: JsonObject, disclosures: Iterable[str]) -> dict[str, str]:
    """Name and text of each hidden claim that stands in the credential itself, not inside another hidden claim."""
    digests = payload.get(HIDDEN, [])
    named = ((Disclosure.of(text).name, text) for text in disclosures if digest_of(text) in digests)
    return {name: text for name, text in named if name is not None}


def _objects_within(value: object) -> Iterable[JsonObject]:
    if isinstance(value, dict):
        members = cast("JsonObject", value)
        yield members
        yield from _objects_within(list(members.values()))
    elif isinstance(value, list):
        for element in cast("list[object]", value):
            yield from _objects_within(element)


# ---------------------------------------------------------------------------------------------------------------
# Verifying


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """`<issuer-signed JWT>~<disclosure>~...~<key binding JWT, or nothing>`."""

    issuer_jwt: str
    disclosures: tuple[str, ...]
    key_binding: str

    @classmethod
    def of(cls, text: str) -> _Parts:
        if len(text) > PRESENTATION_BYTES_MAX:
            raise CredentialTooLarge(f"more than {PRESENTATION_BYTES_MAX} bytes", bytes_max=PRESENTATION_BYTES_MAX)
        if not text.isascii():
            raise CredentialMalformed("an SD-JWT is ASCII text")
        issuer_jwt, *disclosures = text.split("~")
        if not disclosures:
            raise CredentialMalformed("an SD-JWT has at least one ~ after its token")
        key_binding = disclosures.pop()
        if len(disclosures) > DISCLOSURES_MAX:
            raise CredentialTooLarge(f"more than {DISCLOSURES_MAX} disclosures", disclosures_max=DISCLOSURES_MAX)
        if len(set(disclosures)) != len(disclosures):
            raise DisclosureDuplicate("a disclosure was sent twice")
        return cls(issuer_jwt=issuer_jwt, disclosures=tuple(disclosures), key_binding=key_binding)

    def bound_text(self) -> str:
        """Everything the holder signs for, up to and including the last ~."""
        return "~".join([self.issuer_jwt, *self.disclosures, ""])


def _issuer_key(token: Token, issuer_keys: IssuerKeys) -> PublicKey:
    issuer, key_id = token.payload.get("iss"), token.header.get("kid")
    if not isinstance(issuer, str | None) or not isinstance(key_id, str | None):
        raise CredentialMalformed("iss and kid are text")
    key = issuer_keys(issuer, key_id)
    if key is None:
        raise IssuerUnknown(issuer=issuer, key_id=key_id)
    return key


def _check_credential_type(claims: JsonObject, typ: str, vct: str | None) -> None:
    found = claims.get("vct")
    if not (isinstance(found, str) or (found is None and typ != CREDENTIAL_TYP)):
        raise CredentialMalformed("a credential names its type in vct")
    if vct is not None and found != vct:
        raise CredentialTypeForeign(f"expected a credential of type {vct}", expected=vct, found=found)


def _check_credential_time(claims: JsonObject, at: datetime) -> tuple[datetime | None, datetime | None]:
    issued_at, begins_at, expires_at = (moment_of(claims, name) for name in ("iat", "nbf", "exp"))
    if expires_at is not None and at >= expires_at:
        raise CredentialExpired(expired_at=expires_at.isoformat())
    for start in (issued_at, begins_at):
        if start is not None and start > at + CLOCK_SKEW_MAX:
            raise CredentialNotYetValid(valid_from=start.isoformat())
    return issued_at, expires_at


def _holder_key(payload: JsonObject) -> PublicKey:
    """From the signed payload itself: a key that came out of a disclosure would be the holder's choice."""
    match payload.get("cnf"):
        case {"jwk": jwk}:
            return key_of_jwk(jwk)
        case _:
            raise HolderKeyMissing


def _check_key_binding(parts: _Parts, holder: PublicKey, *, audience: str, nonce: str, at: datetime) -> datetime:
    """The holder signed these disclosures, for this verifier, this request, and just now."""
    if not parts.key_binding:
        raise KeyBindingMissing
    token = Token.of(parts.key_binding, typ=KEY_BINDING_TYP)
    token.check(holder, KeyBindingSignatureWrong)
    if token.payload.get("sd_hash") != digest_of(parts.bound_text()):
        raise KeyBindingMismatch
    if token.payload.get("aud") != audience:
        raise AudienceForeign(expected=audience)
    if token.payload.get("nonce") != nonce:
        raise NonceForeign
    signed_at, begins_at, expires_at = (moment_of(token.payload, name) for name in ("iat", "nbf", "exp"))
    if signed_at is None:
        raise CredentialMalformed("a key binding says when it was made")
    if at - signed_at > KEY_BINDING_AGE_MAX or (expires_at is not None and at >= expires_at):
        raise KeyBindingTooOld(signed_at=signed_at.isoformat())
    if max(signed_at, begins_at or signed_at) > at + CLOCK_SKEW_MAX:
        raise KeyBindingNotYetValid(signed_at=signed_at.isoformat())
    return signed_at


# ---------------------------------------------------------------------------------------------------------------
# The command of a third party


def main(arguments: Sequence[str] | None = None) -> int:
    """`verify`: read a presentation from standard input, print what it proves as JSON; 0 when it holds, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m hansa.proof.sd_jwt", description=main.__doc__)
    command = parser.add_subparsers(required=True).add_parser("verify", help="check a presentation")
    command.add_argument(
        "--issuer-key", required=True, help="the issuer's public key: a JWK, a file with one, or a DID"
    )
    command.add_argument("--audience", required=True, help="the verifier that the presentation must be made for")
    command.add_argument("--nonce", required=True, help="the nonce of the request that it must answer")
    command.add_argument("--vct", help="the only credential type to accept")
    command.add_argument("--typ", default=CREDENTIAL_TYP, help="type of the issuer's token (default: %(default)s)")
    command.add_argument("--at", type=datetime.fromisoformat, help="judge as of this moment instead of now (ISO 8601)")
    chosen = parser.parse_args(arguments)
    try:
        outcome, status = _report(_verify_as(chosen)), 0
    except Refusal as refusal:
        outcome, status = {"valid": False, **refusal.problem()}, 1
    print(json.dumps(outcome, indent=2, ensure_ascii=False))
    return status


def _verify_as(chosen: argparse.Namespace) -> VerifiedPresentation:
    key = _issuer_key_of(chosen.issuer_key)
    at: datetime = chosen.at or datetime.now(UTC)
    if at.tzinfo is None:
        raise Invalid("a moment needs its offset from UTC, such as 2026-01-31T12:00:00Z")
    return verify(
        sys.stdin.read(PRESENTATION_BYTES_MAX + 2).strip(),
        issuer_keys=lambda _issuer, _key_id: key,
        audience=chosen.audience,
        nonce=chosen.nonce,
        at=at,
        vct=chosen.vct,
        typ=chosen.typ,
    )


def _issuer_key_of(text: str) -> PublicKey:
    if text.startswith("did:"):
        public_key = did_public_key(parse_did(text))
        if public_key is None:
            raise Invalid("a did:web does not hold its key: give the key itself")
        return verification_key(public_key)
    try:
        return key_of_jwk(json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")))
    except (OSError, ValueError) as unreadable:
        raise Invalid(f"the issuer's key cannot be read: {unreadable}") from unreadable


def _report(proven: VerifiedPresentation) -> JsonObject:
    return {
        "valid": True,
        "issuer": proven.issuer,
        "issuer_key_id": proven.issuer_key_id,
        "vct": proven.vct,
        "disclosed": proven.disclosed,
        "claims": proven.claims,
        "holder_key": jwk_of(proven.holder_key),
        "issued_at": _iso(proven.issued_at),
        "expires_at": _iso(proven.expires_at),
        "presented_at": _iso(proven.presented_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment and moment.isoformat()


if __name__ == "__main__":
    sys.exit(main())
