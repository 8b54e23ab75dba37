"""What the report says as a whole, and what it refuses."""

from __future__ import annotations

import pytest

from hansa.migrate import errors
from hansa.migrate.lint import LintReport, UnknownSelection, lint
from hansa.migrations import DIRECTORY

BASE = "20260101T000000_base"
REVISION = "20260102T000000_change"
UP = """
CREATE INDEX ON role_agents (level);
DELETE FROM role_agents;
CREATE TABLE IF NOT EXISTS t (n int);
"""
DOWN = "DROP INDEX role_agents_level_idx; DROP TABLE t CASCADE;"


@pytest.fixture
def report(project) -> LintReport:
    project.write("20260103T000000_later", up="DELETE FROM role_agents;", meta=f'requires = ["{REVISION}"]')
    project.change(UP, down=DOWN)
    (project.path / "20260103T000000_later" / "down.sql").write_text("SELECT 1;")
    return project.lint()


def test_findings_come_in_the_order_of_revision_file_and_line(report):
    assert [finding.place for finding in report.findings] == [
        f"{REVISION}/down.sql:1",
        f"{REVISION}/up.sql:2",
        f"{REVISION}/up.sql:3",
        f"{REVISION}/up.sql:4",
        "20260103T000000_later/up.sql:1",
    ]


def test_only_an_error_makes_a_report_bad(project, report):
    warnings = project.lint(only=(BASE, REVISION, "index-not-concurrent"))

    assert (report.ok, len(report.errors), len(report.warnings), report.revisions) == (False, 3, 2, 3)
    assert report.counts == {
        "unbatched-update": 2,
        "cascade-drop": 1,
        "index-not-concurrent": 1,
        "if-not-exists-table": 1,
    }
    assert (warnings.ok, len(warnings.warnings), warnings.revisions) == (True, 1, 2)


def test_a_row_has_severity_place_rule_and_message(report):
    finding, row = report.findings[2], report.as_rows()[2]

    assert finding.hint.startswith("change the rows in batches by key")
    assert row == (
        "error",
        f"{REVISION}/up.sql:3",
        "unbatched-update",
        f"every row of role_agents is deleted at once; {finding.hint}",
    )


def test_only_narrows_the_report_to_revisions_and_rules(project, report):
    one = project.lint(only=("20260103T000000_later",))
    both = project.lint(only=(REVISION, "cascade-drop", "unbatched-update"))

    assert [finding.rule for finding in one.findings] == ["unbatched-update"]
    assert [finding.rule for finding in both.findings] == ["cascade-drop", "unbatched-update"]
    with pytest.raises(UnknownSelection, match="no-such-rule"):
        project.lint(only=("no-such-rule",))


def test_a_folder_that_cannot_be_read_is_refused_by_name(project, tmp_path):
    (project.path / BASE / "up.sql").write_text("SELECT 'open")

    with pytest.raises(errors.Unterminated):
        project.lint()
    with pytest.raises(errors.DirectoryMissing):
        lint(tmp_path / "nowhere")


def test_our_own_migrations_have_no_error():
    report = lint(DIRECTORY, squawk=True)

    assert report.errors == ()
    assert report.revisions >= 11
    assert report.notices == ()
