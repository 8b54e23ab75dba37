"""Traps in the migrations of the Autopay agent: names that need quotes, and rules that only the text knows."""

from __future__ import annotations

import pytest
from psycopg import errors as pg

from hansa import migrate
from hansa.migrate import errors

AGENT = """
    CREATE TYPE "AutonomyPhase" AS ENUM ('DEMO', 'INTERACTIVE', 'FULL');
    CREATE TABLE "Agent" (
        "id" UUID NOT NULL PRIMARY KEY,
        "name" TEXT NOT NULL,
        "autonomyPhase" "AutonomyPhase" NOT NULL,
        "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
"""
TRANSACTION = """
    CREATE TABLE "Transaction" ("id" UUID NOT NULL PRIMARY KEY, "agentId" UUID NOT NULL, "hash" TEXT, "network" TEXT);
"""
OUR_TRANSACTIONS = """
    INSERT INTO autopay.transactions (
        agent_did, budget_id, hash, amount, currency, x402_request_id, network, environment, url, method, wallet, pay_to,
        asset, requirements, requirements_digest, expires_at)
    SELECT 'did:key:z', uuidv7(), 'one hash', 1, 'USDC', 'purchase-' || n, 'DEVNET', 'devnet', 'https://x.example',
           'GET', 'wallet', 'payee', 'mint', '{}', 'digest', clock_timestamp()
      FROM generate_series(1, 2) AS n
"""


def test_the_snippet_indexes_a_table_that_it_never_makes(trap):
    failed = trap.goes_on(AGENT + 'CREATE INDEX "Transaction_hash_network" ON "Transaction" ("hash", "network");')

    assert [type(error) for error in failed] == [pg.UndefinedTable]
    assert trap.one("SELECT 'autopay.transactions'::regclass IS NOT NULL")


def test_an_index_that_is_called_unique_takes_one_payment_twice_and_ours_does_not(trap):
    trap.run(TRANSACTION)
    trap.run('CREATE INDEX "Transaction_hash_network" ON "Transaction" ("hash", "network")')
    trap.run("INSERT INTO \"Transaction\" SELECT uuidv7(), uuidv7(), 'one hash', 'DEVNET' FROM generate_series(1, 2)")

    twice = trap.refused(OUR_TRANSACTIONS)

    assert trap.one('SELECT count(*) FROM "Transaction"') == 2
    assert isinstance(twice, pg.UniqueViolation)
    assert twice.diag.constraint_name == "Transaction_hash_network"


def test_an_id_that_only_the_mapper_makes_is_missing_for_everybody_else(trap):
    trap.run(AGENT)

    refused = trap.refused('INSERT INTO "Agent" ("name", "autonomyPhase") VALUES (\'AutopayDemoAgent\', \'DEMO\')')

    assert isinstance(refused, pg.NotNullViolation)
    without = trap.run(
        """
        SELECT conrelid::regclass::text, attname
          FROM pg_constraint
          JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
         WHERE contype = 'p' AND connamespace = 'autopay'::regnamespace AND attname = 'id'
           AND NOT atthasdef AND attidentity = ''
        """
    )
    assert without == []
    assert trap.columns("autopay.transactions")["id"] == "uuid not null"


def test_a_made_up_uuid_is_none(trap):
    trap.run(TRANSACTION)

    refused = trap.refused("INSERT INTO \"Transaction\" VALUES (gen_random_uuid(), 'generated-uuid')")
    ((agent,),) = trap.run('INSERT INTO "Transaction" VALUES (uuidv7(), uuidv7()) RETURNING "agentId"')

    assert isinstance(refused, pg.InvalidTextRepresentation)
    assert agent.version == 7


def test_a_name_in_mixed_case_is_not_found_without_quotes_and_no_column_of_ours_has_one(trap):
    trap.run(TRANSACTION)

    refused = trap.refused('SELECT * FROM "Transaction" WHERE agentId = gen_random_uuid()')

    assert isinstance(refused, pg.UndefinedColumn)
    assert "agentid" in str(refused)
    mixed = trap.run(
        """
        SELECT table_schema, table_name, column_name FROM information_schema.columns
         WHERE table_schema NOT IN ('public', 'pg_catalog', 'information_schema')
           AND (column_name <> lower(column_name) OR table_name <> lower(table_name))
        """
    )
    assert mixed == []


def test_the_quoted_names_can_stand_over_ours_as_a_view_that_obeys_row_security(trap):
    trap.run(
        """
        CREATE VIEW "Transaction" WITH (security_invoker) AS
        SELECT id, agent_did AS "agentId", hash, network, created_at AS "createdAt" FROM autopay.transactions;
        GRANT SELECT ON "Transaction" TO hansa_app;
        SET LOCAL session_replication_role = replica;
        """
    )
    trap.run(OUR_TRANSACTIONS.replace("(1, 2)", "(1, 1)"))
    by = 'SELECT count(*) FROM "Transaction" WHERE "agentId" = \'did:key:z\''

    everybody = trap.one(by)
    trap.run("SET LOCAL ROLE hansa_app; SELECT set_config('hansa.actor', 'did:key:other', true)")
    stranger = trap.one(by)
    trap.run("SELECT set_config('hansa.actor', 'did:key:z', true)")

    assert (everybody, stranger, trap.one(by)) == (1, 0, 1)


def test_pushing_a_schema_leaves_no_history_and_our_history_refuses_to_be_rewritten(trap, folder, dsn):
    name = "20240115T000001_initial_autopay_schema"
    trap.run(AGENT + 'ALTER TABLE "Agent" ADD COLUMN "walletAddress" TEXT')
    revision = folder.revision(name, up=AGENT, down='DROP TABLE "Agent"; DROP TYPE "AutonomyPhase";')
    migrate.up(dsn, folder.path)

    (revision / "up.sql").write_text(AGENT.replace('"name"', '"walletAddress" TEXT, "name"'))

    assert "walletAddress" in trap.columns('"Agent"')  # and nothing says when, or by whom
    with pytest.raises(errors.EditedRevision, match=r"up\.sql changed since"):
        migrate.up(dsn, folder.path)
