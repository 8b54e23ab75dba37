"""Rewards: once a day a share of the pool goes to the agents that are useful, by how useful they are."""

from contextlib import nullcontext
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import psycopg
import pytest
from typer.testing import CliRunner

from given import registry
from given.credits import issued
from given.identity import client_as
from given.proof import bygone
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.credits.errors import MovementAlreadyMade, PoolTooSmall
from hansa.credits.models import POOL, TxType
from hansa.infra.db import Actor
from hansa.kernel.money import BasisPoints
from hansa.proof import commands, errors, jobs, queries
from hansa.proof.cli import app
from hansa.proof.models import RewardPolicy
from hansa.proof.routes import router
from hansa.registry import commands as registrations

TESTER = Actor(kind="system", did="tests")


@pytest.fixture
def day(db):
    """The UTC day that was over last."""
    with db.transaction() as tx:
        return commands.epoch_before(tx.at)


def funded(db, units):
    """Credits in the pool."""
    with db.transaction() as tx:
        issued(tx, POOL, units)


def in_pool(tx):
    return {one.account: one.balance for one in books.system_balances(tx)}[POOL]


def worker(db, owner, *scores):
    """An agent with one proof for each `(work type, score)`; returns its DID."""
    with db.transaction() as tx:
        did = registry.agent(tx).did
    for days, (work_type, score) in enumerate(scores, start=1):
        bygone(owner, did, score, ago=timedelta(days=days), work_type=work_type)
    return did


def reward_of(db, agent):
    with db.transaction() as tx:
        (reward,) = queries.rewards_of(tx, agent).items
        return reward


def offering(db, share_bps):
    """Another share of the pool for the days that are not open yet."""
    with db.transaction() as tx:
        commands.set_reward_policy(tx, RewardPolicy(share_bps=BasisPoints(share_bps), score_min=Decimal(10)))


def test_a_tenth_of_the_pool_is_divided_by_usefulness_and_the_rest_of_it_stays(db, owner, day):
    funded(db, 100_003)
    one, two, three = (worker(db, owner, ("compute", score)) for score in (10, 20, 40))
    worker(db, owner, ("compute", 9.99))
    worker(db, owner)

    paid = commands.reward(db, TESTER, day)

    with db.transaction() as tx:
        epoch = queries.reward_epoch(tx, day)
        balances = [books.account_of(tx, did) for did in (one, two, three)]
        left = in_pool(tx)
        assert books.reconcile(tx) == []
    assert paid == 3
    assert [account.balance for account in balances] == [1428, 2857, 5714]
    assert [account.earned for account in balances] == [1428, 2857, 5714]
    assert (epoch.pool_units, epoch.offered_units, epoch.reward_units) == (100_003, 10_000, 9_999)
    assert (epoch.score_sum, epoch.agents, epoch.share_bps) == (70, 3, 1000)
    assert epoch.closed_at is not None
    assert left == 100_003 - 9_999


def test_each_type_of_work_gets_its_part_and_remainders_go_to_the_largest_fractions(db, owner, day):
    funded(db, 1000)
    agent = worker(db, owner, ("learning", 10), ("routing", 20), ("compute", 10), ("routing", 33), ("memory", 0))

    commands.reward(db, TESTER, day)

    # Of 100 units compute has 10/73 = 13.70, routing 53/73 = 72.60, learning 13.70: compute and learning are rounded
    # up, memory scored nothing.
    reward = reward_of(db, agent)
    assert reward.by_work_type == {"compute": 14, "routing": 72, "learning": 14}
    with db.transaction() as tx:
        lines = books.statement(tx, agent).items
    assert {line.movement for line in lines} == {reward.movement}
    assert {line.tx_type: line.amount for line in lines} == {
        TxType.POU_COMPUTE: 14,
        TxType.POU_ROUTING: 72,
        TxType.POU_LEARNING: 14,
    }


def test_equal_fractions_are_rounded_up_in_the_order_of_the_list(db, owner, day):
    funded(db, 1010)
    agent = worker(db, owner, ("learning", 25), ("memory", 25))

    commands.reward(db, TESTER, day)

    assert reward_of(db, agent).by_work_type == {"memory": 51, "learning": 50}


def test_a_second_run_pays_nothing_and_changes_nothing(db, owner, day):
    funded(db, 100_000)
    agent = worker(db, owner, ("compute", 50))
    commands.reward(db, TESTER, day)
    with db.transaction() as tx:
        before = queries.reward_epoch(tx, day), queries.rewards_of(tx, agent), in_pool(tx)
    funded(db, 7)
    bygone(owner, agent, 97, ago=timedelta(minutes=1))

    again = commands.reward(db, TESTER, day)

    with db.transaction() as tx:
        assert again == 0
        assert (queries.reward_epoch(tx, day), queries.rewards_of(tx, agent), in_pool(tx) - 7) == before


def test_an_agent_that_retired_gets_nothing_and_the_others_get_its_part(db, owner, day):
    funded(db, 10_000)
    here, gone = worker(db, owner, ("compute", 50)), worker(db, owner, ("compute", 90))
    with db.transaction() as tx:
        registrations.retire_agent(tx, gone, tx.at)

    commands.reward(db, TESTER, day)

    assert reward_of(db, here).units == 1000
    with db.transaction() as tx:
        assert queries.rewards_of(tx, gone).items == []


def test_an_empty_pool_closes_the_day_with_nothing(db, owner, day):
    agent = worker(db, owner, ("compute", 50))

    paid = commands.reward(db, TESTER, day)

    with db.transaction() as tx:
        epoch = queries.reward_epoch(tx, day)
        assert queries.rewards_of(tx, agent).items == []
    assert (paid, epoch.offered_units, epoch.agents, epoch.closed_at is None) == (0, 0, 0, False)


def test_amounts_beyond_what_a_float_can_hold_are_exact(db, owner, day):
    whole = 9 * 10**18
    funded(db, whole)
    first, second = worker(db, owner, ("compute", 33.33)), worker(db, owner, ("memory", 66.65))

    offering(db, 9999)
    commands.reward(db, TESTER, day)

    offered = whole * 9999 // 10_000
    assert reward_of(db, first).units == offered * 3333 // 9998
    assert reward_of(db, second).units == offered * 6665 // 9998
    with db.transaction() as tx:
        assert in_pool(tx) == whole - offered * 3333 // 9998 - offered * 6665 // 9998
        assert books.reconcile(tx) == []


def test_a_run_that_was_interrupted_goes_on_with_the_same_amounts(db, owner, day):
    funded(db, 100_000)
    agents = [worker(db, owner, ("compute", 10 + number)) for number in range(5)]
    with db.transaction() as tx:
        commands.open_reward_epoch(tx, day)
        promised = {did: queries.rewards_of(tx, did).items[0].units for did in agents}
    with db.transaction() as tx:
        commands.pay_rewards(tx, day, limit=2)
    funded(db, 1_000_000)
    for did in agents:
        bygone(owner, did, 90, ago=timedelta(minutes=1))

    resumed = commands.reward(db, TESTER, day)

    assert resumed == 3
    with db.transaction() as tx:
        assert {did: books.account_of(tx, did).balance for did in agents} == promised
        assert queries.reward_epoch(tx, day).closed_at is not None


def test_what_is_promised_is_not_offered_again(db, owner, day):
    funded(db, 10_000)
    worker(db, owner, ("compute", 50))
    offering(db, 6000)
    with db.transaction() as tx:
        commands.open_reward_epoch(tx, day - timedelta(days=1))

    commands.reward(db, TESTER, day)

    with db.transaction() as tx:
        epoch = queries.reward_epoch(tx, day)
        assert (epoch.pool_units, epoch.offered_units) == (4000, 2400)
        assert queries.open_reward_epochs(tx) == [day - timedelta(days=1)]


def test_a_pool_that_was_emptied_meanwhile_pays_nothing_of_the_batch_and_later_all_of_it(db, owner, day):
    funded(db, 10_000)
    agent = worker(db, owner, ("compute", 50))
    with db.transaction() as tx:
        commands.open_reward_epoch(tx, day)
        ledger.reward(tx, "did:key:other", {TxType.POU_MEMORY: 9500}, key="other", reason="other")

    with pytest.raises(PoolTooSmall) as refused:
        commands.reward(db, TESTER, day)
    unpaid = reward_of(db, agent)
    funded(db, 500)
    commands.reward(db, TESTER, day)

    assert refused.value.facts["missing"] == 500
    assert (unpaid.units, unpaid.movement, unpaid.paid_at) == (1000, None, None)
    assert reward_of(db, agent).movement is not None


def test_a_day_that_is_not_over_or_long_ago_is_refused(tx):
    yesterday = commands.epoch_before(tx.at)

    with pytest.raises(errors.EpochNotOver), tx.savepoint():
        commands.open_reward_epoch(tx, yesterday + timedelta(days=1))
    with pytest.raises(errors.EpochTooOld), tx.savepoint():
        commands.open_reward_epoch(tx, yesterday - timedelta(days=30))
    with pytest.raises(errors.EpochUnknown), tx.savepoint():
        commands.pay_rewards(tx, yesterday)
    oldest = commands.open_reward_epoch(tx, yesterday - timedelta(days=29))

    assert oldest
    assert [epoch.epoch for epoch in queries.reward_epochs(tx).items] == [yesterday - timedelta(days=29)]


@pytest.mark.parametrize(("share_bps", "score_min"), [(10_001, "10"), (-1, "10"), (1000, "0"), (1000, "100.01")])
def test_a_policy_that_makes_no_sense_is_refused(tx, share_bps, score_min):
    wanted = RewardPolicy(share_bps=BasisPoints(share_bps), score_min=Decimal(score_min))

    with pytest.raises(errors.RewardPolicyUnfit), tx.savepoint():
        commands.set_reward_policy(tx, wanted)

    assert commands.reward_policy(tx) == RewardPolicy(share_bps=BasisPoints(1000), score_min=Decimal(10))


def test_a_reward_is_paid_once_under_its_key_and_from_the_pool_alone(db):
    funded(db, 100)

    with db.transaction() as tx:
        ledger.reward(tx, "did:key:a", {TxType.POU_COMPUTE: 60, TxType.POU_MEMORY: 0}, key="k", reason="r")
        with pytest.raises(MovementAlreadyMade), tx.savepoint():
            ledger.reward(tx, "did:key:a", {TxType.POU_COMPUTE: 1}, key="k", reason="r")
        with pytest.raises(PoolTooSmall), tx.savepoint():
            ledger.reward(tx, "did:key:a", {TxType.POU_COMPUTE: 41}, key="l", reason="r")

        assert (books.account_of(tx, "did:key:a").balance, in_pool(tx)) == (60, 40)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("UPDATE proof.rewards SET units = units + 1, compute_units = compute_units + 1", "rewards_stay_as_fixed"),
        ("UPDATE proof.rewards SET movement_id = uuidv7(), paid_at = now()", "reward_is_what_its_movement_paid"),
        ("DELETE FROM proof.rewards", "rewards_stay_as_fixed"),
        ("UPDATE proof.reward_epochs SET offered_units = 1", "rewards_stay_as_fixed"),
        ("UPDATE proof.reward_epochs SET closed_at = now()", "epoch_closes_when_all_is_paid"),
        ("DELETE FROM proof.reward_epochs", "rewards_stay_as_fixed"),
        (
            """
            INSERT INTO proof.rewards
            SELECT epoch, 'did:web:crowd-00001.example', 1, 1, 1, 0, 0, 0, 0 FROM proof.reward_epochs
            """,
            "epoch_is_the_sum_of_its_rewards",
        ),
        (
            "INSERT INTO proof.reward_epochs SELECT epoch - 1, 1000, 10, 10000, 1000, 50, 1, 1000 FROM proof.reward_epochs",
            "epoch_is_the_sum_of_its_rewards",
        ),
    ],
)
def test_what_was_fixed_cannot_be_changed_by_hand(db, owner, day, change, rule):
    funded(db, 10_000)
    worker(db, owner, ("compute", 50))
    registry.crowd(owner, 1)
    with db.transaction() as tx:
        commands.open_reward_epoch(tx, day)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(change)

    assert refused.value.diag.constraint_name == rule


def test_more_rewards_than_a_batch_are_all_paid(db, owner, day):
    funded(db, 10_000_000)
    agents = registry.crowd(owner, 230)
    for number, did in enumerate(agents):
        bygone(owner, did, 10 + number % 50, ago=timedelta(minutes=1))

    paid = commands.reward(db, TESTER, day)

    with db.transaction() as tx:
        epoch = queries.reward_epoch(tx, day)
        assert (paid, epoch.agents, in_pool(tx)) == (230, 230, 10_000_000 - epoch.reward_units)
        assert books.reconcile(tx) == []
    told = owner.execute(
        "SELECT count(*), sum((payload ->> 'units')::bigint) FROM ops.outbox WHERE name = 'proof.reward_paid'"
    ).fetchone()
    assert told == (230, epoch.reward_units)
    assert 0 <= epoch.offered_units - epoch.reward_units < 230


def test_housekeeping_rewards_the_day_before_and_what_was_left_open(db, owner, services, day):
    funded(db, 100_000)
    agent = worker(db, owner, ("compute", 50))
    with db.transaction() as tx:
        commands.open_reward_epoch(tx, day - timedelta(days=3))

    paid, again = jobs.reward_epoch(services), jobs.reward_epoch(services)

    with db.transaction() as tx:
        days = [reward.epoch for reward in queries.rewards_of(tx, agent).items]
        assert queries.open_reward_epochs(tx) == []
    assert (paid, again) == (2, 0)
    assert days == [day, day - timedelta(days=3)]


def test_everybody_reads_what_the_pool_paid(db, owner, services, day):
    funded(db, 100_000)
    agent = worker(db, owner, ("compute", 50), ("learning", 50))
    for back in (2, 1, 0):
        commands.reward(db, TESTER, day - timedelta(days=back))
    client = client_as(services, Actor(kind="anonymous"), router)

    epochs = client.get("/api/rewards", params={"limit": 2}).json()
    rest = client.get("/api/rewards", params={"limit": 2, "after": epochs["after"]}).json()
    rewards = client.get(f"/api/agents/{agent}/rewards").json()["items"]

    assert [one["epoch"] for one in epochs["items"] + rest["items"]] == [
        str(day - timedelta(days=back)) for back in range(3)
    ]
    assert rest["after"] is None
    assert [one["units"] for one in rewards] == [8100, 9000, 10_000]
    assert rewards[0]["by_work_type"] == {"compute": 4050, "learning": 4050}
    assert client.get("/api/agents/did:key:z6MkNobody/rewards").status_code in {404, 422}


@pytest.fixture
def operator(services):
    """Run a command as `hansa reputation ...` does."""
    opener = SimpleNamespace(services=lambda: nullcontext(services))
    return lambda *words: CliRunner().invoke(app, words, obj=opener)


def test_an_operator_rewards_a_day_and_the_second_time_is_told_that_there_is_nothing_to_pay(db, owner, operator, day):
    funded(db, 100_000)
    agent = worker(db, owner, ("compute", 50))

    policy = operator("reward-policy", "--share-bps", "500", "--score-min", "20.5")
    first = operator("reward", "--epoch", str(day))
    second = operator("reward")
    listed = operator("rewards"), operator("rewards", "--agent", agent)
    wrong = operator("reward", "--epoch", str(day + timedelta(days=1)))

    summary = f"{day}  5.000 CREDIT of 5.000 CREDIT offered to 1 agents\n"
    assert policy.output == "a day offers 500 basis points of the pool to agents with 20.50 or more\n"
    assert first.output == f"1 rewards paid for {day}\n{summary}"
    assert second.output == f"nothing to pay for {day}\n{summary}"
    assert listed[0].output == summary
    assert listed[1].output == f"{day}  5.000 CREDIT for 50.00 points\n"
    assert isinstance(wrong.exception, errors.EpochNotOver)
