import json

import pytest
from typer.testing import CliRunner

from hansa import migrate
from hansa.migrate import Options, errors
from hansa.migrate.cli import Defaults, app, make_app

A, B = "20260101T000000_a", "20260102T000000_b"


def test_every_check_is_reported_by_name_and_a_refused_statement_is_a_failed_one(folder, dsn):
    verify = """
        SELECT 'first', true UNION ALL SELECT 'unknown', NULL;
        SELECT 'gone', count(*) > 0 FROM not_there;
        SELECT 'last', false, 'found ' || 3;
    """
    folder.table(A, "a", verify=verify)
    folder.table(B, "b", verify=None)
    migrate.up(dsn, folder.path)

    found = migrate.verify(dsn, folder.path)

    assert [(check.name, check.ok) for check in found.checks] == [
        ("first", True),
        ("unknown", False),
        ("statement 2, line 3", False),
        ("last", False),
    ]
    assert 'relation "not_there" does not exist' in found.checks[2].detail
    assert found.checks[3].detail == "found 3"
    assert (found.ok, found.unverified) == (False, (B,))


def test_a_verification_that_states_nothing_is_an_error(folder, dsn):
    path = folder.table(A, "a", verify="SELECT 'row ' || n, true FROM a;")
    migrate.up(dsn, folder.path)

    with pytest.raises(errors.EmptyVerify, match=f"{A}/verify.sql, statement 1, line 1"):
        migrate.verify(dsn, folder.path)

    migrate.down(dsn, folder.path, steps=1)
    for script, refusal in (("SET LOCAL search_path = x;", errors.EmptyVerify), ("SELECT 1;", errors.MalformedVerify)):
        (path / "verify.sql").write_text(script)
        migrate.up(dsn, folder.path)
        with pytest.raises(refusal):
            migrate.verify(dsn, folder.path)
        migrate.down(dsn, folder.path, steps=1)


def test_verify_may_write_only_when_it_says_so_and_nothing_of_it_stays(folder, dsn, ask):
    writes = "INSERT INTO {0} VALUES (1);\nSELECT 'one row', count(*) = 1 FROM {0};"
    folder.table(A, "a", verify=writes.format("a"))
    folder.table(B, "b", verify="-- verify: writes\n" + writes.format("b"))
    migrate.up(dsn, folder.path)

    found = migrate.verify(dsn, folder.path)

    assert [(check.revision, check.ok) for check in found.checks] == [(A, False), (A, False), (B, True)]
    assert "read-only transaction" in found.checks[0].detail
    assert ask("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == [(0, 0)]


def test_the_first_success_and_every_failure_are_recorded(folder, dsn, ask):
    ask("CREATE TABLE switch AS SELECT true AS fine")
    folder.table(A, "a", verify="SELECT 'switch', fine FROM switch;")
    migrate.up(dsn, folder.path)

    migrate.verify(dsn, folder.path)
    migrate.verify(dsn, folder.path)
    ask("UPDATE switch SET fine = false")
    migrate.verify(dsn, folder.path)

    assert ask("SELECT kind, detail FROM mig.events WHERE n > 1 ORDER BY n") == [
        ("verified", ""),
        ("failed", "verify: switch"),
    ]
    assert migrate.status(dsn, folder.path).problems == ()


def test_only_an_applied_revision_can_be_verified(folder, dsn):
    folder.table(A, "a")

    with pytest.raises(errors.NotApplied):
        migrate.verify(dsn, folder.path, only=A)
    with pytest.raises(errors.UnknownRevision):
        migrate.verify(dsn, folder.path, only=B)


def test_a_seed_runs_once_for_each_application(folder, dsn, ask):
    folder.table(A, "a", seed="INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);")
    folder.table(B, "b")
    migrate.up(dsn, folder.path)

    first = migrate.seed(dsn, folder.path)
    second = migrate.seed(dsn, folder.path)

    assert (first.revisions, first.skipped) == ((A,), ())
    assert (second.revisions, second.skipped) == ((), (A,))
    assert ask("SELECT count(*) FROM a") == [(2,)]
    migrate.down(dsn, folder.path, everything=True, options=Options(lose_data=True))
    migrate.up(dsn, folder.path)
    assert migrate.seed(dsn, folder.path).revisions == (A,)
    assert ask("SELECT count(*) FROM a") == [(2,)]


def test_a_failed_seed_leaves_nothing_and_is_recorded(folder, dsn, ask):
    folder.table(A, "a", seed="INSERT INTO a VALUES (1);\nINSERT INTO a VALUES ('x');")
    migrate.up(dsn, folder.path)

    with pytest.raises(errors.StatementFailed, match=f"{A}/seed.sql, statement 2"):
        migrate.seed(dsn, folder.path)

    assert ask("SELECT count(*) FROM a") == [(0,)]
    assert ask("SELECT kind FROM mig.events ORDER BY n") == [("applied",), ("failed",)]


def test_seeds_are_refused_in_production_unless_forced(folder, dsn, ask, monkeypatch):
    folder.table(A, "a", seed="INSERT INTO a VALUES (1);")
    migrate.up(dsn, folder.path)
    monkeypatch.setenv("SHOP_ENV", "production")

    with pytest.raises(errors.ProductionSeed, match="SHOP_ENV"):
        migrate.seed(dsn, folder.path, environment_variable="SHOP_ENV")
    assert ask("SELECT count(*) FROM a") == [(0,)]

    migrate.seed(dsn, folder.path, environment_variable="SHOP_ENV", force=True)
    assert ask("SELECT count(*) FROM a") == [(1,)]


def test_the_command_line_answers_with_its_exit_codes(folder, dsn, ask):
    ask("CREATE TABLE switch AS SELECT true AS fine")
    folder.table(A, "a", verify="SELECT 'switch is on', fine FROM switch;", seed="INSERT INTO a VALUES (1);")
    runner = CliRunner()

    def run(*words):
        return runner.invoke(app, [words[0], "--dir", str(folder.path), "--dsn", dsn, *words[1:]])

    assert [run(word).exit_code for word in ("status", "plan", "up", "status", "plan")] == [2, 2, 0, 0, 0]
    passed = run("verify")
    ask("UPDATE switch SET fine = false")
    failed = run("verify")
    assert (passed.exit_code, passed.stdout.split()) == (0, ["PASS", A, "switch", "is", "on"])
    assert (failed.exit_code, failed.stdout.split()) == (4, ["FAIL", A, "switch", "is", "on"])
    assert [run("seed").exit_code, run("seed").exit_code] == [0, 0]
    (folder.path / A / "up.sql").write_text("SELECT 1;")
    edited = run("status")
    assert edited.exit_code == 1
    assert edited.stdout.startswith("edited")
    assert f"edited_revision: {A}" in edited.stderr
    assert run("down", "--all").exit_code == 1


def test_the_command_line_writes_json(folder, dsn):
    folder.table(A, "a")
    runner = CliRunner()
    place = ["--dir", str(folder.path), "--dsn", dsn, "-o", "json"]

    plan = json.loads(runner.invoke(app, ["plan", *place]).stdout)
    up = json.loads(runner.invoke(app, ["up", *place]).stdout)
    status = json.loads(runner.invoke(app, ["status", *place]).stdout)
    verify = json.loads(runner.invoke(app, ["verify", *place]).stdout)
    refused = runner.invoke(app, ["down", "--to", B, *place])

    assert plan["steps"][0]["revision"] == A
    assert up["steps"][0]["statements"] == 1
    assert (status["pending"], status["revisions"][0]["state"]) == ([], "applied")
    assert (verify["ok"], verify["checks"][0]["name"]) == (True, "table a")
    assert (refused.exit_code, json.loads(refused.stdout)["error"]["code"]) == (1, "not_applied")


def test_a_program_mounts_the_commands_with_its_own_database_and_folder(folder, dsn, monkeypatch):
    for variable in ("MIGRATE_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    folder.table(A, "a", seed="INSERT INTO a VALUES (1);")
    mounted = make_app(Defaults(dsn=lambda: dsn, directory=lambda: folder.path, environment_variable="SHOP_ENV"))
    runner = CliRunner()

    assert runner.invoke(mounted, ["up"]).exit_code == 0
    assert migrate.status(dsn, folder.path).pending == ()
    refused = runner.invoke(mounted, ["seed"], env={"SHOP_ENV": "production"})
    assert (refused.exit_code, "production_seed" in refused.stderr) == (1, True)
    assert runner.invoke(mounted, ["seed", "--force"], env={"SHOP_ENV": "production"}).exit_code == 0


def test_without_a_database_the_command_line_says_what_to_give(folder, monkeypatch):
    for variable in ("MIGRATE_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)

    refused = CliRunner().invoke(app, ["up", "--dir", str(folder.path)])

    assert refused.exit_code == 1
    assert "MIGRATE_DATABASE_URL" in refused.stderr


def test_new_makes_a_folder_with_templates(folder):
    made = CliRunner().invoke(app, ["new", "holds", "--dir", str(folder.path), "--seed", "-o", "json"])

    (path,) = folder.path.iterdir()
    assert json.loads(made.stdout)["revision"] == path.name
    assert path.name.endswith("_holds")
    assert sorted(file.name for file in path.iterdir()) == [
        "down.sql",
        "meta.toml",
        "seed.sql",
        "up.sql",
        "verify.sql",
    ]
