"""The generated reference pages are those that the code gives now."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from architecture.source import ROOT

PAGES = ["refusals.md", "cli.md", "events.md", "settings.md", "names.md", "revisions.md"]


@pytest.fixture(scope="module")
def reference_pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs" / "reference_pages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_fresh(reference_pages: ModuleType, page: str):
    written = (ROOT / "docs" / "reference" / page).read_text()

    assert written == reference_pages.pages()[page](), "run `.venv/bin/python docs/generate.py`"


def test_every_generated_page_is_compared(reference_pages: ModuleType):
    assert sorted(reference_pages.pages()) == sorted(PAGES)


def test_a_refusal_says_what_it_means(reference_pages: ModuleType):
    silent = [line for line in reference_pages.refusals().splitlines() if line.startswith("| `") and "|  |" in line]

    assert not silent


def test_an_entry_of_a_revision_says_what_it_means(reference_pages: ModuleType):
    silent = [line for line in reference_pages.revisions().splitlines() if line.startswith("| `") and "|  |" in line]

    assert not silent
