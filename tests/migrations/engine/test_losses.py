"""Going back with data in place: it is kept, or the way back is refused by name."""

import psycopg
import pytest
from psycopg import sql

from hansa import migrate
from hansa.migrate import Options
from hansa.migrate.losses import DataWouldBeLost

A, B = "20260101T000000_a", "20260102T000000_b"
LOSING = Options(lose_data=True)
WIDER = {
    "up": "ALTER TABLE a ADD COLUMN note text, ADD COLUMN kept boolean NOT NULL DEFAULT false;",
    "down": "ALTER TABLE a DROP COLUMN note, DROP COLUMN kept;",
}


def columns(ask):
    return [name for (name,) in ask("SELECT column_name::text FROM information_schema.columns WHERE table_name = 'a'")]


def test_a_table_with_rows_is_not_taken_away_and_everything_stays_as_it_was(folder, dsn, ask):
    folder.table(A, "a")
    folder.table(B, "b")
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a SELECT generate_series(1, 3)")

    with pytest.raises(DataWouldBeLost, match=r"public\.a \(3 rows\)"):
        migrate.down(dsn, folder.path, everything=True)

    assert migrate.status(dsn, folder.path).pending == ()
    assert ask("SELECT count(*) FROM a") == [(3,)]
    assert ask("SELECT count(*) FROM b") == [(0,)]


def test_an_empty_table_goes_also_after_it_had_rows(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a VALUES (1)")
    ask("DELETE FROM a")

    report = migrate.down(dsn, folder.path, everything=True)

    assert report.revisions == (A,)
    assert ask("SELECT to_regclass('a') IS NULL") == [(True,)]


def test_whoever_says_so_loses_it(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a VALUES (1)")

    migrate.down(dsn, folder.path, everything=True, options=LOSING)

    assert ask("SELECT to_regclass('a') IS NULL") == [(True,)]


def test_a_column_goes_while_it_says_nothing_and_stays_when_it_does(folder, dsn, ask):
    folder.table(A, "a")
    folder.revision(B, **WIDER)
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a VALUES (1), (2)")

    migrate.down(dsn, folder.path, steps=1)
    gone = columns(ask)
    migrate.up(dsn, folder.path)
    ask("UPDATE a SET note = 'x' WHERE n = 1")
    ask("UPDATE a SET kept = true")

    with pytest.raises(DataWouldBeLost, match=r"public\.a\.kept \(2 values\), public\.a\.note \(1 value\)"):
        migrate.down(dsn, folder.path, steps=1)
    assert gone == ["n"]
    assert columns(ask) == ["n", "note", "kept"]


def test_what_was_renamed_or_made_anew_with_its_rows_is_not_gone(folder, dsn, ask):
    folder.revision(
        A,
        up="CREATE TABLE a (n integer); CREATE TABLE copied (n integer);",
        down="""
            ALTER TABLE a RENAME TO z;
            ALTER TABLE z RENAME COLUMN n TO m;
            CREATE TABLE again AS SELECT n FROM copied;
            DROP TABLE copied;
            ALTER TABLE again RENAME TO copied;
        """,
    )
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a VALUES (1)")
    ask("INSERT INTO copied VALUES (7)")

    migrate.down(dsn, folder.path, steps=1)

    assert ask("SELECT m FROM z") == [(1,)]
    assert ask("SELECT n FROM copied") == [(7,)]


def test_rows_that_are_hidden_from_their_owner_are_not_lost_unseen(folder, dsn, ask):
    folder.revision(
        A,
        up="CREATE TABLE a (n integer); ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;",
        down="DROP TABLE a;",
    )
    ask("DROP ROLE IF EXISTS keeper")
    ask("CREATE ROLE keeper LOGIN PASSWORD 'kept'")
    ask("GRANT ALL ON SCHEMA public TO keeper")
    (database,) = ask("SELECT current_database()")[0]
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO keeper").format(sql.Identifier(database)))
    theirs = psycopg.conninfo.make_conninfo(dsn, user="keeper", password="kept")
    try:
        migrate.up(theirs, folder.path)
        ask("INSERT INTO a VALUES (1)")

        with pytest.raises(DataWouldBeLost, match=r"rows that this role may not see"):
            migrate.down(theirs, folder.path, everything=True)

        assert ask("SELECT count(*) FROM a") == [(1,)]
    finally:
        ask("DROP OWNED BY keeper CASCADE")
        ask("DROP ROLE keeper")


def test_many_rows_are_not_counted_to_the_end(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a SELECT generate_series(1, 1500)")

    with pytest.raises(DataWouldBeLost, match=r"at least 1000 rows"):
        migrate.down(dsn, folder.path, everything=True)

    assert ask("SELECT count(*) FROM a") == [(1500,)]


def test_a_script_that_says_it_loses_nothing_is_believed(folder, dsn, ask):
    folder.table(A, "a")
    down = "-- down: loses nothing\nALTER TABLE a ADD COLUMN told text; UPDATE a SET told = note; ALTER TABLE a DROP COLUMN note;"
    folder.revision(B, up="ALTER TABLE a ADD COLUMN note text;", down=down)
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a VALUES (1, 'x')")

    migrate.down(dsn, folder.path, steps=1)

    assert ask("SELECT n, told FROM a") == [(1, "x")]


def test_one_such_script_does_not_speak_for_the_others(folder, dsn, ask):
    folder.table(A, "a")
    folder.revision(B, up="ALTER TABLE a RENAME TO z;", down="-- down: loses nothing\nALTER TABLE z RENAME TO a;")
    migrate.up(dsn, folder.path)
    ask("INSERT INTO z VALUES (1)")

    with pytest.raises(DataWouldBeLost, match=r"public\.z \(1 row\)"):
        migrate.down(dsn, folder.path, everything=True)

    assert ask("SELECT n FROM z") == [(1,)]
