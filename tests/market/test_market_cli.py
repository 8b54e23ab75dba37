"""What an operator does with statistics and boards on the command line."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from given.market import a_paid_task, deliver_events
from hansa.market import queries
from hansa.market.cli import app


@pytest.fixture
def operator(services):
    """Run a command as `hansa leaderboard ...` does: with services that open on demand."""
    opener = SimpleNamespace(services=lambda: nullcontext(services))
    return lambda *arguments: CliRunner().invoke(app, arguments, obj=opener)


def test_an_operator_finds_statistics_that_somebody_changed(db, owner, keys, operator):
    with db.transaction() as tx:
        task = a_paid_task(tx, keys, rating=4)
    early = operator("verify")
    deliver_events(db)

    whole = operator("verify")
    owner.execute("UPDATE market.agent_stats SET hire_count = 9")
    broken = operator("verify")

    assert (early.exit_code, early.output) == (0, "0 differences; hires and earnings wait for their events\n")
    assert (whole.exit_code, whole.output) == (0, "0 differences\n")
    assert broken.exit_code == 1
    assert str(task.agent_id) in broken.output


def test_an_operator_publishes_and_measures_anew(db, keys, operator):
    with db.transaction() as tx:
        task = a_paid_task(tx, keys)

    published = operator("publish", "--period", "weekly")
    measured = operator("references", "--period", "daily", "--tasks", "3")

    assert published.output == "1 ranks changed\n"
    assert measured.output.splitlines()[0].split() == ["daily", "3", "tasks", "1000000", "units", "version", "2"]
    with db.transaction() as tx:
        assert [row.did for row in queries.leaderboard(tx, period="weekly").agents] == [task.seller_did]
        assert queries.leaderboard(tx, period="daily").agents == []
