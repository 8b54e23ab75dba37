"""DIDs and base58: one spelling each, keys in and out, and nothing else gets through."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.kernel import base58
from hansa.kernel.dids import (
    Did,
    InvalidDid,
    did_key,
    did_of_key_id,
    did_public_key,
    did_sol,
    key_id,
    parse_did,
    parse_key_id,
    public_key_of_wallet,
    wallet_address,
)
from hansa.kernel.errors import Invalid

few = settings(derandomize=True, max_examples=60, deadline=None)
public_keys = st.binary(min_size=32, max_size=32) | st.integers(0, 255).map(lambda n: n.to_bytes(32, "big"))

USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
GENESIS = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
W3C_KEY = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
"""An example of the did:key specification, with its public key below."""
W3C_PUBLIC_KEY = bytes.fromhex("2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6")


@few
@given(st.binary(max_size=40))
def test_base58_gives_back_what_it_was_given(data):
    text = base58.encode(data)

    decoded = base58.decode(text, size=len(data))

    assert decoded == data
    assert len(text) <= base58.length_max(len(data))


@pytest.mark.parametrize(
    ("data", "text"), [(b"Hello World!", "2NEpo7TZRRrLZSi2U"), (bytes.fromhex("0000287fb4cd"), "11233QC4")]
)
def test_base58_agrees_with_the_vectors_of_its_specification(data, text):
    assert base58.encode(data) == text
    assert base58.decode(text, size=len(data)) == data


@pytest.mark.parametrize(
    "text",
    ["1" + USDC, USDC[3:], USDC + "1", USDC.replace("F", "0"), "", "z" * 44, USDC + " ", "1" * 33, "1" * 31, "é" * 40],
)
def test_an_address_in_another_spelling_or_length_is_refused(text):
    with pytest.raises(InvalidDid):
        public_key_of_wallet(text)


@few
@given(public_keys)
def test_a_key_comes_back_from_each_did_and_wallet_made_of_it(public_key):
    dids = [did_key(public_key), did_sol(public_key), Did(f"did:pkh:solana:{GENESIS}:{wallet_address(public_key)}")]

    parsed = [parse_did(did) for did in dids]

    assert parsed == dids
    assert [did_public_key(did) for did in parsed] == [public_key] * 3
    assert [did_of_key_id(key_id(did)) for did in parsed] == dids
    assert public_key_of_wallet(wallet_address(public_key)) == public_key


def test_a_did_key_of_the_specification_is_read():
    did = parse_did(W3C_KEY)

    assert did == W3C_KEY
    assert did_public_key(did) == W3C_PUBLIC_KEY
    assert key_id(did) == f"{W3C_KEY}#{W3C_KEY.removeprefix('did:key:')}"


@pytest.mark.parametrize("prefix", ["did:sol:", "did:solana:", "did:sol:devnet:", "did:solana:mainnet-beta:"])
def test_every_spelling_of_a_did_sol_becomes_one(prefix):
    did = parse_did(prefix + USDC)

    assert did == f"did:sol:{USDC}"
    assert key_id(did) == f"did:sol:{USDC}#default"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("did:web:example.com", "did:web:example.com"),
        ("did:web:Example.COM:agents:Data-Bot_1", "did:web:example.com:agents:Data-Bot_1"),
        ("did:web:localhost%3a8443", "did:web:localhost%3A8443"),
    ],
)
def test_a_did_web_has_a_lower_case_host_and_no_key(text, canonical):
    did = parse_did(text)

    assert did == canonical
    assert did_public_key(did) is None
    assert did_of_key_id(f"{text}#key-1") == canonical
    with pytest.raises(InvalidDid, match="its own document"):
        key_id(did)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did",
        "did:key:",
        "DID:key:" + W3C_KEY.removeprefix("did:key:"),
        W3C_KEY + "#" + W3C_KEY.removeprefix("did:key:"),
        W3C_KEY.replace("z6Mk", "6Mk"),
        W3C_KEY.replace("z6Mk", "z16Mk"),
        "did:key:z" + base58.encode(b"\xed\x01" + bytes(31)),
        "did:sol:ExampleAgent123",
        f"did:sol:moonnet:{USDC}",
        f"did:sol:devnet:devnet:{USDC}",
        f"did:sol:{USDC}?versionId=1",
        f"did:pkh:eip155:1:{USDC}",
        f"did:pkh:solana:{GENESIS[1:]}:{USDC}",
        "did:web:",
        "did:web:192.168.0.1",
        "did:web:[::1]",
        "did:web:example.com%3A70000",
        "did:web:example.com%3A",
        "did:web:example.com%2Fadmin",
        "did:web:user@example.com",
        "did:web:example.com:..:secret",
        "did:web:example.com:a%2Fb",
        "did:web:example.com:",
        "did:web:-example.com",
        "did:web:example..com",
        "did:web:\u212aelvin.com",
        "did:web:" + ".".join(["a" * 60] * 5),
        f"did:solana:{USDC}\n",
        "did:key:z" + "1" * 100_000,
    ],
)
def test_what_is_not_a_did_is_refused_by_name(text):
    with pytest.raises(InvalidDid) as refusal:
        parse_did(text)

    assert isinstance(refusal.value, ValueError)
    assert isinstance(refusal.value, Invalid)
    assert refusal.value.code() == "invalid_did"
    assert len(refusal.value.detail) < 200


def test_a_did_key_of_another_kind_of_key_is_told_which_kind_is_needed():
    x25519 = "did:key:z" + base58.encode(b"\xec\x01" + bytes(32))

    with pytest.raises(InvalidDid, match="holds an Ed25519 key"):
        parse_did(x25519)


def test_a_text_too_long_for_its_bytes_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match="longer than the base58 of 32 bytes"):
        base58.decode("not base58 0OIl" * 100_000, size=32)


def test_a_key_id_is_made_canonical_with_its_did():
    did, canonical = parse_key_id(f"did:solana:devnet:{USDC}#default")

    assert did == f"did:sol:{USDC}"
    assert canonical == f"did:sol:{USDC}#default"


@pytest.mark.parametrize(
    "text",
    [
        f"did:sol:{USDC}",
        f"did:sol:{USDC}#",
        f"did:sol:{USDC}#a#b",
        f"did:sol:{USDC}#a b",
        f"did:sol:{USDC}#{'a' * 65}",
        "#a",
    ],
)
def test_a_key_id_needs_a_did_and_the_name_of_a_key(text):
    with pytest.raises(InvalidDid):
        parse_key_id(text)


@pytest.mark.parametrize("make", [did_key, did_sol, wallet_address])
@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_public_key_of_another_size_names_nobody(make, size):
    with pytest.raises(InvalidDid, match="32 bytes"):
        make(b"\1" * size)
