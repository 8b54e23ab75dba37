"""Deals survive kill -9 of everything under them: a small campaign with every test run, the long one with `make soak`."""

from pathlib import Path

import pytest

from campaigns.kill_campaign import campaign
from campaigns.plan import Plan
from campaigns.record import Reader, Writer
from campaigns.report import write_report

SMALL = ("api", "worker", "postmaster", "backend", "chain", "driver")
"""What the small campaign kills; the long one also kills the supervisor, and all at once."""
REPORT = Path(__file__).parents[2] / "docs" / "explanation" / "robustness.json"


def happened_once(result):
    """The assertion of every campaign, with all that is wrong in its message."""
    assert not result.problems, "\n".join(["", *result.problems])


@pytest.mark.timeout(240)
def test_deals_end_exactly_once_while_each_process_is_killed():
    with campaign(seed=11, deals=8, kills=len(SMALL), targets=SMALL) as one:
        result = one.run()

        happened_once(result)
        assert {kill.target for kill in result.kills} == set(SMALL)
        assert len(result.inside) >= 3, "kills have to hit open transactions"
        assert all(kill.aborted == len(kill.open) for kill in result.kills if kill.aborted is not None)
        assert result.driver_starts == 2

        forge(one.stage)
        verdict = one.verdict(result.reader)
        assert any(finding.startswith("account") for finding in verdict.differences("credits"))
        assert len(list(verdict.balances())) == len(result.plan.agents)
        assert len(list(verdict.shares())) == len(result.plan.deals)
        assert len(list(verdict.budgets())) == len(result.plan.sellers)


def forge(stage):
    """Break what a campaign checks, as a lost or a doubled effect would; the triggers would not let even us."""
    stage.rows("SELECT set_config('session_replication_role', 'replica', false)")
    stage.rows("UPDATE credits.credit_accounts SET balance = balance + 1 WHERE kind = 'agent' RETURNING account")
    stage.rows(
        "UPDATE negotiation.settlements SET agent_units = agent_units - 1, pool_units = pool_units + 1 RETURNING amount"
    )
    stage.rows("UPDATE autopay.budgets SET spent = spent + 1 RETURNING agent_did")


@pytest.mark.soak
@pytest.mark.timeout(25 * 60)
def test_two_hundred_deals_end_exactly_once_under_sixty_kills():
    with campaign(seed=7, deals=200, kills=64) as one:
        result = one.run()

    write_report(result, REPORT)
    happened_once(result)
    assert len(result.kills) >= 60
    assert len(result.inside) >= 10


def test_a_plan_is_the_same_for_the_same_seed_and_conserves_credits():
    plan, again = Plan(seed=3, size=50), Plan(seed=3, size=50)

    assert plan.deals == again.deals
    assert plan.deals != Plan(seed=4, size=50).deals
    assert sum(plan.balances().values()) == sum(plan.opening.values())
    assert all(sum(deal.shares().values()) == deal.price for deal in plan.deals)
    assert plan.balances()["system:pool"] > 0


def test_a_record_says_what_was_under_way_and_where_to_go_on(tmp_path):
    path = tmp_path / "record.jsonl"
    writer, reader = Writer(path), Reader(path)
    writer.write("begin", deal=0, step="intent")
    writer.write("answer", deal=0, step="intent", answer={"id": "x"})
    writer.write("begin", deal=1, step="intent")
    with path.open("a") as file:
        file.write('{"what": "ans')  # the writer was killed here

    first = reader.look()
    moment = first.lines[-1]["at"]

    assert first.answers == {0: {"intent": {"id": "x"}}}
    assert first.open == {1: "intent"}
    assert first.in_flight_at(moment) == ["intent"]
    assert first.in_flight_at(moment - 3600) == []
    Writer(path).write("answer", deal=1, step="intent", answer={"id": "y"})
    assert reader.look().answered == 2
