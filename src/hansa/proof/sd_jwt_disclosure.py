"""The hidden part of an SD-JWT: each disclosure put where the issuer signed its digest (RFC 9901 section 7.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from hansa.proof.sd_jwt_errors import (
    AlgorithmRefused,
    ClaimReserved,
    CredentialMalformed,
    CredentialTooLarge,
    DisclosureDuplicate,
    DisclosureMalformed,
    DisclosureUnreferenced,
)
from hansa.proof.sd_jwt_token import JsonObject, decode_json, digest_of

HIDDEN, HIDDEN_ELEMENT, HASH_NAME = "_sd", "...", "_sd_alg"
DEPTH_MAX = 16
"""Objects and lists inside each other, disclosed ones counted where they stand."""
NEVER_HIDDEN = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"})
"""A verifier decides by these, so a holder may not choose to leave them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    name: str | None
    """Name of the claim; None for an element of a list."""
    value: object

    @classmethod
    def of(cls, text: str) -> Disclosure:
        match decode_json(text):
            case [str(), str(name), value] if name not in {HIDDEN, HIDDEN_ELEMENT}:
                return cls(name=name, value=value)
            case [str(), value]:
                return cls(name=None, value=value)
            case _:
                raise DisclosureMalformed


@dataclass(slots=True, kw_only=True)
class _Disclosing:
    """One walk through a signed payload that puts each disclosed value where its digest stands."""

    by_digest: Mapping[str, Disclosure]
    seen: set[str] = field(default_factory=set[str])
    """Digests met so far: one that stands in two places would let one value answer two questions."""

    def value(self, value: object, depth: int) -> object:
        if depth > DEPTH_MAX:
            raise CredentialTooLarge(f"more than {DEPTH_MAX} levels of objects and lists", depth_max=DEPTH_MAX)
        if isinstance(value, dict):
            return self.object(cast("JsonObject", value), depth)
        if isinstance(value, list):
            return list(self.elements(cast("list[object]", value), depth))
        return value

    def object(self, members: JsonObject, depth: int) -> JsonObject:
        if HIDDEN_ELEMENT in members:
            raise CredentialMalformed("a hidden element of a list stands outside of a list")
        shown = {name: self.value(value, depth + 1) for name, value in members.items() if name != HIDDEN}
        digests = members.get(HIDDEN, [])
        if not isinstance(digests, list):
            raise CredentialMalformed("_sd is a list of digests")
        for digest in cast("list[object]", digests):
            disclosure = self.take(digest)
            if disclosure is None:
                continue
            if disclosure.name is None:
                raise DisclosureMalformed("an element of a list was disclosed as a claim")
            if disclosure.name in shown:
                raise DisclosureDuplicate(f"the claim {disclosure.name} is there already", name=disclosure.name)
            shown[disclosure.name] = self.value(disclosure.value, depth + 1)
        return shown

    def elements(self, values: Sequence[object], depth: int) -> Iterable[object]:
        for value in values:
            if not (isinstance(value, dict) and HIDDEN_ELEMENT in value):
                yield self.value(value, depth + 1)
                continue
            if len(cast("JsonObject", value)) != 1:
                raise CredentialMalformed("a hidden element of a list has nothing beside its digest")
            disclosure = self.take(cast("JsonObject", value)[HIDDEN_ELEMENT])
            if disclosure is None:
                continue
            if disclosure.name is not None:
                raise DisclosureMalformed("a claim was disclosed as an element of a list")
            yield self.value(disclosure.value, depth + 1)

    def take(self, digest: object) -> Disclosure | None:
        if not isinstance(digest, str):
            raise CredentialMalformed("a digest is text")
        if digest in self.seen:
            raise DisclosureDuplicate("a digest stands in two places")
        self.seen.add(digest)
        return self.by_digest.get(digest)


def disclose(payload: JsonObject, disclosures: Sequence[str]) -> tuple[JsonObject, tuple[str, ...]]:
    """The payload with its disclosed values in place, and the names that the holder disclosed."""
    if payload.get(HASH_NAME, "sha-256") != "sha-256":
        raise AlgorithmRefused("digests are sha-256", expected="sha-256", found=payload[HASH_NAME])
    by_digest = {digest_of(text): Disclosure.of(text) for text in disclosures}
    walk = _Disclosing(by_digest=by_digest)
    claims = walk.object({name: value for name, value in payload.items() if name != HASH_NAME}, 1)
    if not by_digest.keys() <= walk.seen:
        raise DisclosureUnreferenced
    if chosen := sorted(name for name in NEVER_HIDDEN & claims.keys() if name not in payload):
        raise ClaimReserved(f"{', '.join(chosen)} must not be hidden", names=chosen)
    return claims, tuple(disclosure.name for disclosure in by_digest.values() if disclosure.name is not None)
