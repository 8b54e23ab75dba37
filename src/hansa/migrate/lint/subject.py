"""What a rule looks at: one revision, understood, between the schema before and the schema after it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hansa.migrate.lint.ddl import (
    AlterTable,
    Assignment,
    ChangeType,
    CreateObject,
    CreateTable,
    CreateView,
    Name,
    ObjectKind,
    Parsed,
    Update,
)
from hansa.migrate.lint.parser import PUBLIC, parse
from hansa.migrate.lint.schema import Schema, applied, apply
from hansa.migrate.revisions import Revision

UP, DOWN = "up.sql", "down.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """A schema around a revision."""

    before: Schema
    after: Schema
    restored: Schema | None
    """After its down.sql; None when there is no way back, or it was not gone."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A revision, understood."""

    revision: Revision
    up: tuple[Parsed, ...]
    """Empty where online operations say it all."""
    down: tuple[Parsed, ...]
    stages: Stages
    schemas: frozenset[str]
    """Every schema that any revision makes, early or late."""

    @property
    def in_one_transaction(self) -> bool:
        """Whether up.sql is, as it also is beside online operations."""
        return self.revision.transactional or bool(self.revision.operations)

    @property
    def scripts(self) -> tuple[tuple[str, tuple[Parsed, ...]], ...]:
        """File names with their statements."""
        return (UP, self.up), (DOWN, self.down)

    @cached_property
    def made(self) -> frozenset[Name]:
        """Tables and the like that up.sql makes itself: nobody else knows them yet, and they hold what it puts in."""
        return made_by(self.up)

    def old(self, table: Name) -> bool:
        """Whether a table was there before, with rows in it and clients around it."""
        return table not in self.made

    def steps(self) -> Iterator[tuple[Parsed, Schema]]:
        """The statements of up.sql, each with the schema it meets."""
        schema = self.stages.before.copy()
        for statement in self.up:
            yield statement, schema
            apply(schema, statement)

    def conversions(self) -> Iterator[tuple[str, Parsed, Assignment]]:
        """Every expression that rewrites a column, with its file and statement: SET of UPDATE, USING of ALTER."""
        for file, statements in self.scripts:
            for statement in statements:
                if isinstance(statement.what, Update):
                    for assignment in statement.what.assignments:
                        yield file, statement, assignment
                elif isinstance(statement.what, AlterTable):
                    for action in statement.what.actions:
                        if isinstance(action, ChangeType):
                            yield file, statement, Assignment(column=action.column, expression=action.using)


def made_by(statements: Iterable[Parsed]) -> frozenset[Name]:
    """Names of the tables and views that these statements make."""
    return frozenset(
        statement.what.name for statement in statements if isinstance(statement.what, (CreateTable, CreateView))
    )


def subjects(revisions: Sequence[Revision], stages: Mapping[str, Stages]) -> tuple[Subject, ...]:
    """All revisions in their order; `stages` are those that a server showed, the others follow from the text."""
    parsed = [(revision, parse(revision.up), parse(revision.down)) for revision in revisions]
    schemas = frozenset(
        statement.what.name.name
        for _, up, _ in parsed
        for statement in up
        if isinstance(statement.what, CreateObject) and statement.what.kind is ObjectKind.SCHEMA
    )
    found: list[Subject] = []
    schema = Schema()
    for revision, up, down in parsed:
        seen = stages.get(revision.id) or _concluded(schema, up, down)
        found.append(Subject(revision=revision, up=up, down=down, stages=seen, schemas=schemas | {PUBLIC}))
        schema = seen.after
    return tuple(found)


def _concluded(before: Schema, up: tuple[Parsed, ...], down: tuple[Parsed, ...]) -> Stages:
    after = applied(before, up)
    return Stages(before=before, after=after, restored=applied(after, down) if down else None)
