"""Sign-in with a Solana wallet: the message, the signature, the site, the time and the nonce all have to fit."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair

from hansa.infra.siws import (
    MAINNET,
    SignInElsewhere,
    SignInExpired,
    SignInMalformed,
    SignInRefused,
    SignInReplayed,
    SignInWrong,
    challenge,
    verify,
)
from hansa.kernel import base58
from hansa.kernel.errors import Unauthenticated

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WALLET = Keypair.from_seed(bytes(range(32)))
ADDRESS = str(WALLET.pubkey())
NONCE = "0123456789abcdefABCDEF0123456789"
DOMAIN = "hansa.example:8420"
DEVNET = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"

few = settings(derandomize=True, max_examples=60, deadline=None)


def ask(**changes):
    parts = {"domain": DOMAIN, "uri": f"https://{DOMAIN}/sign-in", "address": ADDRESS, "nonce": NONCE, "at": NOW}
    return challenge(**(parts | changes))


def sign(message, wallet=WALLET):
    return str(wallet.sign_message(message.encode()))


class Nonces:
    """The nonces that were handed out, each to be used once."""

    def __init__(self, *nonces):
        self.open = set(nonces)

    def use(self, nonce):
        if nonce not in self.open:
            return False
        self.open.remove(nonce)
        return True


def check(message, signature, *, nonces=None, at=NOW, domain=DOMAIN, **options):
    nonces = Nonces(NONCE) if nonces is None else nonces
    return verify(message, signature, expected_domain=domain, use_nonce=nonces.use, at=at, **options)


def test_the_wallet_that_signed_is_signed_in_under_its_exact_address():
    message = ask()

    address = check(message, sign(message))

    assert address == ADDRESS
    assert address != address.lower()


def test_the_message_is_the_one_that_x402_writes():
    from x402.extensions.sign_in_with_x import SIWxPayload, create_siwx_message

    message = ask(statement="Hello.")
    payload = SIWxPayload(
        domain=DOMAIN,
        address=ADDRESS,
        uri=f"https://{DOMAIN}/sign-in",
        version="1",
        chain_id=MAINNET,
        type="ed25519",
        nonce=NONCE,
        issued_at="2026-11-20T12:00:00.000Z",
        expiration_time="2026-11-20T12:05:00.000Z",
        statement="Hello.",
        signature="",
    )

    assert message == create_siwx_message(payload, ADDRESS)
    assert message.startswith(f"{DOMAIN} wants you to sign in with your Solana account:\n{ADDRESS}\n\nHello.\n\nURI: ")


@few
@given(seed=st.binary(min_size=32, max_size=32), statement=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_every_wallet_gets_through_with_every_statement(seed, statement):
    wallet = Keypair.from_seed(seed)
    message = ask(address=str(wallet.pubkey()), statement=statement)

    assert check(message, sign(message, wallet)) == str(wallet.pubkey())


@few
@given(place=st.integers(0, 1000), character=st.characters(max_codepoint=300))
def test_no_character_of_the_message_can_be_changed(place, character):
    message = ask()
    signature, place = sign(message), place % len(message)
    changed = message[:place] + character + message[place + 1 :]
    nonces = Nonces(NONCE)

    if changed == message:
        return
    with pytest.raises(SignInRefused):
        check(changed, signature, nonces=nonces)

    assert nonces.open == {NONCE}


@few
@given(place=st.integers(0, 511))
def test_no_bit_of_the_signature_can_be_changed(place):
    message = ask()
    signature = bytearray(base58.decode(sign(message), size=64))
    signature[place // 8] ^= 1 << place % 8

    with pytest.raises(SignInWrong):
        check(message, base58.encode(bytes(signature)))


def test_a_signature_of_another_wallet_is_refused():
    message = ask()

    with pytest.raises(SignInWrong) as refusal:
        check(message, sign(message, Keypair()))

    assert isinstance(refusal.value, Unauthenticated)
    assert refusal.value.code() == "sign_in_wrong"


def test_a_wallet_for_which_anyone_can_sign_is_refused():
    message = ask(address="1" * 32)

    with pytest.raises(SignInWrong):
        check(message, base58.encode(bytes(64)))


def test_a_message_signs_in_once():
    message, nonces = ask(), Nonces(NONCE)
    check(message, sign(message), nonces=nonces)

    with pytest.raises(SignInReplayed):
        check(message, sign(message), nonces=nonces)


def test_a_nonce_that_was_never_handed_out_is_refused():
    message = ask(nonce="f" * 32)

    with pytest.raises(SignInReplayed):
        check(message, sign(message))


@pytest.mark.parametrize(
    "changes",
    [
        {"domain": "evil.example", "uri": "https://evil.example/"},
        {"domain": "evil.example"},
        {"uri": "https://evil.example/sign-in"},
        {"uri": f"https://{DOMAIN}@evil.example/"},
        {"uri": f"ftp://{DOMAIN}/"},
        {"domain": DOMAIN.upper()},
        {"chain": DEVNET},
    ],
)
def test_a_message_for_another_site_or_chain_is_refused(changes):
    message, nonces = ask(**changes), Nonces(NONCE)

    with pytest.raises(SignInElsewhere):
        check(message, sign(message), nonces=nonces)

    assert nonces.open == {NONCE}


def test_a_message_for_the_chain_that_is_expected_is_accepted():
    message = ask(chain=DEVNET)

    assert check(message, sign(message), chain=DEVNET) == ADDRESS


@pytest.mark.parametrize("seconds", [-30, 0, 299, 300])
def test_a_message_counts_for_its_time_and_may_come_from_a_clock_that_runs_ahead(seconds):
    message = ask()

    assert check(message, sign(message), at=NOW + timedelta(seconds=seconds)) == ADDRESS


@pytest.mark.parametrize("seconds", [-3600, -31, 301, 86_400])
def test_outside_of_its_time_a_message_is_refused(seconds):
    message, nonces = ask(), Nonces(NONCE)

    with pytest.raises(SignInExpired):
        check(message, sign(message), nonces=nonces, at=NOW + timedelta(seconds=seconds))

    assert nonces.open == {NONCE}


@pytest.mark.parametrize("expires", ["2026-11-20T12:10:01Z", "2026-11-20T12:00:00Z", "2026-11-20T11:00:00Z"])
def test_a_message_that_wants_to_count_for_too_long_or_never_is_refused(expires):
    message = ask().replace("2026-11-20T12:05:00.000Z", expires)

    with pytest.raises(SignInExpired):
        check(message, sign(message))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Version: 1", "Version: 2"),
        ("2026-11-20T12:05:00.000Z", "tomorrow"),
        ("2026-11-20T12:05:00.000Z", "2026-13-20T12:05:00Z"),
        ("2026-11-20T12:00:00.000Z", "2026-11-20T12:00:00"),
        (f"Nonce: {NONCE}", "Nonce: short"),
        (f"Nonce: {NONCE}\n", ""),
        ("Expiration Time: 2026-11-20T12:05:00.000Z", "Not Before: 2026-11-20T12:00:00Z"),
        ("12:05:00.000Z", "12:05:00.000Z\nNot Before: 2026-11-20T12:00:00Z"),
        ("12:05:00.000Z", "12:05:00.000Z\n"),
        (ADDRESS, ADDRESS[:-4] + "0000"),
        (ADDRESS, "z" * 44),
        ("Solana account", "Ethereum account"),
        ("https://", "https://["),
        ("This costs", "\nThis costs"),
    ],
)
def test_a_message_that_hansa_would_not_write_is_refused(old, new):
    message = ask()
    assert old in message
    changed = message.replace(old, new)

    with pytest.raises(SignInMalformed):
        check(changed, sign(changed))


@pytest.mark.parametrize("message", ["", "hello", "a" * 100_000])
def test_any_other_text_is_refused(message):
    with pytest.raises(SignInMalformed):
        check(message, sign(message))


@pytest.mark.parametrize("signature", ["", "1" * 64, "1" * 63, "0OIl", "z" * 88, "2" * 100_000, "AA=="])
def test_a_signature_that_is_not_64_bytes_in_base58_is_refused(signature):
    message = ask()

    with pytest.raises(SignInRefused):
        check(message, signature)


@pytest.mark.parametrize(
    "changes",
    [
        {"domain": "hansa.example\nURI: x"},
        {"uri": "https://hansa.example/\nVersion: 1"},
        {"statement": "Hello.\n\nURI: https://evil.example"},
        {"nonce": "short"},
        {"nonce": "a-b" * 8},
        {"address": "nobody"},
        {"chain": "eip155:1"},
        {"statement": "x" * 2000},
    ],
)
def test_a_message_with_a_part_that_does_not_fit_is_not_written(changes):
    with pytest.raises(SignInMalformed):
        ask(**changes)


@pytest.mark.parametrize("changes", [{"valid_s": 0}, {"valid_s": 601}, {"at": NOW.replace(tzinfo=None)}])
def test_a_message_that_would_be_refused_is_not_written(changes):
    with pytest.raises(ValueError, match="a sign-in starts at an aware datetime"):
        ask(**changes)


def test_other_time_zones_name_the_same_moment():
    elsewhere = NOW.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)

    assert ask(at=elsewhere) == ask()
