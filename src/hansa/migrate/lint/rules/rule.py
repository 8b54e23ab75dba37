"""A rule of the lint: a small function over one revision, with a name and the reason why it is there."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hansa.migrate.lint.report import Finding, Severity
from hansa.migrate.lint.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a rule is broken, and how."""

    file: str
    line: int
    message: str
    severity: Severity | None = None
    """None: that of the rule."""


Check = Callable[[Subject], Iterator[Spot]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that a migration must not do."""

    name: str
    """As findings and `-- lint: allow` comments call it."""
    severity: Severity
    hint: str
    """What to do instead."""
    reason: str
    """Why it is a rule: what happened to those who did it."""
    check: Check

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """What a revision does against the rule."""
        for spot in self.check(subject):
            yield Finding(
                revision=subject.revision.id,
                file=spot.file,
                line=spot.line,
                rule=self.name,
                severity=spot.severity or self.severity,
                message=spot.message,
                hint=self.hint,
            )


def rule(name: str, severity: Severity, *, hint: str) -> Callable[[Check], Rule]:
    """Make a rule of a function; its docstring is the reason."""

    def made(check: Check) -> Rule:
        reason = inspect.getdoc(check)
        assert reason, name
        return Rule(name=name, severity=severity, hint=hint, reason=reason, check=check)

    return made
