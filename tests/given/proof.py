"""Settled work and the evidence that it leaves."""

import itertools
from datetime import timedelta
from decimal import Decimal

from hansa.infra.keys import AgentKey
from hansa.kernel.money import Asset
from hansa.proof import commands
from hansa.proof.models import Outcome

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
