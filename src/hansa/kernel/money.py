"""Money: integers in the smallest unit of an asset, and the one rule for dividing them. No float ever."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

Credits = NewType("Credits", int)
"""Amount in the smallest unit of the house credit: 1 credit = 1000 units (AINP)."""
Lamports = NewType("Lamports", int)
"""Amount of SOL: 1 SOL = 10^9 lamports."""
TokenUnits = NewType("TokenUnits", int)
"""Amount of an SPL token in its smallest unit: 1 USDC = 10^6."""
BasisPoints = NewType("BasisPoints", int)
"""A share: 10 000 is the whole."""

WHOLE = BasisPoints(10_000)


class Asset(StrEnum):
    """What an amount is an amount of."""

    CREDIT = "CREDIT"
    USDC = "USDC"
    CASH = "CASH"
    SOL = "SOL"


DECIMALS: Mapping[Asset, int] = {Asset.CREDIT: 3, Asset.USDC: 6, Asset.CASH: 6, Asset.SOL: 9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An exact amount of one asset."""

    units: int
    """Smallest units of the asset."""
    asset: Asset

    def __str__(self) -> str:
        return f"{decimal_text(self.units, DECIMALS[self.asset])} {self.asset}"


def decimal_text(units: int, decimals: int) -> str:
    """Write an integer amount with its decimal point, without a float on the way.

    >>> decimal_text(63_000, 3), decimal_text(-5, 3)
    ('63.000', '-0.005')
    """
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def units_of(text: str, decimals: int) -> int:
    """Read an amount: `12.345` in whole coins, or `12345u` in smallest units; no sign, no float on the way.

    Raises ValueError for anything else, also for more decimals than the asset has.

    >>> units_of("12.345", 3), units_of("12345u", 3), units_of("7", 3)
    (12345, 12345, 7000)
    """
    units = re.fullmatch(r"([0-9]{1,19})u", text)
    if units:
        return int(units[1])
    coins = re.fullmatch(r"([0-9]{1,19})(?:\.([0-9]{1,9}))?", text)
    if coins is None or len(coins[2] or "") > decimals:
        raise ValueError(
            f"an amount is a number such as 12.345, with {decimals} decimals at most, or units such as 12345u"
        )
    return int(coins[1] + (coins[2] or "").ljust(decimals, "0"))


def split(amount: int, weights: Mapping[str, int], *, remainder_to: str) -> dict[str, int]:
    """Divide an amount by basis points; what rounding leaves over goes to the party named.

    Every other party gets the floor of its share, so the parts always sum to the amount.
    Raises ValueError for a negative amount, weights that are not shares of the whole, or an unknown remainder party.

    >>> split(100_001, {"agent": 7000, "broker": 1000, "validator": 1000, "pool": 1000}, remainder_to="pool")
    {'agent': 70000, 'broker': 10000, 'validator': 10000, 'pool': 10001}
    """
    if amount < 0:
        raise ValueError("a negative amount cannot be divided")
    if any(weight < 0 or weight > WHOLE for weight in weights.values()) or sum(weights.values()) != WHOLE:
        raise ValueError("shares are basis points that sum to 10 000")
    if remainder_to not in weights:
        raise ValueError(f"{remainder_to} has no share to which the remainder could go")
    parts = {party: amount * weight // WHOLE for party, weight in weights.items()}
    parts[remainder_to] += amount - sum(parts.values())
    return parts
