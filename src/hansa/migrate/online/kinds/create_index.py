"""An index that is built while others write.

    [[operation]]
    kind = "create_index"
    table = "market.tasks"
    name = "tasks_by_state"
    definition = "(state, created_at) WHERE state <> 'done'"

With `unique = true` duplicates are listed and refused before anything is built.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hansa.migrate.online import indexes
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.indexes import Wanted
from hansa.migrate.online.operation import Alone, Run, Step, Transaction
from hansa.migrate.online.relations import spelled_out
from hansa.migrate.online.tables import MATERIALIZED, WRITABLE, Table, table_of

WANTED = "wanted"
"""Fact: the preflight found nothing under that name, so what is there later is ours."""


class IndexExists(OperationRefused):
    """Another index of that name exists already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex:
    """Builds it concurrently; on a partitioned table on each partition, and then joins them.

    An index of that name with the same definition is taken as it is, also by the way back. Readers and writers never
    wait; on a partitioned table writers wait for the moment in which the empty index of the parent is made.
    """

    kind: ClassVar[str] = "create_index"
    table: str
    name: str
    definition: str
    """What follows the table: `USING gin (skills)`, `(status) WHERE active`."""
    unique: bool = False

    def __post_init__(self) -> None:
        indexes.require_one_clause(self.definition)

    @property
    def target(self) -> str:
        return f"index {self.name} on {self.table}"

    def up(self) -> Sequence[Step]:
        return (Transaction("preflight", self._preflight), Alone("build", self._build))

    def down(self) -> Sequence[Step]:
        return (Alone("drop", self._drop),)

    def _preflight(self, run: Run) -> None:
        if run.facts.get(WANTED):
            return  # a way back was begun and given up
        table = self._table(run)
        with spelled_out(run), indexes.tried(run, table, self._wanted) as trial:
            if self.unique:
                indexes.refuse_duplicates(run, table, trial, self.name)
            found = indexes.find(run, table.schema, self.name)
        run.facts[WANTED] = found is None or not found.valid
        if found is None:
            return
        if found.table != table.oid:
            raise IndexExists(f"{table.schema}.{self.name} exists already, on another table")
        if (found.definition, found.unique) != (trial.definition, trial.unique):
            raise IndexExists(
                f"{table.schema}.{self.name} exists already as {found.definition}, wanted is {trial.definition}"
            )

    def _build(self, run: Run) -> None:
        if run.facts[WANTED]:
            indexes.build(run, self._table(run), self._wanted)

    def _drop(self, run: Run) -> None:
        if run.facts.get(WANTED):
            table = self._table(run)
            indexes.remove(run, table.schema, self.name)
            if table.partitioned:
                indexes.remove_from_partitions(run, table, self.name)
        run.facts.pop(WANTED, None)

    def _table(self, run: Run) -> Table:
        return table_of(run, self.table, kinds=(*WRITABLE, MATERIALIZED))

    @property
    def _wanted(self) -> Wanted:
        return Wanted(name=self.name, definition=self.definition, unique=self.unique)
