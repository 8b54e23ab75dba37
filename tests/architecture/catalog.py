"""What PostgreSQL says about itself: the catalog of Hansa's schemas as rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row, scalar_row

from hansa.entry.contexts import ORDER

Connection = psycopg.Connection[Any]

OURS = ["ops", *ORDER]
"""Schemas whose shape is ours, low to high. `jobs` belongs to procrastinate and `mig` to the migration engine."""
LEVEL = {"mig": -1, "jobs": -1, **{schema: level for level, schema in enumerate(OURS)}}
"""Each schema may point to those of its own level and below."""

LITERAL_OR_COMMENT = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
QUALIFIED = rf"({'|'.join(LEVEL)})\.(\w+)"
WRITE = re.compile(
    rf"\b(?:INSERT\s+INTO|UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?)\s+{QUALIFIED}",
    re.IGNORECASE,
)
MENTION = re.compile(rf"(?<![\w.]){QUALIFIED}")
RAISED = re.compile(r"CONSTRAINT\s*=\s*'(\w+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routine:
    """A function or procedure, and what its body names."""

    name: str
    body: str
    """Without comments and with empty strings."""
    definer: bool
    settings: list[str]
    comment: str | None
    raises: frozenset[str]
    mentions: frozenset[str] = field(init=False)
    writes: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mentions", mentions(self.body))
        object.__setattr__(self, "writes", frozenset(".".join(found) for found in WRITE.findall(self.body)))

    @property
    def schema(self) -> str:
        return self.name.partition(".")[0]


def mentions(text: str) -> frozenset[str]:
    """All `schema.name` in a text of SQL."""
    return frozenset(".".join(found) for found in MENTION.findall(text))


def bare(text: str) -> str:
    """SQL without comments and with empty strings."""
    return LITERAL_OR_COMMENT.sub(lambda found: "''" if found[0].startswith("'") else " ", text)


def rows(connection: Connection, query: LiteralString) -> list[dict[str, Any]]:
    """Rows of a catalog query in which `ours` is the list of our schemas."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, {"ours": OURS}).fetchall()


def names(connection: Connection, query: LiteralString) -> list[str]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query, {"ours": OURS}).fetchall()


def relations(connection: Connection) -> dict[str, dict[str, Any]]:
    """Tables, views and materialized views by name; a partition is a part of its table, so it is not listed."""
    found = rows(
        connection,
        """
        SELECT c.oid::regclass::text AS oid_name, n.nspname || '.' || c.relname AS name, n.nspname AS schema,
               c.relkind::text AS kind, c.relrowsecurity AS rls, c.relforcerowsecurity AS forced,
               c.reloptions AS options, obj_description(c.oid, 'pg_class') AS comment,
               ARRAY(SELECT a.attname::text FROM pg_attribute AS a
                      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
               EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid) AS has_policies
          FROM pg_class AS c
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = ANY (%(ours)s)
           AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND NOT c.relispartition
         ORDER BY name
        """,
    )
    return {row["name"]: row for row in found}


def tables(connection: Connection) -> list[str]:
    return [name for name, row in relations(connection).items() if row["kind"] in "rpf"]


def routines(connection: Connection) -> list[Routine]:
    """All functions and procedures in our schemas; two of one name are two rows. An aggregate has no body."""
    found = rows(
        connection,
        """
        SELECT n.nspname || '.' || p.proname AS name,
               coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) AS source,
               p.prosecdef AS definer, coalesce(p.proconfig, '{}') AS settings,
               obj_description(p.oid, 'pg_proc') AS comment
          FROM pg_proc AS p
          JOIN pg_namespace AS n ON n.oid = p.pronamespace
         WHERE n.nspname = ANY (%(ours)s)
           AND p.prokind IN ('f', 'p')
         ORDER BY name, p.oid
        """,
    )
    return [
        Routine(
            name=row["name"],
            body=bare(row["source"]),
            definer=row["definer"],
            settings=row["settings"],
            comment=row["comment"],
            raises=frozenset(RAISED.findall(row["source"])),
        )
        for row in found
    ]


def enums(connection: Connection) -> dict[str, list[str]]:
    """Closed set -> its labels in the order of the alphabet."""
    found = rows(
        connection,
        """
        SELECT n.nspname || '.' || t.typname AS name,
               array_agg(e.enumlabel::text ORDER BY e.enumlabel::text COLLATE "C") AS labels
          FROM pg_type AS t
          JOIN pg_namespace AS n ON n.oid = t.typnamespace
          JOIN pg_enum AS e ON e.enumtypid = t.oid
         WHERE n.nspname = ANY (%(ours)s)
         GROUP BY n.nspname, t.typname
        """,
    )
    return {row["name"]: row["labels"] for row in found}


def view_reads(connection: Connection) -> dict[str, set[str]]:
    """View -> the tables and views that it reads directly."""
    found = rows(
        connection,
        """
        SELECT DISTINCT vn.nspname || '.' || v.relname AS view, tn.nspname || '.' || t.relname AS relation
          FROM pg_rewrite AS rule
          JOIN pg_class AS v ON v.oid = rule.ev_class
          JOIN pg_namespace AS vn ON vn.oid = v.relnamespace
          JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
                             AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
          JOIN pg_class AS t ON t.oid = d.refobjid
          JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
         WHERE vn.nspname = ANY (%(ours)s)
        """,
    )
    reads: dict[str, set[str]] = {}
    for row in found:
        reads.setdefault(row["view"], set()).add(row["relation"])
    return reads


def triggers(connection: Connection) -> dict[str, set[str]]:
    """Table -> the routines that its triggers run."""
    found = rows(
        connection,
        """
        SELECT DISTINCT tn.nspname || '.' || t.relname AS relation, fn.nspname || '.' || f.proname AS routine
          FROM pg_trigger AS g
          JOIN pg_class AS t ON t.oid = g.tgrelid
          JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
          JOIN pg_proc AS f ON f.oid = g.tgfoid
          JOIN pg_namespace AS fn ON fn.oid = f.pronamespace
         WHERE tn.nspname = ANY (%(ours)s)
           AND NOT g.tgisinternal
        """,
    )
    runs: dict[str, set[str]] = {}
    for row in found:
        runs.setdefault(row["relation"], set()).add(row["routine"])
    return runs


def partitions(connection: Connection) -> dict[str, str]:
    """Partition -> its table."""
    found = rows(
        connection,
        """
        SELECT n.nspname || '.' || c.relname AS part,
               (SELECT rn.nspname || '.' || r.relname
                  FROM pg_class AS r
                  JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
                 WHERE r.oid = pg_partition_root(c.oid)) AS whole
          FROM pg_class AS c
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = ANY (%(ours)s)
           AND c.relispartition
        """,
    )
    return {row["part"]: row["whole"] for row in found}


def policies(connection: Connection) -> dict[str, str]:
    """`schema.table policy` -> its conditions."""
    found = rows(
        connection,
        """
        SELECT schemaname || '.' || tablename || ' ' || policyname AS name, concat_ws(' ', qual, with_check) AS text
          FROM pg_policies
         WHERE schemaname = ANY (%(ours)s)
        """,
    )
    return {row["name"]: bare(row["text"]) for row in found}
