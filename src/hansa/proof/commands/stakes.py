"""Stakes: credits that an agent locks to sit in committees, and loses in part when it fails them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hansa.credits import commands as ledger
from hansa.credits.errors import AmountNotPositive
from hansa.credits.models import POOL, Share
from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import HoldId
from hansa.kernel.money import WHOLE, Credits
from hansa.proof.errors import StakeUnknown
from hansa.proof.models import ReceiptId, Stake
from hansa.proof.queries import stake_of

PURPOSE = "stake"
LIFETIME = timedelta(days=365)
RENEWAL = timedelta(days=30)
"""A hold that has less time than this gets a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldStake:
    """A stake whose row is locked."""

    agent: Did
    amount: Credits
    """Units of 1/1000 credit; 0: nothing is staked."""
    hold: HoldId | None
    """The hold that keeps it; None: there is none."""
    generation: int
    """Holds there have been."""


BEGIN_STAKE = Query(
    int, "INSERT INTO proof.agent_stakes (agent_did) VALUES (%(agent)s) ON CONFLICT (agent_did) DO NOTHING"
)

# The row first and its hold in a second look: a view joined under the lock could show the hold of before.
TAKE_STAKE = Query(int, "SELECT generation FROM proof.agent_stakes WHERE agent_did = %(agent)s FOR NO KEY UPDATE")

HELD_STAKE = Query(
    HeldStake,
    """
    SELECT stake.agent_did AS agent, coalesce(live.amount, 0) AS amount, live.hold_id AS hold, stake.generation
      FROM proof.agent_stakes AS stake
      LEFT JOIN proof.live_stakes AS live ON live.agent_did = stake.agent_did
     WHERE stake.agent_did = %(agent)s
    """,
)

KEEP_HOLD = Query(
    int,
    """
    UPDATE proof.agent_stakes
       SET hold_id = coalesce(%(hold)s::uuid, hold_id),
           generation = %(generation)s,
           unbonding_until = CASE WHEN %(unbonding)s THEN unbonding_until END,
           updated_at = clock_timestamp()
     WHERE agent_did = %(agent)s
    """,
)

UNBOND = Query(
    int,
    """
    UPDATE proof.agent_stakes AS stake
       SET unbonding_until = coalesce(stake.unbonding_until,
                                      clock_timestamp() + make_interval(secs => policy.unbonding_s)),
           updated_at = clock_timestamp()
      FROM proof.attestation_rules AS policy
     WHERE stake.agent_did = %(agent)s
       AND EXISTS (SELECT FROM proof.live_stakes AS live WHERE live.agent_did = stake.agent_did)
    """,
)

UNBONDED = Query(
    Did,
    """
    SELECT stake.agent_did
      FROM proof.agent_stakes AS stake
     WHERE stake.unbonding_until <= clock_timestamp()
       AND NOT EXISTS (SELECT
                         FROM proof.task_receipts AS receipt
                        WHERE receipt.state = 'pending'
                          AND receipt.committee @> ARRAY[stake.agent_did])
     ORDER BY stake.unbonding_until
     LIMIT %(limit)s
       FOR NO KEY UPDATE OF stake SKIP LOCKED
    """,
)

TO_RENEW = Query(
    Did,
    """
    SELECT stake.agent_did
      FROM proof.agent_stakes AS stake
      JOIN credits.holds AS hold ON hold.id = stake.hold_id AND hold.state = 'held'
     WHERE hold.expires_at < %(before)s
     ORDER BY hold.expires_at
     LIMIT %(limit)s
       FOR NO KEY UPDATE OF stake SKIP LOCKED
    """,
)


def lock_stake(tx: Tx, amount: Credits, *, by: Did) -> Stake:
    """Put more of an agent's credits at stake; a stake that was asked back stays after all.

    Raises AmountNotPositive, AgentNotRegistered, InsufficientFunds (with the amount missing).
    """
    if amount <= 0:
        raise AmountNotPositive
    tx.run(BEGIN_STAKE, agent=by)
    stake = take_stake(tx, by)
    restake(tx, stake, Credits(stake.amount + amount), at=tx.at, unbonding=False)
    return stake_of(tx, by)


def unlock_stake(tx: Tx, *, by: Did) -> Stake:
    """Ask for a stake back: the agent sits in no new committee, and gets it after the unbonding time without seats.

    The second time changes nothing. Raises StakeUnknown.
    """
    if not tx.run(UNBOND, agent=by):
        raise StakeUnknown
    return stake_of(tx, by)


def tend_stakes(tx: Tx, *, at: datetime, limit: int = 100) -> int:
    """Give stakes back that were asked for and renew holds that would lapse; returns how many were touched."""
    unbonded = tx.all(UNBONDED, limit=limit)
    for agent in unbonded:
        restake(tx, take_stake(tx, agent), Credits(0), at=at, unbonding=False)
    ageing = tx.all(TO_RENEW, before=at + RENEWAL, limit=limit)
    for agent in ageing:
        stake = take_stake(tx, agent)
        restake(tx, stake, stake.amount, at=at, unbonding=True)
    return len(unbonded) + len(ageing)


def slash(tx: Tx, stake: HeldStake, bps: int, *, receipt: ReceiptId, at: datetime) -> Credits:
    """Take a part of a stake for the pool, in basis points, never more than it holds; returns the units taken.

    A hold is paid out whole or not at all, so the stake is let go, the part is held and captured alone, and the rest
    is staked again: the agent's own money never counts as its earnings. Once for each receipt and member.
    """
    units = Credits(stake.amount * bps // WHOLE)
    if units == 0:
        return units
    let_go(tx, stake)
    purpose = f"{receipt}:{stake.agent}"
    taken = ledger.reserve(
        tx, stake.agent, units, purpose_kind="slash", purpose_id=purpose, expires_at=at + timedelta(days=1)
    )
    ledger.capture(tx, taken.id, [Share(account=POOL, amount=units)])
    stake_anew(tx, stake, Credits(stake.amount - units), at=at, unbonding=True)
    return units


def take_stake(tx: Tx, agent: Did) -> HeldStake:
    """Lock the stake of an agent; who comes second sees what the first one left. Raises StakeUnknown."""
    if tx.maybe(TAKE_STAKE, agent=agent) is None:
        raise StakeUnknown
    return tx.one(HELD_STAKE, agent=agent)


def restake(tx: Tx, stake: HeldStake, amount: Credits, *, at: datetime, unbonding: bool) -> None:
    let_go(tx, stake)
    stake_anew(tx, stake, amount, at=at, unbonding=unbonding)


def let_go(tx: Tx, stake: HeldStake) -> None:
    """Release the hold. Its account stays locked until the end of the transaction: nobody spends the money between."""
    if stake.hold is not None:
        ledger.release(tx, stake.hold)


def stake_anew(tx: Tx, stake: HeldStake, amount: Credits, *, at: datetime, unbonding: bool) -> None:
    """Hold an amount as the stake; with `unbonding`, one that was asked back goes on being so."""
    generation, hold = stake.generation, None
    if amount > 0:
        generation += 1
        hold = ledger.reserve(
            tx,
            stake.agent,
            amount,
            purpose_kind=PURPOSE,
            purpose_id=f"{stake.agent}:{generation}",
            expires_at=at + LIFETIME,
        ).id
    tx.run(KEEP_HOLD, agent=stake.agent, hold=hold, generation=generation, unbonding=unbonding)
