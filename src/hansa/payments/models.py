"""Rows and values of payments."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from hansa.kernel.ids import PaymentId
from hansa.kernel.money import Asset, TokenUnits


class Environment(StrEnum):
    """Which chain payments are made on."""

    LOCAL = "local"
    DEVNET = "devnet"
    MAINNET = "mainnet"


class ClaimState(StrEnum):
    """How far a payment is."""

    CLAIMED = "claimed"
    """Somebody works on it; nothing is signed, so nothing can land."""
    SIGNED = "signed"
    """We signed; whether it was sent is not known."""
    BROADCAST = "broadcast"
    """It was sent at least once; whether it landed is not known."""
    CONFIRMED = "confirmed"
    FAILED = "failed"
    """It was refused before we signed, or it landed with an error: no money moved."""
    EXPIRED = "expired"
    """It can no longer land: no money moved, and the buyer may pay anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainInstance:
    """A chain that this database has been used with."""

    environment: Environment
    network: str
    """CAIP-2 name."""
    genesis_hash: str
    instance: str | None
    """Id of a local chain; None for a cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is fixed about the chain of an environment."""

    environment: Environment
    genesis_hash: str
    mints: Mapping[str, Asset]
    """Tokens that are taken as payment, by the address of their mint. A token that is not listed may take fees on
    the way or be frozen by its issuer, so it is not money here."""

    @property
    def caip2(self) -> str:
        """The network as x402 names it."""
        return f"solana:{self.genesis_hash[:32]}"

    def mint_of(self, asset: Asset) -> str | None:
        """Address of an asset's mint; None: it does not exist on this chain."""
        return next((mint for mint, known in self.mints.items() if known is asset), None)


DEVNET_GENESIS = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
MAINNET_GENESIS = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
USDC_DEVNET = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
USDC_MAINNET = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
CASH_MAINNET = "CASHx9KJUStyftLFWGvEVf59SGeG9sh5FfcnZMVPCASH"

NETWORKS: Mapping[Environment, Network] = {
    environment: Network(environment=environment, genesis_hash=genesis, mints=mints)
    for environment, genesis, mints in (
        (Environment.LOCAL, DEVNET_GENESIS, {USDC_DEVNET: Asset.USDC}),
        (Environment.DEVNET, DEVNET_GENESIS, {USDC_DEVNET: Asset.USDC}),
        (Environment.MAINNET, MAINNET_GENESIS, {USDC_MAINNET: Asset.USDC, CASH_MAINNET: Asset.CASH}),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A payment as a buyer presented it, read and checked without the network."""

    message_hash: str
    """What names the payment: SHA-256 of the signed message, hex."""
    requirements_digest: str
    resource: str
    """URL it was presented for; empty when the seller named none."""
    payer: str
    pay_to: str
    asset: str
    """Address of the mint."""
    amount: TokenUnits
    memo: str
    fee_payer: str
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A payment in our hands."""

    id: PaymentId
    message_hash: str
    requirements_digest: str
    resource: str
    payer: str
    pay_to: str
    asset: str
    """Address of the mint."""
    amount: TokenUnits
    memo: str
    fee_payer: str
    network: str
    environment: Environment
    state: ClaimState
    txid: str | None
    """None: not signed."""
    transaction: bytes | None
    """With all signatures; None: not signed."""
    last_valid_block_height: int | None
    """It cannot land in a later block; None: not signed."""
    slot: int | None
    """Where it landed; None: nowhere that we know of."""
    error: str | None
    attempts: int
    leased_by: UUID
    lease_until: datetime
    created_at: datetime
    ended_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None


class Fate(StrEnum):
    """What the chain says about a transaction."""

    UNKNOWN = "unknown"
    """Not seen, and it may still land."""
    CONFIRMED = "confirmed"
    FAILED = "failed"
    """It landed with an error."""
    DEAD = "dead"
    """Not seen, and it cannot land any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The chain's word about a transaction."""

    fate: Fate
    txid: str | None = None
    slot: int | None = None
    error: str | None = None
    """The chain's own words, when it landed with an error."""
    finalized: bool = False
    """Whether the cluster will never take it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidAnswer:
    """The place of a paid answer: made, or being made."""

    message_hash: str
    resource: str
    leased_by: UUID
    lease_until: datetime
    status: int | None
    """HTTP status; None: being made."""
    headers: dict[str, Any] | None  # Any: JSON; names and values of headers
    body: bytes | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One way in which the records contradict each other."""

    subject: str
    finding: str
