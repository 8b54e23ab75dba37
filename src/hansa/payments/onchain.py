"""What became of a transaction, read from the chain. Nothing here writes, and no transaction is open meanwhile."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from solders.message import to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from hansa.chain.client import ChainRpc, Confirmation
from hansa.chain.errors import Json
from hansa.chain.tokens import associated_token_address
from hansa.payments.models import Fate, Verdict

LAGGING_BLOCKS = 10
"""Blocks to wait past the last valid one: behind one URL there may be several nodes, and one may be a little late."""
HISTORY_MAX = 1000
"""How many transactions of an account a node lists at once."""


def message_hash_of(transaction: VersionedTransaction) -> str:
    """What names a payment: the hash of what all signers sign. Signatures can be varied, this cannot."""
    return hashlib.sha256(to_bytes_versioned(transaction.message)).hexdigest()


def fate_of(chain: ChainRpc, txid: str, *, last_valid_block_height: int) -> Verdict:
    """What the chain says about a transaction by its id. Raises ChainUnreachable."""
    # The height first: what lands between the two questions is then still seen by the second.
    height = chain.block_height()
    status = chain.signature_status(txid)
    if status is None:
        dead = height > last_valid_block_height + LAGGING_BLOCKS
        return Verdict(fate=Fate.DEAD if dead else Fate.UNKNOWN)
    if status.confirmation is Confirmation.PROCESSED:
        return Verdict(fate=Fate.UNKNOWN, txid=txid)
    return Verdict(
        # The error first: a transaction that failed is confirmed as well.
        fate=Fate.CONFIRMED if status.err is None else Fate.FAILED,
        txid=txid,
        slot=status.slot,
        error=None if status.err is None else error_text(status.err),
        finalized=status.confirmation is Confirmation.FINALIZED,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A payment whose transaction id is not known, because a stranger is its fee payer."""

    message_hash: str
    payer: str
    mint: str
    program: str
    """Token program of the mint."""
    memo: str
    last_valid_block_height: int
    signed_at: datetime


def fate_of_message(chain: ChainRpc, sought: Sought) -> Verdict:
    """What the chain says about a payment by its message. Raises ChainUnreachable.

    The payer's token account is in every payment of theirs, and the memo is in this one only.
    """
    height = chain.block_height()
    lines = chain.signatures_for(source_account(sought), limit=HISTORY_MAX)
    for line in lines:
        if (
            line.memo is not None
            and sought.memo in line.memo
            and is_message(chain, line.signature, sought.message_hash)
        ):
            return fate_of(chain, line.signature, last_valid_block_height=sought.last_valid_block_height)
    late = height > sought.last_valid_block_height + LAGGING_BLOCKS
    # A payment is proven dead only when every transaction since it was signed has been looked at.
    complete = len(lines) < HISTORY_MAX or (lines[-1].block_time or sought.signed_at) < sought.signed_at
    return Verdict(fate=Fate.DEAD if late and complete else Fate.UNKNOWN)


def source_account(sought: Sought) -> str:
    owner, mint, program = (Pubkey.from_string(text) for text in (sought.payer, sought.mint, sought.program))
    return str(associated_token_address(owner, mint, program))


def is_message(chain: ChainRpc, txid: str, message_hash: str) -> bool:
    """Whether a transaction on the chain is the payment of this name. Raises ChainUnreachable."""
    found = chain.transaction(txid)
    return found is not None and message_hash_of(VersionedTransaction.from_bytes(found.raw)) == message_hash


def error_text(err: Json) -> str:
    return json.dumps(err, sort_keys=True)
