"""What was observed of a run, as values: statements with their costs, and stretches of time that keep others waiting."""

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hansa.migrate.observing import Place
from hansa.migrate.rehearsal.lock_modes import Blocks, LockMode
from hansa.migrate.rehearsal.lock_watch import Hold
from hansa.migrate.rehearsal.relations import Relation

TEXT_MAX = 300
"""Characters of a statement that are kept."""
_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock that a statement took and its transaction kept."""

    relation: str
    table: str
    """Whose users wait: of an index its table, else the relation itself."""
    mode: LockMode
    held_ms: float
    """Until the commit; the longest, when the statement ran several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementTrace:
    """What a statement did and cost."""

    revision: str
    script: str
    number: int
    line: int
    text: str
    """Its beginning."""
    times: int
    """How often it ran: the statement of a batch runs many times."""
    duration_ms: float
    """All times together."""
    rows: int
    wal_bytes: int
    """Written to its log by the whole server meanwhile."""
    disk_bytes: int
    """By which the database grew, negative when it shrank; small changes are added to the next large one."""
    rewritten: tuple[str, ...]
    """Tables and indexes that existed before and got a new file."""
    locks: tuple[Lock, ...]
    """The strongest on each relation that existed before, from ROW EXCLUSIVE up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """A stretch of time during which a table keeps others waiting."""

    table: str
    mode: LockMode
    blocks: Blocks
    held_ms: float
    """The longest, when it happened several times."""
    times: int
    rows: int
    """How many rows are locked, when it is only rows; else 0."""
    revision: str
    script: str
    line: int
    """Of the statement that began it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything that was observed of a run."""

    statements: tuple[StatementTrace, ...] = ()
    blockings: tuple[Blocking, ...] = ()


@dataclass(slots=True, kw_only=True)
class Run:
    """One execution of one statement. Until it has ended, log and locked rows are what they were at its beginning."""

    place: Place
    since: float
    until: float | None = None
    """None when it failed."""
    rows: int = 0
    wal_bytes: int = 0
    disk_bytes: int = 0
    rewritten: tuple[str, ...] = ()
    rows_locked: Mapping[int, int] = field(default_factory=dict[int, int])
    """Rows updated and deleted by table; of a statement on its own, which cannot know by table, they are under 0."""


def statements(
    runs: Sequence[Run], holds: Sequence[Hold], relations: Mapping[int, Relation]
) -> tuple[StatementTrace, ...]:
    """One value for each statement that finished, however often it ran, in the order of their first runs.

    Statements of the engine's own that only looked are left out.
    """
    taken: dict[int | None, list[Hold]] = defaultdict(list)
    for hold in holds:
        taken[hold.run].append(hold)
    found: dict[tuple[str, str, int, str], StatementTrace] = {}
    for index, run in enumerate(runs):
        if run.until is None:
            continue
        place = run.place
        one = _statement(run, _locks(taken[index], relations))
        # The engine writes keys and values into its own statements: one batch differs from the next only by them.
        shape = place.text if place.line else _LITERAL.sub("?", place.text)
        key = (place.revision, place.script, place.line, shape)
        found[key] = _together(found[key], one) if key in found else one
    return tuple(one for one in found.values() if one.line or one.wal_bytes or one.locks)


def blockings(runs: Sequence[Run], holds: Sequence[Hold], relations: Mapping[int, Relation]) -> tuple[Blocking, ...]:
    """Everything that would keep others waiting, the longest first; what happened several times is told once."""
    longest: dict[tuple[object, ...], Blocking] = {}
    for one in (*_of_tables(runs, holds, relations), *_of_rows(runs, holds, relations)):
        key = (one.table, one.mode, one.blocks, one.revision, one.script, one.line)
        before = longest.get(key)
        if before is not None:
            one = replace(max(before, one, key=lambda either: either.held_ms), times=before.times + 1)  # noqa: PLW2901
        longest[key] = one
    return tuple(sorted(longest.values(), key=lambda one: -one.held_ms))


def _statement(run: Run, locks: tuple[Lock, ...]) -> StatementTrace:
    assert run.until is not None
    return StatementTrace(
        revision=run.place.revision,
        script=run.place.script,
        number=run.place.number,
        line=run.place.line,
        text=run.place.text[:TEXT_MAX],
        times=1,
        duration_ms=_ms(run.until - run.since),
        rows=run.rows,
        wal_bytes=run.wal_bytes,
        disk_bytes=run.disk_bytes,
        rewritten=run.rewritten,
        locks=locks,
    )


def _together(one: StatementTrace, other: StatementTrace) -> StatementTrace:
    return replace(
        one,
        times=one.times + other.times,
        duration_ms=round(one.duration_ms + other.duration_ms, 3),
        rows=one.rows + other.rows,
        wal_bytes=one.wal_bytes + other.wal_bytes,
        disk_bytes=one.disk_bytes + other.disk_bytes,
        rewritten=tuple(sorted({*one.rewritten, *other.rewritten})),
        locks=_strongest((*one.locks, *other.locks)),
    )


def _locks(holds: Iterable[Hold], relations: Mapping[int, Relation]) -> tuple[Lock, ...]:
    return _strongest(
        Lock(
            relation=relations[hold.relation].name,
            table=relations[hold.relation].table,
            mode=hold.mode,
            held_ms=_held_ms(hold.since, hold.until),
        )
        for hold in holds
        if hold.mode.strength >= LockMode.ROW_EXCLUSIVE.strength
    )


def _strongest(locks: Iterable[Lock]) -> tuple[Lock, ...]:
    by_relation: dict[str, Lock] = {}
    for lock in locks:
        before = by_relation.get(lock.relation)
        if before is None or (before.mode.strength, before.held_ms) < (lock.mode.strength, lock.held_ms):
            by_relation[lock.relation] = lock
    return tuple(by_relation[name] for name in sorted(by_relation))


def _of_tables(runs: Sequence[Run], holds: Sequence[Hold], relations: Mapping[int, Relation]) -> Iterator[Blocking]:
    """For each transaction and table: how long nobody can use it, and how long nobody can write, if that is longer."""
    groups: dict[tuple[str, str], list[Hold]] = defaultdict(list)
    for hold in holds:
        if hold.mode.blocks is not Blocks.NOTHING and hold.run is not None:
            groups[hold.transaction, relations[hold.relation].table].append(hold)
    for (_, table), group in groups.items():
        total = [hold for hold in group if hold.mode.blocks is Blocks.ALL]
        writes = [hold for hold in group if hold.mode.blocks is Blocks.WRITES]
        if total:
            yield _blocking(runs, table, total)
        if writes and (not total or _first(writes).since < _first(total).since):
            yield _blocking(runs, table, [*writes, *total], mode=max(writes, key=lambda hold: hold.mode.strength).mode)


def _blocking(runs: Sequence[Run], table: str, holds: Sequence[Hold], mode: LockMode | None = None) -> Blocking:
    first = _first(holds)
    assert first.run is not None
    mode = mode or first.mode
    place = runs[first.run].place
    return Blocking(
        table=table,
        mode=mode,
        blocks=mode.blocks,
        held_ms=_held_ms(first.since, max(hold.until or hold.since for hold in holds)),
        times=1,
        rows=0,
        revision=place.revision,
        script=place.script,
        line=place.line,
    )


def _of_rows(runs: Sequence[Run], holds: Sequence[Hold], relations: Mapping[int, Relation]) -> Iterator[Blocking]:
    """From the statement that changed rows of a table to the commit."""
    of_table: dict[int, list[Hold]] = defaultdict(list)
    of_run: dict[int | None, list[Hold]] = defaultdict(list)
    for hold in sorted(holds, key=lambda hold: hold.since):
        if hold.mode is LockMode.ROW_EXCLUSIVE:
            of_table[hold.relation].append(hold)
            of_run[hold.run].append(hold)
    for index, run in enumerate(runs):
        for oid, rows in run.rows_locked.items():
            during = of_table[oid][: bisect(of_table[oid], run.until or run.since, key=lambda hold: hold.since)]
            for hold in of_run[index] if oid == 0 else during[-1:]:
                if rows > 0 and (hold.until or hold.since) >= run.since:
                    yield _row_blocking(run, hold, rows, relations)


def _row_blocking(run: Run, hold: Hold, rows: int, relations: Mapping[int, Relation]) -> Blocking:
    return Blocking(
        table=relations[hold.relation].table,
        mode=hold.mode,
        blocks=Blocks.SAME_ROWS,
        held_ms=_held_ms(max(run.since, hold.since), hold.until),
        times=1,
        rows=rows,
        revision=run.place.revision,
        script=run.place.script,
        line=run.place.line,
    )


def _first(holds: Sequence[Hold]) -> Hold:
    return min(holds, key=lambda hold: hold.since)


def _held_ms(since: float, until: float | None) -> float:
    return _ms(max(0.0, (until or since) - since))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
