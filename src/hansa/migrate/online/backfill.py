"""Goes through a table by its key, some rows at a time, and takes up again exactly where it stopped.

A batch is a span of keys, not a list of rows: what clients insert or change inside of it meanwhile is dealt with by the
same statement, and what they insert behind it is theirs to have right (a trigger sees to that).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.operation import Batch, Done, Run
from hansa.migrate.online.relations import Relation, spelled_out, verbatim


class NoKey(OperationRefused):
    """The table has no primary key, nor a unique key of columns that are never NULL, to go through it by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyColumn:
    """A column of a key."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Columns that tell every row of a table from all others."""

    columns: tuple[KeyColumn, ...]

    def listed(self, of: str = "t") -> sql.Composed:
        """The columns of the row `of`, separated by commas."""
        return sql.SQL(", ").join(sql.Identifier(of, column.name) for column in self.columns)

    def text(self, of: str | None = "t") -> sql.Composed:
        """The key of the row `of` as an array of texts, as mig.preimages has it."""
        row = () if of is None else (of,)
        parts = [sql.SQL("{}::text").format(sql.Identifier(*row, column.name)) for column in self.columns]
        return sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(parts))

    def compared(self, comparison: str, values: list[str], of: str = "t") -> sql.Composed:
        """The row `of` comes before or after a key in its text form; `comparison` is < or > or <= or >=."""
        given = [
            sql.SQL("{}::{}").format(sql.Literal(value), verbatim(column.type))
            for column, value in zip(self.columns, values, strict=True)
        ]
        return sql.SQL("({}) {} ({})").format(self.listed(of), verbatim(comparison), sql.SQL(", ").join(given))


def key_of(run: Run, table: Relation, *, without: Collection[str] = ()) -> Key:
    """The primary key, or the shortest unique key of columns that are never NULL.

    A key with one of the columns `without` does not count, because those are about to change. Raises NoKey.
    """
    with spelled_out(run):
        found = run.one(
            """
            SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname,
                                         pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY k.n)
            FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
            JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
            CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
            LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
              AND m.amname = 'btree' AND k.n <= i.indnkeyatts
            GROUP BY i.indexrelid, i.indisprimary
            HAVING bool_and(k.attnum > 0 AND a.attnotnull AND a.attname <> ALL(%s))
            ORDER BY i.indisprimary DESC, count(*), i.indexrelid
            LIMIT 1
            """,
            [table.oid, list(without)],
        )
    if found is None:
        besides = f" without {', '.join(without)}" if without else ""
        raise NoKey(
            f"{table.label} has no primary key, nor a unique key of NOT NULL columns{besides}; "
            "give it one in a revision before"
        )
    return Key(columns=tuple(KeyColumn(name=name, type=type_) for name, type_ in found))


def through(run: Run, table: Relation, key: Key, batch: Batch, work: Callable[[sql.Composed], object]) -> Done:
    """Do a batch: `work` gets the condition over the row `t` that is true for the next rows and for no others."""
    start = key.compared(">", batch.after) if batch.after is not None else sql.SQL("true")
    page = run.execute(
        sql.SQL(
            """
            WITH page AS (SELECT {key} FROM {table} AS t WHERE {start} ORDER BY {key} LIMIT {rows})
            SELECT (SELECT pg_catalog.count(*) FROM page), {text} FROM page AS t ORDER BY {backwards} LIMIT 1
            """
        ).format(
            key=key.listed(),
            table=table.identifier,
            start=start,
            rows=sql.Literal(batch.rows),
            text=key.text(),
            backwards=sql.SQL(", ").join(
                sql.SQL("{} DESC").format(sql.Identifier("t", column.name)) for column in key.columns
            ),
        )
    )
    if not page:
        return Done(rows=0, last=None)
    [(rows, last)] = page
    work(sql.SQL("{} AND {}").format(start, key.compared("<=", last)))
    return Done(rows=rows, last=last if rows == batch.rows else None)
