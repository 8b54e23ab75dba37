import shutil
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from hansa import migrate
from hansa.migrate import errors
from hansa.migrate.results import State

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))
QUICK = migrate.Options(lock_timeout_s=0.1, backoff_s=0.01, actor="tester")


@pytest.fixture
def chain_of_three(folder):
    folder.table(A, "a")
    folder.table(B, "b", meta=f'requires = ["{A}"]')
    folder.table(C, "c", meta=f'requires = ["{B}"]')
    return folder


def tables(ask):
    return [name for (name,) in ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


def test_up_applies_everything_once_and_records_who_and_what(chain_of_three, dsn, ask):
    first = migrate.up(dsn, chain_of_three.path, options=QUICK)
    second = migrate.up(dsn, chain_of_three.path, options=QUICK)

    assert first.revisions == (A, B, C)
    assert second.revisions == ()
    assert tables(ask) == ["a", "b", "c"]
    assert ask("SELECT id, applied_by FROM mig.revisions ORDER BY event") == [
        (A, "tester"),
        (B, "tester"),
        (C, "tester"),
    ]
    assert ask("SELECT n, kind FROM mig.events ORDER BY n") == [(1, "applied"), (2, "applied"), (3, "applied")]


def test_up_to_a_revision_leaves_the_others_pending(chain_of_three, dsn):
    report = migrate.up(dsn, chain_of_three.path, to=B)

    assert report.revisions == (A, B)
    assert [step.revision for step in migrate.plan(dsn, chain_of_three.path).steps] == [C]
    assert migrate.status(dsn, chain_of_three.path).pending == (C,)
    with pytest.raises(errors.UnknownRevision):
        migrate.up(dsn, chain_of_three.path, to="20990101T000000_nowhere")


def test_plan_and_status_write_nothing(chain_of_three, dsn, ask):
    plan = migrate.plan(dsn, chain_of_three.path)
    status = migrate.status(dsn, chain_of_three.path)

    assert [(step.revision, step.statements) for step in plan.steps] == [(A, 1), (B, 1), (C, 1)]
    assert {row.state for row in status.revisions} == {State.PENDING}
    assert ask("SELECT to_regnamespace('mig')") == [(None,)]


def test_the_staircase_goes_up_verifies_goes_down_and_up_again(chain_of_three, dsn, ask):
    for position, name in enumerate((A, B, C), start=1):
        migrate.up(dsn, chain_of_three.path, to=name)
        assert migrate.verify(dsn, chain_of_three.path, only=name).ok
        assert migrate.down(dsn, chain_of_three.path, steps=1).revisions == (name,)
        assert len(tables(ask)) == position - 1
        assert migrate.up(dsn, chain_of_three.path, to=name).revisions == (name,)

    assert tables(ask) == ["a", "b", "c"]
    status = migrate.status(dsn, chain_of_three.path)
    assert ({row.state for row in status.revisions}, status.problems, status.events) == ({State.APPLIED}, (), 12)


def test_down_takes_the_latest_first_and_stops_above_the_named_one(chain_of_three, dsn, ask):
    migrate.up(dsn, chain_of_three.path)

    to_a = migrate.down(dsn, chain_of_three.path, to=A)
    rest = migrate.down(dsn, chain_of_three.path, everything=True)

    assert (to_a.revisions, rest.revisions) == ((C, B), (A,))
    assert tables(ask) == []
    assert ask("SELECT count(*) FROM mig.revisions") == [(0,)]


def test_down_is_whole_or_nothing(chain_of_three, dsn, ask):
    (chain_of_three.path / A / "down.sql").write_text("DROP TABLE a;\nDROP TABLE never_there;")
    migrate.up(dsn, chain_of_three.path)

    with pytest.raises(errors.StatementFailed, match=f"{A}/down.sql, statement 2, line 2.*never_there"):
        migrate.down(dsn, chain_of_three.path, everything=True)

    assert tables(ask) == ["a", "b", "c"]
    assert ask("SELECT count(*) FROM mig.revisions") == [(3,)]
    assert ask("SELECT kind, revision FROM mig.events WHERE n > 3") == [("failed", A)]


def test_down_refuses_an_irreversible_revision_before_anything_runs(folder, dsn, ask):
    folder.table(A, "a", meta='irreversible = "the old rows are gone"', down=None)
    folder.table(B, "b")
    migrate.up(dsn, folder.path)

    with pytest.raises(errors.Irreversible, match="the old rows are gone"):
        migrate.down(dsn, folder.path, everything=True)

    assert tables(ask) == ["a", "b"]


@pytest.mark.parametrize(
    ("how", "refusal"),
    [
        ({}, errors.BadRequest),
        ({"steps": 1, "everything": True}, errors.BadRequest),
        ({"steps": 0}, errors.BadRequest),
        ({"steps": 2}, errors.NotApplied),
        ({"to": B}, errors.NotApplied),
    ],
)
def test_down_wants_one_clear_target(folder, dsn, ask, how, refusal):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)

    with pytest.raises(refusal):
        migrate.down(dsn, folder.path, **how)

    assert tables(ask) == ["a"]


def test_a_failure_in_the_middle_leaves_nothing_and_names_revision_statement_and_line(folder, dsn, ask):
    folder.table(A, "a")
    folder.revision(B, up="CREATE TABLE b ();\n\n-- now it breaks\nINSERT INTO b\n  SELECT nothing FROM a;\nSELECT 1;")

    with pytest.raises(errors.StatementFailed, match=rf'{B}/up.sql, statement 2, line 5: .*"nothing" does not exist'):
        migrate.up(dsn, folder.path)

    assert tables(ask) == ["a"]
    assert ask("SELECT id FROM mig.revisions") == [(A,)]
    assert ask("SELECT kind, revision FROM mig.events ORDER BY n") == [("applied", A), ("failed", B)]
    assert migrate.status(dsn, folder.path).problems == ()


def test_a_deferred_constraint_that_does_not_hold_is_named_and_undone(folder, dsn, ask):
    up = """
        CREATE TABLE a (n int UNIQUE, m int CONSTRAINT m_is_some_n REFERENCES a (n) DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO a VALUES (1, 2);
    """
    folder.revision(A, up=up)

    with pytest.raises(errors.StatementFailed, match=rf"{A}/up.sql, deferred constraints: .*m_is_some_n"):
        migrate.up(dsn, folder.path)

    assert tables(ask) == []


def test_percent_signs_and_dollar_quotes_reach_the_server_as_they_stand(folder, dsn, ask):
    folder.revision(
        A,
        up="""
            -- 100% of this, and %s and %(name)s, is only a comment
            CREATE TABLE a (text text DEFAULT '%s');
            CREATE FUNCTION shout(p text) RETURNS text LANGUAGE plpgsql AS $body$
            BEGIN RETURN format($$%s; is %% loud$$, p); END $body$;
            INSERT INTO a SELECT 'x%' WHERE 'x%' LIKE '%\\%';
            INSERT INTO a DEFAULT VALUES;
        """,
    )

    migrate.up(dsn, folder.path)

    assert ask("SELECT text FROM a ORDER BY text") == [("%s",), ("x%",)]
    assert ask("SELECT shout('x')") == [("x; is % loud",)]


def test_an_id_of_sixty_characters_is_kept_whole(folder, dsn, ask):
    name = "20240115T140000_add_capabilities_marketplace_and_then_some_z"
    assert len(name) == 60
    folder.table(name, "a")

    migrate.up(dsn, folder.path)

    assert ask("SELECT id FROM mig.revisions") == [(name,)]
    assert migrate.down(dsn, folder.path, to=None, steps=1).revisions == (name,)


@pytest.mark.parametrize("script", ["up.sql", "down.sql", "verify.sql", "seed.sql", "meta.toml"])
def test_an_edited_applied_file_is_refused_by_name_before_anything_runs(folder, dsn, ask, script):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    folder.table(B, "b")
    (folder.path / A / script).write_text('description = "x"' if script == "meta.toml" else "SELECT 'x', true;")

    for command in (migrate.up, migrate.verify, migrate.plan, migrate.seed):
        with pytest.raises(errors.EditedRevision, match=f"{A}.*{script}"):
            command(dsn, folder.path)
    with pytest.raises(errors.EditedRevision, match=f"{A}.*{script}"):
        migrate.down(dsn, folder.path, steps=1)

    status = migrate.status(dsn, folder.path)
    assert [problem.code for problem in status.problems] == ["edited_revision"]
    assert [(row.state, row.detail) for row in status.revisions] == [(State.EDITED, script), (State.PENDING, "")]
    assert tables(ask) == ["a"]


def test_a_missing_applied_folder_is_refused_by_name_before_anything_runs(folder, dsn, ask):
    folder.table(A, "a")
    folder.table(B, "b")
    migrate.up(dsn, folder.path)
    shutil.rmtree(folder.path / A)
    folder.table(C, "c")

    with pytest.raises(errors.MissingRevision, match=A):
        migrate.up(dsn, folder.path)
    with pytest.raises(errors.MissingRevision, match=A):
        migrate.down(dsn, folder.path, steps=1)

    status = migrate.status(dsn, folder.path)
    assert [(row.revision, row.state) for row in status.revisions] == [
        (B, State.APPLIED),
        (C, State.PENDING),
        (A, State.MISSING),
    ]
    assert [problem.code for problem in status.problems] == ["missing_revision"]
    assert tables(ask) == ["a", "b"]


def test_what_a_revision_sets_for_its_session_does_not_reach_the_next(folder, dsn, ask):
    role = sql.Identifier(f"weak_{dsn[-8:]}").as_string()
    folder.revision(
        A,
        up=f"""
            CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role};
            SET search_path = pg_catalog; SET lock_timeout = 0; CREATE TEMP TABLE b (); SET ROLE {role};
        """,
    )
    folder.revision(B, up="CREATE TABLE b AS SELECT current_setting('lock_timeout') AS t, current_user AS u;")

    try:
        migrate.up(dsn, folder.path)

        assert ask("SELECT t, u = session_user FROM public.b") == [("5s", True)]
    finally:
        ask(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_table_that_stays_locked_is_tried_three_times_and_then_refused(folder, dsn, ask):
    heard = []
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    folder.revision(B, up="CREATE TABLE b ();\nALTER TABLE a ADD m int;")

    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE a IN ACCESS SHARE MODE")
        with pytest.raises(errors.LockTimeout, match=f"{B}/up.sql, statement 2, line 2.*3 tries"):
            migrate.up(dsn, folder.path, options=replace(QUICK, notify=heard.append))

    waits = [notice.message for notice in heard if notice.kind is migrate.NoticeKind.WAITING]
    assert len(waits) == 2
    assert tables(ask) == ["a"]
    assert ask("SELECT kind FROM mig.events WHERE revision = %s", B) == [("failed",)]


def test_a_table_that_is_released_in_time_is_migrated_from_the_first_statement(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    folder.revision(B, up="CREATE TABLE b ();\nALTER TABLE a ADD m int;")

    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE a IN ACCESS SHARE MODE")
        options = replace(QUICK, notify=lambda notice: other.rollback() if "trying again" in notice.message else None)
        report = migrate.up(dsn, folder.path, options=options)

    assert report.revisions == (B,)
    assert ask("SELECT count(*) FROM information_schema.columns WHERE table_name = 'a'") == [(2,)]


def test_what_needs_to_stand_alone_says_how(folder, dsn):
    folder.table(A, "a", up="CREATE TABLE a (n int); CREATE INDEX CONCURRENTLY ON a (n);")

    with pytest.raises(errors.StatementFailed, match="transactional = false"):
        migrate.up(dsn, folder.path)
