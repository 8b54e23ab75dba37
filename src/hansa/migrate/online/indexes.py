"""Indexes that are built while others write: on one table, or on every partition of one.

An interrupted CREATE INDEX CONCURRENTLY leaves an invalid index under the final name. Whoever holds the migration lock
knows that nobody builds it any more, so an invalid index of the wanted name is removed and built again.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Row, Run
from hansa.migrate.online.tables import Table, listed
from hansa.migrate.splitter import split

GROUPS_SHOWN = 10
PARTITIONED_INDEX = "I"
INDEXES = ("i", PARTITIONED_INDEX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An index that is to be."""

    name: str
    definition: str
    """What follows the table in CREATE INDEX: `USING gin (skills)`, `(status) WHERE active`."""
    unique: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An index that is there."""

    oid: int
    table: int
    definition: str
    """What follows the table, as PostgreSQL writes it."""
    unique: bool
    valid: bool


def require_one_clause(definition: str) -> None:
    """Raises BadOperation for text that would end the statement, and one of Refusal for quotes that never close."""
    if len(split(f"CREATE INDEX i ON t {definition}", source="definition")) != 1 or ";" in definition.strip()[-1:]:
        raise BadOperation("definition is one clause, without a semicolon at its end")


def find(run: Run, schema: str, name: str) -> Found | None:
    """The index of that name. Raises OperationRefused when something else has it."""
    rows = run.execute(
        """
        SELECT c.relkind, i.indexrelid::bigint, i.indrelid::bigint,
               CASE WHEN i.indexrelid IS NOT NULL THEN pg_catalog.substr(
                 pg_catalog.pg_get_indexdef(c.oid),
                 1 + pg_catalog.length(pg_catalog.format(
                   'CREATE %%sINDEX %%I ON %%s%%I.%%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, c.relname,
                   CASE WHEN c.relkind = 'I' THEN 'ONLY ' END,
                   CASE WHEN tn.oid = pg_catalog.pg_my_temp_schema() THEN 'pg_temp' ELSE tn.nspname END, t.relname))
               ) END,
               i.indisunique, i.indisvalid
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
        LEFT JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
        LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
        WHERE n.nspname = %s AND c.relname = %s
        """,
        [schema, name],
    )
    if not rows:
        return None
    kind, oid, table, definition, unique, valid = rows[0]
    if kind not in INDEXES:
        raise OperationRefused(f"{schema}.{name} is the name of something else already")
    return Found(oid=oid, table=table, definition=definition, unique=unique, valid=valid)


@contextmanager
def tried(run: Run, table: Table, wanted: Wanted) -> Generator[Found]:
    """The index as it would be, on an empty copy of the table that goes away at once.

    Raises OperationRefused with what PostgreSQL says of a definition it does not take.
    """
    # Under the table's own name, because an expression may speak of the whole row.
    copy = sql.Identifier("pg_temp", table.name)
    with run.connection.transaction(force_rollback=True):
        run.execute(sql.SQL("CREATE TEMP TABLE {} (LIKE {})").format(sql.Identifier(table.name), table.identifier))
        try:
            with run.connection.transaction():
                run.execute(_create(wanted, "", copy))
        except psycopg.Error as error:
            raise OperationRefused(
                f"index {wanted.name} on {table.label}: {error.diag.message_primary}; nothing was changed"
            ) from error
        schema = run.one("SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = pg_catalog.pg_my_temp_schema()")
        found = find(run, schema, wanted.name)
        assert found is not None
        yield found


def duplicates(run: Run, table: Table, trial: Found) -> list[Row]:
    """Groups of rows that a unique index would not take, the largest first: the values of its key, and how many.

    Asked while the trial index exists, because PostgreSQL says best what its key and its condition are.
    """
    rows = run.execute(
        """
        SELECT ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, false)
                     FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k ORDER BY k)::text[],
               pg_catalog.pg_get_expr(i.indpred, i.indrelid), i.indnullsnotdistinct
        FROM pg_catalog.pg_index AS i
        WHERE i.indexrelid = %s
        """,
        [trial.oid],
    )
    keys, condition, nulls_equal = rows[0]
    wheres = [condition] if condition else []
    wheres += [] if nulls_equal else [f"({key}) IS NOT NULL" for key in keys]
    source = table.rows_of_its_own.as_string(run.connection)
    values = ", ".join(f"({key})" for key in keys)
    return run.execute(
        f"SELECT ARRAY[{', '.join(f'({key})::text' for key in keys)}], count(*) FROM {source}"
        f"{' WHERE ' if wheres else ''}{' AND '.join(f'({where})' for where in wheres)}"
        f" GROUP BY {values} HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {GROUPS_SHOWN}"
    )


def refuse_duplicates(run: Run, table: Table, trial: Found, name: str) -> None:
    """Raises OperationRefused that lists the largest groups."""
    groups = duplicates(run, table, trial)
    if groups:
        told = "; ".join(f"({', '.join(_shown(value) for value in values)}) {count} times" for values, count in groups)
        more = ", and there may be more" if len(groups) == GROUPS_SHOWN else ""
        raise OperationRefused(
            f"{name} on {table.label} cannot be unique: {told}{more}; resolve them first, nothing was changed"
        )


def build(run: Run, table: Table, wanted: Wanted) -> None:
    """Build it while others write, whatever an interrupted run left. On a partitioned table, partition by partition.

    Runs outside of a transaction; can be repeated at any time.
    """
    if table.partitioned:
        _build_on_partitions(run, table, wanted)
    else:
        _build_one(run, table.oid, table.identifier, wanted, table.schema)


def remove(run: Run, schema: str, name: str) -> None:
    """Drop an index while others write, if it is there. A partitioned one in a short moment with all its parts."""
    identifier = sql.Identifier(schema, name)
    found = find(run, schema, name)
    if found is None:
        return
    if run.one("SELECT relkind FROM pg_catalog.pg_class WHERE oid = %s", [found.oid]) == PARTITIONED_INDEX:
        run.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(identifier))
        return
    with unhurried(run):
        run.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(identifier))


def remove_from_partitions(run: Run, table: Table, name: str) -> None:
    """Drop what an interrupted build left on partitions; what is part of the whole goes with the whole."""
    for _, schema, partition, *_ in _partitions(run, table):
        remove(run, schema, _part(partition, name))


@contextmanager
def unhurried(run: Run) -> Generator[None]:
    """Without a lock timeout: for work that waits for others while nobody waits for it.

    The waits of a concurrent build for older transactions count as waits for locks, too: with a short timeout one
    report that runs for a minute would throw an hour's work away, again and again.
    """
    before = run.one("SELECT pg_catalog.current_setting('lock_timeout')")
    run.execute("SELECT pg_catalog.set_config('lock_timeout', '0', false)")
    _tell_what_we_wait_for(run)
    yield
    run.execute("SELECT pg_catalog.set_config('lock_timeout', %s, false)", [before])


def key_definition(columns: Sequence[str], *, nulls_not_distinct: bool) -> str:
    """The clause of an index over plain columns."""
    return f"({listed(tuple(columns)).as_string(None)}){' NULLS NOT DISTINCT' if nulls_not_distinct else ''}"


def _build_one(run: Run, oid: int, table: sql.Identifier, wanted: Wanted, schema: str) -> None:
    found = find(run, schema, wanted.name)
    if found is not None and found.table != oid:
        raise OperationRefused(f"{schema}.{wanted.name} is an index of another table")
    if found is not None and found.valid:
        return
    with unhurried(run):
        if found is not None:
            run.options.waiting(f"removing the invalid index {wanted.name} that an interrupted build left")
            run.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema, wanted.name)))
        run.execute(_create(wanted, "CONCURRENTLY ", table))


def _build_on_partitions(run: Run, table: Table, wanted: Wanted) -> None:
    """An index on the parents alone, then one on each leaf, attached from below: the whole is valid with the last."""
    parts = _partitions(run, table)
    names = {table.oid: (table.schema, wanted.name)}
    names |= {oid: (schema, _part(partition, wanted.name)) for oid, schema, partition, *_ in parts}
    parents = [(table.oid, table.identifier)]
    parents += [(oid, sql.Identifier(schema, name)) for oid, schema, name, _, leaf in parts if not leaf]
    for oid, identifier in parents:
        schema, name = names[oid]
        if find(run, schema, name) is None and not _has_part(run, oid, names, table):
            run.execute(_create(_named(wanted, name), "", sql.SQL("ONLY {}").format(identifier)))
    for oid, schema, partition, parent, leaf in reversed(parts):
        if _attached(run, oid, names[parent]):
            continue
        own_schema, own_name = names[oid]
        if leaf:
            _build_one(run, oid, sql.Identifier(schema, partition), _named(wanted, own_name), own_schema)
        run.execute(
            sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
                sql.Identifier(*names[parent]), sql.Identifier(own_schema, own_name)
            )
        )
    found = find(run, table.schema, wanted.name)
    if found is None or not found.valid:
        raise OperationRefused(f"partitions of {table.label} came and went while {wanted.name} was built; run it again")


def _partitions(run: Run, table: Table) -> list[Row]:
    """All partitions, parents before their parts: oid, schema, name, oid of the parent, whether it is a leaf.

    Not by pg_partition_tree(), which waits for whoever has one of them locked.
    """
    return run.execute(
        """
        WITH RECURSIVE tree AS (
          SELECT inhrelid, inhparent, 1 AS level
          FROM pg_catalog.pg_inherits
          WHERE inhparent = %s
          UNION ALL
          SELECT i.inhrelid, i.inhparent, tree.level + 1
          FROM pg_catalog.pg_inherits AS i
          JOIN tree ON tree.inhrelid = i.inhparent
        )
        SELECT c.oid::bigint, n.nspname, c.relname, tree.inhparent::bigint, c.relkind <> 'p'
        FROM tree
        JOIN pg_catalog.pg_class AS c ON c.oid = tree.inhrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        ORDER BY tree.level, n.nspname, c.relname
        """,
        [table.oid],
    )


def _has_part(run: Run, oid: int, names: dict[int, tuple[str, str]], table: Table) -> bool:
    """Whether a partition made after the index on its parent got one from there, under a name of PostgreSQL's own."""
    return oid != table.oid and any(_attached(run, oid, names[parent]) for parent in names if parent != oid)


def _attached(run: Run, partition: int, whole: tuple[str, str]) -> bool:
    return bool(
        run.one(
            """
            SELECT true
            FROM pg_catalog.pg_inherits AS h
            JOIN pg_catalog.pg_index AS i ON i.indexrelid = h.inhrelid
            JOIN pg_catalog.pg_class AS p ON p.oid = h.inhparent
            JOIN pg_catalog.pg_namespace AS n ON n.oid = p.relnamespace
            WHERE i.indrelid = %s AND n.nspname = %s AND p.relname = %s
            """,
            [partition, *whole],
        )
    )


def _part(partition: str, name: str) -> str:
    return fitting(f"{partition}_{name}")


def _named(wanted: Wanted, name: str) -> Wanted:
    return Wanted(name=name, definition=wanted.definition, unique=wanted.unique)


def _create(wanted: Wanted, concurrently: str, table: sql.Composable) -> str:
    """As text: what a person wrote goes to the server as it stands."""
    unique = "UNIQUE " if wanted.unique else ""
    name = sql.Identifier(wanted.name).as_string(None)
    return f"CREATE {unique}INDEX {concurrently}{name} ON {table.as_string(None)} {wanted.definition}"


def _tell_what_we_wait_for(run: Run) -> None:
    rows = run.execute("""
        SELECT pid, coalesce(nullif(application_name, ''), 'unnamed'),
               extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::integer
        FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
          AND backend_type = 'client backend' AND xact_start < pg_catalog.clock_timestamp() - interval '10 s'
        ORDER BY xact_start
    """)
    for pid, name, age_s in rows:
        run.options.waiting(f"this will wait for the transaction of process {pid} ({name}), open for {age_s} s")


def _shown(value: str | None) -> str:
    return "NULL" if value is None else value
