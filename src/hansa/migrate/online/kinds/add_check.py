"""A CHECK constraint that is validated while others write.

    [[operation]]
    kind = "add_check"
    table = "credits.accounts"
    name = "balance_not_negative"
    expression = "balance >= 0"

Rows that break it are counted and refused before anything is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import psycopg

from hansa.migrate.online import constraints
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.operation import Alone, Run, Step, Transaction
from hansa.migrate.online.tables import table_of

WANTED = "wanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheck:
    """Adds it for new rows in a short moment, then looks at the old ones. Rows that break it stop it beforehand."""

    kind: ClassVar[str] = "add_check"
    table: str
    name: str
    expression: str

    @property
    def target(self) -> str:
        return f"constraint {self.name} on {self.table}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Transaction("constrain", self._constrain),
            Alone("validate", self._validate),
        )

    def down(self) -> Sequence[Step]:
        return (Transaction("drop", self._drop),)

    def _preflight(self, run: Run) -> None:
        if run.facts.get(WANTED):
            return  # a way back was begun and given up
        table = table_of(run, self.table)
        constraints.refuse_existing(run, table, self.name)
        try:
            with run.connection.transaction():
                constraints.refuse_rows(run, table, f"NOT ({self.expression})", f"break {self.name}")
        except psycopg.Error as error:
            raise OperationRefused(f"{self.target}: {error.diag.message_primary}; nothing was changed") from error
        run.facts[WANTED] = True

    def _constrain(self, run: Run) -> None:
        table = table_of(run, self.table)
        if constraints.find(run, table, self.name) is None:
            constraints.add(run, table, self.name, f"CHECK ({self.expression})")

    def _validate(self, run: Run) -> None:
        constraints.validate(run, table_of(run, self.table), self.name)

    def _drop(self, run: Run) -> None:
        if run.facts.pop(WANTED, None):
            constraints.drop(run, table_of(run, self.table), self.name)
