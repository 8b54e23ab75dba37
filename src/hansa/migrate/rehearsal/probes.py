"""Statements of the application that run on the copy while it is migrated: what they are.

A file looks like this:

    role = "shop_app"                # optional: taken with SET ROLE
    [[probe]]
    name = "pay an order"
    sql = "UPDATE orders SET paid = %(value)s WHERE id = %(key)s"
    rate = 40                        # statements a second, whether the last one answered or not
    keys = "SELECT id FROM orders ORDER BY id LIMIT 200"
    values = ["Open", "Paid"]        # written in turn; without them %(value)s counts up from 1
    check = "last_write"             # or "increments": each statement adds 1
    read = "SELECT paid::text FROM orders WHERE id = %(key)s"
    reads_as = { Open = "open", Paid = "paid" }

Where a statement uses a key, its percent signs are written twice, as for every parametrised statement.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from hansa.migrate.rehearsal.errors import BadProbes

KEY, VALUE = "%(key)s", "%(value)s"


class Check(StrEnum):
    """How it is found out whether a write was lost."""

    LAST_WRITE = "last_write"
    """Each key must hold what was last written to it."""
    INCREMENTS = "increments"
    """Each key must have grown by the number of statements that succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One statement, again and again."""

    name: str
    sql: str
    rate: float
    """Statements a second, over all connections."""
    keys: str | None = None
    """A query for the keys; each connection works on its own part of them. None: the statement takes no key."""
    values: tuple[str | int | float, ...] = ()
    """What is written in turn; empty: numbers from 1."""
    check: Check | None = None
    """None: nobody asks whether the writes are there."""
    read: str | None = None
    """A query for what a key holds, which works before and after the revisions."""
    reads_as: Mapping[str, str] = field(default_factory=dict[str, str])
    """What a value reads as after the revisions, where that is not what was written."""
    stall_ms_max: float | None = None
    """The longest answer that is allowed; None: any."""

    def __post_init__(self) -> None:
        _demand(self.rate > 0, self.name, "rate must be positive")
        _demand(self.stall_ms_max is None or self.stall_ms_max > 0, self.name, "stall_ms_max must be positive")
        uses_key = KEY in self.sql or VALUE in self.sql
        _demand(uses_key == (self.keys is not None), self.name, f"keys and {KEY} belong together")
        _demand(not self.values or VALUE in self.sql, self.name, f"values are given, but sql has no {VALUE}")
        _demand((self.check is None) == (self.read is None), self.name, "check and read belong together")
        if self.check is not None:
            _demand(KEY in self.sql and KEY in (self.read or ""), self.name, f"a check needs {KEY} in sql and in read")
        if self.check is Check.LAST_WRITE:
            _demand(VALUE in self.sql, self.name, f"last_write needs {VALUE} in sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What runs while the copy is migrated."""

    probes: tuple[Probe, ...]
    role: str | None = None
    """Taken with SET ROLE; None: the role that migrates."""
    connections: int = 2
    """For each probe."""
    warm_up_s: float = 0.5
    """How long they run before the revisions do; what they need then is the measure for the rest."""
    cool_down_s: float = 0.5
    """How long they run on afterwards."""

    def __post_init__(self) -> None:
        _demand(bool(self.probes), "the file", "there is no [[probe]]")
        names = [probe.name for probe in self.probes]
        _demand(len(set(names)) == len(names), "the file", "two probes have the same name")
        _demand(self.connections > 0, "the file", "connections must be positive")
        _demand(min(self.warm_up_s, self.cool_down_s) >= 0, "the file", "times must not be negative")


def load_probes(path: Path) -> Probes:
    """Read a file of probes. Raises BadProbes with the probe and the entry."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadProbes(f"{path}: {error}") from error
    probes = entries.pop("probe", [])
    _demand(_is_tables(probes), path.name, "probes are written as [[probe]]")
    settings = _checked(entries, _SETTINGS, path.name)
    return Probes(probes=tuple(_probe(entry, number) for number, entry in enumerate(probes, start=1)), **settings)


_SETTINGS: Mapping[str, tuple[type, ...]] = {
    "role": (str,),
    "connections": (int,),
    "warm_up_s": (int, float),
    "cool_down_s": (int, float),
}
_ENTRIES: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "sql": (str,),
    "rate": (int, float),
    "keys": (str,),
    "values": (list,),
    "check": (str,),
    "read": (str,),
    "reads_as": (dict,),
    "stall_ms_max": (int, float),
}


def _probe(entry: Mapping[str, Any], number: int) -> Probe:  # what a person wrote
    where = str(entry.get("name", f"probe {number}"))
    fields = _checked(entry, _ENTRIES, where)
    for name in ("name", "sql", "rate"):
        _demand(name in fields, where, f"{name} is missing")
    if "values" in fields:
        _demand(all(_is(value, (str, int, float)) for value in fields["values"]), where, "values are text or numbers")
        fields["values"] = tuple(fields["values"])
    if "reads_as" in fields:
        _demand(all(isinstance(value, str) for value in fields["reads_as"].values()), where, "reads_as maps to text")
    if "check" in fields:
        _demand(fields["check"] in list(Check), where, f"check is one of {', '.join(Check)}")
        fields["check"] = Check(fields["check"])
    return Probe(**fields)


def _checked(entries: Mapping[str, Any], known: Mapping[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    for name, value in entries.items():
        _demand(name in known, where, f"{name} is not an entry a probe knows")
        _demand(_is(value, known[name]), where, f"{name} = {value!r} is not of the right kind")
    return dict(entries)


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_tables(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(entry, Mapping) for entry in value)


def _demand(fact: bool, where: str, message: str) -> None:
    if not fact:
        raise BadProbes(f"probe {where}: {message}" if where != "the file" else f"probes: {message}")
