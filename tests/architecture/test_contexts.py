"""Every context has the same shape, and its SQL files say what its migrations made."""

from __future__ import annotations

import importlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from architecture import catalog
from architecture.rules import nobody_breaks
from architecture.snapshot import snapshot
from architecture.source import MODULES, SOURCE, SQL_FILES
from hansa.entry.contexts import ORDER
from hansa.infra.embedded import Server
from hansa.migrate import testing, up
from hansa.migrations import DIRECTORY

OPS = ("20261120T000000_ops", "20261121T010700_rate_limits", "20261121T010800_live_events")
"""What the outbox, the queue and their neighbours come from: they belong to no context."""
REVISED = {
    "credits": "20261121T010200_credit_movements",
    "governance": "20261121T005000_governance_types",
    "negotiation": "20261121T010000_negotiation_terms",
    "proof": "20261121T004000_usefulness",
    "registry": "20261121T010400_usefulness_rewards",
}
"""Contexts that later migrations changed -> the first of them. For these the catalog alone compares."""


@pytest.mark.parametrize("context", ORDER)
def test_a_context_has_all_its_files(context: str):
    folder = SOURCE / context

    missing = [name for name in MODULES if not any((folder / name).with_suffix(end).exists() for end in ("", ".py"))]
    missing += [f"sql/{name}.sql" for name in SQL_FILES if not (folder / "sql" / f"{name}.sql").exists()]

    nobody_breaks("a file with nothing to do holds one line that says so", missing)


@pytest.mark.parametrize("context", ORDER)
def test_a_context_says_what_it_owns_what_postgresql_keeps_and_what_it_publishes(context: str):
    words = importlib.import_module(f"hansa.{context}").__doc__ or ""

    assert f"`{context}`" in words, "name the schema that it owns"
    assert "PostgreSQL keeps" in words
    assert "ublishes" in words
    assert len(words.split()) > 40


@pytest.mark.parametrize("context", ORDER)
def test_every_module_of_a_context_says_what_it_is_for(context: str):
    silent = [
        path.name
        for path in (SOURCE / context).rglob("*.py")
        if not path.read_text().lstrip().startswith(('"""', 'r"""'))
    ]

    nobody_breaks("the first thing in a module is what it is for", silent)


def present(context: str) -> str:
    """The SQL files of a context in the order in which they are applied."""
    return "\n".join((SOURCE / context / "sql" / f"{name}.sql").read_text() for name in SQL_FILES)


@pytest.mark.parametrize("context", [context for context in ORDER if context not in REVISED])
def test_a_contexts_only_migration_is_its_sql_files(context: str):
    (folder,) = DIRECTORY.glob(f"*_{context}")
    history = (folder / "up.sql").read_text()

    assert history.split() == present(context).split(), "write sql/*.sql, then `cat` them into up.sql"


@pytest.mark.parametrize("context", REVISED)
def test_a_revised_context_names_the_migration_that_revised_it(context: str):
    assert (DIRECTORY / REVISED[context]).is_dir()


@pytest.fixture
def from_files(postgres: Server, server_dsn: str, tmp_path: Path) -> Iterator[psycopg.Connection[object]]:
    """A database made from the SQL files of the contexts; only roles, queue and outbox come from their migration."""
    for revision in OPS:
        shutil.copytree(DIRECTORY / revision, tmp_path / revision)
    name = f"files_{uuid.uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    dsn = postgres.dsn(role="postgres", database=name)
    up(dsn, tmp_path)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for context in ORDER:
            connection.execute(present(context).encode())
        yield connection
    testing.drop(server_dsn, name)


def test_the_sql_files_and_the_migrations_make_the_same_database(
    schema: catalog.Connection, from_files: catalog.Connection
):
    migrated, from_the_files = snapshot(schema), snapshot(from_files)

    assert len(migrated) > 1000
    nobody_breaks("what the migrations make stands in sql/*.sql", migrated - from_the_files)
    nobody_breaks("what stands in sql/*.sql is made by a migration", from_the_files - migrated)
