import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hansa import migrate
from hansa.migrate.rehearsal import CannotClone, CannotRecord, CloneKind, NoClone, rehearse
from hansa.migrate.rehearsal.template import shared_change

B = "20260102T000000_b"
COUNTED = "SELECT 'people are all there', count(*) = 500 AND sum(id) = 125250 FROM people;"


@pytest.fixture
def reader(live, server_dsn):
    """Connection string of a role that may read every table and nothing else."""
    name = f"reader_{uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with psycopg.connect(live, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'read'").format(role))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public, mig TO {}").format(role))
        for kind in ("TABLES", "SEQUENCES"):
            now = sql.SQL("GRANT SELECT ON ALL {} IN SCHEMA public, mig TO {}")
            later = sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON {} TO {}")
            connection.execute(now.format(sql.SQL(kind), role))
            connection.execute(later.format(sql.SQL(kind), role))
        yield make_conninfo(live, user=name, password="read")
        connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))


@contextmanager
def busy(dsn):
    """A client that reads and writes people all the time; counts what it did and what went wrong."""
    stop, done, problems = threading.Event(), [], []

    def work():
        with psycopg.connect(dsn, autocommit=True, application_name="shop") as connection:
            while not stop.wait(0.002):
                try:
                    connection.execute("UPDATE people SET visits = visits + 1 WHERE id = %s", [len(done) % 500 + 1])
                    connection.execute("SELECT count(*) FROM people WHERE id < 100")
                    done.append(1)
                except psycopg.Error as error:
                    problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not done:
        time.sleep(0.01)
    try:
        yield done, problems
    finally:
        stop.set()
        thread.join()


def test_while_a_client_writes_the_cluster_is_copied_and_the_forecast_counts_who_would_wait(live, folder, ask):
    role = f"made_{uuid4().hex[:8]}"
    folder.revision(
        B,
        up=f"CREATE ROLE {role}; ALTER TABLE people ADD token uuid DEFAULT gen_random_uuid(); SELECT pg_sleep(0.2);",
        down=f"ALTER TABLE people DROP token; DROP ROLE {role};",
        verify=COUNTED,
    )

    with busy(live) as (done, problems):
        certificate = rehearse(live, folder.path)
        seen = len(done)

    assert certificate.ok, certificate.sentences
    assert certificate.clone.kind is CloneKind.BASEBACKUP
    assert certificate.clone.passed_over[0].startswith("template: 1 other session is connected")
    assert "shop" in certificate.clone.passed_over[0]
    assert (problems, seen > 20) == ([], True)
    assert ask("SELECT count(*) FROM pg_roles WHERE rolname = %s", role) == [(0,)]
    outage = certificate.outages[0]
    assert (outage.table, outage.held_ms >= 200) == ("public.people", True)
    assert outage.statements_per_s > 5
    assert outage.waiting == round(outage.statements_per_s * outage.held_ms / 1000) > 0
    assert f"/s about {outage.waiting} would wait" in outage.sentence


def test_what_the_whole_server_shares_is_never_rehearsed_beside_the_live_database(live, folder):
    folder.revision(B, up="CREATE ROLE shared;", down="DROP ROLE shared;")

    with pytest.raises(CannotClone, match=f"^template: {B}/down.sql changes what the whole live server shares"):
        rehearse(live, folder.path, clone=CloneKind.TEMPLATE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("create  role a", "create role"),
        ("GRANT a TO b", "GRANT a TO"),
        ("DO $$ BEGIN EXECUTE 'ALTER USER x SET y = 1'; END $$", "ALTER USER"),
        ("ALTER SYSTEM SET work_mem = 1", "ALTER SYSTEM"),
        ("GRANT SELECT ON t TO b", None),
        ("CREATE USER MAPPING FOR a SERVER s", None),
        ("CREATE TABLE roles (role text)", None),
    ],
)
def test_what_changes_the_whole_server_is_told_by_its_words(text, found):
    assert shared_change(text) == found


def test_the_right_to_read_is_enough_for_a_copy_table_by_table(live, reader, folder, ask, server_dsn):
    up = """
        CREATE TYPE weekday AS ENUM ('mon', 'tue');
        CREATE TABLE odd (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person int REFERENCES people, days weekday[],
            twice bigint GENERATED ALWAYS AS (id * 2) STORED, kind regtype
        );
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
        CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON odd FOR EACH STATEMENT EXECUTE FUNCTION refuse();
        ALTER TABLE odd ENABLE ALWAYS TRIGGER kept;
        INSERT INTO odd (days, kind) VALUES ('{mon,tue}', 'weekday'), (NULL, 'integer');
        ALTER TABLE odd ADD CONSTRAINT days_known CHECK (days IS NOT NULL) NOT VALID;
        CREATE TABLE days (d date PRIMARY KEY) PARTITION BY RANGE (d);
        CREATE TABLE days_of_may PARTITION OF days FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
        CREATE TABLE used_days (d date REFERENCES days);
        INSERT INTO days VALUES ('2026-05-01');
        INSERT INTO used_days VALUES ('2026-05-01');
        CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM odd;
    """
    folder.revision(B, up=up, down="DROP TABLE odd, used_days, days CASCADE;")
    migrate.up(live, folder.path)
    ask("UPDATE people SET visits = 3 WHERE id = 1")
    ask("SELECT setval('people_id_seq', 700)")
    verify = """
        SELECT 'people', count(*) = 500 AND sum(visits) = 3 FROM people;
        SELECT 'odd', count(*) = 2 AND sum(twice) = 6 AND bool_or(days = '{mon,tue}') FROM odd;
        SELECT 'type by name', kind = 'weekday'::regtype FROM odd WHERE id = 1;
        SELECT 'sequence', last_value = 700 FROM people_id_seq;
        SELECT 'days', count(*) = 1 FROM days JOIN used_days USING (d);
        SELECT 'view', n = 2 FROM counted;
        SELECT 'trigger', tgenabled = 'A' FROM pg_trigger WHERE tgname = 'kept';
    """
    folder.revision("20260103T000000_c", up="CREATE TABLE c ();", down="DROP TABLE c;", verify=verify)

    certificate = rehearse(reader, folder.path, clone=CloneKind.COPY, workspace_dsn=server_dsn, keep_record=False)

    assert certificate.ok, certificate.sentences
    assert certificate.clone.kind is CloneKind.COPY


def test_a_copy_says_what_it_may_not_read_and_every_other_way_says_why_not(live, reader, folder, ask):
    name = conninfo_to_dict(reader)["user"]
    ask(f"CREATE TABLE secret (); REVOKE SELECT ON secret FROM {name}")
    folder.revision(B)

    with pytest.raises(NoClone) as caught:
        rehearse(reader, folder.path, keep_record=False)

    template, basebackup, copy = str(caught.value).removeprefix("the database cannot be copied: ").split("; ")
    assert (template.startswith("template: role reader_"), template.endswith("may not create databases")) == (
        True,
        True,
    )
    assert "may neither replicate" in basebackup
    assert copy.endswith("may not read public.secret")


def test_who_may_not_write_the_certificate_is_told_before_anything_is_copied(reader, folder):
    heard = []
    folder.revision(B)

    with pytest.raises(CannotRecord, match=r"may not write into mig\.rehearsals; rehearse without"):
        rehearse(reader, folder.path, options=migrate.Options(notify=lambda notice: heard.append(notice.message)))

    assert heard == []


def test_a_database_that_no_revision_made_is_copied_by_its_dump(dsn, folder, ask):
    ask("CREATE SCHEMA old; CREATE TABLE old.things (id serial PRIMARY KEY, v text CHECK (v <> ''));")
    ask("INSERT INTO old.things (v) VALUES ('a'), ('b')")
    folder.revision(
        B, up="CREATE TABLE b ();", down="DROP TABLE b;", verify="SELECT 'two', count(*) = 2 FROM old.things;"
    )

    certificate = rehearse(dsn, folder.path, clone=CloneKind.COPY)

    assert certificate.ok, certificate.sentences


_KILLED = """
import sys
from pathlib import Path
from hansa.migrate.options import Options
from hansa.migrate.rehearsal import CloneKind, rehearse
import tempfile
tempfile.tempdir = sys.argv[4]
say = lambda notice: print(notice.message, flush=True)
rehearse(sys.argv[1], Path(sys.argv[2]), clone=CloneKind(sys.argv[3]), options=Options(notify=say))
"""


def killed_rehearsal(dsn, folder, temporary, kind):
    """Kill a rehearsal, as nobody can prepare for, while its revision runs on the copy."""
    arguments = [sys.executable, "-c", _KILLED, dsn, str(folder.path), kind, str(temporary)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if f"{B}/up.sql" in line:
                break
        process.kill()


def test_what_killed_rehearsals_left_is_removed_by_the_next_one(live, folder, leftovers):
    slow = folder.revision(B, up="SELECT pg_sleep(60);")
    killed_rehearsal(live, folder, leftovers.temporary, CloneKind.TEMPLATE)
    after_template = [leftovers.folders(), leftovers.databases(), leftovers.processes()]
    killed_rehearsal(live, folder, leftovers.temporary, CloneKind.BASEBACKUP)
    after_basebackup = [leftovers.folders(), leftovers.databases(), leftovers.processes()]
    (slow / "up.sql").write_text("SELECT 1;")

    rehearse(live, folder.path, clone=CloneKind.TEMPLATE)

    assert [len(left) for left in after_template] == [1, 1, 0]
    assert [len(left) for left in after_basebackup] == [1, 0, 1]  # the second one had tidied up after the first
    assert leftovers.found() == []
