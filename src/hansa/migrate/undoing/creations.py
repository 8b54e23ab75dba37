"""Makes again what was dropped, from what the catalog said of it before.

Only its shape: rows and values are gone with it, and a remark says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from hansa.migrate.catalog.reading import reading
from hansa.migrate.catalog.snapshot import PART_OF, Aspects, snapshot
from hansa.migrate.session import Connection
from hansa.migrate.undoing.identities import identities
from hansa.migrate.undoing.things import Thing, alter, thing

_ROUTINES = """
  SELECT p.oid::regprocedure::text, rtrim(pg_get_functiondef(p.oid), E'\\n')
  FROM pg_proc AS p
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
  WHERE p.prokind <> 'a' AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
"""


class Former:
    """A catalog as it was, with what a snapshot leaves out."""

    def __init__(self, connection: Connection) -> None:
        self.catalog = snapshot(connection)
        self.identities = identities(connection)
        with reading(connection) as cursor:
            cursor.execute(_ROUTINES)
            self._routines = dict(cursor.fetchall())

    def routine(self, signature: str) -> str | None:
        """The whole definition of a function or procedure."""
        return self._routines.get(signature)

    def create(self, name: str) -> str | None:
        """The statement that makes an object again; None when the catalog does not tell enough."""
        what, aspects = thing(name), self.catalog.objects[name]
        if what is None:
            return None
        if what.kind in ("function", "procedure"):
            return self.routine(what.name)
        if what.kind == "table":
            return self._table(what, aspects)
        if what.kind == "column":
            return f"ALTER TABLE {what.of} ADD COLUMN {column(what, aspects)}"
        maker = _MAKERS.get(what.kind)
        return maker(what, aspects) if maker is not None else None

    def _table(self, what: Thing, aspects: Aspects) -> str:
        unlogged = "UNLOGGED " if aspects.get("persistence") == "unlogged" else ""
        partition = aspects.get("partition of")
        key = f" PARTITION BY {aspects['partition key']}" if aspects.get("partition key") else ""
        if partition is not None:
            parent, _, bound = partition.partition(" ")
            return f"CREATE {unlogged}TABLE {what.name} PARTITION OF {parent} {bound}{key}"
        columns = ",\n  ".join(self._columns(what))
        inherits = f" INHERITS ({aspects['inherits']})" if aspects.get("inherits") else ""
        return f"CREATE {unlogged}TABLE {what.name} (\n  {columns}\n){inherits}{key}"

    def _columns(self, table: Thing) -> Iterator[str]:
        """In their order, which two columns whose names hold commas would confuse: then in that of their names."""
        order = (self.catalog.objects[f"table {table.name}"].get("column order") or "").split(", ")
        names = [name for name in self.catalog.objects if name.startswith(f"column {table.name}.")]
        columns = {what.name: self.catalog.objects[name] for name in names if (what := thing(name)) is not None}
        for own in [name for name in order if name in columns] or columns:
            yield column(Thing(kind="column", name=own, of=table.name), columns[own])


def column(what: Thing, aspects: Aspects) -> str:
    """A column as CREATE TABLE and ADD COLUMN write it."""
    parts = [what.name, aspects["type"] or ""]
    if aspects.get("collation"):
        parts.append(f"COLLATE {aspects['collation']}")
    if aspects.get("default") is not None:
        parts.append(f"DEFAULT {aspects['default']}")
    if aspects.get("generated value") is not None:
        value, _, how = (aspects["generated value"] or "").rpartition(" ")
        parts.append(f"GENERATED ALWAYS AS ({value}) {how.upper()}")
    if aspects.get("identity") is not None:
        parts.append(f"GENERATED {(aspects['identity'] or '').upper()} AS IDENTITY")
    if (aspects.get("null") or "").startswith("refused"):
        named = re.search(r", by constraint (.+)$", aspects["null"] or "")
        parts.append(f"{f'CONSTRAINT {named[1]} ' if named else ''}NOT NULL")
    return " ".join(parts)


def constraint(what: Thing, aspects: Aspects) -> str:
    """The statement that adds a constraint to its table or domain."""
    deferrable = {"yes": " DEFERRABLE", "yes, and deferred": " DEFERRABLE INITIALLY DEFERRED"}
    suffix = deferrable.get(aspects.get("deferrable") or "", "")
    if aspects.get("enforced") == "no":
        suffix += " NOT ENFORCED"
    elif aspects.get("validated") == "no":
        suffix += " NOT VALID"
    return f"{alter(what, aspects)} ADD CONSTRAINT {what.name} {aspects['definition']}{suffix}"


def options(aspects: Aspects) -> str:
    """Storage parameters or options of a view, as WITH and SET write them."""
    named = {name.removeprefix("option "): value for name, value in aspects.items() if name.startswith("option ")}
    return ", ".join(f"{name} = {_literal(value or '')}" for name, value in named.items())


def sequence(aspects: Aspects) -> str:
    """What a sequence counts."""
    cycle = "CYCLE" if aspects.get("cycle") == "yes" else "NO CYCLE"
    return (
        f"AS {aspects['type']} INCREMENT BY {aspects['increment']} MINVALUE {aspects['minimum']} "
        f"MAXVALUE {aspects['maximum']} START WITH {aspects['start']} CACHE {aspects['cache']} {cycle}"
    )


def _view(what: Thing, aspects: Aspects) -> str:
    chosen = options(aspects)
    return f"CREATE VIEW {what.name}{f' WITH ({chosen})' if chosen else ''} AS\n{aspects['definition']}".rstrip(";")


def _materialized_view(what: Thing, aspects: Aspects) -> str:
    data = "" if aspects.get("populated") == "yes" else "\nWITH NO DATA"
    return f"CREATE MATERIALIZED VIEW {what.name} AS\n{(aspects['definition'] or '').rstrip(';')}{data}"


def _policy(what: Thing, aspects: Aspects) -> str:
    parts = [f"CREATE POLICY {what.name} ON {what.of} AS {(aspects['kind'] or '').upper()} FOR {aspects['command']}"]
    parts.append(f"TO {aspects.get('roles') or 'PUBLIC'}".replace("TO -", "TO PUBLIC"))
    if aspects.get("USING expression") is not None:
        parts.append(f"USING ({aspects['USING expression']})")
    if aspects.get("WITH CHECK expression") is not None:
        parts.append(f"WITH CHECK ({aspects['WITH CHECK expression']})")
    return " ".join(parts)


def _domain(what: Thing, aspects: Aspects) -> str:
    collation = f" COLLATE {aspects['collation']}" if aspects.get("collation") else ""
    default = f" DEFAULT {aspects['default']}" if aspects.get("default") is not None else ""
    null = " NOT NULL" if aspects.get("null") == "refused" else ""
    return f"CREATE DOMAIN {what.name} AS {aspects['base type']}{collation}{default}{null}"


def _type(what: Thing, aspects: Aspects) -> str | None:
    attributes = aspects.get("attributes")
    return None if attributes is None else f"CREATE TYPE {what.name} AS ({attributes})"


def _sequence(what: Thing, aspects: Aspects) -> str:
    owned = f" OWNED BY {aspects['owning column']}" if aspects.get("owning column") else ""
    return f"CREATE SEQUENCE {what.name} {sequence(aspects)}{owned}"


def _extension(what: Thing, aspects: Aspects) -> str:
    return f"CREATE EXTENSION {what.name} WITH SCHEMA {aspects['schema']} VERSION {_literal(aspects['version'] or '')}"


def _defined(_what: Thing, aspects: Aspects) -> str:
    return (aspects["definition"] or "").rstrip(";")


def _index(_what: Thing, aspects: Aspects) -> str | None:
    return None if (aspects.get(PART_OF) or "").startswith("constraint ") else aspects.get("definition")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_MAKERS: Mapping[str, Callable[[Thing, Aspects], str | None]] = {
    "constraint": constraint,
    "domain": _domain,
    "enum": lambda what, aspects: f"CREATE TYPE {what.name} AS ENUM ({aspects.get('labels') or ''})",
    "extension": _extension,
    "index": _index,
    "materialized view": _materialized_view,
    "policy": _policy,
    "rule": _defined,
    "schema": lambda what, _: f"CREATE SCHEMA {what.name}",
    "sequence": _sequence,
    "statistics": _defined,
    "trigger": _defined,
    "type": _type,
    "view": _view,
}
