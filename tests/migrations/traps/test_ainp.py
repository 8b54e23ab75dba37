"""Traps in the migrations of AINP: numbers for names, rollbacks among the steps, and checks that cannot pass."""

from __future__ import annotations

import pytest
from psycopg import errors as pg

from hansa import migrate
from hansa.kernel.dids import parse_did
from hansa.migrate import errors
from hansa.migrate.revisions import load
from hansa.migrations import DIRECTORY

A, B = "20260101T000000_a", "20260102T000000_b"

STEPS = {
    "001_add_agent_registration_fields": "ALTER TABLE agents ADD COLUMN endpoint TEXT;",
    "002_add_trust_scores": "CREATE TABLE IF NOT EXISTS trust_scores (did TEXT PRIMARY KEY);",
    "004_add_negotiation_sessions": "CREATE TABLE IF NOT EXISTS negotiations (id UUID PRIMARY KEY);",
    "006_add_usefulness_proofs": """
        CREATE TABLE IF NOT EXISTS usefulness_proofs (id UUID PRIMARY KEY, agent_did TEXT REFERENCES agents (did));
        CREATE INDEX IF NOT EXISTS idx_usefulness_agent ON usefulness_proofs (agent_did);
    """,
    "007_add_usefulness_to_agents": "ALTER TABLE agents ADD COLUMN usefulness_score_cached NUMERIC;",
    "008_rollback_usefulness": """
        DROP INDEX IF EXISTS idx_usefulness_agent;
        ALTER TABLE agents DROP COLUMN IF EXISTS usefulness_score_cached;
        DROP TABLE IF EXISTS usefulness_proofs;
    """,
    "009_add_credit_ledger": """
        CREATE TABLE IF NOT EXISTS credit_accounts (agent_did TEXT PRIMARY KEY);
        CREATE TABLE IF NOT EXISTS credit_transactions (
            agent_did TEXT, amount BIGINT, proof_id UUID REFERENCES usefulness_proofs (id));
    """,
    "010_rollback_credit_ledger": "DROP TABLE IF EXISTS credit_transactions; DROP TABLE IF EXISTS credit_accounts;",
    "011_rollback_negotiation_sessions": "DROP TABLE IF EXISTS negotiations;",
}
"""What each file does to the tables, as its documentation lists it."""
DOCUMENTED = [name for name in STEPS if "rollback" not in name]
AGENTS = "CREATE TABLE agents (did TEXT PRIMARY KEY);"


def tables(trap):
    return [name for (name,) in trap.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


def test_the_documented_order_makes_half_a_schema_and_goes_on_and_the_engine_stops_at_the_first_error(
    trap, folder, dsn
):
    failed = [error for name in DOCUMENTED for error in trap.goes_on(STEPS[name])]
    for number, name in enumerate(DOCUMENTED, start=1):
        folder.revision(f"2024010{number}T000000_{name}", up=STEPS[name])

    with pytest.raises(errors.StatementFailed, match=f'{DOCUMENTED[0]}/up.sql.*"agents" does not exist'):
        migrate.up(dsn, folder.path)

    assert len(failed) == 5
    assert tables(trap) == ["credit_accounts", "negotiations", "trust_scores"]
    assert len(migrate.status(dsn, folder.path).pending) == len(DOCUMENTED)


def test_extensions_and_a_role_that_are_not_there_and_we_need_neither(trap):
    available = {name for (name,) in trap.run("SELECT name FROM pg_available_extensions")}
    wanted = {"uuid-ossp", "pg_stat_statements"} - available

    for name in wanted:
        assert isinstance(trap.refused(f'CREATE EXTENSION IF NOT EXISTS "{name}"'), pg.FeatureNotSupported)
    assert isinstance(trap.refused("GRANT ALL ON ALL TABLES IN SCHEMA public TO ainp"), pg.UndefinedObject)

    assert trap.run("SELECT extname FROM pg_extension") == [("plpgsql",)]
    assert trap.one("SELECT gen_random_uuid() IS NOT NULL AND uuidv7() IS NOT NULL")


def test_if_not_exists_keeps_another_table_in_silence_and_we_never_say_it_of_one(trap):
    trap.run("CREATE TABLE trust_scores (agent_id UUID, score NUMERIC(5,4))")

    trap.run("CREATE TABLE IF NOT EXISTS trust_scores (did TEXT PRIMARY KEY, score NUMERIC(3,2))")

    assert trap.columns("trust_scores") == {"agent_id": "uuid", "score": "numeric(5,4)"}
    assert trap.notices == ['relation "trust_scores" already exists, skipping']
    assert list(trap.columns("proof.trust_scores"))[:2] == ["agent_did", "score"]
    said = [
        (revision.id, statement.line)
        for revision in load(DIRECTORY)
        for statement in (revision.up.statements if revision.up else ())
        if statement.words[:5] == ("CREATE", "TABLE", "IF", "NOT", "EXISTS")
    ]
    assert said == []


def test_in_numeric_order_a_rollback_runs_among_the_steps_and_ours_is_no_step(trap, folder):
    trap.run(AGENTS)

    failed = [str(error) for name in sorted(STEPS) for error in trap.goes_on(STEPS[name])]

    assert len(failed) == 1
    assert 'relation "usefulness_proofs" does not exist' in failed[0]
    assert tables(trap) == ["agents", "trust_scores"]
    (folder.revision(A) / "008_rollback_usefulness.sql").write_text("SELECT 1;")
    with pytest.raises(errors.UnknownFile, match=r"008_rollback_usefulness\.sql would never run"):
        load(folder.path)
    (folder.path / A).rename(folder.path / "008_rollback_usefulness")
    with pytest.raises(errors.BadRevisionName):
        load(folder.path)


def test_the_wrong_order_of_rollbacks_leaves_half_of_one_and_ours_is_whole_or_nothing(trap, folder, dsn):
    trap.run(AGENTS)
    for name in DOCUMENTED:
        assert trap.goes_on(STEPS[name]) == []
    folder.revision(A, up="CREATE TABLE proofs (id int PRIMARY KEY);", down="DROP TABLE proofs;")
    up, down = "CREATE TABLE transactions (proof int REFERENCES proofs);", "DROP TABLE transactions;"
    folder.revision(B, meta=f'requires = ["{A}"]', up=up, down=down)

    (refused,) = trap.goes_on(STEPS["008_rollback_usefulness"])
    migrate.up(dsn, folder.path)
    report = migrate.down(dsn, folder.path, everything=True)

    assert isinstance(refused, pg.DependentObjectsStillExist)
    assert "usefulness_proofs" in tables(trap)
    assert trap.indexes("usefulness_proofs") == {"usefulness_proofs_pkey"}
    assert "usefulness_score_cached" not in trap.columns("agents")
    assert report.revisions == (B, A)


def test_a_notice_outside_of_a_block_is_a_syntax_error(trap):
    assert isinstance(trap.refused("RAISE NOTICE 'Rollback complete'"), pg.SyntaxError)

    trap.run("DO $$ BEGIN RAISE NOTICE 'Rollback complete'; END $$")

    assert trap.notices == ["Rollback complete"]


def test_the_first_step_fails_when_it_is_run_again_and_takes_its_transaction_with_it(trap, folder, dsn):
    trap.run(AGENTS)
    step = STEPS["001_add_agent_registration_fields"]
    trap.run(step)
    folder.revision(A, up=AGENTS + step, down="DROP TABLE agents;")

    with pytest.raises(pg.InFailedSqlTransaction), trap.connection.transaction():
        with pytest.raises(pg.DuplicateColumn):
            trap.run(step)
        trap.run("SELECT 1")

    assert migrate.up(dsn, folder.path).revisions == (A,)
    assert migrate.up(dsn, folder.path).revisions == ()


def test_a_check_for_words_never_passes_because_postgresql_writes_them_anew(trap):
    trap.run("CREATE TABLE negotiations (state TEXT, expires_at TIMESTAMPTZ)")
    trap.run(
        """
        CREATE INDEX idx_negotiations_expires ON negotiations (expires_at)
         WHERE state NOT IN ('accepted', 'rejected', 'expired')
        """
    )

    written = trap.one(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname = 'idx_negotiations_expires'"
    )

    assert "NOT IN" not in written
    assert "<> ALL (ARRAY[" in written
    ours = trap.one(
        "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'negotiation.idx_negotiations_expires'::regclass"
    )
    covered = trap.run(
        f"""
        SELECT state FROM unnest('{{initiated,proposed,counter_proposed,accepted,rejected,expired}}'::text[]) AS state
         WHERE {ours}
        """
    )
    assert covered == [("initiated",), ("proposed",), ("counter_proposed",)]


def test_now_stands_still_in_a_transaction_and_the_clock_of_our_triggers_does_not(trap):
    trap.run(
        """
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at := now(); RETURN NEW; END';
        CREATE TABLE negotiations (id INT, updated_at TIMESTAMPTZ DEFAULT now());
        CREATE TRIGGER touched BEFORE UPDATE ON negotiations FOR EACH ROW EXECUTE FUNCTION touch();
        INSERT INTO negotiations VALUES (1);
        INSERT INTO identity.users (solana_did, wallet_address) VALUES ('did:sol:' || repeat('D', 32), repeat('D', 32));
        """
    )

    frozen = trap.run("UPDATE negotiations SET id = 2 RETURNING old.updated_at = new.updated_at")
    moving = trap.run(
        "UPDATE identity.users SET bio = 'x' RETURNING new.updated_at > old.updated_at AND new.updated_at > now()"
    )

    assert (frozen, moving) == ([(True,)], [(True,)])


def test_a_failed_check_is_a_failed_verification_and_not_a_line_of_output(folder, dsn):
    folder.revision(A, verify="\\echo 'Test 1'\nSELECT 'one', true;\nSELECT 'two', 'x <> ALL (1)' LIKE '%NOT IN%';")
    migrate.up(dsn, folder.path)

    found = migrate.verify(dsn, folder.path)

    assert [(check.name, check.ok) for check in found.checks] == [("one", True), ("two", False)]
    assert not found.ok


def test_a_verification_touches_live_rows_outside_of_a_transaction_and_ours_leaves_them_alone(trap, folder, dsn):
    expire = "UPDATE negotiations SET state = 'expired' WHERE expires_at < now()"
    up = """
        CREATE TABLE negotiations (state text, expires_at timestamptz);
        INSERT INTO negotiations VALUES ('proposed', '2024-01-01Z');
    """
    trap.run(up)
    folder.revision(A, up=up, down="DROP TABLE negotiations;", verify=f"{expire};\nSELECT 'expired', true;")
    folder.revision(
        B,
        meta=f'requires = ["{A}"]',
        verify=f"-- verify: writes\n{expire};\nSELECT 'expired', bool_and(state = 'expired') FROM negotiations;",
    )
    migrate.up(dsn, folder.path)

    trap.goes_on(expire)
    found = migrate.verify(dsn, folder.path)

    assert trap.one("SELECT state FROM negotiations") == "expired"
    assert [(check.revision, check.ok) for check in found.checks] == [(A, False), (A, True), (B, True)]
    with migrate.session.connect(dsn) as connection:
        assert connection.execute("SELECT state FROM negotiations").fetchall() == [("proposed",)]
    (folder.path / A / "verify.sql").write_text("\\pset pager off\nSELECT 'one', true;")
    with pytest.raises(errors.PsqlCommand, match="pset"):
        load(folder.path)


def test_of_two_migrations_with_one_number_the_first_wins_in_silence_and_our_names_are_unique(trap, folder):
    trap.run("CREATE TABLE negotiations (id INT)")

    trap.run("ALTER TABLE negotiations ADD COLUMN IF NOT EXISTS selection_seed UUID")
    trap.run("ALTER TABLE negotiations ADD COLUMN IF NOT EXISTS selection_seed TEXT")
    trap.run("ALTER TABLE negotiations ADD COLUMN IF NOT EXISTS updated_at TIMESTAMPTZ")
    trap.run("ALTER TABLE negotiations ADD COLUMN IF NOT EXISTS updated_at TIMESTAMPTZ NOT NULL DEFAULT now()")

    seed, updated = trap.columns("negotiations")["selection_seed"], trap.columns("negotiations")["updated_at"]
    assert (seed, updated) == ("uuid", "timestamp with time zone")
    folder.revision(A)
    folder.revision(A.replace("_a", "_A"))
    with pytest.raises(errors.DuplicateRevision):
        load(folder.path)


def test_a_gap_in_the_numbers_says_nothing_and_a_missing_requirement_is_named(folder):
    folder.revision(B, meta=f'requires = ["{A}"]')

    with pytest.raises(errors.UnknownRequirement, match=f"{B} requires {A}"):
        load(folder.path)


def test_deleting_an_agent_erases_its_ledger_and_nothing_of_ours_is_deleted(trap):
    trap.run(
        """
        CREATE TABLE agents (did TEXT PRIMARY KEY);
        CREATE TABLE credit_accounts (agent_did TEXT PRIMARY KEY REFERENCES agents ON DELETE CASCADE);
        CREATE TABLE credit_transactions (agent_did TEXT REFERENCES agents ON DELETE CASCADE, amount BIGINT);
        INSERT INTO agents VALUES ('did:key:a');
        INSERT INTO credit_transactions VALUES ('did:key:a', -999999999);
        DELETE FROM agents;
        """
    )
    assert trap.one("SELECT count(*) FROM credit_transactions") == 0

    trap.run("SELECT " + posted("'deposit'", "'did:key:a', 'system:mint'", "500, -500"))

    for delete in ("credits.postings", "credits.credit_transactions"):
        assert trap.refused(f"DELETE FROM {delete}").diag.constraint_name == "books_are_append_only"
    assert isinstance(
        trap.refused("DELETE FROM credits.credit_accounts WHERE account = 'did:key:a'"), pg.ForeignKeyViolation
    )


def test_a_ledger_takes_any_number_for_anybody_and_ours_must_balance(trap):
    trap.run("CREATE TABLE credit_transactions (agent_did TEXT, amount BIGINT)")
    trap.run("INSERT INTO credit_transactions VALUES ('did:key:nobody', -999999999)")

    below = trap.refused("SELECT " + posted("'spend'", "'did:key:nobody', 'system:mint'", "-999999999, 999999999"))
    alone = trap.refused("SELECT " + posted("'deposit'", "'did:key:nobody'", "999") + "; SET CONSTRAINTS ALL IMMEDIATE")
    unknown = trap.refused(
        """
        INSERT INTO credits.postings (transaction_id, line, account, bucket, tx_type, amount)
        VALUES (uuidv7(), 1, 'did:key:nobody', 'available', 'spend', -999999999)
        """
    )

    assert below.diag.constraint_name == "agent_balance_not_negative"
    assert alone.diag.constraint_name == "postings_sum_to_zero"
    assert isinstance(unknown, pg.ForeignKeyViolation)


def posted(kind, accounts, amounts):
    """A call of the one routine that writes movements."""
    lines = len(amounts.split(","))
    return f"""
        credits.post({kind}, gen_random_uuid()::text, 'trap', NULL, NULL, ARRAY[{accounts}],
                     array_fill('available'::credits.bucket, ARRAY[{lines}]),
                     array_fill({kind}::credits.tx_type, ARRAY[{lines}]), ARRAY[{amounts}]::bigint[])
    """


CONVERSATIONS = """
    CREATE TABLE conversations (id INT PRIMARY KEY, participants TEXT[] NOT NULL, unread_count INT NOT NULL DEFAULT 1);
    CREATE TABLE messages (conversation INT, sender TEXT, recipients TEXT[]);
    CREATE FUNCTION keep_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO conversations AS known (id, participants)
        VALUES (NEW.conversation, (SELECT {participants} FROM unnest({people}) AS p))
        ON CONFLICT (id) DO UPDATE SET participants = {merged}, unread_count = {unread};
        RETURN NEW;
    END $$;
    CREATE TRIGGER kept AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION keep_conversation();
"""
TWO_MESSAGES = "INSERT INTO messages VALUES (1, 'a', '{b,c}'), (1, 'a', '{b,c}')"
TO_NOBODY = "INSERT INTO messages VALUES (2, 'a', NULL)"
CONVERSATION = "SELECT participants, unread_count FROM conversations WHERE id = 1"


def test_a_conversation_grows_by_every_message_counts_none_as_unread_and_refuses_one_to_nobody(trap):
    trap.run(
        CONVERSATIONS.format(
            participants="array_agg(p)",
            people="NEW.recipients",
            merged="known.participants || EXCLUDED.participants",
            unread="EXCLUDED.unread_count",
        )
    )

    trap.run(TWO_MESSAGES)

    assert trap.run(CONVERSATION) == [(["b", "c", "b", "c"], 1)]
    assert isinstance(trap.refused(TO_NOBODY), pg.NotNullViolation)


def test_a_conversation_that_merges_and_counts_is_right(trap):
    trap.run(
        CONVERSATIONS.format(
            participants="array_agg(DISTINCT p)",
            people="NEW.sender || NEW.recipients",
            merged="(SELECT array_agg(DISTINCT p) FROM unnest(known.participants || EXCLUDED.participants) AS p)",
            unread="known.unread_count + 1",
        )
    )

    trap.run(TWO_MESSAGES)
    trap.run(TO_NOBODY)

    assert trap.run(CONVERSATION) == [(["a", "b", "c"], 2)]
    assert trap.one("SELECT participants FROM conversations WHERE id = 2") == ["a"]


def test_a_recipient_named_twice_makes_an_upsert_fail_unless_it_is_taken_once(trap):
    trap.run("CREATE TABLE mailbox (recipient TEXT PRIMARY KEY, n INT NOT NULL DEFAULT 1)")
    upsert = """
        INSERT INTO mailbox SELECT {} recipient FROM unnest('{{b,b}}'::text[]) AS recipient
        ON CONFLICT (recipient) DO UPDATE SET n = mailbox.n + 1
    """

    assert isinstance(trap.refused(upsert.format("")), pg.CardinalityViolation)

    trap.run(upsert.format("DISTINCT"))
    trap.run(upsert.format("DISTINCT"))
    assert trap.run("SELECT * FROM mailbox") == [("b", 2)]


def test_one_system_refuses_the_did_of_another_and_we_read_them_all(trap):
    trap.run("CREATE TABLE agents (did TEXT CONSTRAINT did_format_check CHECK (did ~ '^did:(key|web):'))")
    wallet = "4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T"

    refused = trap.refused("INSERT INTO agents VALUES (%s)", f"did:solana:{wallet}")

    assert refused.diag.constraint_name == "did_format_check"
    assert parse_did(f"did:solana:{wallet}") == f"did:sol:{wallet}"
    assert trap.one("SELECT %s ~ '^did:sol:[1-9A-HJ-NP-Za-km-z]{32,44}$'", parse_did(f"did:solana:{wallet}"))
