"""Fills the old database with rows as an operator finds them: mostly right, and wrong in every way that matters."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from hansa.examples.legacy.dealing import Deal, deal
from hansa.examples.legacy.spelling import (
    APPROVAL_DECISION,
    APPROVAL_FACET,
    ARTIFACT_TYPE,
    BLOCKCHAIN_TX_STATUS,
    POLICY_STATUS,
    REQUIRED_FACETS,
    ROLE_AGENT_STATUS,
)

SCALE_MIN = 100
HOUSE_TEMPLATES = 20


class ScaleTooSmall(ValueError):
    """With so few agents not every kind of dirt finds a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Exactly what was made."""

    rows: Mapping[str, int]
    """How many rows each table got."""
    values: Mapping[str, Mapping[str | None, int]]
    """How often each spelling stands in a column, by `table.column`; arrays in PostgreSQL's notation."""
    id_shapes: Mapping[str, int]
    """How many ids of role agents look like a cuid, a uuid, a slug."""
    repeated_votes: int
    """Approvals beyond the first of the same artifact, type, reviewer and facet: they changed their mind."""
    votes_repeated_when_folded: int
    """Approvals that repeat another only once capitals and spaces of the facet are ignored."""
    repeated_policies: int
    """Policies beyond the first of the same organization, name and version."""
    house_policies: int
    """Policies of no organization, repeated ones included."""
    repeated_house_policies: int
    """Policies of no organization beyond the first of the same name and version, which a plain UNIQUE lets pass."""
    orphan_policy_tests: int
    """Tests of policies that do not exist."""
    audits_of_unknown_agents: int
    """Audit rows about a role agent that does not exist."""
    audits_of_unknown_organizations: int
    """Audit rows about an organization that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How many of each thing, and which spelling where; everything follows from seed and scale."""

    agents: int
    organizations: int
    approvals: int
    policies: int
    house_policies: int
    repeated_house_policies: int
    repeated_policies: int
    second_votes: int
    third_votes: int
    folded_votes: int
    policy_tests: int
    orphan_policy_tests: int
    audits_of_unknown_agents: int
    audits_of_unknown_organizations: int
    agent_status: Deal
    tx_status: Deal
    policy_status: Deal
    loa_artifact_type: Deal
    required_facets: Deal
    artifact_type: Deal
    facet: Deal
    decision: Deal

    @property
    def members(self) -> int:
        return 3 * self.organizations

    @property
    def templates(self) -> int:
        return HOUSE_TEMPLATES + self.organizations

    @property
    def all_policies(self) -> int:
        return self.policies + self.repeated_house_policies + self.repeated_policies

    @property
    def repeated_votes(self) -> int:
        return self.second_votes + self.third_votes

    @classmethod
    def of(cls, seed: int, scale: int) -> "_Plan":
        random = Random(seed)  # noqa: S311 - a generator of examples, not of secrets
        approvals = max(50, scale // 2)
        policies = max(50, scale // 20)
        repeated, repeated_house = max(3, policies // 50), max(2, policies // 100)
        loa_policies = max(60, scale * 6 // 100)
        return cls(
            agents=scale,
            organizations=max(4, scale // 250),
            approvals=approvals,
            policies=policies,
            house_policies=max(5, policies // 50),
            repeated_house_policies=repeated_house,
            repeated_policies=repeated,
            second_votes=max(4, approvals // 25),
            third_votes=max(1, approvals // 100),
            folded_votes=max(2, approvals // 100),
            policy_tests=2 * policies,
            orphan_policy_tests=max(2, policies // 20),
            audits_of_unknown_agents=max(3, scale // 100),
            audits_of_unknown_organizations=max(2, scale // 200),
            agent_status=deal(ROLE_AGENT_STATUS, scale, random),
            tx_status=deal(BLOCKCHAIN_TX_STATUS, scale, random),
            policy_status=deal(POLICY_STATUS, policies + repeated_house + repeated, random),
            loa_artifact_type=deal(ARTIFACT_TYPE, loa_policies, random),
            required_facets=deal(REQUIRED_FACETS, loa_policies, random),
            artifact_type=deal(ARTIFACT_TYPE, approvals, random),
            facet=deal(APPROVAL_FACET, approvals, random),
            decision=deal(APPROVAL_DECISION, approvals, random),
        )


def generate(connection: psycopg.Connection[Any], *, seed: int, scale: int) -> Census:
    """Fill the empty old database with `scale` role agents and everything around them; returns what was made.

    The same seed and scale make the same rows, byte for byte, on every server. Takes about a second for 10 000.
    Raises ScaleTooSmall.
    """
    if scale < SCALE_MIN:
        raise ScaleTooSmall(f"scale is {scale}, and every kind of dirty row needs a place: at least {SCALE_MIN}")
    plan = _Plan.of(seed, scale)
    with connection.transaction():
        connection.execute(sql.SQL(IDS).format(seed=sql.Literal(str(seed))))
        for statement in _statements(plan):
            connection.execute(statement)
        connection.execute("DROP FUNCTION pg_temp.id")
    connection.execute("ANALYZE")
    return _census(plan)


IDS: LiteralString = """
CREATE OR REPLACE FUNCTION pg_temp.id(kind text, n bigint) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE n % 3
           WHEN 0 THEN 'c' || substr(md5({seed} || kind || n), 1, 24)
           WHEN 1 THEN md5({seed} || kind || n)::uuid::text
           ELSE kind || '-' || n
           END
$$
"""
"""Ids as three generations of the application made them: cuid, uuid, slug."""

ORGANIZATIONS: LiteralString = """
INSERT INTO "organizations" ("id", "name", "domain", "isActive", "onboardingComplete", "createdAt", "updatedAt")
SELECT pg_temp.id('organization', n), 'Organization ' || n, 'organization-' || n || '.example', n % 20 <> 19, true,
       timestamp '2025-01-01' + n * interval '1 minute', timestamp '2025-08-01'
  FROM generate_series(0, {organizations} - 1) AS n
"""

ORGANIZATION_MEMBERS: LiteralString = """
INSERT INTO "organization_members" ("id", "organizationId", "name", "email", "role", "createdAt", "updatedAt")
SELECT pg_temp.id('member', n), pg_temp.id('organization', n % {organizations}), 'Member ' || n,
       'member-' || n || '@organization-' || n % {organizations} || '.example',
       (ARRAY['OWNER', 'ADMIN', 'MEMBER'])[n % 3 + 1], timestamp '2025-01-10', timestamp '2025-08-01'
  FROM generate_series(0, {members} - 1) AS n
"""

ROLE_TEMPLATES: LiteralString = """
INSERT INTO "role_templates"
       ("id", "title", "focus", "category", "responsibilities", "securityContributions", "organizationId",
        "createdAt", "updatedAt")
SELECT pg_temp.id('template', n), 'Security role ' || n, 'Focus ' || n % 7, 'Category ' || n % 5,
       '["Keeps watch"]', '["Reports what it sees"]',
       CASE WHEN n >= {house_templates} THEN pg_temp.id('organization', n - {house_templates}) END,
       timestamp '2025-01-10', timestamp '2025-08-01'
  FROM generate_series(0, {templates} - 1) AS n
"""

ROLE_TRUST_THRESHOLDS: LiteralString = """
INSERT INTO "role_trust_thresholds" ("id", "roleTitle", "minTrustScore", "organizationId", "createdAt", "updatedAt")
SELECT pg_temp.id('threshold', n), 'Security role ' || n / {organizations}, 55 + n % 36,
       pg_temp.id('organization', n % {organizations}), timestamp '2025-01-10', timestamp '2025-08-01'
  FROM generate_series(0, 4 * {organizations} - 1) AS n
"""

ROLE_AGENTS: LiteralString = """
INSERT INTO "role_agents"
       ("id", "name", "status", "level", "organizationId", "roleTemplateId", "assignedToDid", "assignedTo",
        "isEligibleForMint", "lastTrustCheck", "trustScore", "ansIdentifier", "ansRegistrationStatus", "createdAt")
SELECT pg_temp.id('agent', n), 'Role agent ' || n, {agent_status}, n % 5 + 1,
       pg_temp.id('organization', n % {organizations}), pg_temp.id('template', n % {house_templates}),
       'did:web:organization-' || n % {organizations} || '.example:agent-' || n, 'Agent ' || n, n % 4 = 0,
       CASE WHEN n % 10 <> 9 THEN timestamp '2025-07-01' + n % 40 * interval '1 day' END,
       CASE WHEN n % 10 <> 9 THEN n * 7 % 1001 END,
       CASE WHEN n % 6 = 0 THEN 'l' || n % 5 + 1 || '-role-' || n || '.knaight' END,
       CASE WHEN n % 6 = 0 THEN 'registered' WHEN n % 6 = 1 THEN 'not_registered' END,
       timestamp '2025-02-01' + n * interval '1 second'
  FROM generate_series(0, {agents} - 1) AS n
"""

SIGNALS: LiteralString = """
INSERT INTO "signals" ("id", "type", "title", "metadata", "value", "source", "verified", "roleAgentId", "createdAt")
SELECT pg_temp.id('signal', n), (ARRAY['certification', 'activity', 'security_incident', 'audit'])[n % 4 + 1],
       'Signal ' || n, CASE WHEN n % 5 = 0 THEN jsonb_build_object('note', n) END, n % 201 - 100, 'scanner-' || n % 9,
       n % 3 = 0, pg_temp.id('agent', n), timestamp '2025-03-01' + n * interval '1 second'
  FROM generate_series(0, {agents} - 1) AS n
"""

CERTIFICATIONS: LiteralString = """
INSERT INTO "certifications"
       ("id", "name", "issuer", "issuedAt", "expiresAt", "verified", "roleAgentId", "createdAt", "updatedAt")
SELECT pg_temp.id('certification', n), 'Certificate ' || n % 30, 'Issuer ' || n % 8, timestamp '2025-01-15',
       CASE WHEN n % 4 <> 0 THEN timestamp '2026-01-15' + n % 300 * interval '1 day' END, n % 2 = 0,
       pg_temp.id('agent', 5 * n), timestamp '2025-01-10', timestamp '2025-08-01'
  FROM generate_series(0, {agents} / 5 - 1) AS n
"""

BLOCKCHAIN_TRANSACTIONS: LiteralString = """
INSERT INTO "blockchain_transactions"
       ("id", "transactionHash", "network", "blockNumber", "gasUsed", "status", "roleAgentId", "createdAt", "updatedAt")
SELECT pg_temp.id('transaction', n), '0x' || md5('hash' || n), (ARRAY['polygon', 'base'])[n % 2 + 1], 1000000 + n,
       (21000 + n % 90000)::text, {tx_status}, CASE WHEN n % 8 <> 7 THEN pg_temp.id('agent', n) END,
       timestamp '2025-04-01' + n * interval '1 second', timestamp '2025-08-01'
  FROM generate_series(0, {agents} - 1) AS n
"""

AUDIT_LOGS: LiteralString = """
INSERT INTO "audit_logs" ("id", "action", "entity", "entityId", "userId", "metadata", "createdAt")
SELECT pg_temp.id('audit', n), (ARRAY['CREATE', 'UPDATE', 'DELETE', 'VIEW'])[n % 4 + 1], subject.entity,
       CASE WHEN n < {audits_of_unknown_agents} + {audits_of_unknown_organizations} THEN 'deleted-' || n
            WHEN subject.entity = 'RoleAgent' THEN pg_temp.id('agent', n)
            WHEN subject.entity = 'Organization' THEN pg_temp.id('organization', n % {organizations})
            ELSE pg_temp.id('policy', n % {policies})
       END,
       CASE WHEN n % 3 <> 0 THEN pg_temp.id('member', n % {members}) END,
       CASE WHEN n % 4 = 0 THEN jsonb_build_object('trustScore', n % 1001) END,
       timestamp '2025-02-01' + n * interval '1 second'
  FROM generate_series(0, {agents} - 1) AS n
 CROSS JOIN LATERAL (
       SELECT CASE WHEN n < {audits_of_unknown_agents} THEN 'RoleAgent'
                   WHEN n < {audits_of_unknown_agents} + {audits_of_unknown_organizations} THEN 'Organization'
                   ELSE (ARRAY['RoleAgent', 'Organization', 'MCPPolicy'])[n % 3 + 1]
              END AS entity) AS subject
"""

LOA_POLICIES: LiteralString = """
INSERT INTO "loa_policies" ("id", "organizationId", "artifactType", "minReviewers", "requiredFacets", "createdAt")
SELECT pg_temp.id('loa', n), pg_temp.id('organization', n % {organizations}), {loa_artifact_type}, n % 5 + 1,
       ({required_facets})::text[], timestamp '2025-06-01'
  FROM generate_series(0, {loa_policies} - 1) AS n
"""

APPROVALS: LiteralString = """
INSERT INTO "approvals"
       ("id", "organizationId", "artifactId", "artifactType", "reviewerId", "facet", "decision", "comment", "createdAt")
SELECT pg_temp.id('approval', vote.number), pg_temp.id('organization', n % {organizations}),
       pg_temp.id('agent', n % {agents}), {artifact_type}, pg_temp.id('member', n % {members}),
       CASE vote.kind WHEN 'folded' THEN ' ' || upper({facet}) ELSE {facet} END,
       CASE vote.kind WHEN 'first' THEN {decision} WHEN 'second' THEN 'reject' ELSE 'approve' END,
       CASE WHEN n % 9 = 0 THEN 'Seen' END, timestamp '2025-05-01' + vote.number * interval '1 minute'
  FROM (SELECT n, n AS number, 'first' AS kind
          FROM generate_series(0, {approvals} - 1) AS n
        UNION ALL
        SELECT n, {approvals} + n, 'second'
          FROM generate_series(0, {second_votes} - 1) AS n
        UNION ALL
        SELECT n, {approvals} + {second_votes} + n, 'third'
          FROM generate_series(0, {third_votes} - 1) AS n
        UNION ALL
        SELECT n, {approvals} + {second_votes} + {third_votes} + n, 'folded'
          FROM generate_series(0, {folded_votes} - 1) AS n) AS vote
"""
"""The first reviewers reject afterwards what they voted for; some of them approve in the end, some write capitals."""

MCP_POLICIES: LiteralString = """
INSERT INTO "mcp_policies"
       ("id", "organizationId", "name", "version", "status", "regoModule", "sha256", "isDefault", "scope", "createdBy",
        "createdAt", "updatedAt")
SELECT pg_temp.id('policy', n),
       CASE WHEN original >= {house_policies} THEN pg_temp.id('organization', original % {organizations}) END,
       'policy-' || original, original % 3 + 1, {policy_status}, module.text,
       encode(sha256(convert_to(module.text, 'UTF8')), 'hex'), original < {house_policies},
       '{{"resources": ["*"], "actions": ["read"]}}', pg_temp.id('member', n % {members}),
       timestamp '2025-06-01' + n * interval '1 minute', timestamp '2025-08-01'
  FROM generate_series(0, {all_policies} - 1) AS n
 CROSS JOIN LATERAL (
       SELECT CASE WHEN n < {policies} THEN n ELSE n - {policies} + {house_policies} - {repeated_house_policies} END
              AS original) AS repeated
 CROSS JOIN LATERAL (SELECT E'package policy\\n\\ndefault allow := false\\n# ' || original AS text) AS module
"""
"""The last rows repeat organization, name and version of the last rules of the house and of the first others."""

MCP_POLICY_TESTS: LiteralString = """
INSERT INTO "mcp_policy_tests" ("id", "policyId", "name", "input", "expected", "createdAt")
SELECT pg_temp.id('test', n),
       CASE WHEN n < {policy_tests} THEN pg_temp.id('policy', n % {policies}) ELSE 'deleted-' || n END,
       'Test ' || n, jsonb_build_object('tool', 'tool-' || n % 11), '{{"allow": false}}', timestamp '2025-06-02'
  FROM generate_series(0, {policy_tests} + {orphan_policy_tests} - 1) AS n
"""

STATEMENTS: tuple[LiteralString, ...] = (
    ORGANIZATIONS,
    ORGANIZATION_MEMBERS,
    ROLE_TEMPLATES,
    ROLE_TRUST_THRESHOLDS,
    ROLE_AGENTS,
    SIGNALS,
    CERTIFICATIONS,
    BLOCKCHAIN_TRANSACTIONS,
    AUDIT_LOGS,
    LOA_POLICIES,
    APPROVALS,
    MCP_POLICIES,
    MCP_POLICY_TESTS,
)

NUMBERS = (
    "agents",
    "organizations",
    "members",
    "templates",
    "approvals",
    "policies",
    "all_policies",
    "house_policies",
    "repeated_house_policies",
    "second_votes",
    "third_votes",
    "folded_votes",
    "policy_tests",
    "orphan_policy_tests",
    "audits_of_unknown_agents",
    "audits_of_unknown_organizations",
)
DEALS = (
    "agent_status",
    "tx_status",
    "policy_status",
    "loa_artifact_type",
    "required_facets",
    "artifact_type",
    "facet",
    "decision",
)
"""Names under which the statements ask for the numbers and expressions of the plan."""


def _statements(plan: _Plan) -> list[sql.Composed]:
    """All INSERTs with the plan's numbers and expressions, parents first."""
    parts: dict[str, sql.Composable] = {
        "house_templates": sql.Literal(HOUSE_TEMPLATES),
        "loa_policies": sql.Literal(plan.required_facets.rows),
    }
    for name in NUMBERS:
        parts[name] = sql.Literal(getattr(plan, name))
    for name in DEALS:
        parts[name] = getattr(plan, name).expression
    return [sql.SQL(statement).format(**parts) for statement in STATEMENTS]


def _census(plan: _Plan) -> Census:
    facets = Counter(plan.facet.counts) + plan.facet.first(plan.second_votes) + plan.facet.first(plan.third_votes)
    for facet, votes in plan.facet.first(plan.folded_votes).items():
        facets[f" {facet}".upper()] += votes
    return Census(
        rows=_rows(plan),
        values={
            "role_agents.status": plan.agent_status.counts,
            "blockchain_transactions.status": plan.tx_status.counts,
            "mcp_policies.status": plan.policy_status.counts,
            "loa_policies.artifactType": plan.loa_artifact_type.counts,
            "loa_policies.requiredFacets": plan.required_facets.counts,
            "approvals.artifactType": Counter(plan.artifact_type.counts)
            + plan.artifact_type.first(plan.second_votes)
            + plan.artifact_type.first(plan.third_votes)
            + plan.artifact_type.first(plan.folded_votes),
            "approvals.facet": facets,
            "approvals.decision": Counter(plan.decision.counts)
            + Counter({"reject": plan.second_votes, "approve": plan.third_votes + plan.folded_votes}),
        },
        id_shapes={shape: len(range(start, plan.agents, 3)) for start, shape in enumerate(("cuid", "uuid", "slug"))},
        repeated_votes=plan.repeated_votes,
        votes_repeated_when_folded=plan.folded_votes,
        repeated_policies=plan.repeated_policies,
        house_policies=plan.house_policies + plan.repeated_house_policies,
        repeated_house_policies=plan.repeated_house_policies,
        orphan_policy_tests=plan.orphan_policy_tests,
        audits_of_unknown_agents=plan.audits_of_unknown_agents,
        audits_of_unknown_organizations=plan.audits_of_unknown_organizations,
    )


def _rows(plan: _Plan) -> Mapping[str, int]:
    return {
        "organizations": plan.organizations,
        "organization_members": plan.members,
        "role_templates": plan.templates,
        "role_trust_thresholds": 4 * plan.organizations,
        "role_agents": plan.agents,
        "signals": plan.agents,
        "certifications": plan.agents // 5,
        "blockchain_transactions": plan.agents,
        "audit_logs": plan.agents,
        "loa_policies": plan.required_facets.rows,
        "approvals": plan.approvals + plan.repeated_votes + plan.folded_votes,
        "mcp_policies": plan.all_policies,
        "mcp_policy_tests": plan.policy_tests + plan.orphan_policy_tests,
    }
