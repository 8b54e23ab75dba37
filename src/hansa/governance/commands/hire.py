"""The hire gate: the one place that says whether an agent may hire another, and keeps every answer."""

from dataclasses import asdict, dataclass
from datetime import datetime

from hansa.governance.commands.audit import record
from hansa.governance.errors import HireDenied
from hansa.governance.models import SUPPLIER, Decision, HireRules, Outcome, points
from hansa.governance.queries import hire_rules
from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did, did_public_key
from hansa.kernel.money import Credits
from hansa.proof import queries as proof
from hansa.registry import queries as registry
from hansa.registry.errors import AgentUnknown
from hansa.registry.models import Agent

FILE = Query(
    Decision,
    """
    SELECT id, subject, buyer_did, seller_did, amount, outcome, reasons, policy, decided_at
      FROM governance.file_decision(%(subject)s, %(buyer)s, %(seller)s, %(amount)s, %(reasons)s::text[], %(policy)s,
                                    %(at)s)
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The seller as the gate sees it."""

    did: Did
    registered: bool
    retired_at: datetime | None = None
    expires_at: datetime | None = None
    """End of its registration; None: it has none."""
    of_the_buyer: bool = False
    """Whether the account behind the buyer stands behind the seller too."""
    trust_points: int
    """Trust on the scale 0 to 1000; 500 without any evidence."""


def decide_hire(tx: Tx, *, buyer: Did, seller: Did, amount: Credits, subject: str, at: datetime) -> Decision:
    """Say whether a buyer may hire a seller for an amount, and keep the answer with all that it looked at.

    A denial is a value, so that its evidence is committed: answer it with `Denied(hire_refusal(decision))`.
    Every gate is asked in a fixed order, and all that speaks against the hire is told at once.
    """
    candidate = candidate_of(tx, buyer, seller, at)
    rules = hire_rules(tx, buyer, seller, SUPPLIER)
    reasons = reasons_against(buyer, candidate, rules, at)
    policy = {
        **asdict(rules),
        "role_title": SUPPLIER,
        "seller_registered": candidate.registered,
        "seller_retired_at": candidate.retired_at and candidate.retired_at.isoformat(),
        "seller_expires_at": candidate.expires_at and candidate.expires_at.isoformat(),
        "seller_of_the_buyer": candidate.of_the_buyer,
        "seller_trust_points": candidate.trust_points,
    }
    decision = tx.one(
        FILE, subject=subject, buyer=buyer, seller=seller, amount=amount, reasons=reasons, policy=policy, at=at
    )
    record(
        tx,
        action="hire.allowed" if decision.outcome is Outcome.ALLOW else "hire.denied",
        entity="decision",
        entity_id=str(decision.id),
        organization=rules.organization_id or rules.organization_closed,
        role_agent=rules.buyer_role_agent,
        facts={"subject": subject, "buyer": buyer, "seller": seller, "amount": amount, "reasons": reasons},
    )
    return decision


def candidate_of(tx: Tx, buyer: Did, seller: Did, at: datetime) -> Candidate:
    """What the registry and the evidence say about a seller."""
    trust_points = points(proof.trust_of(tx, seller, at).score)
    agent, hirer = known_agent(tx, seller), known_agent(tx, buyer)
    if agent is None:
        return Candidate(did=seller, registered=False, trust_points=trust_points)
    return Candidate(
        did=seller,
        registered=True,
        retired_at=agent.retired_at,
        expires_at=agent.expires_at,
        of_the_buyer=hirer is not None and hirer.creator_user_id == agent.creator_user_id,
        trust_points=trust_points,
    )


def known_agent(tx: Tx, did: Did) -> Agent | None:
    try:
        return registry.agent_of(tx, did)
    except AgentUnknown:
        return None


def reasons_against(buyer: Did, seller: Candidate, rules: HireRules, at: datetime) -> list[str]:
    """What speaks against a hire, each a stable code and words, in the order of the gates; empty allows it."""
    gates = [
        (not seller.registered, f"seller_unknown: {seller.did} is not registered"),
        (seller.retired_at is not None, f"seller_retired: since {seller.retired_at}"),
        (seller.expires_at is not None and seller.expires_at <= at, f"seller_expired: since {seller.expires_at}"),
        (seller.of_the_buyer or same_key(buyer, seller.did), "buyer_is_seller: an agent cannot hire itself"),
        (rules.organization_closed is not None, f"organization_closed: {rules.organization_closed} hires nobody"),
        (rules.seller_status is not None, f"seller_role_not_active: {rules.seller_status}"),
        (rules.buyer_status is not None, f"buyer_role_not_active: {rules.buyer_status}"),
        (
            rules.min_trust_score is not None and seller.trust_points < rules.min_trust_score,
            f"trust_below_policy: {seller.trust_points} < {rules.min_trust_score or 0:g}",
        ),
    ]
    return [reason for stands_against, reason in gates if stands_against]


def same_key(one: Did, other: Did) -> bool:
    """Whether two DIDs are one agent: the same text, or two spellings of one key (did:key, did:sol)."""
    key = did_public_key(one)
    return one == other or (key is not None and key == did_public_key(other))


def hire_refusal(decision: Decision) -> HireDenied:
    """A denial as the refusal that a route answers with."""
    return HireDenied("; ".join(decision.reasons), reasons=decision.reasons, decision=str(decision.id))
