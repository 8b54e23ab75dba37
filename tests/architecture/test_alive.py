"""No table is dead: something writes it, and a route, a job, a reaction or a command leads there."""

from __future__ import annotations

import pytest

from architecture.catalog import Connection
from architecture.matrix import Life, lives, page
from architecture.rules import nobody_breaks
from architecture.source import ROOT, doors, reached_from
from architecture.statements import Statement, Touched

STARTING_SHAPE = "starting shape of role-agent governance; the migration that improves it brings the commands"
UNWRITTEN = {
    "governance.signals": STARTING_SHAPE,
    "governance.certifications": STARTING_SHAPE,
    "governance.blockchain_transactions": STARTING_SHAPE,
    "governance.loa_policies": STARTING_SHAPE,
    "governance.approvals": STARTING_SHAPE,
    "governance.mcp_policies": STARTING_SHAPE,
    "governance.mcp_policy_tests": STARTING_SHAPE,
    "governance.trust_histories": STARTING_SHAPE,
    "registry.domains": "a list that its migration fills",
}
"""Tables that no statement writes -> why they are there all the same. The other five starting tables are alive."""


@pytest.fixture(scope="module")
def found(schema: Connection, planned: dict[Statement, Touched]) -> dict[str, Life]:
    return lives(schema, planned)


def test_a_door_leads_to_the_statements_behind_it_and_to_no_others():
    behind = reached_from(doors()["POST /api/credits/faucet"])

    assert ("hansa.credits.commands", "DEPOSIT") in behind
    assert ("hansa.credits.commands", "LAPSED") not in behind


def test_a_change_counts_for_the_tables_behind_routines_views_and_triggers(found: dict[str, Life]):
    assert "credits.commands.capture" in found["credits.postings"].writers
    assert "credits.queries.reconcile" in found["credits.holds"].readers
    assert "tick credits.expire_holds" in found["credits.postings"].doors


def test_every_table_is_written_by_a_statement_or_a_routine(found: dict[str, Life]):
    dead = [name for name, life in found.items() if not life.writers and name not in UNWRITTEN]

    nobody_breaks("a table that nothing writes is not part of Hansa", dead)


def test_every_table_is_reached_from_outside(found: dict[str, Life]):
    unreachable = [name for name, life in found.items() if not life.doors and UNWRITTEN.get(name) != STARTING_SHAPE]

    nobody_breaks("a table is reached from a route, a job, a reaction or a command", unreachable)


def test_no_exception_outlives_its_reason(found: dict[str, Life]):
    stale = [name for name in UNWRITTEN if name not in found or found[name].writers]

    nobody_breaks("take a table that is written now, or gone, out of UNWRITTEN", stale)


def test_the_page_of_tables_is_fresh(found: dict[str, Life]):
    written = (ROOT / "docs" / "reference" / "tables.md").read_text()

    assert written == page(found), "run `.venv/bin/python docs/generate.py`"
