"""How long an agent stays, how it leaves, and how it comes back."""

from datetime import timedelta
from decimal import Decimal

import pytest

from given.registry import agent, register, signed_card, usefulness_cached
from hansa.infra.keys import AgentKey
from hansa.registry import commands, jobs, queries
from hansa.registry.cards import read_card
from hansa.registry.errors import AgentGone, AgentNameTaken, AgentUnknown, TtlUnfit, UsefulnessUnfit
from hansa.registry.events import AgentRegistered, AgentRetired, AgentStatusChanged
from hansa.registry.models import AgentStatus

KEY, OTHER = AgentKey.generate(), AgentKey.generate()


def facts(tx, event):
    rows = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = %s ORDER BY id", [event.name])
    return [row[0] for row in rows.fetchall()]


def test_a_heartbeat_keeps_an_agent_for_as_many_seconds_as_it_says(tx):
    agent(tx, KEY)

    beaten = commands.heartbeat(tx, KEY.did, 90, tx.at)

    assert (beaten.ttl_s, beaten.expires_at) == (90, tx.at + timedelta(seconds=90))
    assert beaten.last_seen_at == tx.at


def test_an_agent_says_that_it_is_busy_and_stays_so_until_it_says_otherwise(tx):
    agent(tx, KEY)

    commands.heartbeat(tx, KEY.did, 90, tx.at, status=AgentStatus.BUSY)
    later = commands.heartbeat(tx, KEY.did, 90, tx.at)

    assert later.status is AgentStatus.BUSY
    assert facts(tx, AgentStatusChanged) == [{"did": KEY.did, "status": "busy"}]


@pytest.mark.parametrize("ttl_s", [29, 30 * 86_400 + 1])
def test_a_time_to_live_has_bounds(tx, ttl_s):
    agent(tx, KEY)

    with pytest.raises(TtlUnfit):
        commands.heartbeat(tx, KEY.did, ttl_s, tx.at)


def test_nobody_hears_from_an_agent_that_was_never_registered(tx):
    with pytest.raises(AgentUnknown):
        commands.heartbeat(tx, KEY.did, 90, tx.at)


def test_an_agent_that_falls_silent_retires_and_its_row_stays(services, owner):
    with services.db.transaction() as tx:
        silent, alive = agent(tx, KEY), agent(tx, OTHER)
        commands.heartbeat(tx, KEY.did, 30, tx.at - timedelta(seconds=31))

    assert jobs.expire_agents(services) == 1
    assert jobs.expire_agents(services) == 0

    with services.db.transaction() as tx:
        found = queries.agent_of(tx, KEY.did)
        assert (found.id, found.status) == (silent.id, AgentStatus.OFFLINE)
        assert found.retired_at is not None
        assert [listed.did for listed in queries.agents(tx).items] == [alive.did]
        assert facts(tx, AgentRetired) == [{"did": KEY.did, "agent_id": silent.agent_id, "reason": "expired"}]
        assert queries.card_of(tx, found).version == 1
        with pytest.raises(AgentGone):
            commands.heartbeat(tx, KEY.did, 90, tx.at)


def test_an_agent_withdraws_once(tx):
    agent(tx, KEY)

    first = commands.retire_agent(tx, KEY.did, tx.at)
    second = commands.retire_agent(tx, KEY.did, tx.at + timedelta(days=1))

    assert (first.status, first.retired_at) == (AgentStatus.OFFLINE, tx.at)
    assert second == first
    assert [fact["reason"] for fact in facts(tx, AgentRetired)] == ["withdrawn"]


def test_a_retired_agent_comes_back_with_the_card_it_had(tx):
    raw = signed_card(KEY)
    first = commands.register_agent(tx, read_card(raw), by=KEY.did, at=tx.at)
    commands.retire_agent(tx, KEY.did, tx.at)

    back = commands.register_agent(tx, read_card(raw), by=KEY.did, at=tx.at)

    assert (back.agent.id, back.version, back.created) == (first.agent.id, 1, False)
    assert (back.agent.status, back.agent.retired_at) == (AgentStatus.AVAILABLE, None)
    assert len(facts(tx, AgentRegistered)) == 2


def test_the_name_of_a_retired_agent_is_not_free(tx):
    register(tx, KEY)
    commands.retire_agent(tx, KEY.did, tx.at)

    with pytest.raises(AgentNameTaken):
        register(tx, OTHER)


def test_usefulness_is_written_for_many_agents_at_once(tx):
    first, second = agent(tx, KEY), agent(tx, OTHER)

    met = usefulness_cached(tx, {first.did: Decimal("71.25"), second.did: Decimal(3)})

    assert met == 2
    assert queries.agent_of(tx, KEY.did).usefulness_score_cached == Decimal("71.25")
    assert queries.agent_of(tx, OTHER.did).usefulness_last_updated == tx.at
    with pytest.raises(UsefulnessUnfit):
        usefulness_cached(tx, {first.did: Decimal(101)})


def test_the_ten_domains_stand_in_their_order_with_their_icons(tx):
    found = queries.domains(tx)

    assert [(domain.id, domain.name, domain.icon) for domain in found] == [
        (1, "Code Debugging", "🐛"),
        (2, "Content Creation", "✍️"),
        (3, "Trading Strategies", "📈"),
        (4, "Data Analysis", "📊"),
        (5, "Design", "🎨"),
        (6, "Research", "🔬"),
        (7, "Security Audit", "🔒"),
        (8, "DevOps", "⚙️"),
        (9, "Marketing", "📱"),
        (10, "Customer Support", "💬"),
    ]


def test_an_agent_registers_for_as_many_seconds_as_it_asks_and_keeps_them_until_it_asks_again(tx):
    first = commands.register_agent(tx, read_card(signed_card(KEY)), by=KEY.did, at=tx.at, ttl_s=60).agent
    same = commands.register_agent(tx, read_card(signed_card(KEY)), by=KEY.did, at=tx.at).agent
    changed = signed_card(KEY, description="does something else")
    later = commands.register_agent(tx, read_card(changed), by=KEY.did, at=tx.at, ttl_s=120).agent

    assert (first.ttl_s, first.expires_at) == (60, tx.at + timedelta(seconds=60))
    assert same.ttl_s == 60
    assert (later.ttl_s, later.expires_at, later.version) == (120, tx.at + timedelta(seconds=120), 2)
    with pytest.raises(TtlUnfit), tx.savepoint():
        commands.register_agent(tx, read_card(signed_card(OTHER)), by=OTHER.did, at=tx.at, ttl_s=5)
