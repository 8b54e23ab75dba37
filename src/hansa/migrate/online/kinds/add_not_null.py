"""NOT NULL for a column, proven while others write.

    [[operation]]
    kind = "add_not_null"
    table = "registry.agents"
    column = "endpoint"
    fill = "''"

Without `fill` rows that hold NULL are counted and refused before anything is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import psycopg
from psycopg import sql

from hansa.migrate.online import constraints, not_null, replacing
from hansa.migrate.online.backfill import Key, key_of
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.relations import FIRE, SKIP, UPDATE, InTheWay, pin, silenced, verbatim
from hansa.migrate.online.tables import Column, Table, table_of

WANTED, FILL, SILENT = "wanted", "fill", "silent"


class AlreadyNotNull(OperationRefused):
    """The column takes no NULL already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNotNull:
    """Fills what is NULL if it is told with what, refuses new NULLs in a short moment, then proves it of all rows.

    The way back puts NULL where it was, in rows that still hold what they were filled with.
    """

    kind: ClassVar[str] = "add_not_null"
    table: str
    column: str
    fill: str | None = None
    """What replaces NULL, as an SQL literal: the same value for all rows."""
    triggers: str = SKIP
    """`fire` when triggers of users may run for rows that are filled; otherwise they are kept quiet."""

    def __post_init__(self) -> None:
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")

    @property
    def target(self) -> str:
        return f"column {self.table}.{self.column}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Batches("fill", self._fill, self._rows),
            Transaction("promise", self._promise),
            Batches("fill late", self._fill, self._rows),  # what came between the first fill and the promise
            Alone("prove", self._prove),
            Transaction("settle", self._settle),
        )

    def down(self) -> Sequence[Step]:
        return (
            Transaction("lift", self._lift),
            Batches("put back", self._put_back, self._rows),
            Transaction("forget", self._forget),
        )

    def _preflight(self, run: Run) -> None:
        if run.facts.get(WANTED):
            return  # a way back was begun and given up
        table, column = self._place(run)
        if column.not_null:
            raise AlreadyNotNull(f"{table.label}.{column.name} takes no NULL already")
        if self.fill is None:
            constraints.refuse_rows(
                run, table, f"t.{column.identifier.as_string(None)} IS NULL", f"hold no {column.name}"
            )
        else:
            _refuse_keys(run, table, column)
            key_of(run, table.relation)
            run.facts[FILL] = self._value(run, column, self.fill)
            run.facts[SILENT] = silenced(run, [table.oid], UPDATE, self.triggers)
        run.facts[WANTED] = True

    def _value(self, run: Run, column: Column, fill: str) -> str:
        """The filling in its text form: computed once, so that it is the same for all rows, however often we resume."""
        try:
            with run.connection.transaction():
                pin(run, silent=False)
                value = run.one(f"SELECT (({fill})::{column.type})::text")
        except psycopg.Error as error:
            raise OperationRefused(f"fill of {self.target}: {error.diag.message_primary}") from error
        if value is None:
            raise OperationRefused(f"fill of {self.target} is NULL itself")
        return value

    def _fill(self, run: Run, batch: Batch) -> Done:
        if FILL not in run.facts:
            return Done(rows=0, last=None)
        table, column = self._place(run)
        pin(run, silent=run.facts[SILENT])
        return replacing.replace(
            run,
            table,
            self._key(run, table),
            batch,
            column=column,
            where=sql.SQL("t.{} IS NULL").format(column.identifier),
            value=sql.SQL("{}::{}").format(sql.Literal(run.facts[FILL]), verbatim(column.type)),
        )

    def _promise(self, run: Run) -> None:
        not_null.promise(run, *self._place(run))

    def _prove(self, run: Run) -> None:
        not_null.prove(run, *self._place(run))

    def _settle(self, run: Run) -> None:
        not_null.settle(run, *self._place(run))

    def _lift(self, run: Run) -> None:
        if run.facts.get(WANTED):
            not_null.lift(run, *self._place(run))

    def _put_back(self, run: Run, batch: Batch) -> Done:
        if FILL not in run.facts:
            return Done(rows=0, last=None)
        table, column = self._place(run)
        silent = run.facts[SILENT]
        return replacing.put_back(run, table, self._key(run, table), batch, column=column, silent=silent)

    def _forget(self, run: Run) -> None:
        for fact in (WANTED, FILL, SILENT):
            run.facts.pop(fact, None)

    def _place(self, run: Run) -> tuple[Table, Column]:
        table = table_of(run, self.table)
        return table, table.column(self.column)

    def _key(self, run: Run, table: Table) -> Key:
        return key_of(run, table.relation)

    def _rows(self, run: Run) -> int:
        return self._place(run)[0].rows if FILL in run.facts else 0


def _refuse_keys(run: Run, table: Table, column: Column) -> None:
    """Silent triggers of users are silent foreign keys, too: what is filled in would refer to nothing."""
    rows = run.execute(
        """
        SELECT conname
        FROM pg_catalog.pg_constraint
        WHERE conrelid = %s AND contype = 'f' AND %s = ANY (conkey)
        ORDER BY conname
        """,
        [table.oid, column.number],
    )
    if rows:
        names = ", ".join(name for (name,) in rows)
        raise InTheWay(
            f"{table.label}.{column.name} refers to another table by {names}; fill it by a revision of its own"
        )
