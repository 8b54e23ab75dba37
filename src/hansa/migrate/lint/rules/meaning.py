"""Rules about statements that do something else than they seem to say."""

from collections.abc import Iterator, Sequence

from hansa.migrate.lint.ddl import (
    AddColumn,
    AddConstraint,
    AlterTable,
    Constraint,
    ConstraintKind,
    CreateIndex,
    CreateRoutine,
    CreateTable,
    CreateView,
    Drop,
    DropColumn,
    DropConstraint,
    Name,
    Parsed,
    SetSearchPath,
    SetViewOptions,
    Truncate,
)
from hansa.migrate.lint.parser import PUBLIC
from hansa.migrate.lint.report import Severity
from hansa.migrate.lint.rules.rule import Spot, rule
from hansa.migrate.lint.schema import Schema
from hansa.migrate.lint.subject import DOWN, UP, Subject
from hansa.migrate.naming import NAME_BYTES_MAX

_ALWAYS_THERE = frozenset(("", "$user", "information_schema", "pg_catalog", "pg_temp", PUBLIC))


@rule(
    "if-not-exists-table",
    Severity.ERROR,
    hint="say CREATE TABLE; the ledger knows what is applied, so nothing runs twice",
)
def if_not_exists_table(subject: Subject) -> Iterator[Spot]:
    """When there is a table of that name already, it stays as it is, whatever its columns are.

    The script succeeds, and everything after it works on another table than the one it describes.
    """
    for file, statements in subject.scripts:
        for statement in statements:
            what = statement.what
            if isinstance(what, CreateTable) and what.if_not_exists and not what.temporary:
                message = f"a different table {what.name} that is already there would be kept without a word"
                yield Spot(file=file, line=statement.line, message=message)


@rule(
    "if-not-exists-column",
    Severity.ERROR,
    hint="say ADD COLUMN; the ledger knows what is applied, so nothing runs twice",
)
def if_not_exists_column(subject: Subject) -> Iterator[Spot]:
    """When there is a column of that name already, its type and its NULLs stay as they are.

    Two branches that add the same column in different shapes both succeed, and the first one wins.
    """
    for file, statements in subject.scripts:
        for statement in statements:
            for action in statement.what.actions if isinstance(statement.what, AlterTable) else ():
                if isinstance(action, AddColumn) and action.if_not_exists:
                    message = (
                        f"a different column {action.column.name} that is already there would be kept without a word"
                    )
                    yield Spot(file=file, line=action.line, message=message)


@rule(
    "unique-nullable",
    Severity.WARNING,
    hint="make the column NOT NULL, or say NULLS NOT DISTINCT, or allow it with the reason",
)
def unique_nullable(subject: Subject) -> Iterator[Spot]:
    """NULLs are all different to UNIQUE: rows that are equal but for a NULL are let in as often as they come."""
    for statement in subject.up:
        for line, table, columns in _unique(statement):
            nullable = [column for column in columns if _is_nullable(subject.stages.after, table, column)]
            if nullable:
                message = f"{', '.join(nullable)} of {table} may be NULL, and UNIQUE takes no two NULLs for equal"
                yield Spot(file=UP, line=line, message=message)


def _unique(statement: Parsed) -> Iterator[tuple[int, Name, Sequence[str]]]:
    """What a statement declares unique in a way that NULLs get around."""
    what = statement.what
    if isinstance(what, CreateIndex):
        if what.unique and not what.nulls_not_distinct:
            words = [token.name for token in what.where if token.word not in ("IS", "NOT", "NULL")]
            partial = words if any(token.word == "NULL" for token in what.where) else []
            yield statement.line, what.table, [key for key in what.keys if key not in partial]
        return
    for table, constraint in _constraints(statement):
        if constraint.kind is ConstraintKind.UNIQUE and not constraint.nulls_not_distinct:
            yield constraint.line, table, constraint.columns


def _constraints(statement: Parsed) -> Iterator[tuple[Name, Constraint]]:
    what = statement.what
    if isinstance(what, CreateTable):
        for constraint in (*what.constraints, *(each for column in what.columns for each in column.constraints)):
            yield what.name, constraint
    elif isinstance(what, AlterTable):
        for action in what.actions:
            if isinstance(action, AddConstraint):
                yield what.name, action.constraint
            elif isinstance(action, AddColumn):
                yield from ((what.name, constraint) for constraint in action.column.constraints)


def _is_nullable(schema: Schema, table: Name, column: str) -> bool:
    """Whether a column is known to take NULL; of a computed one its expression decides."""
    facts = schema.column(table, column)
    if facts is None or facts.not_null or facts.generated:
        return False
    return not schema.proves_not_null(table, column)


@rule(
    "search-path-missing-schema",
    Severity.ERROR,
    hint="create the schema in an earlier revision, and name each schema on its own",
)
def search_path_missing_schema(subject: Subject) -> Iterator[Spot]:
    """PostgreSQL takes a search path with a schema that does not exist, and creates in the next one: in public."""
    for file, statement, path, there in _search_paths(subject):
        for schema in path:
            if schema not in there | _ALWAYS_THERE:
                message = f"no revision creates schema {schema!r} before; what follows would be created elsewhere"
                yield Spot(file=file, line=statement.line, message=message)


def _search_paths(subject: Subject) -> Iterator[tuple[str, Parsed, tuple[str, ...], frozenset[str]]]:
    """Each search path with the schemas that are there when it counts: for routines and roles that is later."""
    steps = [(UP, statement, schema.schemas()) for statement, schema in subject.steps()]
    steps += [(DOWN, statement, subject.stages.after.schemas()) for statement in subject.down]
    for file, statement, there in steps:
        what = statement.what
        if isinstance(what, SetSearchPath):
            yield file, statement, what.schemas, there if what.session else there | subject.schemas
        elif isinstance(what, CreateRoutine):
            yield file, statement, what.search_path, there | subject.schemas


@rule(
    "name-too-long",
    Severity.ERROR,
    hint=f"choose a name of at most {NAME_BYTES_MAX} bytes",
)
def name_too_long(subject: Subject) -> Iterator[Spot]:
    """PostgreSQL cuts longer names with no more than a notice; two names may become one, and none is what was written."""
    for file, statements in subject.scripts:
        seen: set[str] = set()
        for statement in statements:
            for token in statement.tokens:
                name = token.name or ""
                if len(name.encode()) > NAME_BYTES_MAX and name not in seen:
                    seen.add(name)
                    kept = name.encode()[:NAME_BYTES_MAX].decode(errors="ignore")
                    message = f"{name} has {len(name.encode())} bytes and would become {kept}"
                    yield Spot(file=file, line=token.line, message=message)


@rule(
    "view-without-security-invoker",
    Severity.WARNING,
    hint="say WITH (security_invoker), or WITH (security_invoker = false) if it is meant",
)
def view_without_security_invoker(subject: Subject) -> Iterator[Spot]:
    """A view reads with the rights of its owner: row-level security of its tables does not hold for whoever reads it.

    CREATE OR REPLACE VIEW without the option also takes it away from a view that had it.
    """
    set_later = {
        statement.what.name
        for statement in subject.up
        if isinstance(statement.what, SetViewOptions) and _says_invoker(statement.what)
    }
    for statement in subject.up:
        what = statement.what
        if not isinstance(what, CreateView) or what.materialized or what.temporary:
            continue
        if not _says_invoker(what) and what.name not in set_later:
            message = f"whoever reads {what.name} sees what its owner may see"
            yield Spot(file=UP, line=statement.line, message=message)


def _says_invoker(what: CreateView | SetViewOptions) -> bool:
    return any(token.word == "SECURITY_INVOKER" for token in what.options)


@rule(
    "cascade-drop",
    Severity.ERROR,
    hint="drop each object by name, what depends on it first",
)
def cascade_drop(subject: Subject) -> Iterator[Spot]:
    """CASCADE takes along whatever depends on the object that day, also what the script's author never saw.

    In down.sql it is a warning: later revisions are gone by then, so it reaches what the revision itself made, and
    what somebody added by hand.
    """
    for file, statements in subject.scripts:
        for statement in statements:
            for line, what in _cascades(statement):
                emptied = isinstance(statement.what, Truncate)
                severity = Severity.ERROR if file == UP or emptied else Severity.WARNING
                message = f"{what} takes along everything that depends on it, named or not"
                yield Spot(file=file, line=line, message=message, severity=severity)


def _cascades(statement: Parsed) -> Iterator[tuple[int, str]]:
    what = statement.what
    if isinstance(what, (Drop, Truncate)) and what.cascade:
        yield statement.line, f"{statement.tokens[0].word} ... CASCADE"
    elif isinstance(what, AlterTable):
        for action in what.actions:
            if isinstance(action, (DropColumn, DropConstraint)) and action.cascade:
                name = action.column if isinstance(action, DropColumn) else action.constraint
                yield action.line, f"DROP {name} CASCADE"
