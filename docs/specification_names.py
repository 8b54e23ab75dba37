"""Every table, view and migration of the five specifications, and what stands for it here.

`tests/architecture/test_names.py` compares this with the live catalog: what `exists` must be there, and what does not
exist yet must not be, so a new table makes its line here come true.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One name of a specification."""

    theirs: str
    kind: str
    """table, view, migration, function or enum."""
    ours: tuple[str, ...]
    """What stands for it here: tables, views, functions, types or migrations; empty: nothing is planned to."""
    exists: bool
    """False: it is not built yet."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One specification."""

    name: str
    names: tuple[Name, ...]


def here(theirs: str, *ours: str, kind: str = "table", note: str = "") -> Name:
    return Name(theirs=theirs, kind=kind, ours=ours, exists=True, note=note)


def later(theirs: str, *ours: str, kind: str = "table", note: str = "") -> Name:
    return Name(theirs=theirs, kind=kind, ours=ours, exists=False, note=note)


IDENTITY, REGISTRY = "20261120T001000_identity", "20261120T002000_registry"
CREDITS, PROOF, GOVERNANCE = "20261120T003000_credits", "20261120T004000_proof", "20261120T005000_governance"
AUTOPAY = "20261120T007000_autopay"
NEGOTIATION, MARKET = "20261120T008000_negotiation", "20261120T009000_market"
DISCOVERY = "20261120T010000_discovery"
USEFULNESS = "20261121T004000_usefulness"
TYPES = "20261121T005000_governance_types"

SYSTEMS = (
    System(
        name="Proof-of-Service registry",
        names=(
            here("users", "identity.users", note="one table with AMOCA's users"),
            here("agent_queries", "discovery.agent_queries"),
            here("agent_capabilities", "registry.agent_capabilities"),
            later("marketplace_embeddings", "discovery.marketplace_embeddings"),
            here("reputation_scores", "proof.reputation_scores"),
            here("work_history_logs", "proof.work_history_logs"),
            later(
                "selective_disclosures",
                "proof.selective_disclosures",
                note="it records zero-knowledge proofs; shown SD-JWT credentials are in `proof.credential_presentations`",
            ),
            here("UpdateTrigger", "proof.update_trigger", kind="enum"),
            here("AttestationSource", "proof.attestation_source", kind="enum"),
            here("DisclosureLevel", "proof.disclosure_level", kind="enum"),
            later("ZKProofType", "proof.zk_proof_type", kind="enum"),
            here("20231215T090000_init_registry_db", IDENTITY, DISCOVERY, kind="migration"),
            here("20240101T120000_add_reputation_history", PROOF, kind="migration"),
            here(
                "20240115T140000_add_capabilities_marketplace",
                REGISTRY,
                DISCOVERY,
                kind="migration",
                note="without marketplace_embeddings",
            ),
            here(
                "20240130T160000_add_zk_privacy_features",
                PROOF,
                kind="migration",
                note="without selective_disclosures",
            ),
        ),
    ),
    System(
        name="AINP",
        names=(
            here("agents", "registry.agents", note="one table with AMOCA's agents"),
            here("trust_scores", "proof.trust_scores"),
            here("negotiations", "negotiation.negotiations"),
            here("usefulness_proofs", "proof.usefulness_proofs"),
            here("credit_accounts", "credits.credit_accounts"),
            here("credit_transactions", "credits.credit_transactions"),
            here(
                "expire_stale_negotiations()",
                "negotiation.expire_stale_negotiations",
                kind="function",
                note="the worker calls `negotiation.expire_stale`, which works in batches",
            ),
            here("apply_trust_decay()", "proof.apply_trust_decay", kind="function"),
            here("001_add_agent_registration_fields", REGISTRY, kind="migration"),
            here("002_add_trust_scores", PROOF, kind="migration"),
            here("004_add_negotiation_sessions", NEGOTIATION, kind="migration"),
            here("006_add_usefulness_proofs", USEFULNESS, kind="migration"),
            here(
                "007_add_usefulness_to_agents",
                REGISTRY,
                kind="migration",
                note="filled by the housekeeping `proof.refresh_usefulness`",
            ),
            here("009_add_credit_ledger", CREDITS, kind="migration"),
            here("008_rollback_usefulness", USEFULNESS, kind="migration", note="its `down.sql`"),
            here("010_rollback_credit_ledger", CREDITS, kind="migration", note="its `down.sql`"),
            here("011_rollback_negotiation_sessions", NEGOTIATION, kind="migration", note="its `down.sql`"),
        ),
    ),
    System(
        name="Autopay agent",
        names=(
            here("Agent", "autopay.agents", note="name and wallet are those of the registered agent"),
            here("Transaction", "autopay.transactions"),
            here("BalanceSnapshot", "autopay.balance_snapshots"),
            here("ApiRequestLog", "autopay.api_request_logs"),
            later("Session", "autopay.sessions"),
            later("PriorityQueue", "autopay.priority_queue"),
            later("AuditTrailView", "autopay.audit_trail_view", kind="view"),
            here("AutonomyPhase", "autopay.autonomy_phase", kind="enum"),
            here("Currency", "autopay.currency", kind="enum"),
            here("TransactionStatus", "autopay.transaction_status", kind="enum"),
            here("ErrorType", "autopay.error_type", kind="enum"),
            here("Network", "autopay.network", kind="enum"),
            here("2024-01-15_000001_initial_autopay_schema", AUTOPAY, kind="migration"),
            later("2024-01-20_000002_session_and_retry", kind="migration"),
            later("2024-01-25_000003_multi_api_priority", kind="migration"),
        ),
    ),
    System(
        name="Role-agent governance",
        names=(
            here("audit_logs", "governance.audit_logs"),
            here("blockchain_transactions", "governance.blockchain_transactions"),
            here("certifications", "governance.certifications"),
            here("role_agents", "governance.role_agents"),
            here("organizations", "governance.organizations"),
            here("role_templates", "governance.role_templates"),
            here("role_trust_thresholds", "governance.role_trust_thresholds"),
            here("signals", "governance.signals"),
            here("loa_policies", "governance.loa_policies"),
            here("approvals", "governance.approvals"),
            here("mcp_policies", "governance.mcp_policies"),
            here("mcp_policy_tests", "governance.mcp_policy_tests"),
            here("trust_histories", "governance.trust_histories"),
            here("BlockchainTxStatus", "governance.blockchain_tx_status", kind="enum"),
            here("BlockchainTxType", "governance.blockchain_tx_type", kind="enum"),
            here("RoleAgentStatus", "governance.role_agent_status", kind="enum"),
            here("ArtifactType", "governance.artifact_type", kind="enum"),
            here("ApprovalFacet", "governance.approval_facet", kind="enum"),
            here("ApprovalDecision", "governance.approval_decision", kind="enum"),
            here("PolicyStatus", "governance.policy_status", kind="enum"),
            here("Current Database State", GOVERNANCE, kind="migration", note="twelve tables, states as text"),
            here(
                "Target Schema Improvements",
                TYPES,
                kind="migration",
                note="phase 1 of 4; the three after it convert, constrain and use",
            ),
        ),
    ),
    System(
        name="AMOCA",
        names=(
            here("users", "identity.users", note="one table with the registry's users"),
            here("agents", "registry.agents", note="one table with AINP's agents"),
            here("domains", "registry.domains"),
            here("agent_domains", "registry.agent_domains"),
            here("skills", "registry.skills"),
            here("agent_skills", "registry.agent_skills"),
            here("agent_pricing", "registry.agent_pricing"),
            here("agent_stats", "market.agent_stats"),
            later("transactions", "market.transactions"),
            here("tasks", "market.tasks"),
            here("task_deliverables", "market.task_deliverables"),
            here("reviews", "market.reviews"),
            here("review_responses", "market.review_responses"),
            here("leaderboard_rankings", "market.leaderboard_rankings"),
            later("agent_followers", "market.agent_followers"),
            later("messages", "market.messages"),
            here("v_agent_leaderboard", "market.v_agent_leaderboard", kind="view"),
            here("v_agent_profiles", "market.v_agent_profiles", kind="view"),
            later("credentials", "registry.credentials"),
            later("achievements", "registry.achievements"),
            here("update_updated_at_column()", "market.update_updated_at_column", kind="function"),
            here(
                "update_agent_stats_on_task_completion()",
                "market.update_agent_stats_on_task_completion",
                kind="function",
                note="on every transition of a task",
            ),
            here("update_agent_rating_on_review()", "market.update_agent_rating_on_review", kind="function"),
            here("update_leaderboard_rankings()", "market.update_leaderboard_rankings", kind="function"),
            here("calculate_agent_success_rate()", "market.calculate_agent_success_rate", kind="function"),
            here("Phase 1: Core Tables", IDENTITY, REGISTRY, kind="migration", note="and `market.agent_stats`"),
            later("Phase 2: Transactions", kind="migration", note="tasks exist; the transaction table does not yet"),
            here("Phase 3: Features", MARKET, kind="migration", note="without the social features"),
            later("Phase 4: Optimization", kind="migration"),
        ),
    ),
)
