"""What the registry refuses, and the constraints that speak each refusal. What is wrong with a card: card_errors."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Gone, Invalid, NotFound


class AgentUnknown(NotFound):
    """There is no such agent."""


class AgentGone(Gone):
    """The agent has retired; it comes back by registering again."""


class AgentForeign(Forbidden):
    """An agent speaks for itself only: the request is not signed by this agent."""


class CardKeyEnded(Forbidden):
    """The card was signed with a key that was rotated away or revoked."""


class AgentNameTaken(Conflict):
    """Another agent has this name, or one that looks the same."""

    constraint = ("unique_agent_name", "agent_name_unlike_others")


class AgentNameUnfit(Invalid):
    """An agent's name has single blanks between its words, and no characters that cannot be seen."""

    constraint = "agent_name_is_plain"


class AgentIdTaken(Conflict):
    """Another agent took this name in URLs at the same moment; register again."""

    constraint = "unique_agent_id"
    retryable = True


class AgentWalletTaken(Conflict):
    """Another agent is paid to this wallet; one key is one agent."""

    constraint = "one_agent_per_wallet"


class DomainUnknown(Invalid):
    """The card names a domain that Hansa does not have."""


class TtlUnfit(Invalid):
    """A time to live is 30 seconds to 30 days."""

    constraint = "agent_ttl_within_bounds"


class UsefulnessUnfit(Invalid):
    """A usefulness is 0 to 100."""

    constraint = "usefulness_within_100"


class RegistryBroken(Defect):
    """A rule of the registry was broken by a mistake in the code; nothing was written."""

    constraint = (
        "registered_agents_pkey",
        "one_agent_per_did",
        "agent_created_by_a_user",
        "agent_id_fit_for_a_url",
        "agent_wallet_is_base58",
        "agent_key_has_32_bytes",
        "agent_version_counts_from_one",
        "retired_agents_are_offline",
        "one_card_per_version",
        "card_of_an_agent",
        "card_hash_is_a_cid",
        "agent_capabilities_pkey",
        "one_snapshot_per_version",
        "capabilities_of_a_card",
        "skills_pkey",
        "one_skill_per_name",
        "agent_skills_pkey",
        "skill_once_per_agent",
        "skill_of_an_agent",
        "skill_that_is_known",
        "experience_not_negative",
        "domains_pkey",
        "one_domain_per_name",
        "domain_once_per_agent",
        "domain_of_an_agent",
        "domain_that_is_known",
        "proficiency_within_100",
        "one_primary_domain_per_agent",
        "agent_pricing_pkey",
        "one_price_list_per_agent",
        "price_list_of_an_agent",
        "price_asset_known",
        "prices_not_negative",
        "task_prices_in_order",
    )
