"""Rules about columns that take the name of another one, and what the other one had."""

from collections.abc import Iterator
from dataclasses import dataclass

from hansa.migrate.lint.ddl import AlterTable, Drop, DropColumn, Name, ObjectKind, RenameColumn, SetNotNull
from hansa.migrate.lint.report import Severity
from hansa.migrate.lint.rules.rule import Spot, rule
from hansa.migrate.lint.schema import Facts
from hansa.migrate.lint.subject import UP, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replaced:
    """A column whose name another one took over."""

    table: Name
    column: str
    stand_in: str
    """What the new one was called before."""
    line: int
    before: Facts | None
    """None: the folder did not make the table, so nothing is known of it."""
    after: Facts | None


def _replaced(subject: Subject) -> Iterator[_Replaced]:
    stages = subject.stages
    dropped: set[tuple[Name, str]] = set()
    for statement in subject.up:
        if not isinstance(statement.what, AlterTable) or not subject.old(statement.what.name):
            continue
        table = statement.what.name
        for action in statement.what.actions:
            if isinstance(action, DropColumn):
                dropped.add((table, action.column))
            if isinstance(action, RenameColumn):
                before = stages.before.column(table, action.to)
                if before is not None or ((table, action.to) in dropped and not stages.before.knows(table)):
                    yield _Replaced(
                        table=table,
                        column=action.to,
                        stand_in=action.column,
                        line=action.line,
                        before=before,
                        after=stages.after.column(table, action.to),
                    )


@rule(
    "lost-not-null",
    Severity.ERROR,
    hint="make the new column NOT NULL before it takes the name over",
)
def lost_not_null(subject: Subject) -> Iterator[Spot]:
    """A new column under an old name begins without NOT NULL, and the first NULL arrives weeks later.

    Where nothing in the folder tells whether the old column had it, it is a warning.
    """
    allowed = _made_nullable(subject)
    for found in _replaced(subject):
        kept = found.after is not None and found.after.not_null
        if kept or not allowed.isdisjoint(((found.table, found.column), (found.table, found.stand_in))):
            continue
        where = f"{found.table}.{found.column}"
        if found.before is None:
            message = f"{where} may be NULL now; if it could not before, that is lost"
            yield Spot(file=UP, line=found.line, message=message, severity=Severity.WARNING)
        elif found.before.not_null:
            yield Spot(file=UP, line=found.line, message=f"{where} was NOT NULL, and what takes its name is not")


def _made_nullable(subject: Subject) -> set[tuple[Name, str]]:
    """Columns of which the script says itself that they may be NULL."""
    return {
        (statement.what.name, action.column)
        for statement in subject.up
        if isinstance(statement.what, AlterTable)
        for action in statement.what.actions
        if isinstance(action, SetNotNull) and not action.not_null
    }


@rule(
    "lost-index",
    Severity.ERROR,
    hint="build the index on the new column before it takes the name over",
)
def lost_index(subject: Subject) -> Iterator[Spot]:
    """Every index on a column goes with it without a word, also the one that kept its values unique.

    Where nothing in the folder tells whether there was one, it is a warning.
    """
    given_up = _dropped_indexes(subject)
    for found in _replaced(subject):
        after = subject.stages.after.indexes(found.table).values()
        if found.before is None:
            if not any(found.column in index.columns for index in after):
                message = f"{found.table}.{found.column} has no index now; if there was one, it is lost"
                yield Spot(file=UP, line=found.line, message=message, severity=Severity.WARNING)
            continue
        kept = {(index.keys, index.unique) for index in after}
        for name, index in subject.stages.before.indexes(found.table).items():
            if found.column in index.columns and (index.keys, index.unique) not in kept and name not in given_up:
                message = f"index {name} on {found.table} ({', '.join(index.keys)}) goes with the old {found.column}"
                yield Spot(file=UP, line=found.line, message=message)


def _dropped_indexes(subject: Subject) -> set[str]:
    """Indexes that the script drops in so many words."""
    return {
        name.name
        for statement in subject.up
        if isinstance(statement.what, Drop) and statement.what.kind is ObjectKind.INDEX
        for name in statement.what.names
    }
