"""Encryption at rest: every value has a key of its own, and that key is wrapped by a key outside the database.

A sealed value is one byte string that says which key opens it and fits one cell only:

    magic   key id   wrapped data key   nonce      ciphertext and tag
    HSE1    n, n     n, n               12 bytes   AES-256-GCM

The ciphertext is bound to table, column, row and scope, the wrapped data key to the scope (the tenant). A value that
is copied to another cell, or changed in one bit, does not open. Which key wrapped it is not bound, so rotation wraps
the data key anew and leaves the ciphertext as it is. Destroying a wrapping key destroys everything sealed with it.

An older value of the same cell does open in its place: where that matters, put the row's version into `row`.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hansa.kernel.errors import Defect, ServiceUnavailable

MAGIC = b"HSE1"
"""First bytes of every sealed value: a CHECK constraint can tell one from plain text."""
NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32
SEALED_BYTES_MIN = len(MAGIC) + 1 + 1 + 1 + KEY_BYTES + NONCE_BYTES + TAG_BYTES
"""No sealed value is shorter, whatever key ring made it."""


class SealBroken(Defect):
    """A sealed value was changed, or stands in a cell that it was not sealed for."""


class KeyMissing(ServiceUnavailable):
    """The key that this value was sealed with is not on the key ring."""

    retryable = False


class KeyFileUnsafe(ServiceUnavailable):
    """The key file is readable by others, unreadable for us, or not a key file."""

    retryable = False


class KeyRing(Protocol):
    """Wraps data keys with keys that never leave it: a local file, or a key management service."""

    def current_key_id(self) -> str:
        """Name of the key that wraps from now on: 1 to 255 bytes of text."""
        ...

    def wrap(self, data_key: bytes, *, key_id: str, scope: str) -> bytes:
        """Encrypt a data key so that only the same key and the same scope give it back. Raises KeyMissing."""
        ...

    def unwrap(self, wrapped: bytes, *, key_id: str, scope: str) -> bytes:
        """The data key that was wrapped. Raises KeyMissing, SealBroken."""
        ...


def seal(ring: KeyRing, plaintext: bytes, *, table: str, column: str, row: str, scope: str) -> bytes:
    """Encrypt a value for one cell of one tenant."""
    data_key = secrets.token_bytes(KEY_BYTES)
    key_id = ring.current_key_id()
    return _Sealed(
        key_id=key_id,
        wrapped_key=ring.wrap(data_key, key_id=key_id, scope=scope),
        body=_encrypt(data_key, plaintext, _cell(table, column, row, scope)),
    ).to_bytes()


def open_sealed(ring: KeyRing, blob: bytes, *, table: str, column: str, row: str, scope: str) -> bytes:
    """Decrypt a value in the cell it was sealed for. Raises SealBroken, KeyMissing."""
    sealed = _Sealed.from_bytes(blob)
    data_key = ring.unwrap(sealed.wrapped_key, key_id=sealed.key_id, scope=scope)
    return _decrypt(data_key, sealed.body, _cell(table, column, row, scope))


def rewrap(ring: KeyRing, blob: bytes, *, scope: str) -> bytes:
    """Bring a value under the ring's current key without touching its ciphertext.

    A value that is under it already comes back as it is. Raises SealBroken, KeyMissing.
    """
    sealed, key_id = _Sealed.from_bytes(blob), ring.current_key_id()
    if sealed.key_id == key_id:
        return blob
    data_key = ring.unwrap(sealed.wrapped_key, key_id=sealed.key_id, scope=scope)
    wrapped = ring.wrap(data_key, key_id=key_id, scope=scope)
    return _Sealed(key_id=key_id, wrapped_key=wrapped, body=sealed.body).to_bytes()


def sealing_key_id(blob: bytes) -> str:
    """Name of the key that wraps this value, to find what a rotation still has to rewrap. Raises SealBroken."""
    return _Sealed.from_bytes(blob).key_id


class LocalKeyRing:
    """Wrapping keys in a file that only its owner can read.

    Another process may rotate the file: it is read again as soon as it has changed, so a server keeps running.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing key file. Raises KeyMissing, KeyFileUnsafe."""
        self._path = path
        self._seen = _stamp(path)
        self._keys = _read_keys(path)

    @classmethod
    def create(cls, path: Path) -> LocalKeyRing:
        """Start a key file with its first key. Raises FileExistsError rather than replace one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(path):
            if path.exists():
                raise FileExistsError(f"{path} exists: replacing it would lose everything sealed with its keys")
            _write_keys(path, _Keys(current="k1", keys={"k1": secrets.token_bytes(KEY_BYTES)}))
        return cls(path)

    def current_key_id(self) -> str:
        return self._fresh().current

    def wrap(self, data_key: bytes, *, key_id: str, scope: str) -> bytes:
        return _encrypt(self._key(key_id), data_key, _wrapping(scope))

    def unwrap(self, wrapped: bytes, *, key_id: str, scope: str) -> bytes:
        return _decrypt(self._key(key_id), wrapped, _wrapping(scope))

    def rotate(self) -> str:
        """Add a key and wrap with it from now on; older keys stay to open what they wrapped. Returns its name."""
        with _exclusive(self._path):
            keys = _read_keys(self._path)
            key_id = f"k{max(int(name[1:]) for name in keys.keys) + 1}"
            fresh = {**keys.keys, key_id: secrets.token_bytes(KEY_BYTES)}
            _write_keys(self._path, _Keys(current=key_id, keys=fresh))
        return key_id

    def destroy(self, key_id: str) -> None:
        """Forget an old key for good: whatever is still wrapped with it can never be read again.

        Raises KeyMissing for a key that is not here, ValueError for the current one.
        """
        with _exclusive(self._path):
            keys = _read_keys(self._path)
            if key_id not in keys.keys:
                raise KeyMissing(f"there is no key {key_id} on this ring", key_id=key_id)
            if key_id == keys.current:
                raise ValueError("the current key cannot be destroyed: rotate first, then rewrap what it wrapped")
            left = {name: key for name, key in keys.keys.items() if name != key_id}
            # A destroyed name is never given again, or old values would look tampered with instead of shredded:
            # rotation counts up from the highest name, and the current key always has the highest.
            _write_keys(self._path, _Keys(current=keys.current, keys=left))

    def _key(self, key_id: str) -> bytes:
        key = self._fresh().keys.get(key_id)
        if key is None:
            raise KeyMissing(f"there is no key {key_id} on this ring", key_id=key_id)
        return key

    def _fresh(self) -> _Keys:
        seen = _stamp(self._path)
        if seen != self._seen:
            # The stamp is taken before the read: a change in between is seen by the next call.
            self._keys, self._seen = _read_keys(self._path), seen
        return self._keys


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    key_id: str
    wrapped_key: bytes
    body: bytes
    """Nonce, ciphertext and tag: what rotation never changes."""

    def to_bytes(self) -> bytes:
        return MAGIC + _short(self.key_id.encode()) + _short(self.wrapped_key) + self.body

    @classmethod
    def from_bytes(cls, blob: bytes) -> _Sealed:
        if not blob.startswith(MAGIC):
            raise SealBroken("this is not a sealed value")
        key_id, rest = _take_short(blob[len(MAGIC) :])
        wrapped_key, body = _take_short(rest)
        if len(body) < NONCE_BYTES + TAG_BYTES:
            raise SealBroken("a sealed value was cut short")
        try:
            return cls(key_id=key_id.decode(), wrapped_key=wrapped_key, body=body)
        except UnicodeDecodeError as unreadable:
            raise SealBroken("a sealed value names its key in no readable way") from unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    current: str
    keys: Mapping[str, bytes]


def _encrypt(key: bytes, plaintext: bytes, bound_to: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to)


def _decrypt(key: bytes, body: bytes, bound_to: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError) as broken:
        raise SealBroken from broken


def _cell(table: str, column: str, row: str, scope: str) -> bytes:
    return _bound_to("cell", table, column, row, scope)


def _wrapping(scope: str) -> bytes:
    return _bound_to("data key", scope)


def _bound_to(*parts: str) -> bytes:
    """Each part with its length, so that ("ab", "c") and ("a", "bc") are not the same place."""
    texts = [part.encode() for part in parts]
    return MAGIC + b"".join(len(text).to_bytes(4, "big") + text for text in texts)


def _short(data: bytes) -> bytes:
    if not 1 <= len(data) <= 255:
        raise ValueError(f"{len(data)} bytes do not fit into a field of 1 to 255")
    return bytes([len(data)]) + data


def _take_short(data: bytes) -> tuple[bytes, bytes]:
    length = data[0] if data else 0
    if not length or len(data) <= length:
        raise SealBroken("a sealed value was cut short")
    return data[1 : 1 + length], data[1 + length :]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError as missing:
        raise KeyMissing(f"there is no key file at {path}") from missing
    return found.st_ino, found.st_mtime_ns


def _read_keys(path: Path) -> _Keys:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileUnsafe(f"{path} can be read by others (mode {mode:04o}): chmod 600 {path}")
            return _keys_of(json.load(file))
    except FileNotFoundError as missing:
        raise KeyMissing(f"there is no key file at {path}") from missing
    except PermissionError as denied:
        raise KeyFileUnsafe(f"{path} cannot be read by this user") from denied
    except (ValueError, KeyError, TypeError, AttributeError) as strange:
        raise KeyFileUnsafe(f"{path} is not a key file") from strange


def _keys_of(document: Any) -> _Keys:  # Any: whatever JSON the file holds; wrong shapes raise and are named above
    names = cast("dict[str, str]", document["keys"])
    keys = {name: base64.b64decode(key, validate=True) for name, key in names.items()}
    known_names = all(name[:1] == "k" and name[1:].isdecimal() for name in keys)
    if not known_names or document["current"] not in keys or any(len(key) != KEY_BYTES for key in keys.values()):
        raise ValueError("a key is missing, misnamed, or not 256 bits long")
    return _Keys(current=document["current"], keys=keys)


def _write_keys(path: Path, keys: _Keys) -> None:
    """Replace the file in one step: a crash leaves the old keys or the new ones, never half a file."""
    text = {name: base64.b64encode(key).decode() for name, key in keys.keys.items()}
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"current": keys.current, "keys": text}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


@contextmanager
def _exclusive(path: Path) -> Generator[None]:
    """One writer at a time. The folder is locked, not the file: the file is replaced while the lock is held."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
        os.fsync(folder)
    finally:
        os.close(folder)
