"""How often somebody may ask: counted in the database, so that a limit holds for all processes together.

The rate is even with a burst (GCRA): whoever kept still may ask as often at once as in a minute, then at the rate.
"""

import math
from datetime import timedelta

from hansa.infra.db import Query, Tx
from hansa.kernel.errors import TooManyRequests

REQUESTS = "requests"
IDLE = timedelta(minutes=1)
"""A row that lies so far back says nothing any more."""

ADMIT = Query(float, "SELECT ops.admit(%(subject)s, %(kind)s, %(per_minute)s::integer, %(burst)s::integer)")
FORGET_IDLE = Query(int, "DELETE FROM ops.rate_limits WHERE next_at < clock_timestamp() - %(idle)s::interval")


class RateLimited(TooManyRequests):
    """More requests than are allowed in a minute: wait as long as Retry-After says, then sign and send it again."""


def admit(tx: Tx, subject: str, *, kind: str = REQUESTS, per_minute: int, burst: int | None = None) -> None:
    """Count one request of somebody; `burst` is how many may come at once, by default those of a minute.

    A rate of 0 admits everything. Raises RateLimited with `retry_after_s`; a refused request is not counted.
    """
    if per_minute == 0:
        return
    wait_s = tx.one(ADMIT, subject=subject, kind=kind, per_minute=per_minute, burst=burst or per_minute)
    if wait_s > 0:
        raise RateLimited(per_minute=per_minute, retry_after_s=math.ceil(wait_s))


def forget_idle(tx: Tx) -> int:
    """Forget whoever has not asked for a while; returns how many rows went."""
    return tx.run(FORGET_IDLE, idle=IDLE)
