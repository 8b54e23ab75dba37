"""Organizations, their members, and the trust they demand."""

import re

from hansa.governance.commands.audit import record
from hansa.governance.errors import DomainMalformed
from hansa.governance.models import NewMember, Organization, Threshold
from hansa.governance.queries import organization_of, require_operator
from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import OrganizationId

DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")

FOUND = Query(
    Organization,
    """
    SELECT id, name, description, domain, is_active, onboarding_complete, created_at, updated_at
      FROM governance.found_organization(%(name)s, %(domain)s, %(description)s, %(founder)s)
    """,
)

ADD_MEMBER = Query(
    int,
    """
    INSERT INTO governance.organization_members (organization_id, did, user_id, role, facet, added_by)
    VALUES (%(organization)s, %(did)s, %(user)s, %(role)s::governance.member_role, %(facet)s, %(by)s)
    """,
)

SET_ACTIVE = Query(int, "UPDATE governance.organizations SET is_active = %(is_active)s WHERE id = %(organization)s")

SET_THRESHOLD = Query(
    Threshold,
    """
    INSERT INTO governance.role_trust_thresholds (organization_id, role_title, min_trust_score, is_active)
    VALUES (%(organization)s, %(role_title)s, %(min_trust_score)s, %(is_active)s)
    ON CONFLICT ON CONSTRAINT one_threshold_per_role_title
    DO UPDATE SET min_trust_score = excluded.min_trust_score, is_active = excluded.is_active
    RETURNING organization_id AS organization, role_title, min_trust_score, is_active, updated_at
    """,
)


def found_organization(tx: Tx, *, name: str, domain: str, description: str | None = None, by: Did) -> Organization:
    """Found an organization; the founder becomes its first operator.

    Raises DomainMalformed, DomainTaken. Source: role-agent governance, organizations.
    """
    domain = domain.lower().rstrip(".")
    if not DOMAIN.fullmatch(domain):
        raise DomainMalformed
    organization = tx.one(FOUND, name=name, domain=domain, description=description, founder=by)
    record(
        tx,
        action="organization.founded",
        entity="organization",
        entity_id=organization.id,
        organization=organization.id,
        facts={"name": name, "domain": domain, "founder": by},
    )
    return organization


def set_active(tx: Tx, organization: OrganizationId, is_active: bool, *, by: Did) -> Organization:
    """Let an organization hire, or stop all hiring in its name at once.

    Raises OrganizationUnknown, OperatorOnly.
    """
    require_operator(tx, organization, by)
    tx.run(SET_ACTIVE, organization=organization, is_active=is_active)
    record(
        tx,
        action="organization.opened" if is_active else "organization.closed",
        entity="organization",
        entity_id=organization,
        organization=organization,
        facts={"by": by},
    )
    return organization_of(tx, organization)


def add_member(tx: Tx, organization: OrganizationId, member: NewMember, *, by: Did) -> None:
    """Give a DID or a person a role in an organization.

    Raises OrganizationUnknown, OperatorOnly, MemberAlready, MemberUnclear, MemberUnknown, FacetMismatch.
    """
    require_operator(tx, organization, by)
    tx.run(
        ADD_MEMBER,
        organization=organization,
        did=member.did,
        user=member.user,
        role=member.role,
        facet=member.facet,
        by=by,
    )
    record(
        tx,
        action="member.added",
        entity="organization",
        entity_id=organization,
        organization=organization,
        facts={"did": member.did, "user": member.user, "role": member.role, "facet": member.facet, "by": by},
    )


def set_threshold(
    tx: Tx,
    organization: OrganizationId,
    *,
    role_title: str,
    min_trust_score: float,
    is_active: bool = True,
    by: Did,
) -> Threshold:
    """Demand a least trust (0 to 1000) of whoever plays a role for an organization; `supplier` is whom it hires.

    Raises OrganizationUnknown, OperatorOnly, ThresholdOutOfRange. Source: role-agent governance,
    role_trust_thresholds.
    """
    require_operator(tx, organization, by)
    threshold = tx.one(
        SET_THRESHOLD,
        organization=organization,
        role_title=role_title,
        min_trust_score=min_trust_score,
        is_active=is_active,
    )
    record(
        tx,
        action="threshold.set",
        entity="role_trust_threshold",
        entity_id=role_title,
        organization=organization,
        facts={"min_trust_score": min_trust_score, "is_active": is_active, "by": by},
    )
    return threshold
