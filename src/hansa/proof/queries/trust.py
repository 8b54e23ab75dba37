"""What can be read of trust and the evidence behind it."""

from datetime import datetime

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.proof.models import Trust, TrustMove

TRUST = Query(
    Trust,
    """
    SELECT asked.agent,
           coalesce(proof.towards_neutral(known.score, idle.days, known.decay_rate), 0.5) AS score,
           coalesce(proof.towards_neutral(known.reliability, idle.days, known.decay_rate), 0.5) AS reliability,
           coalesce(proof.towards_neutral(known.honesty, idle.days, known.decay_rate), 0.5) AS honesty,
           coalesce(proof.towards_neutral(known.competence, idle.days, known.decay_rate), 0.5) AS competence,
           coalesce(proof.towards_neutral(known.timeliness, idle.days, known.decay_rate), 0.5) AS timeliness,
           coalesce(known.decay_rate, 0.977) AS decay_rate, known.last_updated, %(at)s::timestamptz AS as_of,
           jsonb_build_object('work', coalesce(known.work_count, 0),
                              'attestations', coalesce(known.attestation_count, 0),
                              'disputes', coalesce(known.dispute_count, 0)) AS evidence,
           coalesce(proof.apply_trust_decay(known.score, idle.days, known.decay_rate), 0.5) AS literal_score
      FROM (SELECT %(agent)s::text AS agent) AS asked
      LEFT JOIN proof.trust_scores AS known ON known.agent_did = asked.agent
     CROSS JOIN LATERAL (SELECT proof.days_between(known.last_updated, %(at)s) AS days) AS idle
    """,
)

TRUST_MOVES = Query(
    TrustMove,
    """
    SELECT event.fold_position AS position, event.kind,
           CASE WHEN event.agent_did = %(reader)s THEN event.ref END AS ref,
           said.reliability, said.honesty, said.competence, said.timeliness, event.weight, event.occurred_at
      FROM proof.trust_events AS event
     CROSS JOIN LATERAL proof.trust_samples(event) AS said
     WHERE event.agent_did = %(agent)s
       AND event.fold_position < coalesce(%(before)s, 9223372036854775807)
     ORDER BY event.fold_position DESC
     LIMIT %(limit)s
    """,
)


def trust_of(tx: Tx, agent: Did, at: datetime) -> Trust:
    """Trust in an agent at one instant; neutral without evidence. Source: AINP trust vector."""
    return tx.one(TRUST, agent=agent, at=at)


def trust_moves(tx: Tx, agent: Did, *, reader: str, before: int | None = None, limit: int = 50) -> Page[TrustMove]:
    """The evidence that was counted about an agent, the last first; `reader` is the DID proven by the request, or empty.

    `before` is the position where the page before ended.
    """
    rows = tx.all(TRUST_MOVES, agent=agent, reader=reader, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: f"p{last.position}")
