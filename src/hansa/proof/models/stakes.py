"""Stakes: what agents put at risk to sit in committees."""

from dataclasses import dataclass
from datetime import datetime

from hansa.kernel.dids import Did
from hansa.kernel.ids import HoldId
from hansa.kernel.money import Credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What an agent puts at risk to sit in committees."""

    agent: Did
    amount: Credits
    """Units of 1/1000 credit; 0: nothing is staked."""
    hold: HoldId | None
    """The hold that keeps it; None: there is none."""
    seats: int
    """Committees in which the agent sits now; while there are any, its stake stays."""
    expires_at: datetime | None
    """End of the hold, which is renewed long before; None: there is none."""
    unbonding_until: datetime | None
    """When the stake goes back, if no seat keeps it; None: the agent did not ask for it."""
