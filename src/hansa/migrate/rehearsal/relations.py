"""The tables, indexes, sequences and views that exist before the revisions run: only they can keep anybody waiting."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import class_row

from hansa.migrate.session import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Something that can be locked."""

    oid: int
    kind: str
    """As in the catalog: r table, p partitioned table, i index, S sequence, v view, ..."""
    name: str
    """Qualified, and quoted where it must be."""
    table: str
    """The table of an index; else the same as `name`. Who plans a statement locks every index of its tables."""
    filenode: int
    """Number of its file; 0 when it has none. A rewrite gives it another."""


def relations_of(connection: Connection) -> Mapping[int, Relation]:
    """All relations outside of the system's schemas and the engine's own, by number."""
    rows = connection.cursor(row_factory=class_row(Relation)).execute("""
        SELECT c.oid::bigint AS oid, c.relkind::text AS kind,
               format('%I.%I', n.nspname, c.relname) AS name,
               format('%I.%I', coalesce(tn.nspname, n.nspname), coalesce(t.relname, c.relname)) AS table,
               c.relfilenode::bigint AS filenode
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
        LEFT JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
        LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'mig')
          AND c.relkind IN ('r', 'p', 'm', 'f', 'v', 'i', 'I', 'S')
    """)
    return {row.oid: row for row in rows}
