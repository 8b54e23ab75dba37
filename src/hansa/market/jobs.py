"""Housekeeping of the market."""

from hansa.infra.db import Actor
from hansa.infra.queue import tick
from hansa.infra.services import Services
from hansa.market import commands

HOUSEKEEPER = Actor(kind="system", did="market.jobs")


@tick("market.publish_leaderboards", every_s=5)
def publish_leaderboards(services: Services) -> int:
    """Show on the boards what has happened since they were last published."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.publish_due_leaderboards(tx)
