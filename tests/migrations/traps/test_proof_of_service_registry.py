"""Traps in the migrations of the Proof-of-Service registry, each beside the way we went."""

from __future__ import annotations

from decimal import Decimal

import pytest
from psycopg import errors as pg

from hansa import migrate
from hansa.migrations import DIRECTORY

OURS = "('identity', 'registry', 'credits', 'proof', 'governance', 'payments', 'autopay', 'negotiation', 'market', 'discovery')"
HISTORY = (
    "20231215T090000_init_registry_db",
    "20240101T120000_add_reputation_history",
    "20240115T140000_add_capabilities_marketplace",
    "20240130T160000_add_zk_privacy_features",
)


def test_text_has_no_gin_operator_class_so_proofs_are_indexed_as_arrays_of_one(trap):
    trap.run('CREATE TABLE "work_history_logs" ("zkp_hash" TEXT NOT NULL)')
    refused = trap.refused('CREATE INDEX "idx_work_history_zkp" ON "work_history_logs" USING GIN ("zkp_hash")')
    assert "no default operator class" in str(refused)

    trap.run("SET LOCAL enable_seqscan = off")
    plan = trap.run("EXPLAIN SELECT FROM proof.work_history_logs WHERE ARRAY[zkp_hash] @> ARRAY[repeat('a', 64)]")

    assert "idx_work_history_zkp" in str(plan)
    assert (
        trap.one(
            "SELECT am.amname FROM pg_class c JOIN pg_am am ON am.oid = c.relam WHERE c.relname = 'idx_work_history_zkp'"
        )
        == "gin"
    )


def test_joining_an_array_is_not_immutable_so_skills_are_searched_in_a_stored_column(trap):
    trap.run('CREATE TABLE "agent_capabilities" ("skills" TEXT[] NOT NULL)')
    literal = "CREATE INDEX ON \"agent_capabilities\" USING GIN (to_tsvector('english', array_to_string(skills, ' ')))"
    virtual = (
        'ALTER TABLE "agent_capabilities" ADD COLUMN tsv tsvector GENERATED ALWAYS AS (registry.skills_text(skills))'
    )
    assert "must be marked IMMUTABLE" in str(trap.refused(literal))
    assert isinstance(trap.refused(virtual), pg.FeatureNotSupported)  # virtual is what PostgreSQL 18 takes by default

    kind = trap.one(
        "SELECT attgenerated::text FROM pg_attribute WHERE attrelid = 'registry.agent_capabilities'::regclass AND attname = 'skills_tsv'"
    )
    trap.run(virtual + " STORED")
    trap.run('INSERT INTO "agent_capabilities" VALUES (\'{NLP,"contract auditing"}\')')

    assert kind == "s"
    assert (
        trap.one("SELECT count(*) FROM \"agent_capabilities\" WHERE tsv @@ to_tsquery('english', 'audit & nlp')") == 1
    )
    assert "idx_capabilities_skills_fts" in str(trap.indexes("registry.agent_capabilities"))


@pytest.fixture
def old_work(trap):
    """The work history of the second migration with its own example row: private, and nothing encrypted."""
    trap.run(
        """
        CREATE TYPE "DisclosureLevel" AS ENUM ('public', 'private_zk');
        CREATE TABLE "work_history_logs" (
            "zkp_hash" TEXT NOT NULL,
            "disclosure_level" "DisclosureLevel" NOT NULL DEFAULT 'private_zk',
            "encrypted_data" BYTEA
        );
        INSERT INTO "work_history_logs" VALUES ('zkproof_example_abc123', 'private_zk');
        """
    )
    return trap


def test_the_example_row_of_one_migration_makes_the_next_one_fail_as_a_whole(old_work):
    check = 'CHECK (CASE WHEN "disclosure_level" = \'private_zk\' THEN "encrypted_data" IS NOT NULL ELSE true END)'

    refused = old_work.refused(
        f'ALTER TABLE "work_history_logs" ADD COLUMN "revocable_key_hash" TEXT, ADD CONSTRAINT "chk" {check}'
    )

    assert isinstance(refused, pg.CheckViolation)
    assert "revocable_key_hash" not in old_work.columns('"work_history_logs"')
    old_work.run(f'ALTER TABLE "work_history_logs" ADD CONSTRAINT "chk" {check} NOT VALID')
    assert isinstance(old_work.refused('UPDATE "work_history_logs" SET "zkp_hash" = \'x\''), pg.CheckViolation)
    old_work.run('UPDATE "work_history_logs" SET "encrypted_data" = \'\\x01\'')
    old_work.run('ALTER TABLE "work_history_logs" VALIDATE CONSTRAINT "chk"')


def test_private_work_without_sealed_content_is_refused_by_name(trap):
    row = """
        INSERT INTO proof.work_history_logs (agent_did, subject_kind, subject_id, task_hash, zkp_hash, encrypted_data)
        VALUES ('did:key:z', 'negotiation', '1', repeat('a', 64), repeat('b', 64), %s)
    """

    nothing, plain = trap.refused(row, None), trap.refused(row, b"not sealed" * 10)

    assert nothing.diag.constraint_name == "chk_private_zk_encrypted"
    assert plain.diag.constraint_name == "sealed_work_is_sealed"


def test_a_score_of_two_decimals_breaks_the_settlement_after_the_last_hundredth(trap):
    trap.run('CREATE TABLE "reputation_scores" ("score" DECIMAL(3,2) CHECK ("score" >= 0 AND "score" <= 1))')
    trap.run('INSERT INTO "reputation_scores" VALUES (0.98), (0.0089)')

    assert isinstance(trap.refused('UPDATE "reputation_scores" SET "score" = "score" + 0.03'), pg.CheckViolation)
    assert trap.run('SELECT "score" FROM "reputation_scores" ORDER BY 1') == [(Decimal("0.01"),), (Decimal("0.98"),)]


def test_our_score_keeps_its_fractions_and_never_passes_one(trap):
    standing = """
        SELECT standing.score, standing.exact
          FROM proof.standing_on(
               proof.adopted_policy(),
               jsonb_populate_record(NULL::proof.reputation_state, jsonb_build_object(
                   'as_of', date '2026-11-20', 'success_verified', %s::float, 'failure_verified', 0,
                   'success_unverified', 0, 'failure_unverified', 0, 'recent_success_verified', %s::float,
                   'recent_failure_verified', 0, 'recent_success_unverified', 0, 'recent_failure_unverified', 0)),
               date '2026-11-20') AS standing
    """

    ((little, exactly),) = trap.run(standing, 0.89, 0.89)
    ((full, most),) = trap.run(standing, 1_000_000.0, 1_000_000.0)

    assert (little, exactly) == (Decimal("0.00"), pytest.approx(0.0089))
    assert full <= 1
    assert most <= 1


def test_a_plain_reference_lets_anybody_be_a_marketplace_and_a_reference_to_the_role_does_not(trap):
    trap.run(
        """
        INSERT INTO identity.users (solana_did, wallet_address, role)
        SELECT 'did:sol:' || wallet, wallet, role::identity.user_role
          FROM (VALUES (repeat('D', 32), 'developer'), (repeat('M', 32), 'marketplace')) AS given (wallet, role);
        CREATE TABLE literal (marketplace_id UUID NOT NULL REFERENCES identity.users (id) ON DELETE CASCADE);
        INSERT INTO literal SELECT id FROM identity.users WHERE role = 'developer';
        """
    )
    assert trap.one("SELECT count(*) FROM literal") == 1
    role = "identity.user_role GENERATED ALWAYS AS ('marketplace'::identity.user_role)"
    reference = "FOREIGN KEY (marketplace_id, marketplace_role) REFERENCES identity.users (id, role)"
    virtual = trap.refused(f"CREATE TABLE bound (marketplace_id uuid, marketplace_role {role} VIRTUAL, {reference})")
    assert isinstance(virtual, pg.FeatureNotSupported)

    trap.run(f"CREATE TABLE bound (marketplace_id uuid NOT NULL, marketplace_role {role} STORED, {reference})")
    trap.run("INSERT INTO bound SELECT id FROM identity.users WHERE role = 'marketplace'")

    insert = "INSERT INTO bound SELECT id FROM identity.users WHERE role = 'developer'"
    assert isinstance(trap.refused(insert), pg.ForeignKeyViolation)
    demote = "UPDATE identity.users SET role = 'developer' WHERE role = 'marketplace'"
    assert isinstance(trap.refused(demote), pg.ForeignKeyViolation)


REDUNDANT = """
    SELECT min(one.indexrelid::regclass::text)
      FROM pg_index AS one
      JOIN pg_class AS index ON index.oid = one.indexrelid
     WHERE index.relnamespace::regnamespace::text IN {schemas}
     GROUP BY one.indrelid, one.indkey::text, one.indclass::text, one.indcollation::text, one.indoption::text,
              one.indpred::text, one.indexprs::text
    HAVING count(*) > 1
"""


def test_an_index_on_a_unique_column_is_a_second_one_and_we_have_none_twice(trap):
    trap.run(
        """
        CREATE TABLE "users" ("solana_did" TEXT UNIQUE NOT NULL);
        CREATE INDEX "idx_users_solana_did" ON "users" ("solana_did");
        """
    )

    assert trap.run(REDUNDANT.format(schemas="('public')")) == [("idx_users_solana_did",)]
    assert trap.run(REDUNDANT.format(schemas=OURS)) == []


def test_a_second_run_fails_at_every_statement_and_ours_finds_nothing_to_do(trap, scratch):
    script = """
        CREATE TYPE "UpdateTrigger" AS ENUM ('x402_settlement');
        CREATE TABLE "users" ("id" UUID PRIMARY KEY);
        CREATE INDEX "idx" ON "users" ("id");
        ALTER TABLE "users" ADD COLUMN "capability_filter" JSONB;
    """

    first, second = trap.goes_on(script), trap.goes_on(script)

    assert [error.sqlstate for error in first] == []
    assert [error.sqlstate for error in second] == ["42710", "42P07", "42P07", "42701"]
    assert migrate.up(scratch, DIRECTORY).revisions == ()


def test_an_agent_may_register_one_capability_twice_and_with_us_once_per_card(trap):
    trap.run('CREATE TABLE "agent_capabilities" ("agent_did" TEXT NOT NULL, "skills" TEXT[] NOT NULL)')
    trap.run("INSERT INTO \"agent_capabilities\" SELECT 'did:solana:NLPAgent', '{NLP}' FROM generate_series(1, 2)")

    twice = trap.refused(
        """
        INSERT INTO registry.agent_capabilities (agent_did, version, skills, endpoints, ipfs_pin_hash)
        SELECT 'did:key:z', 1, '{NLP}', '{}', 'bafkrei' FROM generate_series(1, 2)
        """
    )
    once = trap.refused(
        """
        INSERT INTO registry.agent_capabilities (agent_did, version, skills, endpoints, ipfs_pin_hash)
        VALUES ('did:key:z', 1, '{NLP}', '{}', 'bafkrei')
        """
    )

    assert trap.one('SELECT count(*) FROM "agent_capabilities"') == 2
    assert twice.diag.constraint_name == "one_snapshot_per_version"
    assert once.diag.constraint_name == "capabilities_of_a_card"


def test_a_timestamp_without_zone_moves_with_the_session_and_none_of_ours_is_one(trap):
    trap.run('CREATE TABLE "users" ("created_at" TIMESTAMP(3), "moment" timestamptz)')
    trap.run("SET LOCAL timezone = 'Asia/Tokyo'")
    trap.run("INSERT INTO \"users\" VALUES (timestamptz '2024-01-01 00:00Z', timestamptz '2024-01-01 00:00Z')")
    trap.run("SET LOCAL timezone = 'UTC'")

    ((stored, moment),) = trap.run('SELECT "created_at"::text, "moment"::text FROM "users"')

    assert (stored, moment) == ("2024-01-01 09:00:00", "2024-01-01 00:00:00+00")
    assert (
        trap.run(
            f"""
            SELECT table_name, column_name FROM information_schema.columns
             WHERE table_schema IN {OURS} AND data_type = 'timestamp without time zone'
            """
        )
        == []
    )


def test_one_forgotten_word_keeps_a_user_that_its_sibling_would_delete_and_no_evidence_of_ours_cascades(trap):
    trap.run(
        """
        CREATE TABLE "users" ("id" INT PRIMARY KEY);
        CREATE TABLE "agent_queries" ("user_id" INT REFERENCES "users" ON DELETE CASCADE);
        CREATE TABLE "selective_disclosures" ("disclosed_to" INT REFERENCES "users");
        INSERT INTO "users" VALUES (1), (2);
        INSERT INTO "agent_queries" VALUES (1), (2);
        INSERT INTO "selective_disclosures" VALUES (2);
        DELETE FROM "users" WHERE "id" = 1;
        """
    )

    assert isinstance(trap.refused('DELETE FROM "users" WHERE "id" = 2'), pg.ForeignKeyViolation)
    assert trap.run('SELECT "user_id" FROM "agent_queries"') == [(2,)]
    assert trap.run(
        """
            SELECT conname FROM pg_constraint
             WHERE contype = 'f' AND confdeltype NOT IN ('a', 'r')
               AND connamespace IN ('proof'::regnamespace, 'credits'::regnamespace, 'governance'::regnamespace)
             ORDER BY conname COLLATE "C"
            """
    ) == [
        # The governance plan names these: evidence loses a reference and stays, the tests of a policy go with it.
        ("audit_logs_organizationId_fkey",),
        ("audit_logs_roleAgentId_fkey",),
        ("mcp_policy_tests_policyId_fkey",),
    ]


def test_the_names_of_the_guide_do_not_fit_a_ledger_of_32_characters(trap, folder, dsn):
    trap.run("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    for name in HISTORY:
        folder.revision(name)

    refused = [name for name in HISTORY if len(name) > 32]
    for name in refused:
        error = trap.refused("INSERT INTO alembic_version VALUES (%s)", name)
        assert isinstance(error, pg.StringDataRightTruncation)

    assert refused == list(HISTORY[1:])
    assert migrate.up(dsn, folder.path).revisions == HISTORY
