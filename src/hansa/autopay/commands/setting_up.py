"""How an agent is set up to pay: its phase, its budgets, and what it has."""

from __future__ import annotations

from dataclasses import asdict

from hansa.autopay import queries
from hansa.autopay.models import (
    AutonomyPhase,
    AutopayAgent,
    BalanceSnapshot,
    Budget,
    BudgetLimits,
    Currency,
    PriorityRules,
)
from hansa.infra.db import Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.money import TokenUnits
from hansa.registry import queries as registry

ENSURE_AGENT = Query(
    int, "INSERT INTO autopay.agents (agent_did) VALUES (%(agent)s) ON CONFLICT (agent_did) DO NOTHING"
)

CONFIGURE = Query(
    AutopayAgent,
    """
    INSERT INTO autopay.agents (agent_did, autonomy_phase, priority_rules)
    VALUES (%(agent)s, %(phase)s::autopay.autonomy_phase, %(rules)s)
    ON CONFLICT (agent_did) DO UPDATE
       SET autonomy_phase = excluded.autonomy_phase,
           priority_rules = excluded.priority_rules,
           updated_at = clock_timestamp()
    RETURNING agent_did, autonomy_phase, priority_rules, created_at, updated_at
    """,
)

SET_BUDGET = Query(
    Budget,
    """
    INSERT INTO autopay.budgets AS budget (
           agent_did, currency, cap, payment_max, period_cap, period_s, hosts)
    VALUES (%(agent)s, %(currency)s::autopay.currency, %(cap)s, %(payment_max)s, %(period_cap)s, %(period_s)s,
            %(hosts)s)
    ON CONFLICT (agent_did, currency) DO UPDATE
       SET cap = excluded.cap,
           payment_max = excluded.payment_max,
           period_cap = excluded.period_cap,
           period_s = excluded.period_s,
           hosts = excluded.hosts,
           updated_at = clock_timestamp()
    RETURNING id, agent_did, currency, cap, payment_max, period_cap, period_s, period_started_at,
              period_spent, spent, reserved, hosts
    """,
)

SNAPSHOT = Query(
    BalanceSnapshot,
    """
    INSERT INTO autopay.balance_snapshots (agent_did, balance, currency, threshold)
    VALUES (%(agent)s, %(balance)s, %(currency)s::autopay.currency, %(threshold)s)
    RETURNING balance, currency, threshold, status, snapshot_at
    """,
)


def configure(tx: Tx, agent: Did, *, phase: AutonomyPhase, rules: PriorityRules) -> AutopayAgent:
    """Say how far an agent pays by itself. Raises AgentUnknown, RulesMalformed."""
    registry.agent_of(tx, agent)
    return tx.one(CONFIGURE, agent=agent, phase=phase, rules=asdict(rules))


def set_budget(tx: Tx, agent: Did, limits: BudgetLimits) -> Budget:
    """Set what an agent may spend in one currency; what is spent and reserved already counts.

    Raises AgentUnknown, BudgetImpossible, BudgetExceeded (more is spent and reserved than the new caps allow).
    """
    registry.agent_of(tx, agent)
    tx.run(ENSURE_AGENT, agent=agent)
    hosts = [host.lower() for host in limits.hosts]
    return tx.one(SET_BUDGET, agent=agent, **(asdict(limits) | {"hosts": hosts}))


def note_balance(tx: Tx, agent: Did, *, balance: TokenUnits, currency: Currency, threshold: int) -> BalanceSnapshot:
    """Remember what the chain said an agent has."""
    return tx.one(SNAPSHOT, agent=agent, balance=balance, currency=currency, threshold=threshold)


def note_changed_balance(
    tx: Tx, agent: Did, *, balance: TokenUnits, currency: Currency, threshold: int
) -> BalanceSnapshot | None:
    """Remember a balance when it, or the threshold, is another than before; None: it is the same."""
    last = queries.balance_of(tx, agent, currency)
    if last is not None and (last.balance, last.threshold) == (balance, threshold):
        return None
    return note_balance(tx, agent, balance=balance, currency=currency, threshold=threshold)
