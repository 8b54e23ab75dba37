"""Every statement of the code as the planner sees it: what it reads, what it writes, and which routines it calls."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import scalar_row

from architecture import catalog
from architecture.source import load_everything
from hansa.infra.db import Query

PLACEHOLDER = re.compile(r"%\((\w+)\)[sbt]|%%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A `Query` constant."""

    module: str
    constant: str
    query: Query[Any]
    text: str
    """With $1, $2, ... as PostgreSQL itself writes parameters."""

    @property
    def name(self) -> str:
        """Where to find it: `credits.commands.RESERVE`."""
        return f"{self.module.removeprefix('hansa.')}.{self.constant}"

    @property
    def context(self) -> str:
        return self.module.split(".")[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """What one statement touches by itself; views are resolved to their tables, routines are not looked into."""

    reads: frozenset[str]
    writes: frozenset[str]
    mentions: frozenset[str]
    """All `schema.name` in the text: routines, types, tables, views."""


def statements() -> list[Statement]:
    """All statements of Hansa, in the order in which they were defined."""
    load_everything()
    ours = [query for query in Query.known if query.module.startswith("hansa.")]
    return [
        Statement(module=query.module, constant=constant_of(query), query=query, text=numbered(query.text))
        for query in ours
    ]


def constant_of(query: Query[Any]) -> str:
    """The name under which a module defines a statement; a statement in a container has the container's."""
    for name, value in vars(sys.modules[query.module]).items():
        held = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
        if any(one is query for one in held):
            return name
    raise AssertionError(f"{query.module} defines a statement without a name:\n{query.text}")


def numbered(text: str) -> str:
    """Turn %(name)s into $n, one number for each name."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}" if found[1] else "%"

    return PLACEHOLDER.sub(number, text)


def touched(connection: psycopg.Connection[Any], statement: Statement) -> Touched:
    """Ask the planner, without running anything. Raises psycopg.Error when the statement does not fit the schema."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        plans = cursor.execute(f"EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON) {statement.text}".encode()).fetchone()
    reads: set[str] = set()
    writes: set[str] = set()
    for node in nodes(plans):
        target = f"{node['Schema']}.{node['Relation Name']}"
        (writes if node.get("Node Type") == "ModifyTable" or "Node Type" not in node else reads).add(target)
    return Touched(
        reads=frozenset(reads), writes=frozenset(writes), mentions=catalog.mentions(catalog.bare(statement.text))
    )


def planned(connection: psycopg.Connection[Any]) -> dict[Statement, Touched]:
    """Every statement that fits the schema, with what it touches; test_statements names those that do not fit."""
    found: dict[Statement, Touched] = {}
    for statement in statements():
        with suppress(psycopg.Error):
            found[statement] = touched(connection, statement)
    return found


def nodes(plan: object) -> list[dict[str, Any]]:
    """All nodes of a plan that name a relation; several targets of one change are nodes without a type."""
    if isinstance(plan, list):
        return [node for part in plan for node in nodes(part)]
    if not isinstance(plan, dict):
        return []
    own = [plan] if "Relation Name" in plan else []
    return own + [node for value in plan.values() for node in nodes(value)]
