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
from hansa.negotiation.commands.groups import (
    expire_groups,
    leave_group,
    open_group,
    propose_to_group,
    reject_group,
    vote,
)
from hansa.negotiation.commands.proposals import propose

__all__ = [
    "Fulfilment",
    "accept",
    "bind",
    "expire_groups",
    "expire_stale",
    "initiate",
    "intend",
    "lapse",
    "leave_group",
    "open_group",
    "propose",
    "propose_to_group",
    "reject",
    "reject_group",
    "settle",
    "vote",
]
