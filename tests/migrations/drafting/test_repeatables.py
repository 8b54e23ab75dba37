"""Views and functions that change are frozen into a revision, with their way back."""

from datetime import UTC, datetime, timedelta

import pytest

from hansa import migrate
from hansa.migrate import repeatables
from hansa.migrate.catalog import snapshot
from hansa.migrate.repeatables import freeze
from hansa.migrate.revisions import load
from hansa.migrate.session import connect

A = "20260101T000000_a"
AT = datetime(2026, 2, 1, tzinfo=UTC)
TALL = "CREATE OR REPLACE VIEW public.tall AS SELECT id, size FROM people WHERE is_tall(size)"
IS_TALL = "CREATE OR REPLACE FUNCTION is_tall(size integer) RETURNS boolean LANGUAGE sql RETURN size > 180;"
NAMES = "CREATE OR REPLACE VIEW names AS SELECT id FROM tall;"


@pytest.fixture
def keep(directory, write):
    """Writes a repeatable beside one revision that makes a table."""
    write(A, up="CREATE TABLE people (id integer, size integer);", down="DROP TABLE people;")
    (directory / "repeatable").mkdir()

    def run(**texts):
        for name, text in texts.items():
            (directory / "repeatable" / f"{name}.sql").write_text(text)

    return run


@pytest.fixture
def frozen(directory, server_dsn):
    """Freezes under a name of its own, later each time."""
    made = []

    def run():
        made.append(None)
        at = AT + timedelta(days=len(made))
        return freeze(directory, f"views_{len(made)}", at=at, scratch_dsn=server_dsn)

    return run


def catalog(dsn):
    with connect(dsn) as connection:
        return snapshot(connection)


def test_what_is_new_is_frozen_in_an_order_that_works_and_what_is_unchanged_is_not(keep, frozen, dsn, directory):
    keep(a_tall=TALL, b_is_tall=IS_TALL)
    migrate.up(dsn, directory)
    before = catalog(dsn)

    first = frozen()
    second = frozen()
    migrate.up(dsn, directory)
    migrate.down(dsn, directory, to=A)

    assert first.files == ("a_tall.sql", "b_is_tall.sql")
    assert (second.folder, second.files) == (None, ())
    assert [revision.id for revision in load(directory)] == [A, first.folder.name]
    up = (first.folder / "up.sql").read_text()
    assert up.index("-- repeatable: b_is_tall.sql ") < up.index("-- repeatable: a_tall.sql ")
    assert catalog(dsn) == before


def test_a_new_text_takes_the_place_of_the_one_before_and_comes_back_on_the_way_down(keep, frozen, dsn, directory, ask):
    keep(a_tall=TALL, b_is_tall=IS_TALL)
    frozen()
    migrate.up(dsn, directory)
    before = catalog(dsn)
    keep(b_is_tall=IS_TALL.replace("180", "190"))

    change = frozen()
    migrate.up(dsn, directory)
    taller = ask("SELECT is_tall(185)")
    migrate.down(dsn, directory, steps=1)

    assert change.files == ("b_is_tall.sql",)
    assert taller == [(False,)]
    assert ask("SELECT is_tall(185)") == [(True,)]
    assert catalog(dsn) == before


def test_what_cannot_be_replaced_is_dropped_and_made_again_with_what_depends_on_it(keep, frozen, dsn, directory, ask):
    keep(a_tall=TALL, b_is_tall=IS_TALL, c_names=NAMES)
    frozen()
    migrate.up(dsn, directory)
    before = catalog(dsn)
    keep(
        a_tall=TALL.replace("id, size", "id"),
        b_is_tall=IS_TALL.replace("is_tall(size integer)", "is_tall(height integer)").replace("size >", "height >"),
    )

    change = frozen()
    migrate.up(dsn, directory)
    columns = ask("SELECT attname FROM pg_attribute WHERE attrelid = 'tall'::regclass ORDER BY attnum")
    migrate.down(dsn, directory, steps=1)
    unchanged = frozen()

    assert change.files == ("a_tall.sql", "b_is_tall.sql", "c_names.sql")
    assert columns == [("id",)]
    assert catalog(dsn) == before
    assert unchanged.folder is None


def test_what_no_repeatable_makes_again_is_never_dropped(keep, frozen, directory, write):
    keep(a_tall=TALL, b_is_tall=IS_TALL)
    frozen()
    write(
        "20260301T000000_c",
        meta=f'requires = ["{load(directory)[-1].id}"]',
        up="CREATE VIEW other AS SELECT size FROM tall;",
        down="DROP VIEW other;",
    )
    keep(a_tall=TALL.replace("id, size", "id"))
    folders = {path.name for path in directory.iterdir()}

    with pytest.raises(repeatables.DependentNotRepeatable, match=r"view public\.other"):
        frozen()
    assert {path.name for path in directory.iterdir()} == folders


def test_a_text_that_the_server_refuses_is_named(keep, frozen):
    keep(a_broken="CREATE OR REPLACE VIEW broken AS SELECT nothing FROM nowhere;")

    with pytest.raises(repeatables.RepeatableFails, match=r"repeatable/a_broken\.sql.*nowhere"):
        frozen()


def test_a_frozen_text_that_was_edited_is_noticed(keep, frozen, directory):
    keep(b_is_tall=IS_TALL)
    folder = frozen().folder
    up = folder / "up.sql"
    up.write_text(up.read_text().replace("180", "170"))

    with pytest.raises(repeatables.NotRepeatable, match=r"b_is_tall\.sql"):
        frozen()


def test_the_command_line_freezes_and_says_when_there_is_nothing(keep, command_line, directory):
    keep(b_is_tall=IS_TALL)

    made = command_line.json("new", "views", "--repeatables")
    nothing = command_line.run("new", "more", "--repeatables")

    assert made["files"] == ["b_is_tall.sql"]
    assert (nothing.exit_code, nothing.output.strip()) == (0, "no repeatable has changed")
    assert len(load(directory)) == 2


def test_the_command_line_derives_a_way_back_once(command_line, write, directory):
    write(A, up="CREATE TABLE a (n integer);", down="-- to be written\n")

    made = command_line.run("new", "--derive-down", A)
    again = command_line.run("new", "--derive-down", A)

    assert made.exit_code == 0, made.output
    assert "DROP TABLE public.a;" in (directory / A / "down.sql").read_text()
    assert again.exit_code == 1
    assert "has a down.sql already" in again.output
