"""Base58 with Bitcoin's alphabet: how Solana writes addresses and did:key writes keys.

Decoding asks for the size it expects and takes one spelling only, so that two different texts never name the
same bytes.
"""

from __future__ import annotations

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
DIGITS = {character: digit for digit, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Write bytes; each leading zero byte becomes a leading `1`."""
    number = int.from_bytes(data, "big")
    characters: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        characters.append(ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(characters))


def decode(text: str, *, size: int) -> bytes:
    """Read exactly `size` bytes; raises ValueError for any other text than `encode` writes for them."""
    # The bound comes first: reading costs the square of the length, and strangers choose the text.
    if len(text) > length_max(size):
        raise ValueError(f"longer than the base58 of {size} bytes")
    number = 0
    for character in text:
        if character not in DIGITS:
            raise ValueError(f"{character!r} is not a base58 character")
        number = number * 58 + DIGITS[character]
    if number.bit_length() > 8 * size:
        raise ValueError(f"stands for more than {size} bytes")
    data = number.to_bytes(size, "big")
    if encode(data) != text:
        raise ValueError(f"not the base58 of {size} bytes")
    return data


def length_max(size: int) -> int:
    """The longest text that `size` bytes can have: 44 characters for a Solana address."""
    return size * 138 // 100 + 1
