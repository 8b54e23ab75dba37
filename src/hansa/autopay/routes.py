"""Autopay over HTTP: an agent asks before it pays, shows what it signed, and tells what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from x402.schemas import PaymentPayload

from hansa.autopay import commands, onchain, queries
from hansa.autopay.models import (
    ApiRequest,
    AutonomyPhase,
    AutopayAgent,
    BalanceSnapshot,
    Budget,
    BudgetLimits,
    Currency,
    GoAhead,
    Intent,
    PriorityRules,
    Report,
    Transaction,
    TransactionEvent,
    TransactionStatus,
)
from hansa.infra.db import Page, Tx
from hansa.infra.web import Call, Limit, SignedCall
from hansa.kernel.errors import Denied
from hansa.kernel.ids import AutopayTransactionId
from hansa.kernel.money import TokenUnits
from hansa.registry import queries as registry

router = APIRouter(tags=["autopay"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Autonomy:
    """How far an agent shall pay by itself."""

    autonomy_phase: AutonomyPhase = AutonomyPhase.FULL
    priority_rules: PriorityRules = field(default_factory=PriorityRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What an agent signed and has not sent yet."""

    payload: PaymentPayload
    """The payment of x402, as it goes into the PAYMENT-SIGNATURE header."""


@router.get("/api/transactions", response_model=Page[Transaction])
def my_transactions(
    call: SignedCall,
    status: TransactionStatus | None = None,
    after: UUID | None = None,
    limit: Limit = 50,
) -> Response:
    """The signing agent's payments, newest first; ask again with `after` for the next page."""
    return call.query(lambda tx: queries.transactions(tx, call.did, status=status, before=after, limit=limit))


@router.get("/api/transactions/{transaction}", response_model=Transaction)
def my_transaction(transaction: AutopayTransactionId, call: SignedCall) -> Response:
    """One payment of the signing agent."""
    return call.query(lambda tx: queries.transaction_of(tx, transaction, agent=call.did))


@router.get("/api/transactions/{transaction}/events", response_model=list[TransactionEvent])
def my_transaction_events(transaction: AutopayTransactionId, call: SignedCall) -> Response:
    """Every step of one payment of the signing agent, in order."""
    return call.query(lambda tx: queries.history_of(tx, transaction, agent=call.did))


@router.get("/api/autopay/agent", response_model=AutopayAgent | None)
def my_autonomy(call: SignedCall) -> Response:
    """How far the signing agent pays by itself; null before it ever set a budget."""
    return call.query(lambda tx: queries.agent_of(tx, call.did))


@router.put("/api/autopay/agent", response_model=AutopayAgent)
def configure(asked: Autonomy, call: SignedCall) -> Response:
    """Say how far the signing agent pays by itself, and below which balance it pauses."""
    return call.command(
        lambda tx: commands.configure(tx, call.did, phase=asked.autonomy_phase, rules=asked.priority_rules)
    )


@router.get("/api/autopay/budget", response_model=Budget | None)
def my_budget(call: SignedCall, currency: Currency = Currency.USDC) -> Response:
    """What the signing agent may spend in a currency, and what is spent and reserved; null when there is no budget."""
    return call.query(lambda tx: queries.budget_of(tx, call.did, currency))


@router.put("/api/autopay/budget", response_model=Budget)
def set_budget(limits: BudgetLimits, call: SignedCall) -> Response:
    """Set what the signing agent may spend in one currency."""
    return call.command(lambda tx: commands.set_budget(tx, call.did, limits))


@router.get("/api/autopay/balance", response_model=BalanceSnapshot | None)
def my_balance(call: SignedCall, currency: Currency = Currency.USDC) -> Response:
    """What the chain said last about the signing agent's wallet; null before it was asked."""
    return call.query(lambda tx: queries.balance_of(tx, call.did, currency))


@router.get("/api/autopay/requests", response_model=list[ApiRequest])
def my_requests(call: SignedCall, limit: Limit = 50) -> Response:
    """What paid interfaces answered the signing agent, and what its policy refused, newest first."""
    return call.query(lambda tx: queries.requests(tx, call.did, limit=limit))


@router.post("/api/autopay/payments", response_model=GoAhead, status_code=201)
def intend(intent: Intent, call: SignedCall) -> Response:
    """Ask for leave to pay: the policy is checked and the price reserved, before anything is signed."""
    balance = funds(call, intent)
    network = onchain.network_of(call.services)

    def ask(tx: Tx) -> GoAhead | Denied:
        answer = commands.intend(tx, call.did, intent, network=network, balance=balance)
        return answer if isinstance(answer, Denied) else GoAhead(transaction=answer, rpc_url=call.services.chain.url)

    return call.command(ask, status=201)


def funds(call: Call, intent: Intent) -> TokenUnits:
    """What the agent has in the currency asked for; 0 for a token that is refused anyway. Raises ChainSilent."""
    asset = onchain.network_of(call.services).mints.get(intent.terms.asset)
    if asset is None:
        return TokenUnits(0)
    with call.services.db.transaction(call.actor) as tx:
        wallet = registry.agent_of(tx, call.did).wallet_address
    return onchain.balance_of(call.services, wallet, Currency(asset))


@router.post("/api/autopay/payments/{transaction}/signed", response_model=Transaction)
def keep_signed(transaction: AutopayTransactionId, signed: Signed, call: SignedCall) -> Response:
    """Show what was signed, before it is sent: it is kept sealed, and its outcome can then always be found."""
    height = onchain.last_valid_block_height(call.services)
    return call.command(
        lambda tx: commands.keep_signed(
            tx, call.services.keys, transaction, signed.payload, agent=call.did, last_valid_block_height=height
        )
    )


@router.get("/api/autopay/payments/{transaction}/signed", response_model=PaymentPayload)
def signed_payload(transaction: AutopayTransactionId, call: SignedCall) -> Response:
    """What the agent signed, for the agent itself: after a crash it sends the same payment again, not a new one."""
    return call.query(lambda tx: commands.signed_payload(tx, call.services.keys, transaction, agent=call.did))


@router.post("/api/autopay/payments/{transaction}/outcome", response_model=Transaction)
def report(transaction: AutopayTransactionId, told: Report, call: SignedCall) -> Response:
    """Tell what came of sending it; what counts is what the chain says, which is read now."""
    with call.services.db.transaction(call.actor) as tx:
        sent = queries.transaction_of(tx, transaction, agent=call.did)
    verdict = onchain.verdict_of(call.services, sent, txid=told.txid)
    return call.command(lambda tx: commands.report(tx, sent, told, verdict))
