"""With a server the revisions are run, and PostgreSQL has its say."""

from __future__ import annotations

import psycopg
import pytest

from hansa.migrate.lint import lint
from hansa.migrations import DIRECTORY

BASE = "20260101T000000_base"
REVISION = "20260102T000000_change"
THIRD, FOURTH = "20260103T000000_third", "20260104T000000_fourth"


@pytest.fixture
def compiled(project, server_dsn):
    """Runs the project and returns the report; nothing may be left on the server."""

    def databases():
        with psycopg.connect(server_dsn) as connection:
            return {
                name for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'lint%'")
            }

    before = databases()
    yield lambda: project.lint(scratch_dsn=server_dsn)
    assert databases() == before


def errors(report):
    return [(finding.place, finding.rule) for finding in report.errors]


def test_what_is_sound_goes_up_and_down_without_a_word(project, compiled):
    project.change(
        "CREATE TABLE t (n int PRIMARY KEY);",
        down="DROP TABLE t;",
        verify="SELECT 'a table t', to_regclass('t') IS NOT NULL;",
        seed="INSERT INTO t VALUES (1);",
    )

    report = compiled()

    assert (report.findings, report.notices) == ((), ())


def test_a_gin_index_on_text_is_an_error_at_its_line_with_what_postgresql_says(project, compiled):
    project.change('CREATE TABLE logs (zkp_hash text);\n\n-- equality\nCREATE INDEX ON logs\n  USING GIN ("zkp_hash");')

    report = compiled()

    (error,) = report.errors
    assert (error.place, error.rule) == (f"{REVISION}/up.sql:4", "compile")
    assert error.message.startswith("data type text has no default operator class for access method")


@pytest.mark.parametrize(
    ("up", "line", "message"),
    [
        (
            "CREATE TABLE logs (skills text[]);\nCREATE INDEX ON logs USING GIN\n  (to_tsvector('english', array_to_string(skills, ' ')));",
            2,
            "must be marked IMMUTABLE",
        ),
        (
            "INSERT INTO organizations VALUES ('x');\nALTER TABLE organizations ADD CHECK (id <> 'x');",
            2,
            "is violated by some row",
        ),
        ("SELECT 1;\n\nSELECT\n  nothing;", 4, 'column "nothing" does not exist'),
        (
            "CREATE TABLE t (id text UNIQUE);\nALTER TABLE t ADD o text REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED;\nINSERT INTO t VALUES ('a', 'b');",
            1,
            "deferred constraints",
        ),
    ],
)
def test_what_the_server_refuses_is_an_error_at_its_line(project, compiled, up, line, message):
    project.change(up)

    report = compiled()

    assert errors(report) == [(f"{REVISION}/up.sql:{line}", "compile")]
    assert message in report.errors[0].message


def test_seeds_that_a_later_check_does_not_hold_for_are_an_error(project, compiled):
    (project.path / BASE / "seed.sql").write_text("INSERT INTO role_agents (id, level) VALUES ('a', 0);")
    project.change("ALTER TABLE role_agents\n  ADD CHECK (level > 0);", down="SELECT 1;")

    report = compiled()

    assert errors(report) == [(f"{REVISION}/up.sql:1", "compile")]


def test_seeds_that_do_not_fit_and_checks_that_do_not_hold_are_errors_at_their_lines(project, compiled):
    project.change(
        "CREATE TABLE t (n int CONSTRAINT positive CHECK (n > 0));",
        down="DROP TABLE t;",
        seed="INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (0);",
        verify="SELECT 'a table t', to_regclass('t') IS NOT NULL;\nSELECT 'a table u',\n  to_regclass('u') IS NOT NULL;\nSELECT 'v', v FROM v;",
    )

    report = compiled()

    assert errors(report) == [
        (f"{REVISION}/seed.sql:2", "compile"),
        (f"{REVISION}/verify.sql:2", "compile"),
        (f"{REVISION}/verify.sql:4", "compile"),
    ]


def test_a_verify_that_states_nothing_is_an_error(project, compiled):
    project.change("SELECT 1;", verify="SELECT 1;\nSELECT 'x';")

    report = compiled()

    assert errors(report) == [(f"{REVISION}/verify.sql:1", "compile")]


def test_after_a_failure_what_does_not_need_it_is_still_compiled(project, compiled):
    project.change("SELECT nothing;")
    project.write(THIRD, meta=f'requires = ["{REVISION}"]', up="SELECT neither;", down="SELECT 1;")
    project.write(FOURTH, meta=f'requires = ["{BASE}"]', up="SELECT 1;\nSELECT nor_this;", down="SELECT 1;")

    report = compiled()

    assert errors(report) == [(f"{REVISION}/up.sql:1", "compile"), (f"{FOURTH}/up.sql:2", "compile")]
    assert report.notices == (f"{THIRD} was not compiled: it requires {REVISION}, which was not",)


def test_a_down_that_fails_is_an_error_and_nothing_below_is_tried(project, compiled):
    project.change("CREATE TABLE t (n int);", down="SELECT 1;\nDROP TABLE never_there;")

    report = compiled()

    assert (f"{REVISION}/down.sql:2", "compile") in errors(report)
    assert report.notices == (f"no down.sql below {REVISION} was compiled",)


def test_an_irreversible_revision_ends_the_way_down(project, compiled):
    project.write(REVISION, meta='irreversible = "the old rows are gone"', up="SELECT 1;")

    report = compiled()

    assert (report.ok, report.notices) == (True, (f"no down.sql from {REVISION} on was compiled: it is irreversible",))


def test_what_fails_half_way_outside_a_transaction_spoils_no_way_down(project, compiled):
    project.change("CREATE VIEW v AS SELECT id FROM role_agents;\nSELECT nothing;", transactional=False)
    project.write(
        THIRD,
        up="CREATE INDEX CONCURRENTLY i ON role_agents (level);",
        down="DROP INDEX i;",
        meta="transactional = false",
    )

    report = compiled()

    assert errors(report) == [(f"{REVISION}/up.sql:2", "compile")]
    assert len(report.notices) == 1
    assert REVISION in report.notices[0]


def test_the_server_knows_what_the_text_does_not_tell(project, compiled):
    """A table made by dynamic SQL, with NOT NULL and an index, is converted; and dynamic SQL leaves a table behind."""
    (project.path / BASE / "up.sql").write_text(
        "DO $$ BEGIN EXECUTE 'CREATE TABLE theirs (n int NOT NULL, m int UNIQUE)'; END $$;"
    )
    (project.path / BASE / "down.sql").write_text("DROP TABLE theirs;")
    project.change(
        "ALTER TABLE theirs ADD n_new int, ADD m_new int;\nALTER TABLE theirs DROP COLUMN n, DROP COLUMN m;\n"
        "ALTER TABLE theirs RENAME COLUMN n_new TO n;\nALTER TABLE theirs RENAME COLUMN m_new TO m;\n"
        "DO $$ BEGIN EXECUTE 'CREATE TABLE left_over (n int)'; END $$;",
        down="SELECT 1;",
    )

    read, run = project.lint(), compiled()

    rules = ("lost-not-null", "lost-index", "down-does-not-undo")
    assert {(found.rule, found.line, found.severity.value) for found in read.findings if found.rule in rules} >= {
        ("lost-not-null", 3, "warning"),
        ("lost-index", 4, "warning"),
    }
    seen = [(found.rule, found.line, found.message) for found in run.findings if found.rule in rules]
    assert ("lost-not-null", 3, "theirs.n was NOT NULL, and what takes its name is not") in seen
    assert ("lost-index", 4, "index theirs_m_key on theirs (m) goes with the old m") in seen
    assert ("down-does-not-undo", 1, "table left_over is still there after down.sql") in seen
    assert not any(found[1] == 4 and found[0] == "lost-not-null" for found in seen)


def test_only_what_a_chosen_revision_needs_is_compiled(project, server_dsn):
    project.change("SELECT nothing;")
    project.write(THIRD, meta=f'requires = ["{BASE}"]', up="SELECT 1;", down="SELECT 1;")

    report = project.lint(scratch_dsn=server_dsn, only=(THIRD,))

    assert (report.findings, report.notices, report.revisions) == ((), (), 1)


def test_our_own_migrations_run_up_and_down_without_an_error(server_dsn):
    report = lint(DIRECTORY, squawk=False, scratch_dsn=server_dsn)

    assert [found for found in report.findings if found.severity == "error"] == []
    assert "down-does-not-undo" not in report.counts
    assert report.notices == ()
