"""What can be done in a negotiation."""

from hansa.negotiation.commands.deals import (
    Fulfilment,
    accept,
    bind,
    expire_stale,
    initiate,
    intend,
    lapse,
    reject,
    settle,
)
from hansa.negotiation.commands.proposals import propose

__all__ = [
    "Fulfilment",
    "accept",
    "bind",
    "expire_stale",
    "initiate",
    "intend",
    "lapse",
    "propose",
    "reject",
    "settle",
]
