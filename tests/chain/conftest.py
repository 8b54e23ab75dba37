"""A chain of its own for each module, run as the process that users run."""

from pathlib import Path

import pytest
from chain_process import ChainProcess, start_chain

from hansa.chain.client import ChainRpc


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    process = start_chain(tmp_path_factory.mktemp("chain"), "--faults")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def rpc(chain: ChainProcess):
    with ChainRpc(chain.url) as rpc:
        yield rpc


@pytest.fixture
def started():
    """Start a chain on a home; whatever still runs at the end is stopped."""
    processes: list[ChainProcess] = []

    def start(home: Path, *options: str) -> ChainProcess:
        processes.append(start_chain(home, *options))
        return processes[-1]

    yield start
    for process in processes:
        process.stop()
