"""What the answers of all methods share."""

from collections.abc import Callable
from importlib.metadata import version
from typing import TypeAlias

from hansa.chain.chain import Chain
from hansa.chain.errors import Json, RpcError
from hansa.chain.params import Config, Params

Method: TypeAlias = Callable[[Chain, Params], Json]

VERSION = f"{version('solders')}-litesvm"
"""Tells a client plainly that this is no validator."""


def bank(chain: Chain, config: Config) -> int:
    """The slot a call is answered at. Raises RpcError when it is before the slot the client has seen elsewhere."""
    slot = chain.slot_at(config.commitment())
    at_least = config.integer("minContextSlot")
    if at_least is not None and slot < at_least:
        raise RpcError(-32016, "Minimum context slot has not been reached", {"contextSlot": slot})
    return slot


def with_context(slot: int, value: Json) -> Json:
    return {"context": {"apiVersion": VERSION, "slot": slot}, "value": value}
