"""What people write on the command line, read exactly. Whatever is wrong is wrong usage, and the option is named."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

import typer

from hansa.kernel.money import DECIMALS, Asset, units_of

DURATION = re.compile(r"(\d{1,8})(s|m|h|d)?")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
PARTIES = ("agent", "broker", "validator", "pool")


def units(text: str) -> int:
    """Credits as people write them, `90`, `90.5` or `90500u`, in units of 1/1000."""
    try:
        return units_of(text.strip(), DECIMALS[Asset.CREDIT])
    except ValueError as strange:
        raise typer.BadParameter(f"{text!r} is no amount of credits: {strange}") from strange


def seconds(text: str) -> int:
    """A time span: `90s`, `30m`, `1h`, `2d`, or seconds without a letter."""
    found = DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time span; write 90s, 30m, 1h or 2d")
    return int(found[1]) * SECONDS[found[2] or "s"]


def share(text: str) -> Decimal:
    """A number from 0 to 1 with at most two decimals."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(-1)
    if not (found.is_finite() and 0 <= found <= 1 and found == round(found, 2)):
        raise typer.BadParameter(f"{text!r} is no quality; write 0 to 1 with at most two decimals, like .95")
    return found


def split(text: str) -> dict[str, int]:
    """Shares in percent, `70/10/10/10` for agent, broker, validator and pool, in basis points."""
    try:
        shares = [Decimal(part) * 100 for part in text.split("/")]
    except InvalidOperation:
        shares = []
    whole = [int(one) for one in shares if one.is_finite() and one >= 0 and one == int(one)]
    if len(whole) != len(PARTIES) or sum(whole) != 10_000:
        raise typer.BadParameter(
            f"{text!r} is no split; write agent/broker/validator/pool in percent, like 70/10/10/10"
        )
    return dict(zip(PARTIES, whole, strict=True))


def span_text(length_s: float) -> str:
    """A time span as people say it: `1 h`, `1 h 30 min`, `45 s`."""
    whole = max(0, int(length_s))
    parts = [(whole // 86_400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2]) or "0 s"


def split_text(shares: dict[str, int]) -> str:
    """Shares as they are written on the command line."""
    return "/".join(f"{Decimal(shares[party]) / 100:f}" for party in PARTIES)
