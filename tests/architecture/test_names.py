"""The page of names says the truth about the catalog: what it calls built is there, and nothing else is."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from psycopg.rows import scalar_row

from architecture.catalog import Connection
from architecture.rules import nobody_breaks
from architecture.source import ROOT
from hansa.migrations import DIRECTORY

IN_THE_CATALOG = """
SELECT n.nspname || '.' || c.relname
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm')
 UNION
SELECT n.nspname || '.' || p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 UNION
SELECT n.nspname || '.' || t.typname FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
"""


@pytest.fixture(scope="module")
def page_of_names() -> ModuleType:
    """What docs/reference/names.md is made from."""
    spec = importlib.util.spec_from_file_location("specification_names", ROOT / "docs" / "specification_names.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def known(schema: Connection) -> set[str]:
    """Everything in the catalog, and the migrations."""
    with schema.cursor(row_factory=scalar_row) as cursor:
        return {*cursor.execute(IN_THE_CATALOG).fetchall(), *(folder.name for folder in DIRECTORY.iterdir())}


def test_what_the_page_of_names_calls_built_is_there(page_of_names: ModuleType, known: set[str]):
    built = {ours for system in page_of_names.SYSTEMS for name in system.names if name.exists for ours in name.ours}

    nobody_breaks("what docs/specification_names.py calls built exists", built - known)


def test_what_the_page_of_names_calls_missing_is_missing(page_of_names: ModuleType, known: set[str]):
    missing = {
        ours for system in page_of_names.SYSTEMS for name in system.names if not name.exists for ours in name.ours
    }

    nobody_breaks("turn `later` into `here` in docs/specification_names.py for what exists now", missing & known)


def test_no_name_of_a_specification_is_there_twice(page_of_names: ModuleType):
    for system in page_of_names.SYSTEMS:
        theirs = [(name.kind, name.theirs) for name in system.names]

        assert len(theirs) == len(set(theirs)), f"a name of {system.name} is mapped twice"


def test_everything_built_says_what_stands_for_it(page_of_names: ModuleType):
    empty = [name.theirs for system in page_of_names.SYSTEMS for name in system.names if name.exists and not name.ours]

    nobody_breaks("a name that exists here is called something here", empty)
