"""An ordinary table becomes one in partitions by time, while clients go on.

    [[operation]]
    kind = "partition_table"
    table = "governance.audit_logs"
    by = "created_at"
    step = "1 month"
    ahead = 3
    keep = "2 years"

A partitioned table is made beside the old one and kept in step by a trigger; the rows are copied in batches and
compared; then both change names in one short transaction. From there on the old table follows the new one, so that
going back is the same exchange again. Its row in mig.partition_policies has partitions made and retired by the clock.

`contract_partition` drops the old table in the end. `ON CONFLICT (id)` of clients finds no constraint any more when the key lacks the partition column; say it with both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import psycopg
from psycopg import sql

from hansa.migrate.errors import BadRequest
from hansa.migrate.naming import fitting
from hansa.migrate.online import constraints, partitioning
from hansa.migrate.online.backfill import key_of, through
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.partitioning import Shape
from hansa.migrate.online.relations import InTheWay, relation, verbatim
from hansa.migrate.online.tables import ORDINARY, Table, table_of
from hansa.migrate.partitions import Policy, Span, make_partitions, span_of

PLACE, SHAPE, STAGE, RANGE, KEYS = "place", "shape", "stage", "range", "keys"
EXPANDED, SWAPPED = "expanded", "swapped"
PARTITIONS_MAX = 1_000
"""More than this are a mistake in `step`, or rows from another century."""


class TooManyPartitions(OperationRefused):
    """The rows span more steps than a table should have partitions."""


class ShapeChanged(OperationRefused):
    """Somebody changed the table's definition since the new one was made like it."""


class Contracted(OperationRefused):
    """The old table is gone: the revision that dropped it has to be taken back first."""


class RowsDiffer(OperationRefused):
    """Both tables should hold the same rows, and do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionTable:
    """The entries of `kind = "partition_table"`."""

    kind: ClassVar[str] = "partition_table"
    table: str
    by: str
    """A timestamptz column that is never NULL."""
    step: str
    """Span of one partition: `1 month`, `1 week`, `6 hours`."""
    ahead: int
    """How many partitions exist before they are needed."""
    keep: str | None = None
    """Age at which a partition is retired; never without it."""
    archive: bool = True
    """Whether a partition is archived before it is dropped."""
    drop_foreign_keys: tuple[str, ...] | None = None
    """Foreign keys of other tables that point here and go, as `schema.table.constraint`: they cannot point at a key
    that lacks the partition column. The way back brings them back."""

    def __post_init__(self) -> None:
        if self.ahead < 1:
            raise BadOperation("ahead is at least 1: without a partition to come, writes would fail")

    @property
    def target(self) -> str:
        return f"table {self.table}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Transaction("expand", self._expand),
            Batches("copy", self._copy, self._rows),
            Transaction("extend", self._extend),
            Alone("compare", self._compare),
            Transaction("swap", self._swap),
            Alone("analyze", self._analyze),
        )

    def down(self) -> Sequence[Step]:
        return (
            Alone("compare back", self._compare_back),
            Transaction("swap back", self._swap_back),
            Alone("validate back", self._validate_back),
            Transaction("remove", self._remove),
        )

    # --- up -----------------------------------------------------------------------------------------------------------

    def _preflight(self, run: Run) -> None:
        if STAGE in run.facts:
            return  # a way back was begun and given up
        relation(run, self.table)  # refuses what is no ordinary table
        table = table_of(run, self.table, kinds=(ORDINARY,))
        shape = partitioning.shape_of(run, table)
        partitioning.refuse_unfit(run, table, shape, table.column(self.by))
        key_of(run, table.relation)
        self._refuse_references(run, table)
        self._refuse_names(run, table, shape)
        run.facts[RANGE] = [each.isoformat() for each in self._range(run, table)]
        run.facts[PLACE] = table.label
        run.facts[SHAPE] = shape.facts()

    def _refuse_references(self, run: Run, table: Table) -> None:
        listed = set(self.drop_foreign_keys or ())
        found = {row[0] for row in partitioning.references_to(run, table)}
        if unlisted := sorted(found - listed):
            raise InTheWay(
                f"{', '.join(unlisted)} refer to {table.label}, and could not once it is partitioned; "
                "list them in drop_foreign_keys if they may go"
            )
        if unknown := sorted(listed - found):
            raise InTheWay(f"drop_foreign_keys names {', '.join(unknown)}, which do not refer to {table.label}")

    def _refuse_names(self, run: Run, table: Table, shape: Shape) -> None:
        names = [fitting(table.name, "__new"), fitting(table.name, "__old")]
        names += [partitioning.side_name(table, index) for index in shape.sided(self.by)]
        for name in names:
            taken = table.sibling(name).as_string(run.connection)
            if run.one("SELECT pg_catalog.to_regclass(%s)", [taken]) is not None:
                raise InTheWay(f"{table.schema}.{name} is the name of something already")

    def _range(self, run: Run, table: Table) -> tuple[datetime, datetime]:
        """From the first row to the last, and what is to be ahead. Raises TooManyPartitions, BadOperation."""
        span = self._span(run)
        by = sql.Identifier(self.by)
        [(first, last, now)] = run.execute(
            sql.SQL("""
              SELECT least(min({by}), pg_catalog.clock_timestamp()), greatest(max({by}), pg_catalog.clock_timestamp()),
                     pg_catalog.clock_timestamp()
              FROM ONLY {table}
              WHERE {by} > '-infinity' AND {by} < 'infinity'
            """).format(by=by, table=table.identifier)
        )
        endless = run.one(
            sql.SQL("SELECT count(*) FROM ONLY {} WHERE {} IN ('infinity', '-infinity')").format(table.identifier, by)
        )
        if endless:
            raise InTheWay(f"{endless} rows of {table.label} hold infinity in {self.by}, which no partition takes")
        start, end = span.floor(first), max(span.after(span.floor(now), self.ahead + 1), span.after(span.floor(last)))
        if span.after(start, PARTITIONS_MAX) < end:
            raise TooManyPartitions(
                f"{table.label} holds {self.by} from {first:%Y-%m-%d} to {last:%Y-%m-%d}, more than {PARTITIONS_MAX} "
                f"partitions of {self.step}"
            )
        return start, end

    def _span(self, run: Run) -> Span:
        try:
            with run.connection.transaction():
                span = span_of(run.connection, self.step)
                run.execute("SELECT %s::interval, %s::interval", [self.step, self.keep])
        except (BadRequest, psycopg.DataError) as error:
            text = error.diag.message_primary if isinstance(error, psycopg.Error) else str(error)
            raise BadOperation(f"step = {self.step!r}, keep = {self.keep!r}: {text}") from error
        return span

    def _expand(self, run: Run) -> None:
        if STAGE in run.facts:
            return
        old, shape = self._old(run), _shape(run)
        new = partitioning.make(run, old, shape, self.by, new_name(old))
        start, end = (datetime.fromisoformat(text) for text in run.facts[RANGE])
        make_partitions(run.connection, self._policy(run, new, old.name), since=start, until=end)
        partitioning.follow(
            run,
            old,
            new,
            shape,
            partitioning.extended(shape.key, self.by),
            trigger_name(run.revision, run.number, "forward"),
        )
        run.facts[STAGE] = EXPANDED

    def _copy(self, run: Run, batch: Batch) -> Done:
        if run.facts[STAGE] != EXPANDED:
            return Done(rows=0, last=None)
        old, shape = self._old(run), _shape(run)
        new = self._other(run, old)
        return through(
            run,
            old.relation,
            key_of(run, old.relation),
            batch,
            lambda span: partitioning.copy(run, old, new, shape, partitioning.extended(shape.key, self.by), span),
        )

    def _rows(self, run: Run) -> int:
        return table_of(run, self.table).rows

    def _extend(self, run: Run) -> None:
        """The copy may have taken long: make partitions ahead of now, not of when it began."""
        if run.facts[STAGE] != EXPANDED:
            return
        old = self._old(run)
        span = self._span(run)
        now = span.floor(run.one("SELECT pg_catalog.clock_timestamp()"))
        policy = self._policy(run, self._other(run, old), old.name)
        make_partitions(run.connection, policy, since=now, until=span.after(now, self.ahead + 1))

    def _compare(self, run: Run) -> None:
        """Every row, before anybody relies on it."""
        if run.facts[STAGE] != EXPANDED:
            return
        old = self._old(run)
        new = self._other(run, old)
        run.execute(sql.SQL("ANALYZE {}").format(new.identifier))
        if partitioning.different(run, old, new, _shape(run)):
            raise RowsDiffer(
                f"{old.label} and its partitions do not hold the same rows: somebody wrote past the trigger; "
                "take it back with `down`"
            )

    def _swap(self, run: Run) -> None:
        if run.facts[STAGE] != EXPANDED:
            return
        old, shape = self._old(run), _shape(run)
        new = self._other(run, old)
        for table in (old, new):
            run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))
        self._refuse_references(run, old)
        self._drop_references(run, old)
        partitioning.stop_following(run, old, trigger_name(run.revision, run.number, "forward"))
        if partitioning.shape_of(run, old) != shape:
            raise ShapeChanged(
                f"{old.label} was changed since the new table was made like it; take it back with `down`"
            )
        partitioning.silence(run, old, shape)
        partitioning.hand_over_sequences(run, old, new, shape)
        partitioning.exchange_names(run, old, shape, self.by, leaving=old_name(old), coming=new_name(old))
        new, old = self._present(run), self._aside(run)
        partitioning.wake(run, new, shape)
        partitioning.follow(run, new, old, shape, shape.key, trigger_name(run.revision, run.number, "reverse"))
        run.execute(
            """
            INSERT INTO mig.partition_policies (parent, step, ahead, keep, archive)
            VALUES (%s, %s::interval, %s, %s::interval, %s)
            """,
            [new.label, self.step, self.ahead, self.keep, self.archive],
        )
        run.facts[STAGE] = SWAPPED

    def _drop_references(self, run: Run, old: Table) -> None:
        found = partitioning.references_to(run, old)
        run.facts[KEYS] = [list(row[1:]) for row in found]
        for _, table, name, *_ in found:
            run.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(verbatim(table), sql.Identifier(name)))

    def _analyze(self, run: Run) -> None:
        run.execute(sql.SQL("ANALYZE {}").format(self._present(run).identifier))

    # --- down ---------------------------------------------------------------------------------------------------------

    def _compare_back(self, run: Run) -> None:
        """The old table has everything that the new one has; what was retired since, it has besides."""
        if run.facts.get(STAGE) != SWAPPED:
            return
        new = self._present(run)
        taken = new.sibling(old_name(new)).as_string(run.connection)
        if run.one("SELECT pg_catalog.to_regclass(%s)", [taken]) is None:
            raise Contracted(f"{taken} is gone; take back the revision that dropped it, then this one")
        old = self._aside(run)
        if lost := partitioning.missing(run, new, old, _shape(run)):
            raise RowsDiffer(f"{lost} rows of {new.label} are not in {old.label}: somebody wrote past the trigger")

    def _swap_back(self, run: Run) -> None:
        if run.facts.get(STAGE) != SWAPPED:
            return
        new, old, shape = self._present(run), self._aside(run), _shape(run)
        for table in (new, old):
            run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))
        partitioning.stop_following(run, new, trigger_name(run.revision, run.number, "reverse"))
        partitioning.hand_over_sequences(run, new, old, shape)
        partitioning.exchange_names(run, new, shape, self.by, leaving=new_name(new), coming=old_name(new))
        partitioning.wake(run, self._old(run), shape)
        for table, name, definition, *_ in run.facts[KEYS]:
            run.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID").format(
                    verbatim(table), sql.Identifier(name), verbatim(definition.removesuffix(" NOT VALID"))
                )
            )
        run.execute("DELETE FROM mig.partition_policies WHERE parent = %s", [new.label])
        run.facts[STAGE] = EXPANDED

    def _validate_back(self, run: Run) -> None:
        for name, constraint, _, valid, comment in run.facts.get(KEYS, ()):
            table = table_of(run, name)
            if valid:
                constraints.validate(run, table, constraint)
            constraints.comment(run, table, constraint, comment)

    def _remove(self, run: Run) -> None:
        if run.facts.get(STAGE) == EXPANDED:
            old, shape = self._old(run), _shape(run)
            partitioning.stop_following(run, old, trigger_name(run.revision, run.number, "forward"))
            run.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(old.sibling(new_name(old))))
            partitioning.drop_sides(run, old, shape, self.by)
        for fact in (PLACE, STAGE, SHAPE, RANGE, KEYS):
            run.facts.pop(fact, None)

    # --- words --------------------------------------------------------------------------------------------------------

    def _old(self, run: Run) -> Table:
        """The old table while it has the name."""
        return table_of(run, self.table, kinds=(ORDINARY,))

    def _other(self, run: Run, old: Table) -> Table:
        """The new table while the old one has the name."""
        return table_of(run, old.sibling(new_name(old)).as_string(run.connection))

    def _present(self, run: Run) -> Table:
        """The new table while it has the name."""
        return table_of(run, self.table)

    def _aside(self, run: Run) -> Table:
        """The old table while the new one has the name."""
        new = self._present(run)
        return table_of(run, new.sibling(old_name(new)).as_string(run.connection), kinds=(ORDINARY,))

    def _policy(self, run: Run, new: Table, stem: str) -> Policy:
        return Policy(
            parent=new.label,
            oid=new.oid,
            schema=new.schema,
            table=new.name,
            column=self.by,
            span=self._span(run),
            ahead=self.ahead,
            keep=self.keep is not None,
            archive=self.archive,
            stem=stem,
        )


def _shape(run: Run) -> Shape:
    return Shape.read(run.facts[SHAPE])


def new_name(table: Table) -> str:
    """Name of the new table while the old one has the name."""
    return fitting(table.name, "__new")


def old_name(table: Table) -> str:
    """Name of the old table while the new one has the name."""
    return fitting(table.name, "__old")


def trigger_name(revision: str, number: int, direction: str) -> str:
    """Name of the trigger by which one table follows the other."""
    return fitting(f"partition_{revision}", f"_{number}_{direction}")
