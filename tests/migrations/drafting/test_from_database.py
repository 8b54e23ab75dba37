"""A database that Alembic made is taken over: its schema becomes a revision, which is adopted and built upon."""

import shutil

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from hansa import migrate
from hansa.migrate import drafts, dumping
from hansa.migrate.errors import BadRequest
from hansa.migrate.rehearsal import rehearse
from hansa.migrate.revisions import load

ENVIRONMENT = """
from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade():
{upgrade}
"""
VERSIONS = [
    """
    op.create_table(
        "agents",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("status", sa.Enum("active", "retired", name="agent_status"), nullable=False, server_default="active"),
    )
    """,
    """
    op.create_index("ix_agents_name", "agents", ["name"], unique=True)
    """,
    """
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("agent_id", sa.BigInteger, sa.ForeignKey("agents.id", name="fk_tasks_agent"), nullable=False),
        sa.Column("cost", sa.Numeric(12, 2), sa.CheckConstraint("cost >= 0", name="ck_tasks_cost")),
    )
    """,
]


@pytest.fixture
def alembic(dsn, tmp_path):
    """The database as three revisions of Alembic made it, with rows in it."""
    place = tmp_path / "alembic"
    (place / "versions").mkdir(parents=True)
    (place / "env.py").write_text(ENVIRONMENT)
    names = [None, *(f"{n:04}" for n in range(1, len(VERSIONS) + 1))]
    for before, name, upgrade in zip(names, names[1:], VERSIONS, strict=False):
        (place / "versions" / f"{name}.py").write_text(REVISION.format(revision=name, before=before, upgrade=upgrade))
    config = Config()
    config.set_main_option("script_location", str(place))
    config.set_main_option("path_separator", "os")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO agents (name) SELECT 'agent ' || n FROM generate_series(1, 50) AS n")
        connection.execute("INSERT INTO tasks (agent_id, cost) SELECT id, 5 FROM agents")


def test_a_database_of_alembic_is_adopted_and_goes_on_with_the_engine(
    alembic, dsn, directory, write, ask, command_line
):
    made = command_line.run("new", "adopted", "--from-database")
    adopted = command_line.run("baseline")
    first = load(directory)[0].id
    write(
        "20990101T000000_notes",
        meta=f'requires = ["{first}"]',
        up="ALTER TABLE tasks ADD COLUMN note text;",
        down="ALTER TABLE tasks DROP COLUMN note;",
        verify="SELECT 'note', count(note) = 0 FROM tasks;",
    )

    plan = migrate.plan(dsn, directory)
    certificate = rehearse(dsn, directory)
    migrate.up(dsn, directory)

    assert (made.exit_code, adopted.exit_code) == (0, 0), made.output + adopted.output
    assert [(step.revision, step.locks) for step in plan.steps] == [
        ("20990101T000000_notes", ("ACCESS EXCLUSIVE public.tasks",))
    ]
    assert certificate.ok, certificate.sentences
    assert migrate.verify(dsn, directory).ok
    assert [row.state for row in migrate.status(dsn, directory).revisions] == ["applied", "applied"]
    assert ask("SELECT count(*) FROM tasks WHERE note IS NULL") == [(50,)]
    assert migrate.drift(dsn).ok


def test_the_adopted_schema_goes_up_and_back_to_nothing_elsewhere(alembic, dsn, directory, server_dsn, ask):
    from hansa.migrate.catalog import snapshot
    from hansa.migrate.session import connect
    from hansa.migrate.testing import scratch

    drafts.new_from_database(dsn, directory, "adopted", at=_at())
    up = next(directory.iterdir()).joinpath("up.sql").read_text()
    with scratch(server_dsn, "drafting") as empty:
        with connect(empty) as connection:
            before = snapshot(connection)
        migrate.up(empty, directory)
        verified = migrate.verify(empty, directory)
        migrate.down(empty, directory, everything=True)
        with connect(empty) as connection:
            after = snapshot(connection)

    assert [check.name for check in verified.checks] == [
        "table public.agents exists",
        "table public.alembic_version exists",
        "table public.tasks exists",
    ]
    assert verified.ok
    assert after == before
    assert "restrict" not in up
    assert "set_config" not in up


def test_a_database_that_is_not_what_the_revision_makes_is_not_adopted(alembic, dsn, directory, ask, command_line):
    command_line.run("new", "adopted", "--from-database")
    ask("DROP INDEX ix_agents_name")
    ask("CREATE INDEX ix_agents_name ON agents (name)")

    refused = command_line.run("baseline")
    told = command_line.json("baseline")

    assert refused.exit_code == 3
    assert "public.ix_agents_name" in refused.output
    assert [one["object"] for one in told["differences"]] == ["index public.ix_agents_name"]
    assert migrate.status(dsn, directory).pending == (load(directory)[0].id,)


def test_what_a_dump_says_in_its_own_way_is_made_as_it_is(dsn, directory, ask):
    ask("CREATE SCHEMA app")
    ask("CREATE FUNCTION app.count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1::bigint'")
    ask('CREATE TABLE app.rows (n integer DEFAULT app.count(), "Odd name" text)')
    ask("CREATE OR REPLACE FUNCTION app.count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM app.rows'")
    ask("CREATE MATERIALIZED VIEW app.filled AS SELECT n FROM app.rows")
    ask("CREATE MATERIALIZED VIEW app.unfilled AS SELECT n FROM app.filled WITH NO DATA")
    ask("CREATE FUNCTION app.talk() RETURNS void LANGUAGE plpgsql AS $$ BEGIN -- it's a; comment\nEND $$")
    ask("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    ask("COMMENT ON SCHEMA app IS 'The application''s.'")

    folder = drafts.new_from_database(dsn, directory, "adopted", at=_at())
    adoption = migrate.baseline(dsn, directory)

    assert adoption.ok, [one.sentence for one in adoption.differences]
    assert adoption.adopted == (folder.name,)
    assert "NOT DERIVABLE" not in (folder / "down.sql").read_text()


def test_conditions_that_a_dump_writes_flatter_are_adopted_and_others_are_not(dsn, directory, ask):
    ask("CREATE TABLE a (n integer, m integer, CONSTRAINT c CHECK (n BETWEEN 1 AND 5 AND m > 0))")
    ask("CREATE VIEW v AS SELECT n FROM a WHERE n IN (1, m) OR ROW(n, 2) IS DISTINCT FROM ROW(m, 3) OR n > 7")
    drafts.new_from_database(dsn, directory, "adopted", at=_at())
    ask("ALTER TABLE a ADD CONSTRAINT d CHECK ((n > 1 AND m > 2) OR n > 3)")
    path = next(directory.iterdir()) / "up.sql"
    text = path.read_text()

    path.write_text(f"{text}\nALTER TABLE a ADD CONSTRAINT d CHECK (n > 1 AND (m > 2 OR n > 3));\n")
    refused = migrate.baseline(dsn, directory)
    path.write_text(f"{text}\nALTER TABLE a ADD CONSTRAINT d CHECK ((n > 1 AND m > 2) OR n > 3);\n")
    adopted = migrate.baseline(dsn, directory)

    assert [one.object for one in refused.differences] == ["constraint d on public.a"]
    assert adopted.ok
    assert migrate.drift(dsn).ok


def test_only_the_first_revision_comes_from_a_database_that_holds_something(dsn, directory, write, ask):
    with pytest.raises(BadRequest, match="empty"):
        drafts.new_from_database(dsn, directory, "adopted", at=_at())
    write("20260101T000000_a")
    ask("CREATE TABLE a (n integer)")

    with pytest.raises(BadRequest, match="holds revisions already"):
        drafts.new_from_database(dsn, directory, "adopted", at=_at())


def test_a_dump_program_older_than_the_server_is_refused_by_name(dsn, tmp_path, monkeypatch):
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(dumping, "BUNDLE", "no_such_package")

    with pytest.raises(dumping.NoDumpProgram, match=r"pg_dump is 9"):
        dumping.dump_schema(dsn)
    assert shutil.which("pg_dump") == str(old)


def _at():
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)
