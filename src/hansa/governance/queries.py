"""What can be read of organizations, decisions and the audit trail."""

from hansa.governance.errors import (
    AuditorOnly,
    DecisionUnknown,
    OperatorOnly,
    OrganizationUnknown,
    RoleAgentUnknown,
    VerificationRunning,
)
from hansa.governance.models import (
    AuditBreak,
    AuditHead,
    AuditReport,
    AuditRow,
    Decision,
    HireRules,
    Member,
    MemberRole,
    Organization,
    RoleAgent,
    Threshold,
)
from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import AuditId, DecisionId, OrganizationId, RoleAgentId, UserId

ORGANIZATION = Query(
    Organization,
    """
    SELECT id, name, description, domain, is_active, onboarding_complete, created_at, updated_at
      FROM governance.organizations
     WHERE id = %(organization)s
    """,
)

ORGANIZATIONS = Query(
    Organization,
    """
    SELECT id, name, description, domain, is_active, onboarding_complete, created_at, updated_at
      FROM governance.organizations
     WHERE (%(after)s::text IS NULL OR id > %(after)s)
     ORDER BY id
     LIMIT %(limit)s
    """,
)

MEMBERS = Query(
    Member,
    """
    SELECT organization_id AS organization, did, user_id AS "user", role, facet, added_by, added_at
      FROM governance.members_of(%(organization)s)
    """,
)

MEMBERSHIPS = Query(
    Member,
    """
    SELECT organization_id AS organization, did, user_id AS "user", role, facet, added_by, added_at
      FROM governance.organization_members
     WHERE did = %(did)s
        OR user_id = %(user)s::uuid
     ORDER BY added_at, role
    """,
)

IS_OPERATOR = Query(
    bool,
    """
    SELECT EXISTS (SELECT FROM governance.members_of(%(organization)s) AS member
                    WHERE member.did = %(did)s
                      AND member.role = 'operator')
    """,
)

ROLE_AGENT = Query(
    RoleAgent,
    """
    SELECT agent.id, agent.organization_id AS organization, agent.name, agent.description,
           template.title AS role_title, agent.status, agent.level, agent.trust_score, agent.last_trust_check,
           agent.is_eligible_for_mint, agent.assigned_to_did, agent.assigned_to, acceptance.accepted_at, agent.created_at
      FROM governance.role_agents AS agent
      JOIN governance.role_templates AS template ON template.id = agent.role_template_id
      LEFT JOIN governance.role_acceptances AS acceptance
        ON acceptance.role_agent_id = agent.id
       AND acceptance.did = agent.assigned_to_did
     WHERE agent.id = %(role_agent)s
    """,
)

ROLE_AGENTS = Query(
    RoleAgent,
    """
    SELECT agent.id, agent.organization_id AS organization, agent.name, agent.description,
           template.title AS role_title, agent.status, agent.level, agent.trust_score, agent.last_trust_check,
           agent.is_eligible_for_mint, agent.assigned_to_did, agent.assigned_to, acceptance.accepted_at, agent.created_at
      FROM governance.role_agents AS agent
      JOIN governance.role_templates AS template ON template.id = agent.role_template_id
      LEFT JOIN governance.role_acceptances AS acceptance
        ON acceptance.role_agent_id = agent.id
       AND acceptance.did = agent.assigned_to_did
     WHERE agent.organization_id = %(organization)s
       AND (%(after)s::text IS NULL OR agent.id > %(after)s)
     ORDER BY agent.id
     LIMIT %(limit)s
    """,
)

THRESHOLDS = Query(
    Threshold,
    """
    SELECT organization_id AS organization, role_title, min_trust_score, is_active, updated_at
      FROM governance.role_trust_thresholds
     WHERE organization_id = %(organization)s
     ORDER BY role_title
    """,
)

HIRE_RULES = Query(
    HireRules,
    """
    SELECT organization_id, organization_closed, min_trust_score,
           buyer_role_agent, buyer_status, seller_role_agent, seller_status
      FROM governance.hire_rules(%(buyer)s, %(seller)s, %(role_title)s)
    """,
)

DECISION = Query(
    Decision,
    """
    SELECT id, subject, buyer_did, seller_did, amount, outcome, reasons, policy, decided_at
      FROM governance.decisions
     WHERE id = %(decision)s
    """,
)

AUDIT_ROWS = Query(
    AuditRow,
    """
    SELECT id, action, entity, entity_id, user_id AS "by", metadata, created_at, n, encode(hash, 'hex') AS hash
      FROM governance.audit_trail
     WHERE (%(organization)s::text IS NULL OR metadata ->> 'organization_id' = %(organization)s)
       AND (%(action)s::text IS NULL OR action = %(action)s)
       AND (%(entity)s::text IS NULL OR entity = %(entity)s)
       AND (%(before)s::text IS NULL
            OR (created_at, id) < (SELECT audit.created_at, audit.id
                                     FROM governance.audit_logs AS audit
                                    WHERE audit.id = %(before)s))
     ORDER BY created_at DESC, id DESC
     LIMIT %(limit)s
    """,
)

AUDIT_HEAD = Query(
    AuditHead,
    """
    SELECT sealed, encode(head, 'hex') AS head, sealed_at, unsealed
      FROM governance.audit_state()
    """,
)

AUDIT_BREAKS = Query(AuditBreak, "SELECT n, audit_id, finding FROM governance.audit_breaks(%(limit)s)")

UNSEALED = Query(str, "SELECT audit_id FROM governance.audit_unsealed ORDER BY arrival LIMIT %(limit)s")

ANCHORED = Query(
    bool,
    """
    SELECT %(anchor)s = repeat('00', 32)
           OR EXISTS (SELECT FROM governance.audit_seals WHERE encode(hash, 'hex') = %(anchor)s)
    """,
)

ONE_VERIFICATION = Query(bool, "SELECT pg_try_advisory_xact_lock(hashtextextended('governance.audit_breaks', 0))")


def organization_of(tx: Tx, organization: OrganizationId) -> Organization:
    """An organization that the caller may see. Raises OrganizationUnknown."""
    found = tx.maybe(ORGANIZATION, organization=organization)
    if found is None:
        raise OrganizationUnknown
    return found


def organizations(tx: Tx, *, after: str | None = None, limit: int = 50) -> Page[Organization]:
    """The organizations that the caller belongs to or works for; for the house, all."""
    found = tx.all(ORGANIZATIONS, after=after, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def members_of(tx: Tx, organization: OrganizationId) -> list[Member]:
    """All members of an organization that the caller may see. Raises OrganizationUnknown."""
    organization_of(tx, organization)
    return tx.all(MEMBERS, organization=organization)


def memberships(tx: Tx, *, did: Did | None = None, user: UserId | None = None) -> list[Member]:
    """The roles of a DID or a person in all organizations, as far as the caller may see them: its own, or any."""
    return tx.all(MEMBERSHIPS, did=did, user=user)


def require_operator(tx: Tx, organization: OrganizationId, by: Did) -> Organization:
    """The organization, for one of its operators. Raises OrganizationUnknown, OperatorOnly."""
    found = organization_of(tx, organization)
    if not tx.one(IS_OPERATOR, organization=organization, did=by):
        raise OperatorOnly
    return found


def require_auditor(tx: Tx, by: Did) -> None:
    """Let operators and compliance officers of any organization pass. Raises AuditorOnly."""
    allowed = {MemberRole.OPERATOR, MemberRole.COMPLIANCE_OFFICER}
    if not any(member.role in allowed for member in memberships(tx, did=by)):
        raise AuditorOnly


def role_agent_of(tx: Tx, role_agent: RoleAgentId) -> RoleAgent:
    """A role agent that the caller may see. Raises RoleAgentUnknown."""
    found = tx.maybe(ROLE_AGENT, role_agent=role_agent)
    if found is None:
        raise RoleAgentUnknown
    return found


def role_agents(tx: Tx, organization: OrganizationId, *, after: str | None = None, limit: int = 50) -> Page[RoleAgent]:
    """The role agents of an organization that the caller may see. Raises OrganizationUnknown."""
    organization_of(tx, organization)
    found = tx.all(ROLE_AGENTS, organization=organization, after=after, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def thresholds(tx: Tx, organization: OrganizationId) -> list[Threshold]:
    """What an organization demands of whoever plays a role for it. Raises OrganizationUnknown."""
    organization_of(tx, organization)
    return tx.all(THRESHOLDS, organization=organization)


def hire_rules(tx: Tx, buyer: Did, seller: Did, role_title: str) -> HireRules:
    """The rules that bind a buyer who would hire a seller; readable to either of them."""
    return tx.one(HIRE_RULES, buyer=buyer, seller=seller, role_title=role_title)


def decision_of(tx: Tx, decision: DecisionId) -> Decision:
    """A decision of the hire gate, for its pair and for the organization whose rule it applied.

    Raises DecisionUnknown.
    """
    found = tx.maybe(DECISION, decision=decision)
    if found is None:
        raise DecisionUnknown
    return found


def audit_rows(
    tx: Tx,
    *,
    organization: OrganizationId | None = None,
    action: str | None = None,
    entity: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Page[AuditRow]:
    """The part of the audit trail that the caller may see, newest first."""
    found = tx.all(AUDIT_ROWS, organization=organization, action=action, entity=entity, before=before, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def audit_head(tx: Tx) -> AuditHead:
    """How far the chain of seals has come, and its last hash."""
    return tx.one(AUDIT_HEAD)


def verify_audit(tx: Tx, *, anchor: str | None = None, limit: int = 100) -> AuditReport:
    """Recompute the whole chain and tell what does not fit; seals nothing itself.

    `anchor` is a head (hex) noted at an earlier time: a trail that was cut short, or rewritten as a whole with all of
    its seals, no longer contains it. Raises VerificationRunning: this reads every row, so one runs at a time.
    """
    if not tx.one(ONE_VERIFICATION):
        raise VerificationRunning(retry_after_s=5)
    head = tx.one(AUDIT_HEAD)
    broken = tx.all(AUDIT_BREAKS, limit=limit)
    if anchor is not None and not tx.one(ANCHORED, anchor=anchor.lower()):
        broken.append(AuditBreak(n=None, audit_id=None, finding=f"the head {anchor.lower()} is no longer part of it"))
    unsealed = [AuditId(audit) for audit in tx.all(UNSEALED, limit=limit)]
    return AuditReport(sealed=head.sealed, head=head.head, unsealed=unsealed, broken=broken)
