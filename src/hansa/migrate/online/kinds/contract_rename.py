"""The end of a rename: the old name goes once nobody uses it any more; on the way back it is made again.

[[operation]]
kind = "contract_rename"
of = "20261201T000000_rename_endpoint"
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from psycopg import sql

from hansa.migrate.online import indexes, relations, twins
from hansa.migrate.online.engine import reached
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.rename_column import STAGE, SWAPPED, TWIN, state, trigger_name
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.relations import FIRE, SKIP, UPDATE, refuse_dependents, silenced
from hansa.migrate.online.tables import table_of
from hansa.migrate.online.twins import Twin, TwinIndex

SILENT = "silent"


class NothingToContract(OperationRefused):
    """The named operation is no finished rename, so it keeps no old name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRename:
    """The entries of `kind = "contract_rename"`."""

    kind: ClassVar[str] = "contract_rename"
    of: str
    """Id of the revision whose rename is to be brought to its end."""
    operation: int = 1
    """Number of the rename within that revision."""
    triggers: str = SKIP
    """`fire` when triggers of users may run while the twin is filled again on the way back."""

    def __post_init__(self) -> None:
        if self.operation < 1:
            raise BadOperation("operation counts from 1")
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")

    @property
    def target(self) -> str:
        return f"old name of {self.of}, operation {self.operation}"

    def up(self) -> Sequence[Step]:
        return (Transaction("preflight", self._preflight), Transaction("drop", self._drop))

    def down(self) -> Sequence[Step]:
        return (
            Transaction("expand", self._expand),
            Batches("fill", _fill, _rows),
            Alone("index", _index),
            Alone("analyze", _analyze),
        )

    def _preflight(self, run: Run) -> None:
        if TWIN in run.facts:
            return  # a way back was begun and given up
        renamed = reached(run.connection, self.of).get(self.operation)
        done = renamed is not None and renamed.finished and renamed.direction == "up"
        if renamed is None or not done or TWIN not in renamed.facts or renamed.facts.get(STAGE) != SWAPPED:
            raise NothingToContract(f"{self.of}, operation {self.operation} is no rename that is applied")
        twin = Twin.read(renamed.facts[TWIN])
        table = table_of(run, twin.table)
        if not table.has(twin.twin):
            raise NothingToContract(f"{table.label}.{twin.twin} is gone already")
        names = [index.name for index in twin.indexes]
        refuse_dependents(run, table.relation, relations.column(run, table.relation, twin.twin), carried=names)
        run.facts[SILENT] = silenced(run, [table.oid], UPDATE, self.triggers)
        run.facts[TWIN] = replace(twin, indexes=_indexes(run, twin)).facts()

    def _drop(self, run: Run) -> None:
        twin, table = state(run)
        run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))
        twins.part(run, twin, table, trigger_name(self.of, self.operation))

    def _expand(self, run: Run) -> None:
        if TWIN not in run.facts:
            return
        twin, table = state(run)
        if not table.has(twin.twin):
            twins.add(run, twin, table)
            twins.follow(run, twin, table, trigger_name(self.of, self.operation))


def _fill(run: Run, batch: Batch) -> Done:
    if TWIN not in run.facts:
        return Done(rows=0, last=None)
    return twins.fill(run, state(run)[0], batch, silent=run.facts[SILENT])


def _index(run: Run) -> None:
    if TWIN in run.facts:
        twins.build_indexes(run, state(run)[0])


def _analyze(run: Run) -> None:
    if TWIN in run.facts:
        twin, table = state(run)
        run.execute(sql.SQL("ANALYZE {} ({})").format(table.identifier, sql.Identifier(twin.twin)))
        del run.facts[TWIN]


def _rows(run: Run) -> int:
    return state(run)[1].rows if TWIN in run.facts else 0


def _indexes(run: Run, twin: Twin) -> tuple[TwinIndex, ...]:
    """As they are now, under the names that the rename gave."""
    table = table_of(run, twin.table)
    with relations.spelled_out(run):
        found = [(index.name, indexes.find(run, table.schema, index.name)) for index in twin.indexes]
    return tuple(
        TwinIndex(name=name, definition=index.definition, unique=index.unique)
        for name, index in found
        if index is not None
    )
