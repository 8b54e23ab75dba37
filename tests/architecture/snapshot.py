"""A database's shape as a set of lines, equal when two databases have the same schemas, whatever the columns' order."""

from __future__ import annotations

from psycopg.rows import scalar_row

from architecture.catalog import OURS, Connection

SHAPE = """
WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY (%(ours)s)),
     relation AS (SELECT c.*, n.nspname FROM pg_class AS c JOIN ours AS n ON n.oid = c.relnamespace)
SELECT format('%%s %%s.%%s owner %%s rls %%s %%s %%s grants %%s comment %%s', relkind, nspname, relname, relowner::regrole,
              relrowsecurity, relforcerowsecurity, reloptions, relacl, obj_description(oid, 'pg_class'))
  FROM relation
 UNION ALL
SELECT format('column %%s.%%s.%%s %%s not null %%s default %%s %%s %%s grants %%s comment %%s', r.nspname, r.relname, a.attname,
              format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity,
              a.attgenerated, a.attacl, col_description(r.oid, a.attnum))
  FROM relation AS r
  JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
 WHERE r.relkind IN ('r', 'p', 'v', 'm')
 UNION ALL
SELECT format('constraint %%s on %%s.%%s %%s validated %%s comment %%s', k.conname, r.nspname, r.relname,
              pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid, 'pg_constraint'))
  FROM pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
 UNION ALL
SELECT format('%%s', pg_get_indexdef(r.oid)) FROM relation AS r WHERE r.relkind IN ('i', 'I')
 UNION ALL
SELECT format('view %%s.%%s %%s', r.nspname, r.relname, pg_get_viewdef(r.oid)) FROM relation AS r WHERE r.relkind IN ('v', 'm')
 UNION ALL
SELECT format('%%s %%s', pg_get_triggerdef(g.oid), g.tgenabled)
  FROM pg_trigger AS g JOIN relation AS r ON r.oid = g.tgrelid
 WHERE NOT g.tgisinternal
 UNION ALL
SELECT format('%%s owner %%s grants %%s comment %%s', pg_get_functiondef(p.oid), p.proowner::regrole, p.proacl,
              obj_description(p.oid, 'pg_proc'))
  FROM pg_proc AS p JOIN ours AS n ON n.oid = p.pronamespace
 WHERE p.prokind IN ('f', 'p')
 UNION ALL
SELECT format('type %%s.%%s %%s %%s comment %%s', n.nspname, t.typname, t.typtype,
              (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid),
              obj_description(t.oid, 'pg_type'))
  FROM pg_type AS t JOIN ours AS n ON n.oid = t.typnamespace
 UNION ALL
SELECT format('policy %%s', policy) FROM pg_policies AS policy WHERE policy.schemaname = ANY (%(ours)s)
 UNION ALL
SELECT format('schema %%s grants %%s comment %%s', nspname, nspacl, obj_description(n.oid, 'pg_namespace'))
  FROM pg_namespace AS n WHERE nspname = ANY (%(ours)s)
"""


def snapshot(connection: Connection) -> set[str]:
    """Tables, columns, constraints, indexes, views, triggers, routines, types, policies, grants and comments."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return set(cursor.execute(SHAPE, {"ours": OURS}).fetchall())
