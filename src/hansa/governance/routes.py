"""Governance over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response

from hansa.governance import commands, queries
from hansa.governance.models import (
    AuditHead,
    AuditReport,
    AuditRow,
    Decision,
    Member,
    MemberRole,
    NewMember,
    Organization,
    RoleAgent,
    RoleAgentStatus,
    Threshold,
)
from hansa.infra.db import Page, Tx
from hansa.infra.web import AnyCall, Limit, SignedCall
from hansa.kernel.dids import parse_did
from hansa.kernel.ids import DecisionId, OrganizationId, RoleAgentId, UserId

router = APIRouter(tags=["governance"])

Name = Annotated[str, Body(min_length=1, max_length=200, pattern=r"\S")]
Text = Annotated[str | None, Body(max_length=5000)]


@router.post("/api/organizations", response_model=Organization, status_code=201)
def found_organization(
    name: Name, domain: Annotated[str, Body(max_length=253)], call: SignedCall, description: Text = None
) -> Response:
    """Found an organization; the signing agent becomes its first operator."""
    return call.command(
        lambda tx: commands.found_organization(tx, name=name, domain=domain, description=description, by=call.did),
        status=201,
    )


@router.get("/api/organizations", response_model=Page[Organization])
def my_organizations(call: AnyCall, after: str | None = None, limit: Limit = 50) -> Response:
    """The organizations that the caller belongs to or works for."""
    return call.query(lambda tx: queries.organizations(tx, after=after, limit=limit))


@router.get("/api/organizations/{organization}", response_model=Organization)
def organization(organization: OrganizationId, call: AnyCall) -> Response:
    """An organization, for its members and its role agents."""
    return call.query(lambda tx: queries.organization_of(tx, organization))


@router.patch("/api/organizations/{organization}", response_model=Organization)
def set_active(
    organization: OrganizationId, is_active: Annotated[bool, Body(embed=True)], call: SignedCall
) -> Response:
    """Stop all hiring in the name of an organization, or allow it again; for its operators."""
    return call.command(lambda tx: commands.set_active(tx, organization, is_active, by=call.did))


@router.get("/api/organizations/{organization}/members", response_model=list[Member])
def members(organization: OrganizationId, call: AnyCall) -> Response:
    """All members of an organization, for those who may see it."""
    return call.query(lambda tx: queries.members_of(tx, organization))


@router.post("/api/organizations/{organization}/members", response_model=list[Member], status_code=201)
def add_member(
    organization: OrganizationId,
    *,
    role: Annotated[MemberRole, Body()],
    call: SignedCall,
    did: Annotated[str | None, Body()] = None,
    user: Annotated[UserId | None, Body()] = None,
    facet: Annotated[str | None, Body(max_length=100)] = None,
) -> Response:
    """Give a DID or a person a role in an organization; for its operators. Answers with all members."""

    def write(tx: Tx) -> list[Member]:
        member = NewMember(role=role, did=parse_did(did) if did else None, user=user, facet=facet)
        commands.add_member(tx, organization, member, by=call.did)
        return queries.members_of(tx, organization)

    return call.command(write, status=201)


@router.get("/api/organizations/{organization}/role-agents", response_model=Page[RoleAgent])
def role_agents(organization: OrganizationId, call: AnyCall, after: str | None = None, limit: Limit = 50) -> Response:
    """The role agents of an organization; an agent in its service sees its own."""
    return call.query(lambda tx: queries.role_agents(tx, organization, after=after, limit=limit))


@router.post("/api/organizations/{organization}/role-agents", response_model=RoleAgent, status_code=201)
def name_role_agent(
    organization: OrganizationId,
    *,
    name: Name,
    role_title: Name,
    assigned_to_did: Annotated[str, Body()],
    call: SignedCall,
    assigned_to: Text = None,
    description: Text = None,
) -> Response:
    """Give an agent a role; for operators of the organization. The role binds the agent once it has accepted."""
    return call.command(
        lambda tx: commands.name_role_agent(
            tx,
            organization,
            name=name,
            role_title=role_title,
            assigned_to_did=parse_did(assigned_to_did),
            assigned_to=assigned_to,
            description=description,
            by=call.did,
            at=tx.at,
        ),
        status=201,
    )


@router.get("/api/role-agents/{role_agent}", response_model=RoleAgent)
def role_agent(role_agent: RoleAgentId, call: AnyCall) -> Response:
    """A role agent, for the members of its organization and for the agent itself."""
    return call.query(lambda tx: queries.role_agent_of(tx, role_agent))


@router.patch("/api/role-agents/{role_agent}", response_model=RoleAgent)
def set_role_agent_status(
    role_agent: RoleAgentId, status: Annotated[RoleAgentStatus, Body(embed=True)], call: SignedCall
) -> Response:
    """Suspend a role agent, let it act again, or retire it; for operators of its organization."""
    return call.command(lambda tx: commands.set_role_agent_status(tx, role_agent, status, by=call.did))


@router.post("/api/role-agents/{role_agent}/accept", response_model=RoleAgent)
def accept_role(role_agent: RoleAgentId, call: SignedCall) -> Response:
    """Take a role that was assigned to the signing agent."""
    return call.command(lambda tx: commands.accept_role(tx, role_agent, by=call.did))


@router.post("/api/role-agents/{role_agent}/assess", response_model=RoleAgent)
def assess(role_agent: RoleAgentId, call: SignedCall) -> Response:
    """Bring score and level of a role agent up to date; for operators of its organization."""

    def write(tx: Tx) -> RoleAgent:
        queries.require_operator(tx, queries.role_agent_of(tx, role_agent).organization, call.did)
        return commands.assess(tx, role_agent, at=tx.at)

    return call.command(write)


@router.get("/api/organizations/{organization}/thresholds", response_model=list[Threshold])
def thresholds(organization: OrganizationId, call: AnyCall) -> Response:
    """What an organization demands of whoever plays a role for it; for its members."""
    return call.query(lambda tx: queries.thresholds(tx, organization))


@router.post("/api/organizations/{organization}/thresholds", response_model=Threshold)
def set_threshold(
    organization: OrganizationId,
    role_title: Name,
    min_trust_score: Annotated[float, Body(allow_inf_nan=False)],
    call: SignedCall,
    is_active: Annotated[bool, Body()] = True,
) -> Response:
    """Demand a least trust, 0 to 1000, of a role; for operators. `supplier` is whom the organization hires."""
    return call.command(
        lambda tx: commands.set_threshold(
            tx,
            organization,
            role_title=role_title,
            min_trust_score=min_trust_score,
            is_active=is_active,
            by=call.did,
        )
    )


@router.get("/api/decisions/{decision}", response_model=Decision)
def decision(decision: DecisionId, call: AnyCall) -> Response:
    """A decision of the hire gate, for its pair and for the organization whose rule it applied."""
    return call.query(lambda tx: queries.decision_of(tx, decision))


@router.get("/api/organizations/{organization}/audit", response_model=Page[AuditRow])
def audit_of_organization(
    organization: OrganizationId,
    *,
    call: AnyCall,
    action: str | None = None,
    entity: str | None = None,
    after: str | None = None,
    limit: Limit = 50,
) -> Response:
    """The audit trail of an organization, newest first; for its members."""

    def read(tx: Tx) -> Page[AuditRow]:
        queries.organization_of(tx, organization)
        return queries.audit_rows(
            tx, organization=organization, action=action, entity=entity, before=after, limit=limit
        )

    return call.query(read)


@router.get("/api/audit/head", response_model=AuditHead)
def audit_head(call: AnyCall) -> Response:
    """Length and last hash of the audit chain, for everybody: who keeps it can prove a later rewriting."""
    return call.query(queries.audit_head)


@router.post("/api/audit/verify", response_model=AuditReport)
def verify_audit(
    call: SignedCall, anchor: Annotated[str | None, Body(embed=True, pattern="^[0-9a-fA-F]{64}$")] = None
) -> Response:
    """Seal what waits, then recompute the whole audit chain; for operators and compliance officers."""
    # Sealed in a transaction of its own: the sealer's lock must not be kept while the whole trail is read.
    with call.services.db.transaction(call.actor) as tx:
        queries.require_auditor(tx, call.did)
        commands.seal(tx)
    return call.command(lambda tx: queries.verify_audit(tx, anchor=anchor))
