"""One consistent look at a database, under settings that decide how PostgreSQL writes values and expressions down."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row

# Rows are unpacked by the statement's own columns, so the connection's own row type is open here.
Connection = psycopg.Connection[Any]

_SETTINGS = {
    "search_path": "pg_catalog, pg_temp",  # every other name is written with its schema; temporary tables hide nothing
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "row_security": "off",  # a row that a policy would hide is an error, not a row less
}


@contextmanager
def reading(connection: Connection) -> Generator[psycopg.Cursor[TupleRow]]:
    """A cursor whose answers do not depend on the settings of the session; the session keeps its own.

    Outside of a transaction everything is read at one instant, and nothing can be written; inside of one it is the
    caller who decided about that.
    """
    outside = connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction(force_rollback=True), connection.cursor(row_factory=tuple_row) as cursor:
        if outside:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(
            "SELECT pg_catalog.set_config(name, value, true) "
            "FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) AS s (name, value)",
            [list(_SETTINGS), list(_SETTINGS.values())],
        )
        yield cursor


def schemas_to_read(cursor: psycopg.Cursor[TupleRow], names: list[str] | None) -> list[int]:
    """Numbers of the named schemas that exist; without names, of all but the system's and the engine's own."""
    cursor.execute(
        """
        SELECT oid::bigint
        FROM pg_namespace
        WHERE CASE WHEN %(names)s::text[] IS NULL
              THEN nspname <> ALL (ARRAY['information_schema', 'mig']) AND NOT starts_with(nspname, 'pg_')
              ELSE nspname = ANY (%(names)s::text[]) END
        """,
        {"names": names},
    )
    return [int(oid) for (oid,) in cursor.fetchall()]
