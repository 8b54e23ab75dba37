"""A running chain, wallets with money on it, and payments: good ones, and ones with a flaw made on purpose."""

import base64
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from x402.schemas import PaymentPayload, PaymentRequirements, ResourceInfo

from hansa.chain.client import ChainRpc
from hansa.chain.genesis import USDC_MINT
from hansa.chain.tokens import TOKEN_PROGRAM, associated_token_address
from hansa.infra.db import Db
from hansa.infra.seal import LocalKeyRing
from hansa.infra.services import Services
from hansa.infra.settings import Settings
from hansa.payments.models import NETWORKS, Environment
from hansa.payments.transactions import MEMO
from hansa.payments.treasury import facilitator_key, prepare

USDC = str(USDC_MINT)
CENT = 10_000
"""One cent of USDC, in its smallest unit."""
SOURCES = str(Path(__file__).parents[2] / "src")
URL = "http://shop.example/feed"


@contextmanager
def running_chain(home):
    """A local chain as users run it, with faults to be armed; stopped by its own pid."""
    command = [sys.executable, "-m", "hansa.chain", "--home", str(home), "--port", "0", "--faults"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": SOURCES})
    try:
        with ChainRpc(json.loads(process.stdout.readline())["url"]) as rpc:
            yield rpc
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        process.stdout.close()


@contextmanager
def services_on(postgres, database, rpc, home):
    """The house's services on a database and a chain, ready to settle."""
    with Db(postgres.dsn(role="hansa_app", database=database), size=40) as db, httpx.Client() as http:
        services = Services(
            db=db, settings=Settings(home=home), http=http, chain=rpc, keys=LocalKeyRing.create(home / "ring.json")
        )
        prepare(services)
        yield services


def wallet(rpc, *, usdc=0, lamports=0):
    """A new wallet with an open USDC account."""
    keypair = Keypair()
    rpc.faucet(str(keypair.pubkey()), usdc=usdc, lamports=lamports)
    return keypair


def address(keypair):
    return str(keypair.pubkey())


def usdc_of(rpc, keypair):
    return rpc.token_balance(address(keypair), USDC)


def fault(rpc, name, *, times=1):
    rpc.call("hansa_fault", {"fault": name, "times": times})


def requirements(services, seller, *, amount=CENT, **changes):
    """What a seller asks for: exactly this, on our network, with our fee payer."""
    terms = {
        "scheme": "exact",
        "network": NETWORKS[Environment.LOCAL].caip2,
        "asset": USDC,
        "amount": str(amount),
        "pay_to": address(seller),
        "max_timeout_seconds": 60,
        "extra": {"feePayer": facilitator_key(services).wallet},
    }
    return PaymentRequirements(**(terms | changes))


def payment(services, buyer, terms, *, url=URL, **flaws):
    """A signed payment for these terms, as a buyer's client makes it, or with a flaw."""
    transaction = transaction_of(services, buyer, terms, **flaws)
    text = base64.b64encode(bytes(transaction)).decode()
    resource = ResourceInfo(url=url) if url else None
    return PaymentPayload(payload={"transaction": text}, accepted=terms, resource=resource)


def transaction_of(
    services, buyer, terms, *, amount=None, unit_limit=20_000, unit_price=1, memos=None, extra=(), signer=None, to=None
):
    """The transaction itself; every argument but the first three is a way to get it wrong."""
    fee_payer = Pubkey.from_string(terms.extra["feePayer"])
    to = Pubkey.from_string(to or terms.pay_to)
    memos = [os.urandom(16).hex().encode()] if memos is None else memos
    instructions = [
        set_compute_unit_limit(unit_limit),
        set_compute_unit_price(unit_price),
        transfer(buyer, to, int(terms.amount) if amount is None else amount),
        *(Instruction(MEMO, memo, []) for memo in memos),
        *extra,
    ]
    message = MessageV0.try_compile(fee_payer, instructions, [], services.chain.latest_blockhash()[0])
    signature = (signer or buyer).sign_message(to_bytes_versioned(message))
    return VersionedTransaction.populate(message, [Signature.default(), signature])


def transfer(buyer, to, amount):
    accounts = [
        AccountMeta(associated_token_address(buyer.pubkey(), USDC_MINT), is_signer=False, is_writable=True),
        AccountMeta(USDC_MINT, is_signer=False, is_writable=False),
        AccountMeta(associated_token_address(to, USDC_MINT), is_signer=False, is_writable=True),
        AccountMeta(buyer.pubkey(), is_signer=True, is_writable=False),
    ]
    return Instruction(TOKEN_PROGRAM, bytes([12]) + amount.to_bytes(8, "little") + bytes([6]), accounts)


def drain(rpc, keypair):
    """Move all USDC of a wallet that has lamports to somebody else."""
    to = wallet(rpc)
    blockhash, _ = rpc.latest_blockhash()
    out = transfer(keypair, to.pubkey(), usdc_of(rpc, keypair))
    rpc.send(bytes(VersionedTransaction(MessageV0.try_compile(keypair.pubkey(), [out], [], blockhash), [keypair])))
