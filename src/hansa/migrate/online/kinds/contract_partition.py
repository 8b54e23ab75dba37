"""The end of a partitioning: the old table goes; on the way back it is made again from the partitions.

    [[operation]]
    kind = "contract_partition"
    of = "20261201T000000_audit_logs_by_month"

What was retired by then is in its archives, and not in the old table that comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from psycopg import sql

from hansa.migrate.online import partitioning
from hansa.migrate.online.backfill import key_of, through
from hansa.migrate.online.engine import reached
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.partition_table import (
    PLACE,
    SHAPE,
    STAGE,
    SWAPPED,
    RowsDiffer,
    old_name,
    trigger_name,
)
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.partitioning import Shape
from hansa.migrate.online.tables import ORDINARY, Table, table_of

FILLING = "filling"


class NothingToContract(OperationRefused):
    """The named operation is no finished partitioning, so it keeps no old table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPartition:
    """The entries of `kind = "contract_partition"`."""

    kind: ClassVar[str] = "contract_partition"
    of: str
    """Id of the revision whose partitioning is to be brought to its end."""
    operation: int = 1
    """Number of the partitioning within that revision."""

    def __post_init__(self) -> None:
        if self.operation < 1:
            raise BadOperation("operation counts from 1")

    @property
    def target(self) -> str:
        return f"old table of {self.of}, operation {self.operation}"

    def up(self) -> Sequence[Step]:
        return (Transaction("preflight", self._preflight), Transaction("drop", self._drop))

    def down(self) -> Sequence[Step]:
        return (
            Transaction("expand", self._expand),
            Batches("copy", _copy, _rows),
            Alone("compare", _compare),
        )

    def _preflight(self, run: Run) -> None:
        if PLACE in run.facts:
            return  # a way back was begun and given up
        made = reached(run.connection, self.of).get(self.operation)
        done = made is not None and made.finished and made.direction == "up"
        if made is None or not done or SHAPE not in made.facts or made.facts.get(STAGE) != SWAPPED:
            raise NothingToContract(f"{self.of}, operation {self.operation} is no partitioning that is applied")
        run.facts[PLACE], run.facts[SHAPE] = made.facts[PLACE], made.facts[SHAPE]

    def _drop(self, run: Run) -> None:
        new = _present(run)
        run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(new.identifier))
        partitioning.stop_following(run, new, trigger_name(self.of, self.operation, "reverse"))
        run.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(new.sibling(old_name(new))))
        run.facts.pop(FILLING, None)

    def _expand(self, run: Run) -> None:
        if PLACE not in run.facts:
            return
        new, shape = _present(run), Shape.read(run.facts[SHAPE])
        name = new.sibling(old_name(new)).as_string(run.connection)
        if run.one("SELECT pg_catalog.to_regclass(%s)", [name]) is not None:
            return  # it was never dropped
        old = partitioning.make_ordinary(run, new, shape, old_name(new))
        partitioning.follow(run, new, old, shape, shape.key, trigger_name(self.of, self.operation, "reverse"))
        run.facts[FILLING] = True


def _copy(run: Run, batch: Batch) -> Done:
    if FILLING not in run.facts:
        return Done(rows=0, last=None)
    new, shape = _present(run), Shape.read(run.facts[SHAPE])
    old = _aside(run, new)
    return through(
        run,
        new.relation,
        key_of(run, new.relation),
        batch,
        lambda span: partitioning.copy(run, new, old, shape, shape.key, span),
    )


def _compare(run: Run) -> None:
    """Every row, before anybody relies on the old table again."""
    if FILLING in run.facts:
        new = _present(run)
        old = _aside(run, new)
        run.execute(sql.SQL("ANALYZE {}").format(old.identifier))
        if partitioning.different(run, new, old, Shape.read(run.facts[SHAPE])):
            raise RowsDiffer(f"{old.label} does not hold what the partitions hold: somebody wrote past the trigger")
    for fact in (PLACE, SHAPE, FILLING):
        run.facts.pop(fact, None)


def _present(run: Run) -> Table:
    return table_of(run, run.facts[PLACE])


def _aside(run: Run, new: Table) -> Table:
    return table_of(run, new.sibling(old_name(new)).as_string(run.connection), kinds=(ORDINARY,))


def _rows(run: Run) -> int:
    return _present(run).rows if FILLING in run.facts else 0
