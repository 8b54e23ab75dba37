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
    folder.table(B, "b", up="CREATE TABLE b (n int); ALTER TABLE a ADD o int;", down="ALTER TABLE a DROP o; DROP TABLE b;")

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
    folder.revision(B, up="CREATE TABLE b (n int); SELECT 1/0;")
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


def test_a_failed_script_that_became_somebody_else_is_named_and_recorded(folder, dsn, ask):
    role = f"weak_{dsn.partition('dbname=engine_')[2][:8]}"
    ask(f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}")
    folder.revision(
        A,
        meta="transactional = false",
        up=f"SET ROLE {role};\nCREATE TABLE theirs (n int);\nSET search_path = nowhere;\nSELECT 1/0;",
    )
    try:
        with pytest.raises(errors.StatementFailed, match="statement 4, line 4: division by zero"):
            migrate.up(dsn, folder.path)

        assert told(dsn) == []
    finally:
        ask(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


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
