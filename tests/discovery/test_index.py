"""The index follows the contexts below, whatever the order in which their news arrives."""

import itertools
import random
from contextlib import nullcontext
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from given import deals, market, proof, registry
from given.discovery import deliver, described, event_of, found, indexed, names, skill
from hansa.discovery import commands, jobs, queries
from hansa.discovery.cli import app
from hansa.infra import outbox
from hansa.infra.db import Query
from hansa.infra.keys import AgentKey
from hansa.negotiation import commands as negotiations
from hansa.proof.queries import reputation_of, trust_of
from hansa.registry import commands as registrations
from hansa.registry.models import AgentStatus
from hansa.registry.queries import agent_of

EVENTS = Query(outbox.OutboxRow, "SELECT id, name, payload, actor, trace, attempts FROM ops.outbox ORDER BY id")


def the_hit(tx, did):
    """The agent as search shows it; None: it is not found."""
    return next((hit for hit in found(tx, limit=100).hits if hit.did == did), None)


def test_an_agent_is_found_once_its_registration_is_delivered(tx):
    did = described(tx, "Ada", skill("Contract audit", "solidity"), domains=["Security Audit"])

    before, _ = the_hit(tx, did), deliver(tx)

    hit = the_hit(tx, did)
    assert before is None
    assert (hit.name, hit.slug, hit.skills, hit.verified) == ("Ada", "ada", ["Contract audit"], True)
    assert (hit.reputation, hit.trust, hit.settlements) == (0, 0.5, 0)
    assert queries.differences(tx) == []


def test_an_agent_that_registers_again_is_found_by_its_new_card_only(tx):
    key = AgentKey.generate()
    indexed(tx, "Ada", skill("Contract audit"), key=key)

    indexed(tx, "Ada", skill("Poetry"), key=key)

    assert names(tx, text="audit") == []
    assert names(tx, text="poetry") == ["Ada"]


def test_a_retired_agent_is_not_found_and_one_that_comes_back_is(tx):
    key = AgentKey.generate()
    did = indexed(tx, "Ada", key=key)

    registrations.retire_agent(tx, did, tx.at)
    deliver(tx)
    after_retirement = the_hit(tx, did)
    indexed(tx, "Ada", key=key)

    assert after_retirement is None
    assert the_hit(tx, did).name == "Ada"


def test_hits_say_whether_an_agent_takes_work_now(tx):
    did = indexed(tx, "Ada")

    registrations.heartbeat(tx, did, 600, tx.at, status=AgentStatus.BUSY)
    deliver(tx)

    assert the_hit(tx, did).status is AgentStatus.BUSY


def test_counted_work_moves_reputation_trust_and_settlements_of_a_hit(tx, keys):
    did = indexed(tx, "Ada")

    for _ in range(3):
        proof.recorded(tx, did, keys)
    deliver(tx)

    hit = the_hit(tx, did)
    assert hit.reputation == float(reputation_of(tx, did).score) == 0.03
    assert hit.trust == round(trust_of(tx, did, tx.at).score, 4) > 0.5
    assert hit.settlements == 3


def test_settling_a_deal_brings_the_agent_and_the_deal_to_the_home_page(tx, keys):
    buyer, seller = deals.pair(tx)
    deal = deals.accepted(tx, buyer, seller, price=90_000)

    negotiations.settle(tx, keys, deal.id, by=buyer)
    deliver(tx)

    [shown] = queries.recent_deals(tx)
    assert (shown.agent, shown.name, shown.amount) == (seller, "Seller", 90_000)
    assert the_hit(tx, seller).settlements == 1
    assert the_hit(tx, buyer).settlements == 0
    assert queries.differences(tx) == []


def test_a_deal_that_is_told_twice_is_one_deal(tx, keys):
    buyer, seller = deals.pair(tx)
    deal = deals.accepted(tx, buyer, seller)
    negotiations.settle(tx, keys, deal.id, by=buyer)

    deliver_all(tx, [row for row in tx.all(EVENTS) for _ in range(2)])

    assert len(queries.recent_deals(tx)) == 1


def test_news_of_an_agents_work_may_come_before_its_registration(tx, keys):
    did = described(tx, "Ada")
    proof.settled(tx, did, keys)
    registered_first = tx.all(EVENTS)

    deliver_all(tx, registered_first[::-1])

    assert the_hit(tx, did).reputation == 0.01
    assert queries.differences(tx) == []


def test_only_the_newest_two_hundred_deals_are_kept(tx):
    did = indexed(tx, "Ada")
    for age in range(205):
        settled_at = tx.at - timedelta(minutes=age)
        commands.note_deal(tx, uuid4(), agent=did, amount=age, settled_at=settled_at)

    gone = commands.cap_recent_deals(tx), commands.cap_recent_deals(tx)

    assert gone == (5, 0)
    assert [deal.amount for deal in queries.recent_deals(tx, limit=500)] == list(range(200))


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["register", "rename", "retire", "busy", "work", "fail", "useful", "deal", "deliver"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=ACTIONS, seed=st.integers(0, 1000))
def test_after_any_events_in_any_order_the_index_is_what_a_rebuild_gives(tx, keys, actions, seed):
    with tx.connection.transaction(force_rollback=True):
        story = Story(tx, keys)
        for who, action in actions:
            story.play(action, who)
        told = tx.all(EVENTS)

        deliver_all(tx, random.Random(seed).sample(told * 2, len(told) * 2))

        assert queries.differences(tx) == []
        by_events = found(tx, limit=100).hits
        commands.rebuild(tx)
        assert queries.differences(tx) == []
        assert found(tx, limit=100).hits == by_events


class Story:
    """Three agents to whom things happen."""

    def __init__(self, tx, keys):
        self.tx, self.keys = tx, keys
        self.agents = [AgentKey.generate() for _ in range(3)]
        self.payer = deals.rich_agent(tx, "Payer", units=10_000_000)
        for number in range(3):
            self.register(number, f"Agent {number}")

    def register(self, who, name):
        described(self.tx, name, skill(f"Trade {who}", "trading"), key=self.agents[who], domains=["Research"])

    def play(self, action, who):
        did = self.agents[who].did
        match action:
            case "register":
                self.register(who, f"Agent {who}")
            case "rename":
                self.register(who, f"Agent {who} of {random.Random(who).random()}")
            case "retire":
                registrations.retire_agent(self.tx, did, self.tx.at)
            case "busy" if agent_of(self.tx, did).retired_at is None:
                registrations.heartbeat(self.tx, did, 600, self.tx.at, status=AgentStatus.BUSY)
            case "work":
                proof.settled(self.tx, did, self.keys)
            case "fail":
                proof.settled(self.tx, did, self.keys, outcome=Decimal(0))
            case "deal" if agent_of(self.tx, did).retired_at is None:
                deal = deals.accepted(self.tx, self.payer, did, price=1000)
                negotiations.settle(self.tx, self.keys, deal.id, by=self.payer)
            case "deliver":
                deliver(self.tx)
            case _:
                pass


def deliver_all(tx, rows):
    """Run the reactions to these events in just this order, whether they ran before or not."""
    for row in rows:
        for reaction in outbox.REACTIONS.get(row.name, []):
            reaction.run(tx, event_of(row), row.id)
    deliver(tx)


def test_usefulness_that_was_computed_anew_reaches_the_index_with_the_next_news_of_the_agent(tx, keys):
    did = indexed(tx, "Ada")
    registry.usefulness_cached(tx, {did: Decimal("62.50")})

    commands.refresh_standing(tx, did)

    assert the_hit(tx, did).usefulness == 62.5


def test_reactions_run_by_the_dispatcher_keep_the_index(db, keys):
    with db.transaction() as tx:
        did = described(tx, "Ada", skill("Weather forecast"))
        proof.recorded(tx, did, keys)

    market.deliver_events(db)

    with db.transaction() as tx:
        assert names(tx, text="forecasts") == ["Ada"]
        assert the_hit(tx, did).reputation == 0.01
        assert queries.differences(tx) == []


def test_what_was_changed_behind_the_back_of_the_index_is_named_and_a_rebuild_mends_it(db, keys, owner, services):
    with db.transaction() as tx:
        ada, bob = described(tx, "Ada"), described(tx, "Bob")
        buyer, seller = deals.pair(tx)
        deal = deals.accepted(tx, buyer, seller)
        negotiations.settle(tx, keys, deal.id, by=buyer)
    market.deliver_events(db)

    owner.execute("UPDATE discovery.agents SET name = 'Eve', trust = 0.99 WHERE did = %s", [ada])
    owner.execute("DELETE FROM discovery.agents WHERE did = %s", [bob])
    owner.execute("UPDATE discovery.recent_deals SET amount = amount + 1")

    with db.transaction() as tx:
        wrong = {(one.kind, one.subject): one.finding for one in queries.differences(tx)}
    assert set(wrong) == {("profile", ada), ("standing", ada), ("profile", bob), ("deal", str(deal.id))}
    assert wrong["profile", ada] == 'name is "Eve", due is "Ada"'
    assert wrong["profile", bob] == "is not in the index"
    jobs.rebuild(services)
    with db.transaction() as tx:
        assert queries.differences(tx) == []
        assert queries.recent_deals(tx)[0].amount == deal.price


def test_an_operator_compares_and_rebuilds_on_the_command_line(services, db, owner):
    with db.transaction() as tx:
        described(tx, "Ada")
    console = SimpleNamespace(services=lambda: nullcontext(services))

    def run(*words):
        return CliRunner().invoke(app, list(words), obj=console)

    before, rebuilt, after = run("differences"), run("rebuild"), run("differences")

    assert (before.exit_code, rebuilt.output, after.exit_code) == (1, "1 agents in the index\n", 0)
    assert "is not in the index" in before.output
    assert run("weights", "--relevance", "0.5", "--trust", "0.4").output.startswith("relevance 0.5000, trust 0.4000")


def test_two_reactions_about_one_agent_wait_for_each_other(db):
    with db.transaction() as tx:
        did = described(tx, "Ada")
    with db.transaction() as first:
        commands.refresh_profile(first, did)

        with db.transaction() as second:
            second.connection.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                commands.refresh_standing(second, did)


def test_a_card_with_more_words_than_full_text_holds_is_indexed_all_the_same(tx):
    words = (f"a{number:x}-b{number:x}" for number in itertools.count(10**6))
    skills = [skill(f"Skill {n}", "tag", description=" ".join(itertools.islice(words, 1200))) for n in range(48)]

    did = indexed(tx, "Verbose", *skills)

    assert names(tx, skills=("SKILL 7",)) == ["Verbose"]
    assert the_hit(tx, did).skills[0] == "Skill 0"


def test_a_price_beyond_the_whole_numbers_of_json_is_listed_as_the_largest_of_them(tx):
    indexed(tx, "Dear", pricing={"asset": "SOL", "taskMin": "99999999"})

    [hit] = found(tx).hits

    assert (hit.price_asset, hit.price_min) == ("SOL", 2**53 - 1)


def test_words_of_a_skills_description_find_the_agent(tx):
    indexed(tx, "Ada", skill("Audit", description="Looks for reentrancy in contracts."))

    assert names(tx, text="reentrancy") == ["Ada"]
