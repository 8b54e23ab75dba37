"""Runs the operations of a revision step by step and remembers, in the database, how far it came."""

import copy
import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import class_row

from hansa.migrate.errors import ProgressMismatch
from hansa.migrate.online.errors import OperationCancelled, OperationFailed
from hansa.migrate.online.operation import Alone, Batch, Batches, Foreseeing, Operation, Run, Step, Transaction
from hansa.migrate.session import Session

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
FIRST_BATCH = 500
WAITERS_MAX = 20
"""More waiting sessions than this slow the batches down no further."""
BATCH_MIN = 200
"""Below this the time of a batch is that of its round trips, which smaller batches would only add to."""
SCRIPT = 0
"""Number under which the revision's own script is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far an operation came, as the database remembers it."""

    revision: str
    number: int
    direction: str
    step: str | None
    finished: bool
    facts: dict[str, Any]
    position: list[str] | None
    batch_rows: int | None
    rows_done: int
    rows_total: int | None


def reached(connection: psycopg.Connection[Any], revision: str) -> dict[int, Reached]:
    """What is remembered of a revision's operations, by number; empty when none began."""
    rows = connection.cursor(row_factory=class_row(Reached)).execute(
        """
        SELECT revision, number, direction, step, finished, facts, position, batch_rows, rows_done, rows_total
        FROM mig.operations
        WHERE revision = %s
        """,
        [revision],
    )
    return {row.number: row for row in rows}


def run_up(session: Session, revision: str, operations: Sequence[Operation], *, settings: bool = False) -> int:
    """Run what is left of all operations; returns how many steps ran.

    `settings` says that the revision set something for them, for example who acts, where policies hide rows.
    Raises ProgressMismatch, OperationRefused, UnmappedValues before anything changed; OperationFailed;
    OperationCancelled.
    """
    walks = _walks(session, revision, operations, "up", settings=settings)
    if all(walk.before is None for walk in walks):
        for walk in walks:
            walk.foresee()
    return _run(walks)


def run_down(session: Session, revision: str, operations: Sequence[Operation], *, settings: bool = False) -> int:
    """Take back all operations that began, the last one first; returns how many steps ran."""
    walks = _walks(session, revision, operations, "down", settings=settings)
    return _run([walk for walk in reversed(walks) if walk.before is not None])


def finished_steps(begun: Mapping[int, Reached], operations: Sequence[Operation], direction: str) -> int:
    """How many steps of a direction were finished before an interruption."""
    finished = 0
    for number, operation in enumerate(operations, start=1):
        before = begun.get(number)
        names = [step.name for step in (operation.up() if direction == "up" else operation.down())]
        if before is not None and before.direction == direction and before.step in names:
            finished += names.index(before.step) + 1
    return finished


def forget(session: Session, revision: str) -> None:
    """Drop the memory of a reverted revision, in the current transaction."""
    session.connection.execute("DELETE FROM mig.operations WHERE revision = %s", [revision])


def cancel(connection: psycopg.Connection[Any], revision: str, *, by: str) -> bool:
    """Ask the operations of a revision to stop after the batch under way; False when none is under way."""
    cursor = connection.execute(
        "UPDATE mig.operations SET cancelled_by = %s WHERE revision = %s AND NOT finished", [by, revision]
    )
    return cursor.rowcount > 0


class _Walk:
    """One operation in one direction."""

    def __init__(
        self, session: Session, revision: str, number: int, operation: Operation, direction: str, *, settings: bool
    ) -> None:
        self.session = session
        self.connection = session.connection
        self.operation = operation
        self.direction = direction
        self.before: Reached | None = reached(session.connection, revision).get(number)
        facts: dict[str, Any] = {"definition": _definition(operation)}
        if self.before is not None and _is_under_way(self.before):
            facts = dict(self.before.facts)
        if facts.get("definition") != _definition(operation):
            raise ProgressMismatch(
                f"{revision}, operation {number} began as something else; restore its meta.toml and map.toml to go on"
            )
        facts["settings"] = settings
        self.now = Run(
            connection=session.connection, options=session.options, revision=revision, number=number, facts=facts
        )

    def foresee(self) -> None:
        """Let an operation that can refuse beforehand do so, before any operation of the revision begins."""
        if isinstance(self.operation, Foreseeing):
            facts = dict(self.now.facts)
            self.now.step = "preflight"
            try:
                with self.connection.transaction(force_rollback=True):
                    self.operation.foresee(self.now)
            except psycopg.Error as error:
                raise self._failed(error) from error
            finally:
                self.now.facts = facts

    def run(self) -> int:
        steps = self.operation.up() if self.direction == "up" else self.operation.down()
        left = self._left(steps)
        if left:
            self._begin()
        for step in left:
            self.session.guard()
            self.now.step = step.name
            self.now.starts()
            self._refuse_cancelled()
            self.session.options.working(f"{self._where()} {self.operation.target}")
            self._run_step(step)
        return len(left)

    def _left(self, steps: Sequence[Step]) -> Sequence[Step]:
        """Steps of this direction that are not finished."""
        if self.before is None or self.before.direction != self.direction:
            return steps
        if self.before.finished:
            return ()
        if self.before.step is None:
            return steps
        names = [step.name for step in steps]
        if self.before.step not in names:
            raise ProgressMismatch(
                f"{self.now.revision}, operation {self.now.number} stopped after its step {self.before.step}, which this "
                "engine does not know; finish it with the one that began it"
            )
        return steps[names.index(self.before.step) + 1 :]

    def _begin(self) -> None:
        """Remember the direction; a change of direction starts at its first step."""
        if self.before is not None and self.before.direction == self.direction:
            return
        self.before = None
        self.connection.execute(
            """
            INSERT INTO mig.operations AS o (revision, number, kind, direction, facts)
            VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (revision, number) DO UPDATE
            SET direction = excluded.direction, step = NULL, finished = false, position = NULL, batch_rows = NULL,
                rows_done = 0, rows_total = NULL, updated_at = pg_catalog.clock_timestamp()
            """,
            [
                self.now.revision,
                self.now.number,
                self.operation.kind,
                self.direction,
                json.dumps(self.now.facts),
            ],
        )

    def _run_step(self, step: Step) -> None:
        match step:
            case Transaction():
                self._patiently(lambda: self._transaction(step))
            case Alone():
                self._patiently(lambda: step.work(self.now))
                self._record(step)
            case Batches():
                self._batches(step)

    def _transaction(self, step: Transaction) -> None:
        with self.connection.transaction():
            self.session.guard()
            step.work(self.now)
            self._record(step)

    def _record(self, step: Step) -> None:
        """Remember, in the current transaction if there is one, that a step is finished."""
        steps = self.operation.up() if self.direction == "up" else self.operation.down()
        self.connection.execute(
            """
            UPDATE mig.operations
            SET step = %s, finished = %s, facts = %s, position = NULL, batch_rows = NULL, rows_done = 0,
                rows_total = NULL, updated_at = pg_catalog.clock_timestamp()
            WHERE revision = %s AND number = %s
            """,
            [
                step.name,
                step.name == steps[-1].name,
                json.dumps(self.now.facts),
                self.now.revision,
                self.now.number,
            ],
        )

    def _patiently(self, work: Callable[[], None]) -> None:
        """Run short work with a short lock timeout; when it does not get its lock, undo it, rest, and try again."""
        pace = self.session.options.online
        pause = pace.lock_timeout_s
        for tried in range(1, pace.lock_tries + 1):
            facts = copy.deepcopy(self.now.facts)
            try:
                self._set_lock_timeout(pace.lock_timeout_s)
                work()
            except psycopg.Error as error:
                self.now.facts = facts
                if error.sqlstate not in (LOCK_NOT_AVAILABLE, DEADLOCK) or tried == pace.lock_tries:
                    raise self._failed(error) from error
                self.session.options.waiting(f"{self._where()}: no lock within {pace.lock_timeout_s:g} s; trying again")
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads tries, guards nothing
                pause = min(pause * 1.5, pace.lock_pause_s_max)
            else:
                return

    def _set_lock_timeout(self, seconds: float) -> None:
        self.connection.execute(
            "SELECT pg_catalog.set_config('lock_timeout', %s, false)", [f"{round(seconds * 1000)}ms"]
        )

    def _batches(self, step: Batches) -> None:
        pace = self.session.options.online
        same = self.before is not None and self.before.rows_total is not None
        after, size, done = None, FIRST_BATCH, 0
        if same and self.before is not None:
            after, size, done = self.before.position, self.before.batch_rows or FIRST_BATCH, self.before.rows_done
        totals: list[int] = []
        self._patiently(lambda: totals.append(step.total(self.now)))
        total = totals[-1]
        size = min(size, pace.batch_rows_max)
        self.before = None  # only the first batch step after a resumption has a position
        rate = _Rate()
        finished = False
        while not finished:
            self._refuse_cancelled()
            started = time.monotonic()
            batch = Batch(after=after, rows=size)
            outcome: list[Any] = []
            self._patiently(partial(self._batch, step, batch, outcome, done, total))
            took = time.monotonic() - started
            result = outcome[-1]
            done += result.rows
            finished = result.last is None
            after = result.last
            size = _adapted(size, took, pace.batch_s, pace.batch_rows_max)
            rate.saw(result.rows)
            self.session.options.progress(self._where(), done=done, total=max(total, done), per_s=rate.per_s)
            if not finished:
                self._rest(took)

    def _batch(self, step: Batches, batch: Batch, outcome: list[Any], done: int, total: int) -> None:
        with self.connection.transaction():
            self.session.guard()
            self.now.starts()
            result = step.work(self.now, batch)
            if result.last is None:
                self._record(step)
            else:
                self.connection.execute(
                    """
                    UPDATE mig.operations
                    SET position = %s, batch_rows = %s, rows_done = %s, rows_total = %s, facts = %s,
                        updated_at = pg_catalog.clock_timestamp()
                    WHERE revision = %s AND number = %s
                    """,
                    [
                        json.dumps(result.last),
                        batch.rows,
                        done + result.rows,
                        total,
                        json.dumps(self.now.facts),
                        self.now.revision,
                        self.now.number,
                    ],
                )
        outcome.append(result)

    def _rest(self, took: float) -> None:
        """Leave room for the traffic: a share of the time the batch took, longer while others wait for locks or replicas.

        Who waits need not wait for us: work that comes second to the traffic steps back whenever the traffic is stuck.
        """
        pace = self.session.options.online
        lag, waiting = self._pressure()
        time.sleep(took * (pace.rest + pace.rest_per_waiter * min(waiting, WAITERS_MAX)))
        while lag > pace.lag_bytes_max:
            self.session.options.waiting(f"{self._where()}: waiting for a replica to catch up")
            self._refuse_cancelled()
            time.sleep(1.0)
            lag, _ = self._pressure()

    def _pressure(self) -> tuple[int, int]:
        """Bytes that the slowest streaming replica is behind, and how many sessions of this database wait for a lock."""
        row = self.connection.execute(
            """
            SELECT
              (SELECT coalesce(max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)), 0)::bigint
               FROM pg_catalog.pg_stat_replication WHERE state = 'streaming'),
              (SELECT count(*) FROM pg_catalog.pg_stat_activity
               WHERE datname = pg_catalog.current_database() AND wait_event_type = 'Lock')
            """
        ).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def _refuse_cancelled(self) -> None:
        row = self.connection.execute(
            "SELECT cancelled_by FROM mig.operations WHERE revision = %s AND cancelled_by IS NOT NULL",
            [self.now.revision],
        ).fetchone()
        if row is not None:
            raise OperationCancelled(
                f"{self._where()}: {row[0]} asked it to stop; `up` goes on from here, `down` takes it back"
            )

    def _failed(self, error: psycopg.Error) -> OperationFailed:
        diag = error.diag
        parts = [diag.message_primary or " ".join(str(error).split()), diag.message_detail, diag.message_hint]
        message = f"{self._where()}: {' '.join(part for part in parts if part)}"
        return OperationFailed(message, revision=self.now.revision, sqlstate=error.sqlstate)

    def _where(self) -> str:
        back = "" if self.direction == "up" else "back: "
        return f"{self.now.revision}, operation {self.now.number} ({self.operation.kind}), {back}{self.now.step}"


def _walks(
    session: Session, revision: str, operations: Sequence[Operation], direction: str, *, settings: bool
) -> list[_Walk]:
    """All operations, compared with what began before anything runs. Raises ProgressMismatch."""
    begun = reached(session.connection, revision)
    if gone := sorted(number for number in begun if number > len(operations)):
        raise ProgressMismatch(
            f"{revision}, operation {gone[0]} began and is no longer in its meta.toml; restore it to go on"
        )
    _clear_cancellation(session, revision)
    return [
        _Walk(session, revision, number, operation, direction, settings=settings)
        for number, operation in enumerate(operations, start=1)
    ]


def _run(walks: Sequence[_Walk]) -> int:
    return sum(walk.run() for walk in walks)


def _is_under_way(before: Reached) -> bool:
    """Whether something was done already; a refused preflight leaves the operation free to be edited."""
    return before.step is not None or before.position is not None or before.direction == "down"


def _definition(operation: Operation) -> str:
    """Fingerprint of an operation's entries, its map included, in hexadecimal."""
    return hashlib.sha256(repr(operation).encode()).hexdigest()


class _Rate:
    """Rows a second over the last few seconds."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.per_s = 0.0
        self.counted = 0

    def saw(self, rows: int) -> None:
        self.counted += rows
        elapsed = time.monotonic() - self.started
        if elapsed > 0:
            self.per_s = self.counted / elapsed
        if elapsed > 10:
            self.started, self.counted = time.monotonic() - 1, round(self.per_s)


def _adapted(size: int, took: float, wanted: float, bound: int) -> int:
    """The next batch's size: towards the wanted time, at most doubled or halved, so that one odd batch decides little."""
    factor = min(2.0, max(0.5, wanted / max(took, 1e-4)))
    return min(bound, max(BATCH_MIN, round(size * factor)))


def _clear_cancellation(session: Session, revision: str) -> None:
    session.connection.execute(
        "UPDATE mig.operations SET cancelled_by = NULL WHERE revision = %s AND cancelled_by IS NOT NULL", [revision]
    )
