"""The relations of a live database that a lock is on, and how much they hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from hansa.migrate.locking.lock import Lock, Reach
from hansa.migrate.session import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table, index, view or sequence."""

    oid: int
    name: str
    """Qualified, quoted where it must be."""
    rows: int
    """As PostgreSQL estimates them, with those of its partitions; of an index those of its table."""
    size_bytes: int
    """Without indexes, with its partitions; of an index that of its table."""

    @property
    def holds_rows(self) -> bool:
        """Also before the first ANALYZE, when there is no estimate yet."""
        return self.size_bytes > 0


_REACHED: Mapping[Reach, LiteralString] = {
    Reach.ITSELF: "SELECT pg_catalog.to_regclass(%(name)s)",
    Reach.ITS_TABLE: "SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass(%(name)s)",
    Reach.ITS_INDEXES: "SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = pg_catalog.to_regclass(%(name)s)",
    Reach.REFERENCED: """
      SELECT confrelid FROM pg_catalog.pg_constraint
      WHERE contype = 'f' AND conrelid = pg_catalog.to_regclass(%(name)s)
        AND (%(part)s = '' OR conname = %(part)s
             OR EXISTS (SELECT FROM pg_catalog.pg_attribute
                        WHERE attrelid = conrelid AND attnum = ANY (conkey) AND attname = %(part)s))
    """,
    Reach.REFERENCING: """
      WITH RECURSIVE referencing AS (
        SELECT conrelid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = pg_catalog.to_regclass(%(name)s)
        UNION
        SELECT c.conrelid
        FROM referencing AS r
        JOIN pg_catalog.pg_constraint AS c ON c.confrelid = r.conrelid AND c.contype = 'f'
      )
      SELECT conrelid FROM referencing
    """,
    Reach.PARENT: """
      SELECT unnest(ARRAY[i.inhparent, p.partdefid])
      FROM pg_catalog.pg_inherits AS i
      JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = i.inhparent
      WHERE i.inhrelid = pg_catalog.to_regclass(%(name)s)
    """,
    Reach.DEFAULT_PARTITION: """
      SELECT partdefid FROM pg_catalog.pg_partitioned_table WHERE partrelid = pg_catalog.to_regclass(%(name)s)
    """,
    Reach.SEQUENCES: """
      SELECT d.objid
      FROM pg_catalog.pg_depend AS d
      JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = d.objid
      WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = pg_catalog.to_regclass(%(name)s) AND d.refobjsubid > 0
    """,
    Reach.COLUMNS_OF_IT: """
      SELECT a.attrelid
      FROM pg_catalog.pg_attribute AS a
      JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm')
      WHERE a.atttypid = pg_catalog.to_regtype(%(name)s) AND NOT a.attisdropped
    """,
}
_FACTS: LiteralString = """
  SELECT c.oid::bigint AS oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
         greatest(parts.rows, 0)::bigint AS rows, coalesce(parts.bytes, 0)::bigint AS size_bytes
  FROM ({}) AS reached (oid)
  JOIN pg_catalog.pg_class AS c ON c.oid = reached.oid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
  CROSS JOIN LATERAL (
    SELECT sum(part.reltuples) AS rows, sum(pg_catalog.pg_relation_size(part.oid)) AS bytes
    FROM (SELECT coalesce(i.indrelid, c.oid)
          UNION SELECT relid FROM pg_catalog.pg_partition_tree(coalesce(i.indrelid, c.oid))) AS tree (oid)
    JOIN pg_catalog.pg_class AS part ON part.oid = tree.oid AND part.relkind IN ('r', 'm')
  ) AS parts
  ORDER BY 2
"""


class Relations:
    """Finds relations by the search path of a connection; each is looked up once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[tuple[str, Reach, str], tuple[Relation, ...]] = {}

    def of(self, lock: Lock) -> tuple[Relation, ...]:
        """What there is of the relations that a lock is on."""
        if not lock.relation:
            return ()
        key = (lock.relation, lock.reach, lock.part)
        if key not in self._found:
            query = _FACTS.format(_REACHED[lock.reach])
            cursor = self._connection.cursor(row_factory=class_row(Relation))
            self._found[key] = tuple(cursor.execute(query, {"name": lock.relation, "part": lock.part}))
        return self._found[key]
