"""Housekeeping of discovery."""

from hansa.discovery import commands
from hansa.infra.db import Actor
from hansa.infra.queue import job, tick
from hansa.infra.services import Services

HOUSEKEEPER = Actor(kind="system", did="discovery.jobs")
BATCH = 1000


@tick("discovery.sweep", every_s=600)
def sweep(services: Services) -> int:
    """Forget who searched for what after 90 days, a batch per transaction."""
    queries = 0
    while True:
        with services.db.transaction(HOUSEKEEPER) as tx:
            swept = commands.sweep(tx, limit=BATCH)
        queries += swept.queries
        if max(swept.queries, swept.answers, swept.results) < BATCH:
            return queries


@tick("discovery.cap_recent_deals", every_s=60)
def cap_recent_deals(services: Services) -> int:
    """Keep the newest deals only."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.cap_recent_deals(tx)


@job("discovery.rebuild", attempts=3)
def rebuild(services: Services) -> int:
    """Work the index out anew; reactions wait meanwhile."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.rebuild(tx)
