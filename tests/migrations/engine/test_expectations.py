import psycopg
import pytest

from given.online import Killed
from hansa import migrate
from hansa.migrate import commands, errors

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))


def told(dsn):
    return [difference.sentence for difference in migrate.drift(dsn).differences]


def test_without_a_recorded_catalog_there_is_nothing_to_compare(dsn):
    with pytest.raises(errors.Refusal) as refused:
        migrate.drift(dsn)

    assert refused.value.code == "nothing_to_compare"


def test_what_others_change_stays_a_difference_however_many_revisions_follow(folder, dsn, ask):
    folder.table(A, "a", up="CREATE TABLE a (n int CONSTRAINT positive CHECK (n > 0), m int);")
    migrate.up(dsn, folder.path)
    clean = told(dsn)
    ask("ALTER TABLE a DROP CONSTRAINT positive; CREATE TABLE theirs (n int)")
    folder.table(
        B, "b", up="CREATE TABLE b (n int); ALTER TABLE a ADD o int;", down="ALTER TABLE a DROP o; DROP TABLE b;"
    )

    migrate.up(dsn, folder.path)
    after_up = told(dsn)
    migrate.down(dsn, folder.path, steps=1)

    assert clean == []
    assert len(after_up) == 2
    assert any("positive" in sentence for sentence in after_up)
    assert any("theirs" in sentence for sentence in after_up)
    assert told(dsn) == after_up
    ask("ALTER TABLE a ADD CONSTRAINT positive CHECK (n > 0); DROP TABLE theirs")
    assert told(dsn) == []


def test_drift_can_be_accepted_and_the_log_says_so(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask("CREATE TABLE theirs (n int)")

    migrate.accept_drift(dsn, options=migrate.Options(actor="operator"))

    assert told(dsn) == []
    assert ask("SELECT kind, actor FROM mig.events WHERE n = 2") == [("accepted", "operator")]
    assert migrate.status(dsn, folder.path).problems == ()
    ask("DROP TABLE theirs")
    assert len(told(dsn)) == 1


def test_the_finished_part_of_a_failed_run_is_no_drift(folder, dsn, ask):
    folder.table(A, "a")
    folder.revision(B, meta=f'requires = ["{A}"]', up="CREATE TABLE b (n int); SELECT 1/0;")
    folder.revision(C, meta="transactional = false", up="CREATE TABLE c (n int);\nSELECT 1/0;")

    with pytest.raises(errors.StatementFailed):
        migrate.up(dsn, folder.path, to=B)
    first = told(dsn)
    with pytest.raises(errors.StatementFailed):
        migrate.up(dsn, folder.path, to=C)

    assert (first, told(dsn)) == ([], [])
    assert ask("SELECT to_regclass('a') IS NOT NULL, to_regclass('b'), to_regclass('c') IS NOT NULL") == [
        (True, None, True)
    ]


def test_the_failure_is_told_also_when_the_catalog_cannot_be_recorded(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    folder.revision(B, meta="transactional = false", up="ALTER TABLE mig.catalog_before RENAME TO hidden;\nSELECT 1/0;")

    with pytest.raises(errors.StatementFailed, match="division by zero"):
        migrate.up(dsn, folder.path)

    assert ask("SELECT kind FROM mig.events WHERE n = 2") == [("failed",)]


def killed_after(monkeypatch, revision):
    """The run dies once that revision is applied, before anybody looks at the catalog again."""
    run = commands._run

    def dying(session, what, direction, state):
        step = run(session, what, direction, state)
        if what.id == revision:
            raise Killed
        return step

    monkeypatch.setattr(commands, "_run", dying)


def test_a_killed_run_leaves_its_beginning_and_the_next_one_counts_from_there(folder, dsn, ask, monkeypatch):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask("CREATE TABLE theirs (n int)")
    folder.table(B, "b")
    folder.table(C, "c")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, B)
        migrate.up(dsn, folder.path)
    half_way = told(dsn)

    migrate.up(dsn, folder.path)

    assert len(half_way) == 2
    assert [sentence for sentence in told(dsn) if "theirs" not in sentence] == []
    assert len(told(dsn)) == 1
    assert ask("SELECT count(*) FROM mig.catalog_before") == [(0,)]


def test_what_comes_after_an_acceptance_is_not_blessed_by_a_run_that_was_killed_before(folder, dsn, ask, monkeypatch):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    folder.table(B, "b")
    folder.table(C, "c")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, B)
        migrate.up(dsn, folder.path)
    migrate.accept_drift(dsn)
    ask("CREATE TABLE theirs (n int)")

    migrate.up(dsn, folder.path)

    assert len(told(dsn)) == 1
    assert "theirs" in told(dsn)[0]


def test_only_the_latest_expected_catalog_is_kept(folder, dsn, ask):
    for revision, table in ((A, "a"), (B, "b")):
        folder.table(revision, table)
        migrate.up(dsn, folder.path)

    assert ask("SELECT n FROM mig.catalog_snapshots") == [(2,)]


def test_a_table_that_somebody_holds_exclusively_is_named_with_its_holder(folder, dsn):
    folder.table("20260101T000000_a", "a", up="CREATE TABLE a (n int); CREATE VIEW v AS SELECT n FROM a;")
    migrate.up(dsn, folder.path)
    folder.table("20260102T000000_b", "b")
    heard = []
    impatient = migrate.Options(lock_timeout_s=0.1, tries=2, backoff_s=0.01, notify=heard.append)

    with psycopg.connect(dsn, application_name="nightly report") as other:
        other.execute("ALTER TABLE a ADD COLUMN m int")
        with pytest.raises(
            errors.LockUnavailable, match=r"\(nightly report\) holds ACCESS EXCLUSIVE on a; gave up after 2"
        ):
            migrate.up(dsn, folder.path, options=impatient)

    assert [notice.message for notice in heard if "trying again (1 of 2)" in notice.message]
    assert migrate.up(dsn, folder.path).revisions == ("20260102T000000_b",)


def test_a_run_that_was_killed_before_it_recorded_the_catalog_is_closed_by_the_next(folder, dsn, ask, monkeypatch):
    folder.table("20260101T000000_a", "a")

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("hansa.migrate.expectations._end", killed)
        with pytest.raises(Killed):
            migrate.up(dsn, folder.path)
    report = migrate.up(dsn, folder.path)

    assert report.revisions == ()
    assert told(dsn) == []
    assert ask("SELECT count(*) FROM mig.catalog_before") == [(0,)]
