"""What the chain says about an agent's payments and money. Nothing here writes, and no transaction is open meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hansa.autopay.errors import ChainSilent
from hansa.autopay.models import Currency, Transaction
from hansa.chain.client import ChainRejected, ChainRpc, ChainUnreachable
from hansa.infra.services import Services
from hansa.kernel.money import Asset, TokenUnits
from hansa.payments.models import NETWORKS, Environment, Fate, Network, Verdict
from hansa.payments.onchain import Sought, fate_of, fate_of_message, is_message

T = TypeVar("T")


def network_of(services: Services) -> Network:
    """The network that this house pays on."""
    return NETWORKS[Environment(services.settings.environment)]


def verdict_of(services: Services, transaction: Transaction, *, txid: str | None = None) -> Verdict:
    """Whether a signed payment landed, failed, is dead or may still land. UNKNOWN too while the chain is silent.

    `txid` is what somebody claims: it counts when the chain has our very message under it.
    """
    if transaction.message_hash is None:
        return Verdict(fate=Fate.UNKNOWN)
    try:
        return searched(services.chain, transaction, transaction.message_hash, transaction.hash or txid)
    except (ChainUnreachable, ChainRejected):
        return Verdict(fate=Fate.UNKNOWN)


def searched(chain: ChainRpc, transaction: Transaction, message_hash: str, txid: str | None) -> Verdict:
    assert transaction.last_valid_block_height is not None, "kept with the signed payment"
    assert transaction.memo is not None, "the same"
    assert transaction.token_program is not None, "the same"
    assert transaction.signed_at is not None, "the same"
    if txid is not None and claimed_truly(chain, txid, message_hash):
        return fate_of(chain, txid, last_valid_block_height=transaction.last_valid_block_height)
    sought = Sought(
        message_hash=message_hash,
        payer=transaction.wallet,
        mint=transaction.asset,
        program=transaction.token_program,
        memo=transaction.memo,
        last_valid_block_height=transaction.last_valid_block_height,
        signed_at=transaction.signed_at,
    )
    return fate_of_message(chain, sought)


def claimed_truly(chain: ChainRpc, txid: str, message_hash: str) -> bool:
    try:
        return is_message(chain, txid, message_hash)
    except ChainRejected:
        return False  # what was claimed is no transaction id at all


def balance_of(services: Services, wallet: str, currency: Currency) -> TokenUnits:
    """What a wallet holds in a currency; 0 where that currency does not exist. Raises ChainSilent."""
    mint = network_of(services).mint_of(Asset(currency))
    if mint is None:
        return TokenUnits(0)
    minted = asked(lambda: services.chain.account(mint))
    if minted is None:
        return TokenUnits(0)
    return TokenUnits(asked(lambda: services.chain.token_balance(wallet, mint, token_program=minted.owner)))


def last_valid_block_height(services: Services) -> int:
    """No blockhash that is known by now is accepted after this height. Raises ChainSilent."""
    return asked(lambda: services.chain.latest_blockhash()[1])


def asked(question: Callable[[], T]) -> T:
    try:
        return question()
    except (ChainUnreachable, ChainRejected) as outage:
        raise ChainSilent(str(outage)) from outage
