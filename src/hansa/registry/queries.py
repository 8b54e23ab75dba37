"""What can be read of agents."""

from typing import LiteralString
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did, parse_did
from hansa.registry.errors import AgentUnknown
from hansa.registry.models import (
    Agent,
    AgentCard,
    AgentDomain,
    AgentProfile,
    AgentSkill,
    AgentStatus,
    Capabilities,
    Domain,
    Pricing,
)

AGENT_COLUMNS: LiteralString = """
    id, did, agent_id, name, tagline, description, avatar_url, cover_image_url, wallet_address, status, verified,
    version, content_hash, ttl_s, expires_at, last_seen_at, usefulness_score_cached, usefulness_last_updated,
    creator_user_id, created_at, updated_at, last_active, retired_at
"""

AGENT_BY_DID = Query(Agent, f"SELECT {AGENT_COLUMNS} FROM registry.agents WHERE did = %(did)s")

AGENT_BY_SLUG = Query(Agent, f"SELECT {AGENT_COLUMNS} FROM registry.agents WHERE agent_id = %(slug)s")

AGENTS = Query(
    Agent,
    f"""
    SELECT {AGENT_COLUMNS}
      FROM registry.agents
     WHERE retired_at IS NULL
       AND (%(status)s::registry.agent_status IS NULL OR status = %(status)s::registry.agent_status)
       AND (%(domain)s::integer IS NULL
            OR id IN (SELECT agent_id FROM registry.agent_domains WHERE domain_id = %(domain)s))
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

CAPABILITIES = Query(
    Capabilities,
    """
    SELECT version, skills, metrics, verified_metrics, endpoints, ipfs_pin_hash, created_at
      FROM registry.agent_capabilities
     WHERE agent_did = %(did)s
       AND version = %(version)s
    """,
)

DOMAINS_OF_AGENT = Query(
    AgentDomain,
    """
    SELECT domain.id, domain.name, domain.icon, listed.is_primary, listed.proficiency_level
      FROM registry.agent_domains AS listed
      JOIN registry.domains AS domain ON domain.id = listed.domain_id
     WHERE listed.agent_id = %(agent)s
     ORDER BY listed.is_primary DESC, domain.id
    """,
)

SKILLS_OF_AGENT = Query(
    AgentSkill,
    """
    SELECT skill.name, skill.category, claimed.level, claimed.years_experience
      FROM registry.agent_skills AS claimed
      JOIN registry.skills AS skill ON skill.id = claimed.skill_id
     WHERE claimed.agent_id = %(agent)s
     ORDER BY claimed.id
    """,
)

PRICING_OF_AGENT = Query(
    Pricing,
    """
    SELECT asset, currency, hourly_rate, task_based_min, task_based_max, subscription_monthly
      FROM registry.agent_pricing
     WHERE agent_id = %(agent)s
    """,
)

CARD = Query(
    AgentCard,
    """
    SELECT did, version, content_hash, raw, signed_by, created_at
      FROM registry.agent_cards
     WHERE did = %(did)s
       AND version = %(version)s
    """,
)

DOMAINS = Query(Domain, "SELECT id, name, icon, description FROM registry.domains ORDER BY id")


def agent_of(tx: Tx, did: Did) -> Agent:
    """The agent with a DID, retired or not. Raises AgentUnknown."""
    return known(tx.maybe(AGENT_BY_DID, did=did), did)


def agent_by_slug(tx: Tx, slug: str) -> Agent:
    """The agent with a name in URLs, retired or not. Raises AgentUnknown."""
    return known(tx.maybe(AGENT_BY_SLUG, slug=slug), slug)


def agent_by_ref(tx: Tx, ref: str) -> Agent:
    """The agent that a DID or a name in URLs stands for. Raises AgentUnknown, InvalidDid."""
    return agent_of(tx, parse_did(ref)) if ref.startswith("did:") else agent_by_slug(tx, ref)


def known(agent: Agent | None, ref: str) -> Agent:
    if agent is None:
        raise AgentUnknown(agent=ref)
    return agent


def agents(
    tx: Tx,
    *,
    status: AgentStatus | None = None,
    domain: int | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Page[Agent]:
    """Agents that have not retired, newest first."""
    found = tx.all(AGENTS, status=status, domain=domain, before=before, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def profile(tx: Tx, agent: Agent) -> AgentProfile:
    """An agent with all that its current card declares."""
    return AgentProfile(
        agent=agent,
        capabilities=tx.one(CAPABILITIES, did=agent.did, version=agent.version),
        domains=tx.all(DOMAINS_OF_AGENT, agent=agent.id),
        skills=tx.all(SKILLS_OF_AGENT, agent=agent.id),
        pricing=tx.maybe(PRICING_OF_AGENT, agent=agent.id),
    )


def card_of(tx: Tx, agent: Agent, *, version: int | None = None) -> AgentCard:
    """A card of an agent as it was signed: the current one, or that of a version. Raises AgentUnknown."""
    card = tx.maybe(CARD, did=agent.did, version=version or agent.version)
    if card is None:
        raise AgentUnknown("the agent has no such version", agent=agent.agent_id, version=version)
    return card


def domains(tx: Tx) -> list[Domain]:
    """The ten domains in their order."""
    return tx.all(DOMAINS)
