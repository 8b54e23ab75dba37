"""A transaction as a client sent it: parsed and named, not yet believed."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from solders.message import to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction import SanitizeError, VersionedTransaction

from hansa.chain.errors import InvalidParams

PACKET_BYTES = 1232
"""The longest transaction a cluster carries."""
ADVANCE_NONCE = (4).to_bytes(4, "little")
MEMO_PROGRAMS = frozenset(
    {
        Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
        Pubkey.from_string("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
    }
)


@dataclass(frozen=True)
class Submitted:
    """One transaction of at most 1232 bytes whose parts fit together."""

    raw: bytes
    tx: VersionedTransaction

    @cached_property
    def signature(self) -> str:
        """The fee payer's signature: the transaction's id."""
        return str(self.tx.signatures[0])

    @cached_property
    def message_hash(self) -> bytes:
        """What all signers agreed to. Two transactions with the same message are one payment."""
        return hashlib.sha256(to_bytes_versioned(self.tx.message)).digest()

    @cached_property
    def nonce_account(self) -> Pubkey | None:
        """The durable nonce this transaction begins by advancing, if it does."""
        message = self.tx.message
        first = message.instructions[0] if message.instructions else None
        if first is None or message.account_keys[first.program_id_index] != SYSTEM_PROGRAM:
            return None
        accounts = bytes(first.accounts)
        if bytes(first.data)[:4] != ADVANCE_NONCE or not accounts or not self.is_writable(accounts[0]):
            return None
        return message.account_keys[accounts[0]]

    @property
    def signers(self) -> list[Pubkey]:
        message = self.tx.message
        return message.account_keys[: message.header.num_required_signatures]

    @property
    def programs(self) -> frozenset[int]:
        """The places of the keys that instructions call."""
        return frozenset(instruction.program_id_index for instruction in self.tx.message.instructions)

    @property
    def memo(self) -> str | None:
        """The memos as getSignaturesForAddress shows them: each with its length, joined by semicolons."""
        keys = self.tx.message.account_keys
        memos = [
            bytes(instruction.data)
            for instruction in self.tx.message.instructions
            if instruction.program_id_index < len(keys) and keys[instruction.program_id_index] in MEMO_PROGRAMS
        ]
        return "; ".join(f"[{len(memo)}] {memo.decode(errors='replace')}" for memo in memos) or None

    def is_signed(self) -> bool:
        """Whether every required signature is there and right."""
        return all(self.tx.verify_with_results())

    def is_writable(self, index: int) -> bool:
        """Whether the message lets the key at `index` of its own keys be changed."""
        header, keys = self.tx.message.header, len(self.tx.message.account_keys)
        if index < header.num_required_signatures:
            return index < header.num_required_signatures - header.num_readonly_signed_accounts
        return index < keys - header.num_readonly_unsigned_accounts


def parse_transaction(raw: bytes) -> Submitted:
    """Read the bytes of a legacy or v0 transaction. Raises InvalidParams when no cluster would accept their shape."""
    if len(raw) > PACKET_BYTES:
        raise InvalidParams(f"transaction too large: {len(raw)} bytes (max: {PACKET_BYTES} bytes)")
    try:
        tx = VersionedTransaction.from_bytes(raw)
        tx.sanitize()
    except (ValueError, SanitizeError) as error:
        raise InvalidParams(f"failed to deserialize transaction: {error}") from error
    return Submitted(raw=raw, tx=tx)
