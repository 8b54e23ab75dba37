"""Objects by the names that a snapshot gives them, and how statements call them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hansa.migrate.catalog.snapshot import COMES_WITH, INHERITED_FROM, PART_OF, Aspects, Snapshot

IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\s".]+)'
_ON = re.compile(rf"(?P<name>{IDENTIFIER}) on (?P<of>.+)", re.DOTALL)
_COLUMN = re.compile(rf"(?P<of>.+)\.(?P<name>{IDENTIFIER})", re.DOTALL)
_CAST = re.compile(r"from (?P<source>.+) to (?P<target>.+)", re.DOTALL)
# As a snapshot calls them, and as statements do; in the order in which they are best dropped.
KEYWORDS: Mapping[str, str] = {
    "publication": "PUBLICATION",
    "event trigger": "EVENT TRIGGER",
    "policy": "POLICY",
    "rule": "RULE",
    "trigger": "TRIGGER",
    "statistics": "STATISTICS",
    "index": "INDEX",
    "constraint": "CONSTRAINT",
    "column": "COLUMN",
    "materialized view": "MATERIALIZED VIEW",
    "view": "VIEW",
    "foreign table": "FOREIGN TABLE",
    "table": "TABLE",
    "foreign server": "SERVER",
    "sequence": "SEQUENCE",
    "cast": "CAST",
    "operator class": "OPERATOR CLASS",
    "operator": "OPERATOR",
    "aggregate": "AGGREGATE",
    "procedure": "PROCEDURE",
    "function": "FUNCTION",
    "text search configuration": "TEXT SEARCH CONFIGURATION",
    "text search dictionary": "TEXT SEARCH DICTIONARY",
    "text search parser": "TEXT SEARCH PARSER",
    "text search template": "TEXT SEARCH TEMPLATE",
    "domain": "DOMAIN",
    "range": "TYPE",
    "enum": "TYPE",
    "type": "TYPE",
    "collation": "COLLATION",
    "language": "LANGUAGE",
    "schema": "SCHEMA",
    "extension": "EXTENSION",
}
_RANK = {kind: rank for rank, kind in enumerate(KEYWORDS)}
_ON_A_TABLE = frozenset(("trigger", "rule", "policy", "constraint"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An object of a catalog."""

    kind: str
    """As the snapshot calls it, such as `materialized view`."""
    name: str
    """Without its kind and without what it is on; quoted where it must be."""
    of: str = ""
    """The table of a column, constraint, trigger, rule or policy, or the domain of a constraint."""

    @property
    def rank(self) -> int:
        """Those of a low rank tend to depend on those of a high one."""
        return _RANK[self.kind]


def thing(whole: str) -> Thing | None:
    """What a snapshot's name speaks of; None for what is no object with a statement of its own, such as a grant."""
    kind = next((kind for kind in sorted(KEYWORDS, key=len, reverse=True) if whole.startswith(f"{kind} ")), None)
    if kind is None:
        return None
    name = whole.removeprefix(f"{kind} ")
    pattern = _ON if kind in _ON_A_TABLE else _COLUMN if kind == "column" else None
    match = pattern.fullmatch(name) if pattern is not None else None
    if pattern is not None and match is None:
        return None
    return Thing(kind=kind, name=match["name"], of=match["of"]) if match else Thing(kind=kind, name=name)


def reference(what: Thing, aspects: Aspects) -> str:
    """How COMMENT ON and the like call it."""
    if what.kind == "column":
        return f"COLUMN {what.of}.{what.name}"
    if what.kind == "constraint":
        return f"CONSTRAINT {what.name} ON {_owner_of_constraint(what, aspects, domain='DOMAIN ')}"
    if what.of:
        return f"{KEYWORDS[what.kind]} {what.name} ON {what.of}"
    return f"{KEYWORDS[what.kind]} {_called(what)}"


def alter(what: Thing, aspects: Aspects) -> str:
    """The beginning of the statement that changes it."""
    if what.kind == "column":
        return f"ALTER {table_keyword(aspects)} {what.of} ALTER COLUMN {what.name}"
    if what.kind == "constraint":
        return f"ALTER {_owner_of_constraint(what, aspects, domain='DOMAIN ', table='TABLE ')}"
    if what.of:
        return f"ALTER {KEYWORDS[what.kind]} {what.name} ON {what.of}"
    return f"ALTER {KEYWORDS[what.kind]} {_called(what)}"


def drop(what: Thing, aspects: Aspects) -> str:
    """The statement that drops it, and nothing else."""
    if what.kind == "column":
        return f"ALTER {table_keyword(aspects)} {what.of} DROP COLUMN {what.name}"
    if what.kind == "constraint":
        return f"{alter(what, aspects)} DROP CONSTRAINT {what.name}"
    return f"DROP {reference(what, aspects)}"


def table_keyword(aspects: Aspects) -> str:
    """TABLE, or FOREIGN TABLE where the column is of one."""
    return "FOREIGN TABLE" if (aspects.get(PART_OF) or "").startswith("foreign table ") else "TABLE"


def on_its_own(name: str, catalog: Snapshot, among: frozenset[str]) -> bool:
    """Whether it is made and dropped by a statement of its own, and not along with another object of these.

    What is in a schema stands on its own beside it, so that a script names everything it drops.
    """
    aspects = catalog.objects[name]
    if thing(name) is None or aspects.get(COMES_WITH) or aspects.get(INHERITED_FROM) in among:
        return False
    above = aspects.get(PART_OF)
    while above is not None and above in catalog.objects:
        if above in among and not above.startswith("schema "):
            return False
        above = catalog.objects[above].get(PART_OF)
    return True


def _called(what: Thing) -> str:
    if what.kind == "operator class":
        return what.name.replace(" using ", " USING ")
    match = _CAST.fullmatch(what.name) if what.kind == "cast" else None
    return f"({match['source']} AS {match['target']})" if match else what.name


def _owner_of_constraint(what: Thing, aspects: Aspects, *, domain: str, table: str = "") -> str:
    on_domain = (aspects.get(PART_OF) or "").startswith("domain ")
    return f"{domain if on_domain else table}{what.of}"
