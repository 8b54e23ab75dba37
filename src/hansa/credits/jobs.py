"""Housekeeping of credits."""

from hansa.credits import commands
from hansa.infra.db import Actor
from hansa.infra.queue import tick
from hansa.infra.services import Services

HOUSEKEEPER = Actor(kind="system", did="credits.jobs")


@tick("credits.expire_holds", every_s=1)
def expire_holds(services: Services) -> int:
    """Free the money of deals that were never settled."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.expire_holds(tx)
