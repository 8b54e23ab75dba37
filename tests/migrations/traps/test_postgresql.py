"""Traps that PostgreSQL sets for everybody, whatever the migration is about."""

from __future__ import annotations

import subprocess
import time

import psycopg
import pytest
from psycopg import errors as pg
from psycopg.conninfo import make_conninfo

from hansa import migrate
from hansa.infra.embedded.binaries import find_binaries
from hansa.migrate import errors, testing
from hansa.migrate.options import Options
from hansa.migrate.session import connect, locked

A, B = "20260101T000000_a", "20260102T000000_b"
ALONE = "transactional = false"


@pytest.fixture
def autocommit(dsn):
    """A session in an empty database of this test's own."""
    with connect(dsn) as connection:
        yield connection


# --- what goes on, and what stops -------------------------------------------------------------------------------------


def test_psql_says_that_all_is_well_after_a_file_in_which_a_statement_failed(folder, dsn, tmp_path):
    script = tmp_path / "migration.sql"
    script.write_text("ALTER TABLE nowhere ADD COLUMN n int;\nCREATE TABLE half (n int);\n")
    programs = find_binaries()
    command = [str(programs.bin / "psql"), "-X", "-q", "-f", str(script), dsn]

    psql = subprocess.run(command, env=programs.env, capture_output=True, text=True, check=False, timeout=60)
    folder.revision(A, up="CREATE TABLE whole (n int);\n" + script.read_text())
    with pytest.raises(errors.StatementFailed, match="statement 2, line 2"):
        migrate.up(dsn, folder.path)

    assert psql.returncode == 0
    assert 'relation "nowhere" does not exist' in psql.stderr
    with connect(dsn) as connection:
        assert connection.execute("SELECT to_regclass('half'), to_regclass('whole')").fetchall() == [("half", None)]


def test_a_search_path_to_a_schema_that_is_not_there_creates_in_public(trap):
    trap.run("SET LOCAL search_path TO tenant_1, public; CREATE TABLE stray (n int)")

    assert trap.one("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'stray'") == "public"
    assert isinstance(trap.refused("CREATE TABLE tenant_1.stray (n int)"), pg.InvalidSchemaName)


def test_two_systems_in_one_schema_collide_or_replace_each_other_in_silence(trap):
    trap.run('CREATE TABLE users (id uuid); CREATE TABLE agents (did text); CREATE TABLE "Agent" (id uuid)')
    function = (
        "CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} END'"
    )
    trap.run(function.format("NEW.updated_at := now(); RETURN NEW;"))

    assert isinstance(trap.refused("CREATE TABLE users (id uuid, username text)"), pg.DuplicateTable)
    assert isinstance(trap.refused("SELECT * FROM Agent"), pg.UndefinedTable)
    trap.run(function.format("RETURN NULL;"))

    assert (
        trap.one("SELECT prosrc FROM pg_proc WHERE oid = 'update_updated_at_column'::regproc")
        == "BEGIN RETURN NULL; END"
    )
    kept = "SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = 'update_updated_at_column' ORDER BY 1"
    assert trap.run(kept) == [("identity",), ("market",), ("public",)]


def test_long_names_are_cut_until_two_are_one_and_the_engine_refuses_them(trap, server_dsn, template):
    long = "idx_" + "x" * 59
    trap.run(f"CREATE TABLE t (n int); CREATE INDEX {long}_of_agents ON t (n)")

    assert "will be truncated" in trap.notices[0]
    assert isinstance(trap.refused(f"CREATE INDEX {long}_of_users ON t (n)"), pg.DuplicateTable)
    with pytest.raises(errors.BadRequest, match="longer than the 63 bytes"):
        testing.clone(server_dsn, template, f"{long}_of_agents")


def test_a_percent_sign_is_a_placeholder_for_a_driver_that_was_given_values_and_not_for_the_engine(trap, folder, dsn):
    up = "CREATE TABLE fees (n int);\nCOMMENT ON TABLE fees IS '5 % of it';"

    with pytest.raises(psycopg.ProgrammingError, match="incomplete placeholder"):
        trap.connection.execute(up, [])
    folder.revision(A, up=up, down="DROP TABLE fees;")
    migrate.up(dsn, folder.path)

    with connect(dsn) as connection:
        assert connection.execute("SELECT obj_description('fees'::regclass)").fetchall() == [("5 % of it",)]


# --- building beside the traffic --------------------------------------------------------------------------------------


def test_an_index_beside_the_traffic_wants_to_stand_alone_and_the_engine_sends_it_so(trap, folder, dsn, autocommit):
    autocommit.execute("CREATE TABLE t (n int)")
    build = "CREATE INDEX CONCURRENTLY t_n ON t (n)"

    assert isinstance(trap.refused(f"CREATE TABLE t (n int); {build}"), pg.ActiveSqlTransaction)
    with pytest.raises(pg.ActiveSqlTransaction):
        autocommit.execute(f"SELECT 1; {build}")
    folder.revision(A, meta=ALONE, up=f"SELECT 1; {build};", down="DROP INDEX t_n;")
    migrate.up(dsn, folder.path)

    assert autocommit.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass").fetchall() == [
        (True,)
    ]


PARTITIONS = """
    CREATE TABLE t (n int, day date) PARTITION BY RANGE (day);
    CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
"""


def test_a_partitioned_table_gets_its_index_partition_by_partition(trap, autocommit):
    autocommit.execute(PARTITIONS)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass"
    with pytest.raises(pg.FeatureNotSupported):
        autocommit.execute("CREATE INDEX CONCURRENTLY t_n ON t (n)")

    autocommit.execute("CREATE INDEX t_n ON ONLY t (n)")
    states = []
    for part in ("t_1", "t_2"):
        states += autocommit.execute(valid).fetchone()
        autocommit.execute(f"CREATE INDEX CONCURRENTLY {part}_n ON {part} (n)")
        autocommit.execute(f"ALTER INDEX t_n ATTACH PARTITION {part}_n")

    assert states == [False, False]
    assert autocommit.execute(valid).fetchone() == (True,)


def test_rows_in_a_default_partition_forbid_the_right_one_and_its_parent_cannot_let_go_beside_the_traffic(autocommit):
    autocommit.execute(PARTITIONS + "CREATE TABLE rest PARTITION OF t DEFAULT; INSERT INTO t VALUES (1, '2026-03-15')")
    march = "CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')"

    with pytest.raises(pg.CheckViolation):
        autocommit.execute(march)
    with pytest.raises(pg.ObjectNotInPrerequisiteState):
        autocommit.execute("ALTER TABLE t DETACH PARTITION t_1 CONCURRENTLY")
    autocommit.execute("DELETE FROM rest; ALTER TABLE t DETACH PARTITION rest; " + march)
    autocommit.execute("ALTER TABLE t DETACH PARTITION t_1 CONCURRENTLY")

    with pytest.raises(pg.CheckViolation):
        autocommit.execute("INSERT INTO t VALUES (1, '2026-05-01')")  # a gap is an error at once, not a heap of rows


def test_a_constraint_that_is_not_validated_still_stops_the_update_of_an_old_row(trap):
    trap.run("CREATE TABLE t (n int, note text); INSERT INTO t VALUES (-1)")
    trap.run("ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0) NOT VALID")

    assert trap.refused("UPDATE t SET note = 'unrelated'").diag.constraint_name == "positive"

    trap.run("UPDATE t SET n = 1; ALTER TABLE t VALIDATE CONSTRAINT positive; UPDATE t SET note = 'unrelated'")


def test_a_partitioned_table_takes_a_foreign_key_that_looks_later(trap):
    trap.run(PARTITIONS + "CREATE TABLE known (n int PRIMARY KEY); INSERT INTO t VALUES (7, '2026-01-15')")
    validate = "ALTER TABLE t VALIDATE CONSTRAINT of_known"

    trap.run("ALTER TABLE t ADD CONSTRAINT of_known FOREIGN KEY (n) REFERENCES known NOT VALID")

    assert isinstance(trap.refused(validate), pg.ForeignKeyViolation)
    trap.run("INSERT INTO known VALUES (7);" + validate)


def test_a_check_that_was_made_without_force_never_gets_it(trap):
    trap.run("CREATE TABLE t (n int CONSTRAINT positive CHECK (n > 0) NOT ENFORCED); INSERT INTO t VALUES (-1)")

    assert isinstance(
        trap.refused("ALTER TABLE t ALTER CONSTRAINT positive ENFORCED"), pg.FeatureNotSupported | pg.WrongObjectType
    )

    trap.run("DELETE FROM t; ALTER TABLE t DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (n > 0)")
    assert trap.refused("INSERT INTO t VALUES (-1)").diag.constraint_name == "positive"


def test_one_command_drops_the_proof_before_it_needs_it_and_two_do_not(trap):
    trap.run(
        """
        CREATE TABLE t (n int);
        INSERT INTO t SELECT generate_series(1, 100);
        ALTER TABLE t ADD CONSTRAINT there CHECK (n IS NOT NULL);
        SET LOCAL client_min_messages = debug1;
        """
    )
    proof = 'existing constraints on column "t.n" are sufficient to prove that it does not contain nulls'

    with trap.connection.transaction(force_rollback=True):
        trap.run("ALTER TABLE t ALTER n SET NOT NULL, DROP CONSTRAINT there")
        scanned = proof not in trap.notices
    trap.notices.clear()
    trap.run("ALTER TABLE t ALTER n SET NOT NULL")
    proven = proof in trap.notices

    assert (scanned, proven) == (True, True)
    trap.run("ALTER TABLE t DROP CONSTRAINT there, ALTER n DROP NOT NULL")
    trap.run("ALTER TABLE t ADD CONSTRAINT n_there NOT NULL n NOT VALID")
    trap.run("ALTER TABLE t VALIDATE CONSTRAINT n_there")
    assert trap.columns("t") == {"n": "integer not null"}


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_a_waiting_alter_stops_all_readers_behind_it_and_a_short_lock_timeout_lets_them_go(dsn, autocommit):
    autocommit.execute("CREATE TABLE t (n int)")

    with connect(dsn) as reader, connect(dsn) as migration, connect(dsn) as other, reader.transaction():
        reader.execute("SELECT * FROM t")
        other.execute("SET lock_timeout = '150ms'")
        migration.pgconn.send_query(b"ALTER TABLE t ADD COLUMN m int")
        wait_for(autocommit, "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")
        with pytest.raises(pg.LockNotAvailable):
            other.execute("SELECT * FROM t")
        migration.cancel_safe()
        while migration.pgconn.get_result():
            pass

        migration.execute("SET lock_timeout = '50ms'")
        with pytest.raises(pg.LockNotAvailable):
            migration.execute("ALTER TABLE t ADD COLUMN m int")
        assert other.execute("SELECT * FROM t").fetchall() == []


def test_every_statement_of_the_engine_has_a_lock_timeout(folder, dsn, autocommit):
    autocommit.execute("CREATE TABLE t (n int)")
    folder.revision(A, up="ALTER TABLE t ADD COLUMN m int;", down="ALTER TABLE t DROP COLUMN m;")
    quick = Options(lock_timeout_s=0.05, tries=2, backoff_s=0.01)

    with autocommit.transaction():
        autocommit.execute("SELECT * FROM t")
        with pytest.raises(errors.LockTimeout, match="gave up after 2 tries"):
            migrate.up(dsn, folder.path, options=quick)

    assert migrate.up(dsn, folder.path, options=quick).revisions == (A,)


def test_a_statement_outlives_its_killed_client_unless_the_server_looks_after_it(dsn, autocommit):
    ours = []
    for interval in ("0", "50ms"):
        client = connect(dsn)
        client.execute(f"SET client_connection_check_interval = '{interval}'")
        ours.append(client.info.backend_pid)
        client.pgconn.send_query(b"SELECT pg_sleep(30)")
        wait_for(autocommit, f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {ours[-1]}")
        client.pgconn.finish()  # as when the process is killed: the socket closes and nothing is said

    wait_for(autocommit, f"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = {ours[1]}")
    still = autocommit.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [ours[0]]).fetchone()
    autocommit.execute("SELECT pg_terminate_backend(%s, 5000)", [ours[0]])

    assert still == (1,)
    with locked(dsn, Options()) as session:
        assert session.connection.execute("SHOW client_connection_check_interval").fetchone() == ("1s",)


def test_a_template_with_one_visitor_cannot_be_copied_and_nobody_may_visit_ours(server_dsn, template, dsn, autocommit):
    database = autocommit.info.dbname
    with connect(server_dsn) as server:
        server.execute("SET statement_timeout = '300ms'")  # it would wait for five seconds, and then say who is there
        with pytest.raises(pg.QueryCanceled):
            server.execute(f"CREATE DATABASE {database}_copy TEMPLATE {database}")

    with pytest.raises(errors.Unreachable, match="not currently accepting connections"):
        connect(make_conninfo(server_dsn, dbname=template))


def wait_for(connection, condition):
    deadline = time.monotonic() + 20
    while connection.execute(condition).fetchone() != (True,):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


# --- views, routines, plans -------------------------------------------------------------------------------------------


def test_a_view_sees_with_the_eyes_of_its_owner_unless_it_says_otherwise_and_all_of_ours_do(trap):
    trap.run(
        """
        CREATE TABLE secrets (owner text);
        INSERT INTO secrets VALUES ('somebody else');
        ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON secrets USING (owner = current_user);
        CREATE VIEW leaks AS SELECT * FROM secrets;
        CREATE VIEW obeys WITH (security_invoker) AS SELECT * FROM secrets;
        GRANT SELECT ON secrets, leaks, obeys TO hansa_app;
        """
    )
    open_views = trap.run(
        """
        SELECT oid::regclass::text FROM pg_class
         WHERE relkind = 'v' AND NOT coalesce(reloptions::text[] && '{security_invoker=true,security_invoker=on}', false)
           AND relnamespace::regnamespace::text NOT IN ('public', 'pg_catalog', 'information_schema')
        """
    )

    trap.run("SET LOCAL ROLE hansa_app")

    assert trap.run("SELECT (SELECT count(*) FROM leaks), (SELECT count(*) FROM obeys)") == [(1, 0)]
    assert open_views == []


@pytest.mark.parametrize(
    ("replacement", "refusal"),
    [
        ("FUNCTION twice(number int) RETURNS int LANGUAGE sql AS 'SELECT 2 * number'", pg.InvalidFunctionDefinition),
        ("FUNCTION twice(n int) RETURNS bigint LANGUAGE sql AS 'SELECT 2 * n'", pg.InvalidFunctionDefinition),
        ("VIEW shown AS SELECT 1 AS a", pg.InvalidTableDefinition),
    ],
)
def test_replacing_cannot_rename_a_parameter_change_a_result_or_drop_a_column(trap, replacement, refusal):
    trap.run("CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'")
    trap.run("CREATE VIEW shown AS SELECT 1 AS a, twice(1) AS b")

    assert isinstance(trap.refused(f"CREATE OR REPLACE {replacement}"), refusal)

    trap.run(f"DROP VIEW shown; DROP FUNCTION twice; CREATE {replacement}")


def test_a_changed_type_breaks_the_prepared_statements_of_open_connections_until_they_are_replaced(dsn, autocommit):
    autocommit.execute("CREATE TYPE txs AS ENUM ('pending', 'confirmed'); CREATE TABLE t (status text)")
    autocommit.execute("INSERT INTO t VALUES ('pending')")
    read, write = "SELECT status FROM t", "UPDATE t SET status = %s::text"

    with psycopg.connect(dsn, autocommit=True) as client:
        client.execute(read, prepare=True)
        client.execute(write, ["pending"], prepare=True)
        autocommit.execute("ALTER TABLE t ALTER status TYPE txs USING status::txs")
        for _ in range(2):
            with pytest.raises(pg.FeatureNotSupported, match="cached plan must not change result type"):
                client.execute(read, prepare=True)
            with pytest.raises(pg.DatatypeMismatch):
                client.execute(write, ["confirmed"], prepare=True)

    with psycopg.connect(dsn, autocommit=True) as fresh:
        assert fresh.execute("UPDATE t SET status = 'confirmed' RETURNING status::text").fetchall() == [("confirmed",)]
        assert fresh.execute(read, prepare=True).fetchall() == [("confirmed",)]
