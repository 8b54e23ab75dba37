"""How a rule says that it is broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SHOWN = 50


def nobody_breaks(rule: str, found: Iterable[object]) -> None:
    """Fail with the rule, what to do about it, and what breaks it, each on a line of its own."""
    __tracebackhide__ = True
    items = [f"{key}: {value}" for key, value in found.items()] if isinstance(found, Mapping) else map(str, found)
    lines = sorted(item.partition("\n")[0] for item in items)
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    assert not lines, "\n  ".join([f"{rule}; broken by {len(lines)}:", *lines[:SHOWN], *more])
