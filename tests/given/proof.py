"""Settled work and the evidence that it leaves."""

import itertools
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from hansa.infra.keys import AgentKey
from hansa.kernel.money import Asset
from hansa.proof import commands
from hansa.proof.models import Outcome, WorkType

_numbers = itertools.count(1)


def a_payer():
    """Somebody who pays, whom nobody has heard of."""
    return AgentKey.generate().did


def outcome(tx, agent, **changes):
    """Work of an agent that a verified stranger has just accepted, on time and for a full-weight fee."""
    at = changes.pop("at", tx.at)
    facts = {
        "agent": agent,
        "payer": changes.pop("payer", None) or a_payer(),
        "subject_kind": "negotiation",
        "subject_id": f"deal-{next(_numbers)}",
        "outcome": Decimal(1),
        "amount": 10_000,
        "fee": 1000,
        "asset": Asset.CREDIT,
        "payer_verified": True,
        "started_at": at - timedelta(minutes=10),
        "due_at": at,
        "delivered_at": at - timedelta(minutes=5),
        "settled_at": at,
        "facts": {"task": "forecast"},
    }
    return Outcome(**(facts | changes))


def recorded(tx, agent, keys, **changes):
    """Work that is on record and not counted yet: its outcome and its log."""
    told = outcome(tx, agent, **changes)
    return told, commands.record_outcome(tx, told, keys)


def settled(tx, agent, keys, **changes):
    """Work that is on record and counted; the score that it led to."""
    told, _ = recorded(tx, agent, keys, **changes)
    commands.fold_trust(tx, told.ref)
    return commands.fold_reputation(tx, told.ref, at=tx.at).score


def proven(
    tx, agent, work_type=WorkType.COMPUTE, *, trace=None, worked_at=None, attestations=(), house=None, **metrics
):
    """Useful work that an agent proves now: 50 points of computing unless told otherwise."""
    return commands.record_usefulness(
        tx,
        by=agent,
        intent=uuid4(),
        work_type=work_type,
        metrics=metrics or {"compute_ms": 5000},
        trace=trace or f"trace-{uuid4()}",
        worked_at=worked_at or tx.at,
        attestations=attestations,
        house=house,
        at=tx.at,
    )


def bygone(owner, agent, score=50, *, ago, work_type="compute", trace=None):
    """Useful work that an agent proved some time ago, which only the owner of the tables can write down."""
    owner.execute(
        """
        INSERT INTO proof.usefulness_proofs
               (intent_id, agent_did, work_type, metrics, trace_id, usefulness_score, created_at, worked_at)
        SELECT uuidv7(), %s, %s, '{}', %s, %s, past.at, past.at
          FROM (SELECT clock_timestamp() - %s::interval AS at) AS past
        """,
        [agent, work_type, trace or str(uuid4()), score, ago],
    )
