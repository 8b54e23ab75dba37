"""What is in the tables, as one number for each: equal data gives equal numbers, in whatever order it lies.

Each row is hashed with its columns in the order of their names. The hash of a row adds up the hashes of its values,
so it is hashed once more before the rows are added up: otherwise two rows could exchange a value unnoticed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from hansa.migrate.catalog.reading import Connection, reading, schemas_to_read


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDigest:
    """The content of a table."""

    rows: int
    digest: str
    """Hexadecimal; independent of the order of rows and columns."""


# A table stands for its partitions; where one of them lies on another server, the others stand for themselves.
# Equal values have equal hashes, but equal is not always the same (1.0 and 1.00, a day and 24 hours), the hash of an
# array does not know its dimensions, and that of an enum is the number its label happens to have in this database.
# So only types whose equal values are identical are hashed as they are, and all others by their text.
_TABLES = """
  SELECT c.oid::regclass::text, n.nspname, c.relname,
         ARRAY(SELECT ARRAY[part.nspname, part.relname]
               FROM (SELECT pn.nspname, pc.relname, pc.relkind, bool_or(pc.relkind = 'f') OVER () AS elsewhere
                     FROM pg_partition_tree(c.oid) AS tree
                     JOIN pg_class AS pc ON pc.oid = tree.relid
                     JOIN pg_namespace AS pn ON pn.oid = pc.relnamespace
                     WHERE tree.isleaf AND c.relkind = 'p') AS part
               WHERE part.elsewhere AND part.relkind = 'r')::text[],
         c.relkind = 'p',
         ARRAY(SELECT a.attname
               FROM pg_attribute AS a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               ORDER BY a.attname COLLATE "C")::text[],
         ARRAY(SELECT a.atttypid = ANY ('{bool,int2,int4,int8,bytea,date,time,timestamp,timestamptz,uuid}'::regtype[])
                 OR (a.atttypid = 'numeric'::regtype AND a.atttypmod >= 0)
                 OR (a.atttypid = ANY ('{text,varchar}'::regtype[]) AND l.collisdeterministic)
               FROM pg_attribute AS a
               LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               ORDER BY a.attname COLLATE "C")
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relnamespace = ANY (%s::oid[]) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    name: str
    sources: tuple[sql.Composable, ...]
    values: sql.Composable


def table_digests(
    connection: Connection, *, schemas: Sequence[str] | None = None, exclude: Collection[str] = ()
) -> Mapping[str, TableDigest]:
    """The digest of each table by its name, `schema.table`, without those excluded and without foreign tables.

    Every row must be visible: a role that row-level security would restrict is refused by PostgreSQL. For digests
    that belong together call it in one transaction, or outside of any: then all are of one instant.
    """
    with reading(connection) as cursor:
        tables = [table for table in _tables(cursor, schemas) if table.name not in exclude]
        return {table.name: _digest(cursor, table) for table in tables}


def changed_tables(before: Mapping[str, TableDigest], after: Mapping[str, TableDigest]) -> tuple[str, ...]:
    """The tables whose content is not the same, and those that are only in one of both."""
    return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))


def _tables(cursor: psycopg.Cursor[TupleRow], schemas: Sequence[str] | None) -> Iterator[_Table]:
    cursor.execute(_TABLES, [schemas_to_read(cursor, None if schemas is None else list(schemas))])
    for name, schema, table, parts, partitioned, columns, identical in cursor.fetchall():
        whole = (
            sql.Identifier(schema, table) if partitioned else sql.SQL("ONLY {}").format(sql.Identifier(schema, table))
        )
        values = [
            sql.Identifier(column) if as_it_is else sql.SQL("{}::text").format(sql.Identifier(column))
            for column, as_it_is in zip(columns, identical, strict=True)
        ]
        yield _Table(
            name=name,
            sources=tuple(sql.Identifier(*part) for part in parts) or (whole,),
            values=sql.SQL(", ").join(values),
        )


def _digest(cursor: psycopg.Cursor[TupleRow], table: _Table) -> TableDigest:
    rows, total = 0, 0
    for source in table.sources:
        cursor.execute(
            sql.SQL("""
              SELECT count(*), coalesce(sum(hashtextextended(hash_record_extended(ROW({}), 0)::text, 0)::numeric), 0)
              FROM {}
            """).format(table.values, source)
        )
        for count, subtotal in cursor.fetchall():
            rows, total = rows + int(count), total + int(subtotal)
    return TableDigest(rows=rows, digest=f"{total % 2**128:032x}")
