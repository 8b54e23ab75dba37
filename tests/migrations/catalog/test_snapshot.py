"""What a snapshot is, whatever the session that takes it, and how two of them differ."""

import json

import psycopg
import pytest

from hansa.migrate.catalog import DifferenceKind, Snapshot, UnreadableSnapshot, carried, differences, snapshot


def test_a_snapshot_survives_json_as_it_was(trade):
    taken = snapshot(trade)

    again = Snapshot.from_json(taken.to_json())

    assert again == taken
    assert again.digest == taken.digest
    assert taken.objects["column trade.agents.weight"]["type"] == "numeric(5,2)"


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 0, "objects": {}}'])
def test_what_is_not_a_snapshot_of_this_format_is_refused(text):
    with pytest.raises(UnreadableSnapshot):
        Snapshot.from_json(text)


def test_the_settings_of_the_session_do_not_matter_and_stay_as_they_are(trade, trade_dsn):
    taken = snapshot(trade)
    odd = {
        "search_path": "trade, public",
        "timezone": "Asia/Tokyo",
        "datestyle": "German, DMY",
        "quote_all_identifiers": "on",
    }

    with psycopg.connect(trade_dsn, autocommit=True) as connection:
        for setting, value in odd.items():
            connection.execute("SELECT set_config(%s, %s, false)", [setting, value])
        connection.execute("CREATE TEMP TABLE pg_class (oid oid)")
        again = snapshot(connection)
        left = {setting: connection.execute(f"SHOW {setting}").fetchone()[0] for setting in odd}

    assert again == taken
    assert left == odd


def test_a_role_that_may_do_nothing_sees_the_same_catalog(trade, changed):
    taken = snapshot(trade)

    with changed("SET LOCAL ROLE {guest}") as connection:
        assert snapshot(connection) == taken


def test_inside_a_transaction_its_own_changes_are_seen_and_the_transaction_goes_on(changed):
    with changed("CREATE TABLE trade.mine (id bigint)") as connection:
        taken = snapshot(connection)
        connection.execute("INSERT INTO trade.mine VALUES (1)")

        assert "table trade.mine" in taken.objects
        assert connection.execute("SELECT count(*) FROM trade.mine").fetchone() == (1,)


def test_named_schemas_are_taken_without_what_belongs_to_the_database(changed):
    with changed("CREATE SCHEMA other", "CREATE TABLE other.things (id bigint)", "CREATE TABLE public.more ()") as db:
        taken = snapshot(db, schemas=["other"])

    assert set(taken.objects) == {"schema other", "table other.things", "column other.things.id"}


def test_the_engine_and_the_system_are_not_in_it_nor_is_what_an_extension_brought(changed):
    with changed("CREATE EXTENSION vector SCHEMA trade", "CREATE SCHEMA mig", "CREATE TABLE mig.x ()") as connection:
        taken = snapshot(connection)

    assert "extension vector" in taken.objects
    assert not [name for name in taken.objects if "mig." in name or "pg_catalog." in name or "trade.vector" in name]


def test_another_order_of_columns_is_soft_and_does_not_touch_the_digest(trade, changed):
    taken = snapshot(trade)
    again = (
        "ALTER TABLE trade.wide DROP COLUMN value",
        "ALTER TABLE trade.wide ADD COLUMN value text",
    )

    with changed(*again) as connection:
        reordered = snapshot(connection)

    (only,) = differences(taken, reordered)
    assert (only.object, only.aspect, only.soft) == ("table trade.wide", "column order", True)
    assert only.sentence == "column order of table trade.wide is id, more, value, was id, value, more"
    assert reordered.digest == taken.digest
    assert reordered != taken


def test_a_column_that_comes_or_goes_is_no_other_order(trade, changed):
    taken = snapshot(trade)

    with changed("ALTER TABLE trade.wide DROP COLUMN value") as connection:
        without = snapshot(connection)

    assert [one.object for one in differences(taken, without)] == ["column trade.wide.value"]
    assert [one.object for one in differences(without, taken)] == ["column trade.wide.value"]


def test_a_dropped_table_is_one_difference_or_all_its_parts(trade, changed):
    taken = snapshot(trade)

    with changed("DROP TABLE trade.leftover") as connection:
        without = snapshot(connection)

    parts = {one.object for one in differences(taken, without, parts=True)}
    assert [one.object for one in differences(taken, without)] == ["table trade.leftover"]
    assert {"column trade.leftover.id", "index trade.leftover_tenant_idx", "sequence trade.leftover_id_seq"} <= parts


def test_what_a_partition_does_otherwise_than_its_parent_is_told_beside_it(trade, changed):
    taken = snapshot(trade)
    by_hand = (
        "ALTER TABLE trade.events DISABLE TRIGGER events_touch",
        "ALTER TABLE trade.events_1 ENABLE ALWAYS TRIGGER events_touch",
    )

    with changed(*by_hand) as connection:
        found = differences(taken, snapshot(connection))

    assert [one.sentence for one in found] == [
        "trigger events_touch on trade.events is disabled",
        "trigger events_touch on trade.events_1 is enabled always",
    ]


def catalog(**objects):
    return Snapshot(objects={name.replace("_", " "): aspects for name, aspects in objects.items()})


def test_a_migration_carries_what_it_changed_and_blesses_no_drift():
    expected = catalog(table_a={"owner": "x"}, index_i={}, view_v={"definition": "1"}, table_b={"comment": "as made"})
    before = catalog(table_a={"owner": "x"}, view_v={"definition": "1"}, table_b={"comment": "drifted"}, rule_r={})
    after = catalog(
        table_a={"owner": "y"}, table_b={"comment": "drifted", "owner": "z"}, rule_r={"state": "disabled"}, type_t={}
    )

    now = carried(expected, before, after)

    assert now == catalog(table_a={"owner": "y"}, index_i={}, table_b={"comment": "as made", "owner": "z"}, type_t={})
    assert [(one.kind, one.object, one.aspect) for one in differences(now, after)] == [
        (DifferenceKind.REMOVED, "index i", None),
        (DifferenceKind.ADDED, "rule r", None),
        (DifferenceKind.CHANGED, "table b", "comment"),
    ]


@pytest.mark.parametrize(
    ("expected", "before", "after", "now"),
    [
        ("a, b", "a, b", "b, a", "b, a"),
        ("a, b", "b, a", "b, a, c", "a, b, c"),
        ("a, b, c", "c, b, a", "b, a, d", "a, b, d"),
    ],
)
def test_a_migration_carries_the_columns_but_not_another_order_that_was_there_before_it(expected, before, after, now):
    def ordered(columns):
        return catalog(table_t={"column order": columns})

    assert carried(ordered(expected), ordered(before), ordered(after)) == ordered(now)


def test_a_catalog_taken_back_is_expected_as_before(trade, changed):
    before = snapshot(trade)
    with changed("DROP TABLE trade.leftover", "ALTER TABLE trade.agents ADD COLUMN by_hand text") as connection:
        after = snapshot(connection)

    there = carried(before, before, after)

    assert (there, carried(there, after, before)) == (after, before)


def test_json_is_readable_by_others(trade):
    content = json.loads(snapshot(trade).to_json())

    assert content["format"] == 1
    assert content["objects"]["policy own_tenant on trade.signals"]["USING expression"] == "(tenant = CURRENT_USER)"
