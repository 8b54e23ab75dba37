"""Sign-In With Solana: how people prove that a wallet is theirs, with CAIP-122 messages as x402 writes them.

The server writes a message around a nonce, the wallet shows and signs it, and the server takes both back. Format and
signature are x402's. Its checks of the message are not used: they read the wall clock, refuse a clock that runs ahead
by a millisecond, and let the nonce go unchecked unless someone remembers to ask, which leaves five minutes to replay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from hansa.kernel import base58
from hansa.kernel.dids import InvalidDid, public_key_of_wallet
from hansa.kernel.errors import Unauthenticated

VALID_S_MAX = 600
CLOCK_SKEW_S = 30
MESSAGE_LENGTH_MAX = 2048
STATEMENT = "Sign in to Hansa. This costs nothing and moves nothing."
MAINNET = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

MESSAGE = re.compile(
    r"(?P<domain>[!-~]+) wants you to sign in with your Solana account:\n"
    r"(?P<address>[1-9A-HJ-NP-Za-km-z]{32,44})\n"
    r"\n"
    r"(?:(?P<statement>[ -~]+)\n\n)?"
    r"URI: (?P<uri>[!-~]+)\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain>[1-9A-HJ-NP-Za-km-z]{32})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{16,128})\n"
    r"Issued At: (?P<issued_at>[0-9TZ:.+-]+)\n"
    r"Expiration Time: (?P<expires_at>[0-9TZ:.+-]+)"
)
"""The messages that `challenge` writes and no others. Optional lines of the standard that we never ask for (not
before, request id, resources) are refused: nobody here would act on them."""


class SignInRefused(Unauthenticated):
    """The sign-in does not prove that the wallet is the caller's."""


class SignInMalformed(SignInRefused):
    """The message is not one that Hansa asked a wallet to sign, or the signature is not the base58 of 64 bytes."""


class SignInElsewhere(SignInRefused):
    """The message was signed for another site or another chain."""


class SignInExpired(SignInRefused):
    """The message does not count now: too old, not yet, or made to last too long."""


class SignInWrong(SignInRefused):
    """The signature was not made over this message by this wallet."""


class SignInReplayed(SignInRefused):
    """The nonce was never handed out, or was used before."""


def challenge(
    *,
    domain: str,
    uri: str,
    address: str,
    nonce: str,
    at: datetime,
    valid_s: int = 300,
    statement: str = STATEMENT,
    chain: str = MAINNET,
) -> str:
    """Write the message that a wallet is asked to sign.

    `nonce` is 16 to 128 letters and digits that the caller records as handed out. `chain` is the CAIP-2 name of the
    chain. The address keeps its case, for base58 is case-sensitive. Raises SignInMalformed when a part does not fit
    (a line break in one of them, say, could forge the next line).
    """
    if at.tzinfo is None or not 0 < valid_s <= VALID_S_MAX:
        raise ValueError(f"a sign-in starts at an aware datetime and counts for 1 to {VALID_S_MAX} seconds")
    parts = {
        "domain": domain,
        "address": address,
        "statement": statement,
        "uri": uri,
        "chain": chain.removeprefix("solana:"),
        "nonce": nonce,
        "issued_at": _timestamp(at),
        "expires_at": _timestamp(at + timedelta(seconds=valid_s)),
    }
    message = _format(parts)
    _read(message)
    return message


def verify(
    message: str,
    signature: str,
    *,
    expected_domain: str,
    use_nonce: Callable[[str], bool],
    at: datetime,
    chain: str = MAINNET,
    clock_skew_s: int = CLOCK_SKEW_S,
) -> str:
    """Check a signed message; return the address of the wallet that signed it.

    `signature` is base58. `use_nonce` consumes the nonce for good and says whether it was handed out and unused; it
    is asked last, so that a bad signature burns nobody's nonce. `clock_skew_s` lets a message come from a replica
    whose clock runs ahead. Raises one of the kinds of SignInRefused.
    """
    parts = _read(message)
    _require_site(parts, expected_domain, chain)
    _require_window(parts, at=at, clock_skew_s=clock_skew_s)
    _require_signature(message, signature, parts["address"])
    if not use_nonce(parts["nonce"]):
        raise SignInReplayed
    return parts["address"]


def _format(parts: dict[str, str]) -> str:
    # Imported here: x402's extensions take half a second, and the CLI starts without them.
    from x402.extensions.sign_in_with_x import format_siws_message

    fields = {
        "domain": parts["domain"],
        "statement": parts["statement"],
        "uri": parts["uri"],
        "version": "1",
        "chainId": f"solana:{parts['chain']}",
        "nonce": parts["nonce"],
        "issuedAt": parts["issued_at"],
        "expirationTime": parts["expires_at"],
    }
    return format_siws_message(fields, parts["address"])


def _read(message: str) -> dict[str, str]:
    """The parts of a message; raises SignInMalformed for one that `challenge` would not have written."""
    match = MESSAGE.fullmatch(message) if len(message) <= MESSAGE_LENGTH_MAX else None
    if match is None:
        raise SignInMalformed
    return match.groupdict(default="")


def _require_site(parts: dict[str, str], domain: str, chain: str) -> None:
    try:
        uri = urlsplit(parts["uri"])
    except ValueError as problem:
        raise SignInMalformed(f"the URI of the message: {problem}") from problem
    if parts["domain"] != domain or uri.netloc != domain or uri.scheme not in {"https", "http"}:
        raise SignInElsewhere(f"the message is for {parts['domain']} ({parts['uri']}), not for {domain}")
    if f"solana:{parts['chain']}" != chain:
        raise SignInElsewhere(f"the message is for solana:{parts['chain']}, not for {chain}")


def _require_window(parts: dict[str, str], *, at: datetime, clock_skew_s: int) -> None:
    issued_at, expires_at = _moment(parts["issued_at"]), _moment(parts["expires_at"])
    if not timedelta(0) < expires_at - issued_at <= timedelta(seconds=VALID_S_MAX):
        raise SignInExpired(f"a sign-in counts for 1 to {VALID_S_MAX} seconds")
    if issued_at > at + timedelta(seconds=clock_skew_s):
        raise SignInExpired("the message was issued in the future")
    # No skew on this side: it was our clock that wrote the time, and the wallet has answered long before.
    if expires_at < at:
        raise SignInExpired("the time to sign in is over; ask for a new message")


def _require_signature(message: str, signature: str, address: str) -> None:
    from x402.extensions.sign_in_with_x import verify_solana_signature

    # Our own base58: x402's has no bound on the length and reads several spellings of the same bytes.
    try:
        public_key, signature_bytes = public_key_of_wallet(address), base58.decode(signature, size=64)
    except (InvalidDid, ValueError) as problem:
        raise SignInMalformed(f"the address or the signature: {problem}") from problem
    # libsodium underneath refuses keys of small order, for which anyone can make a signature.
    if not verify_solana_signature(message, signature_bytes, public_key):
        raise SignInWrong


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise SignInMalformed(f"{text} is not a time") from problem
    if moment.tzinfo is None:
        raise SignInMalformed(f"{text} has no time zone")
    return moment
