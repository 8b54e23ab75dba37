"""Drops the old column that a conversion kept, once nothing reads it any more; on the way back it is made again.

Before it goes, every old value that the label cannot reproduce is in mig.preimages, and that is checked under the lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.online import rebuilding
from hansa.migrate.online.backfill import through
from hansa.migrate.online.conversion import Plan, follow_new, stop_following
from hansa.migrate.online.engine import reached
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.convert_to_enum import STAGE, SWAPPED, ValuesLost
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.relations import (
    FIRE,
    SKIP,
    UPDATE,
    Relation,
    column,
    has_column,
    pin,
    refuse_dependents,
    refuse_hidden_rows,
    relation,
    silenced,
    verbatim,
)
from hansa.migrate.online.setting_aside import forget_originals, keep_originals

FILLING = "filling"
"""Fact: the old column was made again, and perhaps not every row has its value yet."""


class NothingToContract(OperationRefused):
    """The named operation is no finished conversion, so it keeps no old column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The entries of `kind = "contract"`."""

    of: str
    """Id of the revision whose conversion is to be brought to its end."""
    operation: int = 1
    """Number of the conversion within that revision."""
    require_backup: bool = False
    """Whether there must be a backup that was made since; asked by whoever runs the revision."""
    triggers: str = SKIP
    """`fire` when triggers of users may run while the old column is filled again on the way back."""

    def __post_init__(self) -> None:
        if self.operation < 1:
            raise BadOperation("operation counts from 1")
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")

    @property
    def kind(self) -> str:
        return "contract"

    @property
    def target(self) -> str:
        return f"old column of {self.of}, operation {self.operation}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Transaction("forget stale originals", _forget_originals),
            Batches("keep originals", _keep_originals, _rows),
            Alone("check", _check),
            Transaction("drop", _drop),
        )

    def down(self) -> Sequence[Step]:
        return (
            Transaction("expand", _expand_again),
            Batches("fill", _fill, _rows),
            Alone("analyze", _analyze),
            Transaction("forget", _forget),
        )

    def _preflight(self, run: Run) -> None:
        conversion = reached(run.connection, self.of).get(self.operation)
        done = conversion is not None and conversion.finished and conversion.direction == "up"
        if conversion is None or not done or "plan" not in conversion.facts:
            raise NothingToContract(f"{self.of}, operation {self.operation} is no conversion that is applied")
        run.facts.pop("plan", None)
        if conversion.facts.get(STAGE) != SWAPPED:
            return  # converted in place: there is no old column
        plan = Plan.read(conversion.facts["plan"])
        table = relation(run, plan.table)
        refuse_hidden_rows(run, [table.oid])
        if has_column(run, table, plan.old):  # else a way back was begun and given up
            refuse_dependents(run, table, column(run, table, plan.old), carried=())
        run.facts["plan"] = plan.facts()
        run.facts["silent"] = silenced(run, [table.oid], UPDATE, self.triggers)


# --- the way up -------------------------------------------------------------------------------------------------------


def _forget_originals(run: Run) -> None:
    """What the conversion kept may be of rows that were changed since; the old column still knows better."""
    plan = _whole_plan(run)
    if plan is not None:
        forget_originals(run, plan.owner)
        _count_originals(run)


def _keep_originals(run: Run, batch: Batch) -> Done:
    plan = _whole_plan(run)
    if plan is None:
        return Done(rows=0, last=None)
    table = relation(run, plan.table)
    pin(run, silent=False)
    return through(run, table, plan.key, batch, lambda span: _keep(run, plan, table, span))


def _check(run: Run) -> None:
    """Make sure that the old column can be made again, row by row. Raises ValuesLost."""
    plan = _whole_plan(run)
    if plan is None:
        return
    _count_originals(run)
    table = relation(run, plan.table)
    old, new = _columns(plan)
    # A row that left its label and came back has an older original kept, but its label alone says what it holds.
    lost = sql.SQL(
        """
        ({old} COLLATE "C" IS DISTINCT FROM {kept} COLLATE "C" AND
         {old} COLLATE "C" IS DISTINCT FROM {restored} COLLATE "C")
        """
    ).format(old=_text(old), kept=_text(plan.recalled(plan.key.text(), new)), restored=_text(plan.restored(new)))
    with run.connection.transaction():
        pin(run, silent=False)
        _keep(run, plan, table, lost)  # what came since, by a client that inserts without naming columns
        count = run.one(sql.SQL("SELECT pg_catalog.count(*) FROM {} AS t WHERE {}").format(table.identifier, lost))
    if count:
        raise ValuesLost(f"{plan.table}.{plan.old}: {count} old values are not kept; run `up` again")


def _drop(run: Run) -> None:
    plan = _plan(run)
    if plan is None:
        return
    table = relation(run, plan.table)
    stop_following(run, plan, table)
    run.execute(sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table.identifier, sql.Identifier(plan.old)))
    run.facts.pop(FILLING, None)


def _count_originals(run: Run) -> None:
    """A planner that takes mig.preimages for empty reads all of it for every row."""
    run.execute("ANALYZE mig.preimages")


def _keep(run: Run, plan: Plan, table: Relation, rows: sql.Composable) -> None:
    old, new = _columns(plan)
    keep_originals(
        run,
        table,
        plan.key,
        rows,
        original=_text(old),
        converted=_text(new),
        reproduced=_text(plan.restored(new)),
        of=plan.owner,
    )


# --- the way down -----------------------------------------------------------------------------------------------------


def _expand_again(run: Run) -> None:
    plan = _plan(run)
    if plan is None:
        return
    _count_originals(run)
    table = relation(run, plan.table)
    if has_column(run, table, plan.old):
        return
    run.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
            table.identifier, sql.Identifier(plan.old), verbatim(plan.before.type)
        )
    )
    rebuilding.dress(run, table, plan.old, plan.before)
    follow_new(run, plan, table)
    run.facts[FILLING] = True


def _fill(run: Run, batch: Batch) -> Done:
    plan = _plan(run)
    if plan is None or FILLING not in run.facts:
        return Done(rows=0, last=None)
    table = relation(run, plan.table)
    pin(run, silent=run.facts["silent"])
    return through(run, table, plan.key, batch, lambda span: _fill_span(run, plan, table, span))


def _fill_span(run: Run, plan: Plan, table: Relation, span: sql.Composed) -> None:
    """Fill the rows of a span. A row that a client changes meanwhile is left alone: the trigger has filled it."""
    old, new = _columns(plan)
    same = sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier("t", each.name), sql.Identifier("s", each.name))
        for each in plan.key.columns
    )
    run.execute(
        sql.SQL(
            """
            UPDATE {table} AS t SET {name} = s.mig_value
            FROM (SELECT {key}, {new} AS mig_label, {recalled} AS mig_value FROM {table} AS t WHERE {span}) AS s
            WHERE {same} AND {new} IS NOT DISTINCT FROM s.mig_label
              AND {old} COLLATE "C" IS DISTINCT FROM s.mig_value::text COLLATE "C"
            """
        ).format(
            table=table.identifier,
            name=sql.Identifier(plan.old),
            key=plan.key.listed(),
            new=new,
            recalled=plan.recalled(plan.key.text(), new),
            span=span,
            same=same,
            old=_text(old),
        )
    )


def _analyze(run: Run) -> None:
    plan = _plan(run)
    if plan is not None:
        table = relation(run, plan.table)
        run.execute(sql.SQL("ANALYZE {} ({})").format(table.identifier, sql.Identifier(plan.old)))


def _forget(run: Run) -> None:
    for fact in ("plan", "silent", FILLING):
        run.facts.pop(fact, None)


# --- shared -----------------------------------------------------------------------------------------------------------


def _plan(run: Run) -> Plan | None:
    """The conversion's plan; None when it was in place, or never got as far as being looked at."""
    facts = run.facts.get("plan")
    return None if facts is None else Plan.read(facts)


def _whole_plan(run: Run) -> Plan | None:
    """The same; None also while the old column is not whole, when what was kept before knows better."""
    plan = _plan(run)
    whole = plan is not None and FILLING not in run.facts and has_column(run, relation(run, plan.table), plan.old)
    return plan if whole else None


def _columns(plan: Plan) -> tuple[sql.Identifier, sql.Identifier]:
    """The old and the new column of a row `t`."""
    return sql.Identifier("t", plan.old), sql.Identifier("t", plan.column)


def _text(value: sql.Composable) -> sql.Composed:
    return sql.SQL("({})::text").format(value)


def _rows(run: Run) -> int:
    plan = _plan(run)
    return 0 if plan is None else relation(run, plan.table).rows
