"""A chain for each module, and the house's services on it, ready to settle."""

import uuid

import pytest

from given.payments import running_chain, services_on
from hansa.migrate import testing
from hansa.payments.facilitator import Facilitator


@pytest.fixture(scope="module")
def rpc(tmp_path_factory):
    with running_chain(tmp_path_factory.mktemp("chain")) as rpc:
        yield rpc


@pytest.fixture(scope="module")
def database(server_dsn, template):
    """One database for a module, as there is one chain: payments do not meet, each has its own message."""
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


@pytest.fixture
def facilitator(services):
    return Facilitator(services)
