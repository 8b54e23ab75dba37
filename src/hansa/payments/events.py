"""Facts that payments publishes."""

from dataclasses import dataclass
from typing import ClassVar

from hansa.kernel.events import Event, event
from hansa.kernel.ids import PaymentId
from hansa.kernel.money import Asset, TokenUnits


@event
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSettled(Event):
    """A payment was confirmed by the chain."""

    name: ClassVar[str] = "payments.payment_settled"

    payment: PaymentId
    txid: str
    payer: str
    """Wallet that paid."""
    pay_to: str
    """Wallet that was paid."""
    amount: TokenUnits
    """Smallest units."""
    asset: Asset
    mint: str
    resource: str
    """URL that was paid for; empty when the seller named none."""
    environment: str

    def ordering_key(self) -> str:
        return f"wallet:{self.payer}"
