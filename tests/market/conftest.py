"""What the tests of the market share."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

import hansa.market.reactions
import hansa.negotiation.reactions  # noqa: F401 - the reactions of a real process
from hansa.infra.db import Actor
from hansa.infra.seal import LocalKeyRing
from hansa.kernel.errors import Refusal


@pytest.fixture
def keys(tmp_path):
    """The key ring under which the outcomes of settled deals are sealed."""
    return LocalKeyRing.create(tmp_path / "market-keys.json")


@pytest.fixture
def at_once(db) -> Callable[..., list[Any]]:
    """Run a command in two sessions that begin at the same moment; their values, or the refusals they met."""

    def run(command, *, kind="system", did="tests") -> list[Any]:
        barrier, answers = threading.Barrier(2), []

        def session():
            try:
                with db.transaction(Actor(kind=kind, did=did)) as tx:
                    barrier.wait()
                    answer = command(tx)
            except Refusal as refusal:
                answer = refusal
            answers.append(answer)

        threads = [threading.Thread(target=session) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        return sorted(answers, key=lambda answer: isinstance(answer, Refusal))

    return run
