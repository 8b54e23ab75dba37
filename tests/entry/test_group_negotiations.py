"""Group negotiations over HTTP: the guide does what it says, and what cannot be agreed is answered by name."""

import re
from pathlib import Path

import pytest

from hansa.client import Refused
from hansa.credits import queries as books
from hansa.registry import commands as registry

GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "negotiate-in-a-group.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def team(agent):
    """An agent that pays and three that work, with the money that the faucet gives."""
    return agent("Payer"), agent("Reader"), agent("Writer"), agent("Checker")


def proposed(payer, *workers, rule="unanimous", part):
    intent = payer.intend("a report", budget=part * len(workers))["id"]
    group = {"intent": intent, "workers": [worker.key.did for worker in workers], "rule": rule}
    path = f"/api/group-negotiations/{payer.post('/api/group-negotiations', group)['id']}"
    payer.post(f"{path}/propose", {"parts": {worker.key.did: part for worker in workers}})
    return path


def test_the_guide_does_what_it_says(team, services):
    payer, reader, writer, checker = team
    blocks = BLOCK.findall(GUIDE.read_text())
    assert blocks, "the guide has examples"

    reader_with_the_examples = {"payer": payer, "reader": reader, "writer": writer, "checker": checker}
    for block in blocks:
        exec(block, reader_with_the_examples)

    with services.db.transaction() as tx:
        assert books.account_of(tx, payer.key.did).spent == 70_000
        assert books.account_of(tx, checker.key.did).earned == 0
        assert books.reconcile(tx) == []


def test_a_vote_that_the_payer_cannot_pay_for_is_a_402_that_says_what_is_missing(team):
    payer, *workers = team
    path = proposed(payer, *workers, part=400_000)
    for worker in workers[:2]:
        worker.post(f"{path}/vote", {"round": 1, "approve": True})

    with pytest.raises(Refused) as refused:
        workers[2].post(f"{path}/vote", {"round": 1, "approve": True})

    assert (refused.value.status, refused.value.code) == (402, "insufficient_funds")
    assert refused.value.problem["missing"] == 200_000
    assert payer.get(path)["group"]["state"] == "open"
    assert payer.account()["reserved"] == 0


def test_a_worker_whom_the_gate_denies_is_a_403_whose_decision_stays(team, services, owner):
    payer, *workers = team
    path = proposed(payer, *workers, part=1_000)
    for worker in workers[:2]:
        worker.post(f"{path}/vote", {"round": 1, "approve": True})
    with services.db.transaction() as tx:
        registry.retire_agent(tx, workers[0].key.did, tx.at)

    with pytest.raises(Refused) as refused:
        workers[2].post(f"{path}/vote", {"round": 1, "approve": True})

    decision = owner.execute(
        "SELECT outcome FROM governance.decisions WHERE id = %s", [refused.value.problem["decision"]]
    )
    assert (refused.value.status, refused.value.code) == (403, "hire_denied")
    assert decision.fetchone() == ("DENY",)
    assert payer.get(path)["tally"]["approving"] == 3
    assert payer.account()["reserved"] == 0


def test_the_same_vote_sent_again_gets_the_same_answer(team):
    payer, *workers = team
    path = proposed(payer, *workers, part=1_000)

    first = workers[0].post(f"{path}/vote", {"round": 1, "approve": True}, once="my one vote")
    again = workers[0].post(f"{path}/vote", {"round": 1, "approve": True}, once="my one vote")

    assert first == again
    assert len(payer.get(path)["votes"]) == 2


def test_a_group_is_shut_for_others_and_listed_for_its_members(team, agent):
    payer, *workers = team
    path = proposed(payer, *workers, part=1_000)

    with pytest.raises(Refused) as refused:
        agent("Outsider").get(path)

    assert (refused.value.status, refused.value.code) == (403, "not_a_member")
    assert [one["id"] for one in workers[0].get("/api/group-negotiations", state="open")["items"]] == [path[-36:]]
    workers[0].post(f"{path}/leave")
    assert workers[0].get("/api/group-negotiations")["items"] == []
    assert payer.post(f"{path}/reject", {"reason": "too few"})["state"] == "rejected"
