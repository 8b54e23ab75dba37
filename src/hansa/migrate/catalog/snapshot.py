"""The catalog of a database as plain text: which objects there are, and every aspect of each."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hansa.migrate.catalog.errors import UnreadableSnapshot
from hansa.migrate.catalog.grants import grants, privileges
from hansa.migrate.catalog.queries import queries
from hansa.migrate.catalog.reading import Connection, reading, schemas_to_read

FORMAT = 1
"""Counts the meanings of what is recorded: a snapshot of another format cannot be compared with one of this."""

PART_OF, INHERITED_FROM, COMES_WITH = STRUCTURE = ("part of", "inherited from", "comes with")
"""Aspects that only say how objects hang together."""

COLUMN_ORDER = "column order"
SOFT = (COLUMN_ORDER,)
"""Aspects in which databases may differ and still be the same to every statement that names its columns."""

Aspects = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A catalog at one instant."""

    objects: Mapping[str, Aspects] = field(hash=False)
    """By kind and name, as in `column governance.role_agents.status`; an aspect that does not apply is left out."""

    @property
    def digest(self) -> str:
        """sha256 in hexadecimal: equal for equal catalogs, whatever the order of columns in their tables."""
        hard = {
            name: {aspect: value for aspect, value in aspects.items() if aspect not in SOFT}
            for name, aspects in self.objects.items()
        }
        return hashlib.sha256(_canonical(hard).encode()).hexdigest()

    def to_json(self) -> str:
        return _canonical({"format": FORMAT, "objects": {name: dict(rest) for name, rest in self.objects.items()}})

    @classmethod
    def from_json(cls, text: str) -> "Snapshot":
        """What `to_json` wrote. Raises UnreadableSnapshot."""
        try:
            content: Any = json.loads(text)  # whatever a person or another version put there
        except ValueError as error:
            raise UnreadableSnapshot(f"the recorded snapshot is not JSON: {error}") from error
        if not isinstance(content, dict) or not isinstance(content.get("objects"), dict):
            raise UnreadableSnapshot("the recorded snapshot holds no objects")
        if content.get("format") != FORMAT:
            raise UnreadableSnapshot(
                f"the recorded snapshot is of format {content.get('format')}, this engine reads {FORMAT}; take a new one"
            )
        return cls(objects=content["objects"])

    def without_aspect(self, aspect: str) -> "Snapshot":
        """The same catalog, blind for one aspect, such as `owner`."""
        return Snapshot(
            objects={
                name: {other: value for other, value in aspects.items() if other != aspect}
                for name, aspects in self.objects.items()
            }
        )

    def partitions_of(self, parents: frozenset[str]) -> frozenset[str]:
        """The partitions of these tables at every level, each as the name of an object."""
        found = frozenset(f"table {parent}" for parent in parents)
        tables = {
            name: aspects.get(PART_OF)
            for name, aspects in self.objects.items()
            if name.startswith(("table ", "foreign table "))
        }
        inside: frozenset[str] = frozenset()
        while found:
            found = frozenset(name for name, above in tables.items() if above in found)
            inside |= found
        return inside

    def without(self, names: frozenset[str]) -> "Snapshot":
        """The same catalog without some objects and everything that is part of them."""
        return Snapshot(
            objects={name: aspects for name, aspects in self.objects.items() if not self._within(name, names)}
        )

    def _within(self, name: str | None, names: frozenset[str]) -> bool:
        while name is not None:
            if name in names:
                return True
            name = self.objects.get(name, {}).get(PART_OF)
        return False


def snapshot(connection: Connection, *, schemas: Sequence[str] | None = None) -> Snapshot:
    """The catalog as this connection sees it now, within its transaction if it is in one.

    Without `schemas` it is everything but the system's schemas and the engine's own; with them it is those only, and
    nothing of what belongs to the database as a whole. Works on PostgreSQL 15 and later.
    """
    objects: dict[str, Aspects] = {}
    everything = schemas is None
    with reading(connection) as cursor:
        scope = {"schemas": schemas_to_read(cursor, None if everything else list(schemas)), "everything": everything}
        for query in queries(connection.info.server_version, everything=everything):
            cursor.execute(query, scope)
            columns = [column.name for column in cursor.description or ()]
            for name, *values in cursor.fetchall():
                objects.update(_objects(name, dict(zip(columns[1:], values, strict=True))))
    return Snapshot(objects=dict(sorted(objects.items())))


def _objects(name: str, row: dict[str, Any]) -> Iterator[tuple[str, Aspects]]:
    """What one row of a catalog query says: the object, and the grants on it. Its values are text or lists of text."""
    if "default_acl" in row:  # objects that are still to be made: nothing but grants
        above = {PART_OF: row[PART_OF]} if row[PART_OF] else {}
        for grantee, granted in privileges(row["default_acl"]):
            yield f"grant on {name} to {grantee}", {**above, **granted}
        return
    owner = row.pop("owner_of_part", row.get("owner"))
    acl = row.pop("acl", None)
    yield name, dict(_aspects(row))
    for grant, granted in grants(name, acl, owner):
        yield grant, {PART_OF: name, **granted}


def _aspects(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        if value is None:
            continue
        if column in {"options", "settings"}:
            for entry in value:
                option, _, setting = entry.partition("=")
                yield f"{column[:-1]} {option}", setting
        else:
            yield column, value


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
