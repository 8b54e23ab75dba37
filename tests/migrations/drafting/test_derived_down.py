"""A way back that nobody wrote leads back to the same catalog."""

import pytest

from hansa import migrate
from hansa.migrate.catalog import differences, snapshot
from hansa.migrate.errors import UnknownRevision
from hansa.migrate.session import connect
from hansa.migrate.undoing import derived_down

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))
BEFORE = """
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'paid');
CREATE DOMAIN shop.price AS integer CONSTRAINT price_positive CHECK (VALUE > 0);
CREATE SEQUENCE shop.numbers INCREMENT BY 5;
CREATE TABLE shop.buyers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL DEFAULT 'x', city text);
CREATE TABLE shop.orders (
  id integer CONSTRAINT orders_pkey PRIMARY KEY, buyer bigint CONSTRAINT order_has_buyer REFERENCES shop.buyers,
  status text NOT NULL DEFAULT 'new', cost shop.price, CONSTRAINT status_known CHECK (status IN ('new', 'paid'))
);
CREATE INDEX orders_by_status ON shop.orders (status) WHERE cost > 5;
CREATE VIEW shop.open WITH (security_barrier = true) AS SELECT id, status FROM shop.orders;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION shop.double(n integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN n * 2;
CREATE TRIGGER touched BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE POLICY own ON shop.orders FOR SELECT USING (id > 0);
CREATE TABLE shop.days (day integer) PARTITION BY RANGE (day);
CREATE TABLE shop.days_1 PARTITION OF shop.days FOR VALUES FROM (1) TO (10);
COMMENT ON TABLE shop.orders IS 'What''s bought.';
GRANT SELECT ON shop.orders TO PUBLIC;
"""


@pytest.fixture
def derive(server_dsn, directory, write):
    """Derives the way back of an up.sql that follows BEFORE."""

    def run(up):
        write(A, up=BEFORE)
        write(B, meta=f'requires = ["{A}"]', up=up, down="-- still to be written\n", verify="-- the same\n")
        write(C, meta=f'requires = ["{B}"]', up="SELECT 1 / 0;")
        return derived_down(server_dsn, directory, B)

    return run


@pytest.mark.parametrize(
    "up",
    [
        pytest.param(
            """
            CREATE SCHEMA store;
            CREATE TYPE store.kind AS ENUM ('a');
            CREATE TABLE store.a (id integer PRIMARY KEY, kind store.kind, other integer);
            CREATE TABLE store.b (id integer PRIMARY KEY REFERENCES store.a, n serial);
            ALTER TABLE store.a ADD FOREIGN KEY (other) REFERENCES store.b;
            CREATE VIEW store.joined AS SELECT a.id FROM store.a JOIN store.b USING (id);
            CREATE FUNCTION store.count() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM store.joined; END;
            CREATE MATERIALIZED VIEW store.counted AS SELECT store.count() AS n;
            CREATE FUNCTION store.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
            CREATE TRIGGER stamped BEFORE UPDATE ON store.a FOR EACH ROW EXECUTE FUNCTION store.stamp();
            CREATE POLICY own ON store.a USING (id IN (SELECT id FROM store.joined));
            CREATE DOMAIN store.rate AS numeric CHECK (VALUE >= 0);
            CREATE TABLE store.parts (n integer, rate store.rate) PARTITION BY LIST (n);
            CREATE TABLE store.parts_1 PARTITION OF store.parts FOR VALUES IN (1);
            CREATE INDEX ON store.parts (n);
            CREATE FUNCTION store.rank(store.kind) RETURNS integer LANGUAGE sql RETURN 1;
            CREATE FUNCTION store.add(integer, store.kind) RETURNS integer LANGUAGE sql RETURN $1;
            CREATE OPERATOR store.+ (FUNCTION = store.add, LEFTARG = integer, RIGHTARG = store.kind);
            CREATE AGGREGATE store.total(integer) (SFUNC = int4pl, STYPE = integer);
            CREATE CAST (store.kind AS integer) WITH FUNCTION store.rank(store.kind);
            CREATE PUBLICATION feed FOR TABLE store.a;
            """,
            id="everything new, with tables that reference each other",
        ),
        pytest.param(
            """
            ALTER TABLE shop.orders ADD COLUMN note text, ADD CONSTRAINT note_short CHECK (length(note) < 9);
            CREATE INDEX ON shop.orders (note);
            CREATE TRIGGER again AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
            CREATE POLICY more ON shop.orders USING (true);
            ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, SET (fillfactor = 70);
            COMMENT ON COLUMN shop.orders.note IS 'x';
            COMMENT ON TABLE shop.orders IS 'y';
            GRANT INSERT, UPDATE (status) ON shop.orders TO PUBLIC;
            REVOKE SELECT ON shop.orders FROM PUBLIC;
            ALTER TABLE shop.orders ALTER status SET STATISTICS 9, ALTER status DROP DEFAULT;
            ALTER TABLE shop.orders DISABLE TRIGGER touched;
            """,
            id="parts of a table",
        ),
        pytest.param(
            """
            ALTER TABLE shop.orders RENAME TO purchases;
            ALTER TABLE shop.purchases RENAME COLUMN status TO state;
            ALTER TABLE shop.purchases RENAME CONSTRAINT status_known TO state_known;
            ALTER INDEX shop.orders_by_status RENAME TO by_state;
            ALTER TYPE shop.state RENAME VALUE 'paid' TO 'settled';
            ALTER TYPE shop.state RENAME TO condition;
            ALTER FUNCTION shop.touch() RENAME TO stamp;
            ALTER TRIGGER touched ON shop.purchases RENAME TO stamped;
            ALTER VIEW shop.open SET SCHEMA public;
            ALTER SCHEMA shop RENAME TO store;
            """,
            id="renames of everything",
        ),
        pytest.param(
            """
            DROP VIEW shop.open;
            DROP INDEX shop.orders_by_status;
            DROP TRIGGER touched ON shop.orders;
            DROP POLICY own ON shop.orders;
            DROP FUNCTION shop.touch(), shop.double(integer);
            ALTER TABLE shop.orders DROP CONSTRAINT status_known, DROP CONSTRAINT order_has_buyer;
            DROP TABLE shop.days;
            DROP TABLE shop.buyers;
            DROP TYPE shop.state;
            DROP SEQUENCE shop.numbers;
            ALTER TABLE shop.orders DROP COLUMN cost;
            DROP DOMAIN shop.price;
            """,
            id="everything dropped",
        ),
        pytest.param(
            """
            DROP VIEW shop.open;
            CREATE VIEW shop.open AS SELECT id, cost FROM shop.orders;
            CREATE OR REPLACE FUNCTION shop.double(n integer) RETURNS integer LANGUAGE sql STABLE RETURN n + n;
            DROP INDEX shop.orders_by_status;
            CREATE INDEX orders_by_status ON shop.orders (status);
            ALTER TABLE shop.orders DROP CONSTRAINT order_has_buyer,
              ADD CONSTRAINT order_has_buyer FOREIGN KEY (buyer) REFERENCES shop.buyers DEFERRABLE NOT VALID;
            ALTER POLICY own ON shop.orders USING (id > 1);
            ALTER SEQUENCE shop.numbers INCREMENT BY 7;
            ALTER TABLE shop.buyers ALTER id DROP IDENTITY, ALTER name DROP NOT NULL, ALTER name SET DEFAULT 'y';
            ALTER TABLE shop.buyers ALTER city TYPE varchar(9);
            ALTER TABLE shop.days DETACH PARTITION shop.days_1;
            ALTER DOMAIN shop.price ADD CONSTRAINT price_small CHECK (VALUE < 9);
            """,
            id="everything changed in place",
        ),
        pytest.param(
            """
            DROP VIEW shop.open;
            ALTER TABLE shop.orders DROP CONSTRAINT status_known;
            ALTER TABLE shop.orders ALTER status DROP DEFAULT,
              ALTER status TYPE shop.state USING status::shop.state, ALTER status SET DEFAULT 'new';
            CREATE VIEW shop.open WITH (security_barrier = true) AS SELECT id, status FROM shop.orders;
            """,
            id="text becomes an enum in place",
        ),
        pytest.param(
            """
            DROP VIEW shop.open;
            ALTER TABLE shop.orders RENAME COLUMN status TO status_old;
            ALTER TABLE shop.orders ADD COLUMN status shop.state NOT NULL DEFAULT 'new';
            CREATE VIEW shop.open WITH (security_barrier = true) AS SELECT id, status_old AS status FROM shop.orders;
            """,
            id="a new column takes the place of one that is kept",
        ),
    ],
)
def test_the_derived_way_back_restores_the_catalog(derive, dsn, directory, up):
    draft = derive(up)
    (directory / B / "down.sql").write_text(draft.text)
    (directory / B / "verify.sql").unlink()
    (directory / C / "up.sql").write_text("SELECT 1;")

    migrate.up(dsn, directory, to=A)
    with connect(dsn) as connection:
        before = snapshot(connection)
    migrate.up(dsn, directory, to=B)
    migrate.down(dsn, directory, to=A, options=migrate.Options(lose_data=True))
    with connect(dsn) as connection:
        after = snapshot(connection)

    assert draft.proved
    assert [one.sentence for one in differences(before, after) if not one.soft] == []


def test_a_renamed_column_is_renamed_back_and_never_dropped(derive):
    draft = derive("""
        DROP VIEW shop.open;
        ALTER TABLE shop.orders RENAME COLUMN status TO status_old;
        ALTER TABLE shop.orders ADD COLUMN status shop.state;
    """)

    assert draft.statements[:2] == (
        "ALTER TABLE shop.orders DROP COLUMN status",
        "ALTER TABLE shop.orders RENAME COLUMN status_old TO status",
    )
    assert draft.not_derivable == ()


def test_what_no_catalog_tells_is_said_in_the_text(derive):
    draft = derive("""
        UPDATE shop.buyers SET city = 'Bremen';
        ALTER TABLE shop.buyers DROP COLUMN name;
        ALTER TYPE shop.state ADD VALUE 'lost';
        DROP TABLE shop.days_1;
    """)

    assert not draft.proved
    assert [one.object for one in draft.left_over] == ["enum shop.state"]
    assert "-- NOT DERIVABLE: line 2 of up.sql changes rows of shop.buyers" in draft.text
    assert "-- NOT DERIVABLE: the values of shop.buyers.name are gone" in draft.text
    assert "-- NOT DERIVABLE: the rows of shop.days_1 are gone" in draft.text
    assert "ADD COLUMN name text DEFAULT 'x'::text NOT NULL;" in draft.text


def test_a_revision_without_a_script_has_no_way_back_to_derive(server_dsn, directory, write):
    write(A)

    with pytest.raises(UnknownRevision, match=B):
        derived_down(server_dsn, directory, B)
