"""Housekeeping of the registry."""

from hansa.infra.db import Actor
from hansa.infra.queue import tick
from hansa.infra.services import Services
from hansa.registry import commands

HOUSEKEEPER = Actor(kind="system", did="registry.jobs")


@tick("registry.expire_agents", every_s=10)
def expire_agents(services: Services) -> int:
    """Retire agents that were not heard of within their time to live."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.expire_agents(tx)
