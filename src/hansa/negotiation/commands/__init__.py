"""What can be done in a negotiation."""

from hansa.negotiation.commands.deals import (
    Fulfilment,
    accept,
    bind,
    expire_stale,
    initiate,
    intend,
    lapse,
    propose,
    reject,
    settle,
)

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
