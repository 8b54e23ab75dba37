"""The sealer of the audit trail."""

from hansa.governance import commands
from hansa.infra.db import Actor
from hansa.infra.queue import tick
from hansa.infra.services import Services

SEALER = Actor(kind="system", did="governance.jobs")
BATCHES_MAX = 20
"""Batches that one call seals at most, so that other housekeeping gets its turn."""


@tick("governance.seal_audit", every_s=0.5)
def seal_audit(services: Services) -> int:
    """Chain the audit rows that wait, batch by batch; returns how many."""
    total = 0
    for _ in range(BATCHES_MAX):
        with services.db.transaction(SEALER) as tx:
            sealed = commands.seal(tx)
        total += sealed
        if sealed < commands.SEAL_BATCH:
            break
    return total
