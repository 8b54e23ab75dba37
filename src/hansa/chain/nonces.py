"""Durable nonces: a blockhash stored in an account, good until the transaction that uses it advances it."""

import hashlib
from dataclasses import dataclass

from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

NONCE_BYTES = 80
CURRENT_AND_INITIALIZED = (1).to_bytes(4, "little") * 2
"""How the data of a usable nonce account begins: version 1, state 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonce:
    authority: Pubkey
    value: Hash


def read_nonce(account: Account | None) -> Nonce | None:
    """The nonce an account stores, or None when it is no usable nonce account."""
    if account is None or account.owner != SYSTEM_PROGRAM:
        return None
    data = bytes(account.data)
    if len(data) != NONCE_BYTES or not data.startswith(CURRENT_AND_INITIALIZED):
        return None
    return Nonce(authority=Pubkey(data[8:40]), value=Hash(data[40:72]))


def next_nonce(blockhash: Hash) -> Hash:
    """The value a nonce takes when it advances in the slot of `blockhash`."""
    return Hash(hashlib.sha256(b"DURABLE_NONCE" + bytes(blockhash)).digest())


def advanced(account: Account, value: Hash) -> Account:
    """The same nonce account with `value` stored."""
    data = bytes(account.data)
    return Account(account.lamports, data[:40] + bytes(value) + data[72:], account.owner)
