"""Usefulness: proofs of useful work, and what they say about an agent."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType
from uuid import UUID

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import IntentId

UsefulnessId = NewType("UsefulnessId", UUID)


class WorkType(StrEnum):
    """What kind of useful work an agent proves, in AINP's words."""

    COMPUTE = "compute"
    MEMORY = "memory"
    ROUTING = "routing"
    VALIDATION = "validation"
    LEARNING = "learning"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessProof:
    """One piece of useful work, as the agent told it and the formula scored it."""

    id: UsefulnessId
    intent: IntentId
    """What the work served."""
    agent: Did
    work_type: WorkType
    metrics: JsonObject
    """What the agent measured itself."""
    attestations: int
    """How many verified credentials over settled work stand behind it."""
    trace: str
    """The agent's own name for the work."""
    usefulness_score: Decimal
    """0 to 100."""
    worked_at: datetime
    """The agent's own time of the work."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessOfType:
    """What an agent's proofs of one type of work say."""

    work_type: WorkType
    score: Decimal
    """Plain mean over the last 30 days, 0 to 100, two decimals."""
    proofs: int
    """How many it stands on."""
    best_score: Decimal
    """The highest of them."""
    best_proof: UsefulnessId
    """The first proof that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """What an agent's proofs of useful work say about it now."""

    agent: Did
    score: Decimal
    """Plain mean over the last 30 days, 0 to 100, two decimals; 0 without proofs."""
    proofs: int
    """How many it stands on."""
    by_work_type: list[UsefulnessOfType]
    """The same by type of work; types without proofs are left out."""
    published: Decimal
    """The mean that search ranks by: the one of the last computation."""
    published_at: datetime | None
    """When that was; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessRefreshed:
    """An agent beside which its usefulness was written."""

    agent: Did
    score: Decimal
    previous: Decimal
