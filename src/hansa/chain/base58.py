"""Base58 as Solana writes it. solders has it for keys and signatures only, not for plain bytes."""

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
VALUE = {letter: value for value, letter in enumerate(ALPHABET)}


def encode(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    letters: list[str] = []
    while number:
        number, value = divmod(number, 58)
        letters.append(ALPHABET[value])
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return ALPHABET[0] * zeros + "".join(reversed(letters))


def decode(text: str) -> bytes:
    """The bytes behind `text`. Raises ValueError when a letter is not of the alphabet."""
    number = 0
    for letter in text:
        if letter not in VALUE:
            raise ValueError(f"{letter!r} is not a base58 letter")
        number = number * 58 + VALUE[letter]
    zeros = len(text) - len(text.lstrip(ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
