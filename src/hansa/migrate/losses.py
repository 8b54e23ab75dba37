"""What a way back would lose: tables with rows, and columns with values, that the down scripts take away.

Nobody can tell from a script's text, so it is run and looked at: what is gone afterwards is put back by a savepoint
and counted. Only when something is gone does a script run twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

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

    oid: int
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
    number: int = 0
    """Of the column; 0 for the table."""
    column: Column | None = None


class _SomethingIsGone(Exception):
    """Takes the scripts back, so that what they took away can be counted."""


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

NOW_CALLED = """
    SELECT n.nspname, c.relname, a.attname
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = %(column)s AND a.attnum > 0
     WHERE c.oid = %(table)s
"""


@dataclass(frozen=True, slots=True)
class Revert(Generic[T]):
    """One script of a way back."""

    run: Callable[[], T]
    keeps: bool
    """Whether its author says that it loses nothing."""


def without_loss(connection: Connection, reverts: Sequence[Revert[T]]) -> tuple[T, ...]:
    """Run all in the open transaction, unless they would lose data. Raises DataWouldBeLost, and then nothing ran."""
    gone: list[Gone] = []
    try:
        with connection.transaction():
            done = tuple(_watched(connection, revert, gone) for revert in reverts)
            if gone:
                raise _SomethingIsGone  # noqa: TRY301 - the savepoint around it goes with it
            return done
    except _SomethingIsGone:
        lost = sorted(said for one in gone if (said := _held(connection, one)))
    if lost:
        raise DataWouldBeLost(f"going back would lose what is in {', '.join(lost)}; keep a copy, then say --lose-data")
    return tuple(revert.run() for revert in reverts)


def _watched(connection: Connection, revert: Revert[T], gone: list[Gone]) -> T:
    if revert.keeps:
        return revert.run()
    before = _tables(connection)
    done = revert.run()
    gone += _gone(before, _tables(connection))
    return done


def _tables(connection: Connection) -> dict[int, Stored]:
    rows = connection.execute(TABLES.encode()).fetchall()
    return {
        oid: Stored(
            oid=oid,
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
            Gone(stored=stored, number=number, column=column)
            for number, column in stored.columns.items()
            if number not in now.columns and column.name not in left
        ]
    return gone


def _held(connection: Connection, gone: Gone) -> str | None:
    """How many rows a table has, or values a column has that are not its default; None for none.

    Both by their numbers: a script that ran before may have found them under other names.
    """
    found = connection.execute(NOW_CALLED, {"table": gone.stored.oid, "column": gone.number}).fetchone()
    if found is None:  # made on the way back, of what is counted itself
        return None
    schema, table, column = found
    rows = sql.SQL("true")
    if gone.column is not None:
        value = sql.Identifier(column)
        rows = sql.SQL("{} IS NOT NULL").format(value)
        if gone.column.default is not None:
            # The expression comes from the catalog, where PostgreSQL itself wrote it.
            rows = sql.SQL("{} IS DISTINCT FROM ({})").format(value, sql.SQL(gone.column.default))  # pyright: ignore[reportArgumentType]
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS held").format(
        sql.Identifier(schema, table), rows, sql.Literal(COUNTED_MAX)
    )
    name = f"{schema}.{table}" if gone.column is None else f"{schema}.{table}.{column}"
    what = "rows" if gone.column is None else "values"
    try:
        with connection.transaction():
            # Row security would hide rows from their owner; without it PostgreSQL refuses instead of hiding.
            connection.execute("SET LOCAL row_security = off")
            counted = connection.execute(query).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return f"{name} ({what} that this role may not see)"
    count = counted[0] if counted else 0
    if not count:
        return None
    return f"{name} ({'at least ' if count == COUNTED_MAX else ''}{count} {what if count > 1 else what[:-1]})"
