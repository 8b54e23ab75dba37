"""A conversion of one column to an enum: everything that was decided about it, and its values as SQL.

The decision is one value that the operation keeps among its facts, so that the way back, and the revision that drops
the old column, read it as it was made.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from hansa.migrate.online.backfill import Key, KeyColumn
from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import OURS, Check, Column, Grant, Index, Relation, Term, verbatim
from hansa.migrate.online.values import ValueMap

NAME_BYTES_MAX = 63
Value = sql.Composable


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of which column."""

    revision: str
    number: int
    table: str
    """Qualified and quoted where needed."""
    column: str
    new: str
    """Name of the column of the new type until the swap."""
    old: str
    """Name of the old column after the swap."""
    key: Key
    before: Column
    type: str
    """Qualified; an array when the old column is one."""
    labels: tuple[str, ...]
    map: ValueMap
    nulls: str | None
    """The label that NULL becomes; None when it stays."""
    reverse: Mapping[str, str]
    """What each label is in the old vocabulary."""
    not_null: bool
    """Whether the new column is."""
    default: str | None
    """Of the new column, in its text form."""
    indexes: tuple[Index, ...]
    checks: tuple[Check, ...]
    in_place: bool
    """Whether the column's own type is changed, in one short transaction."""
    silent: bool
    """Whether triggers of users keep quiet while the engine writes."""

    @property
    def owner(self) -> tuple[str, int]:
        return self.revision, self.number

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Plan":
        """The plan that `facts` came from."""
        read: dict[str, Any] = dict(facts)
        read["key"] = Key(columns=tuple(KeyColumn(**entry) for entry in facts["key"]["columns"]))
        read["before"] = _column(facts["before"])
        read["labels"] = tuple(facts["labels"])
        read["map"] = _map(facts["map"])
        read["indexes"] = tuple(_index(entry) for entry in facts["indexes"])
        read["checks"] = tuple(Check(**entry) for entry in facts["checks"])
        return cls(**read)

    def name(self, what: str) -> str:
        """A name of our own for something that is only there for the time of the conversion, or out of sight."""
        return f"mig_{hashlib.sha256(f'{self.revision}/{self.number}/{what}'.encode()).hexdigest()[:16]}"

    # --- values -------------------------------------------------------------------------------------------------------

    def mapped(self, old: Value) -> sql.Composed:
        """The label (labels, for an array) that a value of the old column becomes; NULL when nobody mapped it."""
        mapped = self._each(old, self._label)
        if self.nulls is None:
            return mapped
        return sql.SQL("CASE WHEN {} IS NULL THEN {} ELSE {} END").format(old, sql.Literal(self.nulls), mapped)

    def converted(self, old: Value) -> sql.Composed:
        """The same, of the new type."""
        return sql.SQL("({})::{}").format(self.mapped(old), verbatim(self.type))

    def reversed(self, new: Value) -> sql.Composed:
        """The old text (texts) of a value of the new column."""
        renamed = {label: old for label, old in self.reverse.items() if label != old}
        if not renamed:
            return sql.SQL("{}::{}").format(new, self._text)
        return self._each(new, lambda element: _case(element, renamed, otherwise=element))

    def restored(self, new: Value) -> sql.Composed:
        """The same, of the old type."""
        return sql.SQL("({})::{}").format(self.reversed(new), verbatim(self.before.type))

    def recalled(self, key: Value, new: Value) -> sql.Composed:
        """The value of the old column for a row: its kept original, unless the row was changed since, or `restored`."""
        return sql.SQL(
            """
            (SELECT CASE WHEN p.key IS NULL THEN {restored} ELSE p.original::{type} END
             FROM (SELECT 1) AS one
             LEFT JOIN mig.preimages AS p ON p.revision = {revision} AND p.operation = {number} AND p.key = {key}
                                         AND p.converted IS NOT DISTINCT FROM ({new})::text)
            """
        ).format(
            restored=self.restored(new),
            type=verbatim(self.before.type),
            revision=sql.Literal(self.revision),
            number=sql.Literal(self.number),
            key=key,
            new=new,
        )

    def written(self, text: Value) -> sql.Composed:
        """What a client meant who wrote the old column after the swap, by its position: a label, or an old value."""
        return self._each(text, self._label_or_old)

    def unmapped(self, table: Relation, condition: Value) -> sql.Composed:
        """Query of the old values of rows `t` that the map does not know, with their counts, the most frequent first."""
        text = sql.SQL('(t.{})::text COLLATE "C"').format(sql.Identifier(self.column))
        source, element = table.identifier, text
        if self.before.array:
            unnested = sql.SQL("{} AS t CROSS JOIN LATERAL pg_catalog.unnest(t.{}::text[])")
            source = unnested.format(table.identifier, sql.Identifier(self.column))
            element = sql.SQL('u.e COLLATE "C"')
        return sql.SQL(
            """
            SELECT {element}, pg_catalog.count(*) FROM {source} AS {alias}
            WHERE ({condition}) AND {element} IS NOT NULL AND {label} IS NULL AND NOT {quarantined}
            GROUP BY 1 ORDER BY 2 DESC, 1
            """
        ).format(
            element=element,
            source=source,
            alias=sql.SQL("u (e)" if self.before.array else "t"),
            condition=condition,
            label=self._label(element),
            quarantined=self._is_quarantined(element),
        )

    def quarantined(self, old: Value) -> sql.Composed:
        """Whether the row has no place."""
        if not self.before.array:
            return self._is_quarantined(sql.SQL('({})::text COLLATE "C"').format(old))
        return sql.SQL("EXISTS (SELECT FROM pg_catalog.unnest({}::text[]) AS s (e) WHERE {})").format(
            old, self._is_quarantined(sql.SQL('s.e COLLATE "C"'))
        )

    def misshapen(self, old: Value) -> sql.Composed:
        """Whether an array is not a plain list, which is all that can be converted."""
        return sql.SQL("(pg_catalog.array_ndims({v}) > 1 OR pg_catalog.array_lower({v}, 1) <> 1)").format(v=old)

    def unconverted(self) -> sql.Composed:
        """Whether a row has no value in the new column although it should have one."""
        missing = sql.SQL("{} IS NULL").format(sql.Identifier(self.new))
        if self.not_null:
            return missing
        return sql.SQL("{} AND {} IS NOT NULL").format(missing, sql.Identifier(self.column))

    @property
    def _text(self) -> sql.SQL:
        return sql.SQL("text[]" if self.before.array else "text")

    def _label(self, element: Value) -> sql.Composed:
        return _case(self._folded(element), self.map.values, otherwise=sql.SQL("NULL"))

    def _label_or_old(self, element: Value) -> sql.Composed:
        return sql.SQL("CASE WHEN {e} = ANY({labels}) THEN {e} ELSE coalesce({label}, {e}) END").format(
            e=element, labels=sql.Literal(list(self.labels)), label=self._label(element)
        )

    def _is_quarantined(self, element: Value) -> sql.Composed:
        return sql.SQL("coalesce({} = ANY({}::text[]), false)").format(
            self._folded(element), sql.Literal(list(self.map.quarantine))
        )

    def _folded(self, element: Value) -> sql.Composed:
        return verbatim(self.map.folded_sql("{}")).format(element)

    def _each(self, value: Value, function: Callable[[Value], Value]) -> sql.Composed:
        """A function of texts for a value, or for each element of an array: NULL when it is NULL for one that is not."""
        if not self.before.array:
            return sql.SQL("{}").format(function(sql.SQL('({})::text COLLATE "C"').format(value)))
        return sql.SQL(
            """
            CASE WHEN NOT coalesce({misshapen}, false) AND {value} IS NOT NULL THEN (
              SELECT CASE WHEN pg_catalog.count(*) FILTER (WHERE u.e IS NOT NULL AND u.m IS NULL) = 0
                          THEN coalesce(pg_catalog.array_agg(u.m ORDER BY u.n), ARRAY[]::text[]) END
              FROM (SELECT s.e, s.n, {each} AS m FROM pg_catalog.unnest({value}::text[]) WITH ORDINALITY AS s (e, n))
                   AS u
            ) END
            """
        ).format(misshapen=self.misshapen(value), value=value, each=function(sql.SQL('s.e COLLATE "C"')))


# --- triggers ---------------------------------------------------------------------------------------------------------


def follow_old(run: Run, plan: Plan, table: Relation) -> None:
    """From now on the new column follows the old one. What nobody mapped leaves NULL: no client's write fails of it."""
    _trigger(
        run,
        table,
        plan.name("forward"),
        sql.SQL("NEW.{} := {};").format(
            sql.Identifier(plan.new), plan.mapped(sql.SQL("NEW.{}").format(sql.Identifier(plan.column)))
        ),
    )


def follow_new(run: Run, plan: Plan, table: Relation) -> None:
    """From now on the old column follows the new one where that changes, so that the earlier revision stays possible.

    Only a client that inserts by position, without naming columns, still writes the old one; its value counts.
    """
    old, new = (sql.SQL("NEW.{}").format(sql.Identifier(name)) for name in (plan.old, plan.column))
    before = sql.SQL("OLD.{}").format(sql.Identifier(plan.column))
    body = sql.SQL(
        """IF TG_OP = 'UPDATE' THEN
    IF {new} IS DISTINCT FROM {before} THEN {old} := {reversed}; END IF;
  ELSIF {old} IS NULL THEN {old} := {reversed};
  ELSE {new} := {written};
  END IF;"""
    ).format(new=new, old=old, before=before, reversed=plan.reversed(new), written=plan.written(old))
    _trigger(run, table, plan.name("reverse"), body)


def stop_following(run: Run, plan: Plan, table: Relation) -> None:
    """Remove the triggers, whichever there are."""
    for name in (plan.name("forward"), plan.name("reverse")):
        run.execute(sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(OURS + name), table.identifier))
        run.execute(sql.SQL("DROP FUNCTION IF EXISTS mig.{}()").format(sql.Identifier(name)))


def _trigger(run: Run, table: Relation, name: str, body: Value) -> None:
    """Run `body` for every row that is written, also by replication, after all other triggers of that kind."""
    text = sql.SQL("BEGIN\n  {}\n  RETURN NEW;\nEND").format(body).as_string(run.connection)
    run.execute(
        sql.SQL(
            "CREATE OR REPLACE FUNCTION mig.{}() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS {}"
        ).format(sql.Identifier(name), sql.Literal(text))
    )
    trigger = sql.Identifier(OURS + name)
    run.execute(
        sql.SQL(
            "CREATE OR REPLACE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION mig.{}()"
        ).format(trigger, table.identifier, sql.Identifier(name))
    )
    run.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table.identifier, trigger))


def _case(value: Value, choices: Mapping[str, str], *, otherwise: Value) -> sql.Composed:
    if not choices:
        return sql.SQL("{}").format(otherwise)
    whens = [
        sql.SQL("WHEN {} THEN {}").format(sql.Literal(found), sql.Literal(becomes))
        for found, becomes in choices.items()
    ]
    return sql.SQL("CASE {} {} ELSE {} END").format(value, sql.SQL(" ").join(whens), otherwise)


def suffixed(name: str, suffix: str) -> str:
    """A name with a suffix, cut where PostgreSQL would cut it."""
    room = NAME_BYTES_MAX - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix


def _column(entry: Mapping[str, Any]) -> Column:
    read: dict[str, Any] = dict(entry)
    read["options"] = tuple(entry["options"])
    read["grants"] = tuple(Grant(**grant) for grant in entry["grants"])
    return Column(**read)


def _index(entry: Mapping[str, Any]) -> Index:
    read: dict[str, Any] = dict(entry)
    read["terms"] = tuple(Term(**term) for term in entry["terms"])
    return Index(**read)


def _map(entry: Mapping[str, Any]) -> ValueMap:
    return ValueMap(values=entry["values"], quarantine=tuple(entry["quarantine"]), fold=tuple(entry["fold"]))
