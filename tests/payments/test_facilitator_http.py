"""A foreign seller with the unmodified SDK settles through our facilitator over HTTP."""

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from x402 import ResourceConfig, x402ResourceServerSync
from x402.http.facilitator_client import FacilitatorConfig, HTTPFacilitatorClientSync
from x402.mechanisms.svm.constants import SOLANA_DEVNET_CAIP2
from x402.mechanisms.svm.exact import ExactSvmServerScheme

from given.payments import CENT, address, payment, usdc_of, wallet
from hansa.infra.db import Actor
from hansa.payments.routes import router


@pytest.fixture
def http(services):
    app = FastAPI()
    app.state.services = services
    app.include_router(router)

    @app.middleware("http")
    async def anonymous(request: Request, call_next):
        request.state.actor = Actor(kind="anonymous")
        return await call_next(request)

    with TestClient(app) as client:
        yield client


def test_a_foreign_seller_verifies_and_settles_once_and_is_told_of_a_spent_payment(services, rpc, http):
    buyer, seller = wallet(rpc, usdc=CENT), wallet(rpc)
    client = HTTPFacilitatorClientSync(FacilitatorConfig(url="http://testserver/facilitator", http_client=http))
    server = x402ResourceServerSync(client).register(SOLANA_DEVNET_CAIP2, ExactSvmServerScheme())
    server.initialize()
    terms = server.build_payment_requirements(
        ResourceConfig(scheme="exact", network=SOLANA_DEVNET_CAIP2, pay_to=address(seller), price="$0.01")
    )[0]
    payload = payment(services, buyer, terms)

    verified, settled = server.verify_payment(payload, terms), server.settle_payment(payload, terms)
    again, spent = server.settle_payment(payload, terms), server.verify_payment(payload, terms)

    assert (verified.is_valid, settled.success, settled.payer) == (True, True, address(buyer))
    assert again.transaction == settled.transaction
    assert (spent.is_valid, spent.invalid_reason) == (False, "duplicate_settlement")
    assert usdc_of(rpc, seller) == CENT


def test_a_body_that_is_no_payment_is_refused(http):
    answer = http.post("/facilitator/settle", json={"x402Version": 2})

    assert answer.status_code == 422
