"""What can be done with agents."""

import hashlib
from datetime import datetime

from hansa.identity import commands as identity
from hansa.identity.queries import signing_key
from hansa.infra.db import JsonObject, Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.dids import Did, did_public_key
from hansa.registry.card_errors import CardUnsigned
from hansa.registry.card_profile import CardProfile
from hansa.registry.card_signatures import CardSigner
from hansa.registry.errors import AgentForeign, AgentGone, CardKeyEnded, DomainUnknown
from hansa.registry.events import AgentRegistered, AgentRetired, AgentStatusChanged, PriceHint
from hansa.registry.models import Agent, AgentStatus, Domain, Registration
from hansa.registry.queries import AGENT_COLUMNS, agent_of, domains

TTL_S_DEFAULT = 86_400
"""A newly registered agent is kept for a day; its first heartbeat says how long it wants to be."""
SLUG_LENGTH_MAX = 50
SLUGS_RESERVED = frozenset({"query", "search"})
"""Names in URLs that mean something else under /api/agents."""

SLUG_TAKEN = Query(bool, "SELECT EXISTS (SELECT FROM registry.agents WHERE agent_id = %(slug)s AND did <> %(did)s)")

# One statement decides whether the card is new: a second registration at the same moment waits for the row, and then
# finds the card there already. Nothing comes back when there is nothing to change.
ADMIT = Query(
    Agent,
    f"""
    INSERT INTO registry.agents AS known (
        did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key, status, verified,
        content_hash, ttl_s, expires_at, last_seen_at, last_active, creator_user_id
    )
    VALUES (
        %(did)s, %(slug)s, %(name)s, %(tagline)s, %(description)s, %(avatar_url)s, %(wallet)s, %(public_key)s,
        'available', true, %(content_hash)s, %(ttl_s)s, %(at)s::timestamptz + make_interval(secs => %(ttl_s)s::integer), %(at)s, %(at)s,
        %(creator)s
    )
    ON CONFLICT ON CONSTRAINT one_agent_per_did DO UPDATE
       SET name = excluded.name,
           tagline = excluded.tagline,
           description = excluded.description,
           avatar_url = excluded.avatar_url,
           wallet_address = excluded.wallet_address,
           public_key = excluded.public_key,
           status = CASE WHEN known.retired_at IS NULL THEN known.status ELSE 'available' END,
           verified = excluded.verified,
           version = known.version + CASE WHEN known.content_hash = excluded.content_hash THEN 0 ELSE 1 END,
           content_hash = excluded.content_hash,
           ttl_s = coalesce(%(asked_ttl_s)s::integer, known.ttl_s),
           expires_at = %(at)s::timestamptz + make_interval(secs => coalesce(%(asked_ttl_s)s::integer, known.ttl_s)),
           last_seen_at = excluded.last_seen_at,
           last_active = excluded.last_active,
           retired_at = NULL
     WHERE known.content_hash <> excluded.content_hash
        OR known.retired_at IS NOT NULL
    RETURNING {AGENT_COLUMNS}
    """,
)

ADD_CARD = Query(
    int,
    """
    INSERT INTO registry.agent_cards (did, version, content_hash, raw, signed_by)
    VALUES (%(did)s, %(version)s, %(content_hash)s, %(raw)s, %(signed_by)s)
    ON CONFLICT (did, version) DO NOTHING
    """,
)

ADD_CAPABILITIES = Query(
    int,
    """
    INSERT INTO registry.agent_capabilities (agent_did, version, skills, endpoints, ipfs_pin_hash)
    VALUES (%(did)s, %(version)s, %(skills)s, %(endpoints)s, %(ipfs_pin_hash)s)
    """,
)

# In the order of their names, so that two registrations that bring the same new skills never wait in a circle.
ADD_SKILLS = Query(
    int,
    """
    INSERT INTO registry.skills (name, category)
    SELECT brought.name, brought.category
      FROM unnest(%(names)s::text[], %(categories)s::text[]) AS brought (name, category)
     WHERE NOT EXISTS (SELECT FROM registry.skills AS known WHERE known.name = brought.name)
     ORDER BY brought.name
    ON CONFLICT (name) DO NOTHING
    """,
)

DROP_AGENT_SKILLS = Query(int, "DELETE FROM registry.agent_skills WHERE agent_id = %(agent)s")

ADD_AGENT_SKILLS = Query(
    int,
    """
    INSERT INTO registry.agent_skills (agent_id, skill_id, level)
    SELECT %(agent)s, skill.id, claimed.level::registry.skill_level
      FROM unnest(%(names)s::text[], %(levels)s::text[]) WITH ORDINALITY AS claimed (name, level, position)
      JOIN registry.skills AS skill ON skill.name = claimed.name
     ORDER BY claimed.position
    """,
)

DROP_AGENT_DOMAINS = Query(int, "DELETE FROM registry.agent_domains WHERE agent_id = %(agent)s")

ADD_AGENT_DOMAINS = Query(
    int,
    """
    INSERT INTO registry.agent_domains (agent_id, domain_id, is_primary)
    SELECT %(agent)s, named.domain, named.position = 1
      FROM unnest(%(domains)s::integer[]) WITH ORDINALITY AS named (domain, position)
    """,
)

DROP_PRICING = Query(int, "DELETE FROM registry.agent_pricing WHERE agent_id = %(agent)s")

SET_PRICING = Query(
    int,
    """
    INSERT INTO registry.agent_pricing (
        agent_id, asset, hourly_rate, task_based_min, task_based_max, subscription_monthly
    )
    VALUES (%(agent)s, %(asset)s, %(hourly)s, %(task_min)s, %(task_max)s, %(monthly)s)
    ON CONFLICT (agent_id) DO UPDATE
       SET asset = excluded.asset,
           hourly_rate = excluded.hourly_rate,
           task_based_min = excluded.task_based_min,
           task_based_max = excluded.task_based_max,
           subscription_monthly = excluded.subscription_monthly
    """,
)

HEARTBEAT = Query(
    Agent,
    f"""
    UPDATE registry.agents
       SET ttl_s = %(ttl_s)s,
           expires_at = %(at)s::timestamptz + make_interval(secs => %(ttl_s)s::integer),
           last_seen_at = %(at)s,
           last_active = %(at)s,
           status = %(status)s::registry.agent_status
     WHERE did = %(did)s
       AND retired_at IS NULL
    RETURNING {AGENT_COLUMNS}
    """,
)

RETIRE = Query(
    Agent,
    f"""
    UPDATE registry.agents
       SET status = 'offline', retired_at = %(at)s
     WHERE did = %(did)s
       AND retired_at IS NULL
    RETURNING {AGENT_COLUMNS}
    """,
)

EXPIRE = Query(
    Agent,
    f"""
    UPDATE registry.agents
       SET status = 'offline', retired_at = clock_timestamp()
     WHERE id IN (SELECT silent.id
                    FROM registry.agents AS silent
                   WHERE silent.retired_at IS NULL
                     AND silent.expires_at <= clock_timestamp()
                   ORDER BY silent.expires_at
                   LIMIT %(limit)s
                     FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING {AGENT_COLUMNS}
    """,
)


def register_agent(tx: Tx, card: CardProfile, *, by: Did, at: datetime, ttl_s: int | None = None) -> Registration:
    """Admit an agent by its signed card; a changed card is a new version, the same card again changes nothing.

    It stays for `ttl_s` seconds without a sign of life; None: as long as before, or a day. An agent that had retired
    is back. The account behind `by` is the creator. Raises CardUnsigned, AgentForeign (the card is somebody else's), CardKeyEnded, DomainUnknown, AgentNameTaken, AgentWalletTaken.
    Sources: AINP registration; AMOCA agents; Proof-of-Service registry capabilities.
    """
    signer = require_own_card(tx, card, by, at=at)
    listed_in = domains_named(tx, card.domains)
    agent = admit(tx, card, signer, by=by, at=at, ttl_s=ttl_s)
    if agent is None:
        seen = heartbeat(tx, by, ttl_s or agent_of(tx, by).ttl_s, at)
        return Registration(agent=seen, version=seen.version, created=False)
    created = describe(tx, agent, card, signer, listed_in)
    publish(tx, registered_event(agent, card, listed_in))
    return Registration(agent=agent, version=agent.version, created=created)


def heartbeat(tx: Tx, did: Did, ttl_s: int, at: datetime, *, status: AgentStatus | None = None) -> Agent:
    """Hear from an agent: it stays for another `ttl_s` seconds, and is available unless it says or said otherwise.

    Raises AgentUnknown, AgentGone, TtlUnfit. Source: AINP ttl.
    """
    before = agent_of(tx, did)
    wanted = status or (AgentStatus.AVAILABLE if before.status is AgentStatus.OFFLINE else before.status)
    agent = tx.maybe(HEARTBEAT, did=did, ttl_s=ttl_s, status=wanted, at=at)
    if agent is None:
        raise AgentGone(agent=before.agent_id, retired_at=before.retired_at)
    if agent.status is not before.status:
        publish(tx, AgentStatusChanged(did=did, status=agent.status))
    return agent


def retire_agent(tx: Tx, did: Did, at: datetime) -> Agent:
    """Take an agent out of the market at its own wish; its rows stay, the second time changes nothing.

    Raises AgentUnknown.
    """
    retired = tx.maybe(RETIRE, did=did, at=at)
    if retired is None:
        return agent_of(tx, did)
    publish(tx, AgentRetired(did=did, agent_id=retired.agent_id, reason="withdrawn"))
    return retired


def expire_agents(tx: Tx, *, limit: int = 100) -> int:
    """Retire agents whose time to live ran out; returns how many. Their deals and money end by their own rules."""
    silent = tx.all(EXPIRE, limit=limit)
    for agent in silent:
        publish(tx, AgentRetired(did=agent.did, agent_id=agent.agent_id, reason="expired"))
    return len(silent)


# ---------------------------------------------------------------------------------------------------------------
# What a registration consists of


def require_own_card(tx: Tx, card: CardProfile, by: Did, *, at: datetime) -> CardSigner:
    """The key that signed a card, when the card is the caller's own and the key still counts."""
    if card.signed_by is None:
        raise CardUnsigned
    if card.did != by:
        raise AgentForeign(f"the request is signed by {by}, the card is that of {card.did}", did=card.did)
    if signing_key(tx, by, card.signed_by.key_id, at=at) != card.signed_by.public_key:
        raise CardKeyEnded(key_id=card.signed_by.key_id)
    return card.signed_by


def domains_named(tx: Tx, names: tuple[str, ...]) -> list[Domain]:
    """The domains with these names in any case, each once, in the order named. Raises DomainUnknown."""
    by_name = {domain.name.casefold(): domain for domain in domains(tx)}
    unknown = [name for name in names if name.casefold() not in by_name]
    if unknown:
        raise DomainUnknown(unknown=unknown, domains=[domain.name for domain in by_name.values()])
    return list({(found := by_name[name.casefold()]).id: found for name in names}.values())


def admit(tx: Tx, card: CardProfile, signer: CardSigner, *, by: Did, at: datetime, ttl_s: int | None) -> Agent | None:
    """Write the agent's row; None when the card is the current one and the agent has not retired."""
    if did_public_key(by) in (None, signer.public_key):  # a key that was rotated in is on record since then
        identity.remember_key(tx, by, signer.public_key, at=at)
    creator = identity.ensure_user(tx, by, at=at)
    identity.become_developer(tx, creator.id)
    slug = free_slug(tx, card)
    return tx.maybe(
        ADMIT,
        did=by,
        slug=slug,
        name=card.name,
        tagline=card.tagline,
        description=card.description,
        avatar_url=card.avatar_url or f"/api/agents/{by}/avatar.svg",
        wallet=card.wallet,
        public_key=signer.public_key,
        content_hash=card.content_hash,
        ttl_s=TTL_S_DEFAULT if ttl_s is None else ttl_s,
        asked_ttl_s=ttl_s,
        creator=creator.id,
        at=at,
    )


def free_slug(tx: Tx, card: CardProfile) -> str:
    """The name in URLs that a card proposes, or one that its DID makes different when another agent has it."""
    if card.slug not in SLUGS_RESERVED and not tx.one(SLUG_TAKEN, slug=card.slug, did=card.did):
        return card.slug
    suffix = "-" + hashlib.sha256(card.did.encode()).hexdigest()[:8]
    return card.slug[: SLUG_LENGTH_MAX - len(suffix)].rstrip("-") + suffix


def describe(tx: Tx, agent: Agent, card: CardProfile, signer: CardSigner, listed_in: list[Domain]) -> bool:
    """Keep the card and what it declares; False when this version is kept already."""
    raw = card.document.decode()
    kept = tx.run(
        ADD_CARD,
        did=agent.did,
        version=agent.version,
        content_hash=card.content_hash,
        raw=raw,
        signed_by=signer.key_id,
    )
    if not kept:
        return False
    tx.run(
        ADD_CAPABILITIES,
        did=agent.did,
        version=agent.version,
        skills=list(card.tags) or [skill.name.lower() for skill in card.skills],
        endpoints=endpoints_of(card),
        ipfs_pin_hash=card.content_hash,
    )
    claim_skills(tx, agent, card)
    tx.run(DROP_AGENT_DOMAINS, agent=agent.id)
    tx.run(ADD_AGENT_DOMAINS, agent=agent.id, domains=[domain.id for domain in listed_in])
    set_prices(tx, agent, card)
    return True


def claim_skills(tx: Tx, agent: Agent, card: CardProfile) -> None:
    """Replace what the agent says it can do; of two skills with one name the first counts."""
    skills = list({skill.name: skill for skill in reversed(card.skills)}.values())[::-1]
    names = [skill.name for skill in skills]
    tx.run(ADD_SKILLS, names=names, categories=[(skill.tags or ("general",))[0][:50] for skill in skills])
    tx.run(DROP_AGENT_SKILLS, agent=agent.id)
    tx.run(ADD_AGENT_SKILLS, agent=agent.id, names=names, levels=[skill.level for skill in skills])


def set_prices(tx: Tx, agent: Agent, card: CardProfile) -> None:
    if card.pricing is None:
        tx.run(DROP_PRICING, agent=agent.id)
        return
    tx.run(
        SET_PRICING,
        agent=agent.id,
        asset=card.pricing.asset,
        hourly=card.pricing.hourly_units,
        task_min=card.pricing.task_min_units,
        task_max=card.pricing.task_max_units,
        monthly=card.pricing.monthly_units,
    )


def endpoints_of(card: CardProfile) -> JsonObject:
    """Where an agent answers, in the words of the Proof-of-Service registry and with all interfaces of A2A."""
    return {
        "api_url": card.endpoints[0].url,
        "interfaces": [
            {"url": endpoint.url, "binding": endpoint.binding, "version": endpoint.version}
            for endpoint in card.endpoints
        ],
        "documentation_url": card.documentation_url,
        "accepts_x402": card.accepts_x402,
    }


def registered_event(agent: Agent, card: CardProfile, listed_in: list[Domain]) -> AgentRegistered:
    texts = [card.description, *(f"{skill.name}: {skill.description}" for skill in card.skills)]
    return AgentRegistered(
        did=agent.did,
        agent_id=agent.agent_id,
        agent_name=agent.name,
        card_version=agent.version,
        status=agent.status,
        skills=tuple(skill.name for skill in card.skills),
        tags=card.tags,
        domains=tuple(domain.name for domain in listed_in),
        tagline=card.tagline,
        text="\n".join(texts),
        price=price_hint(card),
        accepts_x402=card.accepts_x402,
    )


def price_hint(card: CardProfile) -> PriceHint | None:
    if card.pricing is None:
        return None
    return PriceHint(
        asset=card.pricing.asset,
        task_min_units=card.pricing.task_min_units,
        task_max_units=card.pricing.task_max_units,
        hourly_units=card.pricing.hourly_units,
        monthly_units=card.pricing.monthly_units,
    )
