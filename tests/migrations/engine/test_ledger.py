import psycopg
import pytest

from hansa import migrate
from hansa.migrate import errors

A, B = "20260101T000000_a", "20260102T000000_b"


@pytest.fixture
def applied(folder, dsn):
    folder.table(A, "a")
    folder.table(B, "b")
    migrate.up(dsn, folder.path)
    migrate.verify(dsn, folder.path)
    return folder


def tamper(ask, statement):
    """What a superuser can do who wants to: switch the trigger off first."""
    ask(f"""
        ALTER TABLE mig.events DISABLE TRIGGER events_are_append_only;
        {statement};
        ALTER TABLE mig.events ENABLE ALWAYS TRIGGER events_are_append_only;
    """)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE mig.events SET actor = 'nobody'", "DELETE FROM mig.events WHERE n = 4", "TRUNCATE mig.events CASCADE"],
)
def test_the_event_log_refuses_every_change(applied, ask, statement):
    with pytest.raises(psycopg.errors.RestrictViolation) as refused:
        ask(f"SET session_replication_role = replica; {statement}")

    assert refused.value.diag.constraint_name == "events_are_append_only"
    assert ask("SELECT count(*) FROM mig.events") == [(4,)]


@pytest.mark.parametrize(
    ("statement", "link", "reason"),
    [
        ("UPDATE mig.events SET actor = 'nobody' WHERE n = 2", 2, "content of event 2"),
        ("UPDATE mig.events SET at = at + interval '1 microsecond' WHERE n = 1", 1, "content of event 1"),
        ("UPDATE mig.events SET detail = 'x', hash = md5('x') WHERE n = 3", 3, "content of event 3"),
        ("DELETE FROM mig.events WHERE n = 3", 3, "event 3 is gone"),
        ("UPDATE mig.events SET prev_hash = repeat('1', 64) WHERE n = 4", 4, "does not follow"),
        ("DELETE FROM mig.revisions WHERE event = 1", 5, A),
        ("UPDATE mig.revisions SET checksum = repeat('0', 64) WHERE event = 2", 5, B),
    ],
)
def test_the_first_broken_link_is_named_and_stops_every_command(applied, dsn, ask, statement, link, reason):
    tamper(ask, statement)

    status = migrate.status(dsn, applied.path)

    assert status.problems[0].code == "broken_chain"
    assert f"link {link}:" in status.problems[0].message
    assert reason in status.problems[0].message
    with pytest.raises(errors.BrokenChain, match=f"link {link}:"):
        migrate.up(dsn, applied.path)
    with pytest.raises(errors.BrokenChain):
        migrate.down(dsn, applied.path, everything=True)
    assert ask("SELECT to_regclass('a') IS NOT NULL") == [(True,)]


def test_a_ledger_of_a_later_engine_is_refused(applied, dsn, ask):
    ask("INSERT INTO mig.engine (version) VALUES (99)")

    with pytest.raises(errors.EngineTooOld, match="99"):
        migrate.up(dsn, applied.path)
    with pytest.raises(errors.EngineTooOld):
        migrate.status(dsn, applied.path)


def test_every_table_column_and_function_of_the_ledger_is_described(applied, ask):
    undescribed = ask("""
        SELECT c.relname, a.attname
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum >= 0
        WHERE c.relnamespace = 'mig'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
          AND col_description(c.oid, a.attnum) IS NULL
        UNION ALL
        SELECT proname, '' FROM pg_proc
        WHERE pronamespace = 'mig'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
    """)

    assert undescribed == []
