import shutil
import subprocess
import sys
import time

import pytest

from hansa import migrate
from hansa.migrate import errors
from hansa.migrate.results import State

A, B = "20260101T000000_a", "20260102T000000_b"
ALONE = "transactional = false"


def wait_for(ask, condition):
    deadline = time.monotonic() + 30
    while ask(condition) != [(True,)]:
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)


def test_an_index_is_built_concurrently(folder, dsn, ask):
    folder.table(A, "a")
    folder.revision(B, meta=ALONE, up="CREATE INDEX CONCURRENTLY a_n ON a (n);", down="DROP INDEX CONCURRENTLY a_n;")

    up = migrate.up(dsn, folder.path)
    assert ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_n'::regclass") == [(True,)]
    down = migrate.down(dsn, folder.path, everything=True)

    assert (up.revisions, down.revisions) == ((A, B), (B, A))
    assert ask("SELECT to_regclass('a_n'), to_regclass('a')") == [(None, None)]


def test_a_failed_script_resumes_after_its_last_finished_statement(folder, dsn, ask):
    up = "CREATE TABLE a (n int);\nSET search_path = other, public;\nINSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1);"
    folder.revision(A, meta=ALONE, up=up)
    with pytest.raises(errors.StatementFailed, match="statement 4, line 4"):
        migrate.up(dsn, folder.path)
    assert migrate.status(dsn, folder.path).revisions[0].state is State.INTERRUPTED
    assert migrate.plan(dsn, folder.path).steps[0].statements == 1
    ask("CREATE SCHEMA other; CREATE TABLE other.b (n int)")

    (step,) = migrate.up(dsn, folder.path).steps

    assert (step.resumed_after, step.statements) == (3, 1)
    assert ask("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM other.b)") == [(1, 1)]
    assert ask("SELECT count(*) FROM mig.progress") == [(0,)]
    assert migrate.status(dsn, folder.path).pending == ()


def test_a_killed_deployer_frees_its_lock_and_the_next_one_resumes(folder, dsn, ask):
    (name,) = ask("SELECT quote_ident(current_database())")[0]
    ask(f"ALTER DATABASE {name} SET client_connection_check_interval = 0")  # whatever this server's own default is
    ask("CREATE TABLE pace (seconds int); INSERT INTO pace VALUES (60)")
    up = "CREATE TABLE a (n int);\nSELECT pg_sleep(seconds) FROM pace;\nINSERT INTO a VALUES (1);"
    folder.revision(A, meta=ALONE, up=up)
    command = [sys.executable, "-m", "hansa.migrate", "up", "--dir", str(folder.path), "--dsn", dsn]
    with subprocess.Popen(command) as deployer:
        try:
            wait_for(ask, "SELECT to_regclass('mig.progress') IS NOT NULL")
            wait_for(ask, "SELECT statements_done = 1 FROM mig.progress")
        finally:
            deployer.kill()
    ask("UPDATE pace SET seconds = 0")

    report = migrate.up(dsn, folder.path, options=migrate.Options(deployer_wait_s=20))

    assert [(step.resumed_after, step.statements) for step in report.steps] == [(1, 2)]
    assert ask("SELECT n FROM a") == [(1,)]


def test_a_script_edited_before_the_point_of_interruption_is_not_resumed(folder, dsn, ask):
    path = folder.revision(A, meta=ALONE, up="CREATE TABLE a ();\nSELECT 1/0;")
    with pytest.raises(errors.StatementFailed):
        migrate.up(dsn, folder.path)
    (path / "up.sql").write_text("CREATE TABLE a (n int);\nSELECT 1;")

    with pytest.raises(errors.ProgressMismatch, match=f"{A}/up.sql stopped after statement 1"):
        migrate.up(dsn, folder.path)

    (path / "up.sql").write_text("CREATE TABLE a ();\nSELECT 1;")
    assert migrate.up(dsn, folder.path).revisions == (A,)


def test_an_interrupted_down_must_be_finished_first(folder, dsn, ask):
    ask("CREATE TABLE divisor (n int); INSERT INTO divisor VALUES (0)")
    folder.table(A, "a", meta=ALONE, down="DROP TABLE a;\nSELECT 1/n FROM divisor;")
    migrate.up(dsn, folder.path)
    with pytest.raises(errors.StatementFailed, match="division by zero"):
        migrate.down(dsn, folder.path, steps=1)
    folder.table(B, "b")

    with pytest.raises(errors.InterruptedRevision, match=f"{A} stopped after statement 1 of its down.sql"):
        migrate.up(dsn, folder.path)

    ask("UPDATE divisor SET n = 1")
    (step,) = migrate.down(dsn, folder.path, steps=1).steps
    assert (step.revision, step.resumed_after) == (A, 1)
    assert migrate.up(dsn, folder.path).revisions == (A, B)


def test_the_invalid_index_of_a_failed_build_is_removed_before_the_next_try(folder, dsn, ask):
    ask('CREATE SCHEMA "My"; CREATE TABLE "My"."T" (n int); INSERT INTO "My"."T" VALUES (1), (1)')
    folder.revision(A, meta=ALONE, up='CREATE UNIQUE INDEX CONCURRENTLY "N once" ON "My"."T" (n);')
    with pytest.raises(errors.StatementFailed, match="duplicated"):
        migrate.up(dsn, folder.path)
    assert ask('SELECT indisvalid FROM pg_index WHERE indexrelid = \'"My"."N once"\'::regclass') == [(False,)]
    ask('DELETE FROM "My"."T" WHERE ctid = (SELECT min(ctid) FROM "My"."T")')

    migrate.up(dsn, folder.path)

    assert ask('SELECT indisvalid FROM pg_index WHERE indexrelid = \'"My"."N once"\'::regclass') == [(True,)]


def test_a_half_way_revision_whose_folder_is_gone_is_asked_for(folder, dsn, ask):
    path = folder.revision(A, meta="transactional = false", up="CREATE TABLE a (n int); SELECT 1 / 0;")
    with pytest.raises(errors.StatementFailed):
        migrate.up(dsn, folder.path)
    shutil.rmtree(path)

    with pytest.raises(errors.MissingRevision, match="stopped half-way"):
        migrate.up(dsn, folder.path)
