"""A project in one folder: a revision with some tables, and a second one that the lint looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.migrate.lint import Finding, LintReport, lint

BASE, REVISION = "20260101T000000_base", "20260102T000000_change"

TABLES = """
CREATE TABLE organizations (id text PRIMARY KEY);
CREATE TABLE role_agents (
    id text PRIMARY KEY,
    status text NOT NULL DEFAULT 'active',
    name text,
    level integer NOT NULL,
    organization_id text
);
CREATE INDEX idx_role_agents_status ON role_agents (status);
CREATE TYPE kind AS ENUM ('a', 'b');
"""
DOWN = "DROP TABLE role_agents; DROP TABLE organizations; DROP TYPE kind;"


class Project:
    """A folder of revisions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(BASE, up=TABLES, down=DOWN)

    def write(self, revision: str, *, meta: str = "", **files: str) -> None:
        """Write a revision; files are `up`, `down`, `verify`, `seed`, and `map`."""
        folder = self.path / revision
        folder.mkdir(parents=True)
        (folder / "meta.toml").write_text(meta)
        for name, text in files.items():
            (folder / ("map.toml" if name == "map" else f"{name}.sql")).write_text(text)

    def change(self, up: str, *, down: str = "SELECT 1;", transactional: bool = True, **files: str) -> None:
        """Write the revision under test."""
        meta = f'requires = ["{BASE}"]\n{"" if transactional else "transactional = false"}'
        self.write(REVISION, meta=meta, up=up, down=down, **files)

    def lint(self, *, squawk: bool = False, scratch_dsn: str | None = None, only: tuple[str, ...] = ()) -> LintReport:
        return lint(self.path, squawk=squawk, scratch_dsn=scratch_dsn, only=only)

    def found(self, rule: str, up: str, *, down: str = "SELECT 1;", transactional: bool = True) -> tuple[Finding, ...]:
        """What one rule says about a revision."""
        self.change(up, down=down, transactional=transactional)
        return tuple(finding for finding in self.lint().findings if finding.rule == rule)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "migrations")
