"""What the tests of proof work with: keys that seal, and agents that work."""

import pytest

from given import registry
from hansa.infra.keys import AgentKey
from hansa.infra.seal import LocalKeyRing


@pytest.fixture
def ring(tmp_path):
    return LocalKeyRing.create(tmp_path / "ring.json")


@pytest.fixture
def key():
    return AgentKey.generate()


@pytest.fixture
def agent(tx, key):
    """DID of a registered agent."""
    return registry.agent(tx, key).did
