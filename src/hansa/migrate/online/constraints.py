"""Constraints that are added without a look at the rows, and validated while others write."""

from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.operation import Row, Run
from hansa.migrate.online.tables import Table

KEYS_SHOWN = 10


class ConstraintExists(OperationRefused):
    """Another constraint of that name exists already."""


class NoSuchConstraint(OperationRefused):
    """The named constraint does not exist."""


class RowsInTheWay(OperationRefused):
    """Rows break the constraint that is to be; the message says which and how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A constraint that is there."""

    name: str
    kind: str
    """As pg_constraint.contype."""
    definition: str
    """What follows its name, without NOT VALID."""
    valid: bool
    comment: str | None


def find(run: Run, table: Table, name: str) -> Constraint | None:
    rows = run.execute(
        """
        SELECT conname, contype, pg_catalog.pg_get_constraintdef(oid), convalidated,
               pg_catalog.obj_description(oid, 'pg_constraint')
        FROM pg_catalog.pg_constraint
        WHERE conrelid = %s AND conname = %s
        """,
        [table.oid, name],
    )
    if not rows:
        return None
    found, kind, definition, valid, comment = rows[0]
    return Constraint(
        name=found, kind=kind, definition=definition.removesuffix(" NOT VALID"), valid=valid, comment=comment
    )


def refuse_existing(run: Run, table: Table, name: str) -> None:
    """Raises ConstraintExists."""
    if found := find(run, table, name):
        raise ConstraintExists(f"{table.label} has a constraint {name} already: {found.definition}")


def refuse_rows(run: Run, table: Table, condition: str, reason: str) -> None:
    """Raises RowsInTheWay with the number of rows for which the condition holds, and the keys of some."""
    source = table.rows_of_its_own.as_string(run.connection)
    count = run.one(f"SELECT count(*) FROM {source} AS t WHERE {condition}")
    if count:
        raise RowsInTheWay(f"{count} rows of {table.label} {reason}{_examples(run, table, condition)}")


def add(run: Run, table: Table, name: str, definition: str, *, valid: bool = False) -> None:
    """Add a constraint; without a look at the rows unless it is to be valid at once."""
    run.execute(
        f"ALTER TABLE {table.identifier.as_string(None)} ADD CONSTRAINT {sql.Identifier(name).as_string(None)} "
        f"{definition}{'' if valid else ' NOT VALID'}"
    )


def validate(run: Run, table: Table, name: str) -> None:
    """Look at all rows while others write. Does nothing the second time."""
    run.execute(sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(table.identifier, sql.Identifier(name)))


def drop(run: Run, table: Table, name: str) -> None:
    """Drop a constraint if it is there."""
    run.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(table.identifier, sql.Identifier(name)))


def rename(run: Run, table: Table, name: str, to: str) -> None:
    run.execute(
        sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(
            table.identifier, sql.Identifier(name), sql.Identifier(to)
        )
    )


def comment(run: Run, table: Table, name: str, text: str | None) -> None:
    if text is not None:
        run.execute(
            sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                sql.Identifier(name), table.identifier, sql.Literal(text)
            )
        )


def _examples(run: Run, table: Table, condition: str) -> str:
    if not table.key:
        return "; nothing was changed"
    key = ", ".join(f"t.{sql.Identifier(column).as_string(None)}" for column in table.key)
    source = table.rows_of_its_own.as_string(run.connection)
    rows = run.execute(
        f"SELECT ARRAY[{', '.join(f'({part})::text' for part in key.split(', '))}] FROM {source} AS t"
        f" WHERE {condition} ORDER BY {key} LIMIT {KEYS_SHOWN}"
    )
    return f", for example ({', '.join(table.key)}) = {told(rows)}; nothing was changed"


def told(rows: list[Row]) -> str:
    """Keys for people."""
    return ", ".join(f"({', '.join('NULL' if value is None else value for value in key)})" for (key, *_) in rows)
