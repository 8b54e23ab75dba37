"""Ready to be paid: the chain is checked, the facilitator has lamports, and in development two paid routes are open."""

from __future__ import annotations

import time

from fastapi import FastAPI

from hansa.entry.runtime import house_key
from hansa.examples.sellers import mount_sellers
from hansa.infra.log import logger
from hansa.infra.services import Services
from hansa.kernel.errors import Refusal
from hansa.payments.treasury import open_token_account, prepare

log = logger(__name__)

PATIENCE_S = 30


def open_till(app: FastAPI, services: Services) -> None:
    """Make ready to settle payments, and open the example sellers except in production.

    A chain that is only just starting is waited for. Raises ChainDiffers when it is not the one that was paid on
    before: somebody must decide which of the two is meant.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ready(app, services)
        except Refusal as refusal:
            if not refusal.retryable or time.monotonic() > deadline:
                raise
            log.info("the chain does not answer yet", detail=refusal.detail)
            time.sleep(0.3)


def ready(app: FastAPI, services: Services) -> None:
    prepare(services)
    if not services.settings.production:
        seller = house_key(services.settings.home, "seller")
        open_token_account(services, seller.wallet)
        mount_sellers(app, services, pay_to=seller.wallet)
