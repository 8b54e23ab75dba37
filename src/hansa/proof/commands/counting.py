"""Counting evidence: reputation and trust follow what was recorded."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
from hansa.proof.events import ReputationChanged, TrustChanged
from hansa.proof.models import Rescored

FOLD_REPUTATION = Query(
    Rescored, "SELECT agent, score, previous, update_trigger FROM proof.fold_reputation(%(ref)s, %(day)s)"
)

FOLD_TRUST = Query(
    TrustChanged,
    """
    SELECT agent_did AS agent, score, reliability, honesty, competence, timeliness
      FROM proof.fold_trust(%(ref)s)
    """,
)

AGE_SCORES = Query(Rescored, "SELECT agent, score, previous, update_trigger FROM proof.age_scores(%(day)s, %(limit)s)")

REBUILD = Query(
    Rescored, "SELECT agent, score, previous, update_trigger FROM proof.rebuild_reputation(%(policy)s, %(day)s)"
)


def fold_reputation(tx: Tx, ref: str, *, at: datetime) -> Rescored | None:
    """Count one settlement towards its agent's reputation; None when it was counted before.

    Source: Proof-of-Service registry, +0.01 per settlement, bounded by what the evidence cost.
    """
    rescored = tx.maybe(FOLD_REPUTATION, ref=ref, day=utc_day(at))
    tell(tx, [rescored] if rescored else [])
    return rescored


def fold_trust(tx: Tx, ref: str) -> TrustChanged | None:
    """Count one piece of evidence towards the trust in its agent, by its weight; None when it was counted before.

    The weight is what its work cost, and is kept with it for ever: another policy changes reputations, not trust.
    Source: AINP.
    """
    changed = tx.maybe(FOLD_TRUST, ref=ref)
    if changed is not None:
        publish(tx, changed)
    return changed


def age_reputations(tx: Tx, *, at: datetime, limit: int = 1000) -> int:
    """Bring the scores of agents without fresh evidence to this day; returns how many were brought."""
    aged = tx.all(AGE_SCORES, day=utc_day(at), limit=limit)
    tell(tx, aged)
    return len(aged)


def adopt_policy(tx: Tx, policy: str, *, at: datetime) -> list[Rescored]:
    """Work out every reputation anew under a policy, from all evidence; also the repair of wrong numbers.

    Raises PolicyUnknown.
    """
    rescored = tx.all(REBUILD, policy=policy, day=utc_day(at))
    tell(tx, rescored)
    return rescored


def tell(tx: Tx, rescored: Sequence[Rescored]) -> None:
    """Publish the scores whose published digits are other ones now."""
    for row in rescored:
        if row.score != row.previous:
            publish(tx, ReputationChanged(agent=row.agent, score=row.score, trigger=row.update_trigger))


def utc_day(at: datetime) -> date:
    return at.astimezone(UTC).date()
