"""What the rules say about locks is what PostgreSQL does."""

import contextlib
import threading
import time
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from hansa.migrate.locking import locks_of
from hansa.migrate.locking.modes import MODES, ROW_SHARE, strength
from hansa.migrate.locking.relations import Relations
from hansa.migrate.splitter import split

SCHEMA = """
CREATE SCHEMA shop;
CREATE DOMAIN shop.price AS integer;
CREATE TYPE shop.pair AS (one integer);
CREATE TABLE shop.buyers (id integer PRIMARY KEY, name text NOT NULL, city text, "Mixed" integer);
CREATE TABLE shop.orders (
  id integer CONSTRAINT orders_pkey PRIMARY KEY,
  buyer integer NOT NULL CONSTRAINT order_has_buyer REFERENCES shop.buyers,
  note text, cost shop.price CONSTRAINT cost_positive CHECK (cost > 0)
);
CREATE TABLE shop.loose (id integer, buyer integer, n serial);
CREATE TABLE shop.parent (id integer);
CREATE TABLE shop.days (day integer NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE shop.days_1 PARTITION OF shop.days FOR VALUES FROM (1) TO (10);
CREATE TABLE shop.days_rest PARTITION OF shop.days DEFAULT;
CREATE TABLE shop.days_2 (day integer NOT NULL);
CREATE INDEX orders_by_note ON shop.orders (note);
CREATE INDEX days_by_day ON ONLY shop.days (day);
CREATE INDEX days_1_by_day ON shop.days_1 (day);
CREATE VIEW shop.open AS SELECT id, note FROM shop.orders;
CREATE MATERIALIZED VIEW shop.totals AS SELECT id FROM shop.buyers;
CREATE UNIQUE INDEX totals_once ON shop.totals (id);
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE POLICY own ON shop.orders USING (true);
CREATE RULE quiet AS ON DELETE TO shop.buyers DO INSTEAD NOTHING;
CREATE STATISTICS shop.linked ON id, buyer FROM shop.loose;
CREATE PUBLICATION feed FOR TABLE shop.buyers;
ALTER TABLE shop.loose ADD CONSTRAINT loose_has_buyer FOREIGN KEY (buyer) REFERENCES shop.buyers NOT VALID;
ALTER TABLE shop.loose ADD CONSTRAINT loose_positive CHECK (id > 0) NOT VALID;
"""

IN_A_TRANSACTION = [
    *(
        f"ALTER TABLE shop.orders {action}"
        for action in (
            "ADD COLUMN more text",
            "ADD COLUMN other integer REFERENCES shop.buyers",
            "DROP COLUMN note CASCADE",
            "DROP COLUMN buyer",
            "ALTER COLUMN note SET NOT NULL",
            "ALTER COLUMN note SET STATISTICS 50",
            "ALTER note SET (n_distinct = 5)",
            "ALTER COLUMN note SET STORAGE EXTERNAL",
            "ALTER COLUMN note SET COMPRESSION pglz",
            "ADD CONSTRAINT note_short CHECK (length(note) < 9) NOT VALID",
            "ADD CONSTRAINT note_known NOT NULL note NOT VALID",
            "ADD UNIQUE (note)",
            "ADD FOREIGN KEY (id) REFERENCES shop.buyers (id)",
            "DROP CONSTRAINT order_has_buyer",
            "DROP CONSTRAINT cost_positive",
            "RENAME TO bought",
            "RENAME COLUMN note TO remark",
            "RENAME CONSTRAINT cost_positive TO cost_is_positive",
            "SET SCHEMA public",
            "OWNER TO CURRENT_USER",
            "DISABLE TRIGGER touched",
            "ENABLE ALWAYS TRIGGER touched",
            "ENABLE ROW LEVEL SECURITY",
            "FORCE ROW LEVEL SECURITY",
            "SET (fillfactor = 80, toast.autovacuum_enabled = false)",
            "SET (user_catalog_table = true)",
            "RESET (fillfactor)",
            "SET UNLOGGED",
            "REPLICA IDENTITY FULL",
            "CLUSTER ON orders_by_note",
            "SET WITHOUT CLUSTER",
            "ADD COLUMN a integer, ALTER COLUMN note SET STATISTICS 9",
        )
    ),
    "ALTER TABLE shop.buyers ALTER COLUMN city TYPE varchar(9), ALTER city SET DEFAULT 'x'",
    "ALTER TABLE shop.loose VALIDATE CONSTRAINT loose_positive",
    "ALTER TABLE shop.loose VALIDATE CONSTRAINT loose_has_buyer",
    "ALTER TABLE IF EXISTS ONLY shop.loose INHERIT shop.parent",
    "ALTER TABLE shop.days ATTACH PARTITION shop.days_2 FOR VALUES FROM (10) TO (20)",
    "ALTER TABLE shop.days DETACH PARTITION shop.days_1",
    'ALTER TABLE shop.buyers ALTER "Mixed" SET DEFAULT 1',
    "ALTER INDEX shop.orders_by_note RENAME TO by_note",
    "ALTER INDEX shop.orders_by_note SET (fillfactor = 80)",
    "ALTER INDEX shop.days_by_day ATTACH PARTITION shop.days_1_by_day",
    "ALTER VIEW shop.open SET (security_invoker = true)",
    "ALTER MATERIALIZED VIEW shop.totals RENAME TO sums",
    "ALTER SEQUENCE shop.loose_n_seq RESTART WITH 5",
    "ALTER SEQUENCE shop.loose_n_seq OWNER TO CURRENT_USER",
    "ALTER TRIGGER touched ON shop.orders RENAME TO stamped",
    "ALTER POLICY own ON shop.orders USING (false)",
    "ALTER RULE quiet ON shop.buyers RENAME TO silent",
    "ALTER DOMAIN shop.price ADD CONSTRAINT positive CHECK (VALUE > 0)",
    "ALTER DOMAIN shop.price ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID",
    "ALTER DOMAIN shop.price SET NOT NULL",
    "ALTER TYPE shop.pair ADD ATTRIBUTE two integer",
    "ALTER PUBLICATION feed ADD TABLE shop.orders",
    "CREATE TABLE shop.items (of integer REFERENCES shop.orders, by integer REFERENCES shop.buyers (id))",
    "CREATE TABLE shop.days_3 PARTITION OF shop.days FOR VALUES FROM (20) TO (30)",
    "CREATE TABLE shop.child () INHERITS (shop.parent)",
    "CREATE TABLE shop.copy AS SELECT * FROM shop.orders",
    "CREATE INDEX ON shop.orders (note) WHERE note <> ''",
    "CREATE UNIQUE INDEX orders_once ON ONLY shop.orders USING btree (note)",
    "CREATE OR REPLACE VIEW shop.open AS SELECT id, note, cost FROM shop.orders",
    "CREATE VIEW shop.closed AS SELECT id FROM shop.orders",
    "CREATE TRIGGER again AFTER UPDATE OF note ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch()",
    "CREATE POLICY more ON shop.buyers USING (true)",
    "CREATE OR REPLACE RULE quiet AS ON DELETE TO shop.buyers DO INSTEAD NOTHING",
    "CREATE STATISTICS shop.also ON id, note FROM shop.orders",
    "CREATE PUBLICATION other FOR TABLE shop.orders, ONLY shop.loose",
    "CREATE FUNCTION shop.one() RETURNS integer LANGUAGE sql RETURN 1",
    "CREATE TYPE shop.state AS ENUM ('new')",
    "DROP TABLE shop.orders CASCADE",
    "DROP TABLE shop.days_1, shop.parent",
    "DROP VIEW shop.open",
    "DROP MATERIALIZED VIEW shop.totals",
    "DROP INDEX shop.orders_by_note",
    "DROP TRIGGER touched ON shop.orders",
    "DROP POLICY IF EXISTS own ON shop.orders",
    "DROP RULE quiet ON shop.buyers",
    "DROP SEQUENCE shop.loose_n_seq CASCADE",
    "TRUNCATE shop.loose, shop.parent",
    "TRUNCATE TABLE shop.buyers CASCADE",
    "TRUNCATE TABLE ONLY shop.loose RESTART IDENTITY",
    *(f"LOCK TABLE shop.orders, shop.loose IN {mode} MODE" for mode in MODES[1:]),
    "LOCK shop.orders",
    "INSERT INTO shop.parent SELECT id FROM shop.orders ON CONFLICT DO NOTHING",
    "UPDATE ONLY shop.parent AS p SET id = o.id FROM shop.orders AS o",
    "DELETE FROM shop.loose USING shop.parent AS p WHERE p.id = loose.id",
    "MERGE INTO shop.parent AS p USING shop.orders AS o ON o.id = p.id WHEN MATCHED THEN UPDATE SET id = 1",
    "WITH gone AS (DELETE FROM shop.loose RETURNING id) INSERT INTO shop.parent SELECT id FROM gone",
    "SELECT id FROM shop.orders FOR NO KEY UPDATE",
    "SELECT id FROM shop.orders",
    "REFRESH MATERIALIZED VIEW shop.totals",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY shop.totals",
    "REINDEX TABLE shop.orders",
    "REINDEX INDEX shop.orders_by_note",
    "CLUSTER shop.orders USING orders_by_note",
    "ANALYZE shop.orders",
    "COMMENT ON TABLE shop.orders IS 'x'",
    "COMMENT ON COLUMN shop.orders.note IS 'x'",
    "COMMENT ON CONSTRAINT cost_positive ON shop.orders IS 'x'",
    "COMMENT ON TRIGGER touched ON shop.orders IS 'x'",
    "COMMENT ON SCHEMA shop IS 'x'",
    "GRANT SELECT ON shop.orders TO PUBLIC",
    "DO $$ BEGIN IF true THEN ALTER TABLE shop.orders ADD COLUMN more text; END IF; END $$",
]

# These refuse to run in a transaction: they are made to wait, and the lock they wait for is the one they take.
ALONE = [
    ("CREATE INDEX CONCURRENTLY slow ON shop.orders (cost)", "shop.orders"),
    ("DROP INDEX CONCURRENTLY shop.orders_by_note", "shop.orders"),
    ("REINDEX INDEX CONCURRENTLY shop.orders_by_note", "shop.orders"),
    ("REINDEX TABLE CONCURRENTLY shop.orders", "shop.orders"),
    ("ALTER TABLE shop.days DETACH PARTITION shop.days_1 CONCURRENTLY", "shop.days"),
    ("VACUUM shop.orders", "shop.orders"),
    ("VACUUM (FULL, ANALYZE) shop.orders", "shop.orders"),
    ("VACUUM FREEZE shop.orders", "shop.orders"),
]

# ShareRowExclusiveLock is SHARE ROW EXCLUSIVE.
MODE = r"upper(trim(regexp_replace(replace(mode, 'Lock', ''), '([A-Z])', ' \1', 'g')))"


@pytest.fixture(scope="module")
def shop_dsn(server_dsn):
    name = f"locks_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))
        dsn = make_conninfo(server_dsn, dbname=name)
        with psycopg.connect(dsn) as connection:
            connection.execute(SCHEMA)
        yield dsn
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def shop(shop_dsn):
    with psycopg.connect(shop_dsn) as connection:
        yield connection


def told(connection, statement):
    """What the rules say, by the number of the relation, as far as it is there."""
    found, relations = {}, Relations(connection)
    for lock in locks_of(statement):
        for relation in relations.of(lock):
            found[relation.oid] = max(found.get(relation.oid, ""), lock.mode, key=strength)
    return found


def held(connection, oids):
    """The strongest lock of this session on each of these relations, from ROW SHARE up."""
    rows = connection.execute(
        f"""
        SELECT relation::bigint, {MODE}
        FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND relation = ANY (%s)
        """,
        [list(oids)],
    ).fetchall()
    found = {}
    for oid, mode in rows:
        if strength(mode) >= strength(ROW_SHARE):
            found[oid] = max(found.get(oid, ""), mode, key=strength)
    return found


@pytest.mark.parametrize("text", IN_A_TRANSACTION)
def test_a_statement_takes_the_locks_that_the_rules_tell(shop, text):
    statement = split(text)[0]
    oids = {
        oid: (name, kind)
        for oid, name, kind in shop.execute(
            "SELECT oid::bigint, oid::regclass::text, relkind::text FROM pg_class WHERE relnamespace = 'shop'::regnamespace"
        )
    }
    expected = told(shop, statement)
    try:
        shop.execute(text.encode())
        found = held(shop, oids)
    finally:
        shop.rollback()

    # Indexes are locked along with every use of their table; only those that the statement is about count. What
    # CASCADE and routines lock besides is said to be unknown.
    unknown = any(not lock.relation for lock in locks_of(statement))
    counted = expected if unknown else {oid for oid, (_, kind) in oids.items() if kind not in "iI"} | expected.keys()
    assert {oids[oid][0]: mode for oid, mode in expected.items()} == {
        oids[oid][0]: mode for oid, mode in found.items() if oid in counted
    }


@pytest.mark.parametrize(("text", "table"), ALONE)
def test_a_statement_that_stands_alone_asks_for_the_lock_that_the_rules_tell(shop_dsn, shop, text, table):
    statement = split(text)[0]
    name = sql.Identifier(*table.split("."))
    (oid,) = shop.execute("SELECT %s::regclass::oid::bigint", [table]).fetchone()
    expected = told(shop, statement)[oid]
    shop.rollback()

    with psycopg.connect(shop_dsn) as blocker, psycopg.connect(shop_dsn, autocommit=True) as runner:
        blocker.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(name))
        thread = threading.Thread(target=attempt, args=(runner, text))
        thread.start()
        mode = awaited(blocker, runner.info.backend_pid, oid)
        runner.cancel_safe()
        thread.join()

    assert mode == expected


@pytest.mark.parametrize(
    "text",
    [
        "DO $$ BEGIN PERFORM shop.touch(); END $$",
        "CALL shop.tidy()",
        "SELECT shop.tidy()",
        "REINDEX SCHEMA shop",
        "VACUUM",
        "DROP OWNED BY somebody",
        "ALTER TABLE shop.orders EXPLODE",
        "DROP SCHEMA shop CASCADE",
    ],
)
def test_what_only_running_can_tell_is_said_to_be_unknown(text):
    locks = locks_of(split(text)[0])

    assert [(lock.relation, lock.mode, lock.blocks) for lock in locks][-1] == ("", "unknown", "unknown")
    assert all(lock.why for lock in locks)


def attempt(connection, text):
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        connection.execute(text.encode())


def awaited(connection, pid, oid):
    """The lock on a relation that another session waits for."""
    for _ in range(500):
        row = connection.execute(
            f"SELECT {MODE} FROM pg_locks WHERE pid = %s AND relation = %s AND NOT granted", [pid, oid]
        ).fetchone()
        if row is not None:
            return row[0]
        time.sleep(0.01)
    raise AssertionError("it never waited")
