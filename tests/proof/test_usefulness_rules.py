"""The rules against made-up work: AINP's numbers, kept by the database for whoever writes."""

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from given import registry
from given.proof import bygone, proven
from hansa.kernel.errors import TooManyRequests
from hansa.proof import errors, queries
from hansa.proof.models import WorkType


@pytest.fixture
def worker(db):
    """DID of an agent that is registered for good."""
    with db.transaction() as tx:
        return registry.agent(tx).did


def proofs(db, agent):
    with db.transaction() as tx:
        return len(queries.usefulness_proofs(tx, agent, limit=500).items)


def now_proven(db, agent, **what):
    with db.transaction() as tx:
        return proven(tx, agent, **what)


@pytest.mark.parametrize("off", [timedelta(minutes=5, seconds=-2), timedelta(minutes=-5, seconds=2)])
def test_the_clock_of_an_agent_may_be_five_minutes_off(tx, agent, off):
    said = tx.at + off

    recorded = proven(tx, agent, worked_at=said)

    assert recorded.worked_at == said
    assert queries.usefulness_proofs(tx, agent).items == [recorded]


@pytest.mark.parametrize("off", [timedelta(minutes=5, seconds=2), timedelta(minutes=-5, seconds=-2)])
def test_work_of_another_time_is_refused_with_both_clocks(tx, agent, off):
    with pytest.raises(errors.WorkUntimely) as refused, tx.savepoint():
        proven(tx, agent, worked_at=tx.at + off)

    assert refused.value.facts["apart_s"] in range(300, 305)
    assert refused.value.facts["apart_s_max"] == 300
    assert {"timestamp", "clock"} <= set(refused.value.facts)
    assert queries.usefulness_proofs(tx, agent).items == []


def test_a_hundred_proofs_fit_into_an_hour(db, owner, worker):
    for number in range(99):
        bygone(owner, worker, ago=timedelta(seconds=10 + 30 * number))

    now_proven(db, worker)

    assert proofs(db, worker) == 100


def test_the_next_proof_after_a_hundred_is_refused_and_told_how_long_to_wait(db, owner, worker):
    for number in range(100):
        bygone(owner, worker, ago=timedelta(seconds=10 + 30 * number))

    with pytest.raises(errors.ProofsTooMany) as refused:
        now_proven(db, worker)

    oldest_s = 10 + 30 * 99
    assert refused.value.facts["retry_after_s"] in range(3600 - oldest_s - 20, 3600 - oldest_s + 1)
    assert (refused.value.facts["proofs"], refused.value.facts["proofs_max"]) == (100, 100)
    assert proofs(db, worker) == 100


def test_proofs_older_than_an_hour_count_no_more(db, owner, worker):
    for number in range(120):
        bygone(owner, worker, 99, ago=timedelta(hours=1, seconds=1 + 721 * number))

    recorded = now_proven(db, worker, compute_ms=3_600_000)

    assert recorded.usefulness_score == 100
    assert proofs(db, worker) == 121


def test_the_sixth_top_score_of_an_hour_is_refused_and_a_lower_one_is_not(db, owner, worker):
    for number in range(5):
        bygone(owner, worker, 99, ago=timedelta(minutes=10 + number))

    with pytest.raises(errors.TopScoresTooMany) as refused:
        now_proven(db, worker, compute_ms=9900)
    lower = now_proven(db, worker, compute_ms=9899)

    assert refused.value.facts["retry_after_s"] in range(46 * 60 - 20, 46 * 60 + 1)
    assert (refused.value.facts["proofs_max"], refused.value.facts["top_score"]) == (5, 99)
    assert lower.usefulness_score < 99
    assert proofs(db, worker) == 6


def test_four_top_scores_leave_room_for_a_fifth(db, owner, worker):
    for number in range(4):
        bygone(owner, worker, 100, ago=timedelta(minutes=1 + number))

    recorded = now_proven(db, worker, work_type=WorkType.ROUTING, routing_hops=10)

    assert recorded.usefulness_score == 100


def test_two_proofs_are_five_seconds_apart_for_one_agent_and_not_for_two(tx, agent):
    first = proven(tx, agent)

    with pytest.raises(errors.ProofTooSoon) as refused, tx.savepoint():
        proven(tx, agent)
    other = proven(tx, registry.agent(tx).did)

    assert refused.value.facts["interval_s"] == 5
    assert refused.value.facts["retry_after_s"] in range(1, 6)
    assert refused.value.facts["last_at"].startswith(f"{first.created_at:%Y-%m-%d}")
    assert other.created_at - first.created_at < timedelta(seconds=5)
    assert queries.usefulness_proofs(tx, agent).items == [first]


def test_after_five_seconds_the_next_proof_is_taken(db, owner, worker):
    bygone(owner, worker, ago=timedelta(seconds=5))

    now_proven(db, worker)

    assert proofs(db, worker) == 2


def test_what_waiting_helps_says_so_and_what_it_does_not_help_says_that(tx, agent):
    proven(tx, agent, trace="the trace")

    with pytest.raises(errors.UsefulWorkProvenBefore) as again, tx.savepoint():
        proven(tx, agent, trace="the trace")
    with pytest.raises(errors.MetricUnfit) as unfit, tx.savepoint():
        proven(tx, agent, compute_ms=0)
    with pytest.raises(errors.ProofTooSoon) as soon, tx.savepoint():
        proven(tx, agent)

    assert [refused.value.retryable for refused in (again, unfit, soon)] == [False, False, True]
    assert isinstance(soon.value, TooManyRequests)


COLUMNS = (
    "(intent_id, agent_did, work_type, metrics, trace_id, worked_at{}) VALUES (%s, %s, 'compute', %s, %s, now(){})"
)


def inserted(connection, agent, columns="", values="", *, compute_ms=1):
    """A proof written by hand, as psql does it."""
    connection.execute(
        f"INSERT INTO proof.usefulness_proofs {COLUMNS.format(columns, values)}",
        [uuid4(), agent, f'{{"compute_ms": {compute_ms}}}', str(uuid4())],
    )


@pytest.mark.parametrize(("column", "value"), [("usefulness_score", "100"), ("created_at", "now() - interval '1 day'")])
def test_the_application_cannot_name_the_score_or_the_time_of_a_proof(tx, agent, column, value):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), tx.savepoint():
        inserted(tx.connection, agent, f", {column}", f", {value}")

    assert queries.usefulness_proofs(tx, agent).items == []


def test_a_proof_that_is_written_by_hand_is_scored_and_limited_all_the_same(tx, agent):
    inserted(tx.connection, agent, compute_ms=4200)

    with pytest.raises(psycopg.errors.CheckViolation) as soon, tx.savepoint():
        inserted(tx.connection, agent)
    with pytest.raises(psycopg.errors.CheckViolation) as unfit, tx.savepoint():
        inserted(tx.connection, agent, compute_ms=3_600_001)

    assert soon.value.diag.constraint_name == "five_seconds_between_proofs"
    assert unfit.value.diag.constraint_name == "metric_proves_the_work"
    assert [proof.usefulness_score for proof in queries.usefulness_proofs(tx, agent).items] == [42]


def test_the_owner_of_the_tables_is_bound_too(owner, worker):
    bygone(owner, worker, ago=timedelta(days=3))

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        bygone(owner, worker, ago=timedelta(days=3, seconds=2))

    assert refused.value.diag.constraint_name == "five_seconds_between_proofs"
