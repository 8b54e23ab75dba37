"""Housekeeping of payments."""

from hansa.infra.queue import tick
from hansa.infra.services import Services
from hansa.payments.settlement import finish_left_behind


@tick("payments.reconcile", every_s=1)
def reconcile(services: Services) -> int:
    """Finish what a crashed or impatient request left signed: what became of it is read from the chain."""
    return finish_left_behind(services)
