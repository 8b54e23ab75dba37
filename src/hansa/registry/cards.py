"""Agent cards: read the A2A card an agent publishes, check who signed it, and know what the registry needs of it.

One Ed25519 key is the agent's DID, the wallet it is paid to, and what signs its card. A card that verifies therefore
proves control of all three, and a card in which they differ is refused. Everything in a `CardProfile` is taken from
what the signature covers; members that A2A does not know survive in `document`, unsigned, and are never read.

The price and the identity that A2A has no place for live in an extension of the card's capabilities:

    {"uri": "https://hansa.dev/ext/agent/v1",
     "params": {"did": "did:key:z6Mk...", "wallet": "<base58>", "domains": ["Research"],
                "skills": {"<skill id>": "Expert"},
                "pricing": {"asset": "USDC", "taskMin": "0.05", "taskMax": "2", "hourly": "12", "monthly": "49"}}}
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from a2a.client.card_resolver import parse_agent_card
from a2a.types import AgentCard, AgentExtension, AgentInterface, AgentSkill
from google.protobuf.json_format import MessageToDict, ParseError

from hansa.infra.keys import AgentKey
from hansa.kernel.dids import (
    Did,
    InvalidDid,
    did_public_key,
    key_id,
    parse_did,
    public_key_of_wallet,
    wallet_address,
)
from hansa.kernel.money import DECIMALS, Asset
from hansa.registry.card_errors import (
    CardDidForeign,
    CardFieldMissing,
    CardFieldTooLong,
    CardMalformed,
    CardTooLarge,
    CardWalletForeign,
)
from hansa.registry.card_profile import CardEndpoint, CardPricing, CardProfile, CardSkill, SkillLevel
from hansa.registry.card_signatures import KeyOfDid, signature_of, verify_card

EXTENSION_URI = "https://hansa.dev/ext/agent/v1"
X402_EXTENSION_URIS = (
    "https://github.com/google-a2a/a2a-x402",
    "https://github.com/google-agentic-commerce/a2a-x402",
)
"""The extension moved with its repository; both homes and any version of it mean that the agent takes x402."""

CARD_BYTES_MAX = 1024 * 1024
NAME_MAX, SLUG_MAX, TAGLINE_MAX, DESCRIPTION_MAX, VERSION_MAX = 100, 50, 200, 20_000, 64
URL_MAX, TAG_MAX, EXAMPLE_MAX, DOMAIN_MAX, ORGANIZATION_MAX = 2048, 100, 1000, 50, 200
SKILLS_MAX, TAGS_MAX, EXAMPLES_MAX, ENDPOINTS_MAX, DOMAINS_MAX = 100, 50, 20, 20, 10

WEB = frozenset({"http", "https"})
CALLABLE = WEB | {"grpc", "grpcs"}

# Any: the members of a JSON object are whatever their author wrote; each one is checked where it is used.
JsonObject = dict[str, Any]


def read_card(document: bytes, *, key_of_did: KeyOfDid | None = None, must_be_signed: bool = True) -> CardProfile:
    """Read an A2A card of v0.3 or v1 and check who signed it.

    `key_of_did` gives what is recorded of a DID: the key of a did:web, found beforehand, or one that was rotated in. A signature that is there is checked even where none
    is asked for: a wrong one is never better than none. Every refusal is one of `card_errors`.
    """
    card = _parse(document)
    params = _params(card.capabilities.extensions)
    did = _stated_did(params)
    signer_did, signer = verify_card(card, did, key_of_did) if card.signatures or must_be_signed else (None, None)
    did = did or signer_did
    if did is None:
        raise _missing("did")
    skills = _skills(card.skills, _object(params, "skills"))
    return CardProfile(
        did=did,
        wallet=_wallet(params, signer.public_key if signer else did_public_key(did)),
        slug=_slug(card.name, did),
        name=_text(card.name, "name", NAME_MAX),
        tagline=_tagline(_text(card.description, "description", DESCRIPTION_MAX)),
        description=_text(card.description, "description", DESCRIPTION_MAX),
        version=_text(card.version, "version", VERSION_MAX),
        avatar_url=_optional_url(card.icon_url, "iconUrl"),
        documentation_url=_optional_url(card.documentation_url, "documentationUrl"),
        organization=_optional_text(card.provider.organization, "provider.organization", ORGANIZATION_MAX),
        organization_url=_optional_url(card.provider.url, "provider.url"),
        skills=skills,
        tags=tuple(dict.fromkeys(tag for skill in skills for tag in skill.tags)),
        endpoints=_endpoints(card.supported_interfaces),
        domains=_domains(params),
        pricing=_pricing(params),
        accepts_x402=any(item.uri.startswith(X402_EXTENSION_URIS) for item in card.capabilities.extensions),
        document=document,
        content_hash=content_hash(document),
        signed_by=signer,
    )


def sign_card(document: Mapping[str, Any], key: AgentKey) -> JsonObject:  # Any: JSON values
    """Sign a card with an agent's key: a detached JWS over its canonical form, as the A2A SDK checks it.

    The DID and the wallet are filled in where the card leaves them out. Signatures that the card had are replaced,
    since they did not cover that. What is signed here is read back first: a card that could not be registered is
    refused now. A key that was rotated in signs for the DID that it calls itself by. Raises CardDidForeign or
    CardWalletForeign when the card names another key's.
    """
    signed = copy.deepcopy(dict(document))
    signed.pop("signatures", None)
    params = _own_params(signed)
    did = _stated_did(params) or key.did
    own = did_public_key(did) == key.public_key
    if not own and did != key.did:
        raise CardDidForeign(f"the card speaks for {did}, the key for {key.did}")
    params |= {"did": did, "wallet": params.get("wallet", key.wallet)}
    kid = key_id(did) if own else key.key_id
    signed["signatures"] = [signature_of(_parse(_json(signed)), kid, key)]
    read_card(_json(signed), key_of_did=lambda _did, named: key.public_key if named == kid else None)
    return signed


def content_hash(data: bytes) -> str:
    """The CIDv1 of raw bytes: version 1, codec raw, sha2-256 of 32 bytes, in base32."""
    cid = b"\x01\x55\x12\x20" + hashlib.sha256(data).digest()
    return "b" + base64.b32encode(cid).decode().rstrip("=").lower()


# ---------------------------------------------------------------------------------------------------------------
# Reading the document


def _parse(document: bytes) -> AgentCard:
    if len(document) > CARD_BYTES_MAX:
        raise CardTooLarge(f"a card has at most {CARD_BYTES_MAX} bytes", bytes_max=CARD_BYTES_MAX)
    try:
        # The SDK's parser moves the members of v0.3 to where v1 has them, in the dictionary it is given.
        return parse_agent_card(_read_json(document))
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as strange:
        raise CardMalformed(f"this is not an agent card: {str(strange)[:200]}") from strange


def _read_json(document: bytes) -> JsonObject:
    value = json.loads(document.decode(), object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)
    for text in _texts(value):
        # PostgreSQL stores neither, and a text that cannot be stored cannot be shown as it was signed.
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise CardMalformed("a text has characters that are not Unicode text")
    return value


def _unique(pairs: list[tuple[str, object]]) -> JsonObject:
    """Two parsers may take two different ones of two members with one name, and only one was signed."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CardMalformed("an object names a member twice")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise CardMalformed(f"{text} is not a number of JSON")
    return value


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in cast("JsonObject", value).items():
            yield name
            yield from _texts(member)
    elif isinstance(value, list):
        for element in cast("list[object]", value):
            yield from _texts(element)


def _params(extensions: Iterable[AgentExtension]) -> JsonObject:
    own = [extension for extension in extensions if extension.uri == EXTENSION_URI]
    if len(own) > 1:
        raise CardMalformed(f"the extension {EXTENSION_URI} stands in the card twice")
    return MessageToDict(own[0].params) if own else {}


# ---------------------------------------------------------------------------------------------------------------
# Who signed it


def _stated_did(params: Mapping[str, Any]) -> Did | None:  # Any: JSON values
    stated = _member(params, "did")
    try:
        return parse_did(stated) if stated else None
    except InvalidDid as strange:
        raise CardMalformed(f"did: {strange}", field="did") from strange


def _wallet(params: Mapping[str, Any], public_key: bytes | None) -> str:  # Any: JSON values
    """The one wallet a card may name: that of its key. Only an unsigned did:web has no key to compare with."""
    stated = _member(params, "wallet")
    try:
        stated_key = public_key_of_wallet(stated) if stated else public_key
    except InvalidDid as strange:
        raise CardMalformed(f"wallet: {strange}", field="wallet") from strange
    if stated_key is None:
        raise _missing("wallet")
    if public_key is not None and stated_key != public_key:
        raise CardWalletForeign(wallet=stated, expected=wallet_address(public_key))
    return wallet_address(stated_key)


def _own_params(document: JsonObject) -> JsonObject:
    """The params of our extension in a document that is to be signed, created where they are not there."""
    try:
        capabilities = cast("JsonObject", document.setdefault("capabilities", {}))
        extensions = cast("list[JsonObject]", capabilities.setdefault("extensions", []))
        own = next((extension for extension in extensions if extension.get("uri") == EXTENSION_URI), None)
        if own is None:
            own = JsonObject(uri=EXTENSION_URI, description="Identity, wallet, domains and prices of this agent")
            extensions.append(own)
        params: object = own.setdefault("params", {})
    except AttributeError as strange:
        raise CardMalformed("capabilities.extensions is not a list of objects") from strange
    if not isinstance(params, dict):
        raise CardMalformed("params is an object")
    return cast("JsonObject", params)


def _json(document: JsonObject) -> bytes:
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as strange:
        raise CardMalformed(f"the card has no form in JSON: {strange}") from strange


# ---------------------------------------------------------------------------------------------------------------
# What it says


def _skills(skills: Sequence[AgentSkill], levels: Mapping[str, object]) -> tuple[CardSkill, ...]:
    if not skills:
        raise _missing("skills")
    if len(skills) > SKILLS_MAX:
        raise _too_long("skills", SKILLS_MAX)
    found = tuple(_skill(skill, f"skills[{index}]", levels) for index, skill in enumerate(skills))
    if len({skill.id for skill in found}) != len(found):
        raise CardMalformed("two skills have the same id", field="skills")
    return found


def _skill(skill: AgentSkill, field: str, levels: Mapping[str, object]) -> CardSkill:
    tags = _list(skill.tags, f"{field}.tags", TAGS_MAX, TAG_MAX)
    return CardSkill(
        id=_text(skill.id, f"{field}.id", NAME_MAX),
        name=_text(skill.name, f"{field}.name", NAME_MAX),
        description=_text(skill.description, f"{field}.description", DESCRIPTION_MAX),
        tags=tuple(dict.fromkeys(tag.lower() for tag in tags)),
        examples=_list(skill.examples, f"{field}.examples", EXAMPLES_MAX, EXAMPLE_MAX),
        level=_level(levels.get(skill.id)),
    )


def _level(stated: object) -> SkillLevel | None:
    if stated is None:
        return None
    try:
        return SkillLevel(stated)
    except ValueError as unknown:
        raise CardMalformed(f"a skill's level is one of {', '.join(SkillLevel)}", field="skills") from unknown


def _endpoints(interfaces: Sequence[AgentInterface]) -> tuple[CardEndpoint, ...]:
    if not interfaces:
        raise _missing("supportedInterfaces")
    if len(interfaces) > ENDPOINTS_MAX:
        raise _too_long("supportedInterfaces", ENDPOINTS_MAX)
    found = (_endpoint(interface, f"supportedInterfaces[{index}]") for index, interface in enumerate(interfaces))
    return tuple(dict.fromkeys(found))  # v0.3 cards repeat their main URL among the additional ones


def _endpoint(interface: AgentInterface, field: str) -> CardEndpoint:
    return CardEndpoint(
        url=_url(_text(interface.url, f"{field}.url", URL_MAX), f"{field}.url", CALLABLE),
        binding=_text(interface.protocol_binding, f"{field}.protocolBinding", NAME_MAX),
        version=_text(interface.protocol_version, f"{field}.protocolVersion", VERSION_MAX),
    )


def _domains(params: Mapping[str, Any]) -> tuple[str, ...]:  # Any: JSON values
    stated = params.get("domains", [])
    if not isinstance(stated, list) or not all(isinstance(name, str) for name in cast("list[object]", stated)):
        raise CardMalformed("domains is a list of names", field="domains")
    return tuple(dict.fromkeys(_list(cast("list[str]", stated), "domains", DOMAINS_MAX, DOMAIN_MAX)))


def _pricing(params: Mapping[str, Any]) -> CardPricing | None:  # Any: JSON values
    stated = _object(params, "pricing")
    if not stated:
        return None
    try:
        asset = Asset(stated.get("asset"))
    except ValueError as unknown:
        raise CardMalformed(f"pricing.asset is one of {', '.join(Asset)}", field="pricing.asset") from unknown
    least, most, hourly, monthly = (_units(stated, name, asset) for name in ("taskMin", "taskMax", "hourly", "monthly"))
    if least is not None and most is not None and least > most:
        raise CardMalformed("pricing.taskMin is more than pricing.taskMax", field="pricing")
    if all(price is None for price in (least, most, hourly, monthly)):
        raise _missing("pricing.taskMin")
    return CardPricing(
        asset=asset, task_min_units=least, task_max_units=most, hourly_units=hourly, monthly_units=monthly
    )


def _units(pricing: Mapping[str, object], name: str, asset: Asset) -> int | None:
    """An amount written as text, `"0.05"`, in smallest units: a JSON number may have been a float on its way."""
    stated = pricing.get(name)
    if stated is None:
        return None
    found = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?", stated) if isinstance(stated, str) else None
    decimals = DECIMALS[asset]
    if found is None or len(found[2] or "") > decimals:
        raise CardMalformed(
            f'pricing.{name} is an amount of {asset} as text with at most {decimals} decimals, such as "0.05"',
            field=f"pricing.{name}",
        )
    return int(found[1]) * 10**decimals + int((found[2] or "").ljust(decimals, "0"))


def _slug(name: str, did: Did) -> str:
    """The name in lower case ASCII with dashes; a name of another script gets one that follows from its DID."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:SLUG_MAX].strip("-")
    return slug or f"agent-{hashlib.sha256(did.encode()).hexdigest()[:12]}"


def _tagline(description: str) -> str:
    first = re.split(r"(?<=[.!?])\s|(?<=。)|\n", description, maxsplit=1)[0].strip()
    if len(first) <= TAGLINE_MAX:
        return first
    cut = first[: TAGLINE_MAX - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,;:") + "…"


def _object(params: Mapping[str, Any], field: str) -> JsonObject:  # Any: JSON values
    stated = params.get(field, {})
    if not isinstance(stated, dict):
        raise CardMalformed(f"{field} is an object", field=field)
    return cast("JsonObject", stated)


def _member(params: Mapping[str, Any], field: str) -> str | None:  # Any: JSON values
    stated = params.get(field)
    if not isinstance(stated, str | None):
        raise CardMalformed(f"{field} is a text", field=field)
    return stated


def _text(value: str, field: str, length_max: int) -> str:
    text = _optional_text(value, field, length_max)
    if text is None:
        raise _missing(field)
    return text


def _optional_text(value: str, field: str, length_max: int) -> str | None:
    text = value.strip()
    if len(text) > length_max:
        raise _too_long(field, length_max)
    return text or None


def _list(values: Sequence[str], field: str, items_max: int, length_max: int) -> tuple[str, ...]:
    if len(values) > items_max:
        raise _too_long(field, items_max)
    texts = (_optional_text(value, f"{field}[{index}]", length_max) for index, value in enumerate(values))
    return tuple(text for text in texts if text is not None)


def _optional_url(value: str, field: str) -> str | None:
    text = _optional_text(value, field, URL_MAX)
    return text and _url(text, field, WEB)


def _url(text: str, field: str, schemes: frozenset[str]) -> str:
    """A URL that pages may link to and clients may call: no `javascript:`, no password, no blank inside."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or " " in text:
        raise CardMalformed(f"{field} is not a URL of {', '.join(sorted(schemes))}", field=field)
    return text


def _missing(field: str) -> CardFieldMissing:
    return CardFieldMissing(f"the card has no {field}", field=field)


def _too_long(field: str, length_max: int) -> CardFieldTooLong:
    return CardFieldTooLong(f"{field} is longer than {length_max}", field=field, length_max=length_max)
