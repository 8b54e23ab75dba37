"""squawk is asked when it is there, under the project's own settings."""

from __future__ import annotations

import stat
import sysconfig

import pytest

from hansa.migrate.lint import SquawkFailed

REVISION = "20260102T000000_change"
UP = "SELECT 1;\nALTER TABLE role_agents\n  DROP COLUMN status;\nCREATE INDEX ON role_agents (level);\n"


def squawks(report):
    return [(finding.rule, finding.line) for finding in report.findings if finding.rule.startswith("squawk/")]


def test_what_squawk_finds_is_a_warning_at_its_line_with_its_name(project):
    project.change(UP)

    report = project.lint(squawk=True, only=(REVISION,))

    assert squawks(report) == [("squawk/ban-drop-column", 3)]
    assert {finding.severity for finding in report.findings} == {"warning"}
    assert report.notices == ()


def test_what_the_engine_or_a_rule_of_ours_settles_is_not_said_again(project):
    project.change("CREATE INDEX ON role_agents (level);\nALTER TABLE role_agents ALTER name SET NOT NULL;")

    report = project.lint(squawk=True, only=(REVISION,))

    assert squawks(report) == []
    assert {"index-not-concurrent", "set-not-null-scan"} <= report.counts.keys()


def test_the_settings_of_the_project_above_the_folder_hold(project):
    project.change(UP)
    (project.path.parent / ".squawk.toml").write_text('excluded_rules = ["ban-drop-column"]')

    report = project.lint(squawk=True, only=(REVISION,))

    assert squawks(report) == []


def test_squawk_knows_which_revisions_run_in_a_transaction(project):
    project.change("SELECT 1;\nCREATE INDEX CONCURRENTLY i ON role_agents (level);")
    project.write(
        "20260103T000000_alone",
        meta="transactional = false",
        down="SELECT 1;",
        up="SELECT 1;\nCREATE INDEX CONCURRENTLY j ON role_agents (name);",
    )

    report = project.lint(squawk=True)

    rule = "squawk/ban-concurrent-index-creation-in-transaction"
    assert [found.revision for found in report.findings if found.rule == rule] == [REVISION]


def test_a_finding_of_squawk_can_be_allowed_in_place(project):
    project.change(UP.replace("ALTER", "-- lint: allow squawk/ban-drop-column because nobody reads it\nALTER"))

    report = project.lint(squawk=True, only=(REVISION,))

    assert squawks(report) == []
    assert [finding.rule for finding in report.silenced] == ["squawk/ban-drop-column"]


def test_a_missing_squawk_is_a_notice(project, tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    project.change(UP)

    report = project.lint(squawk=True)

    assert len(report.notices) == 1
    assert "squawk" in report.notices[0]
    assert "index-not-concurrent" in report.counts


@pytest.mark.parametrize("settings", ['pg_version = "eighteen"', "no toml at all"])
def test_faulty_settings_of_squawk_are_refused_with_what_it_says(project, settings):
    project.change(UP)
    (project.path / ".squawk.toml").write_text(settings)

    with pytest.raises(SquawkFailed, match="Configuration error"):
        project.lint(squawk=True)


def test_a_squawk_that_breaks_down_is_refused(project, tmp_path, monkeypatch):
    broken = tmp_path / "squawk"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    project.change(UP)

    with pytest.raises(SquawkFailed, match="exit code 3"):
        project.lint(squawk=True)
