"""Moves what hangs on a column, from default to unique constraint, to the column that takes its place.

Indexes are built beforehand under names of our own; everything else changes hands in the transaction of the swap, and
what needs a look at every row is promised there (NOT VALID) and checked afterwards, while everybody works.
"""

from collections.abc import Sequence

from psycopg import sql

from hansa.migrate.online.conversion import Plan
from hansa.migrate.online.indexes import unhurried
from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import Column, Relation, verbatim

NAMED_NOT_NULL = 180000
"""The server version that first has NOT NULL as a constraint with a name, which can be NOT VALID."""


def dress(run: Run, table: Relation, name: str, like: Column) -> None:
    """Give a column the comment, the grants and the settings for statistics of another one."""
    column = sql.Identifier(name)
    if like.comment is not None:
        run.execute(
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(table.identifier, column, sql.Literal(like.comment))
        )
    for grant in like.grants:
        run.execute(
            sql.SQL("GRANT {} ({}) ON {} TO {}{}").format(
                verbatim(grant.privilege),
                column,
                table.identifier,
                verbatim(grant.grantee),
                sql.SQL(" WITH GRANT OPTION" if grant.grantable else ""),
            )
        )
    if like.statistics is not None:
        _alter(run, table, sql.SQL("ALTER {} SET STATISTICS {}").format(column, sql.Literal(like.statistics)))
    for option in like.options:
        name_, _, value = option.partition("=")
        _alter(run, table, sql.SQL("ALTER {} SET ({} = {})").format(column, sql.Identifier(name_), sql.Literal(value)))


def build_indexes(run: Run, plan: Plan, table: Relation, column: str, *, retyped: bool, concurrently: bool) -> None:
    """Build the plan's indexes over a column under our own names. Can be repeated, when it is beside the traffic."""
    for index in plan.indexes:
        name = plan.name(f"index {index.name}")
        definition = index.definition(name, table, column, retyped=retyped, concurrently=concurrently)
        if concurrently:
            build(run, table, name, definition)
        else:
            run.execute(definition)


def build(run: Run, table: Relation, name: str, definition: sql.Composed) -> None:
    """Build one index concurrently, unless it is there; what an interrupted build left is removed first."""
    valid = run.one(
        """
        SELECT i.indisvalid FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = %s AND c.relname = %s
        """,
        [table.oid, name],
    )
    with unhurried(run):
        if valid is False:
            run.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(table.schema, name)))
        if not valid:
            run.execute(definition)


def remove_spare_indexes(run: Run, plan: Plan, table: Relation) -> None:
    """Drop indexes that were built for a swap and are not needed any more."""
    for index in plan.indexes:
        name = sql.Identifier(table.schema, plan.name(f"index {index.name}"))
        run.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(name))


def strip(run: Run, plan: Plan, table: Relation) -> None:
    """Take everything off the old column that would constrain it, or keep a name from the new one."""
    for check in plan.checks:
        _alter(run, table, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(check.name)))
    strip_new(run, plan, table)


def strip_new(run: Run, plan: Plan, table: Relation) -> None:
    """The same for the new column once it bears the name: it has no CHECKs."""
    for index in plan.indexes:
        if index.constraint is not None:
            _alter(run, table, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(index.name)))
        else:
            run.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(table.schema, index.name)))
    column = sql.Identifier(plan.column)
    _alter(run, table, sql.SQL("ALTER {} DROP DEFAULT, ALTER {} DROP NOT NULL").format(column, column))


def hand_over_indexes(run: Run, plan: Plan, table: Relation) -> None:
    """Give the indexes that were built beforehand the names and the constraints of those before."""
    for index in plan.indexes:
        spare, name = plan.name(f"index {index.name}"), sql.Identifier(index.name)
        if index.constraint is None:
            run.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier(table.schema, spare), name))
        else:
            _alter(
                run,
                table,
                sql.SQL("ADD CONSTRAINT {} UNIQUE USING INDEX {} {}").format(
                    name, sql.Identifier(spare), verbatim(index.constraint)
                ),
            )
        _note(run, sql.SQL("INDEX {}").format(sql.Identifier(table.schema, index.name)), index.comment)
        _note(run, sql.SQL("CONSTRAINT {} ON {}").format(name, table.identifier), index.constraint_comment)
        if index.clustered:
            _alter(run, table, sql.SQL("CLUSTER ON {}").format(name))
        if index.replica_identity:
            _alter(run, table, sql.SQL("REPLICA IDENTITY USING INDEX {}").format(name))


def promise(run: Run, plan: Plan, table: Relation, *, before: bool) -> None:
    """Default, NOT NULL and CHECK for the column that bears the name now: the old one (`before`) or the new one."""
    column = sql.Identifier(plan.column)
    default = verbatim(plan.before.default) if before and plan.before.default is not None else None
    if not before and plan.default is not None:
        default = sql.SQL("{}::{}").format(sql.Literal(plan.default), verbatim(plan.type))
    if default is not None:
        _alter(run, table, sql.SQL("ALTER {} SET DEFAULT {}").format(column, default))
    if plan.before.not_null if before else plan.not_null:
        _promise_not_null(run, plan, table)
    for check in plan.checks if before else ():
        name = sql.Identifier(check.name)
        _alter(run, table, sql.SQL("ADD CONSTRAINT {} {} NOT VALID").format(name, verbatim(check.definition)))
        _note(run, sql.SQL("CONSTRAINT {} ON {}").format(name, table.identifier), check.comment)


def keep_promises(run: Run, plan: Plan, table: Relation) -> None:
    """Check every row for what was promised. Can be repeated."""
    stand_in = plan.name("not null")
    valid = [check.name for check in plan.checks if check.valid]
    with unhurried(run):
        for name in _not_valid(run, plan, table, [stand_in, *valid]):
            _alter(run, table, sql.SQL("VALIDATE CONSTRAINT {}").format(sql.Identifier(name)))
    if _has_constraint(run, table, stand_in):
        # Apart from each other: in one command the proof would be dropped before it is used, and every row read again.
        with run.connection.transaction():
            pace = run.options.online.lock_timeout_s
            run.execute(f"SET LOCAL lock_timeout = '{round(pace * 1000)}ms'")
            _alter(run, table, sql.SQL("ALTER {} SET NOT NULL").format(sql.Identifier(plan.column)))
            _alter(run, table, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(stand_in)))


def _promise_not_null(run: Run, plan: Plan, table: Relation) -> None:
    column = sql.Identifier(plan.column)
    if run.connection.info.server_version < NAMED_NOT_NULL:
        stand_in = sql.Identifier(plan.name("not null"))
        _alter(run, table, sql.SQL("ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID").format(stand_in, column))
        return
    name = plan.before.not_null_name
    named = sql.SQL("CONSTRAINT {} ").format(sql.Identifier(name)) if name else sql.SQL("")
    _alter(run, table, sql.SQL("ADD {}NOT NULL {} NOT VALID").format(named, column))
    if name:
        _note(
            run,
            sql.SQL("CONSTRAINT {} ON {}").format(sql.Identifier(name), table.identifier),
            plan.before.not_null_comment,
        )


def _not_valid(run: Run, plan: Plan, table: Relation, names: Sequence[str]) -> list[str]:
    rows = run.execute(
        """
        SELECT c.conname FROM pg_catalog.pg_constraint AS c
        LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = %s AND NOT c.convalidated
          AND (c.contype = 'c' AND c.conname = ANY(%s) OR c.contype = 'n' AND a.attname = %s)
        ORDER BY 1
        """,
        [table.oid, list(names), plan.column],
    )
    return [name for (name,) in rows]


def _has_constraint(run: Run, table: Relation, name: str) -> bool:
    found = run.one("SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = %s AND conname = %s", [table.oid, name])
    return found is not None


def _note(run: Run, on: sql.Composable, comment: str | None) -> None:
    if comment is not None:
        run.execute(sql.SQL("COMMENT ON {} IS {}").format(on, sql.Literal(comment)))


def _alter(run: Run, table: Relation, what: sql.Composable) -> None:
    run.execute(sql.SQL("ALTER TABLE {} {}").format(table.identifier, what))
