"""A new column, also with a default that is another value for each row, without rewriting the table.

    [[operation]]
    kind = "add_column"
    table = "registry.agents"
    column = "public_id"
    type = "uuid"
    default = "gen_random_uuid()"
    not_null = true
    comment = "What strangers call it."

A default that is the same for all rows needs no batches: PostgreSQL keeps it beside the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import psycopg
from psycopg import sql

from hansa.migrate.online import not_null
from hansa.migrate.online.backfill import key_of, through
from hansa.migrate.online.defaults import is_constant
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.relations import FIRE, SKIP, UPDATE, InTheWay, pin, silenced, verbatim
from hansa.migrate.online.tables import Column, Table, table_of

WANTED, FILLING, SILENT = "wanted", "filling", "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumn:
    """The entries of `kind = "add_column"`.

    Clients should not write NULL into the column before the revision is applied: it would be filled like an old row.
    """

    kind: ClassVar[str] = "add_column"
    table: str
    column: str
    type: str
    default: str | None = None
    """SQL expression; old rows get it, too."""
    not_null: bool = False
    comment: str | None = None
    triggers: str = SKIP
    """`fire` when triggers of users may run for rows that are filled; otherwise they are kept quiet."""

    def __post_init__(self) -> None:
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")
        if self.not_null and self.default is None:
            raise BadOperation("not_null needs a default, or what would old rows hold?")

    @property
    def target(self) -> str:
        return f"column {self.table}.{self.column}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Transaction("expand", self._expand),
            Batches("fill", self._fill, self._rows),
            Transaction("promise", self._promise),
            Alone("prove", self._prove),
            Transaction("settle", self._settle),
        )

    def down(self) -> Sequence[Step]:
        return (Transaction("drop", self._drop),)

    def _preflight(self, run: Run) -> None:
        if WANTED in run.facts:
            return  # a way back was begun and given up
        table = table_of(run, self.table)
        if table.has(self.column):
            raise InTheWay(f"{table.label} has a column {self.column} already")
        run.facts[FILLING] = self.default is not None and not self._constant(run, self.default)
        if run.facts[FILLING]:
            key_of(run, table.relation)
            run.facts[SILENT] = silenced(run, [table.oid], UPDATE, self.triggers)
        run.facts[WANTED] = True

    def _constant(self, run: Run, default: str) -> bool:
        try:
            with run.connection.transaction():
                return is_constant(run, self.type, default)
        except psycopg.Error as error:
            raise OperationRefused(f"{self.target}: {error.diag.message_primary}; nothing was changed") from error

    def _expand(self, run: Run) -> None:
        table = table_of(run, self.table)
        if table.has(self.column):
            return
        name, alter = sql.Identifier(self.column), sql.SQL("ALTER TABLE {} ").format(table.identifier)
        default = sql.SQL(" DEFAULT {}").format(verbatim(self.default)) if self.default is not None else sql.SQL("")
        add = sql.SQL("ADD COLUMN {} {}").format(name, verbatim(self.type))
        if run.facts[FILLING]:  # in two commands, so that the default is for new rows only
            run.execute(alter + add)
            run.execute(alter + sql.SQL("ALTER {} SET{}").format(name, default))
        else:
            run.execute(alter + add + default + sql.SQL(" NOT NULL" if self.not_null else ""))
        if self.comment is not None:
            run.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(table.identifier, name, sql.Literal(self.comment))
            )

    def _fill(self, run: Run, batch: Batch) -> Done:
        if not run.facts[FILLING]:
            return Done(rows=0, last=None)
        table, column = self._place(run)
        pin(run, silent=run.facts[SILENT])
        fill = sql.SQL("UPDATE {table} AS t SET {name} = DEFAULT WHERE {span} AND t.{name} IS NULL")
        return through(
            run,
            table.relation,
            key_of(run, table.relation),
            batch,
            lambda span: run.execute(fill.format(table=table.identifier, name=column.identifier, span=span)),
        )

    def _promise(self, run: Run) -> None:
        if self._has_to_prove(run):
            not_null.promise(run, *self._place(run))

    def _prove(self, run: Run) -> None:
        if self._has_to_prove(run):
            not_null.prove(run, *self._place(run))

    def _settle(self, run: Run) -> None:
        if self._has_to_prove(run):
            not_null.settle(run, *self._place(run))

    def _drop(self, run: Run) -> None:
        if WANTED not in run.facts:
            return
        table = table_of(run, self.table)
        run.execute(
            sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table.identifier, sql.Identifier(self.column))
        )
        for fact in (WANTED, FILLING, SILENT):
            run.facts.pop(fact, None)

    def _has_to_prove(self, run: Run) -> bool:
        return self.not_null and bool(run.facts[FILLING])

    def _place(self, run: Run) -> tuple[Table, Column]:
        table = table_of(run, self.table)
        return table, table.column(self.column)

    def _rows(self, run: Run) -> int:
        return table_of(run, self.table).rows if run.facts[FILLING] else 0
