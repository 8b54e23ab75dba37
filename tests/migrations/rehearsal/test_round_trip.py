import json

import pytest

from hansa import migrate
from hansa.migrate import errors
from hansa.migrate.rehearsal import CloneKind, rehearse

B, C = "20260102T000000_b", "20260103T000000_c"
NOTES = "CREATE TABLE notes (id int PRIMARY KEY, person int REFERENCES people, note text); INSERT INTO notes VALUES (1, 1, 'x');"


def hard(found):
    return [(one.object, one.sentence) for one in found if not one.soft]


def test_a_clean_way_there_and_back_is_good_and_leaves_the_live_database_alone(live, folder, ask):
    ask("CREATE SCHEMA shop")  # the setting hangs on the name of the database, and must come along to its copy
    ask("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = shop, public', current_database()); END $$")
    folder.revision(B, up=NOTES, down="DROP TABLE notes;", verify="SELECT 'notes', count(*) = 1 FROM shop.notes;")
    heard = []

    certificate = rehearse(
        live, folder.path, options=migrate.Options(actor="tester", notify=lambda notice: heard.append(notice.message))
    )

    assert certificate.ok, certificate.sentences
    assert (certificate.clone.kind, certificate.clone.passed_over) == (CloneKind.TEMPLATE, ())
    (only,) = certificate.rounds
    assert (only.revisions, only.unverified, only.after_down, only.after_second_up) == ((B,), (), (), ())
    assert min(only.up_ms, only.down_ms, only.again_ms) > 0
    assert certificate.sentences[0].startswith("good: 1 revision rehearsed on a copy (template")
    assert ask("SELECT to_regclass('shop.notes')") == [(None,)]
    assert migrate.status(live, folder.path).pending == (B,)
    assert [(actor, ok) for actor, ok in ask("SELECT actor, ok FROM mig.rehearsals")] == [("tester", True)]
    assert ask("SELECT kind, revision FROM mig.events ORDER BY n DESC LIMIT 1") == [("rehearsed", B)]
    assert ask("SELECT report FROM mig.rehearsals") == [(json.loads(certificate.to_json()),)]
    assert f"{B}/up.sql 1 of 2" in heard


def test_what_down_does_not_restore_is_named_by_table_and_object(live, folder):
    folder.revision(
        B,
        up="""
            UPDATE people SET status = CASE status WHEN 'Active' THEN 'active' ELSE 'active' END;
            CREATE TABLE copies AS TABLE people;
            DELETE FROM visits WHERE n = 1;
            DROP INDEX people_by_name;
        """,
        down="UPDATE people SET status = 'Active'; DROP TABLE copies;",
    )

    certificate = rehearse(live, folder.path)

    assert not certificate.ok
    assert hard(certificate.rounds[0].after_down) == [
        ("index public.people_by_name", "index public.people_by_name is gone"),
        ("table public.people", "table public.people has other values in its 500 rows"),
        ("table public.visits", "table public.visits has 2 rows, where it had 3"),
    ]
    assert "after down: table public.people has other values in its 500 rows" in certificate.sentences
    assert certificate.sentences[0].startswith("NOT good")


def test_another_order_of_columns_and_values_that_chance_gives_are_no_fault(live, folder):
    folder.revision(
        B,
        up="ALTER TABLE people DROP name; ALTER TABLE people ADD token uuid DEFAULT gen_random_uuid();",
        down="""
            ALTER TABLE people DROP token, ADD name text;
            UPDATE people SET name = 'person ' || id;
            ALTER TABLE people ALTER name SET NOT NULL;
            CREATE INDEX people_by_name ON people (name);
        """,
    )

    certificate = rehearse(live, folder.path)

    (only,) = certificate.rounds
    assert certificate.ok, certificate.sentences
    assert [(one.object, one.soft) for one in only.after_down] == [("table public.people", True)]
    assert only.after_down[0].sentence.startswith("column order of table public.people")
    assert [(one.object, one.soft) for one in only.after_second_up] == [("table public.people", True)]
    assert "a clock, chance or a sequence" in only.after_second_up[0].sentence


def test_a_second_up_that_meets_other_rows_is_a_fault(live, folder):
    folder.revision(
        B,
        up="CREATE TABLE sums (n int); INSERT INTO sums SELECT 1 FROM people WHERE visits = 0;",
        down="DROP TABLE sums; UPDATE people SET visits = 1 WHERE id = 1;",
    )

    certificate = rehearse(live, folder.path)

    assert hard(certificate.rounds[0].after_second_up)[-1] == (
        "table public.sums",
        "table public.sums has 499 rows, where it had 500",
    )


def test_what_verify_denies_and_what_fails_is_in_the_certificate(live, folder):
    folder.revision(
        B, up="CREATE TABLE b ();", down="DROP TABLE b;", verify="SELECT 'b has rows', count(*) > 0, 'none' FROM b;"
    )
    folder.revision(C, up="CREATE TABLE c (\n  n nothing);", down="DROP TABLE c;")

    certificate = rehearse(live, folder.path, staircase=True)

    b, c = certificate.rounds
    assert not certificate.ok
    assert (b.failed_checks, b.again_ms > 0, b.ok) == ((f"{B}: b has rows (none)",), True, False)
    assert f'{C}/up.sql, statement 1, line 2: type "nothing" does not exist' in c.failure
    assert (c.up_ms, c.ok) == (None, False)


def test_what_cannot_go_back_is_only_applied_and_the_rest_goes_back_to_it(live, folder):
    folder.revision(B, up="DELETE FROM people WHERE id = 1;", down=None, meta='irreversible = "the person is gone"')
    folder.revision(C, up="CREATE TABLE c ();", down="DROP TABLE c;")

    certificate = rehearse(live, folder.path)

    stuck, rest = certificate.rounds
    assert certificate.ok, certificate.sentences
    assert (stuck.revisions, stuck.irreversible, stuck.down_ms) == ((B,), f"{B}: the person is gone", None)
    assert (rest.revisions, rest.irreversible, rest.after_down) == ((C,), None, ())
    assert f"{B}: was only applied, because there is no way back: {B}: the person is gone" in certificate.sentences


def test_the_staircase_tells_which_revision_does_not_come_back(live, folder):
    folder.revision(
        B, up="CREATE TABLE b (); CREATE INDEX IF NOT EXISTS left_over ON people (visits);", down="DROP TABLE b;"
    )
    folder.revision(C, up="CREATE TABLE c ();", down="DROP TABLE c; DROP INDEX left_over;")

    staircase = rehearse(live, folder.path, staircase=True)

    b, c = staircase.rounds
    assert not staircase.ok
    assert (b.revisions, c.revisions) == ((B,), (C,))
    assert hard(b.after_down)[0][0] == hard(c.after_down)[0][0] == "index public.left_over"


def test_nothing_pending_is_good_and_copies_nothing(live, folder, ask):
    certificate = rehearse(live, folder.path)

    assert certificate.ok
    assert certificate.clone is None
    assert certificate.sentences == ("nothing is pending, so there is nothing to rehearse",)
    assert ask("SELECT count(*) FROM mig.rehearsals") == [(0,)]


def test_a_revision_that_stopped_half_way_must_be_finished_first(live, folder):
    folder.revision(B, meta="transactional = false", up="CREATE TABLE b ();\nCREATE TABLE b ();", down="DROP TABLE b;")
    with pytest.raises(errors.StatementFailed):
        migrate.up(live, folder.path)

    with pytest.raises(errors.InterruptedRevision, match=f"{B}.*finish it first"):
        rehearse(live, folder.path)


def test_an_edited_revision_is_refused_before_anything_is_copied(live, folder, ask):
    next(folder.path.iterdir()).joinpath("down.sql").write_text("SELECT 2;")
    folder.revision(B)

    with pytest.raises(errors.EditedRevision):
        rehearse(live, folder.path)

    assert ask("SELECT count(*) FROM mig.rehearsals") == [(0,)]
