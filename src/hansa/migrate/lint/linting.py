"""Puts the three layers together: rules over the text, squawk, and a run on a scratch database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hansa.migrate.graph import with_requirements
from hansa.migrate.lint.allowances import File, sort_out
from hansa.migrate.lint.compiling import COMPILE, Compiled, compile_revisions
from hansa.migrate.lint.errors import UnknownSelection
from hansa.migrate.lint.report import Finding, LintReport
from hansa.migrate.lint.rules import RULES
from hansa.migrate.lint.squawk import PREFIX, Answer, ask_squawk
from hansa.migrate.lint.subject import subjects
from hansa.migrate.lint.value_maps import CATCH_ALL, map_findings
from hansa.migrate.online.specification import MAP
from hansa.migrate.revisions import Revision, load, normalised

_NAMES = frozenset((*(rule.name for rule in RULES), CATCH_ALL))


def lint(
    directory: Path, *, scratch_dsn: str | None = None, squawk: bool = True, only: Sequence[str] = ()
) -> LintReport:
    """Everything that is wrong with the revisions of a folder, as far as it can be known before they are applied.

    `scratch_dsn` is of a server on which databases may be created; with it every revision is also run, and columns and
    indexes are compared as the server shows them. `only` names revisions, rules, or both, and leaves out the rest.
    Raises UnknownSelection, SquawkFailed, and what reading the folder or making a database raises.
    """
    revisions = load(directory)
    selection = _Selection.of(only, revisions)
    chosen = tuple(revision for revision in revisions if selection.has_revision(revision.id))
    compiled = Compiled()
    if scratch_dsn is not None:
        compiled = compile_revisions(scratch_dsn, directory, _with_all_requirements(revisions, chosen))
    answer = ask_squawk(directory, chosen) if squawk else Answer()
    found = (*_rule_findings(revisions, compiled), *_maps(directory, revisions), *answer.findings, *compiled.findings)
    outcome = sort_out(
        (finding for finding in found if selection.has(finding)),
        _files(directory, chosen),
        is_rule=lambda name: name in _NAMES or name.startswith(PREFIX),
        was_checked=lambda name: selection.has_rule(name) and (name in _NAMES or (squawk and not answer.missing)),
    )
    order = {revision.id: position for position, revision in enumerate(revisions)}
    return LintReport(
        findings=_in_order(outcome.open, order),
        silenced=_in_order(outcome.silenced, order),
        notices=(*_absent(answer), *compiled.notices),
        revisions=len(chosen),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    """What the caller wants to hear about."""

    revisions: frozenset[str]
    """Empty: all."""
    rules: frozenset[str]
    """Empty: all."""

    @classmethod
    def of(cls, names: Sequence[str], revisions: Sequence[Revision]) -> "_Selection":
        known = {revision.id for revision in revisions}
        for name in names:
            if name not in known | _NAMES | {COMPILE} and not name.startswith(PREFIX):
                raise UnknownSelection(f"{name} is neither a revision of the folder nor a rule of the lint")
        return cls(revisions=frozenset(names) & known, rules=frozenset(names) - known)

    def has_revision(self, revision: str) -> bool:
        return not self.revisions or revision in self.revisions

    def has_rule(self, rule: str) -> bool:
        return not self.rules or rule in self.rules

    def has(self, finding: Finding) -> bool:
        return self.has_revision(finding.revision) and self.has_rule(finding.rule)


def _with_all_requirements(revisions: Sequence[Revision], chosen: Sequence[Revision]) -> tuple[Revision, ...]:
    needed = {each.id for revision in chosen for each in with_requirements(revisions, revision.id)}
    return tuple(revision for revision in revisions if revision.id in needed)


def _rule_findings(revisions: Sequence[Revision], compiled: Compiled) -> Iterator[Finding]:
    for subject in subjects(revisions, compiled.stages):
        for rule in RULES:
            yield from rule.findings(subject)


def _maps(directory: Path, revisions: Sequence[Revision]) -> Iterator[Finding]:
    for revision in revisions:
        if MAP in revision.files:
            text = (directory / revision.id / MAP).read_text(encoding="utf-8")
            yield from map_findings(revision.id, normalised(text))


def _files(directory: Path, revisions: Sequence[Revision]) -> Iterator[File]:
    """Every file that may hold a comment for the lint."""
    for revision in revisions:
        scripts = [script for script in (revision.up, revision.down, revision.verify, revision.seed) if script]
        starts = {script.name: tuple(statement.line for statement in script.statements) for script in scripts}
        for name in (*starts, *({MAP} & revision.files.keys())):
            text = normalised((directory / revision.id / name).read_text(encoding="utf-8"))
            yield File(revision=revision.id, name=name, text=text, starts=starts.get(name, ()))


def _in_order(findings: Sequence[Finding], order: dict[str, int]) -> tuple[Finding, ...]:
    unique = dict.fromkeys(findings)
    return tuple(
        sorted(unique, key=lambda found: (order[found.revision], found.file, found.line, found.rule, found.message))
    )


def _absent(answer: Answer) -> tuple[str, ...]:
    if not answer.missing:
        return ()
    return ("squawk is not installed beside this Python, so its rules were not asked; pip install squawk-cli",)
