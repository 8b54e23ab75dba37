"""Housekeeping of proof."""

from hansa.infra.db import Actor
from hansa.infra.queue import tick
from hansa.infra.services import Services
from hansa.proof import commands, queries

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


@tick("proof.reward_epoch", every_s=60)
def reward_epoch(services: Services) -> int:
    """After midnight UTC the pool rewards the agents for the day before; what an interrupted run left is paid first."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        commands.open_reward_epoch(tx, commands.epoch_before(tx.at))
        waiting = queries.open_reward_epochs(tx)
    return sum(commands.reward(services.db, HOUSEKEEPER, epoch) for epoch in waiting)
