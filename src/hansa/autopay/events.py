"""Facts that autopay publishes."""

from dataclasses import dataclass
from typing import ClassVar

from hansa.kernel.dids import Did
from hansa.kernel.events import Event, event
from hansa.kernel.ids import AutopayTransactionId
from hansa.kernel.money import TokenUnits


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class AutopayConcluded(Event):
    """A payment of an agent has ended: it is proven that it landed, or that it never will."""

    name: ClassVar[str] = "autopay.autopay_concluded"

    transaction: AutopayTransactionId
    agent: Did
    status: str
    """SUCCESS or FAILED."""
    amount: TokenUnits
    currency: str
    txid: str | None
    """None: it never landed."""
    url: str

    def ordering_key(self) -> str:
        return f"agent:{self.agent}"
