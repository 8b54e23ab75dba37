"""Events: facts that happened, published with the data they speak of and delivered at least once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

E = TypeVar("E", bound="Event")

EVENTS: dict[str, type[Event]] = {}
"""Event name -> its class. Filled as the contexts define their events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A past fact, named as one: `TaskSettled`, `AgentRegistered`."""

    name: ClassVar[str] = ""
    """Stable public name, `context.fact`, e.g. `market.task_settled`."""
    version: ClassVar[int] = 1

    def ordering_key(self) -> str:
        """Events of one key are delivered in the order in which they were published."""
        raise NotImplementedError

    # Not `__init_subclass__`: a dataclass with slots is made twice, and only the second class is the real one.


def event(cls: type[E]) -> type[E]:
    """Make a published fact known by its name, so that the dispatcher can read it back."""
    if EVENTS.setdefault(cls.name, cls) is not cls:
        raise TypeError(f"two events are called {cls.name}")
    return cls
