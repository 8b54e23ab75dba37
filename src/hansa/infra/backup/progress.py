"""How far a long piece of work has come, for whoever waits for it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One moment of one step."""

    step: str
    """What is being done, as in "copying"."""
    done: int
    """Bytes."""
    total: int | None = None
    """Bytes; None while that is not known."""


Report = Callable[[Progress], None]


def unheard(_: Progress) -> None:
    """Nobody waits."""
