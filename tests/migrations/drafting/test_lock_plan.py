"""Before a deployment: which locks it will take on what is there, and who waits right now."""

import threading
import time

import psycopg

from hansa import migrate
from hansa.migrate.locking import locks, waiting
from hansa.migrate.rehearsal import rehearse

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))
MAKES = {
    "up": """
        CREATE TABLE buyers (id integer PRIMARY KEY, name text);
        CREATE TABLE bare (id integer);
        INSERT INTO buyers SELECT n, 'b' || n FROM generate_series(1, 1000) AS n;
    """,
    "down": "DROP TABLE bare, buyers;",
}
CHANGES = {
    "up": """
        CREATE TABLE orders (id integer, buyer integer REFERENCES buyers);
        CREATE INDEX ON orders (id);
        SET search_path = public;
        ALTER TABLE bare ADD COLUMN more text;
        ALTER TABLE buyers RENAME TO people;
        CREATE INDEX people_by_name ON people (name);
    """,
    "down": "DROP TABLE orders; DROP INDEX people_by_name; ALTER TABLE people RENAME TO buyers; "
    "ALTER TABLE bare DROP COLUMN more;",
}


def test_a_plan_names_the_strongest_lock_on_each_relation_that_is_there(dsn, directory, write, ask, command_line):
    write(A, **MAKES)
    before = migrate.plan(dsn, directory)
    migrate.up(dsn, directory)
    ask("ANALYZE")
    write(B, meta=f'requires = ["{A}"]', **CHANGES)

    step = migrate.plan(dsn, directory).steps[0]
    shown = command_line.run("plan")

    assert before.steps[0].locks == ()
    assert step.locks == ("ACCESS EXCLUSIVE public.bare", "ACCESS EXCLUSIVE public.buyers")
    assert "ACCESS EXCLUSIVE public.buyers" in shown.output
    assert "orders" not in shown.output


def test_only_a_lock_on_a_table_with_rows_is_alarming(dsn, directory, write, ask):
    write(A, **MAKES)
    migrate.up(dsn, directory)
    ask("ANALYZE")
    write(B, meta=f'requires = ["{A}"]', **CHANGES)

    plan = locks(dsn, directory)

    told = {
        (lock.relation, lock.mode, lock.exists, lock.rows) for statement in plan.statements for lock in statement.locks
    }
    assert told == {
        ("public.buyers", "SHARE ROW EXCLUSIVE", True, 1000),
        ("orders", "SHARE", False, 0),
        ("public.bare", "ACCESS EXCLUSIVE", True, 0),
        ("public.buyers", "ACCESS EXCLUSIVE", True, 1000),
        ("public.buyers", "SHARE", True, 1000),
    }
    assert plan.rehearsed_at is None
    assert [(statement.line, [lock.relation for lock in statement.locks]) for statement in plan.alarming] == [
        (2, ["public.buyers"]),
        (6, ["public.buyers"]),
        (7, ["public.buyers"]),
    ]


def test_what_is_dropped_or_renamed_on_the_way_is_not_taken_for_what_bears_the_name_now(dsn, directory, write, ask):
    write(A, **MAKES)
    migrate.up(dsn, directory)
    write(
        B,
        meta=f'requires = ["{A}"]',
        up="""
            ALTER TABLE buyers RENAME TO buyers_old;
            CREATE TABLE buyers (id integer);
            ALTER TABLE buyers ADD COLUMN name text;
            SELECT set_config('a.b', 'c', false) WHERE 1 IN (1);
            SELECT mend(), count(*) FROM buyers_old;
            DROP TABLE buyers_old;
        """,
    )

    found = [
        (statement.line, lock.relation, lock.mode, lock.exists)
        for statement in locks(dsn, directory).statements
        for lock in statement.locks
    ]

    assert found == [
        (2, "public.buyers", "ACCESS EXCLUSIVE", True),
        (4, "buyers", "ACCESS EXCLUSIVE", False),
        (6, "", "unknown", False),
        (7, "public.buyers", "ACCESS EXCLUSIVE", True),
    ]


def test_a_rehearsal_that_still_counts_is_believed_more_than_the_words(dsn, directory, write, ask, command_line):
    write(A, **MAKES)
    migrate.up(dsn, directory)
    write(
        B,
        meta=f'requires = ["{A}"]',
        up="DO $$ BEGIN EXECUTE 'ALTER TABLE buyers ADD COLUMN more text'; END $$;",
        down="ALTER TABLE buyers DROP COLUMN more;",
    )
    guessed = locks(dsn, directory)

    assert rehearse(dsn, directory).ok
    measured = locks(dsn, directory)
    shown = command_line.run("locks")
    ask("ALTER TABLE bare ADD COLUMN drifted text")
    void = locks(dsn, directory)

    assert [(lock.relation, lock.mode) for lock in guessed.statements[0].locks] == [("", "unknown")]
    assert measured.rehearsed_at is not None
    [lock] = [lock for lock in measured.statements[0].locks if lock.mode == "ACCESS EXCLUSIVE"]
    assert lock.relation == "public.buyers"
    assert lock.held_ms is not None
    assert lock.alarming
    assert "as rehearsed at" in shown.output
    assert void.rehearsed_at is None


def test_who_waits_for_whom_is_told_with_both_statements(dsn, ask, command_line):
    ask("CREATE TABLE shared (n integer)")
    assert waiting(dsn) == ()
    with (
        psycopg.connect(dsn, application_name="holder") as holder,
        psycopg.connect(dsn, application_name="waiter", autocommit=True) as waiter,
    ):
        holder.execute("LOCK TABLE shared")
        thread = threading.Thread(target=waiter.execute, args=("SELECT * FROM shared",))
        thread.start()
        deadline = time.monotonic() + 5
        while not (found := waiting(dsn)) and time.monotonic() < deadline:
            time.sleep(0.01)
        shown = command_line.json("locks", "--waiting")
        holder_pid = holder.info.backend_pid
        holder.rollback()
        thread.join()

    [one] = found
    assert (one.application, one.statement, one.lock) == (
        "waiter",
        "SELECT * FROM shared",
        "ACCESS SHARE on shared",
    )
    assert (one.blocking_application, one.blocking_statement) == ("holder", "LOCK TABLE shared")
    assert one.blocking_state == "idle in transaction"
    assert shown[0]["blocked_by"] == one.blocked_by == holder_pid
