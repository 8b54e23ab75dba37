"""A live catalog against the one that its migrations led to, and two databases against each other."""

import psycopg
import pytest

from hansa import migrate
from hansa.migrate.catalog import NothingToCompare, SchemaMissing, UnreadableSnapshot, snapshot
from hansa.migrate.drift import diff, drift, expected, remember

A, B = "20260101T000000_a", "20260102T000000_b"
EVENTS = """
  CREATE TABLE events (at date NOT NULL, id bigint) PARTITION BY RANGE (at);
  CREATE INDEX events_id ON events (id);
  CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE other (at date) PARTITION BY RANGE (at);
"""


@pytest.fixture
def db(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path):
    """Writes a revision and returns the folder of all of them."""

    def write(name, up):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.toml").write_text('irreversible = "not asked for"')
        (tmp_path / name / "up.sql").write_text(up)
        return tmp_path

    return write


def test_before_anything_was_recorded_there_is_nothing_to_compare_with(dsn, db):
    with pytest.raises(NothingToCompare):
        drift(dsn)

    assert expected(db) is None


def test_a_migrated_database_has_no_drift_and_reading_it_writes_nothing(dsn, db, folder):
    migrate.up(dsn, folder(A, "CREATE TABLE a (id bigint PRIMARY KEY)"))
    before = db.execute("SELECT * FROM mig.catalog_snapshots").fetchall()

    found = drift(dsn)

    assert (found.ok, found.differences, found.soft, found.sentences) == (True, (), (), ())
    assert found.expected == found.found == snapshot(db).digest
    assert db.execute("SELECT * FROM mig.catalog_snapshots").fetchall() == before


def test_a_change_by_hand_is_drift_and_the_next_migration_does_not_bless_it(dsn, db, folder):
    migrate.up(dsn, folder(A, "CREATE TABLE a (id bigint, kind text); CREATE INDEX a_kind ON a (kind)"))
    db.execute("DROP INDEX a_kind; ALTER TABLE a ENABLE ROW LEVEL SECURITY")
    first = drift(dsn)

    migrate.up(dsn, folder(B, "ALTER TABLE a ADD COLUMN note text"))
    second = drift(dsn)

    said = ("index public.a_kind is gone", "row-level security of public.a is switched on")
    assert (first.ok, first.sentences) == (False, said)
    assert (second.ok, second.sentences) == (False, said)
    assert second.event > first.event


def test_what_was_undone_by_hand_is_no_drift_any_more(dsn, db, folder):
    migrate.up(dsn, folder(A, "CREATE TABLE a (id bigint); CREATE INDEX a_id ON a (id)"))
    db.execute("DROP INDEX a_id")
    gone = drift(dsn)

    db.execute("CREATE INDEX a_id ON a (id)")

    assert (gone.ok, drift(dsn).ok) == (False, True)


def test_another_order_of_columns_is_told_and_is_no_drift(dsn, db, folder):
    migrate.up(dsn, folder(A, "CREATE TABLE a (x int, y int)"))

    db.execute("ALTER TABLE a DROP COLUMN x; ALTER TABLE a ADD COLUMN x int")

    found = drift(dsn)
    assert (found.ok, found.differences) == (True, ())
    assert found.sentences == ("column order of table public.a is y, x, was x, y",)


def test_the_latest_record_is_in_force(dsn, db, folder):
    migrate.up(dsn, folder(A, "CREATE TABLE a (id bigint)"))
    db.execute("CREATE TABLE by_hand (id bigint)")

    remember(db, 99, snapshot(db))

    assert (drift(dsn).event, drift(dsn).ok) == (99, True)


def test_partitions_that_a_policy_makes_and_retires_are_no_drift(dsn, db, folder):
    migrate.up(dsn, folder(A, EVENTS))
    db.execute("INSERT INTO mig.partition_policies (parent, step, ahead) VALUES ('public.events', '1 month', 3)")

    db.execute("ALTER TABLE events DETACH PARTITION events_1")
    db.execute("CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
    kept = drift(dsn)
    db.execute("CREATE TABLE other_1 PARTITION OF other FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
    db.execute("DROP INDEX events_id")

    assert (kept.ok, kept.found == kept.expected) == (True, False)
    assert drift(dsn).sentences == ("index public.events_id is gone", "table public.other_1 is new")


def test_a_record_of_another_format_is_refused(dsn, db, folder):
    migrate.up(dsn, folder(A, "CREATE TABLE a (id bigint)"))

    db.execute("""UPDATE mig.catalog_snapshots SET objects = jsonb_set(objects, '{format}', '0')""")

    with pytest.raises(UnreadableSnapshot, match="format 0"):
        drift(dsn)


def test_two_databases_are_compared_without_their_owners_unless_asked(trade_dsn, trade, roles, dsn, db):
    db.execute("CREATE SCHEMA trade; CREATE TABLE trade.base (id integer)")
    db.execute(f"ALTER TABLE trade.base OWNER TO {roles['guest']}".encode())

    found = {one.object: one.sentence for one in diff(dsn, trade_dsn)}
    with_owners = {one.sentence for one in diff(dsn, trade_dsn, owners=True)}
    backwards = {one.object: one.sentence for one in diff(trade_dsn, dsn)}

    assert found["column trade.base.id"] == "type of column trade.base.id is bigint, was integer"
    assert found["table trade.orders"] == "table trade.orders is new"
    assert backwards["table trade.orders"] == "table trade.orders is gone"
    owner = f"owner of table trade.base is postgres, was {roles['guest']}"
    assert owner in with_owners
    assert owner not in found.values()
    assert diff(trade_dsn, trade_dsn) == ()

    db.execute(f"REASSIGN OWNED BY {roles['guest']} TO postgres".encode())


def test_a_schema_that_is_in_neither_database_is_refused(dsn, trade_dsn):
    assert [one.object for one in diff(dsn, trade_dsn, schemas=["trade"])] == ["schema trade"]

    with pytest.raises(SchemaMissing, match="traed"):
        diff(dsn, trade_dsn, schemas=["traed"])
