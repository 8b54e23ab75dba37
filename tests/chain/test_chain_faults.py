"""Faults that tests ask for: each breaks one thing and leaves the rest whole."""

import time

import httpx
import pytest
from chain_given import SOL, USDC, address, signature_of, usdc_payment, wallet

from hansa.chain.client import ChainRejected, ChainRpc, ChainUnreachable


@pytest.fixture
def payment(rpc):
    payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
    return usdc_payment(rpc, payer, payee, 40), address(payee)


def test_a_dropped_transaction_is_answered_and_never_lands(rpc, payment):
    raw, payee = payment
    rpc.call("hansa_fault", {"fault": "drop_send"})

    signature = rpc.send(raw)

    assert signature == signature_of(raw)
    assert rpc.signature_status(signature) is None
    assert rpc.token_balance(payee, USDC) == 0
    assert rpc.signature_status(rpc.send(raw)).succeeded


def test_a_held_transaction_lands_when_it_is_released(rpc, payment):
    raw, payee = payment
    rpc.call("hansa_fault", {"fault": "hold_send"})
    rpc.send(raw)
    held = rpc.token_balance(payee, USDC)

    released = rpc.call("hansa_fault", {"fault": "release"})

    assert held == 0
    assert released == [signature_of(raw)]
    assert rpc.token_balance(payee, USDC) == 40


def test_a_transaction_held_past_its_blockhash_never_lands(rpc, payment):
    raw, payee = payment
    rpc.call("hansa_fault", {"fault": "hold_send"})
    rpc.send(raw)
    rpc.warp(slots=151)

    released = rpc.call("hansa_fault", {"fault": "release"})

    assert released == []
    assert rpc.token_balance(payee, USDC) == 0


def test_a_lost_answer_leaves_the_work_done(rpc, payment):
    raw, payee = payment
    rpc.call("hansa_fault", {"fault": "lose:sendTransaction"})

    with pytest.raises(ChainUnreachable, match="sendTransaction"):
        rpc.send(raw)

    assert rpc.signature_status(signature_of(raw)).succeeded
    assert rpc.token_balance(payee, USDC) == 40


def test_a_method_that_is_down_does_nothing_as_often_as_asked(rpc, payment):
    raw, payee = payment
    rpc.call("hansa_fault", {"fault": "down:sendTransaction", "times": 2})

    for _ in range(2):
        with pytest.raises(ChainUnreachable, match="HTTP 503"):
            rpc.send(raw)

    assert rpc.token_balance(payee, USDC) == 0
    assert rpc.signature_status(rpc.send(raw)).succeeded


def test_a_delay_longer_than_the_timeout_is_unreachable_and_others_are_served_meanwhile(chain, rpc):
    rpc.call("hansa_fault", {"fault": "delay:getSlot", "ms": 400})
    begun = time.monotonic()

    with ChainRpc(chain.url, timeout_s=0.1) as impatient, pytest.raises(ChainUnreachable):
        impatient.slot()
    rpc.block_height()

    assert time.monotonic() - begun < 0.4


def test_clearing_disarms_what_is_left(rpc):
    rpc.call("hansa_fault", {"fault": "down:getSlot", "times": 9})

    rpc.call("hansa_fault", {"fault": "clear"})

    assert rpc.slot() > 0


def test_an_unknown_fault_is_refused(rpc):
    with pytest.raises(ChainRejected, match="unknown fault 'explode'"):
        rpc.call("hansa_fault", {"fault": "explode"})


def test_without_the_option_there_are_no_faults(tmp_path, started):
    with ChainRpc(started(tmp_path).url) as rpc, pytest.raises(ChainRejected) as refused:
        rpc.call("hansa_fault", {"fault": "drop_send"})

    assert refused.value.code == -32601


def test_a_chain_that_is_not_there_is_unreachable(tmp_path, started):
    process = started(tmp_path)
    process.stop()

    with ChainRpc(process.url) as rpc, pytest.raises(ChainUnreachable):
        rpc.slot()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 200, -32700),
        (b"[]", 200, -32600),
        (b'{"jsonrpc":"2.0","id":1}', 200, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":3}', 200, -32602),
        (b" " * 60_000, 413, None),
    ],
)
def test_a_body_that_is_no_request_is_refused(chain, body, status, code):
    answer = httpx.post(chain.url, content=body)

    assert answer.status_code == status
    assert code is None or answer.json()["error"]["code"] == code


def test_a_batch_is_answered_in_order(chain):
    batch = [{"jsonrpc": "2.0", "id": i, "method": method} for i, method in enumerate(("getHealth", "getBlocks"))]

    answers = httpx.post(chain.url, json=batch).json()

    assert [answer["id"] for answer in answers] == [0, 1]
    assert answers[0]["result"] == "ok"
    assert answers[1]["error"]["code"] == -32601
