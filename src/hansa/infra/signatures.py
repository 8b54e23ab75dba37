"""HTTP message signatures (RFC 9421) with the key of an agent's DID: how agents prove who calls.

A signature covers the method, the authority, the path, the query and the digest of the body, and says when it was
made, until when it counts, with which key, for what (`tag="hansa"`) and, by a nonce, which request it is. All of
that is always required, also of a request without query or body, so there is one rule and nothing to strip off.

`verify_request` checks everything but replay: the caller records `SignedBy.nonce` until `SignedBy.remember_until`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

import httpx
from http_message_signatures.algorithms import ED25519  # pyright: ignore[reportPrivateImportUsage] - exported for mypy
from http_message_signatures.digests import ContentDigest
from http_message_signatures.exceptions import HTTPMessageSignaturesException, InvalidSignature
from http_message_signatures.resolvers import HTTPSignatureComponentResolver, MappingKeyResolver
from http_message_signatures.signatures import HTTPMessageSigner, HTTPMessageVerifier

from hansa.infra.keys import AgentKey, WeakKey, verification_key
from hansa.kernel.dids import Did, InvalidDid, parse_key_id
from hansa.kernel.errors import Unauthenticated

COVERED = ("@method", "@authority", "@path", "@query", "content-digest")
PARAMETERS = ("created", "expires", "nonce", "keyid", "tag")
TAG = "hansa"
LABEL = "hansa"

VALID_S_MAX = 300
CLOCK_SKEW_S = 30
COVERED_MAX = 16
"""Most components one signature may cover: the five of ours and a few more fields."""
FIELD_LENGTH_MAX = {"signature-input": 2048, "signature": 256, "content-digest": 256, "host": 260}
"""Longest value of each field that is read at all. A field that is not listed here is not read unless covered."""

URL = re.compile(r"https?://(?:[^/?#@]*@)?(?P<authority>[^/?#@]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#.*)?")
AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
VISIBLE_ASCII = re.compile(r"[!-~]*")
NONCE = re.compile(r"[!-~]{16,128}")


class SignatureRefused(Unauthenticated):
    """The signature does not prove who sent the request."""


class SignatureMissing(SignatureRefused):
    """The request carries no signature."""


class SignatureMalformed(SignatureRefused):
    """The signature, or what it is made over, cannot be read."""


class SignatureIncomplete(SignatureRefused):
    """The signature leaves out something that it must cover."""


class SignatureExpired(SignatureRefused):
    """The signature does not count now: too old, not yet, or made to last too long."""


class SignatureWrong(SignatureRefused):
    """The signature was not made over this request with this key."""


class SignatureElsewhere(SignatureRefused):
    """The request was signed for another server."""


class DigestMismatch(SignatureRefused):
    """The Content-Digest that was signed does not hold the sha-256 of the body."""


class KeyUnknown(SignatureRefused):
    """Nobody is known under the key that the signature names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """Who signed a request, as proven by the key of their DID."""

    did: Did
    key_id: str
    """DID URL of the key, in canonical spelling."""
    nonce: str
    """What makes this request the only one of its kind; 16 to 128 characters, chosen by the signer."""
    created: datetime
    expires: datetime
    remember_until: datetime
    """When the nonce may be forgotten: the expiry and the clock skew that is allowed on top of it."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request as the library wants to see one, with path and query exactly as they stood on the wire."""

    method: str
    url: str
    """Scheme and authority alone; see _WireResolver."""
    path: str
    query: str | None
    headers: Mapping[str, str]


class _Component(Protocol):
    value: object
    params: Mapping[str, object]


class _SignatureInput(Protocol):
    """One member of Signature-Input: the covered components in order, and the parameters."""

    params: Mapping[str, object]

    def __iter__(self) -> Iterator[_Component]: ...


def sign_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    key: AgentKey,
    at: datetime,
    valid_s: int = 60,
    nonce: str | None = None,
) -> dict[str, str]:
    """Sign a request: return the Content-Digest, Signature-Input and Signature fields to add to it.

    `url` is the absolute URL as it is sent; a Host in `headers` stands above the URL's own. Every attempt to send
    needs its own signature, for the nonce counts once. Raises SignatureMalformed when the request cannot be signed.
    """
    nonce = secrets.token_urlsafe(18) if nonce is None else nonce
    # The library would read a naive datetime in the local time zone.
    if at.tzinfo is None or not 0 < valid_s <= VALID_S_MAX or not NONCE.fullmatch(nonce):
        raise ValueError(f"needs an aware datetime, 1 to {VALID_S_MAX} seconds and a nonce of 16 to 128 characters")
    signed: dict[str, str] = {}
    request = _request(method, url, _only_fields(headers, "host"), headers=signed)
    signer = HTTPMessageSigner(signature_algorithm=ED25519, component_resolver_class=_WireResolver)
    try:
        # prepare() and apply() instead of sign(): the secret stays inside the AgentKey.
        prepared = signer.prepare(
            request,
            key_id=key.key_id,
            created=at,
            expires=at + timedelta(seconds=valid_s),
            nonce=nonce,
            tag=TAG,
            label=LABEL,
            covered_component_ids=COVERED,
            body=body,
        )
    except HTTPMessageSignaturesException as problem:
        raise SignatureMalformed(str(problem)) from problem
    signer.apply(request, prepared, key.sign(prepared.signature_base))
    return signed


def verify_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    resolve_key: Callable[[Did, str], bytes | None],
    at: datetime,
    clock_skew_s: int = CLOCK_SKEW_S,
    authority: str | None = None,
) -> SignedBy:
    """Check the signature of a request that was received; return who signed it.

    `authority` is the host (and port) under which clients reach us. Without it any is taken, and whoever receives a
    request that was signed for another server could hand it on to this one. `url` must hold path and query as received, still escaped (`received_url` takes them from ASGI); its authority
    counts only when there is no Host field. `resolve_key` gets the DID and the canonical key id and returns the
    32 bytes of the key that was valid at `at`, or None. What it raises reaches the caller unchanged.
    Raises one of the kinds of SignatureRefused.
    """
    fields = _only_fields(headers, *FIELD_LENGTH_MAX)
    _require_signature(fields)
    request = _request(method, url, fields, headers=headers)
    _require_authority(request.url, authority)
    verifier = _Verifier(resolve_key, at=at, clock_skew_s=clock_skew_s)
    try:
        # max_age: the library's own limits are off, see _Verifier.
        verifier.verify(request, max_age=None)
    except InvalidSignature as problem:
        # The library has one exception for everything, and none of its words when the key did not fit. How far it
        # came tells the two cases apart.
        kind = SignatureMalformed if verifier.claim is None else SignatureWrong
        raise kind(str(problem) or None) from problem
    assert verifier.claim is not None
    _require_digest(fields["content-digest"], body)
    return verifier.claim


def received_url(scope: Mapping[str, Any]) -> str:
    """The URL of a request as it was received, from its ASGI scope (whose values have no common type).

    Frameworks build theirs from the unescaped path, in which `/a%2Fb` has become `/a/b`: another path than the
    one that was signed.
    """
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    query: bytes = scope["query_string"]
    path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    target = path + (b"?" + query if query else b"")
    return f"{scope['scheme']}://{(host + target).decode('latin-1')}"


class SignedAuth(httpx.Auth):
    """Sign each request of an httpx client with an agent's key at the moment it is sent.

    Works for the sync and the async client. A redirect goes out with the signature of the request before it, which
    the other side refuses; leave `follow_redirects` off.
    """

    requires_request_body = True

    def __init__(
        self, key: AgentKey, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), valid_s: int = 60
    ) -> None:
        self._key = key
        self._clock = clock
        self._valid_s = valid_s

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers.update(
            sign_request(
                method=request.method,
                url=str(request.url),
                headers=request.headers,
                body=request.content,
                key=self._key,
                at=self._clock(),
                valid_s=self._valid_s,
            )
        )
        yield request


class _WireResolver(HTTPSignatureComponentResolver):
    """Takes path and query as they stood on the wire.

    The library reads URLs by the letter of RFC 3986 and refuses brackets and bars in a query, which browsers and
    httpx send as they are. It gets to parse the scheme and the authority alone, and the rest is put beside them.
    """

    def __init__(self, message: _Request) -> None:
        super().__init__(message)
        self.url_parts = replace(self.url_parts, path=message.path, query=message.query)


class _Verifier(HTTPMessageVerifier):
    """The library's verifier under our rules.

    By default it demands no component, no expiry, no nonce and no tag, looks at the wall clock, and reports
    whatever a key resolver raises (a lost database, say) as an invalid signature. Its one hook that runs before
    the key is looked up, `validate_created_and_expires`, is where all of our rules are checked and the key is
    fetched; refusals raised there come out as they are.
    """

    def __init__(self, resolve_key: Callable[[Did, str], bytes | None], *, at: datetime, clock_skew_s: int) -> None:
        super().__init__(signature_algorithm=ED25519, key_resolver=None, component_resolver_class=_WireResolver)
        self.claim: SignedBy | None = None
        """What the signature says of itself, once that keeps all rules. Proven only when verify() returns."""
        self._resolve_key = resolve_key
        self._at = at
        self._clock_skew_s = clock_skew_s

    def validate_created_and_expires(self, sig_input: _SignatureInput, max_age: timedelta | None = None) -> None:
        del max_age  # our own window is narrower
        _require_coverage(sig_input)
        claim = _claim(sig_input.params, at=self._at, clock_skew_s=self._clock_skew_s)
        public_key = self._resolve_key(claim.did, claim.key_id)
        if public_key is None:
            raise KeyUnknown(f"no valid key is known as {claim.key_id}")
        try:
            key = verification_key(public_key)
        except WeakKey as problem:
            raise KeyUnknown(f"{claim.key_id} is not a key that can sign") from problem
        # Under the spelling that was signed, which the library looks up; the canonical one may differ.
        self.key_resolver = MappingKeyResolver(public_keys={str(sig_input.params["keyid"]): key}, private_keys={})
        self.claim = claim


def _only_fields(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    """The named fields under their lower-case names; refuses a field that is there twice, or too long.

    `items()` of a framework's headers yields repeated fields one by one, while a lookup takes one of them: two
    readers could then see two different values.
    """
    fields: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()  # noqa: PLW2901 - the spelling as received has no further use
        if name not in names:
            continue
        if name in fields:
            raise SignatureMalformed(f"the field {name} is there more than once")
        if len(value) > FIELD_LENGTH_MAX[name]:
            raise SignatureMalformed(f"the field {name} is longer than {FIELD_LENGTH_MAX[name]} characters")
        fields[name] = value
    return fields


def _request(method: str, url: str, fields: Mapping[str, str], *, headers: Mapping[str, str]) -> _Request:
    if not (method.isascii() and method.isalpha() and method.isupper()):
        raise SignatureMalformed("the method is not an upper-case word")
    match = URL.fullmatch(url) if VISIBLE_ASCII.fullmatch(url) else None
    authority = fields.get("host", match["authority"] if match else "")
    if match is None or not AUTHORITY.fullmatch(authority):
        raise SignatureMalformed("the request names no host, or has characters in its URL that must be escaped")
    scheme = url.partition(":")[0]
    return _Request(method, f"{scheme}://{authority}", match["path"] or "", match["query"], headers)


def _require_authority(url: str, ours: str | None) -> None:
    """The request is meant for us. A port that goes without saying may be said."""
    scheme, _, named = url.lower().partition("://")
    default = {"http": ":80", "https": ":443"}[scheme]
    if ours is not None and named.removesuffix(default) != ours.lower().removesuffix(default):
        raise SignatureElsewhere(f"the request was signed for {named}, and this is {ours}")


def _require_signature(fields: Mapping[str, str]) -> None:
    present = {"signature", "signature-input"} & fields.keys()
    if not present:
        raise SignatureMissing
    if len(present) == 1:
        raise SignatureMalformed("Signature and Signature-Input belong together, and one of them is missing")


def _require_coverage(sig_input: _SignatureInput) -> None:
    components = list(sig_input)
    if len(components) > COVERED_MAX:
        raise SignatureMalformed(f"the signature covers more than {COVERED_MAX} components")
    # A component with parameters is another one: `"content-digest";key="sha-512"` is not the whole field.
    covered = {component.value for component in components if not component.params}
    missing = [name for name in COVERED if name not in covered]
    missing += [name for name in PARAMETERS if name not in sig_input.params]
    if missing:
        raise SignatureIncomplete(f"the signature must also cover: {', '.join(missing)}", missing=missing)


def _claim(params: Mapping[str, object], *, at: datetime, clock_skew_s: int) -> SignedBy:
    """Read the parameters of a signature and hold them against our rules."""
    if params["tag"] != TAG or params.get("alg", ED25519.algorithm_id) != ED25519.algorithm_id:
        raise SignatureMalformed(f'the signature is not an ed25519 signature with tag="{TAG}"')
    nonce = str(params["nonce"])
    if not NONCE.fullmatch(nonce):
        raise SignatureMalformed("a nonce has 16 to 128 visible ASCII characters")
    try:
        did, key_id = parse_key_id(str(params["keyid"]))
    except InvalidDid as problem:
        raise SignatureMalformed(f"the key id names no key of a DID: {problem.detail}") from problem
    created, expires = params["created"], params["expires"]
    assert isinstance(created, int)
    assert isinstance(expires, int)
    _require_window(created, expires, now=at.timestamp(), clock_skew_s=clock_skew_s)
    until = datetime.fromtimestamp(expires, UTC)
    return SignedBy(
        did=did,
        key_id=key_id,
        nonce=nonce,
        created=datetime.fromtimestamp(created, UTC),
        expires=until,
        remember_until=until + timedelta(seconds=clock_skew_s),
    )


def _require_window(created: int, expires: int, *, now: float, clock_skew_s: int) -> None:
    """Compare plain seconds: a stranger's number may lie outside of what a datetime can hold."""
    if not 0 < expires - created <= VALID_S_MAX:
        raise SignatureExpired(f"a signature counts for 1 to {VALID_S_MAX} seconds")
    if created > now + clock_skew_s:
        raise SignatureExpired("the signature was made in the future; check the clock")
    if expires + clock_skew_s < now:
        raise SignatureExpired(f"the signature expired {int(now - expires)} seconds ago; sign again")


def _require_digest(field: str, body: bytes) -> None:
    """Look for the sha-256 of the body among the digests; others may stand beside it."""
    # After the signature: hashing a large body is work that only someone known may ask for.
    if ContentDigest.create(body) not in [digest.strip(" ") for digest in field.split(",")]:
        raise DigestMismatch
