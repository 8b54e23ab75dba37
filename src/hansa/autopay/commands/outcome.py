"""What came of a signed payment: the buyer tells, the chain decides."""

from __future__ import annotations

import hashlib

import rfc8785

from hansa.autopay.commands.purchase import FOLLOW_AFTER, NOTE_REQUEST
from hansa.autopay.events import AutopayConcluded
from hansa.autopay.models import ErrorType, Report, Transaction, TransactionStatus
from hansa.infra.db import JsonObject, Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.ids import AutopayTransactionId
from hansa.payments.models import Fate, Verdict

NOTE_REPORT = Query(
    int,
    """
    UPDATE autopay.transactions
       SET facilitator_response = coalesce(%(settlement)s, facilitator_response),
           retry_count = greatest(retry_count, %(retry_count)s),
           backoff_delay = %(backoff_delay)s,
           error_type = CASE WHEN ended_at IS NULL THEN %(error_type)s::autopay.error_type ELSE error_type END,
           status = CASE WHEN status = 'PENDING' AND %(retry_count)s > 0 THEN 'RETRYING' ELSE status END
     WHERE id = %(transaction)s
    """,
)

TAKE = Query(
    Transaction,
    """
    SELECT id, agent_did, hash, amount, currency, status, x402_request_id, facilitator_response, retry_count, backoff_delay,
           error_type, network, environment, url, method, wallet, pay_to, seller_did, asset, requirements_digest,
           message_hash, payload_digest, memo, token_program, last_valid_block_height, verification_hash, created_at,
           expires_at, signed_at, ended_at
      FROM autopay.transactions
     WHERE id = %(transaction)s
       FOR NO KEY UPDATE
    """,
)

CONCLUDE = Query(
    Transaction,
    """
    SELECT id, agent_did, hash, amount, currency, status, x402_request_id, facilitator_response, retry_count, backoff_delay,
           error_type, network, environment, url, method, wallet, pay_to, seller_did, asset, requirements_digest,
           message_hash, payload_digest, memo, token_program, last_valid_block_height, verification_hash, created_at,
           expires_at, signed_at, ended_at
      FROM autopay.conclude(%(transaction)s, %(status)s::autopay.transaction_status, %(hash)s,
                            %(error_type)s::autopay.error_type, %(verification_hash)s)
    """,
)

DUE = Query(
    Transaction,
    """
    UPDATE autopay.transactions AS taken
       SET follow_at = clock_timestamp() + greatest(%(after)s::interval, (clock_timestamp() - taken.signed_at) / 2)
      FROM (SELECT candidate.id
              FROM autopay.transactions AS candidate
             WHERE candidate.status IN ('PENDING', 'RETRYING', 'SUCCESS')
               AND candidate.message_hash IS NOT NULL
               AND candidate.follow_at <= clock_timestamp()
             ORDER BY candidate.follow_at
             LIMIT %(limit)s
               FOR NO KEY UPDATE SKIP LOCKED) AS due
     WHERE taken.id = due.id
    RETURNING taken.id, taken.agent_did, taken.hash, taken.amount, taken.currency, taken.status,
              taken.x402_request_id, taken.facilitator_response, taken.retry_count, taken.backoff_delay,
              taken.error_type, taken.network, taken.environment, taken.url, taken.method, taken.wallet,
              taken.pay_to, taken.seller_did, taken.asset, taken.requirements_digest, taken.message_hash,
              taken.payload_digest, taken.memo, taken.token_program, taken.last_valid_block_height,
              taken.verification_hash, taken.created_at, taken.expires_at, taken.signed_at, taken.ended_at
    """,
)

LAPSED = Query(
    AutopayTransactionId,
    """
    SELECT id
      FROM autopay.transactions
     WHERE status = 'PENDING'
       AND message_hash IS NULL
       AND expires_at <= clock_timestamp()
     ORDER BY expires_at
     LIMIT %(limit)s
       FOR NO KEY UPDATE SKIP LOCKED
    """,
)


def report(tx: Tx, transaction: Transaction, told: Report, verdict: Verdict) -> Transaction:
    """Note what a buyer saw, and conclude the transaction when the chain has spoken. Raises AnswerTooLong."""
    tx.run(
        NOTE_REQUEST,
        agent=transaction.agent_did,
        endpoint=transaction.url,
        method=transaction.method,
        response_status=told.response_status,
        x402_instructions=None,
        retry_attempts=told.retry_count,
        success_payload=told.answer,
        refusal=None,
        transaction=transaction.id,
    )
    tx.run(
        NOTE_REPORT,
        transaction=transaction.id,
        settlement=told.settlement,
        retry_count=told.retry_count,
        backoff_delay=told.backoff_delay,
        error_type=told.error_type,
    )
    return conclude(tx, transaction.id, verdict)


def conclude(tx: Tx, transaction: AutopayTransactionId, verdict: Verdict) -> Transaction:
    """End a transaction as the chain says; the budget moves with it, once. UNKNOWN changes nothing."""
    current = tx.one(TAKE, transaction=transaction)
    status = status_of(verdict, current)
    if status is None or status is current.status:
        return current
    verified = status is TransactionStatus.VERIFIED
    ended = tx.one(
        CONCLUDE,
        transaction=transaction,
        status=status,
        hash=verdict.txid,
        error_type=error_of(verdict, current) if status is TransactionStatus.FAILED else None,
        verification_hash=verification_hash(current, verdict.txid) if verified else None,
    )
    if current.ended_at is None:
        publish(tx, concluded(ended))
    return ended


def status_of(verdict: Verdict, current: Transaction) -> TransactionStatus | None:
    """The status that a verdict of the chain means; None: none that is final."""
    if verdict.fate is Fate.UNKNOWN:
        return None
    if verdict.fate is not Fate.CONFIRMED:
        return TransactionStatus.FAILED
    told = current.facilitator_response or {}
    agrees = told.get("success") is True and told.get("transaction") == verdict.txid
    return TransactionStatus.VERIFIED if verdict.finalized and agrees else TransactionStatus.SUCCESS


def error_of(verdict: Verdict, current: Transaction) -> ErrorType:
    if verdict.fate is Fate.FAILED:
        # The token program's error 1 is "insufficient funds".
        return ErrorType.INSUFFICIENT_FUNDS if '"Custom": 1}' in (verdict.error or "") else ErrorType.REJECTED
    return current.error_type or ErrorType.NETWORK_FAILURE


def verification_hash(transaction: Transaction, txid: str | None) -> str:
    """Binds payload, requirements, settlement and transaction id together, for a cross-check at any later time."""
    parts: JsonObject = {
        "payload": transaction.payload_digest,
        "requirements": transaction.requirements_digest,
        "settlement": transaction.facilitator_response,
        "transaction": txid,
    }
    return hashlib.sha256(rfc8785.dumps(parts)).hexdigest()


def concluded(ended: Transaction) -> AutopayConcluded:
    landed = ended.status is not TransactionStatus.FAILED
    return AutopayConcluded(
        transaction=ended.id,
        agent=ended.agent_did,
        status=TransactionStatus.SUCCESS if landed else TransactionStatus.FAILED,
        amount=ended.amount,
        currency=ended.currency,
        txid=ended.hash,
        url=ended.url,
    )


def due(tx: Tx, *, limit: int = 50) -> list[Transaction]:
    """Signed transactions whose outcome is to be looked up now; the longer one stays open, the more rarely."""
    return tx.all(DUE, after=FOLLOW_AFTER, limit=limit)


def lapse(tx: Tx, *, limit: int = 100) -> int:
    """Give back the price of purchases that nobody signed in time; returns how many.

    Such a payment cannot land: what is signed after this is refused before it is sent.
    """
    lapsed = tx.all(LAPSED, limit=limit)
    for transaction in lapsed:
        ended = tx.one(
            CONCLUDE,
            transaction=transaction,
            status=TransactionStatus.FAILED,
            hash=None,
            error_type=ErrorType.REJECTED,
            verification_hash=None,
        )
        publish(tx, concluded(ended))
    return len(lapsed)
