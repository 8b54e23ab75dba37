"""A unique constraint whose index is built while others write.

    [[operation]]
    kind = "add_unique"
    table = "registry.agents"
    name = "agent_did_once"
    columns = ["did"]

Duplicates are listed and refused before anything is built.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from psycopg import sql

from hansa.migrate.online import constraints, indexes
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.indexes import Wanted
from hansa.migrate.online.operation import Alone, Run, Step, Transaction
from hansa.migrate.online.relations import relation
from hansa.migrate.online.tables import Table, columns_of, table_of

WANTED = "wanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUnique:
    """Builds the index concurrently and makes it a constraint in a short moment. Duplicates stop it beforehand.

    Takes ordinary tables; on a partitioned one `create_index` with `unique` does as much.
    """

    kind: ClassVar[str] = "add_unique"
    table: str
    name: str
    columns: tuple[str, ...]
    nulls_not_distinct: bool = False

    @property
    def target(self) -> str:
        return f"constraint {self.name} on {self.table}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Alone("index", self._index),
            Transaction("constrain", self._constrain),
        )

    def down(self) -> Sequence[Step]:
        return (Transaction("drop", self._drop), Alone("drop_index", self._drop_index))

    def _preflight(self, run: Run) -> None:
        if run.facts.get(WANTED):
            return  # a way back was begun and given up
        relation(run, self.table)  # refuses what is no ordinary table
        table = table_of(run, self.table)
        columns_of(table, self.columns)
        constraints.refuse_existing(run, table, self.name)
        found = indexes.find(run, table.schema, self.name)
        if found is not None and (found.valid or found.table != table.oid):
            raise OperationRefused(f"{table.schema}.{self.name} is the name of an index already")
        with indexes.tried(run, table, self._wanted) as trial:
            indexes.refuse_duplicates(run, table, trial, self.name)
        run.facts[WANTED] = True

    def _index(self, run: Run) -> None:
        indexes.build(run, table_of(run, self.table), self._wanted)

    def _constrain(self, run: Run) -> None:
        table, name = self._table(run), sql.Identifier(self.name)
        if constraints.find(run, table, self.name) is not None:
            return
        run.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}").format(table.identifier, name, name)
        )

    def _drop(self, run: Run) -> None:
        if run.facts.get(WANTED):
            constraints.drop(run, self._table(run), self.name)

    def _drop_index(self, run: Run) -> None:
        """What an interrupted build left, or one that never became a constraint."""
        if run.facts.get(WANTED):
            indexes.remove(run, self._table(run).schema, self.name)
        run.facts.pop(WANTED, None)

    def _table(self, run: Run) -> Table:
        return table_of(run, self.table)

    @property
    def _wanted(self) -> Wanted:
        definition = indexes.key_definition(self.columns, nulls_not_distinct=self.nulls_not_distinct)
        return Wanted(name=self.name, definition=definition, unique=True)
