"""What can be read of the rewards for usefulness."""

from datetime import date
from typing import LiteralString

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.proof.errors import EpochUnknown
from hansa.proof.models import Reward, RewardEpoch

EPOCH_COLUMNS: LiteralString = """
    epoch, share_bps, score_min, pool_units, offered_units, score_sum, agents, reward_units, opened_at, closed_at
"""

REWARD_COLUMNS: LiteralString = """
    epoch, agent_did AS agent, score, units,
    jsonb_strip_nulls(jsonb_build_object(
        'compute', nullif(compute_units, 0), 'memory', nullif(memory_units, 0), 'routing', nullif(routing_units, 0),
        'validation', nullif(validation_units, 0), 'learning', nullif(learning_units, 0)
    )) AS by_work_type,
    movement_id AS movement, paid_at
"""

REWARD_EPOCH = Query(RewardEpoch, f"SELECT {EPOCH_COLUMNS} FROM proof.reward_epochs WHERE epoch = %(epoch)s")

REWARD_EPOCHS = Query(
    RewardEpoch,
    f"""
    SELECT {EPOCH_COLUMNS}
      FROM proof.reward_epochs
     WHERE (%(before)s::date IS NULL OR epoch < %(before)s)
     ORDER BY epoch DESC
     LIMIT %(limit)s
    """,
)

OPEN_REWARD_EPOCHS = Query(date, "SELECT epoch FROM proof.reward_epochs WHERE closed_at IS NULL ORDER BY epoch")

REWARDS_OF_AGENT = Query(
    Reward,
    f"""
    SELECT {REWARD_COLUMNS}
      FROM proof.rewards
     WHERE agent_did = %(agent)s
       AND (%(before)s::date IS NULL OR epoch < %(before)s)
     ORDER BY epoch DESC
     LIMIT %(limit)s
    """,
)

UNPAID_REWARDS = Query(
    Reward,
    f"""
    SELECT {REWARD_COLUMNS}
      FROM proof.rewards
     WHERE epoch = %(epoch)s
       AND movement_id IS NULL
     ORDER BY agent_did
     LIMIT %(limit)s
    """,
)


def reward_epoch(tx: Tx, epoch: date) -> RewardEpoch:
    """The rewards of one UTC day. Raises EpochUnknown."""
    found = tx.maybe(REWARD_EPOCH, epoch=epoch)
    if found is None:
        raise EpochUnknown
    return found


def reward_epochs(tx: Tx, *, before: date | None = None, limit: int = 50) -> Page[RewardEpoch]:
    """The rewards of every day, newest first."""
    rows = tx.all(REWARD_EPOCHS, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.epoch)


def open_reward_epochs(tx: Tx) -> list[date]:
    """The days whose rewards are fixed and not all paid, oldest first."""
    return tx.all(OPEN_REWARD_EPOCHS)


def rewards_of(tx: Tx, agent: Did, *, before: date | None = None, limit: int = 50) -> Page[Reward]:
    """What an agent got from the pool, newest first."""
    rows = tx.all(REWARDS_OF_AGENT, agent=agent, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.epoch)


def unpaid_rewards(tx: Tx, epoch: date, *, limit: int) -> list[Reward]:
    """Rewards of a day that wait to be paid, in the order of the agents."""
    return tx.all(UNPAID_REWARDS, epoch=epoch, limit=limit)
