"""Proofs of useful work over HTTP, and the housekeeping that publishes them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from given import registry
from given.identity import as_agent, client_as
from hansa.infra.db import Actor
from hansa.infra.keys import AgentKey
from hansa.proof.jobs import refresh_usefulness
from hansa.proof.routes import router
from hansa.registry.queries import agent_of

NOBODY = Actor(kind="anonymous")
PATH = "/api/usefulness/proofs"


@pytest.fixture
def key(services):
    """Key of a registered agent."""
    key = AgentKey.generate()
    with services.db.transaction() as tx:
        registry.agent(tx, key)
    return key


def client(services, key=None):
    return client_as(services, as_agent(key) if key else NOBODY, router)


def order(**changes):
    return {
        "intent": str(uuid4()),
        "work_type": "validation",
        "metrics": {"validation_checks": 12},
        "trace": "the trace",
        "timestamp": datetime.now(UTC).isoformat(),
    } | changes


def test_an_agent_proves_its_work_and_everybody_reads_what_it_is_worth(services, key):
    recorded = client(services, key).post(PATH, json=order())
    read = client(services).get(f"/api/agents/{key.did}/usefulness").json()

    assert (recorded.status_code, recorded.json()["usefulness_score"]) == (201, "60.00")
    assert read["usefulness"]["score"] == "60.00"
    assert read["usefulness"]["published"] == "0.00"
    assert read["proofs"]["items"] == [recorded.json()]


def test_housekeeping_publishes_what_agents_proved(services, key):
    client(services, key).post(PATH, json=order())

    brought = refresh_usefulness(services)

    with services.db.transaction() as tx:
        assert (brought, agent_of(tx, key.did).usefulness_score_cached) == (1, 60)
    assert client(services).get(f"/api/agents/{key.did}/usefulness").json()["usefulness"]["published"] == "60.00"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"metrics": {"validation_checks": 0}}, 422, "metric_unfit"),
        ({"metrics": {"compute_ms": 5}}, 422, "metric_unfit"),
        ({"trace": ""}, 422, "trace_malformed"),
        ({"trace": "taken"}, 409, "useful_work_proven_before"),
        ({"attestations": ["a credential"]}, 503, "house_key_missing"),
    ],
)
def test_what_is_wrong_with_a_proof_is_answered_by_name(services, key, changes, status, code):
    own = client(services, key)
    own.post(PATH, json=order(trace="taken"))

    answer = own.post(PATH, json=order(**changes))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(own.get(f"/api/agents/{key.did}/usefulness").json()["proofs"]["items"]) == 1


@pytest.mark.parametrize(
    "changes",
    [{"work_type": "sleeping"}, {"intent": "none"}, {"metrics": 5}, {"timestamp": "2026-11-21T10:00:00"}],
)
def test_a_proof_of_the_wrong_shape_is_refused(services, key, changes):
    answer = client(services, key).post(PATH, json=order(**changes))

    assert answer.status_code == 422
    assert next(iter(changes)) in answer.text


def test_an_agent_in_a_hurry_is_told_when_to_come_back(services, key):
    own = client(services, key)
    own.post(PATH, json=order())

    answer = own.post(PATH, json=order(trace="another trace"))

    assert (answer.status_code, answer.json()["code"]) == (429, "proof_too_soon")
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert answer.json()["retryable"] is True


def test_work_of_another_time_is_refused(services, key):
    answer = client(services, key).post(
        PATH, json=order(timestamp=(datetime.now(UTC) - timedelta(minutes=6)).isoformat())
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "work_untimely")
    assert answer.json()["apart_s_max"] == 300


def test_nobody_proves_anything_without_a_signature(services):
    answer = client(services).post(PATH, json=order())

    assert (answer.status_code, answer.json()["code"]) == (401, "signature_required")


def test_an_unknown_agent_has_no_usefulness(services):
    answer = client(services).get(f"/api/agents/{AgentKey.generate().did}/usefulness")

    assert (answer.status_code, answer.json()["code"]) == (404, "agent_unknown")
