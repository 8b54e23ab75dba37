"""Which object is which, whatever it is called by now: PostgreSQL's own numbers survive a rename.

They also survive a copy by CREATE DATABASE ... TEMPLATE, so an object can be followed from one database to the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hansa.migrate.catalog.reading import reading
from hansa.migrate.session import Connection

Identity = tuple[str, int, int]
"""Catalog, number in it, and number of the column."""

_IDENTITIES = """
  SELECT 'pg_namespace', oid::bigint, 0, 'schema ' || oid::regnamespace, quote_ident(nspname), ''
  FROM pg_namespace
  UNION ALL
  SELECT 'pg_class', c.oid::bigint, 0,
         CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'f' THEN 'foreign table '
                        WHEN 'S' THEN 'sequence ' WHEN 'i' THEN 'index ' WHEN 'I' THEN 'index ' ELSE 'table ' END
           || c.oid::regclass, quote_ident(c.relname), c.relnamespace::regnamespace::text
  FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'i', 'I')
  UNION ALL
  SELECT 'pg_class', a.attrelid::bigint, a.attnum, 'column ' || a.attrelid::regclass || '.' || quote_ident(a.attname),
         quote_ident(a.attname), ''
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f')
  WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'pg_constraint', oid::bigint, 0,
         'constraint ' || quote_ident(conname) || ' on '
           || CASE WHEN conrelid <> 0 THEN conrelid::regclass::text ELSE contypid::regtype::text END,
         quote_ident(conname), ''
  FROM pg_constraint WHERE contype IN ('c', 'f', 'p', 'u', 'x')
  UNION ALL
  SELECT 'pg_trigger', oid::bigint, 0, 'trigger ' || quote_ident(tgname) || ' on ' || tgrelid::regclass,
         quote_ident(tgname), ''
  FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL
  SELECT 'pg_rewrite', oid::bigint, 0, 'rule ' || quote_ident(rulename) || ' on ' || ev_class::regclass,
         quote_ident(rulename), ''
  FROM pg_rewrite WHERE rulename <> '_RETURN'
  UNION ALL
  SELECT 'pg_policy', oid::bigint, 0, 'policy ' || quote_ident(polname) || ' on ' || polrelid::regclass,
         quote_ident(polname), ''
  FROM pg_policy
  UNION ALL
  SELECT 'pg_type', t.oid::bigint, 0,
         CASE t.typtype WHEN 'e' THEN 'enum ' WHEN 'd' THEN 'domain ' WHEN 'r' THEN 'range ' ELSE 'type ' END
           || t.oid::regtype, quote_ident(t.typname), t.typnamespace::regnamespace::text
  FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
  WHERE t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c'
  UNION ALL
  SELECT 'pg_enum', e.oid::bigint, 0, 'label ' || quote_literal(e.enumlabel) || ' of ' || e.enumtypid::regtype,
         quote_literal(e.enumlabel), ''
  FROM pg_enum AS e
  UNION ALL
  SELECT 'pg_proc', p.oid::bigint, 0,
         CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END || p.oid::regprocedure,
         quote_ident(p.proname), p.pronamespace::regnamespace::text
  FROM pg_proc AS p WHERE p.oid >= 16384
  UNION ALL
  SELECT 'pg_statistic_ext', s.oid::bigint, 0, 'statistics ' || s.stxnamespace::regnamespace || '.' || quote_ident(s.stxname),
         quote_ident(s.stxname), s.stxnamespace::regnamespace::text
  FROM pg_statistic_ext AS s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What an object is called."""

    whole: str
    """Its name in a snapshot."""
    own: str
    """Its name alone, quoted where it must be."""
    schema: str
    """Empty for what is in no schema, or in that of its table."""


def identities(connection: Connection) -> Mapping[Identity, Called]:
    """Everything that can be renamed, in schemas of the system too."""
    with reading(connection) as cursor:
        cursor.execute(_IDENTITIES)
        return {
            (catalog, number, part): Called(whole=whole, own=own, schema=schema)
            for catalog, number, part, whole, own, schema in cursor.fetchall()
        }
