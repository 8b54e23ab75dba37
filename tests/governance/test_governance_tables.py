"""The shape of role-agent governance: exactly these columns at the start, and these after the plan's four phases."""

import psycopg
import pytest

from hansa import migrate
from hansa.infra.db import Query
from hansa.migrate import testing
from hansa.migrations import DIRECTORY

START = "20261120T005000_governance"

STARTING_COLUMNS = {
    "organizations": {
        "id": "text",
        "name": "text",
        "description": "text",
        "domain": "text",
        "is_active": "boolean",
        "onboarding_complete": "boolean",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    },
    "role_templates": {
        "id": "text",
        "title": "text",
        "focus": "text",
        "category": "text",
        "selectable": "boolean",
        "responsibilities": "jsonb",
        "security_contributions": "jsonb",
        "organization_id": "text",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    },
    "role_agents": {
        "id": "text",
        "name": "text",
        "description": "text",
        "blockchain_address": "text",
        "soulbound_token_id": "text",
        "blockchain_network": "text",
        "status": "text",
        "level": "integer",
        "organization_id": "text",
        "role_template_id": "text",
        "assigned_to_did": "text",
        "assigned_to": "text",
        "is_eligible_for_mint": "boolean",
        "last_trust_check": "timestamp with time zone",
        "trust_score": "double precision",
        "ans_identifier": "text",
        "ans_registration_status": "text",
        "ans_registration_error": "text",
        "ans_verification_url": "text",
        "created_at": "timestamp with time zone",
    },
    "role_trust_thresholds": {
        "id": "text",
        "role_title": "text",
        "min_trust_score": "double precision",
        "is_active": "boolean",
        "organization_id": "text",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    },
    "signals": {
        "id": "text",
        "type": "text",
        "title": "text",
        "description": "text",
        "metadata": "jsonb",
        "value": "double precision",
        "source": "text",
        "verified": "boolean",
        "role_agent_id": "text",
        "url": "text",
        "created_at": "timestamp with time zone",
    },
    "certifications": {
        "id": "text",
        "name": "text",
        "issuer": "text",
        "issued_at": "timestamp with time zone",
        "expires_at": "timestamp with time zone",
        "credential_url": "text",
        "verified": "boolean",
        "role_agent_id": "text",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    },
    "audit_logs": {
        "id": "text",
        "action": "text",
        "entity": "text",
        "entity_id": "text",
        "user_id": "text",
        "metadata": "jsonb",
        "created_at": "timestamp with time zone",
    },
    "blockchain_transactions": {
        "id": "text",
        "transaction_hash": "text",
        "network": "text",
        "block_number": "integer",
        "gas_used": "text",
        "gas_price": "text",
        "status": "text",
        "role_agent_id": "text",
        "contract_address": "text",
        "token_id": "text",
        "metadata": "jsonb",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    },
    "loa_policies": {
        "id": "text",
        "organization_id": "text",
        "artifact_type": "text",
        "min_reviewers": "integer",
        "required_facets": "text[]",
        "created_at": "timestamp with time zone",
    },
    "approvals": {
        "id": "text",
        "organization_id": "text",
        "artifact_id": "text",
        "artifact_type": "text",
        "reviewer_id": "text",
        "facet": "text",
        "decision": "text",
        "comment": "text",
        "created_at": "timestamp with time zone",
    },
    "mcp_policies": {
        "id": "text",
        "organization_id": "text",
        "name": "text",
        "version": "integer",
        "status": "text",
        "rego_module": "text",
        "sha256": "text",
        "is_default": "boolean",
        "scope": "jsonb",
        "created_by": "text",
        "created_at": "timestamp with time zone",
        "updated_at": "timestamp with time zone",
    },
    "mcp_policy_tests": {
        "id": "text",
        "policy_id": "text",
        "name": "text",
        "input": "jsonb",
        "expected": "jsonb",
        "created_at": "timestamp with time zone",
    },
}

INSTANT = "timestamp with time zone"
IMPROVED = {
    "organizations": {"compliance_tags": "jsonb"},
    "role_templates": {},
    "role_agents": {"status": "governance.role_agent_status", "assigned_to_user_id": "text", "updated_at": INSTANT},
    "role_trust_thresholds": {"min_loa_level": "integer"},
    "signals": {"confidence": "double precision", "source_type": "text", "updated_at": INSTANT},
    "certifications": {"verification_method": "text"},
    "audit_logs": {"organization_id": "text", "role_agent_id": "text"},
    "blockchain_transactions": {
        "status": "governance.blockchain_tx_status",
        "transaction_type": "governance.blockchain_tx_type",
    },
    "loa_policies": {
        "artifact_type": "governance.artifact_type",
        "required_facets": "governance.approval_facet[]",
        "updated_at": INSTANT,
    },
    "approvals": {
        "artifact_type": "governance.artifact_type",
        "facet": "governance.approval_facet",
        "decision": "governance.approval_decision",
    },
    "mcp_policies": {"status": "governance.policy_status"},
    "mcp_policy_tests": {},
}
"""What the plan adds or changes, column by column."""

COLUMNS = Query(
    dict,
    """
    SELECT jsonb_object_agg(attname, format_type(atttypid, atttypmod))
      FROM pg_attribute
     WHERE attrelid = ('governance.' || %(table)s)::regclass
       AND attnum > 0
       AND NOT attisdropped
    """,
)

KEYS = Query(
    str,
    """
    SELECT pg_get_constraintdef(oid)
      FROM pg_constraint
     WHERE conrelid = ('governance.' || %(table)s)::regclass
       AND contype IN ('u', 'f')
     ORDER BY 1
    """,
)

ID_DEFAULT = Query(
    str,
    """
    SELECT pg_get_expr(usual.adbin, usual.adrelid)
      FROM pg_attrdef AS usual
      JOIN pg_attribute AS column_ ON column_.attrelid = usual.adrelid AND column_.attnum = usual.adnum
     WHERE usual.adrelid = ('governance.' || %(table)s)::regclass
       AND column_.attname = 'id'
    """,
)

TENANT_TABLES_OPEN = Query(
    str,
    """
    SELECT relname
      FROM pg_class
     WHERE relnamespace = 'governance'::regnamespace
       AND relkind = 'r'
       AND NOT (relrowsecurity AND relforcerowsecurity)
     ORDER BY relname
    """,
)


@pytest.fixture(scope="module")
def start(server_dsn):
    """A database as it stands before the plan."""
    with testing.scratch(server_dsn, "governance_start") as dsn:
        migrate.up(dsn, DIRECTORY, to=START)
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield connection


@pytest.mark.parametrize("table", STARTING_COLUMNS)
def test_each_of_the_twelve_tables_starts_with_exactly_its_columns(start, table):
    expected = STARTING_COLUMNS[table]

    (columns,) = start.execute(COLUMNS.text, {"table": table}).fetchone()

    assert columns == expected


@pytest.mark.parametrize("table", STARTING_COLUMNS)
def test_the_plan_changes_exactly_what_it_names(tx, table):
    expected = STARTING_COLUMNS[table] | IMPROVED[table]

    columns = tx.one(COLUMNS, table=table)

    assert columns == expected


@pytest.mark.parametrize("table", STARTING_COLUMNS)
def test_a_new_row_is_named_by_a_uuidv7_as_text(tx, table):
    wanted = "(uuidv7())::text"

    default = tx.one(ID_DEFAULT, table=table)

    assert default == wanted


def test_the_keys_of_the_plan_are_there(tx):
    planned = ["audit_logs", "approvals", "mcp_policies", "mcp_policy_tests"]

    keys = {table: tx.all(KEYS, table=table) for table in planned}

    organization = "FOREIGN KEY (organization_id) REFERENCES governance.organizations(id)"
    assert keys == {
        "audit_logs": [
            f"{organization} ON UPDATE CASCADE ON DELETE SET NULL",
            "FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents(id) ON UPDATE CASCADE ON DELETE SET NULL",
        ],
        "approvals": [organization, "UNIQUE (artifact_id, artifact_type, reviewer_id, facet)"],
        "mcp_policies": [organization, "UNIQUE (organization_id, name, version)"],
        "mcp_policy_tests": [
            "FOREIGN KEY (policy_id) REFERENCES governance.mcp_policies(id) ON UPDATE CASCADE ON DELETE CASCADE"
        ],
    }


def test_an_audit_row_outlives_its_organization_and_changes_nothing_else(db, owner):
    owner.execute("SELECT set_config('hansa.actor_kind', 'system', false)")
    owner.execute("INSERT INTO governance.organizations (id, name, domain) VALUES ('acme', 'Acme', 'acme.example')")
    owner.execute(
        """SELECT governance.record('organization.closed', 'organization', 'acme', '{"organization_id": "acme"}')"""
    )

    owner.execute("DELETE FROM governance.organizations WHERE id = 'acme'")

    row = owner.execute(
        "SELECT organization_id, metadata ->> 'organization_id', action FROM governance.audit_logs WHERE entity_id = 'acme'"
    ).fetchone()
    assert row == (None, "acme", "organization.closed")


def test_row_security_is_forced_on_every_table_with_something_to_hide(tx):
    hashes_only = ["audit_seals", "audit_unsealed"]

    without = tx.all(TENANT_TABLES_OPEN)

    assert without == hashes_only
