from datetime import timedelta

import pytest
from typer.testing import CliRunner

from hansa import migrate
from hansa.migrate import Options, errors
from hansa.migrate.cli import app

A, B = "20260101T000000_a", "20260102T000000_b"


def post(path, *, sql=None, py=None):
    if sql is not None:
        (path / "post.sql").write_text(sql)
    if py is not None:
        (path / "post.py").write_text(py)


def outbox(ask):
    return ask("SELECT name, attempts, finished_at IS NOT NULL, error FROM mig.hook_outbox ORDER BY id")


def test_hooks_are_wanted_by_the_application_and_done_afterwards_in_order(folder, dsn, ask):
    post(
        folder.table(A, "a"),
        sql="INSERT INTO a VALUES (1); -- 100% of %s\nDO $$ BEGIN INSERT INTO a VALUES (length('%')+1); END $$;",
        py="import psycopg\n\ndef run(dsn):\n    with psycopg.connect(dsn) as c:\n"
        "        c.execute('INSERT INTO a SELECT 10 * count(*) FROM a')\n",
    )

    migrate.up(dsn, folder.path)
    wanted = migrate.hooks(dsn, waiting_only=True)
    before = ask("SELECT count(*) FROM a")
    done = migrate.run_hooks(dsn, folder.path)

    assert [(hook.revision, hook.name, hook.finished_at) for hook in wanted] == [
        (A, "post.sql", None),
        (A, "post.py", None),
    ]
    assert before == [(0,)]
    assert [(hook.name, hook.attempts, hook.error) for hook in done] == [("post.sql", 1, None), ("post.py", 1, None)]
    assert ask("SELECT n FROM a ORDER BY n") == [(1,), (2,), (20,)]
    assert ask("SELECT kind, detail FROM mig.events WHERE n > 1 ORDER BY n") == [
        ("hooked", "post.sql"),
        ("hooked", "post.py"),
    ]
    assert migrate.run_hooks(dsn, folder.path, again=True) == ()
    assert migrate.hooks(dsn, waiting_only=True) == ()


def test_a_failing_hook_leaves_nothing_keeps_those_behind_it_waiting_and_lets_other_revisions_pass(folder, dsn, ask):
    ask("CREATE TABLE switch (n int); INSERT INTO switch VALUES (0)")
    post(
        folder.table(A, "a"),
        sql="INSERT INTO a VALUES (1);\nSELECT 1/n FROM switch;",
        py="import psycopg\n\ndef run(dsn):\n    with psycopg.connect(dsn) as c:\n"
        "        c.execute('INSERT INTO a VALUES (2)')\n",
    )
    post(folder.table(B, "b"), sql="INSERT INTO b VALUES (1);")
    migrate.up(dsn, folder.path)

    tried = migrate.run_hooks(dsn, folder.path)
    at_once = migrate.run_hooks(dsn, folder.path)

    assert [(hook.revision, hook.attempts) for hook in tried] == [(A, 1), (B, 1)]
    assert (tried[0].error, tried[1].error) == ("division by zero", None)
    assert tried[0].next_at - timedelta(seconds=4) > ask("SELECT clock_timestamp()")[0][0] - timedelta(seconds=30)
    assert at_once == (), "post.py must not overtake the post.sql before it"
    assert ask("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == [(0, 1)]
    ask("UPDATE switch SET n = 1")
    again = migrate.run_hooks(dsn, folder.path, again=True)
    assert [(hook.name, hook.attempts, hook.error) for hook in again] == [("post.sql", 2, None), ("post.py", 1, None)]
    assert ask("SELECT n FROM a ORDER BY n") == [(1,), (2,)]


def test_each_failure_makes_the_next_try_later(folder, dsn, ask):
    post(folder.table(A, "a"), sql="SELECT 1/0;")
    migrate.up(dsn, folder.path)
    pauses = []

    for _ in range(3):
        migrate.run_hooks(dsn, folder.path, again=True)
        pauses += ask("SELECT round(extract(epoch FROM next_at - clock_timestamp()) / 5) FROM mig.hook_outbox")[0]

    assert pauses == [1, 2, 4]
    assert migrate.run_hooks(dsn, folder.path) == ()


WRONG = {
    "raises_an_exit": ("def run(dsn):\n    raise SystemExit('enough')\n", "SystemExit: enough"),
    "leaves": ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
    "says_what_no_text_can_hold": ("def run(dsn):\n    raise ValueError('null \\0 and \\udc80')\n", "ValueError: null"),
    "says_two_lines": (
        "def run(dsn):\n    e = OSError('two\\nlines')\n    e.add_note('noted')\n    raise e\n",
        "OSError: two lines",
    ),
    "has_no_run": ("def ran(dsn): ...\n", "no function run"),
    "is_no_python": ("def run(dsn)\n", "SyntaxError"),
    "says_nothing": ("raise RuntimeError\n", "RuntimeError"),
}


def test_whatever_post_py_does_wrong_is_its_failure_and_not_the_deployers(folder, dsn, ask):
    for day, (name, (source, _)) in enumerate(WRONG.items(), start=1):
        post(folder.revision(f"202601{day:02}T000000_{name}"), py=source)
    migrate.up(dsn, folder.path)

    hooks = migrate.run_hooks(dsn, folder.path)

    for hook, (_, error) in zip(hooks, WRONG.values(), strict=True):
        assert hook.error is not None
        assert error in hook.error
        assert (hook.attempts, hook.finished_at) == (1, None)
    assert ask("SELECT count(*) FROM mig.events WHERE kind = 'hooked'") == [(0,)]


def test_post_py_is_ordinary_python(folder, dsn, ask):
    source = """
from __future__ import annotations
from dataclasses import dataclass, field
from pathlib import Path
import psycopg


@dataclass
class Row:
    n: int
    names: list[str] = field(default_factory=list)


def run(dsn: str) -> None:
    text = Path(__file__).with_name("meta.toml").read_text()
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO a VALUES (%s)", [Row(n=len(text)).n])
"""
    post(folder.table(A, "a", meta='description = "x"'), py=source)
    migrate.up(dsn, folder.path)

    (hook,) = migrate.run_hooks(dsn, folder.path)

    assert hook.error is None
    assert ask("SELECT n FROM a") == [(len('description = "x"'),)]


def test_a_hook_that_becomes_somebody_else_is_still_noted_as_done(folder, dsn, ask):
    role = f"weak_{dsn.partition('dbname=engine_')[2][:8]}"
    ask(f"CREATE ROLE {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    post(folder.table(A, "a"), sql=f"SET ROLE {role};\nCREATE TABLE theirs (n int);\nSET search_path = nowhere;")
    try:
        migrate.up(dsn, folder.path)

        (hook,) = migrate.run_hooks(dsn, folder.path)

        assert (hook.error, hook.attempts) == (None, 1)
        assert ask("SELECT tableowner FROM pg_tables WHERE tablename = 'theirs'") == [(role,)]
    finally:
        ask(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_a_hook_that_releases_the_migration_lock_stops_the_run_by_name(folder, dsn, ask):
    post(folder.table(A, "a"), sql="INSERT INTO a VALUES (1); SELECT pg_advisory_unlock_all();")
    post(folder.table(B, "b"), sql="INSERT INTO b VALUES (1);")
    migrate.up(dsn, folder.path)

    with pytest.raises(errors.LockLost):
        migrate.run_hooks(dsn, folder.path)

    assert ask("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == [(0, 0)]
    assert outbox(ask) == [("post.sql", 0, False, None)] * 2


def test_a_hook_whose_session_ends_is_done_once_by_the_next_run(folder, dsn, ask):
    ask("CREATE TABLE switch AS SELECT true AS deadly")
    post(
        folder.table(A, "a"),
        sql="INSERT INTO a VALUES (1);\nSELECT CASE WHEN deadly THEN pg_terminate_backend(pg_backend_pid()) END FROM switch;",
    )
    migrate.up(dsn, folder.path)

    with pytest.raises(errors.DatabaseProblem, match="terminating connection"):
        migrate.run_hooks(dsn, folder.path)
    ask("UPDATE switch SET deadly = false")
    (hook,) = migrate.run_hooks(dsn, folder.path)

    assert hook.error is None
    assert ask("SELECT n FROM a") == [(1,)]


def test_an_edited_or_missing_hook_is_not_run(folder, dsn, ask):
    path = folder.table(A, "a")
    post(path, sql="INSERT INTO a VALUES (1);")
    migrate.up(dsn, folder.path)
    (path / "post.sql").write_text("INSERT INTO a VALUES (2);")

    (edited,) = migrate.run_hooks(dsn, folder.path)
    (path / "post.sql").unlink()
    (missing,) = migrate.run_hooks(dsn, folder.path, again=True)
    (path / "post.sql").write_text("INSERT INTO a VALUES (1);")
    (done,) = migrate.run_hooks(dsn, folder.path, again=True)

    assert "is not the file that was applied" in edited.error
    assert "is not the file that was applied" in missing.error
    assert done.error is None
    assert ask("SELECT n FROM a") == [(1,)]


def test_what_was_wanted_goes_with_its_revision_and_is_wanted_again_with_it(folder, dsn, ask):
    post(folder.table(A, "a"), sql="INSERT INTO a VALUES (1);")
    migrate.up(dsn, folder.path)

    migrate.down(dsn, folder.path, everything=True)
    gone = migrate.hooks(dsn)
    migrate.up(dsn, folder.path)
    migrate.run_hooks(dsn, folder.path)
    migrate.down(dsn, folder.path, everything=True, options=Options(lose_data=True))
    migrate.up(dsn, folder.path)

    assert gone == ()
    assert outbox(ask) == [("post.sql", 1, True, None), ("post.sql", 0, False, None)]


def test_a_database_without_a_ledger_has_no_hooks(dsn):
    assert migrate.hooks(dsn) == ()


def test_up_runs_the_hooks_and_says_which_failed(folder, dsn, ask):
    post(
        folder.table(A, "a"),
        py="def run(dsn):\n    print('chatter')\n    raise ValueError('the other service is away')\n",
    )
    runner = CliRunner()
    place = ["--dir", str(folder.path), "--dsn", dsn]

    up = runner.invoke(app, ["up", *place])
    shown = runner.invoke(app, ["hooks", *place])
    again = runner.invoke(app, ["hooks", "--run", *place])

    assert [line.split()[0] for line in up.stdout.splitlines()] == ["applied", "failed"]
    assert "the other service is away" in up.stderr
    assert (up.exit_code, shown.exit_code, again.exit_code) == (1, 1, 1)
    assert "tried 1 " in shown.stdout
    assert "tried 2 " in again.stdout
    assert migrate.status(dsn, folder.path).pending == ()
