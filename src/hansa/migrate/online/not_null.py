"""NOT NULL that is promised first and proven while others write.

PostgreSQL 18 can add it without a look at the rows and validate it later. Before that a validated CHECK is the proof
that lets SET NOT NULL skip its own scan under a lock; it must be there while SET NOT NULL runs, so it goes afterwards,
in a command of its own.
"""

from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online import constraints
from hansa.migrate.online.operation import Run
from hansa.migrate.online.tables import Column, Table

NOT_VALID_SINCE = 180000
"""The server version that takes NOT NULL ... NOT VALID."""


def promise(run: Run, table: Table, column: Column) -> None:
    """New rows must have a value from here on. Can be repeated."""
    if _native(run):
        if _constraint(run, table, column) is None:
            # Without a name of ours: PostgreSQL gives the one that SET NOT NULL would.
            run.execute(sql.SQL("ALTER TABLE {} ADD NOT NULL {} NOT VALID").format(table.identifier, column.identifier))
    elif constraints.find(run, table, _proof(table, column)) is None and not column.not_null:
        expression = sql.SQL("CHECK ({} IS NOT NULL)").format(column.identifier).as_string(run.connection)
        constraints.add(run, table, _proof(table, column), expression)


def prove(run: Run, table: Table, column: Column) -> None:
    """Look at all rows. Outside of a transaction; can be repeated."""
    name = _constraint(run, table, column) if _native(run) else _proof(table, column)
    if name is not None and constraints.find(run, table, name) is not None:
        constraints.validate(run, table, name)


def settle(run: Run, table: Table, column: Column) -> None:
    """Make it the column's own."""
    if not _native(run):
        run.execute(sql.SQL("ALTER TABLE {} ALTER {} SET NOT NULL").format(table.identifier, column.identifier))
        constraints.drop(run, table, _proof(table, column))


def lift(run: Run, table: Table, column: Column) -> None:
    """Take it back, however far it is."""
    if not _native(run):
        constraints.drop(run, table, _proof(table, column))
    run.execute(sql.SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(table.identifier, column.identifier))


def _native(run: Run) -> bool:
    return run.connection.info.server_version >= NOT_VALID_SINCE


def _proof(table: Table, column: Column) -> str:
    return fitting(f"{table.name}_{column.name}", "_proven")


def _constraint(run: Run, table: Table, column: Column) -> str | None:
    return run.one(
        """
        SELECT conname
        FROM pg_catalog.pg_constraint
        WHERE conrelid = %s AND contype = 'n' AND conkey = ARRAY[%s::smallint]
        """,
        [table.oid, column.number],
    )
