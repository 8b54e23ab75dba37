"""Housekeeping of proof."""

from hansa.infra.db import Actor
from hansa.infra.log import logger
from hansa.infra.queue import tick
from hansa.infra.services import Services
from hansa.kernel.errors import Refusal
from hansa.proof import commands, queries
from hansa.proof.models import ReceiptId

log = logger(__name__)

HOUSEKEEPER = Actor(kind="system", did="proof.jobs")


@tick("proof.age_reputations", every_s=60)
def age_reputations(services: Services) -> int:
    """Once a day each score is brought to that day, so that idle agents are not shown with the score of last year."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.age_reputations(tx, at=tx.at)


@tick("proof.refresh_usefulness", every_s=60)
def refresh_usefulness(services: Services) -> int:
    """Agents carry the average of their proofs, which search ranks by; proofs leave it when they are 30 days old."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.refresh_usefulness(tx, at=tx.at)


@tick("proof.finalise_receipts", every_s=1)
def finalise_receipts(services: Services) -> int:
    """Receipts end when their time is over; each in its own transaction, so that none holds up the others."""
    tried: list[ReceiptId] = []
    while (receipt := finalise_next(services, tried)) is not None:
        tried.append(receipt)
    return len(tried)


def finalise_next(services: Services, tried: list[ReceiptId]) -> ReceiptId | None:
    """The receipt that was ended, or that could not be."""
    receipt = None
    try:
        with services.db.transaction(HOUSEKEEPER) as tx:
            receipt = commands.due_receipt(tx, tried)
            if receipt is not None:
                commands.finalise(tx, receipt, at=tx.at)
    except Refusal as refusal:
        log.warning("receipt not ended", receipt=str(receipt), error=repr(refusal))
    return receipt


@tick("proof.pay_attesters", every_s=5)
def pay_attesters(services: Services) -> int:
    """Members whose audits were the verdict are paid from the pool, as far as it reaches."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.pay_attesters(tx)


@tick("proof.tend_stakes", every_s=30)
def tend_stakes(services: Services) -> int:
    """Stakes go back to who asked for them, and holds behind the others never lapse."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.tend_stakes(tx, at=tx.at)


@tick("proof.reward_epoch", every_s=60)
def reward_epoch(services: Services) -> int:
    """After midnight UTC the pool rewards the agents for the day before; what an interrupted run left is paid first."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        commands.open_reward_epoch(tx, commands.epoch_before(tx.at))
        waiting = queries.open_reward_epochs(tx)
    return sum(commands.reward(services.db, HOUSEKEEPER, epoch) for epoch in waiting)
