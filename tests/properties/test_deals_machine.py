"""Random sessions over the same deals and accounts, all at once: what was answered holds, and nothing else happened."""

import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hansa.infra.db import Db
from hansa.migrate import testing
from properties.deals_machine import DealsMachine
from properties.report import write_report

REPORT = Path(__file__).parents[2] / "docs" / "explanation" / "deals-machine.json"
SEEDS = (7, 11, 23, 42)


@pytest.fixture
def machine(postgres, server_dsn, template, services_keys):
    """Builds machines, each on a database of its own."""

    @contextmanager
    def build(**options):
        name = f"test_{uuid.uuid4().hex}"
        testing.clone(server_dsn, template, name)
        with Db(postgres.dsn(role="hansa_app", database=name), size=16) as db:
            one = DealsMachine(db, postgres.dsn(role="postgres", database=name), services_keys, **options)
            yield one
            one.owner.close()
        testing.drop(server_dsn, name)

    with ExitStack() as built:
        yield lambda **options: built.enter_context(build(**options))


def nothing_wrong(result):
    assert not result.findings, "\n".join(["", f"seed {result.seed}", *result.findings])


def test_sessions_that_do_anything_at_once_leave_what_they_were_answered(machine):
    result = machine(seed=5, sessions=4).run(600, meetings=2)

    nothing_wrong(result)
    assert result.steps >= 600
    assert result.met >= 20, "sessions have to meet at the same deals"
    assert len(result.by_outcome()) >= 20
    assert {"accept", "settle", "transfer", "expire_holds"} <= {
        kind for kind, outcome in result.outcomes if outcome == "done"
    }


BROKEN = {
    "a lost round": "DELETE FROM negotiation.rounds WHERE (negotiation_id, n) IN (SELECT id, 1 FROM negotiation.negotiations LIMIT 1)",
    "money from nowhere": "UPDATE credits.credit_accounts SET balance = balance + 1 WHERE account LIKE 'did:%'",
    "a hold let go": "UPDATE credits.holds SET state = 'released', ended_at = now() WHERE state = 'held'",
    "a deal undone": "UPDATE negotiation.negotiations SET state = 'proposed' WHERE state = 'accepted'",
    "an intent forgotten": "UPDATE negotiation.intents SET budget = 1",
    "a vote turned": "UPDATE negotiation.group_votes SET approves = NOT approves",
}


def test_the_checks_find_what_is_broken_on_purpose(machine):
    one = machine(seed=5, sessions=2)
    nothing_wrong(one.run(400, meetings=1))

    found = {what: one.findings_if(statement) for what, statement in BROKEN.items()}

    assert [what for what, findings in found.items() if not findings] == []


@pytest.mark.soak
@pytest.mark.timeout(15 * 60)
def test_thirty_thousand_steps_of_eight_sessions_leave_what_they_were_answered(machine):
    results = [machine(seed=seed, sessions=8).run(8_000, meetings=5) for seed in SEEDS]

    for result in results:
        print(
            f"\nseed {result.seed}: {result.steps} steps, {result.steps / result.seconds:.0f}/s, {result.by_outcome()}"
        )
        nothing_wrong(result)
    write_report(results, REPORT)
    assert sum(result.steps for result in results) >= 20_000
    assert len(sum((result.by_outcome() for result in results[1:]), results[0].by_outcome())) >= 16
