"""Whether a column can be converted, found out before anything is changed, and told by name when it cannot."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from hansa.migrate.online.conversion import Plan
from hansa.migrate.online.errors import OperationRefused, UnmappedValues
from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import Check, Column, Relation, verbatim
from hansa.migrate.online.values import ValueMap

LISTED_MAX = 20
IN_PLACE_BYTES_MAX = 64 * 1024 * 1024
"""A table that is larger than this is not rewritten under a lock, however few its rows are."""
OPEN_S_MAX = 60
"""A transaction that is open for longer is pointed out, because locks and index builds wait for it."""
TO_GO_ON = (
    "change those rows and `up` goes on from here; or take the conversion back with `down`, give the map what it lacks, "
    "and begin again"
)


class DoesNotFit(OperationRefused):
    """A label, a default or NULL has no place in the old or in the new column."""


class KeysCoincide(OperationRefused):
    """Rows that a unique key tells apart by old values would have the same new ones."""


class NoRoom(OperationRefused):
    """The disk has less free space than the second column and its indexes may take."""


def refuse_unmapped(run: Run, plan: Plan, table: Relation, condition: sql.Composable, otherwise: str) -> None:
    """Raise UnmappedValues with every value of these rows `t` that the map does not know, and how often it is there."""
    rows = run.execute(plan.unmapped(table, condition))
    if rows:
        more = f" and {len(rows) - LISTED_MAX} more" if len(rows) > LISTED_MAX else ""
        listing = ", ".join(f"{value!r} ({count})" for value, count in rows[:LISTED_MAX])
        raise UnmappedValues(f"{plan.table}.{plan.column}: the map says nothing about {listing}{more}; {otherwise}")


def refuse_shapes(run: Run, plan: Plan, table: Relation, otherwise: str) -> None:
    """Make sure that NULLs and arrays are such as the new column can hold. Raises DoesNotFit."""
    old = sql.Identifier("t", plan.column)
    count = sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}")
    if plan.not_null and plan.nulls is None and not plan.before.not_null:
        nulls = run.one(count.format(table.identifier, sql.SQL("{} IS NULL").format(old)))
        if nulls:
            raise DoesNotFit(
                f"{plan.table}.{plan.column} is NULL in {nulls} rows and must not be afterwards; "
                f"say which label they become in `nulls`; {otherwise}"
            )
    if plan.before.array:
        odd = run.one(count.format(table.identifier, plan.misshapen(old)))
        if odd:
            raise DoesNotFit(
                f"{plan.table}.{plan.column} holds {odd} arrays of several dimensions or not counted from 1; {otherwise}"
            )


def refuse_unconverted(run: Run, plan: Plan, table: Relation) -> None:
    """Make sure that no row was left out. Quick through the index of such rows. Raises UnmappedValues, DoesNotFit."""
    found = run.one(
        sql.SQL("SELECT pg_catalog.count(*) FROM (SELECT FROM {} AS t WHERE {} LIMIT 1000) AS late").format(
            table.identifier, plan.unconverted()
        )
    )
    if found:
        refuse_unmapped(run, plan, table, plan.unconverted(), TO_GO_ON)
        raise DoesNotFit(f"{plan.table}.{plan.column}: {found} rows were written since that have no place; {TO_GO_ON}")


def refuse_collisions(run: Run, plan: Plan, table: Relation) -> None:
    """Make sure that unique keys stay unique. Raises KeysCoincide."""
    for index in plan.indexes:
        if not index.unique:
            continue
        terms = [
            plan.mapped(sql.Identifier("t", plan.column)) if term.text is None else verbatim(term.text)
            for term in index.terms
            if not term.stored
        ]
        conditions: list[sql.Composable] = [
            sql.SQL("NOT {}").format(plan.quarantined(sql.Identifier("t", plan.column)))
        ]
        if index.nulls_distinct:
            conditions += [sql.SQL("({}) IS NOT NULL").format(term) for term in terms]
        if index.predicate is not None:
            conditions.append(verbatim(index.predicate))
        count = run.one(
            sql.SQL(
                "SELECT pg_catalog.count(*) FROM (SELECT FROM {} AS t WHERE {} GROUP BY {} "
                "HAVING pg_catalog.count(*) > 1) AS twice"
            ).format(table.identifier, sql.SQL(" AND ").join(conditions), sql.SQL(", ").join(terms))
        )
        if count:
            raise KeysCoincide(
                f"{index.name} is unique, and {count} of its keys would be there twice once {plan.column} is mapped; "
                'set the duplicates aside before (kind = "set_aside")'
            )


def refuse_broken_checks(run: Run, plan: Plan, table: Relation, old: sql.Composable) -> None:
    """Make sure that the old column, as it would be now, keeps its CHECKs and its NOT NULL. Raises DoesNotFit."""
    conditions = [(check.name, check.expression) for check in plan.checks if check.valid]
    if plan.before.not_null:
        conditions.append(("NOT NULL", f"{sql.Identifier(plan.column).as_string(run.connection)} IS NOT NULL"))
    for name, expression in conditions:
        broken = run.one(
            sql.SQL("SELECT pg_catalog.count(*) FROM (SELECT {} AS {} FROM {} AS t) AS t WHERE NOT ({})").format(
                old, sql.Identifier(plan.column), table.identifier, verbatim(expression)
            )
        )
        if broken:
            raise DoesNotFit(
                f"{plan.table}.{plan.column}: {broken} rows hold what {name} of the old column refuses; "
                "change them, then take the conversion back"
            )


def in_old_words(
    run: Run, before: Column, labels: Sequence[str], values: ValueMap, narrow: Sequence[Check]
) -> dict[str, str]:
    """What each label is in the old column: itself, or the first old value that becomes it, when only that is allowed.

    Raises DoesNotFit for a label that the old type has no room for.
    """
    words: dict[str, str] = {}
    for label in labels:
        choices = [label, *(old for old, new in values.values.items() if new == label and old != label)]
        fitting = [choice for choice in choices if _fits(run, before, choice, ())]
        if not fitting:
            raise DoesNotFit(
                f"{before.name} is {before.type}, which cannot hold {label!r}, so there would be no way back; "
                "widen the old column before"
            )
        words[label] = next((choice for choice in fitting if _fits(run, before, choice, narrow)), fitting[0])
    return words


def with_default(run: Run, plan: Plan, table: Relation, given: str | None) -> Plan:
    """The plan with the new column's default. Raises UnmappedValues, DoesNotFit."""
    if given is not None:
        try:
            with run.connection.transaction():
                run.execute(sql.SQL("SELECT {}::{}").format(sql.Literal(given), verbatim(plan.type)))
        except psycopg.DataError as error:
            raise DoesNotFit(f"default = {given!r} is no {plan.type}") from error
        return replace(plan, default=given)
    if plan.before.default is None:
        return plan
    computed = run.one(
        r"""
        SELECT tree ~ '[{](SQLVALUEFUNCTION|NEXTVALUEEXPR) ' OR EXISTS (
          SELECT FROM pg_catalog.regexp_matches(tree, ':(?:op)?funcid (\d+)', 'g') AS found
          JOIN pg_catalog.pg_proc AS p ON p.oid = found[1]::oid
          WHERE p.provolatile <> 'i'
        )
        FROM (SELECT adbin::text AS tree FROM pg_catalog.pg_attrdef WHERE adrelid = %s AND adnum = %s) AS d
        """,
        [table.oid, plan.before.number],
    )
    if computed:
        raise DoesNotFit(
            f"the default of {plan.column} is computed ({plan.before.default}); say the new one in `default`"
        )
    old = sql.SQL("({})::{}").format(verbatim(plan.before.default), verbatim(plan.before.type))
    [(was, becomes)] = run.execute(sql.SQL("SELECT ({})::text, ({})::text").format(old, plan.converted(old)))
    if was is not None and becomes is None:
        raise UnmappedValues(
            f"{plan.table}.{plan.column}: the map says nothing about the default {was!r}; nothing was changed"
        )
    return replace(plan, default=becomes if was is not None else None)


def is_small(run: Run, table: Relation, below: int) -> bool:
    """Whether a table has fewer rows than that and few bytes; counted, because statistics may be old."""
    if table.size > IN_PLACE_BYTES_MAX:
        return False
    counted = sql.SQL("SELECT pg_catalog.count(*) FROM (SELECT FROM {} LIMIT {}) AS counted")
    return run.one(counted.format(table.identifier, sql.Literal(below))) < below


def refuse_full_disk(run: Run, plan: Plan, table: Relation) -> None:
    """Make sure that there is room for every row once more, as far as that can be seen from here. Raises NoRoom."""
    folder = _data_folder(run)
    if plan.in_place or folder is None:
        return
    free = shutil.disk_usage(folder).free
    if free < table.size:
        raise NoRoom(
            f"{table.label} takes {table.size} bytes, and may take as much again until it is vacuumed, "
            f"but only {free} bytes are free"
        )


def point_out_waits(run: Run, table: Relation) -> None:
    """Say which transactions are open for so long that locks and index builds will wait for them."""
    rows = run.execute(
        """
        SELECT 'process ' || pid || coalesce(' (' || nullif(application_name, '') || ')', ''),
               EXTRACT(epoch FROM pg_catalog.clock_timestamp() - xact_start)::int
        FROM pg_catalog.pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_catalog.pg_backend_pid()
          AND xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %s)
        UNION ALL
        SELECT 'prepared transaction ' || gid, EXTRACT(epoch FROM pg_catalog.clock_timestamp() - prepared)::int
        FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()
        ORDER BY 2 DESC
        """,
        [OPEN_S_MAX],
    )
    for who, seconds in rows:
        run.options.waiting(f"{who} has a transaction open for {seconds} s; {table.label} may have to wait for its end")


def _fits(run: Run, before: Column, text: str, narrow: Sequence[Check]) -> bool:
    """Whether the old column could hold a text, by its type and by its CHECKs."""
    value = sql.SQL("{}::text").format(sql.Literal(text))
    if before.array:
        value = sql.SQL("ARRAY[{}]").format(value)
    typed = sql.SQL("({})::{}").format(value, verbatim(before.type))
    as_text = sql.SQL("text[]" if before.array else "text")
    allowed = [sql.SQL("({}) IS NOT FALSE").format(verbatim(check.expression)) for check in narrow]
    try:
        with run.connection.transaction():
            return run.one(
                sql.SQL("SELECT {} FROM (SELECT {} AS {}) AS t").format(
                    sql.SQL(" AND ").join(
                        [sql.SQL("{}::{} = {}").format(sql.Identifier(before.name), as_text, value), *allowed]
                    ),
                    typed,
                    sql.Identifier(before.name),
                )
            )
    except (psycopg.DataError, psycopg.IntegrityError):
        return False


def _data_folder(run: Run) -> Path | None:
    """The server's data folder when it is on this machine and we may know it."""
    with suppress(psycopg.errors.InsufficientPrivilege, OSError):
        with run.connection.transaction():
            [(folder, local)] = run.execute(
                """
                SELECT current_setting('data_directory'),
                       coalesce(pg_catalog.host(pg_catalog.inet_server_addr()) IN ('127.0.0.1', '::1'), true)
                """
            )
        if local and os.path.isdir(folder):  # noqa: PTH112 - a folder that we may not look into is just not there
            return Path(folder)
    return None
