"""Rules about data: what a script loses, falsifies, or does to every row at once."""

from collections.abc import Iterator

from hansa.migrate.lint.cases import coercions
from hansa.migrate.lint.ddl import (
    AddEnumValue,
    AlterTable,
    CreateObject,
    Delete,
    Drop,
    DropColumn,
    Name,
    ObjectKind,
    Parsed,
    Tokens,
    Update,
)
from hansa.migrate.lint.report import Severity
from hansa.migrate.lint.rules.rule import Spot, rule
from hansa.migrate.lint.subject import UP, Subject


@rule(
    "else-coercion",
    Severity.ERROR,
    hint="name every value in a WHEN and leave ELSE out, so that an unknown one fails instead of becoming another",
)
def else_coercion(subject: Subject) -> Iterator[Spot]:
    """Text columns hold what nobody expected: 'Revoked', 'SUSPENDED', 'revoked '.

    A conversion that ends with ELSE 'active' gives power back to every agent whose suspension was spelled in another
    way, and once the old column is gone nobody can tell which ones they were.
    """
    for file, _, assignment in subject.conversions():
        for coercion in coercions(assignment.expression):
            yield Spot(
                file=file,
                line=coercion.line,
                message=f"every value that no WHEN names becomes {coercion.literal} in column {assignment.column}",
            )


@rule(
    "drop-after-update",
    Severity.ERROR,
    hint="drop it in a later revision, after verify has compared old and new values",
)
def drop_after_update(subject: Subject) -> Iterator[Spot]:
    """A column that was just converted is the only way to convert it again, or to go back.

    Outside a transaction the drop also runs when the UPDATE before it has failed, and then the data are gone. Inside
    one they are only gone when the conversion was wrong, so there it is a warning.
    """
    severity = Severity.WARNING if subject.in_one_transaction else Severity.ERROR
    for file, statements in subject.scripts:
        updates: list[Update] = []
        for statement in statements:
            if isinstance(statement.what, Update):
                updates.append(statement.what)
            for line, table, column in _dropped(statement):
                if any(_reads(update, table, column) for update in updates):
                    what = f"column {column} of {table}" if column else f"table {table}"
                    message = f"{what} is dropped by the script that converted its values"
                    yield Spot(file=file, line=line, message=message, severity=severity)


def _dropped(statement: Parsed) -> Iterator[tuple[int, Name, str | None]]:
    """Columns, and tables with None for the column."""
    what = statement.what
    if isinstance(what, AlterTable):
        for action in what.actions:
            if isinstance(action, DropColumn):
                yield action.line, what.name, action.column
    elif isinstance(what, Drop) and what.kind is ObjectKind.TABLE:
        for name in what.names:
            yield statement.line, name, None


def _reads(update: Update, table: Name, column: str | None) -> bool:
    """Whether an UPDATE took the values of other columns from there."""
    if column is None:
        return table.name in _names(update.sources)
    reads = any(
        assignment.column != column and column in _names(assignment.expression) for assignment in update.assignments
    )
    return reads and (table == update.table or table.name in _names(update.sources))


def _names(tokens: Tokens) -> frozenset[str]:
    return frozenset(token.name for token in tokens if token.name is not None)


@rule(
    "unbatched-update",
    Severity.WARNING,
    hint="change the rows in batches by key, or make it an online operation, which does",
)
def unbatched_update(subject: Subject) -> Iterator[Spot]:
    """One UPDATE of a whole table locks each row until the end: on five million rows, writers waited half a minute.

    It also writes the table a second time, and the space of the first copy stays lost. A DELETE of everything is an
    error: nothing brings the rows back.
    """
    for file, statements in subject.scripts:
        for statement in statements:
            what = statement.what
            if isinstance(what, (Update, Delete)) and subject.old(what.table) and _is_everything(what.where):
                yield Spot(
                    file=file,
                    line=statement.line,
                    message=f"every row of {what.table} is {'deleted' if isinstance(what, Delete) else 'updated'} at once",
                    severity=Severity.ERROR if isinstance(what, Delete) else None,
                )


def _is_everything(where: Tokens) -> bool:
    return (
        not where or [token.word for token in where] == ["TRUE"] or [token.text for token in where] == ["1", "=", "1"]
    )


@rule(
    "enum-add-value-used",
    Severity.ERROR,
    hint="use the value in a later revision",
)
def enum_add_value_used(subject: Subject) -> Iterator[Spot]:
    """PostgreSQL refuses a label in the transaction that added it to a type that was there before."""
    if not subject.in_one_transaction:
        return
    made = {statement.what.name for statement in subject.up if isinstance(statement.what, CreateObject)}
    added: dict[str, AddEnumValue] = {}
    for statement in subject.up:
        what = statement.what
        if isinstance(what, AddEnumValue):
            if what.type not in made:
                added[what.value] = what
        elif statement.tokens[0].word != "COMMENT":
            for token in statement.tokens:
                if token.literal is not None and token.literal in added:
                    message = f"'{token.literal}' was added to {added[token.literal].type} in the same transaction"
                    yield Spot(file=UP, line=token.line, message=message)
