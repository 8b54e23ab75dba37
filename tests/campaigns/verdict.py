"""Whether everything happened exactly once: what the house stores and the chain says, against the plan and the record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from campaigns.plan import FEED_PRICE, OPENING_USDC, STEPS, Plan
from campaigns.record import Reader
from campaigns.stage import Stage
from hansa.chain.client import ChainRpc
from hansa.chain.genesis import USDC_MINT
from hansa.chain.tokens import associated_token_address

SETTLED_WITHIN_S = 90.0
"""How long the worker may take for what the deals left to it; jobs of a killed worker are taken over after 30 s."""

EACH_DEAL_ONCE = {
    "intents": "SELECT count(*) FROM negotiation.intents",
    "intents that are fulfilled": "SELECT count(*) FROM negotiation.intents WHERE status = 'fulfilled'",
    "negotiations": "SELECT count(*) FROM negotiation.negotiations",
    "negotiations that are accepted": "SELECT count(*) FROM negotiation.negotiations WHERE state = 'accepted'",
    "settlements": "SELECT count(*) FROM negotiation.settlements",
    "holds": "SELECT count(*) FROM credits.holds",
    "holds that were captured": "SELECT count(*) FROM credits.holds WHERE state = 'captured'",
    "movements that capture": "SELECT count(*) FROM credits.credit_transactions WHERE key LIKE 'capture:%'",
    "tasks": "SELECT count(*) FROM market.tasks",
    "tasks that are completed": "SELECT count(*) FROM market.tasks WHERE status = 'completed'",
    "deliverables": "SELECT count(*) FROM market.task_deliverables",
    "reviews": "SELECT count(*) FROM market.reviews",
    "work records": "SELECT count(*) FROM proof.work_history_logs",
    "reputation events": "SELECT count(*) FROM proof.reputation_events",
    "reputation events that were counted": "SELECT count(*) FROM proof.reputation_events WHERE fold_position IS NOT NULL",
    "confirmed payments": "SELECT count(*) FROM payments.claims WHERE state = 'confirmed'",
}
"""Each of these has to be there once for every deal."""
NOTHING = {
    "live holds": "SELECT count(*) FROM credits.holds WHERE state = 'held'",
    "payments that failed or expired": "SELECT count(*) FROM payments.claims WHERE state IN ('failed', 'expired')",
    "denied hires": "SELECT count(*) FROM governance.decisions WHERE outcome = 'DENY'",
}
"""None of these may be left."""
LEFT_BEHIND = {
    "events undelivered": "SELECT count(*) FROM ops.outbox WHERE delivered_at IS NULL",
    "jobs todo, doing or failed": """
        SELECT count(*) FROM jobs.procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed')
    """,
    "payments without an end": "SELECT count(*) FROM payments.claims WHERE state IN ('claimed', 'signed', 'broadcast')",
    "purchases without an end": "SELECT count(*) FROM autopay.transactions WHERE status IN ('PENDING', 'RETRYING')",
    "settlements not yet counted": "SELECT count(*) FROM proof.reputation_events WHERE fold_position IS NULL",
}
"""What the worker is given some time for."""
DIFFERENCES = {
    "credits": "SELECT kind || ' ' || subject || ': ' || finding FROM credits.discrepancies",
    "proof": "SELECT kind || ' ' || subject || ': ' || finding FROM proof.differences",
    "payments": "SELECT subject || ': ' || finding FROM payments.discrepancies",
    "autopay": "SELECT subject || ': ' || finding FROM autopay.discrepancies",
    "discovery": "SELECT kind || ' ' || subject || ': ' || finding FROM discovery.differences",
}
"""Views that name every way in which a context contradicts itself; `hansa credits reconcile` and others show them."""

SETTLEMENTS = """
    SELECT negotiation_id::text, amount, agent_units, broker_units, validator_units, pool_units
      FROM negotiation.settlements
"""
BALANCES = """
    SELECT account, balance FROM credits.credit_accounts WHERE kind = 'agent'
     UNION ALL
    SELECT account, balance FROM credits.system_balances WHERE account = 'system:pool'
"""
STATISTICS = """
    SELECT agent.did, stats.tasks_completed, stats.hire_count, stats.total_earnings, stats.review_count, stats.stars
      FROM market.agent_stats AS stats
      JOIN registry.agents AS agent ON agent.id = stats.agent_id
"""
BUDGETS = "SELECT agent_did, spent, reserved FROM autopay.budgets"
CLAIMS = "SELECT txid FROM payments.claims WHERE state = 'confirmed'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What was there before the first deal."""

    chain_gifts: dict[str, str]
    """Name of the agent -> the transaction that gave it its test USDC."""
    feed_wallet: str
    """Who is paid for the market feed."""
    feed_balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that has to hold, and every way in which it does not."""

    title: str
    findings: list[str]


@dataclass
class Verdict:
    """All checks of a campaign whose deals are done."""

    stage: Stage
    plan: Plan
    reader: Reader
    opening: Opening

    def checks(self) -> list[Check]:
        """Every check with its findings; waits first until the worker has nothing to do."""
        every: list[tuple[str, Callable[[], Iterable[str]]]] = [
            ("every event was delivered, no job is left", self.left_behind),
            ("every deal reached its end", self.unfinished),
            ("no step was ever refused", self.refused),
            ("each deal left one row of everything", self.counted),
            ("each settlement paid the agreed shares", self.shares),
            ("every account and the pool hold what the plan says", self.balances),
            ("statistics count every deal once", self.statistics),
            ("books balanced: accounts, movements and holds equal their postings", lambda: self.differences("credits")),
            ("reputation and trust, counted again, are the same", lambda: self.differences("proof")),
            ("claims agree with their history and with what was sold", lambda: self.differences("payments")),
            ("budgets equal the sum of their payments", lambda: self.differences("autopay")),
            ("the search index shows what is stored", lambda: self.differences("discovery")),
            ("the audit chain verifies", lambda: self.told("audit", "verify")),
            ("one transaction on the chain for each paid call", self.payments),
            ("token balances moved by the price of each call", self.tokens),
            ("budgets spent the price of each call", self.budgets),
            ("nothing in the log that nobody expected", self.surprises),
        ]
        return [Check(title=title, findings=list(look())) for title, look in every]

    # --- deals -------------------------------------------------------------------------------------------------------

    def unfinished(self) -> Iterator[str]:
        for deal in self.plan.deals:
            answered = self.reader.answers.get(deal.n, {})
            if len(answered) < len(STEPS):
                yield f"deal {deal.n} ended before {next(step for step in STEPS if step not in answered)}"

    def refused(self) -> Iterator[str]:
        for line in self.reader.of("refused"):
            yield f"{line['step']} of deal {line['deal']}: {line['why']}"

    def counted(self) -> Iterator[str]:
        for what, statement in EACH_DEAL_ONCE.items():
            found = self.number(statement)
            if found != self.plan.size:
                yield f"{found} {what} for {self.plan.size} deals"
        for what, statement in NOTHING.items():
            found = self.number(statement)
            if found:
                yield f"{found} {what}"

    def shares(self) -> Iterator[str]:
        paid = {negotiation: rest for negotiation, *rest in self.stage.rows(SETTLEMENTS)}
        for deal in self.plan.deals:
            due = [deal.price, *deal.shares().values()]
            negotiation = self.answer(deal.n, "negotiate").get("id")
            if paid.get(negotiation) != due:
                yield f"deal {deal.n} ({negotiation}) is due {due} and paid {paid.get(negotiation)}"

    def balances(self) -> Iterator[str]:
        found = {account: int(balance) for account, balance in self.stage.rows(BALANCES)}
        due = self.plan.balances()
        names = {key.did: name for name, key in self.plan.agents.items()}
        for account in sorted({*found, *due}):
            if found.get(account, 0) != due.get(account, 0):
                who = names.get(account, account)
                yield f"{who} has {found.get(account, 0)} and should have {due.get(account, 0)}"

    def statistics(self) -> Iterator[str]:
        found = {did: [int(number) for number in numbers] for did, *numbers in self.stage.rows(STATISTICS)}
        for seller in self.plan.sellers:
            deals = list(self.plan.deals_of(seller))
            earned, stars = sum(deal.shares()["agent"] for deal in deals), sum(deal.rating for deal in deals)
            due = [len(deals), len(deals), earned, len(deals), stars]
            if deals and found.get(self.plan.agents[seller].did) != due:
                yield f"{seller} is counted {found.get(self.plan.agents[seller].did)} and should be {due}"

    # --- what the house says of itself -------------------------------------------------------------------------------

    def left_behind(self) -> Iterator[str]:
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while True:
            left = {what: self.number(statement) for what, statement in LEFT_BEHIND.items()}
            if not any(left.values()):
                return
            if time.monotonic() > deadline:
                yield ", ".join(f"{number} {what}" for what, number in left.items() if number)
                return
            time.sleep(0.2)

    def differences(self, context: str) -> Iterator[str]:
        for (finding,) in self.stage.rows(DIFFERENCES[context]):
            yield finding

    def told(self, *command: str) -> Iterator[str]:
        result = self.stage.operator(*command)
        if result.returncode:
            yield f"`hansa {' '.join(command)}` says: {(result.stdout + result.stderr).strip()[:2000]}"

    def surprises(self) -> Iterator[str]:
        """What the processes call unexpected; an outage is not."""
        for line in self.stage.logged():
            if line.get("event") in UNEXPECTED:
                yield f"{line['event']}: {line.get('path', line.get('thread', ''))} {str(line.get('exception', ''))[-700:]}"

    # --- the chain ---------------------------------------------------------------------------------------------------

    def payments(self) -> Iterator[str]:
        """The wallet's whole history is its opening gift and one transaction for each deal."""
        claimed = {txid for (txid,) in self.stage.rows(CLAIMS)}
        with self.chain() as chain:
            for seller in self.plan.sellers:
                paid = [self.answer(deal.n, "pay").get("txid") for deal in self.plan.deals_of(seller)]
                wallet = Pubkey.from_string(self.plan.agents[seller].wallet)
                history = chain.signatures_for(str(associated_token_address(wallet, USDC_MINT)))
                landed = Counter(
                    line.signature for line in history if line.signature != self.opening.chain_gifts[seller]
                )
                for txid in (landed - Counter(paid)).elements():
                    yield f"{seller} made the payment {txid}, which belongs to no deal"
                for txid in (Counter(paid) - landed).elements():
                    yield f"{seller} was told of the payment {txid}, which is on the chain {landed[txid]} times"
                for line in history:
                    if line.err is not None:
                        yield f"{seller} made the payment {line.signature}, which failed: {line.err}"
                for txid in {*paid} - claimed:
                    yield f"the payment {txid} of {seller} has no claim that is confirmed"

    def tokens(self) -> Iterator[str]:
        with self.chain() as chain:
            due = {
                name: (self.plan.agents[name].wallet, OPENING_USDC - FEED_PRICE * len(list(self.plan.deals_of(name))))
                for name in self.plan.sellers
            }
            due["the market feed"] = (
                self.opening.feed_wallet,
                self.opening.feed_balance + FEED_PRICE * self.plan.size,
            )
            for name, (wallet, units) in due.items():
                found = chain.token_balance(wallet, str(USDC_MINT))
                if found != units:
                    yield f"{name} has {found} units of USDC and should have {units}"

    def budgets(self) -> Iterator[str]:
        found = {did: (int(spent), int(reserved)) for did, spent, reserved in self.stage.rows(BUDGETS)}
        for seller in self.plan.sellers:
            due = (FEED_PRICE * len(list(self.plan.deals_of(seller))), 0)
            if found.get(self.plan.agents[seller].did) != due:
                yield f"the budget of {seller} says {found.get(self.plan.agents[seller].did)}, due is {due}"

    # --- looking -----------------------------------------------------------------------------------------------------

    def chain(self) -> ChainRpc:
        return ChainRpc((self.stage.home / "chain.url").read_text().strip())

    def number(self, statement: str) -> int:
        return int(self.stage.rows(statement)[0][0])

    def answer(self, deal: int, step: str) -> dict[str, Any]:
        return self.reader.answers.get(deal, {}).get(step, {})


UNEXPECTED = ("unexpected error", "work failed", "a rule was broken by a mistake of ours")
"""Events of the log that no outage explains."""
