"""Clients that are not ours read every answer: solana-py parses each one strictly."""

import pytest
from chain_given import SOL, address, usdc_payment, wallet
from solana.rpc.api import Client
from solana.rpc.commitment import Confirmed
from solana.rpc.core import RPCException
from solana.rpc.types import TokenAccountOpts, TxOpts
from solders.pubkey import Pubkey
from solders.rpc.errors import SendTransactionPreflightFailureMessage
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_status import TransactionConfirmationStatus

from hansa.chain.genesis import USDC_MINT
from hansa.chain.tokens import TOKEN_PROGRAM, associated_token_address

# Its synchronous client and options are deprecated and say so when they are made.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated; use solana.rpc")


@pytest.fixture
def solana(chain):
    client = Client(chain.url, commitment=Confirmed)
    yield client
    client._provider.session.close()


@pytest.fixture
def owner(rpc):
    return wallet(rpc, usdc=1_500_000, lamports=SOL)


def test_the_cluster_answers_who_and_when_it_is(solana, chain):
    assert str(solana.get_genesis_hash().value) == "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
    assert solana.is_connected()
    assert "litesvm" in solana.get_version().value.solana_core
    slot, epoch = solana.get_slot().value, solana.get_epoch_info().value
    assert epoch.absolute_slot - slot < 10
    latest = solana.get_latest_blockhash().value
    assert latest.last_valid_block_height - solana.get_block_height().value in range(145, 151)


def test_accounts_come_as_bytes_and_parsed(solana, owner):
    usdc = associated_token_address(owner.pubkey(), USDC_MINT)

    raw = solana.get_account_info(USDC_MINT).value
    mint = solana.get_account_info_json_parsed(USDC_MINT).value.data.parsed["info"]
    several = solana.get_multiple_accounts([usdc, Pubkey.new_unique()]).value
    parsed = solana.get_account_info_json_parsed(usdc).value.data
    mine = solana.get_token_accounts_by_owner_json_parsed(owner.pubkey(), TokenAccountOpts(mint=USDC_MINT)).value
    by_program = solana.get_token_accounts_by_owner(owner.pubkey(), TokenAccountOpts(program_id=TOKEN_PROGRAM)).value

    assert (raw.owner, raw.data[44], mint["decimals"]) == (TOKEN_PROGRAM, 6, 6)
    assert (len(several[0].data), several[1]) == (165, None)
    assert (parsed.program, parsed.parsed["type"]) == ("spl-token", "account")
    assert parsed.parsed["info"]["owner"] == address(owner)
    assert parsed.parsed["info"]["tokenAmount"]["uiAmountString"] == "1.5"
    assert [found.pubkey for found in mine] == [found.pubkey for found in by_program] == [usdc]
    assert solana.get_token_account_balance(usdc).value.amount == "1500000"
    assert solana.get_balance(owner.pubkey()).value == SOL


def test_a_transaction_is_sent_found_and_described(solana, rpc, owner):
    payee = wallet(rpc)
    raw = usdc_payment(rpc, owner, payee, 250_000)

    fee = solana.get_fee_for_message(VersionedTransaction.from_bytes(raw).message).value
    simulated = solana.simulate_transaction(VersionedTransaction.from_bytes(raw), sig_verify=True).value
    signature = solana.send_raw_transaction(raw, opts=TxOpts(preflight_commitment=Confirmed)).value
    status = solana.get_signature_statuses([signature, Signature.new_unique()]).value
    history = solana.get_signatures_for_address(owner.pubkey(), limit=1).value

    assert fee == 5000
    assert (simulated.err, simulated.units_consumed > 0) == (None, True)
    assert status[0].confirmation_status == TransactionConfirmationStatus.Confirmed
    assert status[1] is None
    assert [line.signature for line in history] == [signature]
    for encoding in ("json", "base64", "base58"):
        found = solana.get_transaction(signature, encoding=encoding, max_supported_transaction_version=0).value
        meta = found.transaction.meta
        assert (meta.err, meta.fee) == (None, 5000)
        assert [balance.ui_token_amount.amount for balance in meta.post_token_balances] in (
            ["1250000", "250000"],
            ["250000", "1250000"],
        )


def test_a_failed_preflight_carries_the_error_and_the_logs(solana, rpc, owner):
    raw = usdc_payment(rpc, owner, wallet(rpc), 1_500_001)

    with pytest.raises(RPCException) as refused:
        solana.send_raw_transaction(raw, opts=TxOpts(preflight_commitment=Confirmed))

    failure = refused.value.args[0]
    assert isinstance(failure, SendTransactionPreflightFailureMessage)
    assert "custom program error: 0x1" in failure.message
    assert any("insufficient funds" in line for line in failure.data.logs)


def test_an_airdrop_gives_lamports(solana):
    owner = Pubkey.new_unique()

    solana.request_airdrop(owner, SOL)

    assert solana.get_balance(owner).value == SOL
