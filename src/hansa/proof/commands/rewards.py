"""Rewards from the pool: once a day a share of it goes to the agents that are useful, by how useful they are."""

from datetime import UTC, date, datetime, timedelta

from hansa.credits import commands as books
from hansa.credits.models import TxType
from hansa.infra.db import Actor, Db, Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.ids import MovementId
from hansa.kernel.money import Credits
from hansa.proof.errors import EpochUnknown
from hansa.proof.events import RewardPaid
from hansa.proof.models import Reward, RewardPolicy
from hansa.proof.queries import unpaid_rewards

BATCH = 100
"""Rewards paid in one transaction: the accounts of so many agents are locked until it ends."""

REWARD_POLICY = Query(RewardPolicy, "SELECT share_bps, score_min FROM proof.take_reward_policy()")

SET_REWARD_POLICY = Query(int, "UPDATE proof.reward_policy SET share_bps = %(share_bps)s, score_min = %(score_min)s")

OPEN = Query(bool, "SELECT proof.open_reward_epoch(%(epoch)s)")

LOCK = Query(date, "SELECT epoch FROM proof.reward_epochs WHERE epoch = %(epoch)s FOR NO KEY UPDATE")

MARK_PAID = Query(
    int,
    """
    UPDATE proof.rewards
       SET movement_id = %(movement)s, paid_at = clock_timestamp()
     WHERE epoch = %(epoch)s
       AND agent_did = %(agent)s
    """,
)

CLOSE = Query(
    int,
    """
    UPDATE proof.reward_epochs
       SET closed_at = clock_timestamp()
     WHERE epoch = %(epoch)s
       AND closed_at IS NULL
    """,
)


def reward_policy(tx: Tx) -> RewardPolicy:
    """What the next epoch offers, and to whom."""
    return tx.one(REWARD_POLICY)


def set_reward_policy(tx: Tx, policy: RewardPolicy) -> RewardPolicy:
    """Change what later epochs offer, and to whom; epochs that are open stay as they are. Raises RewardPolicyUnfit."""
    tx.one(REWARD_POLICY)
    tx.run(SET_REWARD_POLICY, share_bps=policy.share_bps, score_min=policy.score_min)
    return tx.one(REWARD_POLICY)


def epoch_before(at: datetime) -> date:
    """The UTC day that was over last."""
    return at.astimezone(UTC).date() - timedelta(days=1)


def open_reward_epoch(tx: Tx, epoch: date) -> bool:
    """Fix what the epoch of a UTC day offers and who gets what of it; False when it was fixed before.

    Usefulness and pool are those of now. Nothing is paid yet. Raises EpochNotOver, EpochTooOld.
    Source: AINP usefulness rewards.
    """
    return tx.one(OPEN, epoch=epoch)


def pay_rewards(tx: Tx, epoch: date, *, limit: int = BATCH) -> int:
    """Pay rewards of an epoch that wait, each by one movement from the pool; close it when none is left.

    Two that pay at once wait for each other. Returns how many it paid: less than `limit` were all that waited.
    Raises EpochUnknown, PoolTooSmall (then nothing of this call is paid, and a later one tries again).
    """
    if tx.maybe(LOCK, epoch=epoch) is None:
        raise EpochUnknown
    waiting = unpaid_rewards(tx, epoch, limit=limit)
    for due in waiting:
        pay(tx, due)
    if len(waiting) < limit:
        tx.run(CLOSE, epoch=epoch)
    return len(waiting)


def pay(tx: Tx, due: Reward) -> MovementId:
    movement = books.reward(
        tx,
        due.agent,
        {TxType(f"pou_{work_type}"): Credits(units) for work_type, units in due.by_work_type.items()},
        key=f"reward:{due.epoch}:{due.agent}",
        reason=f"usefulness reward of {due.epoch}",
    )
    tx.run(MARK_PAID, epoch=due.epoch, agent=due.agent, movement=movement)
    publish(tx, RewardPaid(epoch=due.epoch, agent=due.agent, units=due.units, movement=movement))
    return movement


def reward(db: Db, actor: Actor, epoch: date) -> int:
    """Reward the agents for one UTC day, once: open its epoch and pay it, a batch per transaction.

    A run that was interrupted is taken up where it stopped, with the same amounts. Returns how many rewards this run
    paid. Raises EpochNotOver, EpochTooOld, PoolTooSmall.
    """
    with db.transaction(actor) as tx:
        open_reward_epoch(tx, epoch)
    paid = 0
    while True:
        with db.transaction(actor) as tx:
            batch = pay_rewards(tx, epoch)
        paid += batch
        if batch < BATCH:
            return paid
