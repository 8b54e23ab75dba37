"""Turns a column of texts into one of an enum, or texts into enums within an array, while clients go on.

Every old value becomes what the map says and nothing else. A second column of the new type is filled beside the old
one and kept in step by a trigger; its indexes are built beforehand; then the two change names in one short transaction.
From there on a trigger the other way round keeps the old column true, until `contract` drops it, so that going back is
the same swap again. A small table is not worth all that: its column changes its type in place, in one transaction.

Clients that write 'active' go on writing 'active'. A value that nobody mapped never fails a client before the swap: it
leaves NULL in the new column, and the swap refuses by name. Whoever inserts without naming columns is understood too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.online import feasibility, rebuilding
from hansa.migrate.online.backfill import key_of, through
from hansa.migrate.online.conversion import Plan, follow_new, follow_old, stop_following, suffixed
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Alone, Batch, Batches, Done, Run, Step, Transaction
from hansa.migrate.online.relations import (
    DELETE,
    FIRE,
    INSERT,
    SKIP,
    UPDATE,
    Column,
    InTheWay,
    NoSuchType,
    Relation,
    checks,
    column,
    enum,
    has_column,
    indexes,
    pin,
    referencing,
    refuse_dependents,
    refuse_hidden_rows,
    relation,
    silenced,
    verbatim,
)
from hansa.migrate.online.setting_aside import keep_originals, put_back, set_aside
from hansa.migrate.online.values import ValueMap

KEEP = "keep"
ALL = sql.SQL("true")
LATE_ROWS = 500
"""How many rows without a place are set aside at a time under the lock of the swap."""

# Where the database stands, among the facts; nothing before the first change.
STAGE = "stage"
EXPANDED, SWAPPED, IN_PLACE = "expanded", "swapped", "in place"


class ValuesLost(OperationRefused):
    """The new column does not say what the map makes of the old one."""


class Contracted(OperationRefused):
    """The old column is gone: the revision that dropped it has to be taken back first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertToEnum:
    """The entries of `kind = "convert_to_enum"`."""

    table: str
    column: str
    type: str
    """An enum type that exists; for an array, the type of its elements."""
    map: ValueMap
    default: str | None = None
    """The new default, in its text form; without it the old one is mapped."""
    nulls: str = KEEP
    """`keep`, or the label that NULL becomes."""
    not_null: bool | None = None
    """Whether the new column refuses NULL; without it as the old one does."""
    triggers: str = SKIP
    """`fire` when triggers of users may run for what the engine writes; otherwise they are kept quiet."""
    in_place_below_rows: int = 20_000
    """A table with fewer rows is converted in place, in one short transaction; 0: never."""
    old_column: str | None = None
    """Name of the old column after the swap; without it the column's name and __old."""

    def __post_init__(self) -> None:
        if self.triggers not in {SKIP, FIRE}:
            raise BadOperation(f"triggers = {self.triggers!r} is neither {SKIP!r} nor {FIRE!r}")
        if self.in_place_below_rows < 0:
            raise BadOperation("in_place_below_rows must not be negative")
        if self.old_column == self.column:
            raise BadOperation("old_column must not be the column's own name")

    @property
    def kind(self) -> str:
        return "convert_to_enum"

    @property
    def target(self) -> str:
        return f"column {self.table}.{self.column}"

    def up(self) -> Sequence[Step]:
        return (
            Transaction("preflight", self._preflight),
            Batches("set aside", _set_aside, _rows),
            Transaction("in place", _in_place),
            Transaction("expand", _expand),
            Transaction("sync", _sync),
            Batches("backfill", _backfill, _rows),
            Alone("index", _index),
            Batches("set aside late", _set_aside_late, _none),
            Alone("check", _check),
            Transaction("swap", _swap),
            Alone("validate", _validate),
            Alone("analyze", _analyze),
        )

    def down(self) -> Sequence[Step]:
        return (
            Transaction("look back", _look_back),
            Alone("index back", _index_back),
            Transaction("swap back", _swap_back),
            Transaction("in place back", _in_place_back),
            Alone("validate back", _validate_back),
            Transaction("remove", _remove),
            Transaction("put back", _put_back),
            Alone("analyze back", _analyze),
            Transaction("forget", _forget),
        )

    # --- preflight ----------------------------------------------------------------------------------------------------

    def foresee(self, run: Run) -> None:
        """Values nobody mapped stop the whole revision, and not only what comes after the conversions before this."""
        table = relation(run, self.table)
        refuse_hidden_rows(run, [table.oid])
        feasibility.refuse_unmapped(run, self._plan(run, table), table, ALL, "nothing was changed")

    def _preflight(self, run: Run) -> None:
        if STAGE in run.facts:
            return  # a way back was begun and given up
        if "plan" in run.facts:
            rebuilding.keep_promises(run, *_state(run))  # the same, a little later
        table = relation(run, self.table)
        refuse_hidden_rows(run, [table.oid])
        plan = self._plan(run, table)
        feasibility.refuse_unmapped(run, plan, table, ALL, "nothing was changed")
        feasibility.refuse_shapes(run, plan, table, "nothing was changed")
        feasibility.refuse_collisions(run, plan, table)
        feasibility.refuse_full_disk(run, plan, table)
        feasibility.point_out_waits(run, table)
        run.facts["plan"] = plan.facts()

    def _plan(self, run: Run, table: Relation) -> Plan:
        """Everything that can be known beforehand. Raises what stands in the way."""
        before = column(run, table, self.column)
        type_, labels = enum(run, self.type)
        self._refuse_labels(before, labels)
        carried = indexes(run, table, before)
        narrow = checks(run, table, before)
        refuse_dependents(run, table, before, carried=[each.name for each in (*carried, *narrow)])
        if self.map.quarantine:
            tables = referencing(run, [table.oid])
            refuse_hidden_rows(run, tables)
            silenced(run, tables, DELETE | INSERT, self.triggers)
        plan = Plan(
            revision=run.revision,
            number=run.number,
            table=table.label,
            column=self.column,
            new=suffixed(self.column, "__new"),
            old=self.old_column or suffixed(self.column, "__old"),
            key=key_of(run, table, without=[self.column]),
            before=before,
            type=f"{type_}[]" if before.array else type_,
            labels=labels,
            map=self.map,
            nulls=None if self.nulls == KEEP else self.nulls,
            reverse=feasibility.in_old_words(run, before, labels, self.map, narrow),
            not_null=before.not_null if self.not_null is None else self.not_null,
            default=None,
            indexes=carried,
            checks=narrow,
            in_place=feasibility.is_small(run, table, self.in_place_below_rows),
            silent=silenced(run, [table.oid], UPDATE, self.triggers),
        )
        for name in (plan.new, plan.old):
            if has_column(run, table, name):
                raise InTheWay(f"{table.label} has a column {name} already; say old_column, or rename that one")
        return feasibility.with_default(run, plan, table, self.default)

    def _refuse_labels(self, before: Column, labels: Sequence[str]) -> None:
        wanted = [*self.map.values.values(), *([] if self.nulls == KEEP else [self.nulls])]
        if missing := sorted(set(wanted) - set(labels)):
            raise NoSuchType(f"{self.type} has no label {', '.join(missing)}; it has {', '.join(labels)}")
        if before.array and self.nulls != KEEP:
            raise BadOperation("nulls of an array can only be kept")


# --- steps of the way up ----------------------------------------------------------------------------------------------


def _set_aside(run: Run, batch: Batch) -> Done:
    plan, table = _state(run)
    if not plan.map.quarantine or STAGE in run.facts:
        return Done(rows=0, last=None)
    pin(run, silent=plan.silent)
    condition = plan.quarantined(_of("t", plan.column))
    return through(
        run,
        table,
        plan.key,
        batch,
        lambda span: set_aside(run, table, sql.SQL("{} AND {}").format(span, condition), _reason(plan)),
    )


def _in_place(run: Run) -> None:
    plan, table = _state(run)
    if not plan.in_place or STAGE in run.facts:
        return
    _lock(run, table)
    pin(run, silent=plan.silent)
    old = _of("t", plan.column)
    set_aside(run, table, plan.quarantined(old), _reason(plan))
    feasibility.refuse_unmapped(run, plan, table, ALL, "nothing was converted")
    feasibility.refuse_shapes(run, plan, table, "nothing was converted")
    _keep_originals(run, plan, table, ALL, new=sql.SQL("({})").format(plan.converted(old)))
    rebuilding.strip(run, plan, table)
    _retype(run, plan, table, before=False)
    rebuilding.build_indexes(run, plan, table, plan.column, retyped=True, concurrently=False)
    rebuilding.hand_over_indexes(run, plan, table)
    rebuilding.promise(run, plan, table, before=False)
    run.facts[STAGE] = IN_PLACE


def _expand(run: Run) -> None:
    plan, table = _state(run)
    if STAGE in run.facts:
        return
    name, type_ = sql.Identifier(plan.new), verbatim(plan.type)
    run.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(table.identifier, name, type_))
    rebuilding.dress(run, table, plan.new, plan.before)
    run.facts[STAGE] = EXPANDED


def _sync(run: Run) -> None:
    plan, table = _state(run)
    if run.facts[STAGE] == EXPANDED:
        follow_old(run, plan, table)


def _backfill(run: Run, batch: Batch) -> Done:
    plan, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return Done(rows=0, last=None)
    pin(run, silent=plan.silent)
    return through(run, table, plan.key, batch, lambda span: _fill(run, plan, table, span))


def _fill(run: Run, plan: Plan, table: Relation, span: sql.Composed) -> None:
    """Convert the rows of a span and keep what the new values cannot reproduce. Can be repeated."""
    new = _of("t", plan.new)
    run.execute(
        sql.SQL("UPDATE {table} AS t SET {name} = {value} WHERE {span} AND {new} IS DISTINCT FROM {value}").format(
            table=table.identifier,
            name=sql.Identifier(plan.new),
            value=plan.converted(_of("t", plan.column)),
            span=span,
            new=new,
        )
    )
    _keep_originals(run, plan, table, sql.SQL("{} AND {} IS NOT NULL").format(span, new), new=new)


def _index(run: Run) -> None:
    """Build the new column's indexes, and a tiny one that finds unconverted rows without looking at the others."""
    plan, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return
    rebuilding.build_indexes(run, plan, table, plan.new, retyped=True, concurrently=True)
    name = plan.name("unconverted")
    definition = sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ({}) WHERE {}").format(
        sql.Identifier(name), table.identifier, sql.Identifier(plan.key.columns[0].name), plan.unconverted()
    )
    rebuilding.build(run, table, name, definition)


def _set_aside_late(run: Run, batch: Batch) -> Done:
    """Set aside what clients wrote since that has no place, as long as there is some."""
    plan, table = _state(run)
    if run.facts[STAGE] != EXPANDED or not plan.map.quarantine:
        return Done(rows=0, last=None)
    pin(run, silent=plan.silent)
    _prefer_indexes(run)
    some = sql.SQL("({key}) IN (SELECT {key} FROM {table} AS t WHERE {late} AND {old} LIMIT {rows}) AND {old}").format(
        old=plan.quarantined(_of("t", plan.column)),
        key=plan.key.listed(),
        table=table.identifier,
        late=plan.unconverted(),
        rows=sql.Literal(batch.rows),
    )
    moved = set_aside(run, table, some, _reason(plan), without=[plan.new])
    return Done(rows=moved, last=[] if moved else None)


def _check(run: Run) -> None:
    """Compare every row, old with new, before anybody relies on it."""
    plan, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return
    # What has no place and is written from here on is set aside under the lock of the swap.
    feasibility.refuse_unmapped(run, plan, table, plan.unconverted(), feasibility.TO_GO_ON)
    old, new = _of("t", plan.column), _of("t", plan.new)
    rows = run.execute(
        sql.SQL(
            """
            SELECT {was} COLLATE "C", {expected} COLLATE "C", {found} COLLATE "C", pg_catalog.count(*)
            FROM {table} AS t GROUP BY 1, 2, 3 ORDER BY 4 DESC
            """
        ).format(was=_text(old), expected=_text(plan.converted(old)), found=_text(new), table=table.identifier)
    )
    if wrong := [row for row in rows if row[1] != row[2]]:
        listing = "; ".join(
            f"{was!r} is {found!r}, not {wanted!r} ({count} rows)"
            for was, wanted, found, count in wrong[: feasibility.LISTED_MAX]
        )
        raise ValuesLost(
            f"{plan.table}.{plan.new}: {listing}. Somebody wrote past the trigger: take it back with `down`"
        )
    run.facts["counts"] = [[was, found, count] for was, _, found, count in rows[: feasibility.LISTED_MAX]]
    # An autovacuum only steps aside for somebody who waits longer than the swap will.
    with run.connection.transaction():
        run.execute("SET LOCAL lock_timeout = 0")
        run.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(table.identifier))


def _swap(run: Run) -> None:
    plan, table = _state(run)
    if run.facts[STAGE] != EXPANDED:
        return
    _lock(run, table)
    _prefer_indexes(run)
    while _set_aside_late(run, Batch(after=None, rows=LATE_ROWS)).last is not None:
        pass  # the few that clients wrote since the step before, and nobody writes now
    feasibility.refuse_unconverted(run, plan, table)
    stop_following(run, plan, table)
    rebuilding.strip(run, plan, table)
    _rename(run, table, plan.column, plan.old)
    _rename(run, table, plan.new, plan.column)
    rebuilding.hand_over_indexes(run, plan, table)
    rebuilding.promise(run, plan, table, before=False)
    run.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(table.schema, plan.name("unconverted"))))
    follow_new(run, plan, table)
    run.facts[STAGE] = SWAPPED


def _validate(run: Run) -> None:
    plan, table = _state(run)
    rebuilding.keep_promises(run, plan, table)
    rebuilding.remove_spare_indexes(run, plan, table)


def _analyze(run: Run) -> None:
    """The planner knows nothing of a column that it never saw, and would choose badly."""
    if "plan" in run.facts:
        plan, table = _state(run)
        run.execute(sql.SQL("ANALYZE {} ({})").format(table.identifier, sql.Identifier(plan.column)))


# --- steps of the way down --------------------------------------------------------------------------------------------


def _look_back(run: Run) -> None:
    """Find what would keep the way back from its end, before it begins."""
    stage = run.facts.get(STAGE)
    if stage not in {SWAPPED, IN_PLACE}:
        return
    plan, table = _state(run)
    refuse_hidden_rows(run, [table.oid])
    if stage == SWAPPED and not has_column(run, table, plan.old):
        raise Contracted(f"{plan.table}.{plan.old} is gone; take back the revision that dropped it, then this one")
    refuse_dependents(run, table, column(run, table, plan.column), carried=[each.name for each in plan.indexes])
    old = _of("t", plan.old) if stage == SWAPPED else plan.recalled(plan.key.text("t"), _of("t", plan.column))
    pin(run, silent=False)
    feasibility.refuse_broken_checks(run, plan, table, old)


def _index_back(run: Run) -> None:
    if run.facts.get(STAGE) == SWAPPED:
        plan, table = _state(run)
        rebuilding.build_indexes(run, plan, table, plan.old, retyped=False, concurrently=True)


def _swap_back(run: Run) -> None:
    if run.facts.get(STAGE) != SWAPPED:
        return
    plan, table = _state(run)
    _lock(run, table)
    stop_following(run, plan, table)
    run.execute(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(table.identifier, sql.Identifier(plan.column)))
    _rename(run, table, plan.old, plan.column)
    rebuilding.hand_over_indexes(run, plan, table)
    rebuilding.promise(run, plan, table, before=True)
    del run.facts[STAGE]


def _in_place_back(run: Run) -> None:
    if run.facts.get(STAGE) != IN_PLACE:
        return
    plan, table = _state(run)
    _lock(run, table)
    pin(run, silent=plan.silent)
    rebuilding.strip_new(run, plan, table)
    _retype(run, plan, table, before=True)
    rebuilding.build_indexes(run, plan, table, plan.column, retyped=False, concurrently=False)
    rebuilding.hand_over_indexes(run, plan, table)
    rebuilding.promise(run, plan, table, before=True)
    del run.facts[STAGE]


def _validate_back(run: Run) -> None:
    if "plan" in run.facts:
        rebuilding.keep_promises(run, *_state(run))


def _remove(run: Run) -> None:
    """Drop what a conversion leaves that never came to its swap; the indexes of a column go with it."""
    if "plan" not in run.facts:
        return
    plan, table = _state(run)
    stop_following(run, plan, table)
    run.execute(sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table.identifier, sql.Identifier(plan.new)))
    run.facts.pop(STAGE, None)


def _put_back(run: Run) -> None:
    if "plan" in run.facts:
        plan, _ = _state(run)
        pin(run, silent=plan.silent)
        put_back(run, silent=plan.silent)


def _forget(run: Run) -> None:
    for fact in ("plan", "counts"):
        run.facts.pop(fact, None)


# --- shared -----------------------------------------------------------------------------------------------------------


def _state(run: Run) -> tuple[Plan, Relation]:
    plan = Plan.read(run.facts["plan"])
    return plan, relation(run, plan.table)


def _keep_originals(run: Run, plan: Plan, table: Relation, rows: sql.Composable, *, new: sql.Composed) -> None:
    keep_originals(
        run,
        table,
        plan.key,
        rows,
        original=_text(_of("t", plan.column)),
        converted=_text(new),
        reproduced=_text(plan.restored(new)),
        of=plan.owner,
    )


def _retype(run: Run, plan: Plan, table: Relation, *, before: bool) -> None:
    """Rewrite the table with the column's other type. A value that would be lost ends it, whoever hid it from us."""
    old, new = plan.before.type, plan.type
    source, target = (new, old) if before else (old, new)
    value = plan.recalled(sql.SQL("$1"), sql.SQL("$2")) if before else plan.converted(sql.SQL("$2"))
    text = sql.SQL(_RETYPE_BACK if before else _RETYPE).format(target=verbatim(target), value=value)
    function = sql.Identifier("mig", plan.name("retype"))
    run.execute(
        sql.SQL("CREATE FUNCTION {}(text[], {}) RETURNS {} LANGUAGE plpgsql AS {}").format(
            function, verbatim(source), verbatim(target), sql.Literal(text.as_string(run.connection))
        )
    )
    run.execute(
        sql.SQL("ALTER TABLE {table} ALTER {column} TYPE {target} USING {function}({key}, {column})::{target}").format(
            table=table.identifier,
            column=sql.Identifier(plan.column),
            target=verbatim(target),
            function=function,
            key=plan.key.text(None),
        )
    )
    run.execute(sql.SQL("DROP FUNCTION {}").format(function))


_RETYPE_BACK = "BEGIN RETURN {value}; END"
_RETYPE = """DECLARE
  v_becomes {target} := {value};
BEGIN
  IF v_becomes IS NULL AND $2 IS NOT NULL THEN
    RAISE EXCEPTION 'nobody mapped %', $2 USING ERRCODE = 'check_violation';
  END IF;
  RETURN v_becomes;
END"""


def _of(row: str, name: str) -> sql.Composed:
    return sql.SQL("{}").format(sql.Identifier(row, name))


def _text(value: sql.Composable) -> sql.Composed:
    return sql.SQL("({})::text").format(value)


def _reason(plan: Plan) -> str:
    return f"its {plan.column} has no place among the labels of {plan.type}"


def _lock(run: Run, table: Relation) -> None:
    run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))


def _rename(run: Run, table: Relation, old: str, new: str) -> None:
    names = sql.Identifier(old), sql.Identifier(new)
    run.execute(sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(table.identifier, *names))


def _prefer_indexes(run: Run) -> None:
    """For the current transaction: look for unconverted rows where they are listed, not in the whole table."""
    run.execute("SET LOCAL enable_seqscan = off")


def _rows(run: Run) -> int:
    """How many rows a step will go through."""
    plan, table = _state(run)
    return 0 if plan.in_place else table.rows


def _none(_run: Run) -> int:
    """Nobody knows how many."""
    return 0
