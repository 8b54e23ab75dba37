"""Finds what is wrong with migrations before they are applied, in three layers.

- rules over the text, about what no other linter sees: values that an ELSE turns into others, columns dropped before
  anybody compared them, NOT NULL and indexes lost with a name; each rule carries the reason why it is one
- squawk, when it is installed, for what it knows of locks and types
- a run of every revision on a scratch database, up, verify, seed and down, so that PostgreSQL itself has its say

What loses or falsifies data, or cannot run, is an error; what only costs is a warning, and a rehearsal says how much.
A comment `-- lint: allow <rule> because <reason>` on the line, or above it, sets one finding aside.
"""

from hansa.migrate.lint.errors import SquawkFailed, UnknownSelection
from hansa.migrate.lint.linting import lint
from hansa.migrate.lint.report import Finding, LintReport, Severity
from hansa.migrate.lint.rules import RULES, Rule

__all__ = [
    "RULES",
    "Finding",
    "LintReport",
    "Rule",
    "Severity",
    "SquawkFailed",
    "UnknownSelection",
    "lint",
]
