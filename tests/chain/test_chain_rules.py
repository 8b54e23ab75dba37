"""The rules of a cluster that hold on the local chain."""

import base64
import struct

import httpx
import pytest
from chain_given import (
    SOL,
    USDC,
    address,
    signature_of,
    signed,
    sol_transfer,
    usdc_payment,
    usdc_transfer,
    wallet,
)
from solders import system_program
from solders.address_lookup_table_account import ID as LOOKUP_PROGRAM
from solders.address_lookup_table_account import AddressLookupTableAccount, derive_lookup_table_address
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from hansa.chain.client import ChainRejected, Confirmation
from hansa.chain.genesis import USDC_MINT
from hansa.chain.tokens import associated_token_address

UNSOUND = base64.b64encode(
    bytes(VersionedTransaction.populate(Message([Instruction(Pubkey.default(), b"", [])]), []))
).decode()
"""A transaction of one signer and no signature."""
INSUFFICIENT_TOKENS = {"InstructionError": [0, {"Custom": 1}]}


def test_a_transfer_moves_exactly_its_amount_and_costs_its_payer_one_signature(rpc):
    payer, payee = wallet(rpc, usdc=5_000_000, lamports=SOL), wallet(rpc)

    signature = rpc.send(usdc_payment(rpc, payer, payee, 1_234_567))

    assert rpc.token_balance(address(payer), USDC) == 3_765_433
    assert rpc.token_balance(address(payee), USDC) == 1_234_567
    assert rpc.balance(address(payer)) == SOL - 5000
    transaction = rpc.transaction(signature)
    assert (transaction.err, transaction.fee) == (None, 5000)
    assert {(change.owner, change.amount) for change in transaction.token_changes} == {
        (address(payer), -1_234_567),
        (address(payee), 1_234_567),
    }


def test_a_transaction_lands_once_however_often_it_is_sent(rpc):
    payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
    raw = usdc_payment(rpc, payer, payee, 10)
    signature = rpc.send(raw)

    with pytest.raises(ChainRejected) as refused:
        rpc.send(raw)
    unchecked = rpc.send(raw, skip_preflight=True)

    assert refused.value.err == "AlreadyProcessed"
    assert unchecked == signature
    assert rpc.token_balance(address(payee), USDC) == 10
    assert [line.signature for line in rpc.signatures_for(address(payer))].count(signature) == 1


def test_a_new_fee_payer_signature_does_not_make_a_new_payment(rpc):
    """The message is the payment: bytes that are no signature of it cannot land it again."""
    payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
    raw = usdc_payment(rpc, payer, payee, 10)
    forged = raw[:1] + bytes(64) + raw[65:]
    rpc.send(raw)

    with pytest.raises(ChainRejected, match="signature verification failure"):
        rpc.send(forged)
    rpc.send(forged, skip_preflight=True)

    assert rpc.token_balance(address(payee), USDC) == 10


def test_a_blockhash_is_good_for_150_slots_and_not_for_one_more(rpc):
    payer, payee = wallet(rpc, usdc=100, lamports=SOL), wallet(rpc)
    blockhash, last_valid = rpc.latest_blockhash()
    in_time = signed(usdc_transfer(payer, payee, 1), payer=payer, blockhash=blockhash)
    too_late = signed(usdc_transfer(payer, payee, 2), payer=payer, blockhash=blockhash)

    rpc.warp(slots=last_valid - rpc.block_height() - 1)
    rpc.send(in_time)
    rpc.warp(slots=last_valid - rpc.block_height() + 1)

    with pytest.raises(ChainRejected) as refused:
        rpc.send(too_late)
    assert refused.value.err == "BlockhashNotFound"
    assert not rpc.is_blockhash_valid(blockhash)
    assert rpc.signature_status(rpc.send(too_late, skip_preflight=True)) is None
    assert rpc.token_balance(address(payee), USDC) == 1


def test_the_block_height_is_not_the_slot(rpc):
    assert rpc.block_height() < rpc.slot()


def test_a_transaction_that_fails_on_chain_lands_with_its_error_and_pays_its_fee(rpc):
    payer, payee = wallet(rpc, usdc=5, lamports=SOL), wallet(rpc)
    raw = usdc_payment(rpc, payer, payee, 6)

    with pytest.raises(ChainRejected) as refused:
        rpc.send(raw)
    signature = rpc.send(raw, skip_preflight=True)

    assert refused.value.err == INSUFFICIENT_TOKENS
    status = rpc.signature_status(signature)
    assert (status.err, status.succeeded, status.confirmation) == (INSUFFICIENT_TOKENS, False, Confirmation.CONFIRMED)
    assert rpc.transaction(signature).err == INSUFFICIENT_TOKENS
    assert rpc.token_balance(address(payer), USDC) == 5
    assert rpc.balance(address(payer)) == SOL - 5000


def test_a_transaction_whose_payer_owns_nothing_leaves_no_trace(rpc):
    payer, payee = Keypair(), wallet(rpc)
    blockhash, _ = rpc.latest_blockhash()

    signature = rpc.send(
        signed(sol_transfer(payer, payee.pubkey(), 1), payer=payer, blockhash=blockhash), skip_preflight=True
    )

    assert rpc.signature_status(signature) is None
    assert rpc.signatures_for(address(payer)) == []


def test_no_account_may_be_left_below_its_rent_minimum(rpc):
    payer, stranger = wallet(rpc, lamports=SOL), Keypair()
    blockhash, _ = rpc.latest_blockhash()
    raw = signed(sol_transfer(payer, stranger.pubkey(), 1), payer=payer, blockhash=blockhash)

    with pytest.raises(ChainRejected) as refused:
        rpc.send(raw)
    signature = rpc.send(raw, skip_preflight=True)

    too_little = {"InsufficientFundsForRent": {"account_index": 1}}
    assert refused.value.err == too_little
    assert rpc.signature_status(signature).err == too_little
    assert rpc.account(address(stranger)) is None
    assert rpc.balance(address(payer)) == SOL - 5000


def test_a_status_becomes_final_after_32_slots_and_is_forgotten_after_300_unless_the_history_is_searched(rpc):
    payer, payee = wallet(rpc, usdc=1, lamports=SOL), wallet(rpc)
    signature = rpc.send(usdc_payment(rpc, payer, payee, 1))
    first = rpc.signature_status(signature).confirmation

    rpc.warp(slots=32)
    later = rpc.signature_status(signature).confirmation
    rpc.warp(slots=300)

    assert (first, later) == (Confirmation.CONFIRMED, Confirmation.FINALIZED)
    assert rpc.call("getSignatureStatuses", [signature])["value"] == [None]
    assert rpc.signature_status(signature).confirmation is Confirmation.FINALIZED


def test_a_preflight_at_finalized_does_not_know_a_blockhash_that_is_only_confirmed(rpc):
    payer, payee = wallet(rpc, usdc=1, lamports=SOL), wallet(rpc)
    raw = usdc_payment(rpc, payer, payee, 1)

    with pytest.raises(ChainRejected) as refused:
        rpc.call("sendTransaction", base64.b64encode(raw).decode(), {"encoding": "base64"})

    assert refused.value.err == "BlockhashNotFound"
    assert rpc.signature_status(signature_of(raw)) is None


def test_a_simulation_changes_nothing_and_needs_no_signature(rpc):
    payer, payee = wallet(rpc, usdc=3, lamports=SOL), wallet(rpc)
    raw = usdc_payment(rpc, payer, payee, 3)
    unsigned = raw[:1] + bytes(64) + raw[65:]

    simulated = rpc.simulate(unsigned, verify_signatures=False)

    assert simulated.err is None
    assert simulated.compute_units > 0
    assert rpc.token_balance(address(payee), USDC) == 0
    with pytest.raises(ChainRejected, match="signature verification failure"):
        rpc.simulate(unsigned)


def test_a_durable_nonce_outlives_blockhashes_and_lets_one_of_two_transactions_land(rpc):
    payer, payee = wallet(rpc, usdc=10, lamports=SOL), wallet(rpc)
    nonce = _nonce_account(rpc, payer)
    release, refund = (_with_nonce(rpc, payer, nonce, usdc_transfer(payer, payee, amount)) for amount in (7, 8))
    rpc.warp(slots=400)

    rpc.send(release)
    rpc.warp(slots=1)
    with pytest.raises(ChainRejected) as refused:
        rpc.send(refund)

    assert refused.value.err == "BlockhashNotFound"
    assert rpc.token_balance(address(payee), USDC) == 7


def test_a_durable_nonce_is_used_up_by_a_transaction_that_fails(rpc):
    payer, payee = wallet(rpc, usdc=10, lamports=SOL), wallet(rpc)
    nonce = _nonce_account(rpc, payer)
    failing, twin = (_with_nonce(rpc, payer, nonce, usdc_transfer(payer, payee, amount)) for amount in (11, 1))
    rpc.warp(slots=1)

    signature = rpc.send(failing, skip_preflight=True)
    rpc.warp(slots=1)
    with pytest.raises(ChainRejected) as refused:
        rpc.send(twin)

    assert rpc.signature_status(signature).err == {"InstructionError": [1, {"Custom": 1}]}
    assert refused.value.err == "BlockhashNotFound"


def test_an_address_lent_by_a_lookup_table_is_part_of_the_transaction(rpc):
    payer, payee = wallet(rpc, usdc=10, lamports=SOL), wallet(rpc)
    destination = associated_token_address(payee.pubkey(), USDC_MINT)
    table = _lookup_table(rpc, payer, destination)
    message = MessageV0.try_compile(
        payer.pubkey(),
        [usdc_transfer(payer, payee, 4)],
        [AddressLookupTableAccount(table, [destination])],
        rpc.latest_blockhash()[0],
    )

    signature = rpc.send(bytes(VersionedTransaction(message, [payer])))

    assert destination not in message.account_keys
    assert rpc.token_balance(address(payee), USDC) == 4
    received = [change for change in rpc.transaction(signature).token_changes if change.amount > 0]
    assert [(change.account, change.owner) for change in received] == [(str(destination), address(payee))]
    assert rpc.signatures_for(str(destination), limit=1)[0].signature == signature


def test_the_history_of_an_address_is_newest_first_with_its_memos_and_can_be_paged(rpc):
    owner = Keypair()
    oldest, middle, newest = (rpc.faucet(address(owner), usdc=1).signature for _ in range(3))

    whole = rpc.signatures_for(address(owner))
    page = rpc.call(
        "getSignaturesForAddress", address(owner), {"before": newest, "limit": 1, "commitment": "confirmed"}
    )
    since = rpc.call("getSignaturesForAddress", address(owner), {"until": oldest, "commitment": "confirmed"})

    assert [line.signature for line in whole] == [newest, middle, oldest]
    assert whole[0].memo.startswith("[")
    assert "faucet" in whole[0].memo
    assert [line["signature"] for line in page] == [middle]
    assert [line["signature"] for line in since] == [newest, middle]


@pytest.mark.parametrize(
    ("method", "params", "code", "reason"),
    [
        ("getBlock", [1], -32601, "Method not found: getBlock"),
        ("getBalance", [], -32602, "must be an address"),
        ("getBalance", ["no address"], -32602, "not an address"),
        ("getSlot", [{"commitment": "sure"}], -32602, "commitment must be one of"),
        ("getSlot", [{"minContextSlot": 10**12}], -32016, "Minimum context slot"),
        ("sendTransaction", ["!", {"encoding": "base64"}], -32602, "invalid base64"),
        ("sendTransaction", ["AAAA", {"encoding": "base64"}], -32602, "failed to deserialize"),
        ("sendTransaction", [UNSOUND, {"encoding": "base64"}], -32602, "index out of bounds"),
        ("sendTransaction", ["A" * 1648, {"encoding": "base64"}], -32602, "too large: 1236 bytes"),
        ("hansa_faucet", [{"usdc": 1}], -32602, "owner is required"),
        (
            "hansa_faucet",
            [{"owner": "11111111111111111111111111111112", "usdc": -1}],
            -32602,
            "usdc must be an integer",
        ),
        ("hansa_warp", [{"slots": 1, "seconds": 1}], -32602, "either slots or seconds"),
    ],
)
def test_a_bad_call_is_refused_by_name(chain, method, params, code, reason):
    answer = httpx.post(chain.url, json={"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).json()

    assert answer["id"] == 7
    assert answer["error"]["code"] == code
    assert reason in answer["error"]["message"]


def test_the_fee_told_beforehand_is_the_fee_charged(rpc):
    payer, payee = wallet(rpc, usdc=1, lamports=SOL), wallet(rpc)
    blockhash, _ = rpc.latest_blockhash()
    budget = (set_compute_unit_limit(1_400_000), set_compute_unit_price(5_000_000))
    raw = signed(*budget, usdc_transfer(payer, payee, 1), payer=payer, blockhash=blockhash)
    message = to_bytes_versioned(VersionedTransaction.from_bytes(raw).message)

    told = rpc.call("getFeeForMessage", base64.b64encode(message).decode(), {"commitment": "confirmed"})["value"]
    charged = rpc.transaction(rpc.send(raw)).fee

    assert told == charged >= 5000
    assert rpc.balance(address(payer)) == SOL - charged


def test_warping_by_seconds_moves_the_chains_own_time(rpc):
    before = rpc.transaction(rpc.faucet(address(Keypair())).signature).block_time

    rpc.warp(seconds=3600)

    after = rpc.transaction(rpc.faucet(address(Keypair())).signature).block_time
    assert 3600 <= (after - before).total_seconds() < 3610


def _nonce_account(rpc, owner: Keypair) -> Keypair:
    nonce = Keypair()
    create = system_program.create_nonce_account(owner.pubkey(), nonce.pubkey(), owner.pubkey(), rpc.rent_minimum(80))
    blockhash, _ = rpc.latest_blockhash()
    rpc.send(signed(*create, payer=owner, blockhash=blockhash, others=(nonce,)))
    return nonce


def _lookup_table(rpc, owner: Keypair, *addresses: Pubkey) -> Pubkey:
    """Create a table, fill it, and wait the one slot until it may be used."""
    slot = rpc.slot()
    table, bump = derive_lookup_table_address(owner.pubkey(), slot)
    accounts = [
        AccountMeta(table, is_signer=False, is_writable=True),
        AccountMeta(owner.pubkey(), is_signer=True, is_writable=False),
        AccountMeta(owner.pubkey(), is_signer=True, is_writable=True),
        AccountMeta(system_program.ID, is_signer=False, is_writable=False),
    ]
    create = struct.pack("<IQB", 0, slot, bump)
    extend = struct.pack("<IQ", 2, len(addresses)) + b"".join(bytes(lent) for lent in addresses)
    rpc.warp(slots=1)
    instructions = [Instruction(LOOKUP_PROGRAM, data, accounts) for data in (create, extend)]
    rpc.send(signed(*instructions, payer=owner, blockhash=rpc.latest_blockhash()[0]))
    rpc.warp(slots=1)
    return table


def _with_nonce(rpc, owner: Keypair, nonce: Keypair, instruction) -> bytes:
    stored = Hash(rpc.account(address(nonce)).data[40:72])
    advance = system_program.advance_nonce_account(
        system_program.AdvanceNonceAccountParams(nonce_pubkey=nonce.pubkey(), authorized_pubkey=owner.pubkey())
    )
    return signed(advance, instruction, payer=owner, blockhash=stored)
