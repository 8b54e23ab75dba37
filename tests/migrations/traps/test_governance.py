"""Traps in the improvement plan of role-agent governance, on a small old database with the dirt of its years."""

from __future__ import annotations

import tomllib

import pytest
from psycopg import errors as pg

from hansa import migrate
from hansa.examples import legacy
from hansa.migrate import errors
from hansa.migrate.online.values import read_map

TYPES = """
    CREATE TYPE "BlockchainTxStatus" AS ENUM ('pending', 'confirmed', 'failed');
    CREATE TYPE "RoleAgentStatus" AS ENUM ('active', 'inactive', 'suspended', 'retired');
    CREATE TYPE "ArtifactType" AS ENUM ('RoleAgent', 'MCP');
    CREATE TYPE "ApprovalFacet" AS ENUM ('security', 'compliance', 'policy', 'risk');
    CREATE TYPE "ApprovalDecision" AS ENUM ('approve', 'reject');
    CREATE TYPE "PolicyStatus" AS ENUM ('draft', 'active', 'archived');
"""
STATUS_NEW = """
    ALTER TABLE "{table}" ADD COLUMN "status_new" "{type}" DEFAULT '{default}';
    UPDATE "{table}" SET "status_new" = CASE {cases} ELSE '{default}'::"{type}" END;
"""
SWAP = """
    ALTER TABLE "{table}" DROP COLUMN "{column}";
    ALTER TABLE "{table}" RENAME COLUMN "{column}_new" TO "{column}";
"""
LABELS = {
    "role_agents": ("RoleAgentStatus", "active", ("active", "inactive", "suspended", "retired")),
    "blockchain_transactions": ("BlockchainTxStatus", "pending", ("pending", "confirmed", "failed")),
    "mcp_policies": ("PolicyStatus", "draft", ("draft", "active", "archived")),
}
MAPS = {
    "role_agents": "role_agent_status",
    "blockchain_transactions": "blockchain_tx_status",
    "mcp_policies": "policy_status",
}


@pytest.fixture
def old(trap):
    """The old database with two hundred agents, and the plan's types."""
    trap.run(legacy.SCHEMA.read_text() + TYPES)
    trap.census = legacy.generate(trap.connection, seed=3, scale=200)
    return trap


def converted(old, table):
    """Each old status with the new one that the plan's UPDATE gives it."""
    kind, default, labels = LABELS[table]
    cases = " ".join(f"WHEN \"status\" = '{label}' THEN '{label}'::\"{kind}\"" for label in labels)
    old.run(STATUS_NEW.format(table=table, type=kind, default=default, cases=cases))
    return dict(old.run(f'SELECT DISTINCT "status", "status_new"::text FROM "{table}"'))


def ours(table):
    return read_map(MAPS[table], tomllib.loads(legacy.MAP.read_text())[MAPS[table]])


def test_the_else_of_the_plan_gives_power_back_to_the_banned_and_our_map_to_nobody(old):
    became = converted(old, "role_agents")

    risen = {status for status, new in became.items() if new == "active"} - {"active", "Active", "ACTIVE "}
    assert risen == {
        "Revoked",
        "revoked ",
        "SUSPENDED",
        "SUSPENDED ",
        " suspended",
        "banned",
        "deactivated",
        "pending_approval",
    }
    assert {ours("role_agents").new(status) for status in risen} == {"inactive", "suspended", "retired"}


def test_the_else_of_the_plan_would_send_mints_again_and_our_map_sends_none(old):
    became = converted(old, "blockchain_transactions")

    again = {status for status, new in became.items() if new == "pending"} - {"pending", "submitted"}
    assert again == {"success", "CONFIRMED", "reverted", "Failed ", "unknown"}
    assert {status: ours("blockchain_transactions").new(status) for status in again} == {
        "success": "confirmed",
        "CONFIRMED": "confirmed",
        "reverted": "failed",
        "Failed ": "failed",
        "unknown": None,
    }


def test_the_else_of_the_plan_takes_the_force_from_policies_and_our_map_keeps_it(old):
    became = converted(old, "mcp_policies")

    assert (became["published"], became["ACTIVE"], became["deprecated"]) == ("draft", "draft", "draft")
    assert [ours("mcp_policies").new(status) for status in ("published", "ACTIVE", "deprecated")] == [
        "active",
        "active",
        "archived",
    ]


def test_a_value_that_nobody_thought_of_stops_our_map(old):
    with pytest.raises(KeyError, match="on vacation"):
        ours("role_agents").new("On Vacation")


FACETS = """
    ALTER TABLE "approvals" ADD COLUMN "facet_new" "ApprovalFacet";
    ALTER TABLE "approvals" ADD COLUMN "decision_new" "ApprovalDecision";
    UPDATE "approvals" SET "facet_new" = "facet"::"ApprovalFacet", "decision_new" = "decision"::"ApprovalDecision";
"""


def test_after_a_failed_update_the_next_lines_drop_the_data_and_the_key_fits_because_all_is_null(old):
    drop = SWAP.format(table="approvals", column="facet") + SWAP.format(table="approvals", column="decision")
    key = 'ALTER TABLE "approvals" ADD UNIQUE ("artifactId", "reviewerId", "facet")'

    failed = old.goes_on(FACETS + drop + key)

    assert [type(error) for error in failed] == [pg.InvalidTextRepresentation]
    assert old.run('SELECT count(*) > 50, count("facet"), count("decision") FROM "approvals"') == [(True, 0, 0)]


def test_in_one_transaction_that_stops_at_its_first_error_nothing_is_lost(old):
    refused = old.refused(FACETS + SWAP.format(table="approvals", column="facet"))

    assert isinstance(refused, pg.InvalidTextRepresentation)
    found = dict(old.run('SELECT "facet", count(*) FROM "approvals" GROUP BY 1'))
    assert found == dict(old.census.values["approvals.facet"])


def test_drop_and_rename_loses_not_null_index_comment_and_grant_and_a_change_of_type_keeps_them(old):
    old.run('GRANT SELECT ("status") ON "role_agents" TO hansa_app')
    kept = """
        SELECT attnotnull, to_regclass('"idx_role_agents_status"') IS NOT NULL,
               col_description(attrelid, attnum) IS NOT NULL,
               has_column_privilege('hansa_app', attrelid, attnum, 'SELECT')
          FROM pg_attribute WHERE attrelid = '"role_agents"'::regclass AND attname = 'status'
    """
    assert old.run(kept) == [(True, True, True, True)]
    with old.connection.transaction(force_rollback=True):
        converted(old, "role_agents")
        old.run(SWAP.format(table="role_agents", column="status"))
        literally, order = old.run(kept), list(old.columns('"role_agents"'))
    old.run(
        """
        UPDATE "role_agents" SET "status" = 'retired' WHERE "status" NOT IN ('active', 'inactive', 'suspended');
        ALTER TABLE "role_agents" ALTER "status" DROP DEFAULT,
                                  ALTER "status" TYPE "RoleAgentStatus" USING "status"::"RoleAgentStatus";
        """
    )

    assert literally == [(False, False, False, False)]
    assert order[-1] == "status"
    assert old.run(kept) == [(True, True, True, True)]
    assert list(old.columns('"role_agents"'))[-1] == "createdAt"


def test_a_column_that_a_view_reads_cannot_be_dropped_until_the_view_is_made_again(old):
    view = 'CREATE VIEW active AS SELECT "id" FROM "role_agents" WHERE "status" = \'active\''
    old.run(view)
    converted(old, "role_agents")

    assert isinstance(old.refused('ALTER TABLE "role_agents" DROP COLUMN "status"'), pg.DependentObjectsStillExist)

    old.run("DROP VIEW active;" + SWAP.format(table="role_agents", column="status") + view)
    assert old.one("SELECT count(*) FROM active") > 0


VOTES = '"artifactId", "artifactType", "reviewerId", "facet"'


def test_reviewers_who_changed_their_mind_stand_in_the_way_of_the_key_until_the_last_word_is_kept(old):
    key = f'ALTER TABLE "approvals" ADD CONSTRAINT one_vote UNIQUE ({VOTES})'

    assert isinstance(old.refused(key), pg.UniqueViolation)

    superseded = old.run(
        f"""
        DELETE FROM "approvals"
         WHERE "id" IN (SELECT "id"
                          FROM (SELECT "id", row_number() OVER (PARTITION BY {VOTES} ORDER BY "createdAt" DESC) AS age
                                  FROM "approvals") AS votes
                         WHERE age > 1)
        RETURNING "id"
        """
    )
    old.run(key)
    assert len(superseded) == old.census.repeated_votes


def test_a_plain_key_lets_rules_of_no_organization_in_twice_and_one_without_distinct_nulls_does_not(old):
    surplus = 'DELETE FROM "mcp_policies" AS a USING "mcp_policies" AS b WHERE a.ctid > b.ctid AND {} AND (a."name", a."version") = (b."name", b."version")'
    key = 'ALTER TABLE "mcp_policies" ADD UNIQUE {} ("organizationId", "name", "version")'

    assert isinstance(old.refused(key.format("")), pg.UniqueViolation)
    old.run(surplus.format('a."organizationId" = b."organizationId"'))
    with old.connection.transaction(force_rollback=True):
        old.run(key.format(""))  # the repeated rules of the house are still there

    assert isinstance(old.refused(key.format("NULLS NOT DISTINCT")), pg.UniqueViolation)
    old.run(surplus.format('a."organizationId" IS NULL AND b."organizationId" IS NULL'))
    old.run(key.format("NULLS NOT DISTINCT"))
    assert old.one('SELECT count(*) FROM "mcp_policies" WHERE "organizationId" IS NULL') == (
        old.census.house_policies - old.census.repeated_house_policies
    )
    (kind,) = old.run("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'one_membership_per_role'")
    assert "NULLS NOT DISTINCT" in kind[0]


def test_orphans_stand_in_the_way_of_a_foreign_key_and_one_that_looks_later_lets_them_be_cleaned_up(old):
    key = 'ALTER TABLE "mcp_policy_tests" ADD CONSTRAINT of_policy FOREIGN KEY ("policyId") REFERENCES "mcp_policies" ("id") ON DELETE CASCADE'
    validate = 'ALTER TABLE "mcp_policy_tests" VALIDATE CONSTRAINT of_policy'

    assert isinstance(old.refused(key), pg.ForeignKeyViolation)
    old.run(key + " NOT VALID")
    another = 'INSERT INTO "mcp_policy_tests" ("id", "policyId", "name", "input", "expected") VALUES (\'x\', \'no\', \'x\', \'{}\', \'{}\')'
    assert isinstance(old.refused(another), pg.ForeignKeyViolation)
    assert isinstance(old.refused(validate), pg.ForeignKeyViolation)
    gone = old.run(
        """
        DELETE FROM "mcp_policy_tests" AS t
         WHERE NOT EXISTS (SELECT FROM "mcp_policies" AS p WHERE p."id" = t."policyId")
        RETURNING "id"
        """
    )
    old.run(validate)

    assert len(gone) == old.census.orphan_policy_tests


def test_a_default_is_no_trigger_so_the_time_of_the_last_change_never_changes_and_ours_does(old):
    old.run('ALTER TABLE "role_agents" ADD COLUMN "updatedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP')
    old.run('UPDATE "role_agents" SET "updatedAt" = \'2025-08-20\'')
    old.run("INSERT INTO governance.organizations (name, domain) VALUES ('House', 'house.example')")

    literally = old.run('UPDATE "role_agents" SET "level" = 2 RETURNING old."updatedAt" = new."updatedAt"')
    ours = old.run("UPDATE governance.organizations SET name = 'Home' RETURNING old.updated_at < new.updated_at")

    assert set(literally) == {(True,)}
    assert ours == [(True,)]


def test_a_history_of_trust_without_a_key_and_a_scale_takes_anything(old):
    old.run(
        'CREATE TABLE "trust_histories" ("id" TEXT PRIMARY KEY, "roleAgentId" TEXT NOT NULL, "trustScore" DOUBLE PRECISION NOT NULL)'
    )
    old.run("INSERT INTO \"trust_histories\" VALUES ('1', 'nobody', 'NaN')")
    old.run(
        """
        CREATE TABLE kept (
            role_agent_id text NOT NULL REFERENCES governance.role_agents (id),
            trust_score double precision NOT NULL CONSTRAINT on_the_scale CHECK (trust_score BETWEEN 0 AND 1000))
        """
    )

    assert old.one('SELECT count(*) FROM "trust_histories"') == 1
    assert isinstance(old.refused("INSERT INTO kept VALUES ('nobody', 500)"), pg.ForeignKeyViolation)
    for score in ("NaN", -1, 1001):
        assert old.refused("INSERT INTO kept VALUES ('nobody', %s)", score).diag.constraint_name == "on_the_scale"
    unknown = "INSERT INTO governance.role_agents (name, organization_id, role_template_id, assigned_to_did, trust_score) VALUES ('a', 'o', 't', 'd', 'NaN')"
    assert old.refused(unknown).diag.constraint_name == "role_agent_score_on_the_scale"


CLEAN = """
    CREATE TABLE agents (id INT PRIMARY KEY, status TEXT NOT NULL DEFAULT 'active');
    INSERT INTO agents VALUES (1, 'active'), (2, 'suspended');
"""
TO_ENUM = 'ALTER TABLE agents ALTER status TYPE "RoleAgentStatus" USING status::"RoleAgentStatus"'


def test_a_default_cannot_be_cast_with_its_column_so_it_is_set_aside_first(trap):
    trap.run(TYPES + CLEAN)

    assert "default for column" in str(trap.refused(TO_ENUM))

    trap.run(
        f"ALTER TABLE agents ALTER status DROP DEFAULT; {TO_ENUM}; ALTER TABLE agents ALTER status SET DEFAULT 'active'"
    )
    assert trap.columns("agents")["status"] == '"RoleAgentStatus" not null'


def test_a_view_forbids_the_change_of_a_type_that_it_shows(trap):
    trap.run(
        TYPES + CLEAN + "ALTER TABLE agents ALTER status DROP DEFAULT; CREATE VIEW shown AS SELECT status FROM agents"
    )

    assert isinstance(trap.refused(TO_ENUM), pg.FeatureNotSupported)

    trap.run(f"DROP VIEW shown; {TO_ENUM}; CREATE VIEW shown AS SELECT status FROM agents")
    assert trap.run("SELECT status::text FROM shown ORDER BY 1") == [("active",), ("suspended",)]


def test_a_new_label_cannot_be_used_in_the_transaction_that_adds_it(folder, dsn):
    add, use = (
        "ALTER TYPE \"ApprovalFacet\" ADD VALUE 'legal'",
        "CREATE TABLE t AS SELECT 'legal'::\"ApprovalFacet\" AS f",
    )
    first, second, third = (f"2025082{n}T000000_{name}" for n, name in enumerate(("types", "label", "use")))
    folder.revision(first, up=TYPES)
    together = folder.revision(second, up=f"{add};\n{use};", meta=f'requires = ["{first}"]')

    with pytest.raises(errors.StatementFailed, match=r"statement 2.*unsafe use of new value") as refused:
        migrate.up(dsn, folder.path)
    (together / "up.sql").write_text(add)
    folder.revision(third, up=use, meta=f'requires = ["{second}"]')

    assert refused.value.sqlstate == "55P04"
    assert migrate.up(dsn, folder.path).revisions == (second, third)


def test_a_label_cannot_be_taken_back_but_by_another_type(trap):
    trap.run(TYPES + CLEAN + f"ALTER TABLE agents ALTER status DROP DEFAULT; {TO_ENUM}")

    assert isinstance(
        trap.refused("ALTER TYPE \"RoleAgentStatus\" DROP VALUE 'retired'"), (pg.SyntaxError, pg.FeatureNotSupported)
    )

    trap.run(
        """
        CREATE TYPE fewer AS ENUM ('active', 'inactive', 'suspended');
        ALTER TABLE agents ALTER status TYPE fewer USING status::text::fewer;
        """
    )
    assert trap.columns("agents")["status"] == "fewer not null"


def test_an_enum_takes_literals_and_refuses_typed_text_where_text_with_a_check_takes_both(trap):
    trap.run(TYPES + CLEAN + f"ALTER TABLE agents ALTER status DROP DEFAULT; {TO_ENUM}")
    trap.run("CREATE TABLE checked (status TEXT CHECK (status IN ('active', 'inactive', 'suspended', 'retired')))")
    trap.run("INSERT INTO checked VALUES ('active')")

    assert trap.one("SELECT count(*) FROM agents WHERE status = 'active'") == 1
    assert isinstance(trap.refused("SELECT FROM agents WHERE status = 'active'::text"), pg.UndefinedFunction)
    assert isinstance(trap.refused("UPDATE agents SET status = 'retired'::text"), pg.DatatypeMismatch)
    assert trap.one("SELECT count(*) FROM checked WHERE status = 'active'::text") == 1
    assert isinstance(trap.refused("UPDATE checked SET status = 'banned'"), pg.CheckViolation)


@pytest.mark.parametrize(
    ("default", "rewrites"), [("CURRENT_TIMESTAMP", False), ("clock_timestamp()", True), ("gen_random_uuid()", True)]
)
def test_only_a_default_that_differs_by_row_rewrites_the_table(old, default, rewrites):
    file = "SELECT pg_relation_filenode('\"role_agents\"')"
    kind = "uuid" if "uuid" in default else "timestamptz"
    before = old.one(file)

    old.run(f'ALTER TABLE "role_agents" ADD COLUMN "added" {kind} NOT NULL DEFAULT {default}')

    assert (old.one(file) != before) == rewrites


def test_between_drop_and_rename_the_application_fails_and_an_update_in_between_is_lost(old):
    converted(old, "role_agents")
    old.run('UPDATE "role_agents" SET "status" = \'suspended\'')  # after the plan's UPDATE, before its DROP
    drop, rename = SWAP.format(table="role_agents", column="status").strip().splitlines()

    old.run(drop)
    assert isinstance(old.refused('SELECT "status" FROM "role_agents"'), pg.UndefinedColumn)
    old.run(rename)
    assert old.one('SELECT count(*) FROM "role_agents" WHERE "status" = \'active\'') > 100


def test_a_trigger_keeps_both_columns_true_until_the_names_change_in_one_step(old):
    old.run(
        """
        ALTER TABLE "role_agents" ADD COLUMN "status_new" "RoleAgentStatus";
        CREATE FUNCTION keep_both() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN NEW."status_new" := NEW."status"::"RoleAgentStatus"; RETURN NEW; END';
        CREATE TRIGGER both_kept BEFORE INSERT OR UPDATE OF "status" ON "role_agents"
            FOR EACH ROW EXECUTE FUNCTION keep_both();
        """
    )

    old.run('UPDATE "role_agents" SET "status" = \'suspended\'')
    old.run(
        """
        DROP TRIGGER both_kept ON "role_agents";
        ALTER TABLE "role_agents" RENAME COLUMN "status" TO "status_old";
        ALTER TABLE "role_agents" RENAME COLUMN "status_new" TO "status";
        """
    )

    assert old.run('SELECT DISTINCT "status"::text FROM "role_agents"') == [("suspended",)]
