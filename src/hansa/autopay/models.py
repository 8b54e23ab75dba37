"""Rows and values of autopay."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import AutopayTransactionId
from hansa.kernel.money import TokenUnits
from hansa.payments.models import Environment

Units = Annotated[int, Field(strict=True, ge=1, le=10**15)]
"""An amount as it comes from outside: whole smallest units, above zero."""


class AutonomyPhase(StrEnum):
    """How far an agent pays by itself."""

    DEMO = "DEMO"
    INTERACTIVE = "INTERACTIVE"
    FULL = "FULL"


class Currency(StrEnum):
    """What is paid with."""

    CASH = "CASH"
    USDC = "USDC"


class TransactionStatus(StrEnum):
    """How far a payment is."""

    PENDING = "PENDING"
    """It may still land."""
    SUCCESS = "SUCCESS"
    """The chain has confirmed it."""
    FAILED = "FAILED"
    """It is proven that no money moved."""
    RETRYING = "RETRYING"
    """It may still land, and the same payment was sent again."""
    VERIFIED = "VERIFIED"
    """The chain will not take it back, and everything that is known of it agrees."""


class ErrorType(StrEnum):
    """What went wrong last."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    NETWORK_FAILURE = "NETWORK_FAILURE"
    REJECTED = "REJECTED"
    RPC_ERROR = "RPC_ERROR"


class NetworkName(StrEnum):
    """Which network a payment is for."""

    DEVNET = "DEVNET"
    MAINNET = "MAINNET"


class BalanceStatus(StrEnum):
    """Whether an agent has enough to go on."""

    SUFFICIENT = "SUFFICIENT"
    LOW = "LOW"
    PAUSED = "PAUSED"


class HttpMethod(StrEnum):
    """How a paid resource is asked for."""

    GET = "GET"
    POST = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityRules:
    """When an agent pauses, and how fresh data has to be."""

    fundsThreshold: Annotated[int, Field(ge=0)] = 0  # noqa: N815 - the Autopay agent's own spelling, inside a document
    """Smallest units below which paying pauses."""
    freshnessWindow: Annotated[int, Field(ge=1)] = 300  # noqa: N815 - as above
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopayAgent:
    """How far one agent pays by itself."""

    agent_did: Did
    autonomy_phase: AutonomyPhase
    priority_rules: PriorityRules
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimits:
    """What an agent may spend in one currency."""

    currency: Currency = Currency.USDC
    cap: Units
    """Smallest units, ever; raise it to go on."""
    payment_max: Units
    """Smallest units that one payment may cost."""
    period_cap: Units | None = None
    """Smallest units in each period; None: no such cap."""
    period_s: Annotated[int, Field(ge=60, le=31_536_000)] | None = None
    """Length of a period in seconds; goes with `period_cap`."""
    hosts: Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=100)] = field(
        default_factory=list[str]
    )
    """Hosts that may be paid; empty: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget and what has become of it."""

    id: UUID
    agent_did: Did
    currency: Currency
    cap: TokenUnits
    payment_max: TokenUnits
    period_cap: TokenUnits | None
    """None: no cap by period."""
    period_s: int | None
    period_started_at: datetime
    period_spent: TokenUnits
    spent: TokenUnits
    reserved: TokenUnits
    """Price of payments that may still land."""
    hosts: list[str]
    """Hosts that may be paid; empty: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a seller asks for, as it stood in its answer of 402; names are those of x402 on the wire."""

    scheme: str
    network: str
    asset: str
    amount: Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]
    """Smallest units."""
    payTo: str  # noqa: N815 - x402's own spelling
    maxTimeoutSeconds: Annotated[int, Field(ge=1)]  # noqa: N815 - as above
    extra: JsonObject = field(default_factory=dict[str, object])

    @property
    def units(self) -> TokenUnits:
        return TokenUnits(int(self.amount))


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What an agent is about to pay for."""

    x402_request_id: str
    """Names the purchase, 8 to 128 characters of the buyer's choice: asked twice, it is the same purchase."""
    url: str
    """What was asked for and answered with 402."""
    method: HttpMethod = HttpMethod.GET
    resource: str
    """URL in the seller's terms; it must be of the same site."""
    terms: Terms
    max_price: Units
    """What the buyer is ready to pay for this, smallest units: the advertised or negotiated price."""
    seller: Did | None = None
    """DID of the seller, if it is a registered agent; its registered wallet is then the only one that is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A payment that an agent set out to make."""

    id: AutopayTransactionId
    agent_did: Did
    hash: str | None
    """Id of the Solana transaction; None: not known yet."""
    amount: TokenUnits
    """Smallest units."""
    currency: Currency
    status: TransactionStatus
    x402_request_id: str
    facilitator_response: JsonObject | None
    """What the seller passed on from its facilitator; None: nothing yet."""
    retry_count: int
    backoff_delay: int
    """Milliseconds waited before the last retry."""
    error_type: ErrorType | None
    """What went wrong last; None: nothing."""
    network: NetworkName
    environment: Environment
    url: str
    method: HttpMethod
    wallet: str
    """Wallet that pays."""
    pay_to: str
    seller_did: Did | None
    """None: the seller is nobody that is registered here."""
    asset: str
    """Address of the mint."""
    requirements_digest: str
    message_hash: str | None
    """Names the signed payment; None: not signed."""
    payload_digest: str | None
    memo: str | None
    token_program: str | None
    last_valid_block_height: int | None
    verification_hash: str | None
    """None: not verified."""
    created_at: datetime
    expires_at: datetime
    """Until when it may be signed."""
    signed_at: datetime | None
    ended_at: datetime | None
    """None: it may still land."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionEvent:
    """One step of a payment."""

    status: TransactionStatus
    signed: bool
    """Whether it was signed by then."""
    retry_count: int
    error_type: ErrorType | None
    hash: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAhead:
    """The house's leave to sign one payment."""

    transaction: Transaction
    rpc_url: str
    """Solana RPC of the chain that this payment is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of sending a signed payment, as the buyer saw it; it decides nothing by itself."""

    response_status: int | None
    """HTTP status; None: no answer came."""
    retry_count: Annotated[int, Field(ge=0, le=3)] = 0
    backoff_delay: Annotated[int, Field(ge=0, le=600_000)] = 0
    """Milliseconds waited before the last retry."""
    error_type: ErrorType | None = None
    settlement: JsonObject | None = None
    """The seller's PAYMENT-RESPONSE; None: there was none."""
    answer: JsonObject | None = None
    """The data that was bought, when it shall be kept and is short."""

    @property
    def txid(self) -> str | None:
        """Transaction id that the seller claims; None: none."""
        claimed = (self.settlement or {}).get("transaction")
        return claimed if isinstance(claimed, str) and claimed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSnapshot:
    """What the chain said an agent has."""

    balance: TokenUnits
    currency: Currency
    threshold: TokenUnits
    """Smallest units below which paying pauses."""
    status: BalanceStatus
    snapshot_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One answer of a paid interface, or one refusal of the agent's own policy."""

    endpoint: str
    method: HttpMethod
    response_status: int | None
    """None: no answer came."""
    retry_attempts: int
    refusal: str | None
    """Code of the policy's refusal; None: it did not refuse."""
    transaction_id: AutopayTransactionId | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """An agent's money as policy looks at it."""

    agent_did: Did
    wallet_address: str
    funds_threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """A budget that differs from the sum of its transactions."""

    subject: str
    finding: str
