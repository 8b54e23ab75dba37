"""Facts that credits publishes."""

from dataclasses import dataclass
from typing import ClassVar

from hansa.kernel.events import Event, event
from hansa.kernel.ids import HoldId
from hansa.kernel.money import Credits


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLapsed(Event):
    """The time of a hold ran out and its money went back."""

    name: ClassVar[str] = "credits.hold_lapsed"

    hold: HoldId
    account: str
    amount: Credits
    purpose_kind: str
    purpose_id: str

    def ordering_key(self) -> str:
        return f"{self.purpose_kind}:{self.purpose_id}"
