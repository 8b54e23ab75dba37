"""Housekeeping of identity."""

from hansa.identity import commands
from hansa.infra.db import Actor
from hansa.infra.queue import tick
from hansa.infra.services import Services

HOUSEKEEPER = Actor(kind="system", did="identity.jobs")


@tick("identity.sweep", every_s=60)
def sweep(services: Services) -> int:
    """Forget what has expired: a nonce is needed only as long as its signature would still count."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.sweep(tx)
