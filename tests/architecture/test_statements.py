"""What the statements of the code read, write and give. The planner and the catalog say it, not a parser of ours."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import psycopg
import pytest

from architecture import catalog
from architecture.catalog import LEVEL, Connection
from architecture.rules import nobody_breaks
from architecture.statements import Statement, Touched, statements, touched
from hansa.infra.db import Query

FITS: dict[type, set[str]] = {
    bool: {"bool"},
    int: {"int2", "int4", "int8", "oid"},
    float: {"float4", "float8"},
    Decimal: {"numeric"},
    str: {"text", "varchar", "bpchar", "name"},
    bytes: {"bytea"},
    UUID: {"uuid"},
    datetime: {"timestamptz"},
    date: {"date"},
    timedelta: {"interval"},
    dict: {"jsonb", "json"},
}
"""Which column types the driver reads as a Python type. There is no `timestamp`: an instant without a zone is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a result."""

    name: str
    type: str
    """Name of the type; `enum held|released` and `array of int8` say more."""


@pytest.fixture(scope="session")
def types_by_oid(schema: Connection) -> dict[int, str]:
    found = catalog.rows(
        schema,
        """
        SELECT t.oid::bigint AS oid, t.typcategory = 'A' AS is_array,
               CASE WHEN e.typtype = 'e' THEN n.nspname || '.' || e.typname ELSE e.typname END AS name
          FROM pg_type AS t
          JOIN pg_type AS e ON e.oid = CASE WHEN t.typcategory = 'A' THEN t.typelem
                                            WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
          JOIN pg_namespace AS n ON n.oid = e.typnamespace
        """,
    )
    closed = {name: f"enum {'|'.join(labels)}" for name, labels in catalog.enums(schema).items()}
    return {row["oid"]: "array of " * row["is_array"] + closed.get(row["name"], row["name"]) for row in found}


def level_of(statement: Statement) -> int:
    """How high a statement stands. The entry stands above all contexts, infra on the ground."""
    return {"infra": LEVEL["ops"], "entry": max(LEVEL.values()) + 1}.get(
        statement.context, LEVEL.get(statement.context, 0)
    )


def home_of(statement: Statement) -> set[str]:
    """The schemas in which a statement may write."""
    return {"ops", "jobs"} if statement.context in {"infra", "entry"} else {statement.context}


def test_every_statement_fits_the_schema_and_the_rights_of_the_application(
    app: Connection, planned: dict[Statement, Touched]
):
    refused = {statement.name: reason(app, statement) for statement in statements() if statement not in planned}

    assert len(planned) > 100
    nobody_breaks("PostgreSQL prepares every statement as hansa_app", refused)


def reason(app: Connection, statement: Statement) -> str:
    with pytest.raises(psycopg.Error) as refused:
        touched(app, statement)
    return str(refused.value.diag.message_primary)


def test_the_columns_of_every_statement_are_the_fields_of_its_rows(
    app: Connection, planned: dict[Statement, Touched], types_by_oid: dict[int, str]
):
    different = {
        statement.name: misfits
        for statement in planned
        if (columns := columns_of(app, statement, types_by_oid))
        and (misfits := misfits_of(statement.query.row, columns))
    }

    nobody_breaks("a row class has one field for each column, of a type that the driver reads", different)


def columns_of(app: Connection, statement: Statement, types_by_oid: dict[int, str]) -> list[Column]:
    """Let the server describe what a statement gives; nothing for one that gives no rows."""
    app.pgconn.prepare(b"", statement.text.encode())
    described = app.pgconn.describe_prepared(b"")
    names = [(described.fname(index) or b"").decode() for index in range(described.nfields)]
    return [Column(name=name, type=types_by_oid[described.ftype(index)]) for index, name in enumerate(names)]


def misfits_of(row: type, columns: list[Column]) -> list[str]:
    """What of a result does not fit a row class, or the one scalar that stands for it."""
    if not is_dataclass(row):
        return [] if len(columns) == 1 and fits(row, columns[0].type) else [f"{row} does not read {columns}"]
    hints = hints_of(row)
    wanted, given = {field.name for field in fields(row)}, {column.name for column in columns}
    if wanted != given:
        return [f"no column for the fields {sorted(wanted - given)}, no field for the columns {sorted(given - wanted)}"]
    return [
        f"{column.name} is {column.type}, the field {hints[column.name]}"
        for column in columns
        if not fits(hints[column.name], column.type)
    ]


@cache
def hints_of(row: type) -> dict[str, Any]:
    return get_type_hints(row)


def fits(hint: Any, column: str) -> bool:
    """Whether the driver and the row factory make a value of this type from such a column."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    origin = get_origin(hint)
    if hint in {Any, object} or column == "void":
        return True
    if origin in {Union, types.UnionType}:
        return any(fits(part, column) for part in get_args(hint) if part is not types.NoneType)
    if origin in {list, tuple, Sequence}:
        of = column.removeprefix("array of ")
        return column in FITS[dict] or (of != column and fits(get_args(hint)[0], of))
    if origin is dict or is_dataclass(hint):
        return column in FITS[dict]
    if column.startswith("enum "):
        return hint is str or (issubclass(hint, StrEnum) and column == f"enum {'|'.join(sorted(hint))}")
    return column in FITS.get(str if issubclass(hint, StrEnum) else hint, set())


def test_the_planner_sees_what_a_statement_hides(app: Connection):
    hidden = Query(
        int,
        """
        WITH ended AS (UPDATE credits.holds SET state = 'released' RETURNING id, account)
        SELECT count(*) FROM ended JOIN credits.system_balances USING (account)
        """,
    )

    found = touched(app, Statement(module="hansa.identity", constant="HIDDEN", query=hidden, text=hidden.text))

    assert found.writes == {"credits.holds"}
    assert {"credits.credit_accounts", "credits.postings"} <= found.reads


def test_a_context_writes_its_own_schema_only(planned: dict[Statement, Touched]):
    foreign = {
        statement.name: sorted(relation for relation in found.writes if schema_of(relation) not in home_of(statement))
        for statement, found in planned.items()
        if any(schema_of(relation) not in home_of(statement) for relation in found.writes)
    }

    nobody_breaks("lower data is changed by the lower context's command, higher data by its reaction", foreign)


def test_a_context_reads_its_own_schema_and_lower_ones(planned: dict[Statement, Touched]):
    upward = {
        statement.name: sorted(above)
        for statement, found in planned.items()
        if (above := {name for name in found.reads | found.mentions if LEVEL[schema_of(name)] > level_of(statement)})
    }

    nobody_breaks("a context does not know what lies above it", upward)


def test_a_routine_writes_its_own_schema_only(schema: Connection):
    foreign = {
        routine.name: sorted(relation for relation in routine.writes if schema_of(relation) != routine.schema)
        for routine in catalog.routines(schema)
        if any(schema_of(relation) != routine.schema for relation in routine.writes)
    }

    nobody_breaks("a routine changes lower data by calling the lower routine that keeps its rules", foreign)


def test_routines_views_and_policies_know_their_own_schema_and_lower_ones(schema: Connection):
    upward = {
        routine.name: sorted(above)
        for routine in catalog.routines(schema)
        if (above := {name for name in routine.mentions if LEVEL[schema_of(name)] > LEVEL[routine.schema]})
    }
    upward |= {
        view: sorted(above)
        for view, relations in catalog.view_reads(schema).items()
        if (above := {name for name in relations if LEVEL.get(schema_of(name), 0) > LEVEL[schema_of(view)]})
    }
    upward |= {
        policy: sorted(above)
        for policy, text in catalog.policies(schema).items()
        if (above := {name for name in catalog.mentions(text) if LEVEL[schema_of(name)] > LEVEL[schema_of(policy)]})
    }

    nobody_breaks("SQL text points down, wherever it stands", upward)


def test_what_routines_name_exists(schema: Connection):
    """PL/pgSQL looks at a statement when it first runs; a name that a rename left behind would wait until then."""
    known = set(
        catalog.names(
            schema,
            """
            SELECT n.nspname || '.' || o.name
              FROM (SELECT relnamespace AS schema, relname AS name FROM pg_class
                     UNION ALL SELECT pronamespace, proname FROM pg_proc
                     UNION ALL SELECT typnamespace, typname FROM pg_type) AS o
              JOIN pg_namespace AS n ON n.oid = o.schema
             WHERE n.nspname = ANY (%(ours)s || '{jobs,mig}'::text[])
            """,
        )
    )

    left_behind = {
        routine.name: sorted(routine.mentions - known)
        for routine in catalog.routines(schema)
        if routine.mentions - known
    }

    nobody_breaks("a routine names what exists", left_behind)


def schema_of(name: str) -> str:
    return name.partition(".")[0]
