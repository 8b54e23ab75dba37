"""The end of a change of type: the old column goes once nothing reads it any more; on the way back it is made again.

    [[operation]]
    kind = "contract_type"
    of = "20261201T000000_amounts_in_cents"

Before it goes, every old value that the expression back does not reproduce is kept in mig.preimages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from psycopg import sql

from hansa.migrate.online import rebuilding, retyping
from hansa.migrate.online.backfill import through
from hansa.migrate.online.conversion import stop_following
from hansa.migrate.online.engine import reached
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.change_type import RETYPING, STAGE, SWAPPED
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
from hansa.migrate.online.retyping import BACK, Retyping
from hansa.migrate.online.setting_aside import forget_originals, keep_originals

SILENT, FILLING = "silent", "filling"


class NothingToContract(OperationRefused):
    """The named operation is no finished change of type, so it keeps no old column."""


class ValuesLost(OperationRefused):
    """Old values could not be made again; the old column stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractType:
    """The entries of `kind = "contract_type"`."""

    kind: ClassVar[str] = "contract_type"
    of: str
    """Id of the revision whose change of type is to be brought to its end."""
    operation: int = 1
    """Number of the change within that revision."""
    triggers: str = SKIP
    """`fire` when triggers of users may run while the old column is filled again on the way back."""

    def __post_init__(self) -> None:
        if self.operation < 1:
            raise BadOperation("operation counts from 1")
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")

    @property
    def target(self) -> str:
        return f"old column of {self.of}, operation {self.operation}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Batches("keep originals", _keep_originals, _rows),
            Alone("check", _check),
            Transaction("drop", _drop),
        )

    def down(self) -> Sequence[Step]:
        return (
            Transaction("expand", _expand),
            Batches("fill", _fill, _rows),
            Alone("analyze", _analyze),
        )

    def _preflight(self, run: Run) -> None:
        if RETYPING in run.facts:
            return  # a way back was begun and given up
        changed = reached(run.connection, self.of).get(self.operation)
        done = changed is not None and changed.finished and changed.direction == "up"
        if changed is None or not done or RETYPING not in changed.facts or changed.facts.get(STAGE) != SWAPPED:
            raise NothingToContract(f"{self.of}, operation {self.operation} is no change of type that is applied")
        plan = Retyping.read(changed.facts[RETYPING]).plan
        table = relation(run, plan.table)
        refuse_hidden_rows(run, [table.oid])
        if not has_column(run, table, plan.old):
            raise NothingToContract(f"{plan.table}.{plan.old} is gone already")
        refuse_dependents(run, table, column(run, table, plan.old), carried=())
        forget_originals(run, plan.owner)  # those of an earlier contraction may be of rows that were changed since
        run.facts[SILENT] = silenced(run, [table.oid], UPDATE, self.triggers)
        run.facts[RETYPING] = changed.facts[RETYPING]


# --- the way up -------------------------------------------------------------------------------------------------------


def _keep_originals(run: Run, batch: Batch) -> Done:
    changed, table = _state(run)
    plan = changed.plan
    if not _tells_old_values(run, changed, table):
        return Done(rows=0, last=None)
    pin(run, silent=False)
    old, new = _columns(changed)
    return through(
        run,
        table,
        plan.key,
        batch,
        lambda span: keep_originals(
            run,
            table,
            plan.key,
            span,
            original=_text(old),
            converted=_text(new),
            reproduced=changed.becomes(BACK, new),
            of=plan.owner,
        ),
    )


def _check(run: Run) -> None:
    """Make sure that the old column can be made again, row by row. Raises ValuesLost."""
    changed, table = _state(run)
    if not _tells_old_values(run, changed, table):
        return
    _count_originals(run)
    # A row that left its value and came back has an older original kept, but its value alone says what it holds.
    query = """
      SELECT count(*) FROM ({}) AS r WHERE mig_old IS DISTINCT FROM mig_value AND mig_old IS DISTINCT FROM mig_back
    """
    with run.connection.transaction():
        pin(run, silent=False)
        lost = run.one(sql.SQL(query).format(_recalled(changed, table, sql.SQL("true"))))
    if lost:
        raise ValuesLost(f"{table.label}.{changed.plan.old}: {lost} old values are not kept; take this back, try again")


def _drop(run: Run) -> None:
    changed, table = _state(run)
    stop_following(run, changed.plan, table)
    run.execute(
        sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table.identifier, sql.Identifier(changed.plan.old))
    )
    run.facts.pop(FILLING, None)


def _count_originals(run: Run) -> None:
    """A planner that takes mig.preimages for empty reads all of it for every row."""
    run.execute("ANALYZE mig.preimages")


def _tells_old_values(run: Run, changed: Retyping, table: Relation) -> bool:
    """Whether the old column is there and whole; after half a way back it is not, and what was kept still counts."""
    return FILLING not in run.facts and has_column(run, table, changed.plan.old)


# --- the way down -----------------------------------------------------------------------------------------------------


def _expand(run: Run) -> None:
    if RETYPING not in run.facts:
        return
    changed, table = _state(run)
    plan = changed.plan
    if has_column(run, table, plan.old):
        return
    _count_originals(run)
    run.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
            table.identifier, sql.Identifier(plan.old), verbatim(plan.before.type)
        )
    )
    rebuilding.dress(run, table, plan.old, plan.before)
    retyping.follow_new(run, changed, table)
    run.facts[FILLING] = True


def _fill(run: Run, batch: Batch) -> Done:
    if FILLING not in run.facts:  # an old column that was never dropped knows better than what was kept of it
        return Done(rows=0, last=None)
    changed, table = _state(run)
    pin(run, silent=run.facts[SILENT])
    return through(run, table, changed.plan.key, batch, lambda span: _fill_span(run, changed, table, span))


def _fill_span(run: Run, changed: Retyping, table: Relation, span: sql.Composed) -> None:
    """Fill the rows of a span. A row that a client changes meanwhile is left alone: the trigger has filled it."""
    plan = changed.plan
    _, new = _columns(changed)
    run.execute(
        sql.SQL("""
          UPDATE {table} AS t SET {name} = r.mig_value::{type}
          FROM ({recalled}) AS r
          WHERE ({key}) = ({same}) AND {new} IS NOT DISTINCT FROM r.mig_new AND r.mig_old IS DISTINCT FROM r.mig_value
        """).format(
            table=table.identifier,
            name=sql.Identifier(plan.old),
            type=verbatim(plan.before.type),
            recalled=_recalled(changed, table, span),
            key=plan.key.listed("t"),
            same=plan.key.listed("r"),
            new=_text(new),
        )
    )


def _analyze(run: Run) -> None:
    if RETYPING in run.facts:
        changed, table = _state(run)
        run.execute(sql.SQL("ANALYZE {} ({})").format(table.identifier, sql.Identifier(changed.plan.old)))
        for fact in (RETYPING, SILENT, FILLING):
            run.facts.pop(fact, None)


# --- shared -----------------------------------------------------------------------------------------------------------


def _recalled(changed: Retyping, table: Relation, rows: sql.Composable) -> sql.Composed:
    """Query of key, new value, old value, what `back` makes of the new one, and what the old value should be, of rows `t`.

    All but the key as text. What it should be is its kept original, unless the row was changed since.
    """
    plan = changed.plan
    old, new = _columns(changed)
    return sql.SQL("""
      SELECT {key}, {new} AS mig_new, {old} AS mig_old,
             {back} AS mig_back, CASE WHEN p.key IS NULL THEN {back} ELSE p.original END AS mig_value
      FROM {table} AS t
      LEFT JOIN mig.preimages AS p ON p.revision = {revision} AND p.operation = {number} AND p.key = {text}
                                  AND p.converted IS NOT DISTINCT FROM {new}
      WHERE {rows}
    """).format(
        key=plan.key.listed("t"),
        new=_text(new),
        old=_text(old),
        back=changed.becomes(BACK, new),
        table=table.identifier,
        revision=sql.Literal(plan.revision),
        number=sql.Literal(plan.number),
        text=plan.key.text("t"),
        rows=rows,
    )


def _state(run: Run) -> tuple[Retyping, Relation]:
    changed = Retyping.read(run.facts[RETYPING])
    return changed, relation(run, changed.plan.table)


def _columns(changed: Retyping) -> tuple[sql.Identifier, sql.Identifier]:
    """The old and the new column of a row `t`."""
    return sql.Identifier("t", changed.plan.old), sql.Identifier("t", changed.plan.column)


def _text(value: sql.Composable) -> sql.Composed:
    return sql.SQL("({})::text").format(value)


def _rows(run: Run) -> int:
    return _state(run)[1].rows if RETYPING in run.facts else 0
