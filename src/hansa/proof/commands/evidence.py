"""Noting what attesters and arbiters found out about an agent."""

from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
from hansa.proof.events import EvidenceNoted
from hansa.proof.models import Evidence

# No conflict target: naming one would demand that whoever attests may read the row that is there.
NOTE = Query(
    int,
    """
    INSERT INTO proof.trust_events
           (ref, agent_did, kind, work_ref, reliability, honesty, competence, occurred_at)
    VALUES (%(ref)s, %(agent)s, %(kind)s::proof.trust_evidence, %(work)s, %(reliability)s, %(honesty)s,
            %(competence)s, %(occurred_at)s)
    ON CONFLICT DO NOTHING
    """,
)


def note_evidence(tx: Tx, evidence: Evidence) -> None:
    """Write down what an attestation or a decided dispute says about an agent; once, the same ref again changes nothing.

    Belongs into the transaction that attests or decides; trust follows in a reaction to `EvidenceNoted`. Whether the
    one who says it may say it is for the caller to know.
    Raises AgentNotRegistered, EvidenceImpossible, OutcomeImpossible (it lies in the future), WorkNotSettled.
    """
    noted = tx.run(
        NOTE,
        ref=evidence.ref,
        agent=evidence.agent,
        kind=evidence.kind,
        work=evidence.work,
        reliability=evidence.reliability,
        honesty=evidence.honesty,
        competence=evidence.competence,
        occurred_at=evidence.occurred_at,
    )
    if noted:
        publish(tx, EvidenceNoted(ref=evidence.ref, agent=evidence.agent, kind=evidence.kind))
