"""What governance refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Invalid, NotFound, TooManyRequests


class HireDenied(Forbidden):
    """The rules do not allow this hire; the reasons are part of the decision, which is kept."""


class OrganizationUnknown(NotFound):
    """There is no such organization, or it is not shown to this caller."""


class DomainTaken(Conflict):
    """Another organization is known under this domain."""

    constraint = "one_organization_per_domain"


class DomainMalformed(Invalid):
    """A domain is a host name of two labels or more, such as example.org."""


class OperatorOnly(Forbidden):
    """Only an operator of the organization may do this."""


class AuditorOnly(Forbidden):
    """Only an operator or a compliance officer of an organization may have the audit trail verified."""


class MemberAlready(Conflict):
    """This member holds the role already."""

    constraint = "one_membership_per_role"


class MemberUnclear(Invalid):
    """A member is a DID or the account of a person, one of them."""

    constraint = "member_is_a_did_or_a_person"


class MemberUnknown(NotFound):
    """There is no account of such a person."""

    constraint = "member_is_a_known_person"


class FacetMismatch(Invalid):
    """A reviewer has a facet to review for, and only reviewers have one."""

    constraint = "reviewers_have_a_facet"


class RoleAgentUnknown(NotFound):
    """There is no such role agent, or it is not shown to this caller."""

    constraint = "role_agent_known"


class RoleAgentRetired(Conflict):
    """The role agent is retired, and stays so; name a new one."""

    constraint = "retired_role_agents_stay_retired"


class RoleNotAssigned(Forbidden):
    """A role is accepted by the agent it is assigned to."""

    constraint = "role_accepted_by_its_agent"


class ThresholdOutOfRange(Invalid):
    """A threshold is a trust score from 0 to 1000."""

    constraint = "threshold_on_the_scale"


class DecisionUnknown(NotFound):
    """There is no such decision, or it is not shown to this caller."""


class VerificationRunning(TooManyRequests):
    """The audit trail is being verified just now; one verification runs at a time."""


class GovernanceBroken(Defect):
    """A rule of governance was broken by a mistake in the code; nothing was written."""

    constraint = (
        "governance_evidence_is_append_only",
        "role_agent_level_is_1_to_5",
        "role_agent_score_on_the_scale",
        "trust_histories_pkey",
        "trust_history_of_a_role_agent",
        "trust_history_on_the_scale",
        "threshold_level_is_1_to_5",
        "signal_confidence_is_a_share",
        "audit_logs_organizationId_fkey",
        "audit_logs_roleAgentId_fkey",
        "approvals_artifactId_artifactType_reviewerId_facet_key",
        "mcp_policies_organizationId_name_version_key",
        "mcp_policy_tests_policyId_fkey",
        "role_template_of_an_organization",
        "role_agent_of_an_organization",
        "role_agent_plays_a_role",
        "threshold_of_an_organization",
        "one_threshold_per_role_title",
        "signal_about_a_role_agent",
        "certification_of_a_role_agent",
        "one_row_per_governance_transaction",
        "badge_transaction_of_a_role_agent",
        "loa_policy_of_an_organization",
        "approval_of_an_organization",
        "mcp_policy_of_an_organization",
        "member_of_an_organization",
        "acceptance_of_a_role_agent",
        "decision_names_its_pair",
        "decision_allows_or_denies",
        "decided_amount_not_negative",
        "denials_have_reasons",
        "one_wait_per_audit_row",
        "waiting_audit_row_exists",
        "one_seal_per_audit_row",
        "seal_of_an_audit_row",
        "seals_count_from_1",
        "first_seal_follows_nothing",
        "seal_has_one_hash",
        "seal_follows_the_one_before",
        "organizations_pkey",
        "role_templates_pkey",
        "role_agents_pkey",
        "role_trust_thresholds_pkey",
        "signals_pkey",
        "certifications_pkey",
        "audit_logs_pkey",
        "blockchain_transactions_pkey",
        "loa_policies_pkey",
        "approvals_pkey",
        "mcp_policies_pkey",
        "mcp_policy_tests_pkey",
        "role_acceptances_pkey",
        "decisions_pkey",
        "audit_unsealed_pkey",
        "audit_seals_pkey",
    )
