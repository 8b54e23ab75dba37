"""What the demo tells: its parties, its steps, and the tables at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from hansa.client import Hansa
from hansa.infra.keys import AgentKey
from hansa.kernel.money import Asset, Credits, Money, TokenUnits

Json = dict[str, Any]
"""A JSON document of the API."""


@dataclass
class Party:
    """An agent of the demo, with its own key and its own connection."""

    name: str
    key: AgentKey
    hansa: Hansa
    before: Json = field(default_factory=dict[str, Any])
    after: Json = field(default_factory=dict[str, Any])


@dataclass
class Step:
    """A step that was done."""

    title: str
    seconds: float
    lines: list[str]


def console_of(terminal: bool) -> Console:
    """A terminal knows its width; a pipe or a file has room."""
    return Console(highlight=False, emoji=False, width=None if terminal else 110)


def who_got_what(paid: Json) -> Table:
    table = table_of(f"{credit(paid['amount'])} of one deal", "who", "share", "got")
    for who in ("agent", "broker", "validator", "pool"):
        units = paid[f"{who}_units"]
        table.add_row(who, f"{100 * units / paid['amount']:.0f} %", credit(units))
    return table


def standings(parties: Sequence[Party]) -> Table:
    table = table_of("before -> after", "agent", "credits", "reputation", "trust", "rank")
    for party in parties:
        before, after = party.before, party.after
        table.add_row(
            party.name,
            f"{credit(before['balance'])[:-7]} -> {credit(after['balance'])[:-7]}",
            f"{before['reputation']:.2f} -> {after['reputation']:.2f}",
            f"{before['trust']:.3f} -> {after['trust']:.3f}",
            f"{before['rank'] or 'none'} -> {after['rank'] or 'none'}",
        )
    return table


def times(steps: Sequence[Step], seconds: float) -> Table:
    table = table_of(f"{seconds:.1f} s in {len(steps)} steps", "step", "seconds")
    for step in steps:
        table.add_row(step.title, f"{step.seconds:.2f}")
    return table


def table_of(title: str, first: str, *others: str) -> Table:
    """A table whose first column is words and whose others are numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def credit(units: int) -> str:
    return str(Money(units=Credits(units), asset=Asset.CREDIT))


def usdc(units: int) -> str:
    return str(Money(units=TokenUnits(units), asset=Asset.USDC))
