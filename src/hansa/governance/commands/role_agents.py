"""Role agents: who plays which role for an organization, and with what standing."""

from datetime import datetime

from hansa.governance.commands.audit import record
from hansa.governance.models import BADGE_SCORE_MIN, RoleAgent, RoleAgentStatus, level_of, points
from hansa.governance.queries import require_operator, role_agent_of
from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import OrganizationId, RoleAgentId
from hansa.proof import queries as proof

NAME = Query(
    str,
    """
    INSERT INTO governance.role_agents
           (name, description, organization_id, role_template_id, assigned_to_did, assigned_to)
    VALUES (%(name)s, %(description)s, %(organization)s,
            governance.role_template_of(%(organization)s, %(role_title)s), %(assigned_to_did)s, %(assigned_to)s)
    RETURNING id
    """,
)

ONBOARDED = Query(
    int,
    """
    UPDATE governance.organizations
       SET onboarding_complete = true
     WHERE id = %(organization)s
       AND NOT onboarding_complete
    """,
)

ASSESS = Query(
    int,
    """
    UPDATE governance.role_agents
       SET trust_score = %(score)s, level = %(level)s, is_eligible_for_mint = %(eligible)s, last_trust_check = %(at)s
     WHERE assigned_to_did = %(did)s
       AND (%(role_agent)s::text IS NULL OR id = %(role_agent)s)
    """,
)

SET_STATUS = Query(str, "SELECT governance.set_role_agent_status(%(role_agent)s, %(status)s)::text")

ACCEPT = Query(str, "SELECT governance.accept_role(%(role_agent)s, %(did)s)::text")


def name_role_agent(
    tx: Tx,
    organization: OrganizationId,
    *,
    name: str,
    role_title: str,
    assigned_to_did: Did,
    assigned_to: str | None = None,
    description: str | None = None,
    by: Did,
    at: datetime,
) -> RoleAgent:
    """Give an agent a role in an organization; it binds the agent once the agent has accepted it.

    A title that nobody has used becomes a role of the organization. An operator who names itself has accepted.
    Raises OrganizationUnknown, OperatorOnly. Source: role-agent governance, role_agents.
    """
    require_operator(tx, organization, by)
    role_agent = RoleAgentId(
        tx.one(
            NAME,
            name=name,
            description=description,
            organization=organization,
            role_title=role_title,
            assigned_to_did=assigned_to_did,
            assigned_to=assigned_to,
        )
    )
    tx.run(ONBOARDED, organization=organization)
    record(
        tx,
        action="role_agent.named",
        entity="role_agent",
        entity_id=role_agent,
        organization=organization,
        role_agent=role_agent,
        facts={"name": name, "role_title": role_title, "assigned_to_did": assigned_to_did, "by": by},
    )
    if assigned_to_did == by:
        accept_role(tx, role_agent, by=by)
    return assess(tx, role_agent, at=at)


def assess(tx: Tx, role_agent: RoleAgentId, *, at: datetime) -> RoleAgent:
    """Write down the trust that the agent of a role has now, and the level that follows from it.

    Raises RoleAgentUnknown.
    """
    did = role_agent_of(tx, role_agent).assigned_to_did
    note_trust(tx, did, proof.trust_of(tx, did, at).score, role_agent=role_agent, at=at)
    return role_agent_of(tx, role_agent)


def note_trust(tx: Tx, did: Did, trust: float, *, role_agent: RoleAgentId | None = None, at: datetime) -> int:
    """Write down the trust (0 to 1) in an agent on its roles: on one, or on all; returns on how many."""
    score = points(trust)
    eligible = score >= BADGE_SCORE_MIN
    return tx.run(ASSESS, did=did, role_agent=role_agent, score=score, level=level_of(score), eligible=eligible, at=at)


def accept_role(tx: Tx, role_agent: RoleAgentId, *, by: Did) -> RoleAgent:
    """Take a role that was assigned to the caller: its organization's rules bind it from now on.

    The second time changes nothing. Raises RoleAgentUnknown, RoleNotAssigned.
    """
    before = role_agent_of(tx, role_agent)
    tx.one(ACCEPT, role_agent=role_agent, did=by)
    if before.accepted_at is None:
        record(
            tx,
            action="role_agent.accepted",
            entity="role_agent",
            entity_id=role_agent,
            organization=before.organization,
            role_agent=role_agent,
            facts={"did": by},
        )
    return role_agent_of(tx, role_agent)


def set_role_agent_status(tx: Tx, role_agent: RoleAgentId, status: RoleAgentStatus, *, by: Did) -> RoleAgent:
    """Suspend a role agent, let it act again, or retire it for good.

    Raises RoleAgentUnknown, OperatorOnly, RoleAgentRetired. Source: role-agent governance.
    """
    before = role_agent_of(tx, role_agent)
    require_operator(tx, before.organization, by)
    tx.one(SET_STATUS, role_agent=role_agent, status=status)
    record(
        tx,
        action=f"role_agent.{status.value}",
        entity="role_agent",
        entity_id=role_agent,
        organization=before.organization,
        role_agent=role_agent,
        facts={"before": before.status, "by": by},
    )
    return role_agent_of(tx, role_agent)
