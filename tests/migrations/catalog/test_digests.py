"""The digests of tables: blind for order, and for nothing else."""

import psycopg
import pytest

from hansa.migrate.digests import changed_tables, table_digests

TABLES = """
  CREATE SCHEMA data;
  CREATE TYPE data.mood AS ENUM ('calm', 'busy');
  CREATE TABLE data.accounts (
    id      bigint PRIMARY KEY,
    balance numeric NOT NULL,
    fee     numeric(10, 2),
    mood    data.mood DEFAULT 'calm',
    place   point DEFAULT '(1,2)',
    papers  json DEFAULT '{"a": 1}',
    facts   jsonb DEFAULT '{"a": 1}',
    pause   interval DEFAULT '1 day',
    tags    text[] DEFAULT '{a,b}',
    owner   text,
    twice   numeric GENERATED ALWAYS AS (balance * 2) STORED
  );
  INSERT INTO data.accounts (id, balance, fee, owner) SELECT n, n * 10, n, 'owner ' || n FROM generate_series(1, 9) n;
  CREATE TABLE data.quiet (id bigint);
  INSERT INTO data.quiet VALUES (1);
  CREATE TABLE data.bare ();
  INSERT INTO data.bare DEFAULT VALUES;
  CREATE TABLE data.log (at integer, text text) PARTITION BY RANGE (at);
  CREATE TABLE data.log_1 (text text, at integer);
  ALTER TABLE data.log ATTACH PARTITION data.log_1 FOR VALUES FROM (0) TO (10);
  CREATE TABLE data.log_2 PARTITION OF data.log FOR VALUES FROM (10) TO (20);
  INSERT INTO data.log VALUES (1, 'a'), (11, 'b');
  CREATE TABLE data.base (id bigint);
  CREATE TABLE data.heir () INHERITS (data.base);
  INSERT INTO data.heir VALUES (1);
  CREATE FOREIGN DATA WRAPPER elsewhere;
  CREATE SERVER elsewhere FOREIGN DATA WRAPPER elsewhere;
  CREATE FOREIGN TABLE data.remote (id bigint) SERVER elsewhere;
"""


@pytest.fixture
def data(changed):
    with changed(TABLES) as connection:
        yield connection


def digests(data):
    return table_digests(data, schemas=["data"])


def test_each_table_is_counted_once_and_partitions_through_their_parent(data):
    found = digests(data)

    assert {name: one.rows for name, one in found.items()} == {
        "data.accounts": 9,
        "data.bare": 1,
        "data.base": 0,
        "data.heir": 1,
        "data.log": 2,
        "data.quiet": 1,
    }
    assert table_digests(data, schemas=["data"], exclude={"data.log"}).keys() == found.keys() - {"data.log"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE data.accounts SET owner = 'Owner 3' WHERE id = 3",
        "UPDATE data.accounts SET owner = NULL WHERE id = 3",
        "UPDATE data.accounts SET owner = '' WHERE id = 3",
        "UPDATE data.accounts SET balance = 30.0 WHERE id = 3",
        "UPDATE data.accounts SET fee = 3.01 WHERE id = 3",
        "UPDATE data.accounts SET mood = 'busy' WHERE id = 3",
        "UPDATE data.accounts SET place = '(1,3)' WHERE id = 3",
        """UPDATE data.accounts SET papers = '{"a":1}' WHERE id = 3""",
        """UPDATE data.accounts SET facts = '{"a": 1.0}' WHERE id = 3""",
        "UPDATE data.accounts SET pause = '24 hours' WHERE id = 3",
        "UPDATE data.accounts SET tags = '{{a},{b}}' WHERE id = 3",
        "DELETE FROM data.accounts WHERE id = 3",
    ],
)
def test_one_changed_value_is_named_by_its_table(data, change):
    before = digests(data)

    data.execute(change.encode())

    assert changed_tables(before, digests(data)) == ("data.accounts",)


def test_two_rows_that_exchange_a_value_are_noticed_wherever_they_are(data):
    before = digests(data)

    unnoticed = []
    for one in range(1, 9):
        with data.transaction(force_rollback=True):
            data.execute(
                "UPDATE data.accounts AS a SET owner = b.owner FROM data.accounts AS b"
                " WHERE a.id IN (%(one)s, %(one)s + 1) AND b.id = 2 * %(one)s + 1 - a.id",
                {"one": one},
            )
            if changed_tables(before, digests(data)) != ("data.accounts",):
                unnoticed.append(one)

    assert unnoticed == []


def test_a_row_that_is_doubled_is_noticed(data):
    before = digests(data)

    data.execute("INSERT INTO data.quiet VALUES (1)")

    after = digests(data)
    assert changed_tables(before, after) == ("data.quiet",)
    assert after["data.quiet"].rows == 2


def test_the_order_of_rows_columns_and_labels_numbers_do_not_matter(data):
    before = digests(data)

    data.execute("CREATE TABLE data.kept AS SELECT * FROM data.accounts ORDER BY id DESC")
    data.execute("DROP TABLE data.accounts; ALTER TYPE data.mood RENAME TO was; CREATE TYPE data.mood AS ENUM ('calm')")
    data.execute("""
      CREATE TABLE data.accounts AS
      SELECT twice, owner, tags, pause, facts, papers, place, mood::text::data.mood AS mood,
             fee::numeric(10, 2) AS fee, balance, id
      FROM data.kept
    """)
    data.execute("DROP TABLE data.kept")

    assert changed_tables(before, digests(data)) == ()


def test_the_settings_of_the_session_do_not_matter(data):
    data.execute(
        "CREATE TABLE data.times AS SELECT ARRAY['2026-01-01 12:00Z'::timestamptz] AS at, 1.1::float8 AS score"
    )
    before = digests(data)

    data.execute("SET LOCAL timezone = 'Asia/Tokyo'; SET LOCAL datestyle = 'German'; SET LOCAL extra_float_digits = -5")

    assert digests(data) == before


def test_the_same_row_moved_to_another_partition_of_its_table_is_the_same_data(data):
    before = digests(data)

    data.execute("ALTER TABLE data.log DETACH PARTITION data.log_1; DROP TABLE data.log_1")
    data.execute("CREATE TABLE data.log_0 PARTITION OF data.log FOR VALUES FROM (-5) TO (5)")
    data.execute("INSERT INTO data.log VALUES (1, 'a')")

    assert changed_tables(before, digests(data)) == ()


def test_a_partition_on_another_server_is_left_out_and_the_others_still_count(data):
    before = digests(data)

    data.execute("CREATE FOREIGN TABLE data.log_9 PARTITION OF data.log FOR VALUES FROM (90) TO (99) SERVER elsewhere")

    assert digests(data) == before


def test_a_role_that_does_not_see_every_row_is_refused(changed, roles):
    with changed("GRANT SELECT ON trade.signals TO {reader}", "SET LOCAL ROLE {reader}") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"), connection.transaction():
            table_digests(connection, schemas=["trade"], exclude=ALL_BUT_SIGNALS)

        connection.execute("RESET ROLE")
        assert table_digests(connection, schemas=["trade"])["trade.signals"].rows == 0


ALL_BUT_SIGNALS = {
    f"trade.{table}"
    for table in [
        "agents",
        "orders",
        "reviews",
        "letters",
        "events",
        "event_notes",
        "leftover",
        "cache",
        "wide",
        "base",
        "heir",
    ]
}
