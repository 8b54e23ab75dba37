"""What can be read of autopay. Row-level security shows each agent its own rows."""

from uuid import UUID

from hansa.autopay.errors import TransactionUnknown
from hansa.autopay.models import (
    ApiRequest,
    AutopayAgent,
    BalanceSnapshot,
    Budget,
    Currency,
    Discrepancy,
    Transaction,
    TransactionEvent,
    TransactionStatus,
    Wallet,
)
from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import AutopayTransactionId

AGENT = Query(
    AutopayAgent,
    """
    SELECT agent_did, autonomy_phase, priority_rules, created_at, updated_at
      FROM autopay.agents
     WHERE agent_did = %(agent)s
    """,
)

BUDGET = Query(
    Budget,
    """
    SELECT id, agent_did, currency, cap, payment_max, period_cap, period_s, period_started_at, period_spent,
           spent, reserved, hosts
      FROM autopay.budgets
     WHERE agent_did = %(agent)s
       AND currency = %(currency)s::autopay.currency
    """,
)

TRANSACTION = Query(
    Transaction,
    """
    SELECT id, agent_did, hash, amount, currency, status, x402_request_id, facilitator_response, retry_count, backoff_delay,
           error_type, network, environment, url, method, wallet, pay_to, seller_did, asset, requirements_digest,
           message_hash, payload_digest, memo, token_program, last_valid_block_height, verification_hash, created_at,
           expires_at, signed_at, ended_at
      FROM autopay.transactions
     WHERE id = %(transaction)s
       AND agent_did = %(agent)s
    """,
)

PURCHASE = Query(
    Transaction,
    """
    SELECT id, agent_did, hash, amount, currency, status, x402_request_id, facilitator_response, retry_count, backoff_delay,
           error_type, network, environment, url, method, wallet, pay_to, seller_did, asset, requirements_digest,
           message_hash, payload_digest, memo, token_program, last_valid_block_height, verification_hash, created_at,
           expires_at, signed_at, ended_at
      FROM autopay.transactions
     WHERE agent_did = %(agent)s
       AND x402_request_id = %(x402_request_id)s
    """,
)

TRANSACTIONS = Query(
    Transaction,
    """
    SELECT id, agent_did, hash, amount, currency, status, x402_request_id, facilitator_response, retry_count, backoff_delay,
           error_type, network, environment, url, method, wallet, pay_to, seller_did, asset, requirements_digest,
           message_hash, payload_digest, memo, token_program, last_valid_block_height, verification_hash, created_at,
           expires_at, signed_at, ended_at
      FROM autopay.transactions
     WHERE agent_did = %(agent)s
       AND (%(status)s::autopay.transaction_status IS NULL OR status = %(status)s::autopay.transaction_status)
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

HISTORY = Query(
    TransactionEvent,
    """
    SELECT status, signed, retry_count, error_type, hash, at
      FROM autopay.transaction_events
     WHERE transaction_id = %(transaction)s
       AND agent_did = %(agent)s
     ORDER BY id
    """,
)

REQUESTS = Query(
    ApiRequest,
    """
    SELECT endpoint, method, response_status, retry_attempts::integer AS retry_attempts, refusal, transaction_id, created_at
      FROM autopay.api_request_logs
     WHERE agent_did = %(agent)s
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

BALANCE = Query(
    BalanceSnapshot,
    """
    SELECT balance, currency, threshold, status, snapshot_at
      FROM autopay.balance_snapshots
     WHERE agent_did = %(agent)s
       AND currency = %(currency)s::autopay.currency
     ORDER BY snapshot_at DESC
     LIMIT 1
    """,
)

WALLETS = Query(
    Wallet,
    """
    SELECT agent.agent_did, registered.wallet_address, (agent.priority_rules ->> 'fundsThreshold')::bigint AS funds_threshold
      FROM autopay.agents AS agent
      JOIN registry.agents AS registered ON registered.did = agent.agent_did
      JOIN autopay.budgets AS budget ON budget.agent_did = agent.agent_did
     WHERE budget.currency = %(currency)s::autopay.currency
       AND registered.retired_at IS NULL
     ORDER BY agent.agent_did
    """,
)

DISCREPANCIES = Query(
    Discrepancy,
    """
    SELECT subject, finding
      FROM autopay.discrepancies
     ORDER BY subject
     LIMIT %(limit)s
    """,
)


def agent_of(tx: Tx, agent: Did) -> AutopayAgent | None:
    """How far an agent pays by itself; None: it never set a budget."""
    return tx.maybe(AGENT, agent=agent)


def budget_of(tx: Tx, agent: Did, currency: Currency) -> Budget | None:
    """An agent's budget in a currency; None: none."""
    return tx.maybe(BUDGET, agent=agent, currency=currency)


def transaction_of(tx: Tx, transaction: AutopayTransactionId, *, agent: Did) -> Transaction:
    """A transaction of an agent. Raises TransactionUnknown."""
    found = tx.maybe(TRANSACTION, transaction=transaction, agent=agent)
    if found is None:
        raise TransactionUnknown
    return found


def purchase_of(tx: Tx, agent: Did, x402_request_id: str) -> Transaction | None:
    """The transaction of a purchase; None: it was never started."""
    return tx.maybe(PURCHASE, agent=agent, x402_request_id=x402_request_id)


def transactions(
    tx: Tx, agent: Did, *, status: TransactionStatus | None = None, before: UUID | None = None, limit: int = 50
) -> Page[Transaction]:
    """An agent's transactions, newest first."""
    found = tx.all(TRANSACTIONS, agent=agent, status=status, before=before, limit=limit)
    return Page.of(found, limit=limit, after=lambda last: last.id)


def history_of(tx: Tx, transaction: AutopayTransactionId, *, agent: Did) -> list[TransactionEvent]:
    """Every step of an agent's payment, in order. Raises TransactionUnknown."""
    found = tx.all(HISTORY, transaction=transaction, agent=agent)
    if not found:
        raise TransactionUnknown
    return found


def requests(tx: Tx, agent: Did, *, limit: int = 50) -> list[ApiRequest]:
    """What paid interfaces answered an agent, and what its policy refused, newest first."""
    return tx.all(REQUESTS, agent=agent, limit=limit)


def balance_of(tx: Tx, agent: Did, currency: Currency) -> BalanceSnapshot | None:
    """What the chain said last; None: it was never asked."""
    return tx.maybe(BALANCE, agent=agent, currency=currency)


def wallets(tx: Tx, currency: Currency) -> list[Wallet]:
    """The wallets of all agents that have a budget."""
    return tx.all(WALLETS, currency=currency)


def reconcile(tx: Tx, *, limit: int = 100) -> list[Discrepancy]:
    """Budgets that differ from the sum of their transactions; empty when the books are right."""
    return tx.all(DISCREPANCIES, limit=limit)
