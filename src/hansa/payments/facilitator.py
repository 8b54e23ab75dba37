"""Our x402 facilitator: verifies and settles payments so that a crash at any point neither pays twice nor forgets.

The order of a settlement is its safety:

    claim        one row per payment, before any work, bound to requirements and resource
    verify       our static checks, then the official mechanism, which simulates
    sign         we are the fee payer: the id is known, and is stored with the bytes before anything is sent
    send         whatever answer comes, from here on only the chain says what happened
    follow       by its id, error first; sent again until it is seen or cannot land any more

Whoever finds the claim of a payment goes on from where it stands: another request, another process, the next tick.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from x402.mechanisms.svm.constants import ERR_DUPLICATE_SETTLEMENT, ERR_SETTLEMENT_PENDING, ERR_TRANSACTION_FAILED
from x402.mechanisms.svm.constants import SCHEME_EXACT as EXACT
from x402.mechanisms.svm.exact import ExactSvmFacilitatorScheme
from x402.schemas import (
    PaymentPayload,
    PaymentPayloadV1,
    PaymentRequirements,
    PaymentRequirementsV1,
    SettleResponse,
    SupportedKind,
    SupportedResponse,
    VerifyResponse,
)

from hansa.chain.client import ChainRejected, ChainRpc, ChainUnreachable
from hansa.infra.keys import AgentKey
from hansa.infra.services import Services
from hansa.kernel.errors import ServiceUnavailable
from hansa.payments import commands, queries
from hansa.payments.errors import ChainUnavailable, ChainUnchecked, PaymentBoundElsewhere, PaymentInvalid
from hansa.payments.models import NETWORKS, Claim, ClaimState, Environment, Presented
from hansa.payments.settlement import FACILITATOR, follow, send
from hansa.payments.transactions import present
from hansa.payments.treasury import cosigned, facilitator_key, txid_of

LEASE = timedelta(seconds=30)
"""How long an attempt may take until it has signed; then another one may begin."""
PATIENCE_S = 20.0
"""How long a caller waits for the chain; afterwards the payment is pending and its outcome is found by the tick."""
PAUSE_S, PAUSE_S_MAX = 0.02, 0.5
RESEND_S = 2.0
THREADS = 16
"""How many payments one seller's till verifies or settles at the same time."""

ERR_BOUND = "payment_bound_to_another_purchase"
ERR_CHAIN = "rpc_unavailable"
ERR_EXPIRED = "transaction_expired"

Payload = PaymentPayload | PaymentPayloadV1
Requirements = PaymentRequirements | PaymentRequirementsV1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to settle one payment."""

    payload: Payload
    requirements: Requirements
    presented: Presented
    worker: UUID
    """Names this try in the lease of the claim."""


@dataclass
class Simulating:
    """The chain as the official mechanism sees it for one verification: it may sign with our key and simulate.

    The mechanism turns every error into "simulation failed"; whether it was the chain that failed is kept here.
    """

    key: AgentKey
    chain: ChainRpc
    outage: ChainUnreachable | None = None

    def get_addresses(self) -> list[str]:
        return [self.key.wallet]

    def sign_transaction(self, tx_base64: str, fee_payer: str, network: str) -> str:
        del fee_payer, network  # the static checks have compared both
        return base64.b64encode(cosigned(self.key, base64.b64decode(tx_base64))).decode()

    def simulate_transaction(self, tx_base64: str, network: str) -> None:
        del network
        try:
            found = self.chain.simulate(base64.b64decode(tx_base64))
        except ChainUnreachable as outage:
            self.outage = outage
            raise
        if found.err is not None:
            raise RuntimeError(f"{found.err}")

    def send_transaction(self, tx_base64: str, network: str) -> str:
        del tx_base64, network
        raise AssertionError("what is sent was stored before, and that is not done by the mechanism")

    def confirm_transaction(self, signature: str, network: str) -> None:
        del signature, network
        raise AssertionError("the mechanism takes a transaction that failed for a confirmed one")


@dataclass
class Facilitator:
    """Verifies and settles with the house's key; implements the SDK's synchronous FacilitatorClient.

    `keeps_answers`: the seller answers the same payment with the same stored answer, so a payment that is settled
    already still verifies. Any other seller would hand out a second answer for it, and is told that it is spent.
    """

    services: Services
    keeps_answers: bool = False
    lease: timedelta = LEASE
    patience_s: float = PATIENCE_S
    key: AgentKey = field(init=False)
    environment: Environment = field(init=False)

    def __post_init__(self) -> None:
        self.key = facilitator_key(self.services)
        self.environment = Environment(self.services.settings.environment)

    def get_supported(self) -> SupportedResponse:
        """What is settled here: `exact` on one network, with our fee payer."""
        extra = {"feePayer": self.key.wallet}
        network = NETWORKS[self.environment].caip2
        kind = SupportedKind(x402_version=2, scheme=EXACT, network=network, extra=extra)
        return SupportedResponse(kinds=[kind], extensions=[], signers={"solana:*": [self.key.wallet]})

    def verify(self, payload: Payload, requirements: Requirements) -> VerifyResponse:
        """Whether this payment would settle now. Writes nothing."""
        try:
            presented = self.read(payload, requirements)
        except PaymentInvalid as refusal:
            return VerifyResponse(is_valid=False, invalid_reason=refusal.reason, invalid_message=refusal.detail)
        with self.services.db.transaction(FACILITATOR) as tx:
            known = queries.claim_of(tx, presented.message_hash)
        reason = None if known is None else self.objection(known, presented)
        if known is not None and (reason is not None or known.state is not ClaimState.CLAIMED):
            return VerifyResponse(is_valid=reason is None, invalid_reason=reason, payer=presented.payer)
        try:
            return self.simulated(payload, requirements)
        except ChainUnavailable as outage:
            return VerifyResponse(is_valid=False, invalid_reason=ERR_CHAIN, invalid_message=outage.detail)

    def settle(self, payload: Payload, requirements: Requirements) -> SettleResponse:
        """Make the payment, once: the same payment settled again gets the result of the first time."""
        try:
            presented = self.read(payload, requirements)
            attempt = Attempt(payload=payload, requirements=requirements, presented=presented, worker=uuid4())
            return result_of(self.pursue(attempt))
        except PaymentInvalid as refusal:
            return self.unsettled(refusal.reason, refusal.detail)
        except PaymentBoundElsewhere as refusal:
            return self.unsettled(ERR_BOUND, refusal.detail)
        except (ChainUnavailable, ChainUnchecked) as refusal:
            return self.unsettled(ERR_CHAIN, refusal.detail)

    def read(self, payload: Payload, requirements: Requirements) -> Presented:
        """The payment, read and checked without the network. Raises PaymentInvalid."""
        return present(
            payload,
            requirements,
            network=NETWORKS[self.environment],
            fee_payer=self.key.wallet,
            fee_lamports_max=self.services.settings.facilitator_fee_lamports_max,
        )

    def objection(self, known: Claim, presented: Presented) -> str | None:
        """Why a payment that was presented before is not good for this purchase; None: it is."""
        if (known.requirements_digest, known.resource) != (presented.requirements_digest, presented.resource):
            return ERR_BOUND
        if known.state in {ClaimState.FAILED, ClaimState.EXPIRED}:
            return result_of(known).error_reason
        spent = known.state is ClaimState.CONFIRMED and not self.keeps_answers
        return ERR_DUPLICATE_SETTLEMENT if spent else None

    def pursue(self, attempt: Attempt) -> Claim:
        """Bring a payment as far as it goes in the time that a caller waits. Raises ChainUnavailable before we signed."""
        claim, pause, sent_at = self.claim(attempt), PAUSE_S, time.monotonic()
        deadline = sent_at + self.patience_s
        while not claim.ended and time.monotonic() < deadline:
            if claim.state is ClaimState.CLAIMED and claim.leased_by == attempt.worker:
                self.sign_and_send(claim, attempt)
                sent_at = time.monotonic()
            elif claim.state is not ClaimState.CLAIMED:
                # Whoever signed it may have died before it was sent, or on the way to us.
                resend = claim.state is ClaimState.SIGNED or time.monotonic() - sent_at > RESEND_S
                sent_at = time.monotonic() if resend else sent_at
                claim = follow(self.services, claim, resend=resend)
                if claim.ended:
                    break
                time.sleep(pause := min(pause * 1.5, PAUSE_S_MAX))
            else:
                time.sleep(PAUSE_S)
            claim = self.claim(attempt)
        return claim

    def claim(self, attempt: Attempt) -> Claim:
        with self.services.db.transaction(FACILITATOR) as tx:
            return commands.claim(tx, attempt.presented, self.environment, worker=attempt.worker, lease=self.lease)

    def sign_and_send(self, claim: Claim, attempt: Attempt) -> None:
        """The part that only the holder of the lease does. Raises ChainUnavailable."""
        try:
            verified = self.simulated(attempt.payload, attempt.requirements)
            last_valid_block_height = self.last_valid_block_height()
        except ChainUnavailable as outage:
            with self.services.db.transaction(FACILITATOR) as tx:
                commands.release(tx, claim.id, worker=attempt.worker, error=outage.detail)
            raise
        if verified.is_valid:
            self.sign(claim, attempt, last_valid_block_height)
            return
        error = f"{verified.invalid_reason}: {verified.invalid_message or 'refused'}"
        with self.services.db.transaction(FACILITATOR) as tx:
            commands.refuse(tx, claim.id, worker=attempt.worker, error=error)

    def sign(self, claim: Claim, attempt: Attempt, last_valid_block_height: int) -> None:
        """Sign, store what will be sent, and only then send it."""
        raw = cosigned(self.key, base64.b64decode(attempt.payload.payload["transaction"]))
        with self.services.db.transaction(FACILITATOR) as tx:
            signed = commands.sign(
                tx,
                claim.id,
                worker=attempt.worker,
                txid=txid_of(raw),
                transaction=raw,
                last_valid_block_height=last_valid_block_height,
                lease=self.lease,
            )
        if signed:
            send(self.services, claim, raw)

    def simulated(self, payload: Payload, requirements: Requirements) -> VerifyResponse:
        """The official mechanism's verdict, which includes a simulation. Raises ChainUnavailable."""
        signer = Simulating(key=self.key, chain=self.services.chain)
        assert isinstance(payload, PaymentPayload), "the static checks let only version 2 through"
        assert isinstance(requirements, PaymentRequirements), "the same"
        verified = ExactSvmFacilitatorScheme(signer).verify(payload, requirements)
        if signer.outage is not None:
            raise ChainUnavailable(str(signer.outage))
        return verified

    def last_valid_block_height(self) -> int:
        """When any blockhash that is known by now is dead: with the newest one. Raises ChainUnavailable."""
        try:
            return self.services.chain.latest_blockhash()[1]
        except (ChainUnreachable, ChainRejected) as outage:
            raise ChainUnavailable(str(outage)) from outage

    def unsettled(self, reason: str, message: str) -> SettleResponse:
        return SettleResponse(
            success=False,
            error_reason=reason,
            error_message=message,
            transaction="",
            network=NETWORKS[self.environment].caip2,
        )


OUTAGES: ContextVar[list[ServiceUnavailable] | None] = ContextVar("OUTAGES", default=None)
"""What was out of reach while this request was paid for. The SDK's server takes any failure of its facilitator for a
refused payment and asks for the money again, so whoever called it must be able to see the difference."""


@contextmanager
def noted_outage() -> Generator[None]:
    try:
        yield
    except ServiceUnavailable as outage:
        noted = OUTAGES.get()
        if noted is not None:
            noted.append(outage)
        raise


@dataclass(frozen=True, slots=True)
class AsyncFacilitator:
    """The same for the asynchronous server of the SDK: each call runs in a thread, since it waits for the chain.

    The threads are its own: payments that wait for a slow chain must not keep the rest of the house waiting.
    """

    facilitator: Facilitator
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(THREADS))

    async def verify(self, payload: Payload, requirements: Requirements) -> VerifyResponse:
        with noted_outage():
            return await run_sync(self.facilitator.verify, payload, requirements, limiter=self.threads)

    async def settle(self, payload: Payload, requirements: Requirements) -> SettleResponse:
        with noted_outage():
            return await run_sync(self.facilitator.settle, payload, requirements, limiter=self.threads)

    def get_supported(self) -> SupportedResponse:
        return self.facilitator.get_supported()


def result_of(claim: Claim) -> SettleResponse:
    """A claim as x402 tells it: settled, not settled, or not known yet."""
    reason, message = {
        ClaimState.CONFIRMED: (None, None),
        ClaimState.FAILED: (ERR_TRANSACTION_FAILED, claim.error),
        ClaimState.EXPIRED: (ERR_EXPIRED, claim.error),
    }.get(claim.state, (ERR_SETTLEMENT_PENDING, "whether it landed is not known yet; ask again with the same payment"))
    return SettleResponse(
        success=claim.state is ClaimState.CONFIRMED,
        error_reason=reason,
        error_message=message,
        payer=claim.payer,
        transaction=claim.txid or "",
        network=claim.network,
        amount=str(claim.amount) if claim.state is ClaimState.CONFIRMED else None,
    )
