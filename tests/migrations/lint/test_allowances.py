"""A comment with a reason sets one finding aside; any other comment of its kind is a finding itself."""

from __future__ import annotations

import pytest

REVISION = "20260102T000000_change"
REASON = "because the old table has twelve rows"


def rules(report):
    return [(finding.rule, finding.line) for finding in report.findings if finding.revision == REVISION]


@pytest.mark.parametrize(
    "up",
    [
        f"SELECT 1;\n-- lint: allow cascade-drop {REASON}\nDROP TABLE role_agents CASCADE;",
        f"DROP TABLE role_agents CASCADE; -- lint: allow cascade-drop {REASON}",
        f"-- lint: allow cascade-drop {REASON}\n-- and one more word about it\nDROP TABLE role_agents CASCADE;",
        f"-- lint: allow cascade-drop {REASON}\nALTER TABLE role_agents\n  DROP COLUMN name,\n  DROP COLUMN status CASCADE;",
        f"ALTER TABLE role_agents\n  -- lint: allow cascade-drop {REASON}\n  DROP COLUMN status CASCADE;",
    ],
)
def test_a_comment_with_a_reason_sets_a_finding_aside(project, up):
    project.change(up, down="SELECT 1;")

    report = project.lint(only=(REVISION, "cascade-drop"))

    assert (report.findings, report.ok) == ((), True)
    assert [finding.rule for finding in report.silenced] == ["cascade-drop"]


def test_a_comment_allows_only_its_rule_and_only_at_its_place(project):
    allowance = f"-- lint: allow if-not-exists-table {REASON}"
    project.change(
        f"{allowance}\nCREATE TABLE IF NOT EXISTS a (n int);\nCREATE TABLE IF NOT EXISTS b (n int);\n"
        "CREATE INDEX ON role_agents (level);",
        down="DROP TABLE a; DROP TABLE b; DROP INDEX role_agents_level_idx;",
    )

    report = project.lint()

    assert rules(report) == [("if-not-exists-table", 3), ("index-not-concurrent", 4)]
    assert [finding.place for finding in report.silenced] == [f"{REVISION}/up.sql:2"]


@pytest.mark.parametrize(
    "comment",
    [
        "-- lint: allow cascade-drop",
        "-- lint: allow cascade-drop because",
        "-- lint: allow cascade-drop it is fine",
        "-- lint: ignore cascade-drop because it is fine",
        "-- lint:",
    ],
)
def test_a_comment_without_a_reason_is_an_error_and_allows_nothing(project, comment):
    project.change(f"{comment}\nDROP TABLE role_agents CASCADE;", down="CREATE TABLE role_agents (n int);")

    report = project.lint(only=(REVISION,))

    assert [found for found in rules(report) if found[0] != "down-does-not-undo"] == [
        ("bad-allowance", 1),
        ("cascade-drop", 2),
    ]
    assert not report.ok


@pytest.mark.parametrize("rule", ["cascade-drops", "compile", "bad-allowance"])
def test_a_comment_for_what_is_no_rule_or_cannot_be_allowed_is_an_error(project, rule):
    project.change(f"-- lint: allow {rule} because nobody reads this\nSELECT 1;")

    report = project.lint()

    assert rules(report) == [("bad-allowance", 1)]
    assert rule in report.errors[0].message


def test_a_comment_that_allows_nothing_any_more_is_a_warning(project):
    project.change("-- lint: allow cascade-drop because it was needed once\nSELECT 1;")

    report = project.lint()

    assert rules(report) == [("unused-allowance", 1)]
    assert report.ok


def test_what_was_not_checked_does_not_make_a_comment_useless(project):
    project.change("-- lint: allow squawk/ban-drop-column because nobody reads it\nSELECT 1;")

    without, with_squawk = project.lint(), project.lint(squawk=True)

    assert rules(without) == []
    assert rules(with_squawk) == [("unused-allowance", 1)]


def test_a_comment_inside_a_literal_or_a_routine_allows_nothing(project):
    project.change(
        f"COMMENT ON TABLE role_agents IS '\n-- lint: allow if-not-exists-table {REASON}\n';\n"
        "CREATE TABLE IF NOT EXISTS a (n int);",
        down="DROP TABLE a;",
    )

    report = project.lint()

    assert rules(report) == [("if-not-exists-table", 4)]
