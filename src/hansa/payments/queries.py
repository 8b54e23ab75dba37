"""What can be read of payments."""

from hansa.infra.db import Query, Tx
from hansa.payments.models import ChainInstance, Claim, ClaimState, Discrepancy, Environment

CHAIN = Query(
    ChainInstance,
    """
    SELECT environment, network, genesis_hash, instance
      FROM payments.chain_instances
     WHERE environment = %(environment)s::payments.environment
    """,
)

CLAIM = Query(
    Claim,
    """
    SELECT id, message_hash, requirements_digest, resource, payer, pay_to, asset, amount, memo, fee_payer, network,
           environment, state, txid, transaction, last_valid_block_height, slot, error, attempts, leased_by,
           lease_until, created_at, ended_at
      FROM payments.claims
     WHERE message_hash = %(message_hash)s
    """,
)

HISTORY = Query(
    ClaimState,
    """
    SELECT noted.state
      FROM payments.claim_events AS noted
      JOIN payments.claims AS claim ON claim.id = noted.claim_id
     WHERE claim.message_hash = %(message_hash)s
     ORDER BY noted.id
    """,
)

DISCREPANCIES = Query(
    Discrepancy,
    """
    SELECT subject, finding
      FROM payments.discrepancies
     ORDER BY subject
     LIMIT %(limit)s
    """,
)


def chain_of(tx: Tx, environment: Environment) -> ChainInstance | None:
    """The chain that this database has been used with; None: none yet."""
    return tx.maybe(CHAIN, environment=environment)


def claim_of(tx: Tx, message_hash: str) -> Claim | None:
    """The claim of a payment; None: it was never presented here."""
    return tx.maybe(CLAIM, message_hash=message_hash)


def history_of(tx: Tx, message_hash: str) -> list[ClaimState]:
    """The states that a claim has been in, in order."""
    return [ClaimState(state) for state in tx.all(HISTORY, message_hash=message_hash)]


def reconcile(tx: Tx, *, limit: int = 100) -> list[Discrepancy]:
    """Every way in which the records contradict each other; empty when they are right."""
    return tx.all(DISCREPANCIES, limit=limit)
