import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from hansa import migrate
from hansa.migrate import errors, resetting
from hansa.migrate.cli import app
from hansa.migrate.resetting import NotForReset

A, B = "20260101T000000_a", "20260102T000000_b"


def test_everything_goes_and_all_revisions_run_again(folder, dsn, ask):
    folder.revision(A, up='CREATE SCHEMA "My Shop"; CREATE TABLE "My Shop".t (n int); CREATE TABLE a (n int);')
    migrate.up(dsn, folder.path)
    ask(
        'INSERT INTO a VALUES (1); CREATE SCHEMA pgx; CREATE TABLE pgx.theirs (n int); CREATE TABLE "My Shop".o (n int)'
    )
    (folder.path / A / "up.sql").write_text("CREATE TABLE a (n int, m int);")

    report = migrate.reset(dsn, folder.path)

    assert report.revisions == (A,)
    assert ask("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information' ORDER BY 1") == [
        ("mig",),
        ("public",),
    ]
    assert ask("SELECT to_jsonb(a) FROM a") == []
    assert ask("SELECT count(*) FROM mig.events") == [(1,)]
    assert migrate.status(dsn, folder.path).problems == ()
    assert migrate.drift(dsn).ok


def test_what_belongs_to_the_database_as_a_whole_goes_too(folder, dsn, ask):
    up = """
        CREATE TABLE a (n int);
        CREATE PUBLICATION news FOR TABLE a;
        CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
        CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION refuse();
        CREATE FOREIGN DATA WRAPPER elsewhere;
        CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;
    """
    folder.revision(A, up=up)
    migrate.up(dsn, folder.path)

    assert migrate.reset(dsn, folder.path).revisions == (A,)


def test_the_public_schema_is_as_in_a_new_database(folder, dsn, ask):
    query = "SELECT nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE nspname = 'public'"
    new = ask(query)
    folder.table(A, "a")

    migrate.reset(dsn, folder.path)

    assert ask(query) == new


def test_the_owner_of_a_database_can_reset_it_without_being_superuser(folder, dsn, ask):
    role = f"owner_{dsn.partition('dbname=engine_')[2][:8]}"
    name = sql.Identifier(dsn.partition("dbname=")[2].split()[0]).as_string()
    ask(f"CREATE ROLE {role} LOGIN PASSWORD 'own'; ALTER DATABASE {name} OWNER TO {role}")
    folder.table(A, "a")
    own = make_conninfo(dsn, user=role, password="own")
    try:
        migrate.up(own, folder.path)

        assert migrate.reset(own, folder.path).revisions == (A,)
    finally:
        ask(f"ALTER DATABASE {name} OWNER TO postgres; DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_a_broken_folder_is_found_before_anything_is_lost(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    folder.revision(B, up="SELECT 'unterminated;")

    with pytest.raises(errors.Unterminated):
        migrate.reset(dsn, folder.path)

    assert ask("SELECT to_regclass('a') IS NOT NULL") == [(True,)]


def test_production_is_never_reset(folder, dsn, ask, monkeypatch):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    monkeypatch.setenv("SHOP_ENV", "production")

    with pytest.raises(NotForReset, match="SHOP_ENV is production"):
        migrate.reset(dsn, folder.path, environment_variable="SHOP_ENV")

    assert ask("SELECT count(*) FROM mig.revisions") == [(1,)]


@pytest.mark.parametrize(
    ("dsn", "environment"),
    [
        ("host=db.example.com dbname=x", {}),
        ("postgresql://db.example.com/x", {}),
        ("postgresql://127.0.0.1,db.example.com/x", {}),
        ("host=localhost hostaddr=10.0.0.5 dbname=x", {}),
        ("host=10.0.0.5 dbname=x", {}),
        ("dbname=x", {"PGHOST": "db.example.com"}),
        ("dbname=x", {"PGHOSTADDR": "10.0.0.5"}),
        ("host=localhost dbname=x", {"PGHOSTADDR": "10.0.0.5"}),
    ],
)
def test_a_server_on_another_machine_is_never_reset_nor_even_asked(folder, monkeypatch, dsn, environment):
    folder.table(A, "a")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(resetting, "locked", lambda *_: pytest.fail("it was asked"))

    with pytest.raises(NotForReset, match=r"not this machine"):
        migrate.reset(dsn, folder.path)


def test_a_service_file_does_not_hide_where_the_server_is(folder, monkeypatch, tmp_path):
    folder.table(A, "a")
    (tmp_path / "services").write_text("[prod]\nhost=db.example.com\ndbname=x\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setattr(resetting, "locked", lambda *_: pytest.fail("it was asked"))

    with pytest.raises(NotForReset, match="prod"):
        migrate.reset("service=prod", folder.path)
    monkeypatch.setenv("PGSERVICE", "prod")
    with pytest.raises(NotForReset, match="prod"):
        migrate.reset("dbname=x", folder.path)


def test_nonsense_for_a_connection_string_is_refused_by_name(folder):
    folder.table(A, "a")

    with pytest.raises(errors.Unreachable):
        migrate.reset("not a connection string", folder.path)


def test_the_command_asks_first(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask("INSERT INTO a VALUES (1)")
    place = ["--dir", str(folder.path), "--dsn", dsn]

    refused = CliRunner().invoke(app, ["reset", *place], input="n\n")
    kept = ask("SELECT count(*) FROM a")
    done = CliRunner().invoke(app, ["reset", *place], input="y\n")

    assert (refused.exit_code, kept) == (1, [(1,)])
    assert (done.exit_code, done.stdout.splitlines()[-1].split()[:2]) == (0, ["applied", A])
    assert ask("SELECT count(*) FROM a") == [(0,)]
