"""Housekeeping of autopay."""

from hansa.autopay import commands, onchain, queries
from hansa.autopay.errors import ChainSilent
from hansa.autopay.models import Currency
from hansa.infra.db import Actor
from hansa.infra.log import logger
from hansa.infra.queue import tick
from hansa.infra.services import Services

log = logger(__name__)

HOUSEKEEPER = Actor(kind="system", did="autopay.jobs")


@tick("autopay.follow", every_s=2)
def follow(services: Services) -> int:
    """Look up what became of signed payments, and free what was reserved for purchases that nobody signed."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        commands.lapse(tx)
        open_ones = commands.due(tx)
    for transaction in open_ones:
        claimed = (transaction.facilitator_response or {}).get("transaction")
        verdict = onchain.verdict_of(services, transaction, txid=claimed)
        with services.db.transaction(HOUSEKEEPER) as tx:
            commands.conclude(tx, transaction.id, verdict)
    return len(open_ones)


@tick("autopay.poll_balances", every_s=30)
def poll_balances(services: Services) -> int:
    """See what the paying agents have, so that a low balance is known before the next purchase; returns the changes."""
    changes = 0
    for currency in Currency:
        with services.db.transaction(HOUSEKEEPER) as tx:
            wallets = queries.wallets(tx, currency)
        for wallet in wallets:
            try:
                balance = onchain.balance_of(services, wallet.wallet_address, currency)
            except ChainSilent:
                log.warning("balances are not polled: the chain is silent")
                return changes
            with services.db.transaction(HOUSEKEEPER) as tx:
                changed = commands.note_changed_balance(
                    tx, wallet.agent_did, balance=balance, currency=currency, threshold=wallet.funds_threshold
                )
            changes += changed is not None
    return changes
