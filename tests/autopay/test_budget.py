"""Budgets hold, also for payments that are asked for at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from solders.keypair import Keypair

from given import registry
from given.payments import CENT, USDC
from hansa.autopay import commands, queries
from hansa.autopay.errors import BudgetExceeded, BudgetImpossible, PurchaseAlreadyStarted
from hansa.autopay.models import BudgetLimits, Currency, Intent, Terms, Transaction
from hansa.infra.db import Query
from hansa.kernel.errors import Denied
from hansa.payments.models import NETWORKS, Environment, Fate, Verdict

LOCAL = NETWORKS[Environment.LOCAL]


def a_buyer(services, **limits):
    with services.db.transaction() as tx:
        did = registry.agent(tx).did
        commands.set_budget(tx, did, BudgetLimits(**({"cap": 5 * CENT, "payment_max": CENT} | limits)))
    return did


def an_intent(purchase, *, amount=CENT):
    terms = Terms(
        scheme="exact",
        network=LOCAL.caip2,
        asset=USDC,
        amount=str(amount),
        payTo=str(Keypair().pubkey()),
        maxTimeoutSeconds=60,
    )
    url = "http://shop.example/feed"
    return Intent(x402_request_id=f"purchase {purchase}", url=url, resource=url, terms=terms, max_price=CENT)


def ask(services, did, intent):
    with services.db.transaction() as tx:
        return commands.intend(tx, did, intent, network=LOCAL, balance=100 * CENT)


def budget(services, did):
    with services.db.transaction() as tx:
        return queries.budget_of(tx, did, Currency.USDC)


def conclude(services, transaction, fate):
    with services.db.transaction() as tx:
        return commands.conclude(tx, transaction.id, Verdict(fate=fate))


def test_of_twelve_payments_at_once_against_a_budget_for_five_exactly_five_are_let_through(services):
    did = a_buyer(services)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: ask(services, did, an_intent(number)), range(12)))

    granted = [answer for answer in answers if isinstance(answer, Transaction)]
    refused = [answer.refusal for answer in answers if isinstance(answer, Denied)]
    assert (len(granted), len(refused)) == (5, 7)
    assert {type(refusal) for refusal in refused} == {BudgetExceeded}
    assert (budget(services, did).spent, budget(services, did).reserved) == (0, 5 * CENT)
    with services.db.transaction() as tx:
        assert len(queries.requests(tx, did)) == 12
        assert queries.reconcile(tx) == []


def test_a_dead_payment_gives_its_price_back_once(services):
    did = a_buyer(services)
    transaction = ask(services, did, an_intent(1))

    first, again = conclude(services, transaction, Fate.DEAD), conclude(services, transaction, Fate.DEAD)

    assert first.status == again.status == "FAILED"
    assert (budget(services, did).spent, budget(services, did).reserved) == (0, 0)


@pytest.mark.parametrize(
    ("error", "error_type"),
    [('{"InstructionError": [2, {"Custom": 1}]}', "INSUFFICIENT_FUNDS"), ('"AccountInUse"', "REJECTED")],
)
def test_a_payment_that_landed_with_an_error_is_failed_and_says_why(services, error, error_type):
    did = a_buyer(services)
    transaction = ask(services, did, an_intent(1))
    verdict = Verdict(fate=Fate.FAILED, txid=f"its id {did}", slot=7, error=error)

    with services.db.transaction() as tx:
        failed = commands.conclude(tx, transaction.id, verdict)

    assert (failed.status, failed.error_type, failed.hash) == ("FAILED", error_type, verdict.txid)
    assert budget(services, did).reserved == 0


def test_the_same_purchase_asked_for_twice_reserves_once_and_with_other_terms_is_refused(services):
    did = a_buyer(services)
    intent = an_intent(1)

    first, again = ask(services, did, intent), ask(services, did, intent)
    with pytest.raises(PurchaseAlreadyStarted):
        ask(services, did, an_intent(1, amount=CENT - 1))

    assert first == again
    assert budget(services, did).reserved == CENT


def test_the_cap_of_a_period_holds_until_the_next_one_begins(services, owner):
    did = a_buyer(services, period_cap=2 * CENT, period_s=60)
    granted = [ask(services, did, an_intent(number)) for number in range(3)]
    for transaction in granted[:2]:
        conclude(services, transaction, Fate.DEAD)
    owner.execute("UPDATE autopay.budgets SET period_spent = %s, spent = 0 WHERE agent_did = %s", [2 * CENT, did])
    full = ask(services, did, an_intent(4))

    owner.execute("UPDATE autopay.budgets SET period_started_at = now() - interval '61 s' WHERE agent_did = %s", [did])
    next_period = ask(services, did, an_intent(5))

    assert [type(one) for one in granted] == [Transaction, Transaction, Denied]
    assert isinstance(full, Denied)
    assert isinstance(full.refusal, BudgetExceeded)
    assert isinstance(next_period, Transaction)
    assert budget(services, did).period_spent == 0


def test_a_cap_cannot_be_set_below_what_is_reserved_already(services):
    did = a_buyer(services)
    for number in range(3):
        ask(services, did, an_intent(number))

    with pytest.raises(BudgetExceeded), services.db.transaction() as tx:
        commands.set_budget(tx, did, BudgetLimits(cap=2 * CENT, payment_max=CENT))

    assert budget(services, did).cap == 5 * CENT


def test_a_payment_cap_above_the_whole_budget_is_impossible(services):
    with pytest.raises(BudgetImpossible):
        a_buyer(services, cap=CENT, payment_max=2 * CENT)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE autopay.transaction_events SET status = 'SUCCESS'",
        "DELETE FROM autopay.transaction_events",
        "UPDATE autopay.api_request_logs SET refusal = NULL",
        "DELETE FROM autopay.api_request_logs",
        "DELETE FROM autopay.transactions",
    ],
)
def test_nobody_rewrites_what_an_agent_did(services, owner, statement):
    ask(services, a_buyer(services), an_intent(1))

    with pytest.raises(psycopg.errors.CheckViolation, match="stays as it was written"):
        owner.execute(statement)


def test_a_sum_above_the_cap_is_refused_by_postgresql_whoever_writes_it(services, owner):
    did = a_buyer(services)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute("UPDATE autopay.budgets SET spent = cap + 1 WHERE agent_did = %s", [did])

    assert refused.value.diag.constraint_name == "spending_within_the_budget"


def test_a_budget_that_was_tampered_with_is_found(services, owner):
    did = a_buyer(services)
    ask(services, did, an_intent(1))

    owner.execute("UPDATE autopay.budgets SET reserved = 0 WHERE agent_did = %s", [did])

    with services.db.transaction() as tx:
        found = queries.reconcile(tx)
    assert [one.subject for one in found] == [str(budget(services, did).id)]


def test_a_purchase_is_to_be_signed_within_five_minutes(services):
    transaction = ask(services, a_buyer(services), an_intent(1))

    left = Query(timedelta, "SELECT expires_at - created_at FROM autopay.transactions WHERE id = %(id)s")
    with services.db.transaction() as tx:
        assert timedelta(minutes=4, seconds=59) < tx.one(left, id=transaction.id) <= timedelta(minutes=5, seconds=1)
