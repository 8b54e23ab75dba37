"""Pipes rows, sequences and materialized views from one database to another that has the same tables."""

from dataclasses import dataclass

from psycopg import sql
from psycopg.rows import class_row

from hansa.migrate.session import Connection

NOT_OF_THE_SYSTEM = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One table, partition or ledger table with rows of its own."""

    schema: str
    name: str
    columns: list[str]
    """Without generated ones."""
    binary: bool
    """Whether all its types have a binary form that means the same in another database."""

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def copy_rows(live: Connection, clone: Connection, *, with_ledger: bool) -> None:
    """Fill the empty tables of a copy from the snapshot that `live` holds. Raises psycopg.Error."""
    live.execute("SET LOCAL row_security = off")  # hidden rows must be an error, not a smaller copy
    for connection in (live, clone):
        connection.execute("SET client_encoding = 'UTF8'")
    tables = _tables(live, with_ledger=with_ledger)
    with clone.transaction():
        clone.execute("SET LOCAL session_replication_role = replica")
        undo = _silence(clone)
        if not with_ledger:  # the revisions that made the tables may also have filled them
            _empty(clone)
        for table in tables:
            _pipe(live, clone, table)
        _set_sequences(live, clone, with_ledger=with_ledger)
        for statement in undo:
            clone.execute(statement.encode())
    _refresh(live, clone)
    clone.execute("ANALYZE")


def _tables(live: Connection, *, with_ledger: bool) -> list[_Table]:
    cursor = live.cursor(row_factory=class_row(_Table)).execute(
        f"""
        SELECT n.nspname AS schema, c.relname AS name,
               coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''), '{{}}') AS columns,
               coalesce(bool_and(t.typsend <> 0 AND t.typname !~ '^_?reg'), true) AS binary
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        WHERE {NOT_OF_THE_SYSTEM} AND c.relkind = 'r' AND c.relpersistence <> 't' AND (%s OR n.nspname <> 'mig')
        GROUP BY n.nspname, c.relname
        ORDER BY n.nspname, c.relname
        """,
        [with_ledger],
    )
    return cursor.fetchall()


def _empty(clone: Connection) -> None:
    """Together, and partitioned tables too: a table that another one refers to is not emptied without it."""
    rows = clone.execute(f"""
        SELECT n.nspname, c.relname
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE {NOT_OF_THE_SYSTEM} AND n.nspname <> 'mig' AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    """).fetchall()
    if rows:
        names = sql.SQL(", ").join(sql.Identifier(*row) for row in rows)
        clone.execute(sql.SQL("TRUNCATE {}").format(names))


def _silence(clone: Connection) -> list[str]:
    """Take away, for this transaction, what would still speak: triggers that always fire, and constraints that hold
    for new rows alone, since to a copy the old rows are new. Returns the statements that bring them back.
    """
    rows = clone.execute(
        f"""
        SELECT format('ALTER TABLE %I.%I DISABLE TRIGGER %I', n.nspname, c.relname, t.tgname),
               format('ALTER TABLE %I.%I ENABLE %s TRIGGER %I', n.nspname, c.relname,
                      CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, t.tgname)
        FROM pg_catalog.pg_trigger AS t
        JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE {NOT_OF_THE_SYSTEM} AND t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal AND t.tgparentid = 0
        UNION ALL
        SELECT format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname),
               format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
                      pg_catalog.pg_get_constraintdef(k.oid))
        FROM pg_catalog.pg_constraint AS k
        JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE {NOT_OF_THE_SYSTEM} AND k.contype IN ('c', 'n') AND NOT k.convalidated AND k.coninhcount = 0
        """
    ).fetchall()
    for silence, _ in rows:
        clone.execute(silence.encode())
    return [undo for _, undo in rows]


def _pipe(live: Connection, clone: Connection, table: _Table) -> None:
    form = sql.SQL("(FORMAT binary)" if table.binary else "(FORMAT text)")
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    listed = sql.SQL("({})").format(columns) if table.columns else sql.SQL("")
    out = sql.SQL("COPY {} {} TO STDOUT {}").format(table.identifier, listed, form)
    into = sql.SQL("COPY {} {} FROM STDIN {}").format(table.identifier, listed, form)
    with live.cursor().copy(out) as source, clone.cursor().copy(into) as target:
        for block in source:
            target.write(block)


def _set_sequences(live: Connection, clone: Connection, *, with_ledger: bool) -> None:
    names = live.execute(
        f"""
        SELECT n.nspname, c.relname
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE {NOT_OF_THE_SYSTEM} AND c.relkind = 'S' AND (%s OR n.nspname <> 'mig')
        """,
        [with_ledger],
    ).fetchall()
    for schema, name in names:
        sequence = sql.Identifier(schema, name)
        row = live.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sequence)).fetchone()
        assert row is not None
        clone.execute("SELECT pg_catalog.setval(%s, %s, %s)", [sequence.as_string(clone), *row])


def _refresh(live: Connection, clone: Connection) -> None:
    """Fill the materialized views that are filled in the original; a view comes after those it is made of."""
    names = live.execute(
        f"""
        SELECT n.nspname, c.relname
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE {NOT_OF_THE_SYSTEM} AND c.relkind = 'm' AND c.relispopulated
        ORDER BY c.oid
        """
    ).fetchall()
    for name in names:
        clone.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*name)))
