"""Rules about waiting: what reads or rewrites a whole table while nobody else may use it.

All are warnings, because how long it takes depends on the size of the table: a rehearsal measures that.
"""

from collections.abc import Iterator

from hansa.migrate.lint.ddl import (
    AddColumn,
    AddConstraint,
    AlterTable,
    Column,
    ConstraintKind,
    CreateIndex,
    DropConstraint,
    Name,
    SetNotNull,
)
from hansa.migrate.lint.report import Severity
from hansa.migrate.lint.rules.rule import Spot, rule
from hansa.migrate.lint.schema import Schema
from hansa.migrate.lint.subject import UP, Subject

# Functions of PostgreSQL and its extensions that answer differently for each row. now() and CURRENT_TIMESTAMP are not
# among them: they stand still in a transaction, so one value is kept for all rows and nothing is rewritten.
VOLATILE = frozenset(
    (
        *("clock_timestamp", "timeofday", "random", "random_normal", "nextval"),
        *("gen_random_uuid", "uuidv4", "uuidv7", "gen_random_bytes", "gen_salt"),
        *("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"),
    )
)


def _altered(subject: Subject) -> Iterator[tuple[AlterTable, Schema]]:
    """Changes of tables that were there before, each with the schema it meets."""
    for statement, schema in subject.steps():
        if isinstance(statement.what, AlterTable) and subject.old(statement.what.name):
            yield statement.what, schema


@rule(
    "not-null-with-drop-check",
    Severity.WARNING,
    hint="make them two commands: first SET NOT NULL, then DROP CONSTRAINT",
)
def not_null_with_drop_check(subject: Subject) -> Iterator[Spot]:
    """In one ALTER TABLE the constraint is dropped first, whatever the order of the words.

    The proof that no row is NULL is then gone when SET NOT NULL wants it, and the whole table is read under the
    strongest lock. As two commands nothing is read.
    """
    for what, schema in _altered(subject):
        known = schema.constraints(what.name)
        dropped = [action.constraint for action in what.actions if isinstance(action, DropConstraint)]
        for action in what.actions:
            if isinstance(action, SetNotNull) and action.not_null:
                for name in dropped:
                    if name not in known or action.column in known[name].proves_not_null:
                        message = (
                            f"{name} is dropped before it can prove that {what.name}.{action.column} is never NULL"
                        )
                        yield Spot(file=UP, line=action.line, message=message)


@rule(
    "set-not-null-scan",
    Severity.WARNING,
    hint="add CHECK (column IS NOT NULL) NOT VALID, validate it in a revision of its own, then SET NOT NULL",
)
def set_not_null_scan(subject: Subject) -> Iterator[Spot]:
    """SET NOT NULL reads the whole table under a lock that stops even readers, unless a validated CHECK says the same.

    From PostgreSQL 18 on ADD CONSTRAINT ... NOT NULL column NOT VALID, and later VALIDATE, needs no CHECK either.
    """
    for what, schema in _altered(subject):
        for action in what.actions:
            column = _made_not_null(action)
            if column is None or schema.proves_not_null(what.name, column):
                continue
            facts = schema.column(what.name, column)
            if facts is None or not facts.not_null:
                yield Spot(
                    file=UP, line=action.line, message=f"{what.name} is read whole to see that {column} has no NULL"
                )


def _made_not_null(action: object) -> str | None:
    if isinstance(action, SetNotNull) and action.not_null:
        return action.column
    if isinstance(action, AddConstraint):
        constraint = action.constraint
        if constraint.kind is ConstraintKind.NOT_NULL and not constraint.not_valid:
            return constraint.columns[0]
    return None


@rule(
    "index-not-concurrent",
    Severity.WARNING,
    hint="CREATE INDEX CONCURRENTLY, in a revision with `transactional = false`",
)
def index_not_concurrent(subject: Subject) -> Iterator[Spot]:
    """CREATE INDEX lets nobody write to the table until it is built; CONCURRENTLY takes longer and stops nobody."""
    for statement in subject.up:
        what = statement.what
        if isinstance(what, CreateIndex) and not what.concurrently and subject.old(what.table):
            yield Spot(
                file=UP, line=statement.line, message=f"nobody can write to {what.table} while its index is built"
            )


@rule(
    "fk-not-valid-missing",
    Severity.WARNING,
    hint="add it NOT VALID, and VALIDATE CONSTRAINT in a later revision",
)
def fk_not_valid_missing(subject: Subject) -> Iterator[Spot]:
    """A new foreign key compares every row at once, while neither table can be written.

    And the first orphan fails the whole revision. NOT VALID holds for new rows at once and leaves time to clean up.
    """
    for what, _ in _altered(subject):
        constraints = [action.constraint for action in what.actions if isinstance(action, AddConstraint)]
        for constraint in constraints:
            if constraint.kind is ConstraintKind.FOREIGN_KEY and not constraint.not_valid:
                name = constraint.name or "a foreign key"
                yield Spot(
                    file=UP, line=constraint.line, message=f"{name} is checked for every row of {what.name} at once"
                )


@rule(
    "volatile-default-rewrite",
    Severity.WARNING,
    hint="add the column without it, SET DEFAULT for new rows, then fill the old ones in batches",
)
def volatile_default_rewrite(subject: Subject) -> Iterator[Spot]:
    """A default that differs from row to row rewrites the table under a lock that stops even readers.

    One that is the same for all rows, now() included, is kept once and costs nothing.
    """
    for what, schema in _altered(subject):
        for action in what.actions:
            if isinstance(action, AddColumn):
                cause = _rewrites(action.column, schema)
                if cause is not None:
                    yield Spot(file=UP, line=action.line, message=_rewritten(what.name, action.column, cause))


def _rewritten(table: Name, column: Column, cause: str) -> str:
    return f"{table} is rewritten whole: {column.name} gets a value of its own in each row from {cause}"


def _rewrites(column: Column, schema: Schema) -> str | None:
    """What gives each row a value of its own, if anything does."""
    if column.identity:
        return "a sequence"
    if column.stored:
        return "its expression"
    for token, following in zip(column.default, column.default[1:], strict=False):
        if (
            following.text == "("
            and token.name is not None
            and (token.name in VOLATILE or schema.is_volatile(token.name))
        ):
            return f"{token.name}()"
    return None
