"""Attacks on payments. AINP has payment requests and webhooks; here x402 and the chain stand in their place."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from solders.keypair import Keypair

from given.defects import defect
from given.identity import client_as
from given.payments import CENT, SOURCES, URL, address, drain, fault, payment, requirements, usdc_of, wallet
from hansa.infra.db import Actor, Db
from hansa.payments import queries
from hansa.payments.facilitator import Facilitator
from hansa.payments.models import ClaimState
from hansa.payments.routes import router
from hansa.payments.transactions import read_payment


@pytest.fixture
def buyer(rpc):
    return wallet(rpc, usdc=100 * CENT)


@pytest.fixture
def seller(rpc):
    return wallet(rpc)


@pytest.fixture
def terms(house, seller):
    return requirements(house, seller)


def claim_of(house, payload):
    with house.db.transaction() as tx:
        return queries.claim_of(tx, read_payment(payload).message_hash)


def told(owner):
    """The transactions of which the house has said that they paid."""
    rows = owner.execute("SELECT payload ->> 'txid' FROM ops.outbox WHERE name = 'payments.payment_settled'")
    return [txid for (txid,) in rows.fetchall()]


def agree(house):
    """Whether claims and their histories agree."""
    with house.db.transaction() as tx:
        return queries.reconcile(tx) == []


def another_purchase(payload, url):
    return payload.model_copy(update={"resource": payload.resource.model_copy(update={"url": url})})


@defect(
    "markpaid_no_account",
    "Instead of payment requests there is x402: paid is what the chain moved. A payee without a token account gets"
    " nothing, so nothing is called paid, and the buyer keeps the money.",
)
def test_a_payment_to_nobodys_account_is_not_paid(house, rpc, owner, buyer):
    nobody = Keypair()
    terms = requirements(house, nobody)
    payload = payment(house, buyer, terms)

    verified, settled = (act(payload, terms) for act in (Facilitator(house).verify, Facilitator(house).settle))

    assert (verified.is_valid, settled.success, settled.transaction) == (False, False, "")
    assert claim_of(house, payload).state is ClaimState.FAILED
    assert told(owner) == []
    assert usdc_of(rpc, buyer) == 100 * CENT
    assert agree(house)


@defect(
    "webhook_unsigned_amount",
    "No webhook is believed. The amount is the one that the payer signed and the chain moved; a request that asks for"
    " more is refused, over HTTP too.",
)
def test_who_reports_a_payment_does_not_say_how_much_it_was(house, rpc, owner, buyer, seller, terms):
    anybody = client_as(house, Actor(kind="anonymous"), router)
    payload = payment(house, buyer, terms)
    greedy = requirements(house, seller, amount=1_000_000_000)

    def settle(presented, wanted):
        body = {
            "x402Version": 2,
            "paymentPayload": presented.model_dump(by_alias=True, exclude_none=True),
            "paymentRequirements": wanted.model_dump(by_alias=True, exclude_none=True),
        }
        return anybody.post("/facilitator/settle", json=body).json()

    lied = [settle(payload, greedy), settle(payload.model_copy(update={"accepted": greedy}), greedy)]
    before = told(owner), usdc_of(rpc, seller)
    honest = settle(payload, terms)

    assert [answer["success"] for answer in lied] == [False, False]
    assert before == ([], 0)
    assert (honest["success"], honest["amount"]) == (True, str(CENT))
    assert owner.execute("SELECT amount FROM payments.claims WHERE state = 'confirmed'").fetchall() == [(CENT,)]
    assert (usdc_of(rpc, seller), usdc_of(rpc, buyer)) == (CENT, 99 * CENT)
    assert agree(house)


@defect(
    "tx_ref_reuse",
    "A payment is claimed before any work, once, for one purchase: of many purchases presented with it at the same time"
    " one is paid.",
)
def test_one_transaction_does_not_pay_two_purchases(house, rpc, owner, buyer, seller, terms):
    payload = payment(house, buyer, terms)
    purchases = [another_purchase(payload, f"{URL}/{number}") for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda one: Facilitator(house).settle(one, terms), purchases))
    late = [Facilitator(house).settle(one, terms) for one in (payload, another_purchase(payload, f"{URL}/late"))]

    assert sum(result.success for result in results) == 1
    refused = {result.error_reason for result in (*results, *late) if not result.success}
    assert refused == {"payment_bound_to_another_purchase"}
    [(txid, message)] = owner.execute("SELECT txid, message_hash FROM payments.claims").fetchall()
    assert told(owner) == [txid]
    assert usdc_of(rpc, seller) == CENT
    copy = "INSERT INTO payments.claims SELECT (jsonb_populate_record(claim, %s)).* FROM payments.claims AS claim"
    for changed, constraint in (({}, "one_claim_per_payment"), ({"message_hash": message[::-1]}, "one_claim_per_tr")):
        with pytest.raises(psycopg.errors.UniqueViolation, match=constraint):
            owner.execute(copy, [psycopg.types.json.Jsonb({"id": "00000000-0000-7000-8000-000000000001", **changed})])


@defect(
    "expired_payable",
    "A claim that expired or failed has ended: presented again it gets the same answer, and not even the database's"
    " owner makes it paid.",
)
def test_a_payment_that_expired_or_failed_is_not_paid_later(house, rpc, owner, seller, terms):
    poor = wallet(rpc, usdc=CENT, lamports=10_000_000)
    failing, expiring = payment(house, poor, terms), payment(house, wallet(rpc, usdc=CENT), terms)
    impatient = Facilitator(house, patience_s=0.3)

    fault(rpc, "hold_send")
    pending = [impatient.settle(failing, terms)]
    drain(rpc, poor)
    rpc.call("hansa_fault", {"fault": "release"})
    failed = Facilitator(house).settle(failing, terms)
    fault(rpc, "hold_send", times=99)
    pending.append(impatient.settle(expiring, terms))
    rpc.warp(slots=200)
    rpc.call("hansa_fault", {"fault": "release"})
    rpc.call("hansa_fault", {"fault": "clear"})
    expired = Facilitator(house).settle(expiring, terms)
    rpc.faucet(address(poor), usdc=10 * CENT)
    again = [Facilitator(house).settle(payload, terms) for payload in (failing, expiring)]

    assert [one.error_reason for one in pending] == ["settlement_pending"] * 2
    assert [one.error_reason for one in (failed, expired)] == ["transaction_failed", "transaction_expired"]
    assert again == [failed, expired]
    assert (usdc_of(rpc, seller), usdc_of(rpc, poor), told(owner)) == (0, 10 * CENT, [])
    with pytest.raises(psycopg.Error, match="cannot become"):
        owner.execute("UPDATE payments.claims SET state = 'confirmed', error = NULL")
    assert agree(house)


SETTLE_AND_DIE = """
import os, signal, sys
from pathlib import Path
import httpx
from x402.schemas import PaymentPayload, PaymentRequirements
from hansa.chain.client import ChainRpc
from hansa.infra.db import Db
from hansa.infra.seal import LocalKeyRing
from hansa.infra.services import Services
from hansa.infra.settings import Settings
from hansa.payments.facilitator import Facilitator

dsn, url, home, payload, terms = sys.argv[1:]
chain = ChainRpc(url)
send = chain.send

def send_and_die(raw, **options):
    send(raw, **options)
    os.kill(os.getpid(), signal.SIGKILL)

chain.send = send_and_die
with Db(dsn) as db, httpx.Client() as http:
    keys = LocalKeyRing.create(Path(home) / "other.json")
    services = Services(db=db, settings=Settings(home=Path(home)), http=http, chain=chain, keys=keys)
    Facilitator(services).settle(PaymentPayload.model_validate_json(payload), PaymentRequirements.model_validate_json(terms))
"""


@defect(
    "crash_between_deposit_and_commit",
    "What is sent was stored and committed before: a process killed with SIGKILL after sending is taken over from its"
    " row, and the payment is made and told once.",
)
def test_a_process_killed_after_it_paid_does_not_pay_again(house, rpc, owner, buyer, seller, terms):
    payload = payment(house, buyer, terms)
    arguments = [house.db.dsn, rpc.url, str(house.settings.home), payload.model_dump_json(), terms.model_dump_json()]

    killed = subprocess.run(
        [sys.executable, "-c", SETTLE_AND_DIE, *arguments], env={"PYTHONPATH": SOURCES}, check=False, timeout=60
    )
    left, already = claim_of(house, payload), told(owner)
    with ThreadPoolExecutor(4) as pool:
        delivered = list(pool.map(lambda _: Facilitator(house).settle(payload, terms), range(4)))

    assert killed.returncode == -9
    assert (left.state, already) == (ClaimState.SIGNED, [])
    assert {(one.success, one.transaction) for one in delivered} == {(True, left.txid)}
    assert told(owner) == [left.txid]
    assert (usdc_of(rpc, seller), usdc_of(rpc, buyer)) == (CENT, 99 * CENT)
    assert agree(house)


@defect(
    "markpaid_pool_deadlock",
    "A payment never holds a connection while it waits for anything, and never two: forty at once succeed on a pool of"
    " four.",
)
def test_forty_payments_at_once_share_four_connections(house, rpc, owner, buyer, seller, terms):
    payloads = [payment(house, buyer, terms) for _ in range(40)]

    with Db(house.db.dsn, size=4) as few, ThreadPoolExecutor(40) as pool:
        narrow = replace(house, db=few)
        results = list(pool.map(lambda payload: Facilitator(narrow).settle(payload, terms), payloads))

    assert [result.error_reason for result in results if not result.success] == []
    assert sorted(told(owner)) == sorted(result.transaction for result in results)
    assert (usdc_of(rpc, seller), usdc_of(rpc, buyer)) == (40 * CENT, 60 * CENT)
    assert agree(house)
