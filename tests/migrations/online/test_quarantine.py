"""Rows that a coming constraint would refuse go to the quarantine whole, and come back as they were."""

from dataclasses import replace

import psycopg
import pytest

from given.online import Bench
from hansa.migrate.online.errors import BadOperation, OperationFailed
from hansa.migrate.online.kinds.set_aside import SetAside
from hansa.migrate.online.relations import NoSuchColumn, NoSuchTable, TriggersWouldFire
from hansa.migrate.online.setting_aside import NoWayBack

VOTES = """
    CREATE TABLE artifacts (id integer PRIMARY KEY);
    INSERT INTO artifacts SELECT generate_series(1, 20);
    CREATE TABLE votes (
      id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, artifact integer, reviewer text, verdict text, at timestamp
    );
    INSERT INTO votes (artifact, reviewer, verdict, at)
    SELECT n % 30, nullif('r' || n % 4, 'r3'), 'v' || n,
           CASE WHEN n % 5 > 0 THEN timestamp '2026-01-01' + (n * 7 % 11) * interval '1 day' END
    FROM generate_series(1, 300) AS n;
"""
ORPHANS = SetAside(table="votes", rows="orphans", columns=("artifact",), references="artifacts")
DUPLICATES = SetAside(table="votes", rows="duplicates", columns=("artifact", "reviewer"), by=("at",))
WHERE = SetAside(table="votes", rows="where", where="verdict LIKE 'v1%' AND at IS NULL", reason="it has no date")


@pytest.fixture
def votes(bench: Bench) -> Bench:
    bench.ask(VOTES)
    return bench


def test_orphans_go_so_that_the_foreign_key_can_come_and_come_back_when_it_goes(votes):
    before = votes.world()
    orphans = votes.one("SELECT count(*) FROM votes WHERE artifact NOT BETWEEN 1 AND 20")

    votes.up(ORPHANS)

    votes.ask("ALTER TABLE votes ADD CONSTRAINT vote_on_artifact FOREIGN KEY (artifact) REFERENCES artifacts")
    assert votes.ask("SELECT reason, count(*) FROM mig.quarantine GROUP BY 1") == [
        ("there is no row of artifacts for its artifact", orphans)
    ]
    votes.ask("ALTER TABLE votes DROP CONSTRAINT vote_on_artifact")
    votes.down(ORPHANS)
    assert before.sentences(votes.world()) == []


@pytest.mark.parametrize("keep", ["latest", "earliest"])
@pytest.mark.parametrize("distinct", [True, False])
def test_of_duplicates_the_latest_or_earliest_stays(votes, keep, distinct):
    before = votes.world()
    operation = replace(DUPLICATES, keep=keep, nulls_distinct=distinct)
    order = "at DESC NULLS LAST, id DESC" if keep == "latest" else "at NULLS LAST, id"
    stays = votes.ask(f"""
        SELECT id FROM (SELECT id, reviewer, row_number() OVER (PARTITION BY artifact, reviewer ORDER BY {order}) AS n
                        FROM votes) AS ranked
        WHERE n = 1 OR {distinct} AND reviewer IS NULL
        ORDER BY id
    """)

    votes.up(operation)

    assert votes.ask("SELECT id FROM votes ORDER BY id") == stays
    nulls = "" if distinct else "NULLS NOT DISTINCT"
    votes.ask(f"ALTER TABLE votes ADD CONSTRAINT one_vote UNIQUE {nulls} (artifact, reviewer)")
    votes.ask("ALTER TABLE votes DROP CONSTRAINT one_vote")
    votes.down(operation)
    assert before.sentences(votes.world()) == []


def test_dying_anywhere_and_turning_back_anywhere_loses_nothing(votes):
    votes.survives(DUPLICATES)

    assert votes.one("SELECT count(*) FROM mig.quarantine") > 0


def test_a_condition_says_why(votes):
    votes.up(WHERE)

    assert votes.ask("SELECT DISTINCT reason FROM mig.quarantine") == [("it has no date",)]
    assert votes.one("SELECT count(*) FROM votes WHERE verdict LIKE 'v1%' AND at IS NULL") == 0


EVERYTHING = """
    CREATE TYPE mood AS ENUM ('so, so', '"bad"');
    CREATE TYPE pair AS (a integer, b text);
    CREATE DOMAIN word AS text CHECK (VALUE <> '');
    CREATE TABLE everything (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      small smallint, exact numeric, rough double precision, single real, cash money, flag boolean,
      fixed char(5), varying varchar(9), letter "char", short name, bytes bytea, bits bit varying,
      day date, moment timestamp, instant timestamptz, clock timetz, span interval,
      doc json, binary_doc jsonb, key uuid, address inet, net cidr, mac macaddr, spot point,
      mood mood, pair pair, word word, words text[], pairs pair[], moods mood[], range int4range, ranges datemultirange,
      vector tsvector, twice integer GENERATED ALWAYS AS (small * 2) STORED
    );
    INSERT INTO everything (small, exact, rough, single, cash, flag, fixed, varying, letter, short, bytes, bits, day,
      moment, instant, clock, span, doc, binary_doc, key, address, net, mac, spot, mood, pair, word, words, pairs, moods,
      range, ranges, vector)
    VALUES
      (1, 'NaN', 0.1 + 0.2, 'Infinity', 1234.56, true, 'a', 'b  ', 'x', 'n', '\\x00ff', '0101', '0044-03-15 BC',
       'infinity', '2026-03-29 02:30:00.000001+05:45', '12:00:00.5-07:30', '1 year -2 days 03:04:05.678901',
       '{"a": 1,  "a" : 2}', '{"n": 1.10}', '00000000-0000-0000-0000-000000000001', '10.0.0.1/8', '10.0.0.0/8',
       '08:00:2b:01:02:03', '(1e-300,0.30000000000000004)', '"bad"', '(,"a ""b"", {c}")', 'w',
       '[0:1]={"a,b",NULL}', ARRAY[ROW(1, 'x,"y'), NULL]::pair[], '{"so, so","\\"bad\\""}', '[1,)', '{[2026-01-01,)}',
       '''it''''s'':1A'),
      (2, -0.00, '-0', 1e-45, NULL, false, NULL, '', ' ', '', '', '', 'infinity', '-infinity', '-infinity', NULL, NULL,
       'null', 'null', NULL, '::1', NULL, NULL, NULL, NULL, ROW(NULL, NULL), NULL, '{}', '{}', '{NULL}', 'empty', '{}',
       '');
    INSERT INTO everything (small) VALUES (3);
"""


def test_every_type_comes_back_to_the_bit_whatever_the_session_prefers(bench):
    bench.ask(EVERYTHING)
    image = (
        "SELECT id, md5(t::text), pg_column_size(pair), pair IS NULL, encode(record_send(t), 'hex') FROM everything t"
    )
    before, world = bench.ask(image + " ORDER BY id"), bench.world()
    operation = SetAside(table="everything", rows="where", where="small > 0", reason="all of them")
    plain = bench.dsn
    bench.dsn = psycopg.conninfo.make_conninfo(
        plain,
        options="-c datestyle=SQL,DMY -c intervalstyle=sql_standard -c extra_float_digits=-5 -c timezone=Asia/Tokyo",
    )

    bench.up(operation)
    assert bench.one("SELECT count(*) FROM everything") == 0
    bench.dsn = plain
    bench.down(operation)

    assert bench.ask(image + " ORDER BY id") == before
    assert world.sentences(bench.world()) == []


def test_columns_that_came_since_do_not_matter_and_columns_that_are_gone_are_named(votes):
    rows = votes.one("SELECT count(*) FROM votes")
    votes.up(WHERE)
    votes.ask("ALTER TABLE votes ADD since text DEFAULT 'new'")
    votes.ask("ALTER TABLE votes RENAME verdict TO opinion")

    with pytest.raises(NoWayBack, match="column verdict that is gone"):
        votes.down(WHERE)
    votes.ask("ALTER TABLE votes RENAME opinion TO verdict")
    votes.down(WHERE)

    assert votes.one("SELECT count(*) FROM votes WHERE since = 'new'") == rows


FAMILY = """
    CREATE TABLE people (
      tenant integer, id integer, boss integer, badge integer, name text NOT NULL, PRIMARY KEY (tenant, id),
      CONSTRAINT has_boss FOREIGN KEY (tenant, boss) REFERENCES people ON DELETE CASCADE
    );
    CREATE TABLE badges (
      tenant integer, id integer, owner integer NOT NULL, PRIMARY KEY (tenant, id),
      CONSTRAINT has_owner FOREIGN KEY (tenant, owner) REFERENCES people
    );
    ALTER TABLE people ADD CONSTRAINT wears FOREIGN KEY (tenant, badge) REFERENCES badges;
    CREATE TABLE visits (
      day date, tenant integer, badge integer,
      CONSTRAINT with_badge FOREIGN KEY (tenant, badge) REFERENCES badges ON DELETE SET NULL
    ) PARTITION BY RANGE (day);
    CREATE TABLE visits_25 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE visits_26 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO people SELECT 1, n, nullif(n / 3, 0), NULL, 'p' || n FROM generate_series(1, 30) AS n;
    INSERT INTO badges SELECT 1, n, n FROM generate_series(1, 30) AS n;
    UPDATE people SET badge = id;
    INSERT INTO visits SELECT date '2025-12-20' + n, 1, n % 30 + 1 FROM generate_series(0, 59) AS n;
"""
CIRCLE = SetAside(table="people", rows="where", where="id = 2", reason="he left")


@pytest.mark.parametrize("triggers", ["skip", "fire"])
def test_everything_that_refers_to_a_row_goes_and_comes_with_it_in_circles_and_partitions(bench, triggers):
    bench.ask(FAMILY)
    before = bench.world()
    operation = replace(CIRCLE, triggers=triggers)

    bench.up(operation)

    assert bench.ask("SELECT relation, count(*) FROM mig.quarantine GROUP BY 1 ORDER BY 1") == [
        ("public.badges", 13),
        ("public.people", 13),
        ("public.visits", 26),
    ]
    assert bench.one("SELECT count(*) FROM people") == 17
    bench.down(operation)
    assert before.sentences(bench.world()) == []


def test_a_row_whose_parent_is_gone_or_whose_place_is_taken_does_not_come_back(bench):
    bench.ask("""
        CREATE TABLE people (id integer PRIMARY KEY);
        CREATE TABLE badges (id integer PRIMARY KEY, owner integer REFERENCES people);
        INSERT INTO people VALUES (1), (2);
        INSERT INTO badges VALUES (1, 1), (2, 2), (3, NULL);
    """)
    operation = SetAside(table="badges", rows="where", where="id > 1", reason="lost")
    bench.up(operation)
    bench.ask("DELETE FROM people WHERE id = 2")

    with pytest.raises(
        NoWayBack, match=r"1 rows of public\.badges that were set aside refer to rows of public\.people"
    ):
        bench.down(operation)
    bench.ask("INSERT INTO people VALUES (2); INSERT INTO badges VALUES (3, 1)")
    with pytest.raises(OperationFailed, match=r"badges_pkey.*already exists"):
        bench.down(operation)

    assert bench.one("SELECT count(*) FROM mig.quarantine") == 2
    bench.ask("DELETE FROM badges WHERE id = 3")
    bench.down(operation)
    assert bench.ask("SELECT id, owner FROM badges ORDER BY id") == [(1, 1), (2, 2), (3, None)]


def test_a_row_that_a_client_holds_is_waited_for(votes):
    with psycopg.connect(votes.dsn) as client:
        client.execute("UPDATE votes SET verdict = 'v0' WHERE id = 10")
        with pytest.raises(OperationFailed, match="lock timeout"):
            votes.up(WHERE)
        client.commit()

    votes.up(WHERE)

    assert votes.one("SELECT verdict FROM votes WHERE id = 10") == "v0"


def test_triggers_of_users_keep_quiet_unless_they_may_fire(votes):
    votes.ask("""
        CREATE TABLE log (what text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
          AS 'BEGIN INSERT INTO public.log VALUES (TG_OP); RETURN NULL; END';
        CREATE TRIGGER note AFTER INSERT OR DELETE ON votes FOR EACH ROW EXECUTE FUNCTION note();
    """)
    votes.up(WHERE)
    votes.down(WHERE)
    assert votes.ask("SELECT * FROM log") == []

    votes.up(replace(WHERE, triggers="fire"))
    assert votes.ask("SELECT DISTINCT what FROM log") == [("DELETE",)]
    votes.down(replace(WHERE, triggers="fire"))
    votes.ask("ALTER TABLE votes ENABLE ALWAYS TRIGGER note")

    with pytest.raises(TriggersWouldFire, match="note on votes"):
        votes.up(WHERE)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "some"},
        {"rows": "orphans"},
        {"rows": "where"},
        {"columns": ()},
        {"keep": "none"},
        {"triggers": "sometimes"},
        {"references": "artifacts", "referenced_columns": ("id",)},
    ],
)
def test_nonsense_is_refused_when_it_is_read(change):
    with pytest.raises(BadOperation):
        replace(DUPLICATES, **change)


def test_what_is_not_there_is_refused_by_name(votes):
    before = votes.world()

    for change, refusal in [
        ({"table": "nowhere"}, NoSuchTable),
        ({"columns": ("artifact", "nothing")}, NoSuchColumn),
        ({"by": ("nothing",)}, NoSuchColumn),
    ]:
        with pytest.raises(refusal):
            votes.up(replace(DUPLICATES, **change))
        votes.forget()

    assert before.sentences(votes.world()) == []
