"""Runs every revision for real in a database of its own, so that what the server would refuse is found at once.

Up in order, each followed by its verify.sql and its seed.sql, then down to the bottom. A GIN index on text, an index
expression that is not IMMUTABLE, a CHECK that the project's own seeds violate: no reading of the text finds them all.

The database is dropped at the end. What a revision makes outside it, such as roles, stays on the server.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hansa.migrate import ledger, testing
from hansa.migrate.errors import EmptyVerify, LockLost, MalformedVerify, Refusal, StatementFailed
from hansa.migrate.lint import server
from hansa.migrate.lint.report import Finding, Severity
from hansa.migrate.lint.schema import Schema
from hansa.migrate.lint.subject import DOWN, UP, Stages
from hansa.migrate.lint.tokens import tokenize
from hansa.migrate.online.errors import OperationFailed, OperationRefused
from hansa.migrate.options import Options
from hansa.migrate.results import Check
from hansa.migrate.revisions import META, Revision
from hansa.migrate.runner import run_alone, run_script, run_together
from hansa.migrate.session import connect, locked
from hansa.migrate.stepwise import run_stepwise
from hansa.migrate.verification import checks_of

COMPILE = "compile"
VERIFY, SEED = "verify.sql", "seed.sql"
_FAULTS = (StatementFailed, OperationFailed, OperationRefused, LockLost, EmptyVerify, MalformedVerify)
_PLACE = re.compile(r"(?P<revision>[^/\s]+)/(?P<file>[a-z]+\.sql),?(?: statement \d+, line (?P<line>\d+))?:?\s*")
_REFUSED_CHECK = re.compile(r"statement \d+, line (\d+)")


@dataclass(slots=True, kw_only=True)
class Compiled:
    """What came of running the revisions."""

    findings: list[Finding] = field(default_factory=list[Finding])
    notices: list[str] = field(default_factory=list[str])
    stages: dict[str, Stages] = field(default_factory=dict[str, Stages])
    """What the server held around each revision that went up."""


def compile_revisions(server_dsn: str, directory: Path, revisions: Sequence[Revision]) -> Compiled:
    """Run these revisions, given in their order, up and down. `server_dsn` is of a user who may create databases.

    After one that fails, those that do not require it are still run. Raises what `testing.scratch` raises.
    """
    with testing.scratch(server_dsn, "lint") as dsn:
        compiler = _Compiler(dsn, directory)
        compiler.climb(revisions)
        compiler.descend()
    return compiler.result


class _Compiler:
    """Goes up and down in one database.

    It works below the commands `up` and `down`: they read the whole folder and check the whole ledger at each call, and
    a long history would be read once for each of its revisions.
    """

    def __init__(self, dsn: str, directory: Path) -> None:
        self.dsn = dsn
        self.directory = directory
        self.result = Compiled()
        self.applied: list[Revision] = []
        self.half_way: str | None = None
        """A revision that failed outside of a transaction, and may have left something behind."""

    def climb(self, revisions: Sequence[Revision]) -> None:
        """Apply what can be applied, verify and seed it."""
        with locked(self.dsn, Options()) as session:
            ledger.prepare(session)
        before = self._look()
        for revision in revisions:
            missing = [name for name in revision.requires if name not in {each.id for each in self.applied}]
            if missing:
                self.result.notices.append(f"{revision.id} was not compiled: it requires {missing[0]}, which was not")
            elif self._attempt(revision, UP, self._run):
                after = self._look()
                self.result.stages[revision.id] = Stages(before=before, after=after, restored=None)
                before = after
                self.applied.append(revision)
                self._attempt(revision, VERIFY, self._verify)
                self._attempt(revision, SEED, self._seed)
            elif not revision.transactional:
                self.half_way = revision.id
                before = self._look()

    def descend(self) -> None:
        """Revert what was applied, as far as there is a way back."""
        if self.half_way is not None:
            self.result.notices.append(
                f"no down.sql was compiled: {self.half_way} stopped half-way and left its traces"
            )
            return
        for revision in reversed(self.applied):
            if revision.irreversible is not None:
                self.result.notices.append(f"no down.sql from {revision.id} on was compiled: it is irreversible")
                return
            if not self._attempt(revision, DOWN, self._run):
                self.result.notices.append(f"no down.sql below {revision.id} was compiled")
                return
            seen = self.result.stages[revision.id]
            self.result.stages[revision.id] = Stages(before=seen.before, after=seen.after, restored=self._look())

    def _attempt(self, revision: Revision, file: str, step: Callable[[Revision, str], None]) -> bool:
        """Take a step; what the server or the engine says against it becomes a finding."""
        try:
            step(revision, file)
        except _FAULTS as refusal:
            self.result.findings.append(_refused(revision, file, refusal))
            return False
        return True

    def _run(self, revision: Revision, file: str) -> None:
        direction = file.removesuffix(".sql")
        with locked(self.dsn, Options(lose_data=True)) as session:  # what there is was made by the scripts themselves
            if revision.operations:
                run_stepwise(session, revision, direction)
            elif revision.transactional:
                run_together(session, [revision], direction)
            else:
                run_alone(session, revision, direction, None)

    def _verify(self, revision: Revision, _file: str) -> None:
        if revision.verify is None:
            return
        with locked(self.dsn, Options()) as session:
            checks = checks_of(session, revision)
        self.result.findings += [self._failed_check(revision, check) for check in checks if not check.ok]

    def _seed(self, revision: Revision, _file: str) -> None:
        if revision.seed is None:
            return
        with locked(self.dsn, Options()) as session, session.connection.transaction():
            run_script(session, revision, revision.seed)

    def _look(self) -> Schema:
        with connect(self.dsn) as connection:
            return server.read(connection)

    def _failed_check(self, revision: Revision, check: Check) -> Finding:
        """At the line where verify.sql writes the check's name, which is usually a literal there."""
        text = (self.directory / revision.id / VERIFY).read_text(encoding="utf-8")
        named = [token.line for token in tokenize(text) if token.literal == check.name]
        refused = _REFUSED_CHECK.fullmatch(check.name)
        line = int(refused[1]) if refused else next(iter(named), 1)
        said = check.detail if refused else f"{check.name}{': ' if check.detail else ''}{check.detail}"
        return _finding(revision, VERIFY, line, f"does not hold right after up: {said}")


def _refused(revision: Revision, file: str, refusal: Refusal) -> Finding:
    """The engine names file and line in front of what PostgreSQL said; online operations stand in meta.toml."""
    message = str(refusal)
    if isinstance(refusal, (OperationFailed, OperationRefused)):
        return _finding(revision, META, 1, message)
    place = _PLACE.match(message)
    if place is None:
        return _finding(revision, file, 1, message)
    return _finding(revision, place["file"], int(place["line"] or 1), message[place.end() :])


def _finding(revision: Revision, file: str, line: int, message: str) -> Finding:
    return Finding(
        revision=revision.id,
        file=file,
        line=line,
        rule=COMPILE,
        severity=Severity.ERROR,
        message=message,
        hint="",
    )
