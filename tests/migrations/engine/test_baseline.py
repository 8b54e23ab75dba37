import dataclasses

import pytest
from psycopg.conninfo import make_conninfo

from hansa import migrate
from hansa.migrate import Options, errors
from hansa.migrate.online import kinds
from hansa.migrate.online.operation import Transaction
from hansa.migrate.results import State

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))


@pytest.fixture
def history(folder):
    folder.table(A, "a", up="CREATE TABLE a (n int PRIMARY KEY);", seed="INSERT INTO a VALUES (1);")
    folder.table(B, "b", meta=f'requires = ["{A}"]', up="CREATE TABLE b (n int REFERENCES a);")
    return folder


def databases(ask):
    return ask("SELECT datname FROM pg_database WHERE datname LIKE 'mig_baseline%'")


def test_a_database_that_others_made_is_adopted_without_running_anything(history, dsn, ask):
    ask("CREATE TABLE a (n int PRIMARY KEY); CREATE TABLE b (n int REFERENCES a); INSERT INTO a VALUES (7)")

    adoption = migrate.baseline(dsn, history.path, options=migrate.Options(actor="operator"))

    assert (adoption.adopted, adoption.ok) == ((A, B), True)
    status = migrate.status(dsn, history.path)
    assert ({row.state for row in status.revisions}, status.problems) == ({State.APPLIED}, ())
    assert ask("SELECT kind, revision, actor FROM mig.events ORDER BY n") == [
        ("baselined", A, "operator"),
        ("baselined", B, "operator"),
    ]
    assert ask("SELECT n FROM a") == [(7,)]
    assert migrate.drift(dsn).ok
    assert databases(ask) == []
    history.table(C, "c")
    assert migrate.up(dsn, history.path).revisions == (C,)
    assert migrate.seed(dsn, history.path).revisions == (A,)
    assert migrate.seed(dsn, history.path).skipped == (A,)
    assert migrate.down(dsn, history.path, everything=True, options=Options(lose_data=True)).revisions == (C, B, A)


def test_every_difference_is_told_and_nothing_is_recorded(history, dsn, ask):
    ask("CREATE TABLE a (n bigint PRIMARY KEY); CREATE TABLE b (n int); CREATE TABLE theirs (n int)")

    adoption = migrate.baseline(dsn, history.path)

    told = " ".join(difference.sentence for difference in adoption.differences)
    assert (adoption.adopted, adoption.ok) == ((), False)
    assert all(word in told for word in ("bigint", "theirs", "b_n_fkey"))
    assert ask("SELECT count(*) FROM mig.revisions") == [(0,)]
    assert ask("SELECT count(*) FROM mig.events") == [(0,)]
    assert databases(ask) == []


def test_only_a_part_of_the_history_is_adopted_and_the_rest_stays_pending(history, dsn, ask):
    ask("CREATE TABLE a (n int PRIMARY KEY)")

    adoption = migrate.baseline(dsn, history.path, to=A)

    assert adoption.adopted == (A,)
    assert migrate.up(dsn, history.path).revisions == (B,)


def test_what_is_ignored_is_left_out_with_all_its_parts_and_is_no_drift(history, dsn, ask):
    ask("CREATE TABLE a (n int PRIMARY KEY); CREATE TABLE b (n int REFERENCES a)")
    ask("CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)")

    adoption = migrate.baseline(dsn, history.path, ignoring=["table public.alembic_version*"])

    assert adoption.ok
    assert migrate.drift(dsn).ok


def test_the_same_objects_may_belong_to_somebody_else(history, dsn, ask):
    role = f"app_{dsn.partition('dbname=engine_')[2][:8]}"
    ask(f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}")
    history.revision(C, up=f"GRANT CREATE ON SCHEMA public TO {role};")
    try:
        ask(f"SET ROLE {role}; CREATE TABLE a (n int PRIMARY KEY); CREATE TABLE b (n int REFERENCES a)")

        adoption = migrate.baseline(dsn, history.path)

        assert [difference.sentence for difference in adoption.differences] == []
        assert adoption.ok
        assert migrate.drift(dsn).ok
    finally:
        ask(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_only_a_database_without_a_history_here_is_adopted(history, dsn, ask, folder):
    with pytest.raises(errors.UnknownRevision):
        migrate.baseline(dsn, history.path, to=C)
    empty = folder.path / "empty"
    empty.mkdir()
    with pytest.raises(errors.BadRequest, match="no revision to adopt"):
        migrate.baseline(dsn, empty)
    empty.rmdir()
    migrate.up(dsn, history.path)
    with pytest.raises(errors.BadRequest) as refused:
        migrate.baseline(dsn, history.path)

    assert refused.value.code == "not_empty_ledger"
    assert databases(ask) == []


def test_what_stopped_half_way_here_is_finished_and_not_adopted(folder, dsn):
    folder.revision(A, meta="transactional = false", up="CREATE TABLE a (n int);\nSELECT 1/0;")
    with pytest.raises(errors.StatementFailed):
        migrate.up(dsn, folder.path)
    (folder.path / A / "up.sql").write_text("CREATE TABLE a (n int);")

    with pytest.raises(errors.BadRequest, match=A) as refused:
        migrate.baseline(dsn, folder.path)

    assert refused.value.code == "not_empty_ledger"


def test_revisions_that_do_not_run_on_an_empty_database_are_named_and_leave_none(history, dsn, ask):
    history.revision(C, up="SELECT nothing FROM nowhere;")

    with pytest.raises(errors.StatementFailed, match=f"{C}/up.sql, statement 1"):
        migrate.baseline(dsn, history.path)

    assert databases(ask) == []


def test_who_may_not_make_an_empty_database_is_told_to_name_another_server(history, dsn, ask, server_dsn):
    role = f"weak_{dsn.partition('dbname=engine_')[2][:8]}"
    ask(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'; GRANT ALL ON SCHEMA public TO {role}")
    ask(f"DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END $$")
    weak = make_conninfo(dsn, user=role, password="weak")
    try:
        with pytest.raises(errors.DatabaseProblem, match="--scratch"):
            migrate.baseline(weak, history.path)

        assert not migrate.baseline(weak, history.path, scratch_dsn=server_dsn).ok
    finally:
        ask(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


@dataclasses.dataclass(frozen=True)
class Nothing:
    kind = "nothing"
    target = "nothing"

    def up(self):
        return (Transaction("do", lambda run: run.execute("CREATE TABLE IF NOT EXISTS a (n int)") and None),)

    def down(self):
        return (Transaction("undo", lambda run: run.execute("DROP TABLE a") and None),)


def test_an_adopted_operation_is_not_taken_back_by_pretending(folder, dsn, ask, monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "nothing", Nothing)
    folder.revision(A, up=None, down=None, meta='[[operation]]\nkind = "nothing"\n')
    ask("CREATE TABLE a (n int)")

    assert migrate.baseline(dsn, folder.path).ok
    with pytest.raises(errors.Irreversible, match=A):
        migrate.down(dsn, folder.path, everything=True)

    assert migrate.status(dsn, folder.path).pending == ()
    assert ask("SELECT to_regclass('a') IS NOT NULL") == [(True,)]
