"""DIDs: the names under which agents act, and the Ed25519 key that most of them carry inside.

    did:key:z6Mk...                    the key itself, multicodec ed25519-pub in base58btc
    did:sol:<address>                  the key as a Solana address; did:solana and a network part mean the same
    did:pkh:solana:<genesis>:<address> the same address as an account of one chain (CAIP-10)
    did:web:<host>[:<path>...]         a document at a host; no key inside, so someone must fetch and record it

Every DID has one canonical spelling and `parse_did` returns it: equal DIDs are equal text. Whether 32 bytes are a
key that may be trusted with a signature is for whoever verifies one (`hansa.infra.keys.verification_key`).
"""

from __future__ import annotations

import re
from typing import NewType

from hansa.kernel import base58
from hansa.kernel.errors import Invalid

Did = NewType("Did", str)
"""A DID in its canonical spelling, as `parse_did` returns it."""

DID_LENGTH_MAX = 255
FRAGMENT_LENGTH_MAX = 64

ED25519_PUB = b"\xed\x01"
"""Multicodec prefix of an Ed25519 public key, 0xed as a varint."""
NETWORKS = frozenset({"mainnet", "mainnet-beta", "devnet", "testnet", "localnet"})

GENESIS = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32}")
"""CAIP-2 reference of a Solana chain: the first 32 characters of its genesis hash."""
FRAGMENT = re.compile(rf"[A-Za-z0-9._~-]{{1,{FRAGMENT_LENGTH_MAX}}}")
HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
PORT = re.compile(r"[1-9][0-9]{0,4}")
PATH_SEGMENT = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]+")


class InvalidDid(Invalid, ValueError):
    """The text is not a DID of a method that Hansa knows: did:key, did:sol, did:pkh:solana or did:web."""


def parse_did(text: str) -> Did:
    """Read a DID and return its canonical spelling.

    `did:solana:` and the network part of `did:sol:` are dropped: a generative DID is its key, on every network.
    Raises InvalidDid.
    """
    # ASCII first: lower() turns the Kelvin sign into a k, and a did:web would change its host.
    if len(text) > DID_LENGTH_MAX or not text.isascii():
        raise InvalidDid(f"a DID has at most {DID_LENGTH_MAX} characters, all of them ASCII")
    match text.split(":"):
        case ["did", "key", multikey]:
            return did_key(_key_of_multikey(multikey))
        case ["did", "sol" | "solana", address]:
            return did_sol(public_key_of_wallet(address))
        case ["did", "sol" | "solana", network, address] if network in NETWORKS:
            return did_sol(public_key_of_wallet(address))
        case ["did", "pkh", "solana", genesis, address] if GENESIS.fullmatch(genesis):
            return Did(f"did:pkh:solana:{genesis}:{wallet_address(public_key_of_wallet(address))}")
        case ["did", "web", host, *path]:
            return _did_web(host, path)
        case _:
            raise InvalidDid


def did_public_key(did: Did) -> bytes | None:
    """The 32 bytes of the Ed25519 key inside a DID; None for did:web, whose keys are in its document."""
    method, last = did.split(":")[1], did.rsplit(":", 1)[1]
    if method == "web":
        return None
    return _key_of_multikey(last) if method == "key" else public_key_of_wallet(last)


def did_key(public_key: bytes) -> Did:
    """The did:key of an Ed25519 public key."""
    return Did("did:key:" + _multikey(public_key))


def did_sol(public_key: bytes) -> Did:
    """The did:sol of an Ed25519 public key, without a network part."""
    return Did("did:sol:" + wallet_address(public_key))


def wallet_address(public_key: bytes) -> str:
    """The Solana address of an Ed25519 public key: its base58."""
    _require_32_bytes(public_key)
    return base58.encode(public_key)


def public_key_of_wallet(address: str) -> bytes:
    """The 32 bytes that a Solana address stands for; raises InvalidDid for any other text."""
    try:
        return base58.decode(address, size=32)
    except ValueError as problem:
        raise InvalidDid(f"not a Solana address: {problem}") from problem


def key_id(did: Did) -> str:
    """The DID URL that names the key inside a DID, with the fragment that its method prescribes.

    Raises InvalidDid for did:web: such a document names its keys itself.
    """
    method, last = did.split(":")[1], did.rsplit(":", 1)[1]
    match method:
        case "key":
            return f"{did}#{last}"
        case "sol":
            return f"{did}#default"
        case "pkh":
            return f"{did}#controller"
        case _:
            raise InvalidDid("a did:web names its keys in its own document")


def parse_key_id(text: str) -> tuple[Did, str]:
    """Read a key id (a DID URL that is a DID and a fragment); return the DID and the key id, both canonical."""
    # Bounded before it is split: strangers send key ids, and a message repeats what it refuses.
    if len(text) > DID_LENGTH_MAX + 1 + FRAGMENT_LENGTH_MAX:
        raise InvalidDid("a key id is a DID and a fragment, and this is longer than both may be")
    subject, _, fragment = text.partition("#")
    if not FRAGMENT.fullmatch(fragment):
        raise InvalidDid("a key id is a DID, a # and the name of one of its keys")
    did = parse_did(subject)
    return did, f"{did}#{fragment}"


def did_of_key_id(keyid: str) -> Did:
    """The DID that a key id belongs to, in canonical spelling; raises InvalidDid."""
    return parse_key_id(keyid)[0]


def _multikey(public_key: bytes) -> str:
    _require_32_bytes(public_key)
    return "z" + base58.encode(ED25519_PUB + public_key)


def _key_of_multikey(multikey: str) -> bytes:
    try:
        data = base58.decode(multikey.removeprefix("z"), size=34) if multikey.startswith("z") else b""
    except ValueError as problem:
        raise InvalidDid(f"not an Ed25519 did:key: {problem}") from problem
    if not data.startswith(ED25519_PUB):
        raise InvalidDid("a did:key holds an Ed25519 key in base58btc: it starts with z6Mk")
    return data.removeprefix(ED25519_PUB)


def _require_32_bytes(public_key: bytes) -> None:
    if len(public_key) != 32:
        raise InvalidDid(f"an Ed25519 public key has 32 bytes, not {len(public_key)}")


def _did_web(authority: str, path: list[str]) -> Did:
    """`authority` is a host name, with `%3A` and a port when it is not 443; path segments follow after colons.

    Percent escapes in the path and segments of dots only are refused: whoever fetches the document turns the
    segments into a URL, and `%2F` or `..` would lead it elsewhere.
    """
    host, escape, port = authority.lower().partition("%3a")
    labels = host.split(".")
    if len(host) > 253 or not all(HOST_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise InvalidDid("the host of a did:web is a domain name, not an address")
    if escape and not (PORT.fullmatch(port) and int(port) <= 65535):
        raise InvalidDid("the port of a did:web is a number up to 65535 after %3A")
    if not all(PATH_SEGMENT.fullmatch(segment) for segment in path):
        raise InvalidDid("a path segment of a did:web has letters, digits, dots, dashes and underscores")
    return Did(":".join(["did:web:" + host + (f"%3A{port}" if escape else ""), *path]))
