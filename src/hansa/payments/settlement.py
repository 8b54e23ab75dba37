"""Following signed payments to their end: sending, asking the chain, concluding. Needs no key.

Everything starts from a committed row and may be repeated: the same bytes can land once, and a claim ends once.
"""

from __future__ import annotations

from datetime import timedelta

from hansa.chain.client import ChainRejected, ChainUnreachable
from hansa.infra.db import Actor
from hansa.infra.log import logger
from hansa.infra.services import Services
from hansa.payments import commands, queries
from hansa.payments.errors import ChainUnavailable
from hansa.payments.models import Claim, Environment, Fate
from hansa.payments.onchain import fate_of

log = logger(__name__)

FACILITATOR = Actor(kind="system", did="payments.facilitator")
FOLLOW_LEASE = timedelta(seconds=5)
UNSIGNED_AGE = timedelta(minutes=5)
"""How long a claim that nobody signed is kept open for another attempt; its blockhash is dead much earlier."""


def send(services: Services, claim: Claim, raw: bytes) -> None:
    """Send a signed payment and note that it was sent; what the node answered decides nothing.

    Without preflight: a payment that fails must land and be seen to fail, or its fate stays open until it expires.
    """
    try:
        services.chain.send(raw, skip_preflight=True)
    except (ChainUnreachable, ChainRejected) as error:
        log.warning("sending a payment gave no answer; the chain will tell", claim=str(claim.id), error=str(error))
    with services.db.transaction(FACILITATOR) as tx:
        commands.mark_sent(tx, claim.id)


def follow(services: Services, claim: Claim, *, resend: bool) -> Claim:
    """Ask the chain about a signed payment and conclude its claim when the answer is final."""
    assert claim.txid is not None, "a claim is followed once it is signed"
    assert claim.transaction is not None, "the same"
    assert claim.last_valid_block_height is not None, "the same"
    try:
        verdict = fate_of(services.chain, claim.txid, last_valid_block_height=claim.last_valid_block_height)
    except (ChainUnreachable, ChainRejected) as outage:
        log.warning("the chain does not answer", claim=str(claim.id), error=str(outage))
        return claim
    if verdict.fate is Fate.UNKNOWN:
        if resend:
            send(services, claim, claim.transaction)
        return claim
    with services.db.transaction(FACILITATOR) as tx:
        ended = commands.conclude(tx, claim.id, verdict) or queries.claim_of(tx, claim.message_hash)
    assert ended is not None, "claims are never deleted"
    log.info("payment concluded", claim=str(claim.id), state=ended.state, txid=claim.txid)
    return ended


def finish_left_behind(services: Services) -> int:
    """Follow the signed payments that nobody follows any more; returns how many have ended."""
    with services.db.transaction(FACILITATOR) as tx:
        commands.expire_unsigned(tx, age=UNSIGNED_AGE)
        claims = commands.left_behind(tx, lease=FOLLOW_LEASE)
    if not claims:
        return 0
    # Another chain under the same URL would know none of our transactions, and they would all look dead.
    check_chain(services)
    return sum(follow(services, claim, resend=True).ended for claim in claims)


def check_chain(services: Services) -> None:
    """The chain is the one this database knows; the first one is remembered. Raises ChainDiffers, ChainUnavailable."""
    try:
        genesis_hash, instance = services.chain.genesis_hash(), services.chain.instance()
    except ChainUnreachable as outage:
        raise ChainUnavailable(str(outage)) from outage
    with services.db.transaction(FACILITATOR) as tx:
        environment = Environment(services.settings.environment)
        commands.note_chain(tx, environment, genesis_hash=genesis_hash, instance=instance)
