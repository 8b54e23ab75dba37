"""Revisions with online operations, stopped wherever a step can stop, with operations made for it.

A step calls trip(step) in the database, and a row of public.traps decides what happens there: an error, the end of the
backend, or a sleep in which the test does what it wants.
"""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import psycopg
import pytest

from hansa import migrate
from hansa.migrate import errors
from hansa.migrate.catalog import differences, snapshot
from hansa.migrate.online import engine, kinds
from hansa.migrate.online.errors import OperationCancelled, OperationFailed
from hansa.migrate.online.operation import Alone, Batches, Done, Transaction
from hansa.migrate.options import Pace
from hansa.migrate.resolving import NothingUnderWay
from hansa.migrate.results import State

A, B = "20260101T000000_items", "20260102T000000_online"
GENTLE = Pace(lock_timeout_s=0.05, lock_pause_s_max=0.05, rest=0.0)
OPTIONS = migrate.Options(lock_timeout_s=0.2, backoff_s=0.01, actor="tester", online=GENTLE)
ROWS = 1600
"""Three batches, of 500, 1000 and 100 rows."""

ITEMS = """
    CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, touched int NOT NULL DEFAULT 0);
    INSERT INTO items (id, n) SELECT i, i % 7 FROM generate_series(1, 1600) AS i;
    CREATE TABLE traps (step text PRIMARY KEY, deed text NOT NULL);
    CREATE FUNCTION trip(p_step text) RETURNS void LANGUAGE plpgsql AS $trip$
    DECLARE v_deed text := (SELECT deed FROM public.traps WHERE step = p_step);
    BEGIN
      CASE v_deed
        WHEN 'error' THEN RAISE 'trapped in %', p_step USING ERRCODE = 'P0042';
        WHEN 'terminate' THEN PERFORM pg_terminate_backend(pg_backend_pid());
        WHEN 'sleep' THEN PERFORM pg_sleep(60);
        ELSE NULL;
      END CASE;
    END $trip$;
"""
DOUBLE = '[[operation]]\nkind = "double"\ncolumn = "doubled"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Double:
    """Adds a column with twice the value of n; counts in `touched` how often it filled each row."""

    kind: ClassVar[str] = "double"
    column: str
    factor: int = 2

    @property
    def target(self):
        return f"column items.{self.column}"

    def up(self):
        return (
            Transaction("expand", self._expand),
            Alone("index", self._index),
            Batches("fill", self._fill, self._rows),
            Transaction("promise", self._promise),
        )

    def down(self):
        return (
            Transaction("break", self._break),
            Batches("drain", self._drain, self._rows),
            Alone("unindex", self._unindex),
            Transaction("shrink", self._shrink),
        )

    def _expand(self, run):
        run.execute(f"ALTER TABLE items ADD COLUMN {self.column} int")
        run.facts["expanded"] = True
        run.execute("SELECT trip('expand')")

    def _index(self, run):
        run.execute(f"DROP INDEX CONCURRENTLY IF EXISTS items_{self.column}")
        run.execute("SELECT trip('index')")
        run.execute(f"CREATE INDEX CONCURRENTLY items_{self.column} ON items ({self.column})")

    def _fill(self, run, batch):
        return self._each(run, batch, "fill", f"{self.column} = n * {self.factor}, touched = touched + 1")

    def _promise(self, run):
        run.execute(f"ALTER TABLE items ALTER {self.column} SET NOT NULL")
        run.execute("SELECT trip('promise')")

    def _break(self, run):
        if run.facts.get("expanded"):
            run.execute(f"ALTER TABLE items ALTER {self.column} DROP NOT NULL")
        run.execute("SELECT trip('break')")

    def _drain(self, run, batch):
        return self._each(run, batch, "drain", "touched = 0")

    def _unindex(self, run):
        run.execute(f"DROP INDEX CONCURRENTLY IF EXISTS items_{self.column}")
        run.execute("SELECT trip('unindex')")

    def _shrink(self, run):
        run.execute(f"ALTER TABLE items DROP COLUMN IF EXISTS {self.column}")
        run.execute("SELECT trip('shrink')")

    def _rows(self, run):
        return run.one("SELECT count(*) FROM items")

    def _each(self, run, batch, step, assignment):
        after = int(batch.after[0]) if batch.after else 0
        ids = run.execute(
            f"""
            WITH page AS (SELECT id FROM items WHERE id > %s ORDER BY id LIMIT %s),
                 written AS (UPDATE items SET {assignment} WHERE id IN (SELECT id FROM page))
            SELECT id FROM page ORDER BY id
            """,
            [after, batch.rows],
        )
        if batch.after is not None:  # the first batch is kept
            run.execute(f"SELECT trip('{step}')")
        return Done(rows=len(ids), last=[str(ids[-1][0])] if len(ids) == batch.rows else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One short transaction that writes who acts, into a table of its own."""

    kind: ClassVar[str] = "note"
    text: str

    @property
    def target(self):
        return "table notes"

    def up(self):
        return (Transaction("write", self._write),)

    def down(self):
        return (Transaction("erase", self._erase),)

    def _write(self, run):
        run.execute("SELECT trip('write')")
        run.execute(
            "INSERT INTO notes SELECT %s, current_setting('hansa.actor_kind', true), %s",
            [self.text, run.facts["settings"]],
        )

    def _erase(self, run):
        run.execute("DELETE FROM notes WHERE text = %s", [self.text])


def register():
    kinds.KINDS |= {"double": Double, "note": Note}


@pytest.fixture(autouse=True)
def _tiny_kinds(monkeypatch):
    for name, kind in (("double", Double), ("note", Note)):
        monkeypatch.setitem(kinds.KINDS, name, kind)


@pytest.fixture
def items(folder, dsn):
    """A table of three batches that is there, and a revision that doubles it online."""
    folder.revision(A, up=ITEMS, down="DROP TABLE items, traps; DROP FUNCTION trip;")
    migrate.up(dsn, folder.path)
    folder.revision(B, up=None, down=None, meta=DOUBLE)
    return folder


class World:
    """Everything that can be seen of the database."""

    def __init__(self, dsn, ask):
        with psycopg.connect(dsn) as connection:
            self.catalog = snapshot(connection)
        self.rows = sorted(map(str, ask("SELECT to_jsonb(items) FROM items")))

    def __eq__(self, other):
        same = [one.sentence for one in differences(self.catalog, other.catalog)] == []
        return same and self.rows == other.rows

    __hash__ = None


def trap(ask, step, deed):
    ask("DELETE FROM traps")
    if deed:
        ask("INSERT INTO traps VALUES (%s, %s)", step, deed)


def finished_operations(ask):
    return ask("SELECT number, direction, step, finished FROM mig.operations WHERE revision = %s ORDER BY 1", B)


def wait_for(ask, condition, *values):
    deadline = time.monotonic() + 30
    while ask(condition, *values) != [(True,)]:
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


def wake(ask):
    """End the run that sleeps in a trap."""
    ask("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'
    """)


IN_THE_TRAP = """
    SELECT count(*) = 1 FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND query LIKE '%%trip(''' || %s || ''')%%'
      AND wait_event = 'PgSleep'
"""


def test_script_and_operations_are_one_revision_on_the_way_up_and_back(items, dsn, ask):
    (items.path / B / "up.sql").write_text("CREATE TABLE notes (text text, actor text, allowed boolean);")
    (items.path / B / "down.sql").write_text("DROP TABLE notes;")
    (items.path / B / "meta.toml").write_text(
        f'{DOUBLE}[[operation]]\nkind = "note"\ntext = "100% %s"\n[settings]\n"hansa.actor_kind" = "system"\n'
    )
    before = World(dsn, ask)

    plan = migrate.plan(dsn, items.path)
    up = migrate.up(dsn, items.path, options=OPTIONS)

    assert plan.steps[0].operations == ("double column items.doubled", "note table notes")
    assert [(step.revision, step.statements, step.resumed_after) for step in up.steps] == [(B, 6, 0)]
    assert ask("SELECT * FROM notes") == [("100% %s", "system", True)]
    assert ask("SELECT count(*) FILTER (WHERE doubled = 2 * n), sum(touched) FROM items") == [(ROWS, ROWS)]
    assert migrate.status(dsn, items.path).pending == ()
    down = migrate.down(dsn, items.path, steps=1, options=OPTIONS)
    assert [(step.revision, step.statements, step.resumed_after) for step in down.steps] == [(B, 6, 0)]
    assert World(dsn, ask) == before
    assert ask("SELECT count(*) FROM mig.operations") == [(0,)]


@pytest.mark.parametrize("deed", ["error", "terminate"])
def test_a_step_that_stops_is_resumed_to_the_same_result_in_both_directions(items, dsn, ask, deed):
    before = World(dsn, ask)
    migrate.up(dsn, items.path, options=OPTIONS)
    after = World(dsn, ask)
    migrate.down(dsn, items.path, steps=1, options=OPTIONS)
    assert World(dsn, ask) == before

    for step in ("expand", "index", "fill", "promise"):
        trap(ask, step, deed)
        stopped(lambda: migrate.up(dsn, items.path, options=OPTIONS), step, deed)
        assert migrate.status(dsn, items.path).revisions[1].state is State.INTERRUPTED
        assert migrate.status(dsn, items.path).pending == (B,)
        if step == "fill":
            assert ask("SELECT position, rows_done, rows_total FROM mig.operations WHERE number = 1") == [
                (["500"], 500, ROWS)
            ]
        trap(ask, step, None)
    migrate.up(dsn, items.path, options=OPTIONS)
    assert World(dsn, ask) == after, "rows of a finished batch would be touched twice"
    for step in ("break", "drain", "unindex", "shrink"):
        trap(ask, step, deed)
        stopped(lambda: migrate.down(dsn, items.path, steps=1, options=OPTIONS), step, deed)
        trap(ask, step, None)
    migrate.down(dsn, items.path, steps=1, options=OPTIONS)
    assert World(dsn, ask) == before
    assert migrate.status(dsn, items.path).problems == ()


def stopped(work, step, deed):
    with pytest.raises(OperationFailed) as failure:
        work()
    assert f"operation 1 (double), {step}" in str(failure.value).replace("back: ", "")
    assert failure.value.revision == B
    assert failure.value.sqlstate == {"error": "P0042", "terminate": "57P01"}[deed]


def test_what_stopped_on_the_way_up_can_be_taken_back_from_there(items, dsn, ask):
    before = World(dsn, ask)

    for step in ("expand", "index", "fill", "promise"):
        trap(ask, step, "error")
        with pytest.raises(OperationFailed, match=f"trapped in {step}"):
            migrate.up(dsn, items.path, options=OPTIONS)
        trap(ask, step, None)
        report = migrate.down(dsn, items.path, steps=1, options=OPTIONS)

        assert report.revisions == (B,)
        assert World(dsn, ask) == before, step
    assert migrate.status(dsn, items.path).pending == (B,)
    assert ask("SELECT kind, revision FROM mig.events WHERE n > 1 ORDER BY n") == [("failed", B), ("reverted", B)] * 4


DEPLOYER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("tiny", sys.argv[1])
sys.modules["tiny"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.register()
from hansa.migrate.cli import app
app(sys.argv[2:], prog_name="migrate")
"""


@contextmanager
def deployer(*words):
    """A process that runs a command with the kinds of this file, killed at the end if it is still there."""
    command = [sys.executable, "-c", DEPLOYER, __file__, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_deployer_killed_in_any_kind_of_step_is_followed_by_one_that_finishes(items, dsn, ask):
    before = World(dsn, ask)
    migrate.up(dsn, items.path, options=OPTIONS)
    after = World(dsn, ask)
    migrate.down(dsn, items.path, steps=1, options=OPTIONS)

    for step in ("expand", "index", "fill"):
        trap(ask, step, "sleep")
        with deployer("up", "--dir", str(items.path), "--dsn", dsn) as process:
            wait_for(ask, IN_THE_TRAP, step)
            process.kill()
            assert process.wait() == -9
        if step != "expand":  # once the server finds out by itself that nobody is there any more
            wake(ask)
        trap(ask, step, None)
    assert ask("SELECT step, position, finished FROM mig.operations WHERE number = 1") == [("index", ["500"], False)]
    report = migrate.up(dsn, items.path, options=OPTIONS)

    assert report.revisions == (B,)
    assert World(dsn, ask) == after
    migrate.down(dsn, items.path, steps=1, options=OPTIONS)
    assert World(dsn, ask) == before
    assert migrate.status(dsn, items.path).problems == ()


def test_a_short_step_waits_for_its_lock_in_many_tries_and_lets_readers_pass_between_them(items, dsn, ask):
    heard = []
    three_tries = threading.Event()

    def notice(said):
        heard.append(said)
        if sum("no lock within 0.05 s" in one.message for one in heard) == 3:
            three_tries.set()

    def read_until_released():
        waits = []
        with psycopg.connect(dsn, autocommit=True) as reader:
            while not three_tries.is_set():
                started = time.monotonic()
                reader.execute("SELECT count(*) FROM items")
                waits.append(time.monotonic() - started)
        return waits

    with psycopg.connect(dsn) as other, ThreadPoolExecutor(2) as pool:
        other.execute("SELECT FROM items LIMIT 1")
        reading = pool.submit(read_until_released)
        running = pool.submit(migrate.up, dsn, items.path, options=replace(OPTIONS, notify=notice))
        assert three_tries.wait(30)
        waits = reading.result(30)
        other.rollback()
        report = running.result(30)

    print(f"the longest wait of {len(waits)} reads: {max(waits) * 1000:.0f} ms")
    assert report.revisions == (B,)
    assert len(waits) > 3
    tries = [said.message for said in heard if said.kind is migrate.NoticeKind.WAITING]
    assert tries[0] == f"{B}, operation 1 (double), expand: no lock within 0.05 s; trying again"
    assert ask("SELECT count(*) FROM items WHERE doubled = 2 * n") == [(ROWS,)]


def test_a_lock_that_is_never_free_ends_the_run_by_name_and_the_next_one_goes_on(items, dsn, ask):
    pace = replace(GENTLE, lock_tries=2)
    with psycopg.connect(dsn) as other:
        other.execute("SELECT FROM items LIMIT 1")
        with pytest.raises(OperationFailed, match="lock timeout") as failure:
            migrate.up(dsn, items.path, options=replace(OPTIONS, online=pace))

    assert failure.value.sqlstate == "55P03"
    assert migrate.up(dsn, items.path, options=OPTIONS).revisions == (B,)


def test_a_try_without_its_lock_leaves_no_fact_behind(folder, dsn, ask, monkeypatch):
    seen = []

    def locking(run):
        run.facts.setdefault("tries", []).append(len(seen))
        seen.append(run.facts["tries"])
        if len(seen) < 3:
            raise psycopg.errors.LockNotAvailable

    only = (Transaction("only", locking),)
    monkeypatch.setitem(kinds.KINDS, "note", made_of("note", only, ()))
    folder.revision(A, up=None, down=None, meta='[[operation]]\nkind = "note"\n')

    migrate.up(dsn, folder.path, options=OPTIONS)

    assert ask("SELECT facts -> 'tries' FROM mig.operations WHERE number = 1") == [([2],)]


def made_of(kind, up, down):
    """A kind without entries that has these steps."""

    @dataclass(frozen=True, kw_only=True)
    class Made:
        target = "nothing"

        def up(self):
            return up

        def down(self):
            return down

    Made.kind = kind
    return Made


def test_status_shows_an_operation_that_is_under_way_and_blocks_nobody(items, dsn, ask):
    trap(ask, "fill", "sleep")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(migrate.up, dsn, items.path, options=OPTIONS)
        wait_for(ask, IN_THE_TRAP, "fill")

        try:
            status = migrate.status(dsn, items.path)
            metrics = migrate.metrics(dsn, items.path)
        finally:
            wake(ask)
        with pytest.raises(OperationFailed):
            running.result(30)
    (row,) = [row for row in status.revisions if row.revision == B]
    assert (row.state, row.applied_at) == (State.INTERRUPTED, None)
    assert "under way" in row.detail
    assert f'hansa_migrate_operation_rows_done{{kind="double",operation="1",revision="{B}"}} 500.0' in metrics
    assert f'hansa_migrate_operation_rows_total{{kind="double",operation="1",revision="{B}"}} {ROWS}.0' in metrics


def test_a_run_is_cancelled_from_beside_and_goes_on_later_or_back(items, dsn, ask):
    before = World(dsn, ask)
    options = replace(OPTIONS, notify=cancelling_at_progress(dsn))

    with pytest.raises(OperationCancelled, match=r"operation 1 \(double\), fill: an operator asked it to stop"):
        migrate.up(dsn, items.path, options=options)

    assert ask("SELECT position FROM mig.operations WHERE number = 1") == [(["500"],)]
    assert ask("SELECT kind, revision FROM mig.events WHERE n > 1") == [("cancelled", B)]
    with pytest.raises(OperationCancelled):
        migrate.up(dsn, items.path, options=options)
    assert migrate.up(dsn, items.path, options=OPTIONS).revisions == (B,)
    assert ask("SELECT sum(touched), count(*) FROM items WHERE doubled = 2 * n") == [(ROWS, ROWS)]
    with pytest.raises(OperationCancelled):
        migrate.down(dsn, items.path, steps=1, options=options)
    migrate.down(dsn, items.path, steps=1, options=OPTIONS)
    assert World(dsn, ask) == before


def cancelling_at_progress(dsn):
    def notify(notice):
        if notice.kind is migrate.NoticeKind.PROGRESS:
            migrate.cancel(dsn, B, by="an operator")

    return notify


def test_a_cancellation_in_the_last_steps_of_one_operation_stops_the_next_one(items, dsn, ask):
    ask("CREATE TABLE notes (text text, actor text, allowed boolean)")
    (items.path / B / "meta.toml").write_text(f'{DOUBLE}[[operation]]\nkind = "note"\ntext = "second"\n')

    def notify(notice):
        if "promise column items.doubled" in notice.message:
            migrate.cancel(dsn, B, by="an operator")

    with pytest.raises(OperationCancelled, match=r"operation 2 \(note\)"):
        migrate.up(dsn, items.path, options=replace(OPTIONS, notify=notify))

    assert ask("SELECT count(*) FROM notes") == [(0,)]
    assert migrate.up(dsn, items.path, options=OPTIONS).revisions == (B,)
    assert ask("SELECT text FROM notes") == [("second",)]


def test_cancelling_beside_a_run_never_loses_or_repeats_a_row(items, dsn, ask):
    done = threading.Event()
    stops = []

    def go_on():
        try:
            while True:
                try:
                    return migrate.up(
                        dsn, items.path, options=replace(OPTIONS, online=replace(GENTLE, batch_rows_max=20))
                    )
                except OperationCancelled:
                    stops.append(1)
                    if len(stops) == 3:
                        done.set()
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(go_on)
        while not done.is_set():
            with suppress(NothingUnderWay):
                migrate.cancel(dsn, B, by="an operator")
        assert running.result(30).revisions == (B,)

    assert len(stops) >= 3
    assert ask("SELECT count(*), min(touched), max(touched) FROM items WHERE doubled = 2 * n") == [(ROWS, 1, 1)]


def test_nothing_is_cancelled_where_nothing_runs(items, dsn, ask):
    with pytest.raises(errors.Refusal) as before:
        migrate.cancel(dsn, B, by="an operator")
    trap(ask, "fill", "error")
    with pytest.raises(OperationFailed):
        migrate.up(dsn, items.path, options=OPTIONS)

    with pytest.raises(errors.Refusal, match="nobody is working on it") as stopped_half_way:
        migrate.cancel(dsn, B, by="an operator")

    assert (before.value.code, stopped_half_way.value.code) == ("nothing_under_way", "nothing_under_way")
    assert ask("SELECT cancelled_by FROM mig.operations WHERE number = 1") == [(None,)]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("meta.toml", DOUBLE + "factor = 3\n"),
        ("meta.toml", ""),
        ("meta.toml", '[[operation]]\nkind = "note"\ntext = "other"\n' + DOUBLE),
        ("up.sql", "CREATE TABLE extra (n int, m int);"),
    ],
)
def test_what_stopped_half_way_is_not_resumed_as_something_else(items, dsn, ask, file, text):
    for script in ("up.sql", "down.sql"):
        (items.path / B / script).write_text(
            "CREATE TABLE extra (n int);" if script == "up.sql" else "DROP TABLE extra;"
        )
    trap(ask, "fill", "error")
    with pytest.raises(OperationFailed):
        migrate.up(dsn, items.path, options=OPTIONS)
    trap(ask, "fill", None)
    kept = (items.path / B / file).read_text()
    (items.path / B / file).write_text(text)
    halfway = World(dsn, ask)

    with pytest.raises(errors.ProgressMismatch, match=B):
        migrate.up(dsn, items.path, options=OPTIONS)
    if file != "up.sql":
        with pytest.raises(errors.ProgressMismatch, match=B):
            migrate.down(dsn, items.path, steps=1, options=OPTIONS)

    assert World(dsn, ask) == halfway
    (items.path / B / file).write_text(kept)
    assert migrate.up(dsn, items.path, options=OPTIONS).revisions == (B,)


def test_a_step_that_this_engine_does_not_know_stops_the_run_by_name(items, dsn, ask):
    trap(ask, "fill", "error")
    with pytest.raises(OperationFailed):
        migrate.up(dsn, items.path, options=OPTIONS)
    ask("UPDATE mig.operations SET step = 'of another engine' WHERE number = 1")

    with pytest.raises(errors.ProgressMismatch, match="of another engine"):
        migrate.up(dsn, items.path, options=OPTIONS)


def test_what_is_half_way_back_is_finished_that_way_first(items, dsn, ask):
    migrate.up(dsn, items.path, options=OPTIONS)
    trap(ask, "drain", "error")
    with pytest.raises(OperationFailed):
        migrate.down(dsn, items.path, steps=1, options=OPTIONS)
    trap(ask, "drain", None)
    items.table("20260103T000000_later", "later")

    with pytest.raises(errors.InterruptedRevision, match=f"{B}.*`down`"):
        migrate.up(dsn, items.path, options=OPTIONS)

    assert ask("SELECT to_regclass('later')") == [(None,)]
    assert migrate.down(dsn, items.path, steps=1, options=OPTIONS).revisions == (B,)
    assert migrate.up(dsn, items.path, options=OPTIONS).revisions == (B, "20260103T000000_later")


def test_batches_never_take_more_rows_than_they_may(items, dsn, ask):
    heard = []
    pace = replace(GENTLE, batch_rows_max=400)

    migrate.up(dsn, items.path, options=replace(OPTIONS, online=pace, notify=heard.append))

    done = [notice.done for notice in heard if notice.kind is migrate.NoticeKind.PROGRESS]
    assert done[0] == 400
    assert done[-1] == ROWS
    assert max(after - before for before, after in zip([0, *done], done, strict=False)) <= 400


def test_a_progress_notice_counts_rows_and_tells_how_long_the_rest_takes(items, dsn):
    heard = []

    migrate.up(dsn, items.path, options=replace(OPTIONS, notify=heard.append))

    told = [notice for notice in heard if notice.kind is migrate.NoticeKind.PROGRESS]
    assert [notice.total for notice in told] == [ROWS] * len(told)
    assert told[0].done == 500
    assert told[0].remaining_s == pytest.approx((ROWS - 500) / told[0].per_s)
    assert told[0].message == f"{B}, operation 1 (double), fill"


def test_a_failing_script_leaves_nothing_and_no_operation_begins(items, dsn, ask):
    (items.path / B / "up.sql").write_text("CREATE TABLE extra ();\nSELECT 1/0;")
    (items.path / B / "down.sql").write_text("DROP TABLE extra;")

    with pytest.raises(errors.StatementFailed, match=f"{B}/up.sql, statement 2, line 2"):
        migrate.up(dsn, items.path, options=OPTIONS)

    assert ask("SELECT to_regclass('extra'), (SELECT count(*) FROM mig.operations)") == [(None, 0)]


def test_a_down_script_waits_for_its_lock_like_every_other_script(items, dsn, ask):
    (items.path / B / "up.sql").write_text("CREATE TABLE extra (n int);")
    (items.path / B / "down.sql").write_text("DROP TABLE extra;")
    migrate.up(dsn, items.path, options=OPTIONS)

    with psycopg.connect(dsn) as other:
        other.execute("SELECT FROM extra")
        options = replace(OPTIONS, notify=lambda said: other.rollback() if "trying again" in said.message else None)
        report = migrate.down(dsn, items.path, steps=1, options=options)

    assert report.revisions == (B,)
    assert ask("SELECT to_regclass('extra')") == [(None,)]


def test_a_second_deployer_waits_while_an_operation_is_under_way(items, dsn, ask):
    trap(ask, "fill", "sleep")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(migrate.up, dsn, items.path, options=OPTIONS)
        wait_for(ask, IN_THE_TRAP, "fill")

        with pytest.raises(errors.LockUnavailable, match="another deployer"):
            migrate.up(dsn, items.path, options=replace(OPTIONS, deployer_wait_s=0.1))

        wake(ask)
        with pytest.raises(OperationFailed):
            running.result(30)


def test_batches_rest_longer_while_sessions_of_the_database_wait_for_locks(items, dsn, monkeypatch):
    rests = []
    monkeypatch.setattr("hansa.migrate.online.engine.time.sleep", rests.append)
    crowd = iter([0, 0, 3])
    monkeypatch.setattr("hansa.migrate.online.engine._Walk._pressure", lambda _: (0, next(crowd, 0)))

    migrate.up(dsn, items.path, options=migrate.Options(online=Pace(rest=0, rest_per_waiter=1.0, batch_rows_max=400)))

    assert [rest > 0 for rest in rests[:4]] == [False, False, True, False]


def test_the_pressure_counts_those_who_wait_for_locks_in_this_database(dsn, ask):
    ask("CREATE TABLE elsewhere (n int)")
    with psycopg.connect(dsn) as holder, psycopg.connect(dsn) as look, ThreadPoolExecutor(1) as beside:
        holder.execute("LOCK TABLE elsewhere")
        waiting = beside.submit(ask, "SELECT count(*) FROM elsewhere")
        wait_for(ask, "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 'elsewhere'::regclass")
        crowded = engine._Walk._pressure(SimpleNamespace(connection=look))
        holder.rollback()
        waiting.result()
        alone = engine._Walk._pressure(SimpleNamespace(connection=look))

    assert (crowded, alone) == ((0, 1), (0, 0))


def test_batches_wait_for_a_replica_that_is_far_behind_and_say_so(items, dsn, monkeypatch):
    heard = []
    monkeypatch.setattr("hansa.migrate.online.engine.time.sleep", lambda _: None)
    behind = iter([2_000, 2_000, 500])
    monkeypatch.setattr("hansa.migrate.online.engine._Walk._pressure", lambda _: (next(behind, 0), 0))

    migrate.up(
        dsn,
        items.path,
        options=migrate.Options(notify=heard.append, online=Pace(lag_bytes_max=1_000, batch_rows_max=400)),
    )

    assert len([notice for notice in heard if "waiting for a replica" in notice.message]) == 2
