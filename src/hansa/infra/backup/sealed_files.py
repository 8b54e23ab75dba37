"""A file of any size, encrypted with the home's key ring, as one stream.

    magic   key id   wrapped data key   then chunks of 1 MiB, each nonce-less AES-256-GCM with its tag
    HSF1    n, n     n, n               the nonce is the chunk's number, and whether it is the last

Every file has a key of its own, wrapped by the ring's current key, so a number is never used twice with one key. A
chunk that is changed, moved or repeated does not open; neither does a file that was cut short, for only its last
chunk is sealed as the last.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hansa.infra.seal import KEY_BYTES, TAG_BYTES, KeyRing, SealBroken

MAGIC = b"HSF1"
SCOPE = "backup"
CHUNK_BYTES = 1 << 20


def seal_file(ring: KeyRing, pieces: Iterable[bytes], sealed: IO[bytes]) -> int:
    """Encrypt what the pieces are put together; returns how many bytes that is. Raises KeyMissing."""
    data_key, key_id = secrets.token_bytes(KEY_BYTES), ring.current_key_id()
    wrapped = ring.wrap(data_key, key_id=key_id, scope=SCOPE)
    header = MAGIC + _short(key_id.encode()) + _short(wrapped)
    sealed.write(header)
    cipher, size = AESGCM(data_key), 0
    for number, (chunk, last) in enumerate(_chunks(pieces, CHUNK_BYTES)):
        sealed.write(cipher.encrypt(_nonce(number, last=last), chunk, header))
        size += len(chunk)
    return size


def open_file(ring: KeyRing, sealed: IO[bytes]) -> Iterator[bytes]:
    """The plain chunks one by one; the file is whole once the last one has come. Raises SealBroken, KeyMissing."""
    magic = sealed.read(len(MAGIC))
    if magic != MAGIC:
        raise SealBroken("this is not a sealed file")
    key_id, wrapped = _read_short(sealed), _read_short(sealed)
    header = MAGIC + _short(key_id) + _short(wrapped)
    cipher = AESGCM(ring.unwrap(wrapped, key_id=key_id.decode(errors="replace"), scope=SCOPE))
    for number, (chunk, last) in enumerate(
        _chunks(iter(lambda: sealed.read(CHUNK_BYTES), b""), CHUNK_BYTES + TAG_BYTES)
    ):
        try:
            yield cipher.decrypt(_nonce(number, last=last), chunk, header)
        except (InvalidTag, ValueError) as broken:
            raise SealBroken(f"the sealed file was changed or cut short, in chunk {number}") from broken


def _chunks(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in pieces of one size, and whether each is the last; at least one, if an empty one."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > size:  # not at equality: what fills the last chunk must still be told to be the last
            yield bytes(waiting[:size]), False
            del waiting[:size]
    yield bytes(waiting), True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _short(data: bytes) -> bytes:
    assert 1 <= len(data) <= 255, "key names and wrapped keys are short"
    return bytes([len(data)]) + data


def _read_short(file: IO[bytes]) -> bytes:
    length = file.read(1)
    data = file.read(length[0]) if length else b""
    if not data or len(data) != length[0]:
        raise SealBroken("the sealed file was cut short")
    return data
