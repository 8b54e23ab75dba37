"""From the intent to the signed payment: nothing is sent before all of this is committed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import timedelta
from typing import TypedDict

from x402.schemas import PaymentPayload

from hansa.autopay import queries
from hansa.autopay.commands import policy
from hansa.autopay.commands.setting_up import note_balance
from hansa.autopay.errors import (
    BudgetMissing,
    DemoPaysNothing,
    OwnerMustApprove,
    PaymentNotAsAgreed,
    PurchaseAlreadyStarted,
    SellerUnknown,
    TransactionUnknown,
)
from hansa.autopay.models import AutonomyPhase, Intent, NetworkName, Transaction
from hansa.infra.db import JsonObject, Query, Tx
from hansa.infra.seal import KeyRing, open_sealed, seal
from hansa.kernel.dids import Did
from hansa.kernel.errors import Denied, Forbidden, NotFound, PaymentRequired
from hansa.kernel.ids import AutopayTransactionId
from hansa.kernel.money import TokenUnits
from hansa.payments.models import Environment, Network
from hansa.payments.transactions import SignedPayment, account_of, digest_of, read_payment
from hansa.registry import queries as registry


class Cell(TypedDict):
    """Where a sealed value stands."""

    table: str
    column: str
    row: str
    scope: str


SIGN_WITHIN = timedelta(minutes=5)
"""How long a price stays reserved for a purchase that nobody signs."""
FOLLOW_AFTER = timedelta(seconds=5)
"""How long the buyer has to tell the outcome before the house looks it up by itself."""

START = Query(
    Transaction,
    """
    INSERT INTO autopay.transactions (
           agent_did, budget_id, amount, currency, x402_request_id, network, environment, url, method, wallet, pay_to,
           seller_did, asset, requirements, requirements_digest, expires_at)
    VALUES (%(agent)s, autopay.reserve(%(agent)s, %(currency)s::autopay.currency, %(amount)s), %(amount)s,
            %(currency)s::autopay.currency, %(x402_request_id)s, %(network)s::autopay.network,
            %(environment)s::payments.environment, %(url)s, %(method)s::autopay.http_method, %(wallet)s, %(pay_to)s,
            %(seller)s, %(asset)s, %(requirements)s, %(requirements_digest)s, clock_timestamp() + %(sign_within)s)
    RETURNING id, agent_did, hash, amount, currency, status, x402_request_id, facilitator_response, retry_count, backoff_delay,
              error_type, network, environment, url, method, wallet, pay_to, seller_did, asset, requirements_digest,
              message_hash, payload_digest, memo, token_program, last_valid_block_height, verification_hash, created_at,
              expires_at, signed_at, ended_at
    """,
)

NOTE_REQUEST = Query(
    int,
    """
    INSERT INTO autopay.api_request_logs (
           agent_did, endpoint, method, response_status, x402_instructions, retry_attempts, success_payload, refusal,
           transaction_id)
    VALUES (%(agent)s, %(endpoint)s, %(method)s::autopay.http_method, %(response_status)s, %(x402_instructions)s,
            %(retry_attempts)s, %(success_payload)s, %(refusal)s, %(transaction)s)
    """,
)

SEALED = Query(
    bytes,
    """
    SELECT payload
      FROM autopay.transactions
     WHERE id = %(transaction)s
       AND agent_did = %(agent)s
       AND payload IS NOT NULL
    """,
)

KEEP_SIGNED = Query(
    Transaction,
    """
    SELECT id, agent_did, hash, amount, currency, status, x402_request_id, facilitator_response, retry_count, backoff_delay,
           error_type, network, environment, url, method, wallet, pay_to, seller_did, asset, requirements_digest,
           message_hash, payload_digest, memo, token_program, last_valid_block_height, verification_hash, created_at,
           expires_at, signed_at, ended_at
      FROM autopay.keep_signed(%(transaction)s, %(agent)s, %(message_hash)s, %(payload_digest)s, %(payload)s, %(memo)s,
                               %(token_program)s, %(last_valid_block_height)s, %(follow_in)s)
    """,
)


def intend(tx: Tx, agent: Did, intent: Intent, *, network: Network, balance: TokenUnits) -> Transaction | Denied:
    """Ask for leave to pay: the policy is checked and the price reserved, or the refusal is kept as evidence.

    The same purchase asked for again gets the transaction it has. Raises AgentUnknown, PurchaseAlreadyStarted,
    UrlMalformed, TermsMalformed. Source: Autopay agent; x402 buyer's policy.
    """
    wallet = registry.agent_of(tx, agent).wallet_address
    digest = digest_of(policy.requirements_of(intent.terms))
    policy.site_of(intent.url)
    known = queries.purchase_of(tx, agent, intent.x402_request_id)
    if known is not None:
        return same_purchase(known, intent, digest)
    try:
        with tx.savepoint():
            transaction = start(tx, agent, intent, network=network, wallet=wallet, digest=digest, balance=balance)
    except (Forbidden, PaymentRequired) as refusal:
        note_request(tx, agent, intent, refusal=refusal.code())
        return Denied(refusal)
    note_request(tx, agent, intent, transaction=transaction.id)
    return transaction


def same_purchase(known: Transaction, intent: Intent, digest: str) -> Transaction:
    if (known.url, known.method, known.requirements_digest) != (intent.url, intent.method, digest):
        raise PurchaseAlreadyStarted(transaction=str(known.id))
    return known


def start(
    tx: Tx, agent: Did, intent: Intent, *, network: Network, wallet: str, digest: str, balance: TokenUnits
) -> Transaction:
    """Check the policy, reserve the price and write the transaction. Raises the refusals of the policy by name."""
    currency = policy.currency_of(intent.terms, network)
    configured = queries.agent_of(tx, agent)
    if configured is None:
        raise BudgetMissing
    threshold = configured.priority_rules.fundsThreshold
    circumstances = policy.Circumstances(
        network=network,
        wallet=wallet,
        budget=queries.budget_of(tx, agent, currency),
        balance=note_balance(tx, agent, balance=balance, currency=currency, threshold=threshold),
        seller_wallet=registered_wallet(tx, intent.seller),
    )
    policy.require_policy(intent, circumstances)
    transaction = tx.one(
        START,
        agent=agent,
        currency=currency,
        amount=intent.terms.units,
        x402_request_id=intent.x402_request_id,
        network=NetworkName.MAINNET if network.environment is Environment.MAINNET else NetworkName.DEVNET,
        environment=network.environment,
        url=intent.url,
        method=intent.method,
        wallet=wallet,
        pay_to=intent.terms.payTo,
        seller=intent.seller,
        asset=intent.terms.asset,
        requirements=asdict(intent.terms),
        requirements_digest=digest,
        sign_within=SIGN_WITHIN,
    )
    # Last, so that these two mean that nothing else stood in the way.
    if configured.autonomy_phase is AutonomyPhase.DEMO:
        raise DemoPaysNothing
    if configured.autonomy_phase is AutonomyPhase.INTERACTIVE:
        raise OwnerMustApprove
    return transaction


def registered_wallet(tx: Tx, seller: Did | None) -> str | None:
    """Wallet that a seller has registered; None: no seller was named. Raises SellerUnknown."""
    if seller is None:
        return None
    try:
        return registry.agent_of(tx, seller).wallet_address
    except NotFound as unknown:
        raise SellerUnknown(seller=seller) from unknown


def note_request(
    tx: Tx,
    agent: Did,
    intent: Intent,
    *,
    refusal: str | None = None,
    transaction: AutopayTransactionId | None = None,
) -> None:
    """Keep what a paid interface asked for, and what the policy said to it."""
    tx.run(
        NOTE_REQUEST,
        agent=agent,
        endpoint=intent.url,
        method=intent.method,
        response_status=402,
        x402_instructions=asdict(intent.terms),
        retry_attempts=0,
        success_payload=None,
        refusal=refusal,
        transaction=transaction,
    )


def keep_signed(
    tx: Tx,
    keys: KeyRing,
    transaction: AutopayTransactionId,
    payload: PaymentPayload,
    *,
    agent: Did,
    last_valid_block_height: int,
) -> Transaction:
    """Keep what an agent signed, sealed, before it is sent: from now on the house can find out what became of it.

    `last_valid_block_height`: of a blockhash that was new after the payment was signed. Raises TransactionUnknown,
    PaymentInvalid, PaymentNotAsAgreed, PurchaseLapsed, AnotherPaymentSigned.
    """
    agreed = queries.transaction_of(tx, transaction, agent=agent)
    signed = read_payment(payload)
    require_agreed(signed, payload, agreed)
    document = payload.model_dump_json(by_alias=True, exclude_none=True).encode()
    place = place_of(transaction, agent)
    return tx.one(
        KEEP_SIGNED,
        transaction=transaction,
        agent=agent,
        message_hash=signed.message_hash,
        payload_digest=hashlib.sha256(document).hexdigest(),
        payload=seal(keys, document, **place),
        memo=signed.memo,
        token_program=signed.transfer.program,
        last_valid_block_height=last_valid_block_height,
        follow_in=FOLLOW_AFTER,
    )


def place_of(transaction: AutopayTransactionId, agent: Did) -> Cell:
    """The cell that a signed payment is sealed for."""
    return {"table": "autopay.transactions", "column": "payload", "row": str(transaction), "scope": agent}


def signed_payload(tx: Tx, keys: KeyRing, transaction: AutopayTransactionId, *, agent: Did) -> JsonObject:
    """What an agent signed, for itself: a buyer that crashed sends the same payment again. Raises TransactionUnknown."""
    sealed = tx.maybe(SEALED, transaction=transaction, agent=agent)
    if sealed is None:
        raise TransactionUnknown
    return json.loads(open_sealed(keys, sealed, **place_of(transaction, agent)))


def require_agreed(signed: SignedPayment, payload: PaymentPayload, agreed: Transaction) -> None:
    """What was signed is the payment that was agreed to: from, to, what, how much, and for these terms."""
    transfer = signed.transfer
    destination = account_of(agreed.pay_to, agreed.asset, transfer.program)
    found = (str(transfer.authority), str(transfer.destination), str(transfer.mint), transfer.amount)
    if found != (agreed.wallet, destination, agreed.asset, agreed.amount):
        raise PaymentNotAsAgreed("it goes from, to, or about something else than was agreed")
    if digest_of(payload.accepted) != agreed.requirements_digest:
        raise PaymentNotAsAgreed("it was signed for other terms")
