"""Replaces the value of a column in some rows and remembers what was there, so that it can be put back.

The old value is read, replaced and remembered in one statement on the locked row: whatever clients do meanwhile, no row
is changed that is not remembered, and none is remembered that was not changed.
"""

from psycopg import sql

from hansa.migrate.online.backfill import Key, through
from hansa.migrate.online.operation import Batch, Done, Run
from hansa.migrate.online.relations import pin, verbatim
from hansa.migrate.online.tables import Column, Table


def replace(
    run: Run, table: Table, key: Key, batch: Batch, *, column: Column, where: sql.Composable, value: sql.Composable
) -> Done:
    """Give the column of the next rows `t` for which `where` holds the value, and remember the old one.

    To be called in the transaction of a batch, after `pin`.
    """
    return through(run, table.relation, key, batch, lambda span: _replace(run, table, key, span, column, where, value))


def put_back(run: Run, table: Table, key: Key, batch: Batch, *, column: Column, silent: bool) -> Done:
    """Put the next remembered values back and forget them; a row that was changed since keeps what it has."""
    pin(run, silent=silent)
    parts = [
        sql.SQL("{} = p.key[{}]::{}").format(sql.Identifier("t", part.name), sql.Literal(n), verbatim(part.type))
        for n, part in enumerate(key.columns, start=1)
    ]
    rows = run.one(
        sql.SQL("""
          WITH page AS MATERIALIZED (
            SELECT p.key, p.original, p.converted FROM mig.preimages AS p
            WHERE p.revision = {revision} AND p.operation = {number} ORDER BY p.key LIMIT {rows}
          ), back AS (
            UPDATE {table} AS t SET {name} = p.original::{type}
            FROM page AS p
            WHERE {same} AND t.{name}::text IS NOT DISTINCT FROM p.converted
          ), gone AS (
            DELETE FROM mig.preimages AS p USING page
            WHERE p.revision = {revision} AND p.operation = {number} AND p.key = page.key
          )
          SELECT pg_catalog.count(*) FROM page
        """).format(
            revision=sql.Literal(run.revision),
            number=sql.Literal(run.number),
            rows=sql.Literal(batch.rows),
            table=table.identifier,
            name=column.identifier,
            type=verbatim(column.type),
            same=sql.SQL(" AND ").join(parts),
        )
    )
    return Done(rows=rows, last=[] if rows == batch.rows else None)


def _replace(
    run: Run,
    table: Table,
    key: Key,
    span: sql.Composed,
    column: Column,
    where: sql.Composable,
    value: sql.Composable,
) -> None:
    run.execute(
        sql.SQL("""
          WITH old AS MATERIALIZED (
            SELECT {key}, {text} AS "~key", t.{name}::text AS "~original"
            FROM {table} AS t WHERE {span} AND {where} FOR UPDATE
          ), changed AS (
            UPDATE {table} AS t SET {name} = {value} FROM old WHERE ({key}) = ({old_key})
            RETURNING old."~key" AS key, old."~original" AS original, t.{name}::text AS converted
          )
          INSERT INTO mig.preimages (revision, operation, key, original, converted)
          SELECT {revision}, {number}, key, original, converted FROM changed
          ON CONFLICT DO NOTHING
        """).format(
            key=key.listed("t"),
            old_key=key.listed("old"),
            text=key.text("t"),
            name=column.identifier,
            table=table.identifier,
            span=span,
            where=where,
            value=value,
            revision=sql.Literal(run.revision),
            number=sql.Literal(run.number),
        )
    )
