"""Housekeeping of credits."""

from hansa.credits import commands
from hansa.infra.db import Actor
from hansa.infra.log import logger
from hansa.infra.queue import job, tick
from hansa.infra.services import Services

log = logger(__name__)

HOUSEKEEPER = Actor(kind="system", did="credits.jobs")


@tick("credits.expire_holds", every_s=1)
def expire_holds(services: Services) -> int:
    """Free the money of deals that were never settled."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        return commands.expire_holds(tx)


@job("credits.reconcile", cron="17 * * * *")
def reconcile(services: Services) -> None:
    """Compare the books with their postings every hour, keep what was found, and raise the alarm in the log."""
    with services.db.transaction(HOUSEKEEPER) as tx:
        found = commands.reconcile(tx)
    if found.balanced:
        log.info("books balanced", accounts=found.accounts, movements=found.movements, holds=found.holds)
        return
    for wrong in found.discrepancies:
        log.error("books wrong", kind=wrong.kind, subject=wrong.subject, finding=wrong.finding)
