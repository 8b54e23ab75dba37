"""Rows and values of governance."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import AuditId, DecisionId, OrganizationId, RoleAgentId, UserId
from hansa.kernel.money import Credits

SUPPLIER = "supplier"
"""Title of the role whose threshold the hire gate asks of a seller."""

LEVEL_BOUNDS = (250, 500, 750, 900)
"""Scores at which levels 2, 3, 4 and 5 begin."""
BADGE_SCORE_MIN = 750
"""Score from which a role agent may be given a badge on chain."""


def level_of(score: float) -> int:
    """Level of assurance, 1 (unverified) to 5 (expert), of a trust score from 0 to 1000.

    >>> level_of(249), level_of(250), level_of(899), level_of(1000)
    (1, 2, 4, 5)
    """
    return 1 + sum(score >= bound for bound in LEVEL_BOUNDS)


def points(trust: float) -> int:
    """A trust score from 0 to 1 in whole points of the scale 0 to 1000, rounded down.

    The inner rounding takes away what binary fractions add: 0.57 is 570 points, not 569.

    >>> points(0.5), points(0.57), points(0.5999)
    (500, 570, 599)
    """
    return math.floor(round(trust * 1000, 6))


class MemberRole(StrEnum):
    """What a member may do in an organization."""

    OPERATOR = "operator"
    ARBITER = "arbiter"
    MODERATOR = "moderator"
    COMPLIANCE_OFFICER = "compliance_officer"
    REVIEWER = "reviewer"


class RoleAgentStatus(StrEnum):
    """What a role agent can be set to; only `active` may act."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"
    RETIRED = "retired"


class BlockchainTxStatus(StrEnum):
    """What became of a transaction on chain."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class BlockchainTxType(StrEnum):
    """What a transaction on chain is for."""

    NFT_MINT = "NFT_MINT"
    TRANSFER = "TRANSFER"
    OTHER = "OTHER"


class ArtifactType(StrEnum):
    """What can be approved."""

    ROLE_AGENT = "RoleAgent"
    MCP = "MCP"
    """A policy of the tool gateway."""


class ApprovalFacet(StrEnum):
    """Point of view of an approval."""

    SECURITY = "security"
    COMPLIANCE = "compliance"
    POLICY = "policy"
    RISK = "risk"


class ApprovalDecision(StrEnum):
    """What a reviewer says."""

    APPROVE = "approve"
    REJECT = "reject"


class PolicyStatus(StrEnum):
    """Life of a policy version."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Outcome(StrEnum):
    """What the hire gate says."""

    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant."""

    id: OrganizationId
    name: str
    description: str | None
    domain: str
    """Domain name under which the organization is known; claimed by its founder."""
    is_active: bool
    """False: whoever acts for the organization can hire nobody."""
    onboarding_complete: bool
    """True once the organization has named its first role agent."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One role of one member of an organization."""

    organization: OrganizationId
    did: Did | None
    """Set for an agent; None: the member is a person."""
    user: UserId | None
    """Account of a person; None: the member is a DID."""
    role: MemberRole
    facet: str | None
    """Point of view for which a reviewer may approve; None for other roles."""
    added_by: str
    """DID that granted the role."""
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAgent:
    """An agent in the service of an organization."""

    id: RoleAgentId
    organization: OrganizationId
    name: str
    description: str | None
    role_title: str
    status: str
    """active, inactive, suspended or retired; rows of older systems may say something else, which is not active."""
    level: int
    """Level of assurance, 1 to 5."""
    trust_score: float | None
    """On the scale 0 to 1000, as of `last_trust_check`; None: not known."""
    last_trust_check: datetime | None
    is_eligible_for_mint: bool
    """Trusted enough for a role badge on chain."""
    assigned_to_did: Did
    assigned_to: str | None
    """Whoever plays the role, in the words of the organization."""
    accepted_at: datetime | None
    """Since when the role binds the agent; None: it has not accepted yet."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Least trust that an organization demands of whoever plays a role for it."""

    organization: OrganizationId
    role_title: str
    min_trust_score: float
    """On the scale 0 to 1000."""
    is_active: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HireRules:
    """The rules that bind one buyer who would hire one seller."""

    organization_id: OrganizationId | None
    """Whose threshold is the strictest; None: nobody demands any trust."""
    organization_closed: OrganizationId | None
    """An organization that binds the buyer and is not active."""
    min_trust_score: float | None
    """Threshold of that organization for suppliers, 0 to 1000."""
    buyer_role_agent: RoleAgentId | None
    """A role of the buyer that is not active; None: all are."""
    buyer_status: str | None
    seller_role_agent: RoleAgentId | None
    """A role of the seller that is not active; None: all are."""
    seller_status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer of the hire gate."""

    id: DecisionId
    subject: str
    """What was decided about, in words of the caller."""
    buyer_did: Did
    seller_did: Did
    amount: Credits
    """Units of 1/1000 credit."""
    outcome: Outcome
    reasons: list[str]
    """What speaks against it, each `code: words`; empty when it is allowed."""
    policy: JsonObject
    """All that the decision looked at."""
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of the audit trail with its seal."""

    id: AuditId
    action: str
    entity: str
    entity_id: str
    by: str | None
    """Who acted: a DID, the id of a person's account, or the name of a job; None: nobody had proven to be anybody."""
    metadata: JsonObject | None
    """organization_id, role_agent_id, actor_kind, trace and facts."""
    created_at: datetime
    n: int | None
    """Place in the chain; None: it waits for its seal."""
    hash: str | None
    """Of the seal, in hex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """How far the chain of seals has come."""

    sealed: int
    """Rows in the chain."""
    head: str
    """Hash of the last seal in hex; keep it, and no later rewriting of the trail goes unnoticed."""
    sealed_at: datetime | None
    unsealed: int
    """Rows that wait for their seal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditBreak:
    """One way in which the audit trail is not what it was."""

    n: int | None
    """Place in the chain; None: outside of it."""
    audit_id: AuditId | None
    finding: str
    """edited, missing, reordered, follows a gap, torn from the seal before, or never queued for a seal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What a verification of the audit trail found."""

    sealed: int
    head: str
    """Hash of the last seal in hex."""
    unsealed: list[AuditId]
    """The first rows that wait for their seal."""
    broken: list[AuditBreak]
    """First broken link first; empty when the trail is whole."""

    @property
    def whole(self) -> bool:
        return not self.broken


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMember:
    """Who is to be given a role: a DID or a person, one of them."""

    role: MemberRole
    did: Did | None = None
    user: UUID | None = None
    facet: str | None = None
    """For reviewers: the point of view for which they may approve."""
