"""The key of an agent: one Ed25519 key that is its DID, its Solana wallet and what signs its requests.

A key file is JSON, mode 0600, and holds the secret as the 64 numbers that Solana's own tools write, beside the DID
and the wallet for the reader. A plain Solana keypair file (the array alone) loads as well.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.bindings import crypto_core_ed25519_is_valid_point

from hansa.kernel import base58
from hansa.kernel.dids import Did, did_key, did_sol, key_id, wallet_address
from hansa.kernel.errors import Conflict, Forbidden, Invalid, NotFound

if TYPE_CHECKING:
    from solders.keypair import Keypair

KEY_FILE_BYTES_MAX = 16_384


class WeakKey(Invalid):
    """The 32 bytes are not an Ed25519 public key that anyone could hold the secret of."""


class InvalidKeyFile(Invalid):
    """The file is not a key file of Hansa nor a Solana keypair."""


class KeyFileMissing(NotFound):
    """There is no key file at this path."""


class KeyFileExposed(Forbidden):
    """Others on this machine may read or change the key file, so the key may no longer be secret."""


class KeyFileExists(Conflict):
    """There is a file at this path already; a key is never overwritten."""


def verification_key(public_key: bytes) -> Ed25519PublicKey:
    """Turn 32 bytes into a key that signatures can be checked with.

    OpenSSL takes any 32 bytes here. With a point of small order (all zeros is one) it then accepts signatures that
    nobody made, so libsodium looks first: canonical, on the curve, in the main subgroup. Raises WeakKey.
    """
    if len(public_key) != 32 or not crypto_core_ed25519_is_valid_point(public_key):
        raise WeakKey
    return Ed25519PublicKey.from_public_bytes(public_key)


class AgentKey:
    """An Ed25519 private key, with the names that follow from it. Its repr never shows the secret."""

    __slots__ = ("_private", "public_key")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> AgentKey:
        """Make a new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_secret(cls, secret: bytes) -> AgentKey:
        """Read the 64 bytes of a Solana keypair: seed, then public key. Raises InvalidKeyFile."""
        if len(secret) != 64:
            raise InvalidKeyFile(f"a Solana keypair has 64 bytes, not {len(secret)}")
        key = cls(Ed25519PrivateKey.from_private_bytes(secret[:32]))
        # A library that signs with both halves as given leaks the secret when they do not belong together.
        if key.public_key != secret[32:]:
            raise InvalidKeyFile("the public half of the keypair does not belong to its secret half")
        return key

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AgentKey:
        """Read a key file of Hansa or a Solana keypair file.

        Raises KeyFileMissing, KeyFileExposed (group or others have any right to it), InvalidKeyFile.
        """
        document = _parse_json(_read_private_file(Path(path)))
        if isinstance(document, list):
            return cls.from_secret(_secret_bytes(cast("list[object]", document)))
        if not isinstance(document, dict) or "secret_key" not in document:
            raise InvalidKeyFile
        fields = cast("dict[str, object]", document)
        key = cls.from_secret(_secret_bytes(fields["secret_key"]))
        for name, value in (("did", key.did), ("wallet", key.wallet)):
            # Shown to people who decide by it; a label that lies is worse than none.
            if fields.get(name, value) != value:
                raise InvalidKeyFile(f"the {name} in the file is not that of its secret key")
        return key

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a new key file, mode 0600: wholly there or not at all, and never over another file.

        Raises KeyFileExists.
        """
        target = Path(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private_file(target, json.dumps(self._document(), indent=2) + "\n")

    @property
    def did(self) -> Did:
        return did_key(self.public_key)

    @property
    def did_sol(self) -> Did:
        return did_sol(self.public_key)

    @property
    def wallet(self) -> str:
        """The Solana address of this key."""
        return wallet_address(self.public_key)

    @property
    def key_id(self) -> str:
        """The DID URL under which signatures name this key."""
        return key_id(self.did)

    def sign(self, message: bytes) -> bytes:
        """Sign bytes; the signature has 64."""
        return self._private.sign(message)

    def solders(self) -> Keypair:
        """The same key for Solana transactions."""
        # Imported here because the CLI signs requests without ever touching the chain.
        from solders.keypair import Keypair

        return Keypair.from_bytes(self._secret())

    def __repr__(self) -> str:
        return f"AgentKey({self.did})"

    def _secret(self) -> bytes:
        return self._private.private_bytes_raw() + self.public_key

    def _document(self) -> dict[str, object]:
        return {"did": self.did, "wallet": self.wallet, "secret_key": list(self._secret())}


def _read_private_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # The open file is asked, not the path: nobody can swap the file between the question and the reading.
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyFileExposed(f"others may use {path} (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}")
            return file.read(KEY_FILE_BYTES_MAX)
    except FileNotFoundError as problem:
        raise KeyFileMissing(f"there is no key file at {path}") from problem
    except IsADirectoryError as problem:
        raise InvalidKeyFile(f"{path} is a folder, not a key file") from problem


def _write_private_file(path: Path, text: str) -> None:
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp creates with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails when the name is taken: two writers cannot lose one of the keys.
        os.link(draft, path)
    except FileExistsError as problem:
        raise KeyFileExists(f"{path} exists; choose another name or move the old key away") from problem
    finally:
        Path(draft).unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut: a wallet may be funded right after its key is saved."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse_json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        # Without its cause, which carries the text of the file: tracebacks end up in logs.
        raise InvalidKeyFile("the file is not JSON") from None


def _secret_bytes(value: object) -> bytes:
    """The secret as an array of 64 numbers, or as base58."""
    try:
        if isinstance(value, str):
            return base58.decode(value, size=64)
        if isinstance(value, list):
            return bytes(cast("list[int]", value))
    except (TypeError, ValueError):
        raise InvalidKeyFile("the secret key is not 64 numbers from 0 to 255, nor their base58") from None
    raise InvalidKeyFile("the secret key is neither an array of numbers nor a base58 text")
