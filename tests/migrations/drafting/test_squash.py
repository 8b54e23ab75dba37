"""Many revisions become one: databases that have them all go on, empty ones run it, all others are refused by name."""

import json
from datetime import UTC, datetime

import pytest

from hansa import migrate
from hansa.migrate import errors, squashing
from hansa.migrate.catalog import snapshot
from hansa.migrate.revisions import load
from hansa.migrate.session import connect
from hansa.migrate.squashing import squash
from hansa.migrate.testing import scratch

A, B, C, D = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c", "d"), start=1))
AT = datetime(2026, 5, 1, tzinfo=UTC)
S = "20260501T000000_start"
LOSING = migrate.Options(lose_data=True)


@pytest.fixture
def four(write):
    """Four revisions in a row, of which the second leaves the search path behind and a foreign key unchecked."""
    write(
        A,
        up="CREATE SCHEMA shop; CREATE TABLE shop.a (id integer PRIMARY KEY)",
        down="DROP TABLE shop.a; DROP SCHEMA shop",
        seed="INSERT INTO shop.a VALUES (1)",
        verify="SELECT 'a', to_regclass('shop.a') IS NOT NULL",
    )
    write(
        B,
        meta=f'requires = ["{A}"]',
        up="""
            SET search_path = shop;
            CREATE TABLE b (id integer, a integer REFERENCES a DEFERRABLE INITIALLY DEFERRED);
            INSERT INTO a VALUES (7);
            INSERT INTO b VALUES (1, 7) -- the last word is a comment
        """,
        down="DROP TABLE shop.b; DELETE FROM shop.a WHERE id = 7;",
    )
    write(
        C,
        meta=f'requires = ["{B}"]',
        up="CREATE TABLE c (n integer); ALTER TABLE shop.b ADD COLUMN more text;",
        down="ALTER TABLE shop.b DROP COLUMN more; DROP TABLE c;",
        verify="-- verify: writes\nSELECT 'c', count(*) = 0 FROM c;",
    )
    write(
        D,
        meta=f'requires = ["{C}"]',
        up="ALTER TABLE c ADD COLUMN m integer;",
        down="ALTER TABLE c DROP COLUMN m;",
    )


def catalog(dsn):
    with connect(dsn) as connection:
        return snapshot(connection)


def test_an_empty_database_runs_the_one_as_it_ran_the_many(four, dsn, directory, server_dsn, ask):
    with scratch(server_dsn, "drafting") as other:
        empty = catalog(other)
        migrate.up(other, directory)
        many = catalog(other)

    folder = squash(directory, to=C, name="start", at=AT, scratch_dsn=server_dsn)
    migrate.up(dsn, directory)
    one = catalog(dsn)
    verified = migrate.verify(dsn, directory)
    seeded = migrate.seed(dsn, directory)
    migrate.down(dsn, directory, everything=True, options=LOSING)

    assert folder.name == S
    assert [revision.id for revision in load(directory)] == [S, D]
    assert sorted(path.name for path in (directory / ".squashed").iterdir()) == [A, B, C]
    assert one == many
    assert [check.name for check in verified.checks] == ["a", "c"]
    assert verified.ok
    assert seeded.revisions == (S,)
    assert catalog(dsn) == empty


def test_a_database_that_has_them_all_takes_the_one_as_applied_without_running_it(four, dsn, directory, ask):
    migrate.up(dsn, directory)
    migrate.seed(dsn, directory)
    squash(directory, to=C, name="start", at=AT)
    before = migrate.status(dsn, directory)
    planned = migrate.plan(dsn, directory)

    report = migrate.up(dsn, directory)
    after = migrate.status(dsn, directory)

    assert [(row.revision, row.state) for row in before.revisions] == [(S, "applied"), (D, "applied")]
    assert (planned.steps, before.problems, report.revisions) == ((), (), ())
    assert ask("SELECT kind, revision FROM mig.events WHERE n > 5 ORDER BY n") == [
        ("squashed", A),
        ("squashed", B),
        ("squashed", C),
        ("baselined", S),
        ("seeded", S),
    ]
    assert [(row.revision, row.state) for row in after.revisions] == [(S, "applied"), (D, "applied")]
    assert after.problems == ()
    assert migrate.seed(dsn, directory).revisions == ()
    assert migrate.drift(dsn).ok
    assert migrate.down(dsn, directory, steps=1).revisions == (D,)
    assert migrate.down(dsn, directory, everything=True, options=LOSING).revisions == (S,)


def test_a_database_that_has_only_some_of_them_is_refused_by_name(four, dsn, directory, ask):
    migrate.up(dsn, directory, to=B)
    squash(directory, to=C, name="start", at=AT)

    with pytest.raises(errors.PartlyReplaced, match=f"{S} replaces {C}, which is not applied here, and {A}"):
        migrate.up(dsn, directory)
    assert [problem.code for problem in migrate.status(dsn, directory).problems] == ["partly_replaced"]
    assert ask("SELECT count(*) FROM mig.revisions") == [(2,)]


@pytest.mark.parametrize(
    ("meta", "files"),
    [
        ("transactional = false", {}),
        ("", {"post.sql": "SELECT 1;"}),
        ('[[operation]]\nkind = "create_index"\ntable = "a"\nname = "i"\ndefinition = "(id)"', {}),
    ],
)
def test_what_cannot_share_a_transaction_is_refused_by_name(write, directory, meta, files):
    write(A)
    folder = write(B, meta=f'requires = ["{A}"]\n{meta}')
    for file, text in files.items():
        (folder / file).write_text(text)

    with pytest.raises(squashing.NotSquashable, match=B):
        squash(directory, to=B, name="start", at=AT)
    assert sorted(path.name for path in directory.iterdir()) == [A, B]


def test_a_squash_that_would_make_something_else_is_refused(write, directory, server_dsn):
    write(A, up="CREATE SCHEMA shop; SELECT set_config('search_' || 'path', 'shop', false);", down="DROP SCHEMA shop;")
    write(B, meta=f'requires = ["{A}"]', up="CREATE TABLE b (n integer);", down="DROP TABLE b;")

    with pytest.raises(squashing.SquashDiffers, match=r"public\.b"):
        squash(directory, to=B, name="start", at=AT, scratch_dsn=server_dsn)
    assert sorted(path.name for path in directory.iterdir()) == [A, B]


def test_a_revision_cannot_replace_what_is_there_or_what_another_replaced(write, directory):
    write(A, meta=f'replaces = ["{B}", "{C}"]')
    write(B)
    with pytest.raises(errors.BadMeta, match=f"replaces {B}, which is still there"):
        load(directory)
    (directory / B / "meta.toml").write_text(f'replaces = ["{C}"]')
    (directory / A / "meta.toml").write_text(f'replaces = ["{C}"]')

    with pytest.raises(errors.BadMeta, match=f"replaces {C}, so does {A}"):
        load(directory)


def test_the_command_line_squashes_and_proves_it(four, command_line, directory):
    made = command_line.run("squash", C, "start", "-o", "json")
    unknown = command_line.run("squash", A, "again")

    assert made.exit_code == 0, made.output
    squashed = json.loads(made.output)["revision"]
    assert [revision.id for revision in load(directory)] == [squashed, D]
    assert unknown.exit_code == 1
    assert "unknown_revision" in unknown.output
