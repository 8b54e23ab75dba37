"""What can be done with payments: each command is one step that a crash may follow."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.ids import PaymentId
from hansa.payments import queries
from hansa.payments.errors import ChainDiffers
from hansa.payments.events import PaymentSettled
from hansa.payments.models import NETWORKS, ChainInstance, Claim, Environment, Fate, PaidAnswer, Presented, Verdict

NOTE_CHAIN = Query(
    int,
    """
    INSERT INTO payments.chain_instances (environment, network, genesis_hash, instance)
    VALUES (%(environment)s::payments.environment, %(network)s, %(genesis_hash)s, %(instance)s)
    ON CONFLICT (environment) DO NOTHING
    """,
)

TAKE = Query(
    Claim,
    """
    SELECT id, message_hash, requirements_digest, resource, payer, pay_to, asset, amount, memo, fee_payer, network,
           environment, state, txid, transaction, last_valid_block_height, slot, error, attempts, leased_by,
           lease_until, created_at, ended_at
      FROM payments.claim(%(message_hash)s, %(requirements_digest)s, %(resource)s, %(payer)s, %(pay_to)s, %(asset)s,
                          %(amount)s, %(memo)s, %(fee_payer)s, %(network)s,
                          %(environment)s::payments.environment, %(worker)s, %(lease)s)
    """,
)

SIGN = Query(
    int,
    """
    UPDATE payments.claims
       SET state = 'signed', txid = %(txid)s, transaction = %(transaction)s,
           last_valid_block_height = %(last_valid_block_height)s, lease_until = clock_timestamp() + %(lease)s
     WHERE id = %(claim)s
       AND state = 'claimed'
       AND leased_by = %(worker)s
    """,
)

MARK_SENT = Query(
    int, "UPDATE payments.claims SET state = 'broadcast', error = NULL WHERE id = %(claim)s AND state = 'signed'"
)

# Only who holds the claim may give it up: another attempt may be about to sign it.
REFUSE = Query(
    int,
    """
    UPDATE payments.claims
       SET state = 'failed', error = %(error)s, ended_at = clock_timestamp()
     WHERE id = %(claim)s
       AND state = 'claimed'
       AND leased_by = %(worker)s
    """,
)

RELEASE = Query(
    int,
    """
    UPDATE payments.claims
       SET lease_until = clock_timestamp(), error = %(error)s
     WHERE id = %(claim)s
       AND state = 'claimed'
       AND leased_by = %(worker)s
    """,
)

CONCLUDE = Query(
    Claim,
    """
    UPDATE payments.claims
       SET state = %(state)s::payments.claim_state, slot = %(slot)s, error = %(error)s, ended_at = clock_timestamp()
     WHERE id = %(claim)s
       AND state IN ('signed', 'broadcast')
    RETURNING id, message_hash, requirements_digest, resource, payer, pay_to, asset, amount, memo, fee_payer, network,
              environment, state, txid, transaction, last_valid_block_height, slot, error, attempts, leased_by,
              lease_until, created_at, ended_at
    """,
)

LEFT_BEHIND = Query(
    Claim,
    """
    UPDATE payments.claims AS taken
       SET lease_until = clock_timestamp() + %(lease)s, attempts = taken.attempts + 1
      FROM (SELECT candidate.id
              FROM payments.claims AS candidate
             WHERE candidate.state IN ('signed', 'broadcast')
               AND candidate.lease_until <= clock_timestamp()
             ORDER BY candidate.lease_until
             LIMIT %(limit)s
               FOR NO KEY UPDATE SKIP LOCKED) AS due
     WHERE taken.id = due.id
    RETURNING taken.id, taken.message_hash, taken.requirements_digest, taken.resource, taken.payer, taken.pay_to,
              taken.asset, taken.amount, taken.memo, taken.fee_payer, taken.network, taken.environment, taken.state,
              taken.txid, taken.transaction, taken.last_valid_block_height, taken.slot, taken.error, taken.attempts,
              taken.leased_by, taken.lease_until, taken.created_at, taken.ended_at
    """,
)

EXPIRE_UNSIGNED = Query(
    int,
    """
    UPDATE payments.claims
       SET state = 'expired', error = 'nobody signed it in time', ended_at = clock_timestamp()
     WHERE state = 'claimed'
       AND lease_until <= clock_timestamp() - %(age)s::interval
    """,
)

OPEN_ANSWER = Query(
    PaidAnswer,
    """
    SELECT message_hash, resource, leased_by, lease_until, status, headers, body, answered_at
      FROM payments.open_answer(%(message_hash)s, %(resource)s, %(worker)s, %(lease)s)
    """,
)

KEEP_ANSWER = Query(
    int,
    """
    UPDATE payments.paid_answers
       SET status = %(status)s, headers = %(headers)s, body = %(body)s, answered_at = clock_timestamp()
     WHERE message_hash = %(message_hash)s
       AND status IS NULL
       AND leased_by = %(worker)s
    """,
)

ABANDON_ANSWER = Query(
    int,
    """
    UPDATE payments.paid_answers
       SET lease_until = clock_timestamp()
     WHERE message_hash = %(message_hash)s
       AND status IS NULL
       AND leased_by = %(worker)s
    """,
)

ENDS: Mapping[Fate, str] = {Fate.CONFIRMED: "confirmed", Fate.FAILED: "failed", Fate.DEAD: "expired"}


def note_chain(tx: Tx, environment: Environment, *, genesis_hash: str, instance: str | None) -> ChainInstance:
    """Remember the chain of an environment, and refuse another one in its place. Raises ChainDiffers."""
    found = ChainInstance(
        environment=environment, network=NETWORKS[environment].caip2, genesis_hash=genesis_hash, instance=instance
    )
    if genesis_hash != NETWORKS[environment].genesis_hash or (instance is not None) != (environment == "local"):
        raise ChainDiffers(f"the chain that answers is not {environment}", genesis_hash=genesis_hash, instance=instance)
    tx.run(NOTE_CHAIN, environment=environment, network=found.network, genesis_hash=genesis_hash, instance=instance)
    known = queries.chain_of(tx, environment)
    if known != found:
        raise ChainDiffers(found=instance, known=known.instance if known else None)
    return found


def claim(tx: Tx, presented: Presented, environment: Environment, *, worker: UUID, lease: timedelta) -> Claim:
    """Take a payment in hand before any work, or find out who has it: the claim is ours when `leased_by` is `worker`.

    Raises PaymentBoundElsewhere, ChainUnchecked.
    """
    return tx.one(
        TAKE,
        message_hash=presented.message_hash,
        requirements_digest=presented.requirements_digest,
        resource=presented.resource,
        payer=presented.payer,
        pay_to=presented.pay_to,
        asset=presented.asset,
        amount=presented.amount,
        memo=presented.memo,
        fee_payer=presented.fee_payer,
        network=presented.network,
        environment=environment,
        worker=worker,
        lease=lease,
    )


def sign(
    tx: Tx,
    claim: PaymentId,
    *,
    worker: UUID,
    txid: str,
    transaction: bytes,
    last_valid_block_height: int,
    lease: timedelta,
) -> bool:
    """Store what is about to be sent; False when the claim went to somebody else meanwhile, so nothing may be sent."""
    touched = tx.run(
        SIGN,
        claim=claim,
        worker=worker,
        txid=txid,
        transaction=transaction,
        last_valid_block_height=last_valid_block_height,
        lease=lease,
    )
    return touched == 1


def mark_sent(tx: Tx, claim: PaymentId) -> None:
    """Note that the transaction was sent, whatever answer came."""
    tx.run(MARK_SENT, claim=claim)


def refuse(tx: Tx, claim: PaymentId, *, worker: UUID, error: str) -> None:
    """End a claim that was never signed, so that the same payment is never tried again."""
    tx.run(REFUSE, claim=claim, worker=worker, error=error)


def release(tx: Tx, claim: PaymentId, *, worker: UUID, error: str) -> None:
    """Give back a claim that could not be worked on just now; the next attempt may take it at once."""
    tx.run(RELEASE, claim=claim, worker=worker, error=error)


def conclude(tx: Tx, claim: PaymentId, verdict: Verdict) -> Claim | None:
    """End a signed claim as the chain says, and publish a confirmed one; None: it had ended before."""
    ended = tx.maybe(
        CONCLUDE, claim=claim, state=ENDS[verdict.fate], slot=verdict.slot, error=verdict.error or dead(verdict)
    )
    if ended is not None and verdict.fate is Fate.CONFIRMED:
        publish(tx, settled(ended))
    return ended


def dead(verdict: Verdict) -> str | None:
    return "it was not seen before its last valid block" if verdict.fate is Fate.DEAD else None


def settled(claim: Claim) -> PaymentSettled:
    assert claim.txid is not None, "a confirmed claim was signed"
    return PaymentSettled(
        payment=claim.id,
        txid=claim.txid,
        payer=claim.payer,
        pay_to=claim.pay_to,
        amount=claim.amount,
        asset=NETWORKS[claim.environment].mints[claim.asset],
        mint=claim.asset,
        resource=claim.resource,
        environment=claim.environment,
    )


def left_behind(tx: Tx, *, lease: timedelta, limit: int = 50) -> list[Claim]:
    """Take over signed claims that nobody follows any more."""
    return tx.all(LEFT_BEHIND, lease=lease, limit=limit)


def expire_unsigned(tx: Tx, *, age: timedelta) -> int:
    """End claims that were given up before we signed: nothing of theirs can land. Returns how many."""
    return tx.run(EXPIRE_UNSIGNED, age=age)


def open_answer(tx: Tx, message_hash: str, *, resource: str, worker: UUID, lease: timedelta) -> PaidAnswer:
    """Take the making of a paid answer in hand, or find the answer, or find who makes it.

    Raises PaymentBoundElsewhere.
    """
    return tx.one(OPEN_ANSWER, message_hash=message_hash, resource=resource, worker=worker, lease=lease)


def keep_answer(
    tx: Tx, message_hash: str, *, worker: UUID, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """Keep the answer before it is paid out, so that the work is never done a second time."""
    tx.run(KEEP_ANSWER, message_hash=message_hash, worker=worker, status=status, headers=dict(headers), body=body)


def abandon_answer(tx: Tx, message_hash: str, *, worker: UUID) -> None:
    """Let somebody else make the answer: this attempt came to nothing."""
    tx.run(ABANDON_ANSWER, message_hash=message_hash, worker=worker)
