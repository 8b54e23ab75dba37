"""How many deals may have begun: the campaign opens it bit by bit, the driver waits at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hansa.entry.house import write


@dataclass
class Gate:
    """A number in a file, so that it outlives the driver."""

    path: Path
    size: int
    """Number of all deals."""

    def open_to(self, deals: int) -> None:
        """Let so many deals begin; it never closes again."""
        write(self.path, str(max(min(deals, self.size), self.released)))

    @property
    def released(self) -> int:
        return int(self.path.read_text()) if self.path.exists() else 0
