"""The whole API with agents that sign, and a chain with a house that settles on it."""

import pytest

from entry.conftest import agent, api, server, written
from given.payments import running_chain, services_on

__all__ = ["agent", "api", "server", "written"]


@pytest.fixture(scope="module")
def rpc(tmp_path_factory):
    with running_chain(tmp_path_factory.mktemp("chain")) as rpc:
        yield rpc


@pytest.fixture
def house(postgres, database, rpc, tmp_path):
    """The house's services on a database of this test's own, with no fault left over on the chain."""
    rpc.call("hansa_fault", {"fault": "clear"})
    with services_on(postgres, database, rpc, tmp_path) as services:
        yield services
