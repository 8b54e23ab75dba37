"""Revisions of online operations have a map instead of a CASE, and steps instead of statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from hansa.migrate.online.kinds import KINDS
from hansa.migrate.online.operation import Transaction
from hansa.migrate.online.values import ValueMap

REVISION = "20260102T000000_change"
META = """
requires = ["20260101T000000_base"]
[[operation]]
kind = "widen"
table = "role_agents"
map = "status"
"""
MAP = """
[status]
quarantine = ["*"]
[status.values]
active = "active"
# what else there is
"%" = "active"
other = "retired"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widen:
    """A small operation: adds a column, and drops it on the way back."""

    table: str
    map: ValueMap

    kind: ClassVar[str] = "widen"

    @property
    def target(self):
        return f"table {self.table}"

    def up(self):
        return (Transaction("add", lambda run: run.execute(f"ALTER TABLE {self.table} ADD COLUMN wide text")),)

    def down(self):
        return (Transaction("drop", lambda run: run.execute(f"ALTER TABLE {self.table} DROP COLUMN wide")),)


@pytest.fixture(autouse=True)
def _widening(monkeypatch):
    monkeypatch.setitem(KINDS, "widen", Widen)


def test_an_entry_that_seems_to_stand_for_all_other_values_is_reported_at_its_line(project):
    project.write(REVISION, meta=META, map=MAP)

    report = project.lint()

    assert [(found.place, found.rule, found.severity.value) for found in report.findings] == [
        (f"{REVISION}/map.toml:7", "map-catch-all", "warning")
    ]


def test_it_can_be_allowed_in_the_map_with_a_reason(project):
    allowed = MAP.replace("# what else", "# lint: allow map-catch-all because old rows really say so\n# what else")
    project.write(REVISION, meta=META, map=allowed.replace("other =", "# lint: allow map-catch-all\nother ="))

    report = project.lint()

    assert [found.rule for found in report.silenced] == ["map-catch-all"]
    assert [(found.rule, found.line) for found in report.findings] == [("bad-allowance", 9)]


def test_operations_are_run_up_and_down_and_their_failure_is_an_error(project, server_dsn):
    project.write(REVISION, meta=META, map=MAP.replace('"%"', "half"))
    sound = project.lint(scratch_dsn=server_dsn)
    project.write(
        "20260103T000000_again", meta=META.replace("20260101T000000_base", REVISION), map=MAP.replace('"%"', "half")
    )

    broken = project.lint(scratch_dsn=server_dsn)

    assert (sound.findings, sound.notices) == ((), ())
    (error,) = broken.errors
    assert (error.place, error.rule) == ("20260103T000000_again/meta.toml:1", "compile")
    assert "already exists" in error.message
    assert len(broken.notices) == 1


def test_a_script_beside_operations_runs_in_one_transaction(project):
    up = """
        UPDATE role_agents SET name = status WHERE level = 1;
        ALTER TABLE role_agents DROP COLUMN status;
    """
    project.write(REVISION, meta=META, map=MAP.replace('"%"', "half"), up=up, down="SELECT 1;")

    report = project.lint()

    assert [(found.rule, found.severity.value) for found in report.findings if found.line == 3] == [
        ("down-does-not-undo", "warning"),
        ("drop-after-update", "warning"),
    ]
