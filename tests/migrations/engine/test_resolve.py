import dataclasses
import shutil

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hansa import migrate
from hansa.migrate import errors
from hansa.migrate.online import kinds
from hansa.migrate.online.errors import OperationFailed
from hansa.migrate.online.operation import Transaction
from hansa.migrate.results import State
from hansa.migrate.session import LOCK

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))
ALONE = "transactional = false"
TESTER = migrate.Options(actor="operator")


def refusal_of(work):
    with pytest.raises(errors.Refusal) as refused:
        work()
    return refused.value.code


def events(ask, after=0):
    return ask("SELECT kind, revision, actor FROM mig.events WHERE n > %s ORDER BY n", after)


@pytest.fixture
def half_way(folder, dsn):
    """A is applied, B stopped after its first statement."""
    folder.table(A, "a")
    folder.table(B, "b", meta=f'requires = ["{A}"]\n{ALONE}', up="CREATE TABLE b (n int);\nSELECT 1/0;")
    with pytest.raises(errors.StatementFailed):
        migrate.up(dsn, folder.path)
    return folder


def test_what_was_finished_by_hand_counts_as_applied_and_nothing_of_it_runs(half_way, dsn, ask):
    migrate.resolve_applied(dsn, half_way.path, B, options=TESTER)

    assert [row.state for row in migrate.status(dsn, half_way.path).revisions] == [State.APPLIED, State.APPLIED]
    assert ask("SELECT count(*) FROM mig.progress") == [(0,)]
    assert events(ask, 2) == [("resolved", B, "operator"), ("applied", B, "operator")]
    assert migrate.status(dsn, half_way.path).problems == ()
    assert migrate.up(dsn, half_way.path).revisions == ()
    assert migrate.down(dsn, half_way.path, everything=True).revisions == (B, A)


def test_what_was_undone_by_hand_runs_again_from_its_first_statement(half_way, dsn, ask):
    ask("DROP TABLE b")
    (half_way.path / B / "up.sql").write_text("CREATE TABLE b (n int);\nINSERT INTO b VALUES (1);")

    migrate.resolve_rolled_back(dsn, half_way.path, B, options=TESTER)
    (step,) = migrate.up(dsn, half_way.path).steps

    assert (step.revision, step.resumed_after, step.statements) == (B, 0, 2)
    assert [kind for kind, revision, _ in events(ask, 2) if revision == B] == ["resolved", "applied"]
    assert migrate.status(dsn, half_way.path).problems == ()


def test_an_applied_revision_that_was_undone_by_hand_is_struck_off_also_without_its_folder(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask("DROP TABLE a")
    shutil.rmtree(folder.path / A)

    migrate.resolve_rolled_back(dsn, folder.path, A, options=TESTER)

    assert migrate.status(dsn, folder.path).problems == ()
    assert events(ask, 1) == [("resolved", A, "operator"), ("reverted", A, "operator")]


def test_only_what_makes_sense_can_be_resolved(folder, dsn, ask):
    folder.table(A, "a")
    folder.table(B, "b", meta=f'requires = ["{A}"]')

    def applied(revision):
        return lambda: migrate.resolve_applied(dsn, folder.path, revision)

    def rolled_back(revision):
        return lambda: migrate.resolve_rolled_back(dsn, folder.path, revision)

    assert refusal_of(applied(C)) == "unknown_revision"
    assert refusal_of(applied(B)) == "not_applied"
    assert refusal_of(rolled_back(A)) == "not_applied"
    assert refusal_of(rolled_back(C)) == "not_applied"
    migrate.up(dsn, folder.path)
    assert refusal_of(applied(A)) == "already_applied"
    assert refusal_of(rolled_back(A)) == "bad_request"
    assert [kind for kind, *_ in events(ask)] == ["applied", "applied"]


@dataclasses.dataclass(frozen=True)
class Failing:
    kind = "failing"
    target = "nothing"

    def up(self):
        return (Transaction("fail", lambda run: run.execute("SELECT 1/0") and None),)

    def down(self):
        return (Transaction("back", lambda run: run.execute("SELECT 1") and None),)


@pytest.fixture
def online(folder, monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "failing", Failing)
    folder.revision(A, up="CREATE TABLE a (n int);", down="DROP TABLE a;", meta='[[operation]]\nkind = "failing"\n')
    return folder


def test_operations_that_began_are_not_for_an_operators_word(online, dsn, ask):
    with pytest.raises(OperationFailed):
        migrate.up(dsn, online.path)

    assert refusal_of(lambda: migrate.resolve_applied(dsn, online.path, A)) == "operations_began"
    assert refusal_of(lambda: migrate.resolve_rolled_back(dsn, online.path, A)) == "operations_began"
    assert migrate.down(dsn, online.path, everything=True).revisions == (A,)
    assert ask("SELECT to_regclass('a')") == [(None,)]


def test_operations_that_never_ran_here_know_no_way_back_until_somebody_says_it_was_gone_by_hand(online, dsn, ask):
    ask("CREATE TABLE a (n int)")
    migrate.resolve_applied(dsn, online.path, A)

    with pytest.raises(errors.Irreversible, match=f"{A} counts as applied.*--rolled-back"):
        migrate.down(dsn, online.path, everything=True)

    assert ask("SELECT to_regclass('a') IS NOT NULL") == [(True,)]
    migrate.resolve_rolled_back(dsn, online.path, A)
    assert migrate.status(dsn, online.path).pending == (A,)


def test_resolving_waits_for_the_migration_lock(half_way, dsn):
    impatient = migrate.Options(deployer_wait_s=0.1)
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])

        codes = [
            refusal_of(lambda: migrate.resolve_applied(dsn, half_way.path, B, options=impatient)),
            refusal_of(lambda: migrate.resolve_rolled_back(dsn, half_way.path, B, options=impatient)),
        ]

    assert codes == ["lock_unavailable"] * 2


def test_cancelling_is_refused_by_name_where_there_is_nothing_and_where_the_user_may_not(dsn, folder, ask):
    nothing = refusal_of(lambda: migrate.cancel(dsn, A, by="operator"))
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    still_nothing = refusal_of(lambda: migrate.cancel(dsn, A, by="operator"))
    role = f"weak_{dsn.partition('dbname=engine_')[2][:8]}"
    ask(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'")
    try:
        weak = make_conninfo(dsn, user=role, password="weak")
        assert refusal_of(lambda: migrate.cancel(weak, A, by="operator")) == "database_problem"
    finally:
        ask(f"DROP ROLE {role}")

    assert (nothing, still_nothing) == ("nothing_under_way", "nothing_under_way")
