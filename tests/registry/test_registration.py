"""Registering an agent: who may, what is kept of the card, and what happens the second time."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from given.identity import as_agent, client_as, consent
from given.registry import agent, card_document, register, signed_card
from hansa.identity import commands as identity
from hansa.identity import queries as people
from hansa.identity.models import KeyEnd, Role
from hansa.infra.db import Actor
from hansa.infra.keys import AgentKey
from hansa.kernel.events import EVENTS
from hansa.kernel.money import Asset
from hansa.registry import commands, queries
from hansa.registry.card_errors import CardUnsigned, CardWalletForeign
from hansa.registry.card_profile import SkillLevel
from hansa.registry.cards import content_hash, read_card
from hansa.registry.errors import (
    AgentForeign,
    AgentNameTaken,
    AgentUnknown,
    AgentWalletTaken,
    CardKeyEnded,
    DomainUnknown,
)
from hansa.registry.events import AgentRegistered
from hansa.registry.models import AgentStatus, Pricing
from hansa.registry.routes import router

KEY, OTHER = AgentKey.generate(), AgentKey.generate()


def registered_events(tx):
    rows = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = %s ORDER BY id", [AgentRegistered.name])
    return [row[0] for row in rows.fetchall()]


def test_a_signed_card_makes_an_agent_with_everything_it_declares(tx):
    registration = register(tx, KEY)

    found = queries.profile(tx, queries.agent_of(tx, KEY.did))
    assert (registration.version, registration.created) == (1, True)
    assert found.agent == registration.agent
    assert (found.agent.agent_id, found.agent.name) == ("meridian-market-data", "Meridian Market Data")
    assert (found.agent.wallet_address, found.agent.verified) == (KEY.wallet, True)
    assert (found.agent.status, found.agent.retired_at) == (AgentStatus.AVAILABLE, None)
    assert [(domain.name, domain.is_primary) for domain in found.domains] == [
        ("Trading Strategies", True),
        ("Data Analysis", False),
    ]
    assert [(skill.name, skill.category, skill.level) for skill in found.skills] == [
        ("Spot price", "market-data", SkillLevel.EXPERT),
        ("Order book depth", "market-data", SkillLevel.EXPERT),
        ("Arbitrage spreads", "market-data", SkillLevel.ADVANCED),
    ]
    assert found.pricing == Pricing(
        asset=Asset.USDC,
        currency="USD",
        hourly_rate=None,
        task_based_min=2_000,
        task_based_max=50_000,
        subscription_monthly=49_000_000,
    )
    assert found.capabilities.endpoints["api_url"] == "https://meridian.example/a2a/v1"
    assert [place["binding"] for place in found.capabilities.endpoints["interfaces"]] == ["JSONRPC", "HTTP+JSON"]
    assert found.capabilities.skills[:3] == ["market-data", "crypto", "price"]
    assert (found.capabilities.metrics, found.capabilities.verified_metrics) == (None, None)


def test_the_card_is_kept_byte_for_byte_under_its_cid(tx):
    raw = signed_card(KEY)
    registered = commands.register_agent(tx, read_card(raw), by=KEY.did, at=tx.at).agent

    card = queries.card_of(tx, registered)

    assert card.raw.encode() == raw
    assert card.content_hash == content_hash(raw) == registered.content_hash
    assert queries.profile(tx, registered).capabilities.ipfs_pin_hash == card.content_hash
    assert card.signed_by == KEY.key_id


def test_whoever_registers_an_agent_is_a_developer_from_then_on(tx):
    registered = register(tx, KEY).agent

    creator = people.user_of(tx, KEY.did)

    assert (creator.id, creator.role) == (registered.creator_user_id, Role.DEVELOPER)
    assert [key.kid for key in people.keys_of(tx, KEY.did)] == [KEY.key_id]


def test_a_registration_is_published_with_what_search_needs(tx):
    register(tx, KEY)

    (payload,) = registered_events(tx)

    assert (payload["did"], payload["agent_id"], payload["agent_name"]) == (
        KEY.did,
        "meridian-market-data",
        "Meridian Market Data",
    )
    assert payload["domains"] == ["Trading Strategies", "Data Analysis"]
    assert "arbitrage" in payload["tags"]
    assert "Order book depth: Bids and asks" in payload["text"]
    assert (payload["price"]["asset"], payload["price"]["task_min_units"]) == ("USDC", 2_000)
    assert EVENTS[AgentRegistered.name] is AgentRegistered


def test_the_same_card_again_changes_nothing_but_is_a_sign_of_life(tx):
    raw = signed_card(KEY)
    first = commands.register_agent(tx, read_card(raw), by=KEY.did, at=tx.at)

    second = commands.register_agent(tx, read_card(raw), by=KEY.did, at=tx.at)

    assert (second.version, second.created) == (1, False)
    assert second.agent.id == first.agent.id
    assert len(registered_events(tx)) == 1


def test_a_changed_card_is_a_new_version_and_the_old_one_stays(tx):
    first = register(tx, KEY)
    research = {"domains": ["Research"], "pricing": {"asset": "CREDIT", "hourly": "5"}, "skills": {}}
    skills = [{"id": "papers", "name": "Papers", "description": "Reads papers.", "tags": ["Science"]}]

    second = register(tx, KEY, name="Meridian Papers", params=research, skills=skills)

    assert (second.version, second.created, second.agent.id) == (2, True, first.agent.id)
    assert (second.agent.name, second.agent.agent_id) == ("Meridian Papers", "meridian-market-data")
    found = queries.profile(tx, second.agent)
    assert [domain.name for domain in found.domains] == ["Research"]
    assert [(skill.name, skill.level) for skill in found.skills] == [("Papers", None)]
    assert (found.pricing.asset, found.pricing.hourly_rate, found.pricing.task_based_min) == (Asset.CREDIT, 5_000, None)
    assert found.capabilities.skills == ["science"]
    assert queries.card_of(tx, second.agent, version=1).content_hash == first.agent.content_hash
    assert [event["card_version"] for event in registered_events(tx)] == [1, 2]


def test_prices_that_a_card_no_longer_names_are_gone(tx):
    register(tx, KEY)

    second = register(tx, KEY, params={"pricing": {}}).agent

    assert queries.profile(tx, second).pricing is None


def test_an_agent_cannot_register_the_card_of_another(tx):
    card = read_card(signed_card(OTHER))

    with pytest.raises(AgentForeign):
        commands.register_agent(tx, card, by=KEY.did, at=tx.at)

    with pytest.raises(AgentUnknown):
        queries.agent_of(tx, OTHER.did)


def test_an_unsigned_card_registers_nobody(tx):
    unsigned = read_card(json.dumps(card_document(params={"did": KEY.did})).encode(), must_be_signed=False)

    with pytest.raises(CardUnsigned):
        commands.register_agent(tx, unsigned, by=KEY.did, at=tx.at)


def test_a_card_that_names_the_wallet_of_somebody_else_is_refused():
    with pytest.raises(CardWalletForeign):
        signed_card(KEY, params={"wallet": OTHER.wallet})


def test_one_key_is_one_agent_under_whichever_of_its_names(tx):
    register(tx, KEY)
    card = read_card(signed_card(KEY, name="Second self", params={"did": KEY.did_sol}))

    with pytest.raises(AgentWalletTaken) as refused:
        commands.register_agent(tx, card, by=KEY.did_sol, at=tx.at)

    assert refused.value.status == 409


def test_a_name_belongs_to_one_agent(tx):
    register(tx, KEY)

    with pytest.raises(AgentNameTaken) as refused:
        register(tx, OTHER)

    assert refused.value.status == 409


def test_two_names_that_look_alike_in_a_url_get_two_names_in_urls(tx):
    first = register(tx, KEY, name="Data Monger").agent

    second = register(tx, OTHER, name="data-monger!").agent

    assert first.agent_id == "data-monger"
    assert second.agent_id.startswith("data-monger-")
    assert queries.agent_by_ref(tx, second.agent_id).did == OTHER.did


def test_a_name_that_means_something_else_in_the_api_is_not_given_away(tx):
    assert register(tx, KEY, name="Query").agent.agent_id.startswith("query-")


def test_an_unknown_domain_is_refused_with_those_that_there_are(tx):
    with pytest.raises(DomainUnknown) as refused:
        register(tx, KEY, params={"domains": ["research", "Alchemy"]})

    assert refused.value.facts["unknown"] == ["Alchemy"]
    assert len(refused.value.facts["domains"]) == 10


def test_domains_are_found_in_any_case_and_each_counts_once(tx):
    registered = register(tx, KEY, params={"domains": ["devops", "Research", "DevOps"]}).agent

    listed = queries.profile(tx, registered).domains

    assert [(domain.name, domain.is_primary) for domain in listed] == [("DevOps", True), ("Research", False)]


def test_a_card_signed_with_a_key_that_was_revoked_registers_nobody(tx):
    identity.revoke_key(tx, KEY.did, KEY.key_id, reason=KeyEnd.RETIRED, at=tx.at)

    with pytest.raises(CardKeyEnded):
        register(tx, KEY)


def test_a_card_signed_with_a_key_that_was_rotated_away_registers_nobody(tx):
    identity.rotate_key(tx, KEY.did, OTHER.public_key, replaces=KEY.key_id, proof=consent(KEY.did, OTHER), at=tx.at)

    with pytest.raises(CardKeyEnded):
        register(tx, KEY)


def test_a_card_cannot_claim_a_signer_that_it_was_not_checked_with(tx):
    card = read_card(signed_card(KEY))
    forged = replace(card, signed_by=replace(card.signed_by, public_key=OTHER.public_key))

    with pytest.raises(CardKeyEnded):
        commands.register_agent(tx, forged, by=KEY.did, at=tx.at)


def test_registrations_of_one_agent_that_race_make_one_agent_and_one_version(db):
    raw = signed_card(KEY)

    def go(_):
        with db.transaction(as_agent(KEY)) as tx:
            return commands.register_agent(tx, read_card(raw), by=KEY.did, at=tx.at)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(go, range(8)))

    assert sum(registration.created for registration in made) == 1
    assert {registration.version for registration in made} == {1}
    assert len({registration.agent.id for registration in made}) == 1


def test_agents_with_the_same_new_skills_register_together_without_a_deadlock(db):
    words = ["Alpha", "Beta", "Gamma", "Delta"]
    skills = [{"id": word, "name": word, "description": word, "tags": [word]} for word in words]

    def go(turn):
        key = AgentKey.generate()
        order = skills if turn % 2 else skills[::-1]
        with db.transaction(as_agent(key)) as tx:
            return agent(tx, key, skills=order, params={"skills": {}}).did

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(go, range(16)))) == 16


def test_cards_are_found_by_full_text_over_their_skills(tx):
    register(tx, KEY)
    agent(tx, OTHER, skills=[{"id": "a", "name": "A", "description": "d", "tags": ["auditing"]}], params={"skills": {}})

    found = tx.connection.execute(
        "SELECT agent_did FROM registry.agent_capabilities WHERE skills_tsv @@ to_tsquery('english', 'audits')"
    ).fetchall()

    assert found == [(OTHER.did,)]


def test_the_index_as_the_specification_writes_it_is_refused_by_postgresql(owner):
    with pytest.raises(psycopg.errors.InvalidObjectDefinition, match="IMMUTABLE"):
        owner.execute(
            "CREATE INDEX ON registry.agent_capabilities "
            "USING gin (to_tsvector('english', array_to_string(skills, ' ')))"
        )


def test_the_application_can_neither_delete_an_agent_nor_touch_a_card(db):
    with db.transaction() as tx:
        register(tx, KEY)

    for statement in (
        "DELETE FROM registry.agents",
        "DELETE FROM registry.agent_cards",
        "UPDATE registry.agent_cards SET raw = '{}'",
        "UPDATE registry.domains SET icon = '?'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction() as tx:
            tx.connection.execute(statement)


def test_a_second_primary_domain_is_refused_by_the_database(owner, db):
    with db.transaction() as tx:
        register(tx, KEY)

    with pytest.raises(psycopg.errors.UniqueViolation, match="one_primary_domain_per_agent"):
        owner.execute("UPDATE registry.agent_domains SET is_primary = true")


def test_an_agent_registers_is_read_and_withdraws_over_http(services):
    itself = client_as(services, as_agent(KEY), router)
    anybody = client_as(services, Actor(kind="anonymous"), router)
    raw = signed_card(KEY)

    assert anybody.post("/api/agents", content=raw).status_code == 401
    registered = itself.post("/api/agents", content=raw)

    assert registered.status_code == 201
    assert anybody.get("/api/agents/meridian-market-data").json()["agent"]["did"] == KEY.did
    assert anybody.get(f"/api/agents/{KEY.did}").json()["pricing"]["task_based_min"] == 2_000
    assert anybody.get("/api/agents/meridian-market-data/card").content == raw
    assert anybody.get("/api/agents/nobody").json()["code"] == "agent_unknown"
    assert anybody.get("/api/agents?domain=3&status=available").json()["items"][0]["did"] == KEY.did
    assert anybody.get("/api/agents?domain=1").json()["items"] == []
    assert itself.post(f"/api/agents/{KEY.did}/heartbeat", json={"ttl_s": 60}).json()["ttl_s"] == 60
    stranger = client_as(services, as_agent(OTHER), router)
    assert stranger.delete("/api/agents/meridian-market-data").json()["code"] == "agent_foreign"
    assert itself.delete("/api/agents/meridian-market-data").json()["status"] == "offline"
    assert anybody.get("/api/agents").json()["items"] == []


def test_an_agent_without_a_picture_has_one_that_follows_from_its_did(services):
    with services.db.transaction() as tx:
        faceless = register(tx, KEY, name="Faceless", iconUrl="").agent
    anybody = client_as(services, Actor(kind="anonymous"), router)

    picture = anybody.get(faceless.avatar_url)

    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.startswith("<svg ")
    assert anybody.get(faceless.avatar_url).text == picture.text


def test_agents_are_listed_newest_first_page_by_page(tx):
    dids = [agent(tx).did for _ in range(3)]

    first = queries.agents(tx, limit=2)
    second = queries.agents(tx, limit=2, before=first.after)

    assert [found.did for found in first.items] == [dids[2], dids[1]]
    assert ([found.did for found in second.items], second.after) == ([dids[0]], None)
