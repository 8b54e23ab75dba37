"""Trust: evidence of audits and disputes beside settled work, and what all of it says about an agent now."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from hansa.kernel.dids import Did

CONFIRMED, REFUTED = 0.95, 0.05
"""Samples of what turned out right or wrong, as AINP has them for work: one piece of evidence proves nothing for good."""


class EvidenceKind(StrEnum):
    """What a piece of evidence about an agent is."""

    WORK = "work"
    ATTESTATION = "attestation"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an attestation or a decided dispute says about an agent; settled work tells it by its Outcome.

    Each sample is 0 to 1, and None says nothing about that dimension. `of_audit` and `of_dispute` know the samples.
    """

    ref: str
    """What was attested or decided, `kind:id`; it counts once."""
    agent: Did
    kind: EvidenceKind
    reliability: float | None = None
    honesty: float | None = None
    competence: float | None = None
    work: str | None = None
    """The settled work it is about, as `Outcome.ref` has it: the evidence weighs what that work cost, because words
    about a deal that cost nothing cost nothing either. None: about no single piece of work, full weight."""
    occurred_at: datetime

    @classmethod
    def of_audit(
        cls, *, ref: str, agent: Did, passed: bool, score: float | None, work: str | None, occurred_at: datetime
    ) -> Self:
        """An independent attester examined the work: it is what it claimed to be, or not, and this good (0 to 1;
        None: nobody said how good).
        """
        return cls(
            ref=ref,
            agent=agent,
            kind=EvidenceKind.ATTESTATION,
            honesty=CONFIRMED if passed else REFUTED,
            competence=score,
            work=work,
            occurred_at=occurred_at,
        )

    @classmethod
    def of_dispute(
        cls,
        *,
        ref: str,
        agent: Did,
        upheld: bool,
        work_failed: bool = False,
        work: str | None,
        occurred_at: datetime,
    ) -> Self:
        """A dispute was decided: for the agent (`upheld`) or against it; `work_failed`: and what it did was no good."""
        return cls(
            ref=ref,
            agent=agent,
            kind=EvidenceKind.DISPUTE,
            reliability=REFUTED if work_failed else None,
            honesty=CONFIRMED if upheld else REFUTED,
            work=work,
            occurred_at=occurred_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCount:
    """How many pieces of evidence of each kind were counted, whatever they weigh."""

    work: int
    attestations: int
    disputes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Trust in an agent at one instant: what is known fades towards the neutral 0.5."""

    agent: Did
    score: float
    """0 to 1: 35 % reliability, 35 % honesty, 20 % competence, 10 % timeliness."""
    reliability: float
    honesty: float
    competence: float
    timeliness: float
    decay_rate: float
    """What is left of the distance from 0.5 after a day."""
    last_updated: datetime | None
    """Time of the newest evidence; None: there is none."""
    as_of: datetime
    """The instant for which the numbers stand."""
    evidence: EvidenceCount
    literal_score: float
    """The score if it fell to 0 in silence, as AINP's rule has it; for comparison, nothing decides by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustMove:
    """A counted piece of evidence and what it said: each sample 0 to 1, None where it says nothing."""

    position: int
    """Its place in the order of counting, over all agents."""
    kind: EvidenceKind
    ref: str | None
    """What it is about; None for all but the agent itself, since private deals have their names in it."""
    reliability: float | None
    honesty: float | None
    competence: float | None
    timeliness: float | None
    weight: float
    """How far it counts, 0 to 1: a full-weight piece moves a dimension by a fifth of the way to its sample."""
    occurred_at: datetime
