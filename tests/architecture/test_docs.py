"""What the documentation points to exists: tests that enforce decisions, files behind links, tables and routes in text."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from architecture.catalog import Connection, relations, routines
from architecture.rules import nobody_breaks
from architecture.source import ROOT, doors
from hansa.entry.contexts import ORDER
from hansa.infra.outbox import REACTIONS
from hansa.infra.queue import KNOWN
from hansa.kernel.events import EVENTS

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/**/*.md"))
DECISIONS = sorted(ROOT.glob("docs/decisions/[0-9]*.md"))
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FILE = re.compile(r"`((?:src|tests|docs)/[\w/.-]+)`")
ROUTE = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^` ?]+)")
SQL_NAME = re.compile(rf"`((?:ops|{'|'.join(ORDER)})\.[a-z]\w+)(?:\([^`]*\))?`")
PYTHON_NAME = re.compile(
    rf"`((?:{'|'.join(ORDER)})\.(?:commands|queries|models|events|errors|reactions))\.(\w+)(?:\([^`]*\))?`"
)
PARAMETER = re.compile(r"\{\w+\}")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page: Path):
    broken = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]

    nobody_breaks("a link leads somewhere", broken)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_exist(page: Path):
    missing = [path for path in FILE.findall(page.read_text()) if not (ROOT / path).exists()]

    nobody_breaks("a file that is named exists", missing)


@pytest.mark.parametrize("decision", DECISIONS, ids=named)
def test_a_decision_names_tests_that_enforce_it(decision: Path):
    text = decision.read_text()
    enforcing = TEST.findall(text.partition("## Enforced by")[2])

    missing = [
        f"{file}::{test}"
        for file, test in enforcing
        if not (ROOT / file).exists() or f"\ndef {test}(" not in (ROOT / file).read_text()
    ]

    assert enforcing, "a decision that no test enforces is a wish"
    nobody_breaks("a test that enforces a decision exists", missing)


def test_every_decision_is_in_the_list():
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()

    nobody_breaks("docs/decisions/README.md lists it", [page.name for page in DECISIONS if page.name not in listed])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_routes_that_are_named_exist(page: Path):
    known = {PARAMETER.sub("{}", label) for label in doors()}
    found = {f"{method} {PARAMETER.sub('{}', path)}" for method, path in ROUTE.findall(page.read_text())}

    nobody_breaks("a route that is named exists", found - known)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "names.md"], ids=named)
def test_tables_views_and_routines_that_are_named_exist(page: Path, schema: Connection):
    known = {*relations(schema), *(routine.name for routine in routines(schema))}
    known |= {name for name in SQL_NAME.findall(page.read_text()) if python_name(name)}

    nobody_breaks("what is named exists", set(SQL_NAME.findall(page.read_text())) - known)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_queries_that_are_named_exist(page: Path):
    missing = [
        f"{module}.{name}"
        for module, name in PYTHON_NAME.findall(page.read_text())
        if not hasattr(importlib.import_module(f"hansa.{module}"), name)
    ]

    nobody_breaks("what is named exists", missing)


def python_name(name: str) -> bool:
    """Whether `context.name` is a module, a job or an event of ours, which are written the same way."""
    context, _, module = name.partition(".")
    folder = ROOT / "src" / "hansa" / context
    is_module = (folder / module).is_dir() or (folder / f"{module}.py").exists()
    return is_module or name in {*EVENTS, *KNOWN.jobs, *KNOWN.ticks, *REACTIONS}
