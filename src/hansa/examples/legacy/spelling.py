"""What years of writing into text columns leave behind: each spelling with its share of the rows, in thousandths.

Beside the values that the improvement plan expects stand capitals, spaces, words of older versions, and words for
things that the plan's types have no label for.
"""

from collections.abc import Mapping

Spellings = Mapping[str | None, int]

ROLE_AGENT_STATUS: Spellings = {
    "active": 700,
    "inactive": 90,
    "suspended": 60,
    "retired": 60,
    "Active": 5,
    "ACTIVE ": 5,
    "Revoked": 10,
    "revoked ": 10,
    "SUSPENDED": 10,
    "SUSPENDED ": 10,
    " suspended": 10,
    "banned": 10,
    "deactivated": 10,
    "pending_approval": 10,
}

BLOCKCHAIN_TX_STATUS: Spellings = {
    "confirmed": 800,
    "pending": 80,
    "failed": 60,
    "CONFIRMED": 20,
    "success": 15,
    "reverted": 10,
    "Failed ": 5,
    "submitted": 5,
    "unknown": 5,
}

POLICY_STATUS: Spellings = {
    "active": 450,
    "draft": 300,
    "archived": 150,
    "published": 30,
    "ACTIVE": 20,
    "deprecated": 20,
    "validated": 20,
    "Draft ": 10,
}

ARTIFACT_TYPE: Spellings = {
    "RoleAgent": 600,
    "MCP": 340,
    "role_agent": 20,
    "mcp": 20,
    "McpPolicy": 10,
    "ANS": 5,
    "Signal": 5,
}

APPROVAL_FACET: Spellings = {
    "security": 350,
    "compliance": 250,
    "policy": 200,
    "risk": 150,
    "Security": 10,
    " risk": 10,
    "risks": 10,
    "legal": 10,
    "privacy": 10,
}

APPROVAL_DECISION: Spellings = {
    "approve": 780,
    "reject": 160,
    "approved": 20,
    "Approve": 10,
    "rejected": 10,
    "abstain": 10,
    "pending": 10,
}

REQUIRED_FACETS: Spellings = {
    "{security}": 250,
    "{security,compliance}": 250,
    "{security,compliance,policy}": 200,
    "{security,compliance,policy,risk}": 200,
    '{Security," compliance"}': 30,
    "{security,legal}": 20,
    "{privacy}": 10,
    "{security,NULL}": 10,
    "{}": 10,
    None: 20,
}
"""Arrays in PostgreSQL's notation; the starting schema allows none at all, and none inside."""
