"""A foreign key that is validated while others write.

    [[operation]]
    kind = "add_foreign_key"
    table = "market.tasks"
    name = "task_has_its_agent"
    columns = ["agent"]
    references = "registry.agents"
    on_delete = "RESTRICT"
    replaces = "tasks_agent_fkey"

Rows that refer to nothing are counted and refused beforehand, or set to NULL with `orphans = "null"`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online import constraints, replacing
from hansa.migrate.online.backfill import key_of
from hansa.migrate.online.constraints import NoSuchConstraint, RowsInTheWay
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.relations import FIRE, SKIP, UPDATE, pin, silenced, spelled_out, verbatim
from hansa.migrate.online.tables import Column, Table, columns_of, listed, table_of

ACTIONS = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")
REFUSE, NULL = "refuse", "null"
FOREIGN_KEY = "f"
PARTITIONED_SINCE = 180000
"""The server version that takes NOT VALID foreign keys of partitioned tables."""
WANTED, REPLACED, SWAPPED, SILENT = "wanted", "replaced", "swapped", "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddForeignKey:
    """Adds it for new rows in a short moment, then looks at the old ones; last, it takes another one's place.

    The way back brings the other one back first, so at no instant less is guaranteed than before.
    """

    kind: ClassVar[str] = "add_foreign_key"
    table: str
    name: str
    columns: tuple[str, ...]
    references: str
    referenced_columns: tuple[str, ...] | None = None
    """Without them the primary key."""
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    replaces: str | None = None
    """A foreign key of the same table that goes when this one is valid; it may have the same name."""
    orphans: str = REFUSE
    """`null`: rows that refer to nothing get NULL, and their value back on the way back."""
    triggers: str = SKIP
    """`fire` when triggers of users may run for rows that get NULL; otherwise they are kept quiet."""

    def __post_init__(self) -> None:
        if self.on_delete not in ACTIONS or self.on_update not in ACTIONS:
            raise BadOperation(f"on_delete and on_update are one of {', '.join(ACTIONS)}")
        if self.orphans not in {REFUSE, NULL}:
            raise BadOperation(f"orphans = {self.orphans!r} is neither {REFUSE!r} nor {NULL!r}")
        if self.orphans == NULL and len(self.columns) > 1:
            raise BadOperation("orphans of a key of several columns can only be refused")
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")

    @property
    def target(self) -> str:
        return f"constraint {self.name} on {self.table}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Transaction("constrain", self._constrain),
            Batches("clear", self._clear, self._rows),
            Alone("validate", self._validate),
            Transaction("swap", self._swap),
        )

    def down(self) -> Sequence[Step]:
        return (
            Transaction("constrain back", self._constrain_back),
            Alone("validate back", self._validate_back),
            Transaction("swap back", self._swap_back),
            Batches("put back", self._put_back, self._rows),
            Transaction("forget", self._forget),
        )

    # --- up -----------------------------------------------------------------------------------------------------------

    def _preflight(self, run: Run) -> None:
        if run.facts.get(WANTED):
            return  # a way back was begun and given up
        table, parent = table_of(run, self.table), table_of(run, self.references)
        if table.partitioned and run.connection.info.server_version < PARTITIONED_SINCE:
            raise OperationRefused(
                f"{table.label} is partitioned; before PostgreSQL 18 only its partitions can do this"
            )
        if self.name != self.replaces:
            constraints.refuse_existing(run, table, self.name)
        self._try(run, table, parent)
        orphaned = self._orphaned(run, table, parent)
        if self.orphans == NULL:
            self._refuse_clearing(run, table)
        else:
            constraints.refuse_rows(run, table, orphaned, f"refer to nothing in {parent.label}")
        run.facts[REPLACED] = self._replaced(run, table)
        run.facts[WANTED] = True

    def _try(self, run: Run, table: Table, parent: Table) -> None:
        """On empty copies, so that what PostgreSQL does not take is known before anything is changed."""
        with run.connection.transaction(force_rollback=True):
            copy, other = sql.Identifier("pg_temp", "fk_child"), sql.Identifier("pg_temp", "fk_parent")
            run.execute(sql.SQL("CREATE TEMP TABLE fk_child (LIKE {})").format(table.identifier))
            run.execute(sql.SQL("CREATE TEMP TABLE fk_parent (LIKE {} INCLUDING INDEXES)").format(parent.identifier))
            try:
                run.execute(sql.SQL("ALTER TABLE {} ADD {}").format(copy, self._definition(other)))
            except psycopg.Error as error:
                raise OperationRefused(f"{self.target}: {error.diag.message_primary}; nothing was changed") from error

    def _refuse_clearing(self, run: Run, table: Table) -> None:
        column = self._column(table)
        if column.not_null:
            raise RowsInTheWay(f"{table.label}.{column.name} takes no NULL, so orphans cannot get it")
        key_of(run, table.relation, without=self.columns)
        run.facts[SILENT] = silenced(run, [table.oid], UPDATE, self.triggers)

    def _replaced(self, run: Run, table: Table) -> dict[str, Any] | None:
        if self.replaces is None:
            return None
        with spelled_out(run):
            found = constraints.find(run, table, self.replaces)
        if found is None or found.kind != FOREIGN_KEY:
            raise NoSuchConstraint(f"{table.label} has no foreign key {self.replaces} to replace")
        return {"definition": found.definition, "valid": found.valid, "comment": found.comment}

    def _constrain(self, run: Run) -> None:
        table, parent = table_of(run, self.table), table_of(run, self.references)
        if not run.facts.get(SWAPPED) and constraints.find(run, table, self._interim) is None:
            definition = self._definition(parent.identifier).as_string(run.connection)
            constraints.add(run, table, self._interim, definition)

    def _clear(self, run: Run, batch: Batch) -> Done:
        """After the key is promised: no orphan can come any more."""
        if self.orphans == REFUSE:
            return Done(rows=0, last=None)
        table, parent = table_of(run, self.table), table_of(run, self.references)
        pin(run, silent=run.facts[SILENT])
        return replacing.replace(
            run,
            table,
            key_of(run, table.relation, without=self.columns),
            batch,
            column=self._column(table),
            where=verbatim(self._orphaned(run, table, parent)),
            value=sql.SQL("NULL"),
        )

    def _validate(self, run: Run) -> None:
        if not run.facts.get(SWAPPED):
            constraints.validate(run, table_of(run, self.table), self._interim)

    def _swap(self, run: Run) -> None:
        table = table_of(run, self.table)
        if run.facts.get(SWAPPED):
            self._drop_returning(run, table)
        elif self.replaces is not None:
            constraints.drop(run, table, self.replaces)
            if self._interim != self.name:
                constraints.rename(run, table, self._interim, self.name)
        run.facts[SWAPPED] = True

    # --- down ---------------------------------------------------------------------------------------------------------

    def _constrain_back(self, run: Run) -> None:
        table = table_of(run, self.table)
        replaced = run.facts.get(REPLACED)
        if run.facts.get(SWAPPED) and replaced and constraints.find(run, table, self._returning) is None:
            constraints.add(run, table, self._returning, replaced["definition"])

    def _validate_back(self, run: Run) -> None:
        replaced = run.facts.get(REPLACED)
        if run.facts.get(SWAPPED) and replaced and replaced["valid"]:
            constraints.validate(run, table_of(run, self.table), self._returning)

    def _swap_back(self, run: Run) -> None:
        table = table_of(run, self.table)
        replaced = run.facts.get(REPLACED)
        if not run.facts.get(WANTED):
            return
        if not run.facts.get(SWAPPED):
            constraints.drop(run, table, self._interim)
            return
        constraints.drop(run, table, self.name)
        if replaced and self.replaces is not None:
            if self._returning != self.replaces:
                constraints.rename(run, table, self._returning, self.replaces)
            constraints.comment(run, table, self.replaces, replaced["comment"])
        run.facts[SWAPPED] = False

    def _drop_returning(self, run: Run, table: Table) -> None:
        """A way back was begun and given up."""
        if self.replaces is not None:
            constraints.drop(run, table, self._returning)

    def _put_back(self, run: Run, batch: Batch) -> Done:
        if SILENT not in run.facts:
            return Done(rows=0, last=None)
        table = table_of(run, self.table)
        key = key_of(run, table.relation, without=self.columns)
        silent = run.facts[SILENT]
        return replacing.put_back(run, table, key, batch, column=self._column(table), silent=silent)

    def _forget(self, run: Run) -> None:
        for fact in (WANTED, REPLACED, SWAPPED, SILENT):
            run.facts.pop(fact, None)

    # --- words --------------------------------------------------------------------------------------------------------

    @property
    def _interim(self) -> str:
        """The new one's name until the swap."""
        return fitting(self.name, "__new") if self.name == self.replaces else self.name

    @property
    def _returning(self) -> str:
        """The old one's name until the swap back."""
        assert self.replaces is not None
        return fitting(self.name, "__old") if self.name == self.replaces else self.replaces

    def _definition(self, parent: sql.Identifier) -> sql.Composed:
        return sql.SQL("FOREIGN KEY ({}) REFERENCES {}{} ON DELETE {} ON UPDATE {}").format(
            listed(self.columns),
            parent,
            sql.SQL(" ({})").format(listed(self.referenced_columns)) if self.referenced_columns else sql.SQL(""),
            verbatim(self.on_delete),
            verbatim(self.on_update),
        )

    def _orphaned(self, run: Run, table: Table, parent: Table) -> str:
        """Condition over the row `t`."""
        own = columns_of(table, self.columns)
        theirs = columns_of(parent, self.referenced_columns or parent.key)
        there = sql.SQL(" AND ").join(sql.SQL("t.{} IS NOT NULL").format(column.identifier) for column in own)
        same = sql.SQL(" AND ").join(
            sql.SQL("p.{} = t.{}").format(other.identifier, column.identifier)
            for column, other in zip(own, theirs, strict=True)
        )
        condition = sql.SQL("({}) AND NOT EXISTS (SELECT FROM {} AS p WHERE {})")
        return condition.format(there, parent.rows_of_its_own, same).as_string(run.connection)

    def _column(self, table: Table) -> Column:
        return table.column(self.columns[0])

    def _rows(self, run: Run) -> int:
        return table_of(run, self.table).rows if self.orphans == NULL else 0
