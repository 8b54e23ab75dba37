"""Traps in the schema of AMOCA: what a document draws and a database must refuse."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from psycopg import errors as pg

from hansa.migrate.revisions import load
from hansa.migrations import DIRECTORY

USERS = """
    CREATE TABLE users (
        id UUID PRIMARY KEY,
        wallet_address VARCHAR(44) UNIQUE NOT NULL,
        created_at TIMESTAMP,
        is_verified BOOLEAN,
        reputation_score INTEGER,
        total_spent DECIMAL(18, 9)
    );
"""
AGENTS = """
    CREATE TABLE agents (id UUID PRIMARY KEY, name VARCHAR(100) NOT NULL, status VARCHAR(20));
    INSERT INTO agents VALUES ('00000000-0000-0000-0000-000000000001', 'NLPAgent', 'available');
"""
BOARDS = """
    CREATE TABLE domains (id SERIAL PRIMARY KEY, name VARCHAR(50));
    CREATE TABLE agent_domains (agent_id UUID REFERENCES agents(id), domain_id INTEGER REFERENCES domains(id));
    CREATE TABLE leaderboard_rankings (
        agent_id UUID REFERENCES agents(id), domain_id INTEGER REFERENCES domains(id), rank INTEGER NOT NULL, period VARCHAR(20));
"""
OUR_USER = """
    INSERT INTO identity.users (solana_did, wallet_address) VALUES ('did:sol:' || repeat('A', 32), repeat('A', 32));
"""
OUR_AGENT = (
    OUR_USER
    + """
    INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                                 content_hash, ttl_s, expires_at, creator_user_id)
    SELECT 'did:key:a', 'nlp-agent', 'NLPAgent', 'Reads', 'Reads texts', 'https://x.example/a', repeat('B', 32),
           decode(repeat('00', 32), 'hex'), 'bafkrei', 3600, clock_timestamp(), id
      FROM identity.users;
"""
)
LIST_OF_COLUMNS = re.compile(r"^SELECT(.*?)^\s+FROM\b", re.MULTILINE | re.DOTALL)
"""What a view shows: the lists of its outermost SELECTs, which stand at the beginning of a line."""
STAR = re.compile(r"(^|[\s.,])\*\s*(,|$)")


def test_three_dots_are_no_sql(trap):
    trap.run(AGENTS)

    assert isinstance(trap.refused("CREATE VIEW v AS SELECT a.id FROM agents a GROUP BY ..."), pg.SyntaxError)

    columns = trap.columns("market.v_agent_leaderboard")
    assert {
        "id",
        "name",
        "avatar_url",
        "tasks_completed",
        "success_rate",
        "rating",
        "domains",
        "rank",
        "score",
    } <= columns.keys()


def test_a_profile_reads_a_table_that_the_document_never_makes(trap):
    trap.run(AGENTS)
    profile = "CREATE VIEW v_agent_profiles AS SELECT a.*, ap.hourly_rate FROM agents a LEFT JOIN agent_pricing ap ON ap.agent_id = a.id"

    assert 'relation "agent_pricing" does not exist' in str(trap.refused(profile))

    assert {"hourly_rate", "subscription_monthly", "total_earnings"} <= trap.columns("market.v_agent_profiles").keys()


def test_eighteen_decimals_are_nine_and_a_billion_does_not_fit(trap):
    trap.run(USERS)
    spend = "INSERT INTO users (id, wallet_address, total_spent) VALUES (uuidv7(), %s, %s) RETURNING total_spent"

    assert isinstance(trap.refused(spend, "a", 1_200_000_000), pg.NumericValueOutOfRange)
    assert trap.one(spend, "b", Decimal("1e-18")) == 0

    trap.run(OUR_USER)
    big = Decimal("1200000000.000000001")
    assert trap.one("UPDATE identity.users SET total_spent = %s RETURNING total_spent", big) == big


def test_a_user_without_id_time_or_score_is_made_or_refused_by_accident(trap):
    trap.run(USERS)

    assert isinstance(trap.refused("INSERT INTO users (wallet_address) VALUES ('a')"), pg.NotNullViolation)
    trap.run("INSERT INTO users (id, wallet_address) VALUES (uuidv7(), 'a')")
    assert trap.run("SELECT created_at, is_verified, reputation_score FROM users") == [(None, None, None)]

    trap.run(OUR_USER)
    ((made, verified, score),) = trap.run(
        "SELECT id IS NOT NULL AND created_at > now(), is_verified, reputation_score FROM identity.users"
    )
    assert (made, verified, score) == (True, False, 0)
    for column in ("id", "created_at", "is_verified", "reputation_score", "total_spent"):
        assert isinstance(trap.refused(f"UPDATE identity.users SET {column} = NULL"), pg.NotNullViolation)


def test_a_status_in_free_text_is_anything_and_an_enum_is_not(trap):
    trap.run(AGENTS + OUR_AGENT)

    trap.run("UPDATE agents SET status = 'on holiday'")

    assert isinstance(trap.refused("UPDATE registry.agents SET status = 'on holiday'"), pg.InvalidTextRepresentation)
    assert trap.run("UPDATE registry.agents SET status = 'busy' RETURNING status::text") == [("busy",)]


def test_a_board_without_a_key_ranks_one_agent_twice_and_ours_once_even_in_no_domain(trap):
    trap.run(AGENTS + BOARDS + OUR_AGENT)
    trap.run("INSERT INTO leaderboard_rankings SELECT id, NULL, 1, 'all_time' FROM agents, generate_series(1, 2)")
    trap.run("INSERT INTO agent_domains SELECT id, NULL FROM agents, generate_series(1, 2)")

    ranked = trap.refused(
        """
        INSERT INTO market.leaderboard_rankings (agent_id, domain_id, period, rank, total_agents_in_domain, score)
        SELECT id, NULL, 'all_time', 1, 1, 50 FROM registry.agents, generate_series(1, 2)
        """
    )
    listed = "INSERT INTO registry.agent_domains (agent_id, domain_id) SELECT id, {} FROM registry.agents, generate_series(1, 2)"

    assert trap.run("SELECT (SELECT count(*) FROM leaderboard_rankings), (SELECT count(*) FROM agent_domains)") == [
        (2, 2)
    ]
    assert ranked.diag.constraint_name == "unique_agent_domain_period"
    assert trap.refused(listed.format("1")).diag.constraint_name == "domain_once_per_agent"
    assert isinstance(trap.refused(listed.format("NULL")), pg.NotNullViolation)


def test_a_unique_column_that_may_be_null_holds_statistics_of_nobody_twice(trap):
    trap.run(AGENTS + "CREATE TABLE agent_stats (agent_id UUID UNIQUE REFERENCES agents(id), tasks_completed INTEGER)")

    trap.run("INSERT INTO agent_stats VALUES (NULL, 1), (NULL, 2)")

    assert isinstance(trap.refused("INSERT INTO market.agent_stats (agent_id) VALUES (NULL)"), pg.NotNullViolation)
    assert isinstance(
        trap.refused("INSERT INTO market.agent_stats (agent_id) VALUES (uuidv7())"), pg.ForeignKeyViolation
    )


def test_a_review_of_nothing_by_nobody_with_no_stars_passes_and_ours_does_not(trap):
    trap.run(
        """
        CREATE TABLE reviews (
            id UUID PRIMARY KEY, user_id UUID, task_id UUID,
            rating INTEGER CHECK (rating BETWEEN 1 AND 5), quality_rating INTEGER);
        INSERT INTO reviews VALUES (uuidv7(), NULL, NULL, NULL, 99);
        """
    )
    review = """
        INSERT INTO market.reviews (user_id, agent_id, task_id, negotiation_id, rating, quality_rating)
        VALUES (uuidv7(), uuidv7(), uuidv7(), uuidv7(), %s, %s)
    """

    assert trap.run("SELECT rating, quality_rating FROM reviews") == [(None, 99)]
    assert isinstance(trap.refused(review, None, 5), pg.NotNullViolation)
    for stars, quality in ((6, 5), (5, 99), (0, None)):
        assert trap.refused(review, stars, quality).diag.constraint_name == "ratings_from_1_to_5"
    assert isinstance(trap.refused(review, 5, None), pg.ForeignKeyViolation)


def test_a_message_comes_from_nobody_and_an_agent_cannot_answer_unless_a_check_names_both_ends(trap):
    trap.run(
        """
        CREATE TABLE messages (id UUID PRIMARY KEY, sender_user_id UUID, recipient_agent_id UUID, message_text TEXT NOT NULL);
        INSERT INTO messages VALUES (uuidv7(), NULL, NULL, 'hello');
        CREATE TABLE both_ways (
            sender_user_id uuid, sender_agent_id uuid, recipient_user_id uuid, recipient_agent_id uuid,
            CONSTRAINT from_somebody CHECK (num_nonnulls(sender_user_id, sender_agent_id) = 1),
            CONSTRAINT to_somebody CHECK (num_nonnulls(recipient_user_id, recipient_agent_id) = 1));
        """
    )

    trap.run("INSERT INTO both_ways VALUES (uuidv7(), NULL, NULL, uuidv7()), (NULL, uuidv7(), uuidv7(), NULL)")

    assert "sender_agent_id" not in trap.columns("messages")
    assert (
        trap.refused("INSERT INTO both_ways VALUES (NULL, NULL, uuidv7(), NULL)").diag.constraint_name
        == "from_somebody"
    )
    assert (
        trap.refused("INSERT INTO both_ways VALUES (uuidv7(), NULL, NULL, NULL)").diag.constraint_name == "to_somebody"
    )


def test_a_user_with_followers_can_never_leave_and_our_agents_retire(trap):
    trap.run(
        USERS
        + AGENTS
        + "CREATE TABLE agent_followers (user_id UUID REFERENCES users(id), agent_id UUID REFERENCES agents(id))"
    )
    trap.run("INSERT INTO users (id, wallet_address) VALUES (uuidv7(), 'a')")
    trap.run("INSERT INTO agent_followers SELECT users.id, agents.id FROM users, agents" + ";" + OUR_AGENT)

    assert isinstance(trap.refused("DELETE FROM users"), pg.ForeignKeyViolation)
    assert isinstance(trap.refused("DELETE FROM agents"), pg.ForeignKeyViolation)

    assert not trap.one("SELECT has_table_privilege('hansa_app', 'registry.agents', 'DELETE')")
    retired = trap.run("UPDATE registry.agents SET retired_at = now() RETURNING status::text")
    assert retired == [("offline",)]


def test_a_star_in_a_view_is_frozen_and_locks_the_types_of_its_table_and_none_of_ours_has_one(trap):
    trap.run(
        AGENTS + "CREATE VIEW v_agent_profiles AS SELECT a.* FROM agents a; ALTER TABLE agents ADD COLUMN bio TEXT"
    )

    assert "bio" not in trap.columns("v_agent_profiles")
    assert isinstance(trap.refused("ALTER TABLE agents ALTER COLUMN name TYPE TEXT"), pg.FeatureNotSupported)

    lists = {
        statement.text.split()[2]: LIST_OF_COLUMNS.findall(statement.text)
        for revision in load(DIRECTORY)
        for statement in (revision.up.statements if revision.up else ())
        if statement.words[:2] == ("CREATE", "VIEW")
    }
    assert all(lists.values())
    assert "market.v_agent_profiles" in lists
    assert [view for view, columns in lists.items() if STAR.search(" ".join(columns))] == []


def test_one_agent_stands_on_a_joined_board_once_for_every_pair_and_on_ours_once_a_board(trap):
    trap.run(AGENTS + BOARDS + OUR_AGENT)
    trap.run(
        """
        INSERT INTO domains (name) VALUES ('Design'), ('Research');
        INSERT INTO agent_domains SELECT agents.id, domains.id FROM agents, domains;
        INSERT INTO leaderboard_rankings
        SELECT agents.id, domains.id, 1, period FROM agents, domains, unnest('{daily,all_time}'::text[]) AS period;
        INSERT INTO registry.agent_domains (agent_id, domain_id) SELECT id, n FROM registry.agents, generate_series(1, 2) AS n;
        INSERT INTO market.leaderboard_rankings (agent_id, domain_id, period, rank, total_agents_in_domain, score)
        SELECT id, n, period::market.leaderboard_period, 1, 1, 50
          FROM registry.agents, generate_series(1, 2) AS n, unnest('{daily,all_time}'::text[]) AS period;
        """
    )

    literally = trap.run(
        """
        SELECT a.id, array_agg(DISTINCT d.name), lr.rank
          FROM agents a
          LEFT JOIN agent_domains ad ON a.id = ad.agent_id
          LEFT JOIN domains d ON ad.domain_id = d.id
          LEFT JOIN leaderboard_rankings lr ON a.id = lr.agent_id
         GROUP BY a.id, lr.domain_id, lr.period, lr.rank
        """
    )
    ours = "SELECT count(*), count(DISTINCT (domain_id, period)) FROM market.v_agent_leaderboard"

    assert len(literally) == 4  # and no column says which row is of which board
    assert trap.run(ours) == [(4, 4)]
    assert trap.run(ours + " WHERE period = 'daily' AND domain_id = 1") == [(1, 1)]
    assert trap.one("SELECT DISTINCT cardinality(domains) FROM market.v_agent_leaderboard") == 2


@pytest.mark.parametrize("key", ["id UUID PRIMARY KEY", "transaction_signature VARCHAR(88) UNIQUE"])
def test_a_table_partitioned_by_date_can_have_no_key_without_the_date(trap, key):
    refused = trap.refused(f"CREATE TABLE transactions ({key}, created_at TIMESTAMP) PARTITION BY RANGE (created_at)")

    assert isinstance(refused, pg.FeatureNotSupported)


def test_a_table_beside_the_partitions_keeps_a_signature_unique_over_all_of_them(trap):
    trap.run(
        """
        CREATE TABLE transactions (
            id uuid DEFAULT uuidv7(), created_at timestamptz NOT NULL, signature text NOT NULL, PRIMARY KEY (id, created_at)
        ) PARTITION BY RANGE (created_at);
        CREATE TABLE transactions_2026_01 PARTITION OF transactions FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
        CREATE TABLE transactions_2026_02 PARTITION OF transactions FOR VALUES FROM ('2026-02-01Z') TO ('2026-03-01Z');
        CREATE TABLE signatures (signature text CONSTRAINT one_transaction_per_signature PRIMARY KEY);
        CREATE FUNCTION keep_signature() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO signatures VALUES (NEW.signature); RETURN NEW; END';
        CREATE TRIGGER signature_kept BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION keep_signature();
        INSERT INTO transactions (created_at, signature) VALUES ('2026-01-15Z', 'one'), ('2026-02-15Z', 'two');
        """
    )

    twice = trap.refused("INSERT INTO transactions (created_at, signature) VALUES ('2026-02-16Z', 'one')")

    assert twice.diag.constraint_name == "one_transaction_per_signature"
    assert trap.run("SELECT tableoid::regclass::text FROM transactions ORDER BY 1") == [
        ("transactions_2026_01",),
        ("transactions_2026_02",),
    ]


def test_what_refers_to_a_partitioned_table_must_carry_the_date(trap):
    trap.run(
        "CREATE TABLE transactions (id uuid, created_at timestamptz, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at)"
    )

    assert isinstance(trap.refused("CREATE TABLE refunds (tx uuid REFERENCES transactions (id))"), pg.InvalidForeignKey)

    trap.run(
        "CREATE TABLE refunds (tx uuid, at timestamptz, FOREIGN KEY (tx, at) REFERENCES transactions (id, created_at))"
    )


def test_reviews_for_ever_forbid_to_forget_tasks_after_two_years_and_ours_stand_on_what_stays(trap):
    trap.run(
        """
        CREATE TABLE tasks (id UUID PRIMARY KEY, completed_at TIMESTAMP);
        CREATE TABLE reviews (task_id UUID REFERENCES tasks(id));
        INSERT INTO tasks VALUES ('00000000-0000-0000-0000-000000000001', '2020-01-01');
        INSERT INTO reviews SELECT id FROM tasks;
        """
    )

    assert isinstance(
        trap.refused("DELETE FROM tasks WHERE completed_at < now() - interval '2 years'"), pg.ForeignKeyViolation
    )

    referred = trap.run(
        """
        SELECT DISTINCT confrelid::regclass::text FROM pg_constraint
         WHERE contype = 'f' AND conrelid = 'market.reviews'::regclass
        """
    )
    assert set(referred) == {("market.task_keys",), ("negotiation.settlements",)}
