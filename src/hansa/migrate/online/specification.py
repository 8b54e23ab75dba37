"""Reads `[[operation]]` of meta.toml and map.toml into operations: everything that can be wrong is found here."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, get_args, get_type_hints

from hansa.migrate.online.errors import BadMap, BadOperation
from hansa.migrate.online.kinds import KINDS
from hansa.migrate.online.operation import Operation
from hansa.migrate.online.values import ValueMap, read_map

MAP = "map.toml"
SEQUENCE = tuple[str, ...]


def operations_of(revision: str, tables: Sequence[Mapping[str, object]], maps: str | None) -> tuple[Operation, ...]:
    """The operations of a revision, each an instance of its kind. Raises BadOperation, BadMap."""
    known = _maps(revision, maps)
    operations = tuple(
        _operation(f"{revision}/meta.toml, operation {number}", table, known)
        for number, table in enumerate(tables, start=1)
    )
    used = {table.get("map") for table in tables}
    unused = sorted(name for name in known if name not in used)
    if unused:
        raise BadMap(f"{revision}/{MAP}: no operation uses the map {unused[0]}")
    return operations


def _operation(where: str, table: Mapping[str, object], maps: Mapping[str, ValueMap]) -> Operation:
    entries = dict(table)
    kind = entries.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadOperation(f"{where}: kind = {kind!r} is none of {', '.join(sorted(KINDS))}")
    chosen = KINDS[kind]
    hints = get_type_hints(chosen)
    fields = {field.name: field for field in dataclasses.fields(chosen)}
    unknown = sorted(entries.keys() - fields.keys())
    if unknown:
        raise BadOperation(f"{where}: {kind} knows no entry {unknown[0]}; it takes {', '.join(fields)}")
    required = (name for name, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING)
    missing = [name for name in required if name not in entries]
    if missing:
        raise BadOperation(f"{where}: {kind} needs {missing[0]}")
    values = {name: _value(where, name, value, hints[name], maps) for name, value in entries.items()}
    try:
        return chosen(**values)
    except BadOperation as error:
        raise BadOperation(f"{where}: {error}") from error


def _value(where: str, name: str, value: object, hint: Any, maps: Mapping[str, ValueMap]) -> object:
    """The entry as its field wants it: a string, number, truth value, list of strings, or the map of that name."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if ValueMap in kinds:
        if not isinstance(value, str) or value not in maps:
            raise BadOperation(f"{where}: {MAP} has no map {value!r}")
        return maps[value]
    if SEQUENCE in kinds and isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    if type(value) in kinds:  # not isinstance: a truth value is no number
        return value
    raise BadOperation(f"{where}: {name} = {value!r} is not of the right kind")


def _maps(revision: str, text: str | None) -> dict[str, ValueMap]:
    if text is None:
        return {}
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadMap(f"{revision}/{MAP}: {error}") from error
    return {name: read_map(f"{revision}/{MAP}, {name}", table) for name, table in tables.items()}
