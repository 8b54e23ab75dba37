"""Housekeeping of negotiation."""

from hansa.infra.db import Actor
from hansa.infra.queue import tick
from hansa.infra.services import Services
from hansa.negotiation import commands

HOUSEKEEPER = Actor(kind="system", did="negotiation.jobs")


@tick("negotiation.expire_stale", every_s=1)
def expire_stale(services: Services) -> int:
    """End negotiations and groups whose time is over."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.expire_stale(tx) + commands.expire_groups(tx)
