"""Moves rows that a coming constraint would refuse into mig.quarantine, whole and with all that refers to them.

    [[operation]]
    kind = "set_aside"
    table = "governance.approvals"
    rows = "duplicates"
    columns = ["artifact_id", "reviewer_id"]
    keep = "latest"
    by = ["created_at"]

Which rows: `orphans` of a foreign key that is about to come, `duplicates` of a unique key that is about to come, or
those `where` a condition holds. The way back puts them where they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.online.backfill import Key, key_of, through
from hansa.migrate.online.errors import BadOperation
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.rebuilding import build
from hansa.migrate.online.relations import (
    DELETE,
    FIRE,
    INSERT,
    SKIP,
    NoSuchColumn,
    Relation,
    columns,
    pin,
    referencing,
    refuse_hidden_rows,
    relation,
    silenced,
    verbatim,
)
from hansa.migrate.online.setting_aside import put_back, set_aside

ORPHANS, DUPLICATES, WHERE = "orphans", "duplicates", "where"
LATEST, EARLIEST = "latest", "earliest"
HELPER = "mig_set_aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """The entries of `kind = "set_aside"`."""

    table: str
    rows: str
    """`orphans`, `duplicates` or `where`."""
    columns: tuple[str, ...] = ()
    """Of the foreign key or the unique key."""
    references: str | None = None
    """The table that orphans lack a row of."""
    referenced_columns: tuple[str, ...] = ()
    """Of that table; without it as `columns`, or its primary key when that has as many."""
    keep: str = LATEST
    """Which of several duplicates stays: `latest` or `earliest`."""
    by: tuple[str, ...] = ()
    """In which order they came; rows that are equal in it, or NULL, are told apart by the table's key."""
    nulls_distinct: bool = True
    """Whether NULL in a unique key makes a row different from all others."""
    where: str | None = None
    """A condition over the table's columns, in SQL."""
    reason: str | None = None
    """Why, in words, for whoever finds the rows in the quarantine."""
    triggers: str = SKIP
    """`fire` when triggers of users may run for what is moved; otherwise they are kept quiet."""

    def __post_init__(self) -> None:
        wants = {
            ORPHANS: bool(self.columns) and self.references is not None,
            DUPLICATES: bool(self.columns),
            WHERE: self.where is not None and self.reason is not None,
        }
        if self.rows not in wants:
            raise BadOperation(f"rows = {self.rows!r} is none of {', '.join(wants)}")
        if not wants[self.rows]:
            needed = {ORPHANS: "columns and references", DUPLICATES: "columns", WHERE: "where and reason"}
            raise BadOperation(f"rows = {self.rows!r} needs {needed[self.rows]}")
        if self.keep not in {LATEST, EARLIEST}:
            raise BadOperation(f"keep = {self.keep!r} is neither {LATEST!r} nor {EARLIEST!r}")
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")
        if self.referenced_columns and len(self.referenced_columns) != len(self.columns):
            raise BadOperation("referenced_columns must be as many as columns")

    @property
    def kind(self) -> str:
        return "set_aside"

    @property
    def target(self) -> str:
        return f"{self.rows} of {self.table}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Alone("index", self._index),
            Batches("set aside", self._set_aside, self._total),
            Alone("tidy", self._tidy),
        )

    def down(self) -> Sequence[Step]:
        return (Alone("tidy back", self._tidy), Transaction("put back", self._put_back))

    # --- steps --------------------------------------------------------------------------------------------------------

    def _preflight(self, run: Run) -> None:
        """Raises what stands in the way: a column that is not there, hidden rows, triggers that would fire."""
        table = relation(run, self.table)
        key_of(run, table)
        _refuse_missing(run, table, [*self.columns, *self.by])
        if self.references is not None:
            _refuse_missing(run, relation(run, self.references), self._referenced(run))
        tables = referencing(run, [table.oid])
        refuse_hidden_rows(run, tables)
        run.facts["silent"] = silenced(run, tables, DELETE | INSERT, self.triggers)

    def _index(self, run: Run) -> None:
        """Duplicates are found batch by batch, which needs an index that brings them together."""
        if self.rows != DUPLICATES:
            return
        table = relation(run, self.table)
        terms = [sql.Identifier(name) for name in self.columns]
        definition = sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ({})")
        name = self._helper(run)
        build(run, table, name, definition.format(sql.Identifier(name), table.identifier, sql.SQL(", ").join(terms)))

    def _set_aside(self, run: Run, batch: Batch) -> Done:
        table = relation(run, self.table)
        key = key_of(run, table)
        pin(run, silent=run.facts["silent"])
        chosen = self._chosen(run, table, key)
        return through(
            run,
            table,
            key,
            batch,
            lambda span: set_aside(run, table, sql.SQL("{} AND {}").format(span, chosen), self._reason()),
        )

    def _tidy(self, run: Run) -> None:
        if self.rows == DUPLICATES:
            table = relation(run, self.table)
            name = sql.Identifier(table.schema, self._helper(run))
            run.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(name))

    def _put_back(self, run: Run) -> None:
        if "silent" in run.facts:
            pin(run, silent=run.facts["silent"])
            put_back(run, silent=run.facts["silent"])

    # --- which rows ---------------------------------------------------------------------------------------------------

    def _chosen(self, run: Run, table: Relation, key: Key) -> sql.Composable:
        """The condition on a row `t` that is to go."""
        if self.rows == ORPHANS:
            return self._is_orphan(run)
        if self.rows == DUPLICATES:
            return self._is_surpassed(table, key)
        return sql.SQL("({})").format(verbatim(self.where or ""))

    def _is_orphan(self, run: Run) -> sql.Composed:
        """As MATCH SIMPLE has it: a reference with a NULL in it refers to nothing, which is allowed."""
        theirs = self._referenced(run)
        refers = sql.SQL(" AND ").join(
            sql.SQL("t.{} IS NOT NULL").format(sql.Identifier(name)) for name in self.columns
        )
        finds = sql.SQL(" AND ").join(
            sql.SQL("p.{} = t.{}").format(sql.Identifier(there), sql.Identifier(here))
            for here, there in zip(self.columns, theirs, strict=True)
        )
        parent = relation(run, self.references or "")
        return sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})").format(refers, parent.identifier, finds)

    def _is_surpassed(self, table: Relation, key: Key) -> sql.Composed:
        """There is another row with the same values that comes first; the very first of them stays."""
        equals = sql.SQL("o.{n} = t.{n}" if self.nulls_distinct else "o.{n} IS NOT DISTINCT FROM t.{n}")
        same = sql.SQL(" AND ").join(equals.format(n=sql.Identifier(name)) for name in self.columns)
        names = [*self.by, *(each.name for each in key.columns)]
        ahead = [
            sql.SQL("({})").format(
                sql.SQL(" AND ").join([*(_level(before) for before in names[:place]), self._ahead(name)])
            )
            for place, name in enumerate(names)
        ]
        return sql.SQL("EXISTS (SELECT FROM {} AS o WHERE {} AND ({}))").format(
            table.identifier, same, sql.SQL(" OR ").join(ahead)
        )

    def _ahead(self, name: str) -> sql.Composed:
        comparison = sql.SQL(">" if self.keep == LATEST else "<")
        return sql.SQL("(o.{n} {c} t.{n} OR o.{n} IS NOT NULL AND t.{n} IS NULL)").format(
            n=sql.Identifier(name), c=comparison
        )

    # --- details ------------------------------------------------------------------------------------------------------

    def _referenced(self, run: Run) -> tuple[str, ...]:
        if self.referenced_columns:
            return self.referenced_columns
        parent = key_of(run, relation(run, self.references or ""))
        names = tuple(each.name for each in parent.columns)
        return names if len(names) == len(self.columns) else self.columns

    def _reason(self) -> str:
        if self.reason is not None:
            return self.reason
        if self.rows == ORPHANS:
            return f"there is no row of {self.references} for its {', '.join(self.columns)}"
        return f"another row has the same {', '.join(self.columns)}"

    def _helper(self, run: Run) -> str:
        return f"{HELPER}_{run.revision[:15]}_{run.number}"

    def _total(self, run: Run) -> int:
        return relation(run, self.table).rows


def _level(name: str) -> sql.Composed:
    return sql.SQL("o.{n} IS NOT DISTINCT FROM t.{n}").format(n=sql.Identifier(name))


def _refuse_missing(run: Run, table: Relation, names: Sequence[str]) -> None:
    there = columns(run, table)
    if missing := [name for name in names if name not in there]:
        raise NoSuchColumn(f"{table.label} has no column {missing[0]}")
