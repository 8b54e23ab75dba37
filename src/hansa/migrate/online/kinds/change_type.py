"""Another type for a column, by expressions there and back, while clients go on.

    [[operation]]
    kind = "change_type"
    table = "payments.invoices"
    column = "amount"
    type = "bigint"
    using = "(amount * 100)::bigint"
    back = "amount / 100.0"
    default = "0"

A second column of the new type is filled beside the old one and kept in step by a trigger; its indexes are built
beforehand; then both change names in one short transaction. From there on the old column follows the new one, so that
going back is the same swap again; `contract_type` drops it once nothing reads it any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online import feasibility, rebuilding, retyping
from hansa.migrate.online.backfill import key_of, through
from hansa.migrate.online.conversion import Plan, stop_following
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.indexes import remove
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Row, Run, Step, Transaction
from hansa.migrate.online.relations import (
    FIRE,
    SKIP,
    UPDATE,
    Column,
    InTheWay,
    NoSuchType,
    Relation,
    checks,
    column,
    has_column,
    indexes,
    pin,
    refuse_dependents,
    refuse_hidden_rows,
    relation,
    silenced,
    spelled_out,
    verbatim,
)
from hansa.migrate.online.retyping import BACK, FORTH, Retyping
from hansa.migrate.online.values import ValueMap

RETYPING, STAGE = "retyping", "stage"
EXPANDED, SWAPPED = "expanded", "swapped"
SHOWN = 10
TRIED_ROWS = 5_000
EVERYTHING = sql.SQL("true")


class RowsUnconvertible(OperationRefused):
    """The expression raises for some rows, or makes NULL where there must be none; the message names them."""


class KeysCoincide(OperationRefused):
    """Rows that a unique key tells apart would have the same new value."""


class NoWayBack(OperationRefused):
    """The old column cannot have a value for some rows that were written since; the message names them."""


class Contracted(OperationRefused):
    """The old column is gone: the revision that dropped it has to be taken back first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeType:
    """The entries of `kind = "change_type"`."""

    kind: ClassVar[str] = "change_type"
    table: str
    column: str
    type: str
    using: str
    """The new value as an SQL expression of the column; other names are written with their schema."""
    back: str | None = None
    """The old value as an SQL expression of the column; without it the new value's text is read as the old type."""
    default: str | None = None
    """The new default as an SQL expression; required when the old column has one."""
    old_column: str | None = None
    """Name of the old column after the swap; without it the column's name and __old."""
    triggers: str = SKIP
    """`fire` when triggers of users may run for what the engine writes; otherwise they are kept quiet."""

    def __post_init__(self) -> None:
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")
        if self.old_column == self.column:
            raise BadOperation("old_column must not be the column's own name")

    @property
    def target(self) -> str:
        return f"column {self.table}.{self.column}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Alone("try", _try),
            Transaction("expand", _expand),
            Batches("backfill", _backfill, _rows),
            Alone("index", _index),
            Alone("check", _check),
            Transaction("swap", _swap),
            Alone("validate", _validate),
            Alone("analyze", _analyze),
        )

    def down(self) -> Sequence[Step]:
        return (
            Transaction("look back", _look_back),
            Alone("index back", _index_back),
            Transaction("swap back", _swap_back),
            Alone("validate back", _validate),
            Transaction("remove", _remove),
            Alone("analyze back", _analyze_back),
        )

    def _preflight(self, run: Run) -> None:
        if STAGE in run.facts:
            return  # a way back was begun and given up
        table = relation(run, self.table)
        refuse_hidden_rows(run, [table.oid])
        changed = self._decision(run, table)
        retyping.refuse_expressions(run, changed)
        retyping.refuse_unfit(run, changed, table)
        retyping.make_functions(run, changed)
        _refuse_collisions(run, changed, table)
        feasibility.refuse_full_disk(run, changed.plan, table)
        feasibility.point_out_waits(run, table)
        run.facts[RETYPING] = changed.facts()

    def _decision(self, run: Run, table: Relation) -> Retyping:
        """Everything that can be known beforehand. Raises what stands in the way."""
        before = column(run, table, self.column)
        if before.default is not None and self.default is None:
            raise OperationRefused(f"{self.target} has the default {before.default}; say the new one in `default`")
        carried, narrow = indexes(run, table, before), checks(run, table, before)
        refuse_dependents(run, table, before, carried=[each.name for each in (*carried, *narrow)])
        plan = Plan(
            revision=run.revision,
            number=run.number,
            table=table.label,
            column=self.column,
            new=fitting(self.column, "__new"),
            old=self.old_column or fitting(self.column, "__old"),
            key=key_of(run, table, without=[self.column]),
            before=before,
            type=_type(run, self.type),
            labels=(),
            map=ValueMap(values={}),
            nulls=None,
            reverse={},
            not_null=before.not_null,
            default=None,
            indexes=carried,
            checks=narrow,
            in_place=False,
            silent=silenced(run, [table.oid], UPDATE, self.triggers),
        )
        for name in (plan.new, plan.old):
            if has_column(run, table, name):
                raise InTheWay(f"{table.label} has a column {name} already; say old_column, or rename that one")
        return Retyping(plan=plan, using=self.using, back=self.back or _as_text(before), default=self.default)


# --- steps of the way up ----------------------------------------------------------------------------------------------


def _try(run: Run) -> None:
    """Compute the new value of every row without keeping it. Raises RowsUnconvertible with keys and reasons."""
    changed, table = _state(run)
    if STAGE in run.facts:
        return
    plan = changed.plan
    count, shown = 0, list[Row]()
    batch: Batch | None = Batch(after=None, rows=TRIED_ROWS)
    while batch is not None:
        found = list[Row]()
        done = through(
            run,
            table,
            plan.key,
            batch,
            lambda span, found=found: found.extend(_unconvertible(run, changed, table, span, _of("t", plan.column))),
        )
        count += len(found)
        shown += found[: SHOWN - len(shown)]
        batch = Batch(after=done.last, rows=TRIED_ROWS) if done.last is not None else None
    if count:
        raise RowsUnconvertible(f"{plan.table}.{plan.column}: {count} rows cannot be converted: {_listing(shown)}")


def _expand(run: Run) -> None:
    changed, table = _state(run)
    if STAGE in run.facts:
        return
    plan = changed.plan
    run.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
            table.identifier, sql.Identifier(plan.new), verbatim(plan.type)
        )
    )
    rebuilding.dress(run, table, plan.new, plan.before)
    retyping.follow_old(run, changed, table)
    run.facts[STAGE] = EXPANDED


def _backfill(run: Run, batch: Batch) -> Done:
    """Touch the rows that have no new value yet; the trigger gives it to them."""
    changed, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return Done(rows=0, last=None)
    pin(run, silent=changed.plan.silent)
    touch = sql.SQL("UPDATE {table} AS t SET {new} = NULL WHERE {span} AND {missing}")
    return through(
        run,
        table,
        changed.plan.key,
        batch,
        lambda span: run.execute(
            touch.format(
                table=table.identifier,
                new=sql.Identifier(changed.plan.new),
                span=span,
                missing=changed.unconverted(),
            )
        ),
    )


def _index(run: Run) -> None:
    """Build the new column's indexes, and a small one that finds rows without a value quickly."""
    changed, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return
    plan = changed.plan
    rebuilding.build_indexes(run, plan, table, plan.new, retyped=True, concurrently=True)
    name = plan.name("unconverted")
    definition = sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ({}) WHERE {}").format(
        sql.Identifier(name), table.identifier, sql.Identifier(plan.key.columns[0].name), changed.unconverted()
    )
    rebuilding.build(run, table, name, definition)


def _check(run: Run) -> None:
    """Compare every row, old with new, before anybody relies on it."""
    changed, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return
    _refuse_unconverted(run, changed, table)
    plan = changed.plan
    with run.connection.transaction():
        pin(run, silent=False)
        wrong = run.one(
            sql.SQL("SELECT count(*) FROM {} AS t WHERE {}::text IS DISTINCT FROM {}").format(
                table.identifier, _of("t", plan.new), changed.becomes(FORTH, _of("t", plan.column))
            )
        )
    if wrong:
        raise RowsUnconvertible(
            f"{plan.table}.{plan.new}: {wrong} rows hold something else than `using` says. Either it does not always "
            "say the same, or somebody wrote past the trigger: take it back with `down`"
        )
    # An autovacuum only steps aside for somebody who waits longer than the swap will.
    with run.connection.transaction():
        run.execute("SET LOCAL lock_timeout = 0")
        run.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(table.identifier))


def _swap(run: Run) -> None:
    changed, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return
    plan = changed.plan
    _lock(run, table)
    run.execute("SET LOCAL enable_seqscan = off")  # rows without a value are listed in an index
    _refuse_unconverted(run, changed, table)
    stop_following(run, plan, table)
    rebuilding.strip(run, plan, table)
    _rename(run, table, plan.column, plan.old)
    _rename(run, table, plan.new, plan.column)
    rebuilding.hand_over_indexes(run, plan, table)
    rebuilding.promise(run, plan, table, before=False)
    _promise(run, changed, table)
    run.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(table.schema, plan.name("unconverted"))))
    retyping.follow_new(run, changed, table)
    run.facts[STAGE] = SWAPPED


def _promise(run: Run, changed: Retyping, table: Relation) -> None:
    """The default and the CHECKs, which go with the new type as well."""
    plan = changed.plan
    alter = sql.SQL("ALTER TABLE {} ").format(table.identifier)
    if changed.default is not None:
        default = sql.SQL("ALTER {} SET DEFAULT {}").format(sql.Identifier(plan.column), verbatim(changed.default))
        run.execute(alter + default)
    for check in plan.checks:
        name = sql.Identifier(check.name)
        run.execute(alter + sql.SQL("ADD CONSTRAINT {} {} NOT VALID").format(name, verbatim(check.definition)))
        if check.comment is not None:
            run.execute(
                sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                    name, table.identifier, sql.Literal(check.comment)
                )
            )


def _validate(run: Run) -> None:
    if RETYPING not in run.facts:
        return
    changed, table = _state(run)
    for index in changed.plan.indexes:  # of a way back that was begun and given up
        remove(run, table.schema, changed.plan.name(f"index {index.name}"))
    rebuilding.keep_promises(run, changed.plan, table)


def _analyze(run: Run) -> None:
    """The planner knows nothing of a column that it never saw, and would choose badly."""
    changed, table = _state(run)
    run.execute(sql.SQL("ANALYZE {} ({})").format(table.identifier, sql.Identifier(changed.plan.column)))


# --- steps of the way down --------------------------------------------------------------------------------------------


def _look_back(run: Run) -> None:
    """Find what would keep the way back from its end, before it begins."""
    if run.facts.get(STAGE) != SWAPPED:
        return
    changed, table = _state(run)
    plan = changed.plan
    refuse_hidden_rows(run, [table.oid])
    if not has_column(run, table, plan.old):
        raise Contracted(f"{plan.table}.{plan.old} is gone; take back the revision that dropped it, then this one")
    own = [each.name for each in (*plan.indexes, *plan.checks)]
    refuse_dependents(run, table, column(run, table, plan.column), carried=own)
    lost = run.execute(
        sql.SQL("SELECT {}, {} FROM {} AS t WHERE {} IS NULL AND {} IS NOT NULL AND {} IS NOT NULL LIMIT {}").format(
            plan.key.text("t"),
            changed.problem(BACK, _of("t", plan.column)),
            table.identifier,
            _of("t", plan.old),
            _of("t", plan.column),
            changed.problem(BACK, _of("t", plan.column)),
            sql.Literal(SHOWN),
        )
    )
    if lost:
        raise NoWayBack(f"{plan.table}.{plan.column}: rows written since have no old value: {_listing(lost)}")
    pin(run, silent=False)
    feasibility.refuse_broken_checks(run, plan, table, _of("t", plan.old))


def _index_back(run: Run) -> None:
    if run.facts.get(STAGE) == SWAPPED:
        changed, table = _state(run)
        rebuilding.build_indexes(run, changed.plan, table, changed.plan.old, retyped=False, concurrently=True)


def _swap_back(run: Run) -> None:
    if run.facts.get(STAGE) != SWAPPED:
        return
    changed, table = _state(run)
    plan = changed.plan
    _lock(run, table)
    stop_following(run, plan, table)
    run.execute(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(table.identifier, sql.Identifier(plan.column)))
    _rename(run, table, plan.old, plan.column)
    rebuilding.hand_over_indexes(run, plan, table)
    rebuilding.promise(run, plan, table, before=True)
    del run.facts[STAGE]


def _remove(run: Run) -> None:
    """Drop what a change leaves that never came to its swap; the indexes of a column go with it."""
    if RETYPING not in run.facts:
        return
    changed, table = _state(run)
    stop_following(run, changed.plan, table)
    run.execute(
        sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table.identifier, sql.Identifier(changed.plan.new))
    )
    retyping.drop_functions(run, changed)
    run.facts.pop(STAGE, None)


def _analyze_back(run: Run) -> None:
    if RETYPING in run.facts:
        _analyze(run)
        del run.facts[RETYPING]


# --- shared -----------------------------------------------------------------------------------------------------------


def _refuse_collisions(run: Run, changed: Retyping, table: Relation) -> None:
    """Make sure that unique keys stay unique. Raises KeysCoincide."""
    plan = changed.plan
    value = sql.SQL("({})::{}").format(changed.becomes(FORTH, _of("t", plan.column)), verbatim(plan.type))
    for index in plan.indexes:
        if not index.unique:
            continue
        terms = [value if term.text is None else verbatim(term.text) for term in index.terms if not term.stored]
        conditions: list[sql.Composable] = [verbatim(index.predicate)] if index.predicate is not None else [EVERYTHING]
        if index.nulls_distinct:
            conditions += [sql.SQL("({}) IS NOT NULL").format(term) for term in terms]
        count = run.one(
            sql.SQL(
                "SELECT count(*) FROM (SELECT FROM {} AS t WHERE {} GROUP BY {} HAVING count(*) > 1) AS twice"
            ).format(table.identifier, sql.SQL(" AND ").join(conditions), sql.SQL(", ").join(terms))
        )
        if count:
            raise KeysCoincide(
                f"{index.name} is unique, and {count} of its keys would be there twice; resolve that first"
            )


def _refuse_unconverted(run: Run, changed: Retyping, table: Relation) -> None:
    """Make sure that no row was left out. Quick through the index of such rows. Raises RowsUnconvertible."""
    plan = changed.plan
    rows = _unconvertible(run, changed, table, changed.unconverted(), _of("t", plan.column), limit=SHOWN)
    if rows:
        raise RowsUnconvertible(
            f"{plan.table}.{plan.column}: rows written since cannot be converted: {_listing(rows)}; "
            "change them and `up` goes on from here"
        )


def _unconvertible(
    run: Run,
    changed: Retyping,
    table: Relation,
    rows: sql.Composable,
    old: sql.Composable,
    limit: int | None = None,
) -> list[Row]:
    """Keys of the rows `t` that get no new value although they must have one, each with the reason."""
    wrong: sql.Composable = sql.SQL("problem IS NOT NULL")
    if changed.plan.not_null:
        wrong = sql.SQL("(problem IS NOT NULL OR becomes IS NULL)")
    return run.execute(
        sql.SQL("""
          SELECT key, coalesce(problem, 'becomes NULL')
          FROM (SELECT {key} AS key, {problem} AS problem, {becomes} AS becomes FROM {table} AS t WHERE {rows}) AS tried
          WHERE {wrong} LIMIT {limit}
        """).format(
            key=changed.plan.key.text("t"),
            problem=changed.problem(FORTH, old),
            becomes=changed.becomes(FORTH, old),
            table=table.identifier,
            rows=rows,
            wrong=wrong,
            limit=sql.Literal(limit),
        )
    )


def _listing(rows: Sequence[Row]) -> str:
    return "; ".join(f"({', '.join(key)}): {reason}" for key, reason in rows)


def _type(run: Run, name: str) -> str:
    """The type as PostgreSQL writes it, qualified and with its length. Raises NoSuchType."""
    with spelled_out(run):
        found = run.one("SELECT pg_catalog.to_regtype(%s)::text", [name])
    if found is None:
        raise NoSuchType(f"there is no type {name}; make it in up.sql, and write it with its schema")
    return found if "(" not in name else name


def _as_text(before: Column) -> str:
    return f"{sql.Identifier(before.name).as_string(None)}::text::{before.type}"


def _state(run: Run) -> tuple[Retyping, Relation]:
    changed = Retyping.read(run.facts[RETYPING])
    return changed, relation(run, changed.plan.table)


def _of(row: str, name: str) -> sql.Composed:
    return sql.SQL("{}").format(sql.Identifier(row, name))


def _lock(run: Run, table: Relation) -> None:
    run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))


def _rename(run: Run, table: Relation, old: str, new: str) -> None:
    names = sql.Identifier(old), sql.Identifier(new)
    run.execute(sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(table.identifier, *names))


def _rows(run: Run) -> int:
    return _state(run)[1].rows
