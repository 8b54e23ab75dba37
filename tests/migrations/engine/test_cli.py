"""Every command as a person and as a program meets it: tables, JSON, exit codes, the line of progress."""

import json
import os
import pty
import re
import subprocess
import sys
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from hansa.migrate.cli import Defaults, app, make_app
from hansa.migrate.cli.showing import bar
from hansa.migrate.options import Notice, NoticeKind

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))


@pytest.fixture
def run(folder, dsn):
    """Runs a command on the test's database and folder."""

    def run(*words, on=app, **settings):
        place = {
            "diff": ["--dsn", dsn],
            "drift": ["--dsn", dsn],
            "cancel": ["--dsn", dsn],
            "lint": ["--dir", str(folder.path)],
            "new": ["--dir", str(folder.path)],
        }.get(words[0], ["--dir", str(folder.path), "--dsn", dsn])
        return CliRunner().invoke(on, [words[0], *place, *words[1:]], **settings)

    return run


@pytest.fixture
def told(run):
    """Runs a command and returns its exit code and its JSON, which must be all that it writes to stdout."""

    def told(*words, **settings):
        result = run(*words, "-o", "json", **settings)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, json.loads(result.stdout)

    return told


def rows(result):
    """The table of a result, split at two spaces or more."""
    return [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()]


def test_a_whole_deployment_as_tables(folder, run):
    folder.table(A, "a", meta='description = "the first"', seed="INSERT INTO a VALUES (1);")
    folder.table(B, "b", meta=f'requires = ["{A}"]\ntransactional = false')

    results = [
        run(*words.split()) for words in ("status", "plan", "up", "status", "plan", "up", "verify", "seed", "seed")
    ]
    down, empty = run("down", "--all", "--actor", "somebody", "--lose-data"), run("down", "--all")

    assert [result.exit_code for result in results] == [2, 2, 0, 0, 0, 0, 0, 0, 0]
    status, plan, up, after, nothing, again, verify, seed, seeded = map(rows, results)
    assert status == [["pending", A], ["pending", B]]
    assert plan == [
        ["pending", A, "1 statement", "in one transaction", "the first"],
        ["pending", B, "1 statement", "statement by statement"],
    ]
    assert [row[:3] for row in up] == [["applied", A, "1 statement"], ["applied", B, "1 statement"]]
    assert [row[:2] for row in after] == [["applied", A], ["applied", B]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", after[0][2])
    assert (nothing, again) == ([["nothing to do"]], [["nothing to do"]])
    assert verify == [["PASS", A, "table a"], ["PASS", B, "table b"]]
    assert (seed[0][:2], seeded) == (["seeded", A], [["skipped", A, "seeded before"]])
    assert ([row[:2] for row in rows(down)], rows(empty)) == ([["reverted", B], ["reverted", A]], [["nothing to do"]])


def test_a_whole_deployment_as_json(folder, told):
    folder.table(A, "a", seed="INSERT INTO a VALUES (1);")
    folder.table(B, "b", verify=None)

    status, plan, up, verify, seed, down = (
        told(*words.split()) for words in ("status", "plan", "up", "verify", "seed", "down --to " + A)
    )

    assert (status[0], status[1]["pending"], status[1]["problems"]) == (2, [A, B], [])
    assert (plan[0], [step["statements"] for step in plan[1]["steps"]]) == (2, [1, 1])
    assert (up[0], [step["revision"] for step in up[1]["steps"]], up[1]["hooks"]) == (0, [A, B], [])
    assert (verify[0], verify[1]["ok"], verify[1]["unverified"]) == (0, True, [B])
    assert (seed[0], [step["revision"] for step in seed[1]["steps"]]) == (0, [A])
    assert (down[0], [step["revision"] for step in down[1]["steps"]]) == (0, [B])


def test_a_failed_verification_is_exit_code_4(folder, run, told):
    folder.table(A, "a", verify="SELECT 'it is so', false, 'found none';")
    run("up")

    assert (run("verify").exit_code, rows(run("verify"))) == (4, [["FAIL", A, "it is so", "found none"]])
    code, found = told("verify")
    assert (code, found["ok"], found["checks"][0]["detail"]) == (4, False, "found none")


def test_drift_is_exit_code_3_until_it_is_accepted(folder, run, told, ask):
    folder.table(A, "a")
    refused = run("drift")
    run("up")
    ask("CREATE TABLE theirs (n int)")

    found, as_json = run("drift"), told("drift")
    accepted = run("drift", "--accept", "--actor", "somebody")

    assert (refused.exit_code, refused.stderr.split(":")[0]) == (1, "nothing_to_compare")
    assert (found.exit_code, rows(found)[0][0]) == (3, "added")
    assert "theirs" in found.stdout
    assert (as_json[0], as_json[1]["differences"][0]["kind"]) == (3, "added")
    assert (accepted.exit_code, accepted.stdout.strip()) == (0, "no drift")
    assert ask("SELECT actor FROM mig.events WHERE kind = 'accepted'") == [("somebody",)]


def test_two_databases_are_compared(folder, dsn, server_dsn, run, told, ask):
    ask("CREATE TABLE a (n int)")

    different, as_json, same = run("diff", server_dsn), told("diff", server_dsn), run("diff", dsn)

    assert (different.exit_code, as_json[0]) == (3, 3)
    assert [row[0] for row in rows(different) if "public.a" in row[1]] == ["removed"]
    assert ("removed", "table public.a") in [(one["kind"], one["object"]) for one in as_json[1]["differences"]]
    assert (same.exit_code, same.stdout.strip()) == (0, "no difference")


def test_lint_is_exit_code_1_for_an_error_and_0_without(folder, server_dsn, run, told):
    folder.table(A, "a")
    clean = run("lint", "--without-squawk", "--scratch", server_dsn)
    folder.revision(B, up="SELECT nothing FROM nowhere;")

    found, as_json = (
        run("lint", "--without-squawk", "--scratch", server_dsn),
        told("lint", "--without-squawk", "--without-server"),
    )

    assert clean.exit_code == 0
    assert (found.exit_code, next(row[0] for row in rows(found) if B in row[1])) == (1, "error")
    assert as_json[1]["ok"] is (as_json[0] == 0)


def test_rehearsing_is_shown_recorded_and_demanded(folder, run, told):
    folder.table(A, "a")
    refused = run("up", "--require-rehearsal")

    shown, as_json = run("rehearse"), told("rehearse", "--no-record")
    stale = told("up", "--require-rehearsal", "--rehearsed-within", "0")

    assert (refused.exit_code, refused.stderr.split(":")[0]) == (1, "not_rehearsed")
    assert shown.exit_code == 0
    assert (as_json[0], as_json[1]["ok"], as_json[1]["revisions"]) == (0, True, [A])
    assert (stale[0], stale[1]["error"]["code"]) == (1, "not_rehearsed")
    assert run("up", "--require-rehearsal").exit_code == 0


def test_a_rehearsal_that_does_not_come_back_is_exit_code_3(folder, told):
    folder.table(A, "a", down="SELECT 1;")

    code, found = told("rehearse")

    assert (code, found["ok"]) == (3, False)


def test_locks_and_metrics_only_look(folder, run, told, tmp_path, ask):
    folder.table(A, "a")
    file = tmp_path / "migrate.prom"

    locks, waiting = run("locks"), run("locks", "--waiting")
    metrics = run("metrics")
    written, lost = run("metrics", "--to-file", str(file)), run("metrics", "--to-file", str(tmp_path / "no" / "file"))

    assert (locks.exit_code, waiting.exit_code, told("locks")[0], told("locks", "--waiting")[0]) == (0, 0, 0, 0)
    assert "hansa_migrate_pending 1.0" in metrics.stdout
    assert (written.exit_code, written.stdout, file.read_text()) == (0, "", metrics.stdout)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert (lost.exit_code, lost.stderr.split(":")[0]) == (1, "bad_request")
    assert ask("SELECT to_regnamespace('mig')") == [(None,)]


def test_resolving_by_hand(folder, run, told):
    folder.revision(A, meta="transactional = false", up="CREATE TABLE a (n int);\nSELECT 1/0;")
    failed = run("up")
    interrupted = run("status")

    unclear = [run("resolve", A), run("resolve", A, "--applied", "--rolled-back")]
    applied, back = told("resolve", A, "--applied"), run("resolve", A, "--rolled-back")

    assert (failed.exit_code, failed.stderr.split(":")[0]) == (1, "statement_failed")
    assert (interrupted.exit_code, rows(interrupted)) == (2, [["interrupted", A, "up.sql stopped after statement 1"]])
    assert [(result.exit_code, result.stderr.split(":")[0]) for result in unclear] == [(1, "bad_request")] * 2
    assert applied == (0, {"revision": A, "state": "applied"})
    assert (back.exit_code, rows(back)) == (0, [["rolled back", A]])


def test_nothing_to_cancel_is_a_refusal(folder, told):
    code, found = told("cancel", A)

    assert (code, found["error"]["code"]) == (1, "nothing_under_way")


def test_adopting_a_database(folder, server_dsn, run, told, ask):
    folder.table(A, "a")
    ask("CREATE TABLE a (n bigint)")

    different, as_json = run("baseline"), told("baseline", "--scratch", server_dsn)
    ask("ALTER TABLE a ALTER n TYPE integer; CREATE TABLE theirs (n int)")
    adopted = run("baseline", "--ignore", "table public.theirs", "--to", A)

    assert (different.exit_code, rows(different)[0][0]) == (3, "changed")
    assert (as_json[0], len(as_json[1]["differences"])) == (3, 1)
    assert (adopted.exit_code, rows(adopted)) == (0, [["adopted", A]])


def test_resetting_needs_a_yes_and_no_production(folder, run, told, ask, monkeypatch):
    folder.table(A, "a")
    run("up")
    ask("INSERT INTO a VALUES (1)")

    done = told("reset", "--yes")
    monkeypatch.setenv("HANSA_ENV", "production")
    refused = told("reset", "--yes")

    assert (done[0], [step["revision"] for step in done[1]["steps"]]) == (0, [A])
    assert (refused[0], refused[1]["error"]["code"]) == (1, "not_for_reset")
    assert ask("SELECT count(*) FROM a") == [(0,)]


def test_what_a_hook_prints_is_no_part_of_the_answer(folder, told, run):
    (folder.table(A, "a") / "post.py").write_text("def run(dsn):\n    print('chatter')\n")
    (folder.table(B, "b") / "post.sql").write_text("SELECT 1/0;")

    up, hooks = told("up"), told("hooks", "--run")

    assert (up[0], [(hook["name"], hook["error"]) for hook in up[1]["hooks"]]) == (
        1,
        [("post.py", None), ("post.sql", "division by zero")],
    )
    assert (hooks[0], [hook["attempts"] for hook in hooks[1]]) == (1, [1, 2])
    assert [row[:3] for row in rows(run("hooks"))] == [["done", A, "post.py"], ["failed", B, "post.sql"]]


@pytest.mark.parametrize(
    "words",
    [
        ("up", "--nonsense"),
        ("up", "--lock-timeout", "0"),
        ("status", "too", "many"),
        ("status", "-o", "yaml"),
        ("resolve",),
        ("nonsense",),
        (),
    ],
)
def test_wrong_usage_is_never_taken_for_something_pending(words):
    alone = CliRunner().invoke(app, list(words))
    program = typer.Typer()
    program.add_typer(make_app(Defaults()), name="migrate")
    program.command()(lambda: None)
    mounted = CliRunner().invoke(program, ["migrate", *words])

    assert (alone.exit_code, mounted.exit_code) == (1, 1)


@pytest.mark.parametrize("command", ["status", "plan", "up", "verify", "seed", "hooks", "metrics", "rehearse"])
def test_what_cannot_be_reached_or_read_is_named_by_every_command(folder, command, tmp_path):
    folder.table(A, "a")
    runner = CliRunner()

    nowhere = runner.invoke(app, [command, "--dsn", "host=/nowhere", "--dir", str(folder.path)])
    no_sense = runner.invoke(app, [command, "--dsn", "no sense", "--dir", str(folder.path)])

    assert [(found.exit_code, found.stderr.split(":")[0]) for found in (nowhere, no_sense)] == [(1, "unreachable")] * 2


def test_a_contract_asks_for_the_backup_of_the_program_that_mounts_it(folder, dsn, run, monkeypatch):
    folder.table(A, "a")
    without = make_app(Defaults(backup_age_s=lambda: None))
    assert run("up", on=without).exit_code == 0
    monkeypatch.setattr("hansa.migrate.demands.CONTRACTS", frozenset({"add_check"}))
    meta = '[[operation]]\nkind = "add_check"\ntable = "a"\nname = "positive"\nexpression = "n > 0"\n'
    folder.revision(B, up=None, down=None, meta=meta)

    refused = run("up", on=without)
    stale = run("up", on=make_app(Defaults(backup_age_s=lambda: 7200.0, backup_within_s=3600.0)))
    done = run("up", "--no-backup", on=without)

    assert [(found.exit_code, found.stderr.split(":")[0]) for found in (refused, stale)] == [(1, "backup_missing")] * 2
    assert "the latest is 2.0 h old" in stale.stderr
    assert (done.exit_code, rows(done)[0][:2]) == (0, ["applied", B])


def test_an_operation_is_planned_by_kind_and_target(folder, run):
    folder.table(A, "a")
    run("up")
    meta = '[[operation]]\nkind = "add_check"\ntable = "a"\nname = "positive"\nexpression = "n > 0"\n'
    folder.revision(B, up=None, down=None, meta=meta)

    assert "add_check constraint positive on a" in run("plan").stdout


def test_the_line_of_progress_says_how_much_how_fast_and_how_long():
    half = Notice(kind=NoticeKind.PROGRESS, message="backfill", done=500_000, total=1_000_000, per_s=2500.0)
    unknown = Notice(kind=NoticeKind.PROGRESS, message="backfill", done=5)
    whole = Notice(kind=NoticeKind.PROGRESS, message="backfill", done=3, total=3, per_s=1.0)

    assert bar(half) == f"[{'#' * 12}{' ' * 12}]  50%  500,000 rows, 2,500/s, {timedelta(seconds=200)} left  backfill"
    assert bar(unknown) == "5 rows, 0/s  backfill"
    assert bar(whole).startswith(f"[{'#' * 24}] 100%  3 rows, 1/s, 0:00:00 left")


def test_progress_is_one_line_of_a_terminal_and_silent_elsewhere(folder, dsn):
    """A process of its own, because only that has a terminal."""
    folder.table(A, "a")
    script = (
        "from hansa.migrate.cli.showing import tell, clear_progress\n"
        "from hansa.migrate.options import Notice, NoticeKind\n"
        "notice = Notice(kind=NoticeKind.PROGRESS, message='x' * 500, done=1, total=2, per_s=1.0)\n"
        "tell(notice); tell(Notice(kind=NoticeKind.WAITING, message='waits')); clear_progress()\n"
    )
    terminal, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "40"}
    with os.fdopen(terminal, "rb", buffering=0) as seen:
        subprocess.run([sys.executable, "-c", script], stderr=theirs, check=True, env=environment)
        os.close(theirs)
        shown = seen.read(10_000).decode()
    silent = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, env=environment)

    lines = [part for part in re.split(r"\r\x1b\[K|\r\n", shown) if part]
    assert (len(lines[0]), lines[0][:1], lines[1]) == (39, "[", "waits")
    assert (silent.stdout, silent.stderr) == ("", "waits\n")


def test_every_command_is_described():
    listed = CliRunner().invoke(app, ["--help"]).stdout

    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert set(names) >= {
        "status", "plan", "up", "down", "verify", "seed", "hooks", "drift", "diff", "lint", "locks", "metrics",
        "rehearse", "resolve", "cancel", "reset", "new", "baseline",
    }  # fmt: skip
    assert all(name in listed for name in names)
    assert all(command.callback.__doc__ for command in app.registered_commands)
