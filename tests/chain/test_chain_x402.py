"""The official x402 SDK, unmodified, pays and settles on the local chain."""

import asyncio

import httpx
import pytest
from chain_given import SOL, USDC, address, wallet
from fastapi import FastAPI
from solders.keypair import Keypair
from x402 import (
    ResourceConfig,
    x402Client,
    x402ClientSync,
    x402FacilitatorSync,
    x402ResourceServer,
    x402ResourceServerSync,
)
from x402.http import decode_payment_response_header
from x402.http.clients import x402_httpx_transport
from x402.http.middleware.fastapi import payment_middleware
from x402.http.types import PaymentOption, RouteConfig
from x402.mechanisms.svm import FacilitatorKeypairSigner, KeypairSigner
from x402.mechanisms.svm.constants import SOLANA_DEVNET_CAIP2
from x402.mechanisms.svm.exact import ExactSvmClientScheme, ExactSvmFacilitatorScheme, ExactSvmServerScheme

# solana-py announces that its synchronous client and options will go; the SDK uses both in each of its roles.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated; use solana.rpc")

PRICE = 10_000
"""One cent of USDC, in its smallest unit."""


@pytest.fixture
def facilitator(chain, rpc):
    signer = FacilitatorKeypairSigner(wallet(rpc, lamports=SOL), rpc_url=chain.url)
    facilitator = x402FacilitatorSync()
    facilitator.register([SOLANA_DEVNET_CAIP2], ExactSvmFacilitatorScheme(signer))
    yield facilitator
    _close(signer)


@pytest.fixture
def wallet_scheme(chain):
    """Makes the payment scheme of a buyer."""
    schemes: list[ExactSvmClientScheme] = []

    def make(keypair: Keypair) -> ExactSvmClientScheme:
        schemes.append(ExactSvmClientScheme(KeypairSigner(keypair), rpc_url=chain.url))
        return schemes[-1]

    yield make
    for scheme in schemes:
        _close(scheme)


def _close(holder: FacilitatorKeypairSigner | ExactSvmClientScheme) -> None:
    """Close the connections that the SDK opens and leaves open."""
    for client in holder._clients.values():
        client._provider.session.close()


@pytest.fixture
def buyer(rpc):
    return wallet(rpc, usdc=1_000_000)


@pytest.fixture
def seller(rpc):
    return wallet(rpc)


def test_a_payment_is_verified_and_settled_and_moves_exactly_the_price(rpc, facilitator, wallet_scheme, buyer, seller):
    server, requirements = _sync_server(facilitator, seller)
    client = x402ClientSync().register(SOLANA_DEVNET_CAIP2, wallet_scheme(buyer))

    payload = client.create_payment_payload(server.create_payment_required_response(requirements))
    verified = server.verify_payment(payload, requirements[0])
    settled = server.settle_payment(payload, requirements[0])

    assert (verified.is_valid, verified.payer) == (True, address(buyer))
    assert (settled.success, settled.payer) == (True, address(buyer))
    assert rpc.signature_status(settled.transaction).succeeded
    assert rpc.token_balance(address(buyer), USDC) == 1_000_000 - PRICE
    assert rpc.token_balance(address(seller), USDC) == PRICE
    assert rpc.balance(address(buyer)) == 0


def test_a_payment_that_was_settled_is_not_settled_again(rpc, facilitator, wallet_scheme, buyer, seller):
    server, requirements = _sync_server(facilitator, seller)
    client = x402ClientSync().register(SOLANA_DEVNET_CAIP2, wallet_scheme(buyer))
    payload = client.create_payment_payload(server.create_payment_required_response(requirements))
    server.settle_payment(payload, requirements[0])

    again = server.settle_payment(payload, requirements[0])

    assert not again.success
    assert again.error_reason == "transaction_simulation_failed"
    assert rpc.token_balance(address(seller), USDC) == PRICE


def test_a_buyer_without_the_money_is_not_verified(rpc, facilitator, wallet_scheme, seller):
    server, requirements = _sync_server(facilitator, seller)
    poor = wallet(rpc, usdc=PRICE - 1)
    client = x402ClientSync().register(SOLANA_DEVNET_CAIP2, wallet_scheme(poor))
    payload = client.create_payment_payload(server.create_payment_required_response(requirements))

    verified = server.verify_payment(payload, requirements[0])

    assert not verified.is_valid
    assert rpc.token_balance(address(seller), USDC) == 0


def test_a_request_over_http_is_paid_and_answered(rpc, facilitator, wallet_scheme, buyer, seller):
    app = _shop(facilitator, seller)
    client = x402Client().register(SOLANA_DEVNET_CAIP2, wallet_scheme(buyer))

    answer = asyncio.run(_get(app, client, "/weather"))

    receipt = decode_payment_response_header(answer.headers["PAYMENT-RESPONSE"])
    assert (answer.status_code, answer.json()) == (200, {"sky": "clear"})
    assert rpc.signature_status(receipt.transaction).succeeded
    assert rpc.token_balance(address(seller), USDC) == PRICE


def _sync_server(facilitator: x402FacilitatorSync, seller: Keypair):
    server = x402ResourceServerSync(facilitator).register(SOLANA_DEVNET_CAIP2, ExactSvmServerScheme())
    server.initialize()
    config = ResourceConfig(scheme="exact", network=SOLANA_DEVNET_CAIP2, pay_to=address(seller), price="$0.01")
    return server, server.build_payment_requirements(config)


class InProcess:
    """A facilitator client without HTTP: the three methods the asynchronous server asks for."""

    def __init__(self, facilitator: x402FacilitatorSync) -> None:
        self._facilitator = facilitator

    async def verify(self, payload, requirements):
        return await asyncio.to_thread(self._facilitator.verify, payload, requirements)

    async def settle(self, payload, requirements):
        return await asyncio.to_thread(self._facilitator.settle, payload, requirements)

    def get_supported(self):
        return self._facilitator.get_supported()


def _shop(facilitator: x402FacilitatorSync, seller: Keypair) -> FastAPI:
    app = FastAPI()
    server = x402ResourceServer(InProcess(facilitator)).register(SOLANA_DEVNET_CAIP2, ExactSvmServerScheme())
    option = PaymentOption(scheme="exact", network=SOLANA_DEVNET_CAIP2, pay_to=address(seller), price="$0.01")
    app.middleware("http")(payment_middleware({"GET /weather": RouteConfig(accepts=option)}, server))

    @app.get("/weather")
    def weather() -> dict[str, str]:
        return {"sky": "clear"}

    return app


async def _get(app: FastAPI, client: x402Client, path: str) -> httpx.Response:
    transport = x402_httpx_transport(client, httpx.ASGITransport(app=app))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
        return await http.get(path)
