"""The whole API on its own port and chain, two paid sellers, and agents with a budget."""

import socket
import threading
import uuid

import pytest
import uvicorn

from given import registry
from given.payments import CENT, USDC, running_chain, services_on
from hansa.client import Hansa
from hansa.entry.api import create_app
from hansa.examples.sellers import mount_sellers
from hansa.infra.keys import AgentKey
from hansa.migrate import testing
from hansa.payments.treasury import open_token_account


@pytest.fixture(scope="module")
def rpc(tmp_path_factory):
    with running_chain(tmp_path_factory.mktemp("chain")) as rpc:
        yield rpc


@pytest.fixture(scope="module")
def database(server_dsn, template):
    """One database for a module, as there is one chain: every test has agents of its own."""
    name = f"test_{uuid.uuid4().hex}"
    testing.clone(server_dsn, template, name)
    yield name
    testing.drop(server_dsn, name)


@pytest.fixture(scope="module")
def house(postgres, database, rpc, tmp_path_factory):
    with services_on(postgres, database, rpc, tmp_path_factory.mktemp("home")) as services:
        yield services


@pytest.fixture
def services(house, rpc):
    """The house's services, with no fault left over from another test."""
    rpc.call("hansa_fault", {"fault": "clear"})
    return house


@pytest.fixture(scope="module")
def seller(house):
    """The key of a seller whose token account the house has opened."""
    key = AgentKey.generate()
    open_token_account(house, key.wallet)
    return key


@pytest.fixture
def earned(rpc, seller):
    """What the seller has earned since the test began."""
    before = rpc.token_balance(seller.wallet, USDC)
    return lambda: rpc.token_balance(seller.wallet, USDC) - before


@pytest.fixture(scope="module")
def url(house, seller):
    """The API with the paid sellers, listening."""
    app = create_app(house)
    mount_sellers(app, house, pay_to=seller.wallet)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def hansa(url, services, rpc):
    """Makes a registered agent with money, a budget and a signed connection."""
    opened = []

    def make(*, usdc=20 * CENT, **budget):
        key = AgentKey.generate()
        with services.db.transaction() as tx:
            registry.agent(tx, key)
        rpc.faucet(key.wallet, usdc=usdc)
        opened.append(Hansa(url, key, patience_s=0))
        limits = {"cap": 10 * CENT, "payment_max": 2 * CENT} | budget
        opened[-1].call("PUT", "/api/autopay/budget", body=limits)
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()
