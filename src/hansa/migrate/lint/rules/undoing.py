"""The rule about the way back."""

from collections.abc import Iterator

from hansa.migrate.lint.ddl import (
    AddColumn,
    AddConstraint,
    AlterTable,
    CreateIndex,
    CreateObject,
    CreateRoutine,
    CreateTable,
    CreateView,
    Drop,
    DropColumn,
    DropConstraint,
    Name,
    ObjectKind,
    Parsed,
    RenameColumn,
)
from hansa.migrate.lint.report import Severity
from hansa.migrate.lint.rules.rule import Spot, rule
from hansa.migrate.lint.schema import Object, Schema
from hansa.migrate.lint.subject import UP, Subject


@rule(
    "down-does-not-undo",
    Severity.WARNING,
    hint="undo it in down.sql, or allow it with the reason why it stays",
)
def down_does_not_undo(subject: Subject) -> Iterator[Spot]:
    """What stays behind makes the next up fail, or find something other than it expects."""
    stages = subject.stages
    if stages.restored is None:
        return
    optional = _optional(subject.up)
    for found in _outermost(stages.restored, stages.before):
        if found not in optional:
            yield Spot(file=UP, line=_line(subject.up, found), message=f"{found} is still there after down.sql")
    for found in _outermost(stages.before, stages.restored):
        yield Spot(file=UP, line=_line(subject.up, found), message=f"{found} is not brought back by down.sql")


def _outermost(some: Schema, others: Schema) -> list[Object]:
    """What is in one schema and not in the other, without what only goes along with something else that is."""
    surplus = some.objects.keys() - others.objects.keys()
    return sorted(found for found in surplus if not any(owner in surplus for owner in _owners(found, some)))


def _owners(found: Object, schema: Schema) -> Iterator[Object]:
    """What an object goes along with."""
    facts = schema.objects[found]
    if found.kind is not ObjectKind.SCHEMA:
        yield Object(kind=ObjectKind.SCHEMA, name=Name(schema="", name=found.name.schema))
    table = found.name if found.part else facts.table
    if table is None:
        return
    yield Object(kind=ObjectKind.TABLE, name=table)
    yield Object(kind=ObjectKind.VIEW, name=table)
    for column in facts.columns:
        yield Object(kind=ObjectKind.COLUMN, name=table, part=column)
    if found.kind is ObjectKind.INDEX:
        yield Object(kind=ObjectKind.CONSTRAINT, name=table, part=found.name.name)


def _optional(statements: tuple[Parsed, ...]) -> set[Object]:
    """Extensions that may have been there before: whoever says IF NOT EXISTS cannot know that it is theirs to drop."""
    return {
        Object(kind=ObjectKind.EXTENSION, name=statement.what.name)
        for statement in statements
        if isinstance(statement.what, CreateObject)
        and statement.what.kind is ObjectKind.EXTENSION
        and statement.what.if_not_exists
    }


def _line(statements: tuple[Parsed, ...], found: Object) -> int:
    """Where the script makes, drops or renames the object; its first line when that cannot be told."""
    return next((line for statement in statements for line, name in _about(statement) if name == _own_name(found)), 1)


def _own_name(found: Object) -> str:
    return found.part or found.name.name


def _about(statement: Parsed) -> Iterator[tuple[int, str]]:
    """Lines of a statement with the names of what it makes, drops or renames there."""
    what = statement.what
    if isinstance(what, (CreateTable, CreateView, CreateRoutine, CreateObject)):
        yield statement.line, what.name.name
        for column in what.columns if isinstance(what, CreateTable) else ():
            yield column.line, column.name
    elif isinstance(what, CreateIndex):
        yield statement.line, what.name or ""
    elif isinstance(what, Drop):
        yield from ((statement.line, name.name) for name in what.names)
    elif isinstance(what, AlterTable):
        yield from _about_parts(what)


def _about_parts(what: AlterTable) -> Iterator[tuple[int, str]]:
    for action in what.actions:
        match action:
            case AddColumn():
                yield action.line, action.column.name
            case AddConstraint():
                yield action.line, action.constraint.name or ""
            case DropColumn():
                yield action.line, action.column
            case DropConstraint():
                yield action.line, action.constraint
            case RenameColumn():
                yield action.line, action.to
                yield action.line, action.column
            case _:
                pass
