import pytest

from hansa.migrate.rehearsal import BadProbes, load_probes, rehearse
from hansa.migrate.rehearsal.probing import Answers

B = "20260102T000000_b"
FILE = """
    connections = 2
    warm_up_s = 0.15
    cool_down_s = 0.15

    [[probe]]
    name = "visit"
    sql = "UPDATE people SET visits = visits + 1 WHERE id = %(key)s"
    rate = 100
    keys = "SELECT id FROM people ORDER BY id LIMIT 20"
    check = "increments"
    read = "SELECT visits FROM people WHERE id = %(key)s"

    [[probe]]
    name = "look"
    sql = "SELECT status FROM people WHERE name LIKE 'person 1%'"
    rate = 50
    stall_ms_max = 200
"""
STATUS = """
    warm_up_s = 0.15
    cool_down_s = 0.15

    [[probe]]
    name = "set status"
    sql = "UPDATE people SET status = %(value)s WHERE id = %(key)s"
    rate = 100
    keys = "SELECT id FROM people ORDER BY id LIMIT 400"
    values = ["calm", "cross"]
    check = "last_write"
    read = "SELECT status::text FROM people WHERE id = %(key)s"
"""


@pytest.fixture
def probes(tmp_path):
    def write(text):
        path = tmp_path / "probes.toml"
        path.write_text(text)
        return path

    return write


def test_a_stall_is_felt_by_everybody_who_comes_meanwhile_and_no_longer_than_allowed(live, folder, probes):
    folder.revision(B, up="ALTER TABLE people ADD a int;\nSELECT pg_sleep(0.3);", down="ALTER TABLE people DROP a;")

    certificate = rehearse(live, folder.path, probes=probes(FILE))

    visit, look = certificate.rounds[0].probes
    for report in (visit, look):
        assert report.during.worst_ms >= 250
        assert report.during.slow >= 5
        assert report.before.worst_ms < 250
        assert report.failed == {}
    assert visit.during.slow >= 15
    assert (visit.lost_writes, look.lost_writes) == (0, None)
    assert (visit.ok, look.ok, certificate.ok) == (True, False, False)
    assert look.sentence.endswith("allowed were 200 ms")
    assert visit.sentence.startswith("probe visit: half within")
    assert certificate.rounds[0].after_down == ()


def test_writes_that_a_conversion_by_drop_and_rename_loses_are_counted(live, folder, probes):
    folder.revision(
        B,
        meta="transactional = false",
        up="""
            ALTER TABLE people ADD status_new mood;
            UPDATE people SET status_new = CASE WHEN status IN ('calm', 'cross') THEN status::mood ELSE 'calm' END;
            SELECT pg_sleep(0.25);
            ALTER TABLE people DROP status;
            SELECT pg_sleep(0.05);
            ALTER TABLE people RENAME status_new TO status;
        """,
        down="""
            ALTER TABLE people ALTER status TYPE text;
            ALTER TABLE people ALTER status SET DEFAULT 'Active';
            UPDATE people SET status = CASE WHEN id = 7 THEN 'Revoked' ELSE 'Active' END;
            ALTER TABLE people ALTER status SET NOT NULL;
        """,
    )

    certificate = rehearse(live, folder.path, probes=probes(STATUS))

    (report,) = certificate.rounds[0].probes
    assert certificate.rounds[0].failure is None
    assert not certificate.ok
    assert 5 <= report.lost_writes <= 50
    assert report.failed.keys() == {"42703"}
    assert report.replaced == report.retried <= 2
    assert f"{report.lost_writes} writes lost" in report.sentence


def test_prepared_statements_that_a_new_type_makes_stale_cost_a_connection_and_no_failure(live, folder, probes):
    folder.revision(
        B,
        up="ALTER TABLE people ALTER status DROP DEFAULT, ALTER status TYPE mood USING 'calm';",
        down="""
            ALTER TABLE people ALTER status TYPE text;
            ALTER TABLE people ALTER status SET DEFAULT 'Active';
            UPDATE people SET status = CASE WHEN id = 7 THEN 'Revoked' ELSE 'Active' END;
        """,
    )
    look = 'warm_up_s = 0.2\ncool_down_s = 0.1\n[[probe]]\nname = "look"\nsql = "SELECT status FROM people WHERE id = 3"\nrate = 100'

    certificate = rehearse(live, folder.path, probes=probes(look))

    (report,) = certificate.rounds[0].probes
    assert certificate.ok, certificate.sentences
    assert (report.failed, report.replaced, report.retried) == ({}, 2, 2)
    assert "2 connections replaced, 2 statements repeated on them" in report.sentence


def test_answers_are_ranked():
    answers = Answers.of([n / 1000 for n in range(1, 101)])

    assert (answers.count, answers.p50_ms, answers.p99_ms, answers.worst_ms, answers.slow) == (100, 51, 100, 100, 0)
    assert Answers.of([]).worst_ms == 0


GOOD = 'name = "a"\nsql = "SELECT 1"\nrate = 1\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no"),
        ("[[probe]]\n", "name is missing"),
        ("[[probe]]\n" + GOOD + "speed = 2", "speed is not an entry"),
        ("[[probe]]\n" + GOOD.replace("rate = 1", "rate = true"), "rate = True is not of the right kind"),
        ("[[probe]]\n" + GOOD.replace("rate = 1", "rate = 0"), "rate must be positive"),
        ("[[probe]]\n" + GOOD + 'keys = "SELECT 1"', "belong together"),
        ("[[probe]]\n" + GOOD + 'check = "sums"', "check is one of last_write, increments"),
        ("[[probe]]\n" + GOOD + 'check = "increments"', "check and read belong together"),
        ("[[probe]]\n" + GOOD + "values = [[1]]", "values are text or numbers"),
        ("[[probe]]\n" + GOOD + "[[probe]]\n" + GOOD, "same name"),
        ("connections = 0\n[[probe]]\n" + GOOD, "connections must be positive"),
        ("probe = 3", r"written as \[\[probe\]\]"),
        ("[[probe", "probes.toml"),
    ],
)
def test_a_file_of_probes_that_cannot_be_meant_is_refused(probes, text, message):
    path = probes(text)

    with pytest.raises(BadProbes, match=message):
        load_probes(path)


def test_a_probe_that_cannot_find_its_keys_is_named(live, folder, probes):
    folder.revision(B, up="CREATE TABLE b ();", down="DROP TABLE b;")

    with pytest.raises(BadProbes, match=r"probe visit: .*nobody.* does not exist"):
        rehearse(live, folder.path, probes=probes(FILE.replace("FROM people ORDER", "FROM nobody ORDER")))
