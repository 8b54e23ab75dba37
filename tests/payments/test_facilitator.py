"""The facilitator pays once, whatever breaks; the numbers F.. name known attacks on and failures of facilitators."""

import base64
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams
from solders.system_program import transfer as sol_transfer
from x402.mechanisms.svm.constants import SOLANA_MAINNET_CAIP2

from given.payments import CENT, URL, address, drain, fault, payment, requirements, usdc_of, wallet
from hansa.infra.db import Query
from hansa.payments import queries
from hansa.payments.errors import ChainDiffers
from hansa.payments.facilitator import Facilitator
from hansa.payments.models import ClaimState
from hansa.payments.settlement import finish_left_behind
from hansa.payments.transactions import MEMO, read_payment
from hansa.payments.treasury import facilitator_key, prepare

PUBLISHED = Query(
    str,
    """
    SELECT payload ->> 'txid'
      FROM ops.outbox
     WHERE name = 'payments.payment_settled'
       AND payload ->> 'payer' = %(payer)s
    """,
)
CLAIMS = Query(int, "SELECT count(*) FROM payments.claims WHERE payer = %(payer)s")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def buyer(rpc):
    return wallet(rpc, usdc=10 * CENT)


@pytest.fixture
def seller(rpc):
    return wallet(rpc)


@pytest.fixture
def terms(services, seller):
    return requirements(services, seller)


def read(services, query, *args, **kwargs):
    with services.db.transaction() as tx:
        return query(tx, *args, **kwargs)


def published(services, buyer):
    """Transactions of the events that tell of this buyer's payments."""
    return read(services, lambda tx: tx.all(PUBLISHED, payer=address(buyer)))


def claims(services, buyer):
    return read(services, lambda tx: tx.one(CLAIMS, payer=address(buyer)))


def claim_of(services, payload):
    return read(services, queries.claim_of, read_payment(payload).message_hash)


def test_a_settled_payment_moves_exactly_the_price_and_leaves_its_history(
    services, facilitator, rpc, buyer, seller, terms
):
    payload = payment(services, buyer, terms)

    verified, settled = facilitator.verify(payload, terms), facilitator.settle(payload, terms)

    assert (verified.is_valid, verified.payer) == (True, address(buyer))
    assert (settled.success, settled.payer, settled.amount) == (True, address(buyer), str(CENT))
    assert (usdc_of(rpc, buyer), usdc_of(rpc, seller), rpc.balance(address(buyer))) == (9 * CENT, CENT, 0)
    assert rpc.signature_status(settled.transaction).succeeded
    assert read(services, queries.history_of, read_payment(payload).message_hash) == [
        ClaimState.CLAIMED,
        ClaimState.SIGNED,
        ClaimState.BROADCAST,
        ClaimState.CONFIRMED,
    ]
    assert published(services, buyer) == [settled.transaction]
    assert read(services, queries.reconcile) == []


def test_the_same_payment_settled_again_gets_the_first_result_but_verifies_no_more(
    services, facilitator, rpc, buyer, seller, terms
):
    payload = payment(services, buyer, terms)
    first = facilitator.settle(payload, terms)

    again, verified = Facilitator(services).settle(payload, terms), facilitator.verify(payload, terms)

    assert again == first
    assert (verified.is_valid, verified.invalid_reason) == (False, "duplicate_settlement")
    assert usdc_of(rpc, seller) == CENT


def test_f18_eight_workers_with_one_payment_make_it_once(services, rpc, buyer, seller, terms):
    payload = payment(services, buyer, terms)
    start = threading.Barrier(8)

    def settle(_):
        facilitator = Facilitator(services)
        start.wait()
        return facilitator.settle(payload, terms)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(settle, range(8)))

    assert {(result.success, result.transaction) for result in results} == {(True, results[0].transaction)}
    assert usdc_of(rpc, seller) == CENT
    assert published(services, buyer) == [results[0].transaction]


def own_key_in_a_memo(services):
    key = Pubkey.from_string(facilitator_key(services).wallet)
    return [Instruction(MEMO, b"I owe you", [AccountMeta(key, is_signer=True, is_writable=False)])]


def own_lamports(services):
    key = Pubkey.from_string(facilitator_key(services).wallet)
    return [sol_transfer(TransferParams(from_pubkey=key, to_pubkey=Pubkey.new_unique(), lamports=1))]


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"amount": CENT - 1}, "invalid_exact_svm_payload_amount_insufficient"),
        ({"amount": CENT + 1}, "invalid_exact_svm_payload_amount_insufficient"),
        ({"to": "11111111111111111111111111111112"}, "invalid_exact_svm_payload_recipient_mismatch"),
        ({"unit_limit": 1_400_000, "unit_price": 5_000_000}, "compute_price_instruction_too_high"),
        ({"unit_price": 500_001}, "compute_price_instruction_too_high"),
        ({"memos": []}, "invalid_exact_svm_payload_memo_count"),
        ({"memos": [b"one", b"two"]}, "invalid_exact_svm_payload_memo_count"),
        ({"memos": [b"\xff\xfe"]}, "invalid_exact_svm_payload_memo_mismatch"),
        ({"extra": own_key_in_a_memo, "memos": []}, "fee_payer_transferring_funds"),
        ({"extra": own_lamports}, "fee_payer_transferring_funds"),
        ({"signer": "a stranger"}, "invalid_exact_svm_payload_signature"),
    ],
    ids=str,
)
def test_a_flawed_transaction_is_refused_by_name_and_claims_nothing(
    services, facilitator, rpc, buyer, seller, terms, flaw, reason
):
    if callable(flaw.get("extra")):
        flaw = flaw | {"extra": flaw["extra"](services)}
    if "signer" in flaw:
        flaw = {"signer": wallet(rpc)}
    payload = payment(services, buyer, terms, **flaw)

    verified, settled = facilitator.verify(payload, terms), facilitator.settle(payload, terms)

    assert not verified.is_valid
    assert verified.invalid_reason.endswith(reason)
    assert (settled.success, settled.error_reason) == (False, verified.invalid_reason)
    assert claims(services, buyer) == 0
    assert usdc_of(rpc, seller) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": SOLANA_MAINNET_CAIP2}, "network_mismatch"),
        ({"scheme": "upto"}, "unsupported_scheme"),
        ({"asset": "11111111111111111111111111111112"}, "invalid_exact_svm_payload_mint_mismatch"),
        ({"amount": "1e4"}, "invalid_exact_svm_payload_amount_insufficient"),
    ],
    ids=str,
)
def test_f09_requirements_that_are_not_ours_are_refused(services, facilitator, buyer, seller, terms, changes, reason):
    payload = payment(services, buyer, terms)

    settled = facilitator.settle(payload, requirements(services, seller, **changes))

    assert (settled.success, settled.error_reason) == (False, reason)
    assert claims(services, buyer) == 0


@pytest.mark.parametrize("text", ["", "!", "AAAA", base64.b64encode(b"\x80" * 1300).decode(), None, 7])
def test_f27_garbage_is_refused(services, facilitator, buyer, terms, text):
    payload = payment(services, buyer, terms).model_copy(update={"payload": {"transaction": text}})

    verified = facilitator.verify(payload, terms)

    assert verified.invalid_reason == "invalid_exact_svm_payload_transaction_could_not_be_decoded"


def test_a_buyer_without_the_money_is_refused_for_good(services, facilitator, rpc, seller, terms):
    poor = wallet(rpc, usdc=CENT - 1)
    payload = payment(services, poor, terms)

    first, again = facilitator.settle(payload, terms), facilitator.settle(payload, terms)

    assert (first.success, first.transaction) == (False, "")
    assert "transaction_simulation_failed" in first.error_message
    assert again == first
    assert usdc_of(rpc, seller) == 0


def test_f19_of_two_payments_with_money_for_one_the_failed_one_is_no_success(services, rpc, seller, terms):
    buyer = wallet(rpc, usdc=CENT)
    first, second = (payment(services, buyer, terms) for _ in range(2))
    fault(rpc, "hold_send")
    held = Facilitator(services, patience_s=0.3).settle(first, terms)

    settled = Facilitator(services).settle(second, terms)
    rpc.call("hansa_fault", {"fault": "release"})
    outcome = Facilitator(services).settle(first, terms)

    assert held.error_reason == "settlement_pending"
    assert settled.success
    assert (outcome.success, outcome.error_reason, outcome.transaction) == (
        False,
        "transaction_failed",
        held.transaction,
    )
    assert "Custom" in outcome.error_message
    assert usdc_of(rpc, seller) == CENT


def test_f20_a_wallet_drained_before_the_payment_lands_is_a_failure(services, rpc, seller, terms):
    buyer = wallet(rpc, usdc=CENT, lamports=10_000_000)
    payload = payment(services, buyer, terms)
    fault(rpc, "hold_send")
    Facilitator(services, patience_s=0.3).settle(payload, terms)
    drain(rpc, buyer)

    rpc.call("hansa_fault", {"fault": "release"})
    outcome = Facilitator(services).settle(payload, terms)

    assert (outcome.success, outcome.error_reason) == (False, "transaction_failed")
    assert claim_of(services, payload).slot > 0
    assert usdc_of(rpc, seller) == 0


def die(*_, **__):
    raise Killed


def settle_until_killed(monkeypatch, rpc, step, killed, facilitator, payload, terms):
    """Settle with a process that ends at one step of its work with the chain."""
    with monkeypatch.context() as patched:
        patched.setattr(rpc, step, killed)
        with pytest.raises(Killed):
            facilitator.settle(payload, terms)


@pytest.mark.parametrize("sent", [True, False], ids=["killed after sending", "killed before sending"])
def test_f21_a_killed_facilitator_is_taken_over_and_the_payment_made_once(
    services, rpc, buyer, seller, terms, monkeypatch, sent
):
    payload = payment(services, buyer, terms)
    real = rpc.send

    def killed(raw, **options):
        if sent:
            real(raw, **options)
        raise Killed

    settle_until_killed(monkeypatch, rpc, "send", killed, Facilitator(services), payload, terms)
    left = claim_of(services, payload)

    outcome = Facilitator(services).settle(payload, terms)

    assert (left.state, left.txid is not None) == (ClaimState.SIGNED, True)
    assert (outcome.success, outcome.transaction) == (True, left.txid)
    assert usdc_of(rpc, seller) == CENT


def test_f21_the_tick_finishes_what_nobody_asks_for_again(services, rpc, buyer, seller, terms, monkeypatch):
    payload = payment(services, buyer, terms)
    impatient = Facilitator(services, lease=timedelta(seconds=0))
    settle_until_killed(monkeypatch, rpc, "send", die, impatient, payload, terms)

    for _ in range(2):  # the first sends it, the second sees it landed
        finish_left_behind(services)
        release_lease(services)

    assert claim_of(services, payload).state is ClaimState.CONFIRMED
    assert usdc_of(rpc, seller) == CENT
    assert len(published(services, buyer)) == 1


def test_the_tick_declares_nothing_dead_on_another_chain(services, rpc, buyer, terms, monkeypatch):
    payload = payment(services, buyer, terms)
    impatient = Facilitator(services, lease=timedelta(seconds=0))
    settle_until_killed(monkeypatch, rpc, "send", die, impatient, payload, terms)
    monkeypatch.setattr(rpc, "instance", lambda: "another chain altogether")

    with pytest.raises(ChainDiffers):
        finish_left_behind(services)

    assert claim_of(services, payload).state is ClaimState.SIGNED


def release_lease(services):
    due = Query(int, "UPDATE payments.claims SET lease_until = clock_timestamp() WHERE ended_at IS NULL")
    with services.db.transaction() as tx:
        tx.run(due)


def test_f21_a_worker_that_died_before_it_signed_loses_its_claim(services, rpc, buyer, seller, terms, monkeypatch):
    payload = payment(services, buyer, terms)
    impatient = Facilitator(services, lease=timedelta(seconds=0.2))
    settle_until_killed(monkeypatch, rpc, "latest_blockhash", die, impatient, payload, terms)

    outcome = Facilitator(services).settle(payload, terms)

    assert outcome.success
    assert claim_of(services, payload).attempts == 2
    assert usdc_of(rpc, seller) == CENT


def test_f22_a_chain_that_is_away_is_told_apart_and_costs_nothing(services, facilitator, rpc, buyer, seller, terms):
    payload = payment(services, buyer, terms)
    fault(rpc, "down:simulateTransaction", times=2)

    verified, settled = facilitator.verify(payload, terms), facilitator.settle(payload, terms)
    later = facilitator.settle(payload, terms)

    assert (verified.is_valid, verified.invalid_reason) == (False, "rpc_unavailable")
    assert (settled.success, settled.error_reason) == (False, "rpc_unavailable")
    assert later.success
    assert usdc_of(rpc, seller) == CENT


def test_f23_a_lost_reply_to_the_send_is_a_success_all_the_same(services, facilitator, rpc, buyer, seller, terms):
    payload = payment(services, buyer, terms)
    fault(rpc, "lose:sendTransaction")

    first, again = facilitator.settle(payload, terms), facilitator.settle(payload, terms)

    assert (first.success, first.transaction != "") == (True, True)
    assert again == first
    assert usdc_of(rpc, seller) == CENT


def test_f24_a_payment_whose_fate_is_not_known_is_pending_and_never_failed(services, rpc, buyer, seller, terms):
    payload = payment(services, buyer, terms)
    fault(rpc, "down:getSignatureStatuses", times=99)

    pending = Facilitator(services, patience_s=0.3).settle(payload, terms)
    rpc.call("hansa_fault", {"fault": "clear"})
    settled = Facilitator(services).settle(payload, terms)

    assert (pending.success, pending.error_reason) == (False, "settlement_pending")
    assert (settled.success, settled.transaction) == (True, pending.transaction)
    assert usdc_of(rpc, seller) == CENT


def test_a_payment_that_can_no_longer_land_expires_and_the_next_one_is_free(services, rpc, buyer, seller, terms):
    payload = payment(services, buyer, terms)
    fault(rpc, "drop_send", times=99)
    pending = Facilitator(services, patience_s=0.3).settle(payload, terms)
    rpc.warp(slots=200)
    rpc.call("hansa_fault", {"fault": "clear"})

    expired = Facilitator(services).settle(payload, terms)
    anew = Facilitator(services).settle(payment(services, buyer, terms), terms)

    assert pending.error_reason == "settlement_pending"
    assert (expired.success, expired.error_reason) == (False, "transaction_expired")
    assert anew.success
    assert usdc_of(rpc, seller) == CENT


@pytest.mark.parametrize("ended", [True, False], ids=["settled", "pending"])
def test_f25_a_payment_that_was_presented_buys_nothing_else(services, rpc, buyer, seller, terms, ended):
    payload = payment(services, buyer, terms)
    if not ended:
        fault(rpc, "hold_send")
    Facilitator(services, patience_s=0.3).settle(payload, terms)
    other_seller = requirements(services, wallet(rpc), amount=900 * CENT)
    other_terms = terms.model_copy(update={"max_timeout_seconds": 61})
    elsewhere = payload.model_copy(update={"resource": payload.resource.model_copy(update={"url": URL + "/dear"})})
    facilitator = Facilitator(services, keeps_answers=True)

    refused = [
        facilitator.settle(payload, other_seller),
        facilitator.settle(payload, other_terms),
        facilitator.settle(elsewhere, terms),
    ]
    verified = [facilitator.verify(payload, other_terms), facilitator.verify(elsewhere, terms)]

    assert [result.success for result in refused] == [False, False, False]
    assert [result.error_reason for result in refused[1:]] == ["payment_bound_to_another_purchase"] * 2
    assert [result.invalid_reason for result in verified] == ["payment_bound_to_another_purchase"] * 2
    assert usdc_of(rpc, seller) == (CENT if ended else 0)


def test_another_local_chain_is_refused_by_name(services, rpc, monkeypatch):
    monkeypatch.setattr(rpc, "instance", lambda: "another chain altogether")

    with pytest.raises(ChainDiffers) as refused:
        prepare(services)

    assert refused.value.facts["found"] == "another chain altogether"
    assert refused.value.facts["known"] != "another chain altogether"


@pytest.mark.parametrize("environment", ["devnet", "mainnet"])
def test_a_local_chain_does_not_pass_for_a_cluster(services, environment):
    mistaken = dataclasses.replace(services, settings=services.settings.model_copy(update={"environment": environment}))

    with pytest.raises(ChainDiffers):
        prepare(mistaken)


def test_nobody_rewrites_the_history_of_a_payment(services, facilitator, owner, buyer, terms):
    facilitator.settle(payment(services, buyer, terms), terms)

    with pytest.raises(Exception, match="stays as it was written"):
        owner.execute("UPDATE payments.claim_events SET state = 'failed'")
    with pytest.raises(Exception, match="cannot become"):
        owner.execute("UPDATE payments.claims SET state = 'failed', error = 'x'")


def test_the_facts_of_a_transfer_are_read_from_the_signed_bytes(services, buyer, seller, terms):
    payload = payment(services, buyer, terms, memos=[b"order 7"])

    found = read_payment(payload)

    assert (found.memo, found.transfer.amount, found.fee_lamports) == ("order 7", CENT, 10_001)
    assert str(found.transfer.authority) == address(buyer)
