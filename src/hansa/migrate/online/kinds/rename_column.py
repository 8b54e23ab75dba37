"""Another name for a column, while the old application goes on with the old one.

    [[operation]]
    kind = "rename_column"
    table = "registry.agents"
    column = "endpoint_url"
    to = "endpoint"

Under the old name stands a twin that holds the same at any time, whichever of both is written, with indexes of its own;
`contract_rename` drops it once nobody uses the old name any more. Going back is one short transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online import twins
from hansa.migrate.online.backfill import key_of
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.relations import FIRE, SKIP, UPDATE, InTheWay, silenced
from hansa.migrate.online.tables import Table, table_of
from hansa.migrate.online.twins import Twin

TWIN, STAGE, SILENT = "twin", "stage", "silent"
EXPANDED, SWAPPED = "expanded", "swapped"


class Contracted(OperationRefused):
    """The old name is gone: the revision that dropped it has to be taken back first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameColumn:
    """The entries of `kind = "rename_column"`.

    The column itself gets the new name, and keeps all that hangs on it: constraints, references, indexes, views.
    """

    kind: ClassVar[str] = "rename_column"
    table: str
    column: str
    to: str
    triggers: str = SKIP
    """`fire` when triggers of users may run while the twin is filled; otherwise they are kept quiet."""

    def __post_init__(self) -> None:
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")
        if self.to == self.column:
            raise BadOperation("to must be another name")

    @property
    def target(self) -> str:
        return f"column {self.table}.{self.column}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Transaction("expand", _expand),
            Batches("backfill", _backfill, _rows),
            Alone("index", _index),
            Alone("check", _check),
            Transaction("swap", self._swap),
            Alone("analyze", _analyze),
        )

    def down(self) -> Sequence[Step]:
        return (Transaction("take back", self._take_back),)

    def _preflight(self, run: Run) -> None:
        if STAGE in run.facts:
            return  # a way back was begun and given up
        table = table_of(run, self.table)
        column = table.column(self.column)
        interim = fitting(self.column, "__twin")
        for name in (self.to, interim):
            if table.has(name):
                raise InTheWay(f"{table.label} has a column {name} already")
        key_of(run, table.relation)
        run.facts[SILENT] = silenced(run, [table.oid], UPDATE, self.triggers)
        run.facts[TWIN] = twins.twin_of(run, table, column, interim).facts()

    def _swap(self, run: Run) -> None:
        """Old names for new ones: from here on the trigger speaks of them, too."""
        if run.facts[STAGE] == SWAPPED:
            return
        twin, table = state(run)
        swapped = replace(twin, real=self.to, twin=self.column)
        run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))
        rename(run, table, self.column, self.to)
        rename(run, table, twin.twin, self.column)
        twins.follow(run, swapped, table, trigger_name(run.revision, run.number))
        run.facts[TWIN] = swapped.facts()
        run.facts[STAGE] = SWAPPED

    def _take_back(self, run: Run) -> None:
        if TWIN not in run.facts:
            return
        twin, table = state(run)
        swapped = run.facts.get(STAGE) == SWAPPED
        if swapped and not table.has(twin.twin):
            raise Contracted(
                f"{table.label}.{twin.twin} is gone; take back the revision that dropped it, then this one"
            )
        run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))
        twins.part(run, twin, table, trigger_name(run.revision, run.number))
        if swapped:
            rename(run, table, self.to, self.column)
        for fact in (TWIN, STAGE, SILENT):
            run.facts.pop(fact, None)


def trigger_name(revision: str, number: int) -> str:
    """Name of the trigger and its function."""
    return fitting(f"twin_{revision}", f"_{number}")


def state(run: Run) -> tuple[Twin, Table]:
    """The twin under its present names, and its table."""
    twin = Twin.read(run.facts[TWIN])
    return twin, table_of(run, twin.table)


def rename(run: Run, table: Table, old: str, new: str) -> None:
    run.execute(
        sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(
            table.identifier, sql.Identifier(old), sql.Identifier(new)
        )
    )


def _expand(run: Run) -> None:
    if STAGE in run.facts:
        return
    twin, table = state(run)
    twins.add(run, twin, table)
    twins.follow(run, twin, table, trigger_name(run.revision, run.number))
    run.facts[STAGE] = EXPANDED


def _backfill(run: Run, batch: Batch) -> Done:
    return twins.fill(run, state(run)[0], batch, silent=run.facts[SILENT])


def _index(run: Run) -> None:
    twins.build_indexes(run, state(run)[0])


def _check(run: Run) -> None:
    """Compare both columns in every row before anybody relies on the twin."""
    twin, table = state(run)
    twins.refuse_different(run, twin)
    # An autovacuum only steps aside for somebody who waits longer than the swap will.
    with run.connection.transaction():
        run.execute("SET LOCAL lock_timeout = 0")
        run.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(table.identifier))


def _analyze(run: Run) -> None:
    """The planner knows nothing of a column that it never saw, and would choose badly."""
    twin, table = state(run)
    run.execute(sql.SQL("ANALYZE {} ({})").format(table.identifier, sql.Identifier(twin.twin)))


def _rows(run: Run) -> int:
    return state(run)[1].rows
