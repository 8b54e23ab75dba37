"""What a way back would lose: tables with rows, and columns with values, that the down scripts take away.

Nobody can tell from a script's text, so it is run and looked at: what is gone afterwards is put back by a savepoint
and counted. Only when something is gone does a script run twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import sql

from hansa.migrate.errors import Refusal
from hansa.migrate.session import Connection

T = TypeVar("T")

COUNTED_MAX = 1000
"""Rows are counted up to here: to refuse, more need not be known, and tables may be large."""


class DataWouldBeLost(Refusal):
    """The way back takes tables or columns away that hold data, and nothing keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that is stored: a generated one says nothing that the others do not."""

    name: str
    default: str | None
    """Expression of its default; a value equal to it is no data of anybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A table and what it may hold."""

    schema: str
    table: str
    filled: bool
    """Whether it has pages; one without has no rows."""
    columns: Mapping[int, Column]
    """By their numbers, which stay when they are renamed."""

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A table that is not there any more, or a column of one that is."""

    stored: Stored
    column: Column | None = None


class _SomethingIsGone(Exception):
    """Takes the scripts back, so that what they took away can be counted."""

    def __init__(self, gone: Sequence[Gone]) -> None:
        super().__init__()
        self.gone = gone


TABLES = """
    SELECT c.oid::bigint, n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid) > 0,
           coalesce(pg_catalog.jsonb_object_agg(a.attnum, pg_catalog.jsonb_build_array(
                        a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid)))
                    FILTER (WHERE a.attnum IS NOT NULL), '{}')
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relkind IN ('r', 'm')
       AND n.nspname NOT IN ('mig', 'pg_catalog', 'information_schema')
       AND n.nspname !~ '^pg_(toast|temp)'
     GROUP BY c.oid, n.nspname, c.relname
"""


def without_loss(connection: Connection, revert: Callable[[], T]) -> T:
    """Run `revert` in the open transaction, unless it would lose data. Raises DataWouldBeLost, and then nothing ran."""
    before = _tables(connection)
    try:
        with connection.transaction():
            done = revert()
            gone = _gone(before, _tables(connection))
            if gone:
                raise _SomethingIsGone(gone)  # noqa: TRY301 - the savepoint around it goes with it
            return done
    except _SomethingIsGone as found:
        lost = [said for one in found.gone if (said := _held(connection, one))]
    if lost:
        raise DataWouldBeLost(
            f"going back would lose what is in {', '.join(sorted(lost))}; keep a copy, then say --lose-data"
        )
    return revert()


def _tables(connection: Connection) -> dict[int, Stored]:
    rows = connection.execute(TABLES.encode()).fetchall()
    return {
        oid: Stored(
            schema=schema,
            table=table,
            filled=filled,
            columns={int(number): Column(name=name, default=default) for number, (name, default) in columns.items()},
        )
        for oid, schema, table, filled, columns in rows
    }


def _gone(before: Mapping[int, Stored], after: Mapping[int, Stored]) -> list[Gone]:
    """What held something and is gone. A table made anew under its name is taken for one that was filled again."""
    names = {stored.name for stored in after.values()}
    gone: list[Gone] = []
    for oid, stored in before.items():
        if not stored.filled:
            continue
        now = after.get(oid)
        if now is None:
            gone += [] if stored.name in names else [Gone(stored=stored)]
            continue
        left = {column.name for column in now.columns.values()}
        gone += [
            Gone(stored=stored, column=column)
            for number, column in stored.columns.items()
            if number not in now.columns and column.name not in left
        ]
    return gone


def _held(connection: Connection, gone: Gone) -> str | None:
    """How many rows a table has, or values a column has that are not its default; None for none."""
    stored, column = gone.stored, gone.column
    rows = sql.SQL("true")
    if column is not None:
        value = sql.Identifier(column.name)
        rows = sql.SQL("{} IS NOT NULL").format(value)
        if column.default is not None:
            # The expression comes from the catalog, where PostgreSQL itself wrote it.
            rows = sql.SQL("{} IS DISTINCT FROM ({})").format(value, sql.SQL(column.default))  # pyright: ignore[reportArgumentType]
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS held").format(
        sql.Identifier(stored.schema, stored.table), rows, sql.Literal(COUNTED_MAX)
    )
    name = stored.name if column is None else f"{stored.name}.{column.name}"
    what = "rows" if column is None else "values"
    try:
        with connection.transaction():
            # Row security would hide rows from their owner; without it PostgreSQL refuses instead of hiding.
            connection.execute("SET LOCAL row_security = off")
            count = connection.execute(query).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return f"{name} ({what} that this role may not see)"
    found = count[0] if count else 0
    if not found:
        return None
    return f"{name} ({'at least ' if found == COUNTED_MAX else ''}{found} {what if found > 1 else what[:-1]})"
