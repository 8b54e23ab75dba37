"""What `hansa demo migrate` asks the old database: what is dirty in it, who has power, and what every row holds.

What a status means is said here once more, in words of the old application and not by the map that is on trial: a map
that gives power back, or that would send a transaction again, is found out by these questions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from hansa.migrate.online.kinds.convert_to_enum import ConvertToEnum

Connection = psycopg.Connection[Any]
Ids = frozenset[str]
Key = tuple[str | int | None, ...]
Contents = Mapping[str, Mapping[str, int]]
"""A hash of every row, by table and id."""
SPACE = " \t\n\r\f\v"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dirt:
    """A column with texts that are no label of the type it shall have."""

    column: str
    rows: int
    spellings: tuple[str, ...]
    """The most frequent ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a status says about a row, in whatever spelling."""

    table: str
    label: str
    """The one status of the new type that says it."""
    words: tuple[str, ...]
    """Old words that say it, in lower case and without spaces around them."""
    key: tuple[str, ...] = ("id",)
    """What it is said about: a row, or several rows that stand for the same thing."""

    def holders(self, connection: Connection, *, old: bool, without: Collection[str] = ()) -> frozenset[Key]:
        """Keys of which it is said; rows with the ids `without` are not asked."""
        rows = connection.execute(
            sql.SQL(
                """
                SELECT {key} FROM {table}
                 WHERE lower(btrim("status"::text, {space})) = ANY ({words}) AND "id" <> ALL ({without})
                """
            ).format(
                key=sql.SQL(", ").join(map(sql.Identifier, self.key)),
                table=sql.Identifier(self.table),
                space=sql.Literal(SPACE),
                words=sql.Literal(list(self.words if old else (self.label,))),
                without=sql.SQL("{}::text[]").format(sql.Literal(list(without))),
            )
        )
        return frozenset(rows.fetchall())


POWER = Meaning(table="role_agents", label="active", words=("active",))
"""Only an active agent may act."""
UNSENT = Meaning(table="blockchain_transactions", label="pending", words=("pending", "submitted"))
"""What is pending is sent, and paid, by the next worker that looks."""
IN_FORCE = Meaning(
    table="mcp_policies", label="active", words=("active", "published"), key=("organizationId", "name", "version")
)
"""A version of a policy that is in force; there may be several rows of it."""


def dirt_of(connection: Connection, conversions: Sequence[ConvertToEnum]) -> tuple[Dirt, ...]:
    """What the columns that are to be converted hold beside the labels of their types."""
    found: list[Dirt] = []
    for conversion in conversions:
        schema, _, table = conversion.table.partition(".")
        column = sql.Identifier(conversion.column)
        texts: list[tuple[str, int]] = connection.execute(
            sql.SQL("SELECT text, count(*) FROM (SELECT unnest(ARRAY[{}]::text[]) AS text FROM {}) AS t").format(
                column, sql.Identifier(schema, table)
            )
            + sql.SQL(" WHERE text <> ALL ({}) GROUP BY 1 ORDER BY 2 DESC, 1").format(
                sql.Literal(list(set(conversion.map.values.values())))
            )
        ).fetchall()
        rows = sum(count for _, count in texts)
        found.append(Dirt(column=f"{table}.{conversion.column}", rows=rows, spellings=tuple(text for text, _ in texts)))
    return tuple(found)


IN_THE_WAY: Mapping[str, str] = {
    "earlier votes of the same reviewer on the same facet": """
        SELECT count(*) - count(DISTINCT ("artifactId", "artifactType", "reviewerId", "facet")) FROM "approvals"
    """,
    "further rows of the same version of a policy": """
        SELECT count(*) - count(DISTINCT ("organizationId", "name", "version")) FROM "mcp_policies"
    """,
    "tests of policies that do not exist": """
        SELECT count(*) FROM "mcp_policy_tests" AS t
         WHERE NOT EXISTS (SELECT FROM "mcp_policies" AS p WHERE p."id" = t."policyId")
    """,
    "quorums that say nothing about facets": """
        SELECT count(*) FROM "loa_policies" WHERE "requiredFacets" IS NULL
    """,
}
"""What the keys and references of the plan would stumble over."""


def in_the_way(connection: Connection) -> dict[str, int]:
    return {what: int(one(connection, query)) for what, query in IN_THE_WAY.items()}


def contents(connection: Connection, *, without: str | None = None) -> Contents:
    """A hash of every row, whatever the order of its columns; one column can be left out."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    query = 'SELECT "id", hashtextextended((to_jsonb(t) - {without}::text[])::text, 0) FROM {table} AS t'
    left_out = sql.Literal([without] if without else [])
    return {
        table: dict(connection.execute(sql.SQL(query).format(without=left_out, table=sql.Identifier(table))).fetchall())
        for (table,) in tables
    }


def differing(before: Contents, after: Contents) -> dict[str, Ids]:
    """Ids of rows that are not the same, or only on one side, by table; tables without any are left out."""
    found = {
        table: frozenset(
            key
            for key in before.get(table, {}).keys() | after.get(table, {}).keys()
            if before.get(table, {}).get(key) != after.get(table, {}).get(key)
        )
        for table in before.keys() | after.keys()
    }
    return {table: ids for table, ids in sorted(found.items()) if ids}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Rows in the quarantine that are there for one reason."""

    table: str
    reason: str
    ids: Ids
    whole: bool
    """Whether each has a value, or NULL, for every column its table had before."""


def quarantine(connection: Connection, columns: Mapping[str, Ids]) -> tuple[Shelf, ...]:
    """What was set aside. `columns` are those of each table before."""
    rows = connection.execute(
        """
        SELECT relation, reason, array_agg(contents[array_position(columns, 'id')]), array_agg(DISTINCT columns::text)
          FROM (SELECT * FROM mig.quarantine ORDER BY id) AS q
         GROUP BY relation, reason
         ORDER BY min(id)
        """
    ).fetchall()
    return tuple(
        Shelf(
            table=(table := relation.removeprefix("public.")),
            reason=reason,
            ids=frozenset(ids),
            whole=all(columns[table] <= {name.strip('"') for name in names[1:-1].split(",")} for names in shapes),
        )
        for relation, reason, ids, shapes in rows
    )


def columns_of(connection: Connection) -> dict[str, Ids]:
    """The columns of each table."""
    rows = connection.execute(
        """
        SELECT table_name::text, array_agg(column_name::text)
          FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1
        """
    ).fetchall()
    return {table: frozenset(names) for table, names in rows}


@dataclass(slots=True, kw_only=True)
class Damage:
    """What a script did before it was undone."""

    statements: int
    refused: list[str] = field(default_factory=list[str])
    """What PostgreSQL said to each statement that failed."""
    risen: int = 0
    """Agents that may act and could not before."""
    again: int = 0
    """Transactions that wait to be sent and did not before."""
    unforced: int = 0
    """Versions of policies that are no longer in force."""
    emptied: int = 0
    """Votes whose decision is gone."""


def damage_of(connection: Connection, statements: Sequence[str]) -> Damage:
    """Run a script as psql does, which goes on after an error, look at what it did, and undo all of it."""
    damage = Damage(statements=len(statements))
    with connection.transaction(force_rollback=True):
        before = [meaning.holders(connection, old=True) for meaning in (POWER, UNSENT, IN_FORCE)]
        votes = _votes(connection)
        for statement in statements:
            try:
                with connection.transaction():
                    connection.execute(statement.encode())
            except psycopg.Error as error:
                damage.refused.append(error.diag.message_primary or str(error))
        power, unsent, in_force = (meaning.holders(connection, old=False) for meaning in (POWER, UNSENT, IN_FORCE))
        damage.risen, damage.again = len(power - before[0]), len(unsent - before[1])
        damage.unforced = len(before[2] - in_force)
        damage.emptied = votes - _votes(connection)
    return damage


def _votes(connection: Connection) -> int:
    return int(one(connection, 'SELECT count("decision") FROM "approvals"'))


def one(connection: Connection, query: str) -> Any:
    """The only value of the only row."""
    row = connection.execute(query.encode()).fetchone()
    assert row is not None, query
    return row[0]
