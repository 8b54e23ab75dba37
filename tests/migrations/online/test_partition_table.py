from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from given.online import Killed
from given.writers import Writers
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.partition_table import PartitionTable, ShapeChanged, TooManyPartitions
from hansa.migrate.partitions import ensure_partitions, retire_partitions

EVENTS = """
    CREATE TABLE kinds (kind text PRIMARY KEY);
    INSERT INTO kinds VALUES ('a'), ('b');
    CREATE TABLE log (n int);
    CREATE TABLE events (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT event_once PRIMARY KEY,
      slug text COLLATE "C" CONSTRAINT slug_once UNIQUE,
      kind text NOT NULL DEFAULT 'a' CONSTRAINT known_kind REFERENCES kinds ON DELETE CASCADE,
      at timestamptz NOT NULL DEFAULT now(), amount numeric(8, 2) CHECK (amount >= 0),
      tax numeric(8, 2) GENERATED ALWAYS AS (amount / 5) STORED, serial int DEFAULT 0
    );
    CREATE SEQUENCE serials OWNED BY events.serial;
    ALTER TABLE events ALTER serial SET DEFAULT nextval('serials');
    CREATE INDEX by_kind ON events (kind, at DESC) WHERE amount > 1;
    CREATE UNIQUE INDEX moment ON events (at, id);
    COMMENT ON TABLE events IS 'what happened {once}';
    COMMENT ON COLUMN events.amount IS 'in coins';
    COMMENT ON INDEX by_kind IS 'for the list';
    COMMENT ON CONSTRAINT event_once ON events IS 'one of each';
    GRANT SELECT, INSERT ON events TO pg_monitor;
    GRANT UPDATE (amount) ON events TO pg_monitor WITH GRANT OPTION;
    ALTER TABLE events ENABLE ROW LEVEL SECURITY;
    ALTER TABLE events FORCE ROW LEVEL SECURITY;
    CREATE POLICY everybody ON events TO PUBLIC USING (slug <> '{hidden}') WITH CHECK (amount < 100000);
    COMMENT ON POLICY everybody ON events IS 'but for the hidden';
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); RETURN NULL; END $$;
    CREATE TRIGGER noted AFTER INSERT OR UPDATE ON events FOR EACH ROW WHEN (NEW.amount > 1) EXECUTE FUNCTION note();
    CREATE TRIGGER off AFTER DELETE ON events FOR EACH STATEMENT EXECUTE FUNCTION note();
    ALTER TABLE events DISABLE TRIGGER off;
    INSERT INTO events (slug, kind, at, amount)
    SELECT 's' || n, CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END, now() - (n % 70) * interval '1 day', n % 7
    FROM generate_series(1, 1200) AS n;
    TRUNCATE log;
"""
MONTHLY = PartitionTable(table="events", by="at", step="1 month", ahead=2)


def partitions(bench, table="events"):
    return bench.one("SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass", table)


def test_a_table_is_partitioned_and_back_however_often_the_run_dies(bench):
    bench.ask(EVENTS)

    bench.survives(MONTHLY)

    assert partitions(bench) in (5, 6)
    assert bench.one("SELECT count(*) FROM events") == 1200
    assert bench.ask("SELECT parent, step::text, ahead, keep, archive FROM mig.partition_policies") == [
        ("public.events", "1 mon", 2, None, True)
    ]
    assert bench.one("SELECT count(*) FROM log") == 0
    assert ensure_partitions(bench.connection, at=datetime.now(UTC)) == ()
    assert len(ensure_partitions(bench.connection, at=datetime.now(UTC) + timedelta(days=31))) in (1, 2)


def test_the_new_table_is_like_the_old_one_in_everything_that_clients_meet(bench):
    bench.ask(EVENTS)
    before = bench.world().catalog.objects

    bench.up(MONTHLY)

    after = bench.world().catalog.objects
    assert before.keys() - after.keys() == {"constraint slug_once on public.events"}
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    allowed = ("table public.events", "index public.", "constraint event_once on public.events", "sequence public.")
    assert [name for name in sorted(changed) if not name.startswith(allowed)] == []
    assert bench.ask(
        "SELECT indexdef FROM pg_indexes WHERE indexname IN ('by_kind', 'slug_once', 'event_once') ORDER BY 1"
    ) == [
        ("CREATE INDEX by_kind ON ONLY public.events USING btree (kind, at DESC) WHERE (amount > (1)::numeric)",),
        ("CREATE INDEX slug_once ON ONLY public.events USING btree (slug)",),
        ("CREATE UNIQUE INDEX event_once ON ONLY public.events USING btree (id, at)",),
    ]


def test_a_key_without_the_partition_column_is_still_there_only_once_and_says_so_in_the_same_words(bench):
    bench.ask(EVENTS)
    insert = "INSERT INTO events (id, slug, at) OVERRIDING SYSTEM VALUE VALUES (%s, %s, now() - %s * interval '1 day')"
    with pytest.raises(psycopg.errors.UniqueViolation) as before:
        bench.ask(insert, 5000, "s7", 60)
    bench.up(MONTHLY)

    with pytest.raises(psycopg.errors.UniqueViolation) as after:
        bench.ask(insert, 5000, "s7", 60)
    with pytest.raises(psycopg.errors.UniqueViolation) as key:
        bench.ask(insert, 7, "new", 60)
    with pytest.raises(psycopg.errors.UniqueViolation):
        bench.ask("UPDATE events SET slug = 's7' WHERE slug = 's8'")

    assert key.value.diag.constraint_name == "event_once"
    for aspect in ("constraint_name", "table_name", "schema_name", "message_primary", "message_detail", "sqlstate"):
        assert getattr(after.value.diag, aspect) == getattr(before.value.diag, aspect)


def test_a_key_is_free_again_when_its_row_changes_goes_or_moves(bench):
    bench.ask(EVENTS)
    bench.up(MONTHLY)

    bench.ask("UPDATE events SET at = at + interval '35 days' WHERE slug = 's60'")
    bench.ask("UPDATE events SET slug = 'other' WHERE slug = 's7'; DELETE FROM events WHERE slug = 's8'")
    bench.ask("INSERT INTO events (slug) VALUES ('s7'), ('s8'), (NULL), (NULL)")

    assert bench.one("SELECT count(*) FROM events_slug_once") == bench.one("SELECT count(slug) FROM events") == 1201
    with pytest.raises(psycopg.errors.UniqueViolation):
        bench.ask("INSERT INTO events (slug) VALUES ('s60')")
    bench.ask("TRUNCATE events")
    assert bench.ask("SELECT count(*) FROM events_slug_once UNION ALL SELECT count(*) FROM events__old") == [(0,), (0,)]


def test_two_clients_with_one_key_are_told_apart_like_before(bench):
    bench.ask(EVENTS)
    bench.up(MONTHLY)
    with psycopg.connect(bench.dsn) as first, psycopg.connect(bench.dsn) as second:
        first.execute("INSERT INTO events (slug, at) VALUES ('x', now() - interval '40 days')")
        commits = bench.committing(first, after_s=0.1)
        with pytest.raises(psycopg.errors.UniqueViolation):
            second.execute("INSERT INTO events (slug, at) VALUES ('x', now())")
        commits.join()


def test_writers_beside_it_never_fail_and_lose_nothing_there_and_back(bench):
    bench.ask(EVENTS)
    moves = "UPDATE events SET serial = {value}, at = at - ({value} % 3) * interval '1 hour' WHERE id = {row}"

    with Writers(bench.dsn, moves, rows=1200) as writers:
        bench.up(MONTHLY)
        writers.write_some_more()
        same = bench.ask("SELECT id, serial, at FROM events EXCEPT SELECT id, serial, at FROM events__old")
        bench.down(MONTHLY)
        writers.write_some_more()

    assert writers.failures == []
    assert same == []
    assert writers.lost(bench.ask("SELECT id, serial FROM events WHERE id = ANY(%s)", list(writers.committed))) == []
    assert bench.one("SELECT count(*) FROM events") == 1200


def test_rows_that_come_and_go_while_it_is_copied_are_exactly_the_same_in_both(bench):
    bench.ask(EVENTS)
    with pytest.raises(Killed):
        bench.up(MONTHLY, die_in="copy")

    bench.ask(
        "DELETE FROM events WHERE id % 10 = 0; INSERT INTO events (slug) SELECT 'late' || n FROM generate_series(1, 9) AS n"
    )
    bench.ask(
        "UPDATE events SET at = at - interval '1 day' WHERE id % 10 = 1; UPDATE events SET amount = 6 WHERE id % 10 = 2"
    )
    bench.up(MONTHLY)

    assert bench.one("SELECT count(*) FROM events") == 1200 - 120 + 9
    assert bench.ask("TABLE events EXCEPT TABLE events__old") == []


def test_identity_and_sequences_go_on_where_they_were_there_and_back(bench):
    bench.ask(EVENTS)

    bench.up(MONTHLY)
    new = bench.ask("INSERT INTO events (slug) VALUES ('n1') RETURNING id, serial")
    bench.down(MONTHLY)
    old = bench.ask("INSERT INTO events (slug) VALUES ('n2') RETURNING id, serial")

    assert (new, old) == ([(1201, 1201)], [(1202, 1202)])
    assert bench.one("SELECT pg_get_serial_sequence('events', 'serial')") == "public.serials"


def test_triggers_of_users_fire_once(bench):
    bench.ask(EVENTS)

    bench.up(MONTHLY)
    bench.ask("UPDATE events SET amount = 5 WHERE id = 1")
    forth = bench.one("SELECT count(*) FROM log")
    bench.down(MONTHLY)
    bench.ask("UPDATE events SET amount = 6 WHERE id = 1")

    assert (forth, bench.one("SELECT count(*) FROM log")) == (1, 2)


def test_references_of_its_own_act_on_both(bench):
    bench.ask(EVENTS)
    bench.up(MONTHLY)

    bench.ask("DELETE FROM kinds WHERE kind = 'b'")

    assert bench.ask("SELECT count(*) FROM events UNION ALL SELECT count(*) FROM events__old") == [(600,), (600,)]


def test_references_to_it_are_refused_unless_they_are_listed_and_come_back(bench):
    bench.ask(EVENTS)
    bench.ask(
        "CREATE TABLE notes (id int PRIMARY KEY, event bigint CONSTRAINT of_event REFERENCES events ON DELETE CASCADE)"
    )
    bench.ask(
        "INSERT INTO notes SELECT n, n FROM generate_series(1, 10) AS n; COMMENT ON CONSTRAINT of_event ON notes IS 'x'"
    )
    listed = PartitionTable(
        table="events", by="at", step="1 month", ahead=2, drop_foreign_keys=("public.notes.of_event",)
    )

    with pytest.raises(OperationRefused, match=r"public\.notes\.of_event refer to public\.events"):
        bench.up(MONTHLY)
    bench.forget()
    bench.survives(listed)

    assert bench.one("SELECT count(*) FROM pg_constraint WHERE conname = 'of_event'") == 0


def test_what_was_retired_meanwhile_is_still_there_after_the_way_back(bench, tmp_path):
    bench.ask(EVENTS)
    before = bench.world()
    operation = PartitionTable(table="events", by="at", step="1 week", ahead=2, keep="4 weeks")

    bench.up(operation)
    retired = retire_partitions(bench.connection, at=datetime.now(UTC), archive_to=tmp_path)
    rest = bench.one("SELECT count(*) FROM events")
    keys = bench.one("SELECT count(*) FROM events_slug_once")
    bench.down(operation)

    assert sum(one.rows for one in retired) == 1200 - rest > 300
    assert keys == rest
    assert before.sentences(bench.world()) == []


def test_a_definition_that_was_changed_meanwhile_stops_the_swap(bench):
    bench.ask(EVENTS)
    before = bench.world()
    with pytest.raises(Killed):
        bench.up(MONTHLY, die_in="copy")
    bench.ask("CREATE INDEX late ON events (amount)")

    with pytest.raises(ShapeChanged):
        bench.up(MONTHLY)
    bench.down(MONTHLY)
    bench.ask("DROP INDEX late")

    assert before.sentences(bench.world()) == []


def test_a_table_of_a_role_that_is_no_superuser_is_partitioned_under_forced_row_security(bench, roles):
    owner = roles.owner_of("events", EVENTS)
    bench.up(MONTHLY)

    with psycopg.connect(bench.dsn, autocommit=True) as client:
        client.execute(f"SET ROLE {owner}")
        client.execute("INSERT INTO events (slug, amount) VALUES ('mine', 1)")
        client.execute("UPDATE events SET amount = 9 WHERE slug = 'mine'")
        with pytest.raises(psycopg.errors.UniqueViolation):
            client.execute("INSERT INTO events (slug, amount, at) VALUES ('mine', 1, now() - interval '40 days')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            client.execute("INSERT INTO events (slug, amount) VALUES ('rich', 100000)")

    assert bench.ask("SELECT amount FROM events__old WHERE slug = 'mine'") == [(9,)]
    assert bench.one("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'events_slug_once'") == owner


@pytest.mark.parametrize(
    ("there", "changed", "refusal"),
    [
        ("SELECT 1", {"table": "nowhere"}, "no table nowhere"),
        ("SELECT 1", {"by": "amount"}, "amount is not timestamptz NOT NULL"),
        ("ALTER TABLE events ALTER at DROP NOT NULL", {}, "at is not timestamptz NOT NULL"),
        ("SELECT 1", {"step": "1 minute"}, "more than 1000 partitions of 1 minute"),
        ("UPDATE events SET at = 'infinity' WHERE id = 1", {}, "1 rows of public.events hold infinity"),
        ("ALTER TABLE events DROP CONSTRAINT event_once", {}, "no primary key"),
        ("CREATE VIEW seen AS SELECT id FROM events", {}, "on view public.seen"),
        ("CREATE FUNCTION f(events) RETURNS int LANGUAGE sql AS 'SELECT 1'", {}, "function public.f"),
        ("CREATE UNIQUE INDEX u ON events (lower(slug))", {}, "u is unique over expressions"),
        ("CREATE UNIQUE INDEX u ON events (amount) NULLS NOT DISTINCT WHERE id < 0", {}, "u takes one NULL only"),
        ("ALTER TABLE events ADD CONSTRAINT u UNIQUE (serial) DEFERRABLE", {}, "u is deferrable"),
        ("ALTER TABLE events ADD CONSTRAINT c CHECK (id > 1) NOT VALID", {}, "c is not validated"),
        ("ALTER TABLE events REPLICA IDENTITY FULL", {}, "REPLICA IDENTITY"),
        ("CREATE PUBLICATION p FOR TABLE events", {}, "publication p has it"),
        ("CREATE TABLE events__old ()", {}, "events__old is the name of something"),
        ("CREATE TABLE events_slug_once ()", {}, "events_slug_once is the name of something"),
        ("SELECT 1", {"drop_foreign_keys": ("public.notes.x",)}, "which do not refer to public.events"),
    ],
)
def test_what_cannot_be_partitioned_is_refused_and_nothing_is_changed(bench, there, changed, refusal):
    bench.ask(EVENTS)
    bench.ask(there)
    before = bench.world()
    operation = PartitionTable(**({"table": "events", "by": "at", "step": "1 month", "ahead": 2} | changed))

    with pytest.raises(OperationRefused, match=refusal) as refused:
        bench.up(operation)
    bench.down(operation)

    assert isinstance(refused.value, TooManyPartitions) == ("minute" in refusal)
    assert before.sentences(bench.world()) == []


@pytest.mark.parametrize("changed", [{"step": "1 month 1 day"}, {"step": "often"}, {"keep": "long"}])
def test_times_that_are_none_are_refused(bench, changed):
    bench.ask(EVENTS)

    with pytest.raises(BadOperation, match="step = "):
        bench.up(PartitionTable(**({"table": "events", "by": "at", "step": "1 month", "ahead": 2} | changed)))
    with pytest.raises(BadOperation):
        PartitionTable(table="events", by="at", step="1 month", ahead=0)
