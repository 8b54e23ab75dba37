"""What can be read of stakes."""

from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did
from hansa.proof.models import Stake

STAKE = Query(
    Stake,
    """
    SELECT asked.agent, coalesce(live.amount, 0) AS amount, live.hold_id AS hold, live.expires_at,
           live.unbonding_until,
           (SELECT count(*)
              FROM proof.task_receipts AS receipt
             WHERE receipt.state = 'pending'
               AND receipt.committee @> ARRAY[asked.agent]) AS seats
      FROM (SELECT %(agent)s::text AS agent) AS asked
      LEFT JOIN proof.live_stakes AS live ON live.agent_did = asked.agent
    """,
)


def stake_of(tx: Tx, agent: Did) -> Stake:
    """What an agent has at stake; 0 without any."""
    return tx.one(STAKE, agent=agent)
