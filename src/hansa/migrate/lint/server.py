"""Reads from a server what `schema` otherwise concludes from statements: what is really there, whoever made it."""

import re
from collections.abc import Sequence

from psycopg.rows import TupleRow

from hansa.migrate.lint.ddl import Name, ObjectKind
from hansa.migrate.lint.schema import Facts, Object, Schema
from hansa.migrate.session import Connection

_OURS = "n.nspname <> 'information_schema' AND n.nspname <> 'mig' AND n.nspname NOT LIKE 'pg\\_%'"

_TABLES = f"""
  SELECT n.nspname, c.relname, c.relkind IN ('v', 'm')
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {_OURS}
"""
_COLUMNS = f"""
  SELECT n.nspname, c.relname, a.attname, a.attnotnull, a.attgenerated <> ''
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND {_OURS}
"""
# NOT NULL is a constraint of its own since PostgreSQL 18; here it is a fact of its column.
_CONSTRAINTS = f"""
  SELECT n.nspname, c.relname, k.conname, k.convalidated, pg_catalog.pg_get_constraintdef(k.oid), columns.names
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (
    SELECT coalesce(pg_catalog.array_agg(a.attname::text), '{{}}') AS names
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
  ) AS columns
  WHERE k.contype IN ('c', 'u', 'p', 'f', 'x') AND {_OURS}
"""
_INDEXES = f"""
  SELECT n.nspname, i.relname, c.relname, x.indisunique, keys.texts, columns.names
  FROM pg_catalog.pg_index AS x
  JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
  JOIN pg_catalog.pg_class AS c ON c.oid = x.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(pg_catalog.pg_get_indexdef(x.indexrelid, position, true) ORDER BY position) AS texts
    FROM pg_catalog.generate_series(1, x.indnkeyatts) AS position
  ) AS keys
  CROSS JOIN LATERAL (
    SELECT coalesce(pg_catalog.array_agg(a.attname::text), '{{}}') AS names
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = x.indrelid AND (
      a.attnum = ANY (x.indkey::smallint[])
      OR EXISTS (  -- those inside expressions and the WHERE of a partial index
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = x.indexrelid
          AND d.refobjid = x.indrelid AND d.refobjsubid = a.attnum
      )
    ) AND a.attnum > 0
  ) AS columns
  WHERE c.relkind IN ('r', 'p', 'm') AND {_OURS}
"""
# Composite types of tables and array types come and go with what they are of; so do sequences of identity columns.
_OTHERS = f"""
  SELECT 'schema', '', n.nspname, ''
  FROM pg_catalog.pg_namespace AS n
  WHERE {_OURS}
  UNION ALL
  SELECT 'extension', '', e.extname, ''
  FROM pg_catalog.pg_extension AS e
  UNION ALL
  SELECT 'type', n.nspname, t.typname, ''
  FROM pg_catalog.pg_type AS t
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
  WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND {_OURS}
  UNION ALL
  SELECT 'sequence', n.nspname, c.relname, ''
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND {_OURS}
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
  UNION ALL
  SELECT 'trigger', n.nspname, c.relname, t.tgname
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE NOT t.tgisinternal AND {_OURS}
  UNION ALL
  SELECT 'policy', n.nspname, c.relname, p.polname
  FROM pg_catalog.pg_policy AS p
  JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE {_OURS}
"""
_ROUTINES = f"""
  SELECT n.nspname, p.proname, p.provolatile = 'v'
  FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE {_OURS}
"""
_NOT_NULL = re.compile(r'("(?:[^"]|"")+"|\w+) IS NOT NULL')


def read(connection: Connection) -> Schema:
    """Everything in the database but what is PostgreSQL's own or the engine's."""
    rows = _Rows(connection)
    objects: dict[Object, Facts] = {}
    for schema, table, view in rows.of(_TABLES):
        kind = ObjectKind.VIEW if view else ObjectKind.TABLE
        objects[Object(kind=kind, name=Name(schema=schema, name=table))] = Facts()
    for schema, table, column, not_null, generated in rows.of(_COLUMNS):
        key = Object(kind=ObjectKind.COLUMN, name=Name(schema=schema, name=table), part=column)
        objects[key] = Facts(not_null=not_null, generated=generated)
    for schema, table, constraint, validated, text, columns in rows.of(_CONSTRAINTS):
        key = Object(kind=ObjectKind.CONSTRAINT, name=Name(schema=schema, name=table), part=constraint)
        objects[key] = Facts(columns=frozenset(columns), proves_not_null=_proven(text), validated=validated)
    for schema, index, table, unique, keys, columns in rows.of(_INDEXES):
        objects[Object(kind=ObjectKind.INDEX, name=Name(schema=schema, name=index))] = Facts(
            table=Name(schema=schema, name=table), keys=tuple(keys), columns=frozenset(columns), unique=unique
        )
    for kind, schema, name, part in rows.of(_OTHERS):
        objects[Object(kind=ObjectKind(kind), name=Name(schema=schema, name=name), part=part)] = Facts()
    for schema, routine, volatile in rows.of(_ROUTINES):
        key = Object(kind=ObjectKind.ROUTINE, name=Name(schema=schema, name=routine))
        objects[key] = Facts(volatile=volatile)
    return Schema(objects)


class _Rows:
    """Asks a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def of(self, query: str) -> Sequence[TupleRow]:
        return self.connection.execute(query.encode()).fetchall()


def _proven(definition: str) -> frozenset[str]:
    """Columns that a CHECK keeps from being NULL, from its deparsed text."""
    if " OR " in definition:
        return frozenset()
    return frozenset(
        name[1:-1].replace('""', '"') if name.startswith('"') else name for name in _NOT_NULL.findall(definition)
    )
