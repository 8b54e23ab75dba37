"""What the lint answers: findings in the order of the folder, ready to be shown."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is: what loses or falsifies data or cannot run is an error, what only costs is a warning.

    How long a lock is held depends on the size of the table, which no text tells: that is what a rehearsal measures.
    """

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong with a revision."""

    revision: str
    file: str
    """Name within the revision's folder, for example `up.sql`."""
    line: int
    """From 1."""
    rule: str
    severity: Severity
    message: str
    """What is wrong here."""
    hint: str
    """What to do instead; empty where the message says it."""

    @property
    def place(self) -> str:
        """Where it is, in the form that editors and terminals make a link of."""
        return f"{self.revision}/{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintReport:
    """What `lint` found in a folder."""

    findings: tuple[Finding, ...]
    """By revision in the order of the folder, then file and line."""
    silenced: tuple[Finding, ...]
    """What a comment with a reason allows."""
    notices: tuple[str, ...]
    """What could not be looked at, and why."""
    revisions: int
    """How many were looked at."""

    @property
    def ok(self) -> bool:
        """Whether nothing is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.WARNING)

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each rule was broken, most often first."""
        return dict(Counter(finding.rule for finding in self.findings).most_common())

    def as_rows(self) -> tuple[tuple[str, str, str, str], ...]:
        """One row a finding: severity, place, rule, message with its hint."""
        return tuple(
            (
                finding.severity.value,
                finding.place,
                finding.rule,
                "; ".join(filter(None, (finding.message, finding.hint))),
            )
            for finding in self.findings
        )
