from datetime import UTC, datetime

import pytest

from hansa import migrate
from hansa.migrate import errors
from hansa.migrate.graph import heads, in_order, with_requirements
from hansa.migrate.revisions import load

A, B, C, D = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c", "d"), start=1))


def test_revisions_come_after_what_they_require_and_ties_go_by_id(folder):
    folder.revision(A, meta=f'requires = ["{D}"]')
    folder.revision(B)
    folder.revision(C)
    folder.revision(D, meta=f'requires = ["{B}", "{B}"]')

    order = load(folder.path)

    assert [revision.id for revision in order] == [B, C, D, A]
    assert [revision.id for revision in with_requirements(order, D)] == [B, D]
    assert heads(order) == (A, C)


@pytest.mark.parametrize(
    ("meta", "scripts", "refusal", "message"),
    [
        ("", {"up": None}, errors.UpMissing, A),
        ("", {"down": None}, errors.DownMissing, A),
        ('irreversible = "rows are gone"', {}, errors.BadMeta, "drop one"),
        ('irreversible = " "', {"down": None}, errors.BadMeta, "irreversible"),
        ("", {"down": "-- later"}, errors.EmptyScript, "down.sql"),
        ("", {"upp": "SELECT 1;"}, errors.UnknownFile, "upp.sql"),
        ("requires = [1]", {}, errors.BadMeta, "requires"),
        ('transactional = "no"', {}, errors.BadMeta, "transactional"),
        ("transactonal = false", {}, errors.BadMeta, "transactonal"),
        ("= 3", {}, errors.BadMeta, "meta.toml"),
        (f'requires = ["{B}"]', {}, errors.UnknownRequirement, B),
        (f'requires = ["{A}"]', {}, errors.CyclicRequirements, A),
    ],
)
def test_a_malformed_revision_is_refused_by_name(folder, meta, scripts, refusal, message):
    folder.revision(A, meta=meta, **scripts)

    with pytest.raises(refusal, match=message):
        load(folder.path)


def test_a_circle_of_requirements_is_spelled_out(folder):
    folder.revision(A)
    folder.revision(B, meta=f'requires = ["{A}", "{D}"]')
    folder.revision(C, meta=f'requires = ["{B}"]')
    folder.revision(D, meta=f'requires = ["{C}"]')

    with pytest.raises(errors.CyclicRequirements, match=f"{B} -> {D} -> {C} -> {B}"):
        load(folder.path)


def test_ids_that_differ_by_case_only_are_one_id_twice(folder):
    folder.revision(A)
    folder.revision(B)
    revisions = load(folder.path)

    with pytest.raises(errors.DuplicateRevision, match=A):
        in_order([*revisions, revisions[0]])
    folder.revision(A.replace("_a", "_A"))
    with pytest.raises(errors.DuplicateRevision, match=A):
        load(folder.path)


def test_a_folder_without_a_timestamp_or_without_meta_is_refused(folder):
    (folder.path / "README.md").write_text("beside the revisions")
    (folder.path / "__pycache__").mkdir()
    assert load(folder.path) == ()

    (folder.revision(A) / "meta.toml").unlink()
    with pytest.raises(errors.BadMeta, match=r"no meta\.toml"):
        load(folder.path)
    (folder.path / "0001_first").mkdir()
    with pytest.raises(errors.BadRevisionName, match="0001_first"):
        load(folder.path)
    with pytest.raises(errors.DirectoryMissing):
        load(folder.path / "elsewhere")


def test_the_checksum_ignores_line_ends_and_sees_every_other_change(folder):
    path = folder.revision(A, up="SELECT 1;\nSELECT 2;\n")
    before = load(folder.path)[0]

    (path / "up.sql").write_bytes(b"\xef\xbb\xbfSELECT 1;\r\nSELECT 2;\r\n\r\n")
    same = load(folder.path)[0]
    (path / "down.sql").write_text("SELECT 2;")
    edited = load(folder.path)[0]

    assert same.checksum == before.checksum
    assert edited.checksum != before.checksum
    assert edited.files["up.sql"] == before.files["up.sql"]


def test_a_new_revision_builds_on_the_heads_and_cannot_be_run_before_it_is_written(folder):
    folder.revision(A)
    folder.revision(B)

    made = migrate.new(folder.path, "holds", at=datetime(2026, 11, 20, 0, 1, tzinfo=UTC), description='say "when"')

    assert made.name == "20261120T000100_holds"
    with pytest.raises(errors.EmptyScript, match=r"20261120T000100_holds/up\.sql"):
        load(folder.path)
    for script in ("up", "down", "verify"):
        (made / f"{script}.sql").write_text("SELECT 1;")
    holds = load(folder.path)[-1]
    assert (holds.requires, holds.description, holds.transactional) == ((A, B), 'say "when"', True)


def test_a_new_revision_needs_a_plain_and_unused_name(folder):
    at = datetime(2026, 11, 20, tzinfo=UTC)
    folder.revision(A)

    with pytest.raises(errors.BadRevisionName):
        migrate.new(folder.path, "Add Holds", at=at)
    with pytest.raises(errors.RevisionExists):
        migrate.new(folder.path, "a", at=at)
    assert [path.name for path in folder.path.iterdir()] == [A]
