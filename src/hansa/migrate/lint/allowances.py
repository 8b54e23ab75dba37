"""Comments that allow what a rule forbids, in place and with a reason: `-- lint: allow <rule> because <reason>`.

The comment stands on the line of the finding, on the first line of its statement, or directly above one of them.
Errors of the server cannot be allowed, because they happen all the same.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hansa.migrate.lint.report import Finding, Severity
from hansa.migrate.lint.tokens import Kind, tokenize

BAD, UNUSED = "bad-allowance", "unused-allowance"

_ASKS = re.compile(r"(?:--|#)\s*lint:\s*(?P<what>.*?)\s*$", re.DOTALL)
_ALLOWS = re.compile(r"allow\s+(?P<rule>\S+)\s+because\s+(?P<reason>\S.*)", re.DOTALL)
_HOW = "write `lint: allow <rule> because <reason>`"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a revision with the lines on which its statements begin."""

    revision: str
    name: str
    text: str
    starts: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A comment that allows one rule at one place."""

    revision: str
    file: str
    line: int
    rule: str
    covers: frozenset[int]
    """Its own line, and the next one that is not a comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Findings, told apart by the comments."""

    open: tuple[Finding, ...]
    """What counts, with what is wrong with the comments themselves."""
    silenced: tuple[Finding, ...]


def sort_out(
    findings: Iterable[Finding],
    files: Iterable[File],
    *,
    is_rule: Callable[[str], bool],
    was_checked: Callable[[str], bool],
) -> Sorted:
    """Set aside what a comment allows; a faulty comment is an error, one that allows nothing a warning.

    `is_rule` says whether a name is that of a rule that can be allowed, `was_checked` whether that rule had its say.
    """
    found: list[Finding] = []
    allowances: list[Allowance] = []
    starts: dict[tuple[str, str], Sequence[int]] = {}
    for file in files:
        starts[file.revision, file.name] = file.starts
        for comment in _comments(file):
            if isinstance(comment, Allowance) and is_rule(comment.rule):
                allowances.append(comment)
            else:
                found.append(_bad(comment))
    silenced: list[Finding] = []
    used: set[Allowance] = set()
    for finding in findings:
        by = [allowance for allowance in allowances if _covers(allowance, finding, starts)]
        used.update(by)
        (silenced if by else found).append(finding)
    found += [_unused(each) for each in allowances if each not in used and was_checked(each.rule)]
    return Sorted(open=tuple(found), silenced=tuple(silenced))


def _comments(file: File) -> Iterator[Allowance | Finding]:
    """Everything that speaks to the lint: an allowance, or what is wrong with it."""
    mark = "--" if file.name.endswith(".sql") else "#"
    lines = file.text.splitlines()
    for line, text in _marked(file, mark):
        asked = _ASKS.match(text)
        if asked is None:
            continue
        allowed = _ALLOWS.fullmatch(asked["what"])
        if allowed is None:
            yield _finding(file.revision, file.name, line, f"{text.strip()} gives no rule with a reason")
        else:
            yield Allowance(
                revision=file.revision,
                file=file.name,
                line=line,
                rule=allowed["rule"],
                covers=frozenset((line, _next_code(lines, line, mark))),
            )


def _marked(file: File, mark: str) -> Iterator[tuple[int, str]]:
    """Comments of a file, with their lines."""
    if mark == "--":
        for token in tokenize(file.text):
            if token.kind is Kind.COMMENT and token.text.startswith(mark):
                yield token.line, token.text
        return
    for number, line in enumerate(file.text.splitlines(), start=1):
        if mark in line:
            yield number, line[line.index(mark) :]


def _next_code(lines: Sequence[str], line: int, mark: str) -> int:
    """The line that a comment on a line of its own is about; the same line when it stands behind something."""
    if not lines[line - 1].strip().startswith(mark):
        return line
    following = line + 1
    while following <= len(lines) and lines[following - 1].strip().startswith(mark):
        following += 1
    return following


def _covers(allowance: Allowance, finding: Finding, starts: Mapping[tuple[str, str], Sequence[int]]) -> bool:
    place = (finding.revision, finding.file)
    if place != (allowance.revision, allowance.file) or finding.rule != allowance.rule:
        return False
    lines = starts.get(place, ())
    before = bisect_right(lines, finding.line)
    start = lines[before - 1] if before else finding.line
    return not allowance.covers.isdisjoint((finding.line, start))


def _bad(comment: Allowance | Finding) -> Finding:
    if isinstance(comment, Finding):
        return comment
    message = f"there is no rule {comment.rule} that can be allowed"
    return _finding(comment.revision, comment.file, comment.line, message)


def _finding(revision: str, file: str, line: int, message: str) -> Finding:
    return Finding(
        revision=revision, file=file, line=line, rule=BAD, severity=Severity.ERROR, message=message, hint=_HOW
    )


def _unused(allowance: Allowance) -> Finding:
    return Finding(
        revision=allowance.revision,
        file=allowance.file,
        line=allowance.line,
        rule=UNUSED,
        severity=Severity.WARNING,
        message=f"nothing here is against {allowance.rule}",
        hint="remove the comment",
    )
