"""Asks squawk, a linter for PostgreSQL migrations, when it is installed beside us (`pip install squawk-cli`).

It knows much about locks and types that is not repeated here. What it would say about matters that the engine settles
itself, or that a rule of ours judges with more knowledge, is left out.
"""

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hansa.migrate.lint.errors import SquawkFailed
from hansa.migrate.lint.report import Finding, Severity
from hansa.migrate.lint.subject import UP
from hansa.migrate.revisions import Revision

CONFIG = ".squawk.toml"
PREFIX = "squawk/"
FILES_AT_ONCE = 200
SETTLED = frozenset(
    (
        "require-lock-timeout",  # the engine sets lock_timeout for every statement, and tries again
        "require-statement-timeout",  # a long step is a rehearsal's business, not a time-out's
        "require-timeout-settings",  # both of them, as earlier versions called it
        "prefer-robust-stmts",  # IF NOT EXISTS hides what is there; the ledger knows what is applied
        "require-concurrent-index-creation",  # index-not-concurrent knows which tables are new
        "adding-foreign-key-constraint",  # fk-not-valid-missing knows the same
        "adding-not-nullable-field",  # set-not-null-scan knows of a CHECK in an earlier revision
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What squawk said."""

    findings: tuple[Finding, ...] = ()
    missing: bool = False
    """squawk is not installed in this environment."""


def ask_squawk(directory: Path, revisions: Sequence[Revision]) -> Answer:
    """The findings about every up.sql, under the project's own .squawk.toml where there is one. Raises SquawkFailed."""
    binary = shutil.which("squawk", path=sysconfig.get_path("scripts"))
    if binary is None:
        return Answer(missing=True)
    written = [revision for revision in revisions if revision.up is not None]
    found: list[Finding] = []
    for transactional in (True, False):
        names = [each.id for each in written if (each.transactional or bool(each.operations)) is transactional]
        for start in range(0, len(names), FILES_AT_ONCE):
            found += _run(
                binary, directory.absolute(), names[start : start + FILES_AT_ONCE], transactional=transactional
            )
    return Answer(findings=tuple(found))


def _run(binary: str, directory: Path, names: Sequence[str], *, transactional: bool) -> Iterator[Finding]:
    """The names of revisions hold nothing that squawk would take for a pattern; the folder's own might."""
    config = _config(directory)
    command = [binary, "--reporter", "json", f"--{'' if transactional else 'no-'}assume-in-transaction"]
    command += ["--config", str(config)] if config else []
    command += [f"{name}/{UP}" for name in names]
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, encoding="utf-8", check=False)
    try:
        answers = json.loads(ended.stdout)
    except json.JSONDecodeError as error:
        said = " ".join((ended.stderr or ended.stdout).split()) or f"exit code {ended.returncode}"
        raise SquawkFailed(f"squawk gave no answer: {said}") from error
    return (_finding(answer) for answer in answers if answer["rule_name"] not in SETTLED)


def _config(directory: Path) -> Path | None:
    """The nearest .squawk.toml, beside the revisions or above."""
    return next((folder / CONFIG for folder in (directory, *directory.parents) if (folder / CONFIG).is_file()), None)


def _finding(answer: dict[str, Any]) -> Finding:  # as squawk's JSON reporter writes it
    return Finding(
        revision=Path(answer["file"]).parent.name,
        file=UP,
        line=answer["line"] + 1,
        rule=PREFIX + answer["rule_name"],
        severity=Severity.ERROR if answer["level"] == "Error" else Severity.WARNING,
        message=_phrase(answer["message"]),
        hint=_phrase(answer["help"] or ""),
    )


def _phrase(text: str) -> str:
    """On one line and without a full stop, as ours are."""
    return " ".join(text.split()).removesuffix(".")
