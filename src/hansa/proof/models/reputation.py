"""Reputation: what settled work says about an agent, and how that comes about."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did


class UpdateTrigger(StrEnum):
    """What kind of evidence moved a reputation, in the registry's words."""

    X402_SETTLEMENT = "x402_settlement"
    ZKP_PROOF = "zkp_proof"
    ORACLE_ATTESTATION = "oracle_attestation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The steps that lead to a reputation, from sums of weighted evidence that ages by the day."""

    success: float
    """R: full-weight successes, unverified ones as far as they are vouched for."""
    failure: float
    """F: the same of failures."""
    anchor: float
    """s: the part of the unverified evidence that counts."""
    mean: float
    """Expected success, with a prior that pulls towards 0.5."""
    lower_bound: float
    """The mean minus one standard deviation: few settlements prove little."""
    recent: float
    """The mean over recent evidence; without any it is the mean."""
    uncertainty: float
    """u: 1 nothing is known, 0 everything."""
    events: int
    """Settlements counted."""
    payers: int
    verified_payers: int
    first_settled_at: datetime
    last_settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reputation:
    """What an agent's settled work says about it."""

    agent: Did
    score: Decimal
    """0 (nothing proven) to 1, cut off after two decimals."""
    exact: float
    """The score in full precision."""
    update_trigger: UpdateTrigger | None
    """What kind of evidence moved it last; None: there is none yet."""
    last_updated: datetime | None
    """Time of the newest evidence; None: there is none yet."""
    scored_on: date | None
    """UTC day for which the score was worked out."""
    metadata: JsonObject
    """task_count, success_rate, avg_speed_ms; empty without evidence."""
    policy: str
    """The constants under which it was worked out."""
    explanation: Explanation | None
    """How the score comes about; None without evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """An agent in the list by reputation."""

    agent: Did
    score: Decimal
    update_trigger: UpdateTrigger | None
    last_updated: datetime
    metadata: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """A published score that was worked out anew."""

    agent: Did
    score: Decimal
    previous: Decimal | None
    """None: this is the first."""
    update_trigger: UpdateTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which reputation or trust is not what the evidence says."""

    kind: str
    """state, score, pair, capacity or trust."""
    subject: str
    """Whose."""
    finding: str
    """What is kept and what the evidence says."""
