"""Proofs of useful work: one formula, one proof per trace, and the average that search ranks by."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from given import proof, registry
from given.governance import acting_as
from given.proof import bygone, proven
from hansa.infra.db import Tx
from hansa.infra.keys import AgentKey
from hansa.kernel.errors import Refusal
from hansa.proof import commands, errors, queries, sd_jwt, sd_jwt_errors
from hansa.proof.models import WorkType
from hansa.registry.queries import agent_of

HOUSE = AgentKey.generate()
MiB = 2**20


def attestation(tx, ring, key, *, trace, audience=HOUSE.did):
    """A credential of the house over settled work of an agent, presented for one proof."""
    _, log = proof.recorded(tx, key.did, ring)
    issued = commands.issue_work_credential(tx, ring, log.id, by=key.did, house=HOUSE, at=tx.at)
    return sd_jwt.present(issued.credential, ["outcome"], holder=key, audience=audience, nonce=trace, at=tx.at)


def told(tx, name):
    """The events of one name, as they were published."""
    return [
        row[0] for row in tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = %s ORDER BY id", [name])
    ]


@pytest.mark.parametrize(
    ("work_type", "metrics", "score"),
    [
        (WorkType.COMPUTE, {"compute_ms": 1}, "0.01"),
        (WorkType.COMPUTE, {"compute_ms": 5000}, "50"),
        (WorkType.COMPUTE, {"compute_ms": 3_600_000}, "100"),
        (WorkType.MEMORY, {"memory_bytes": 10 * MiB + MiB // 2}, "10.5"),
        (WorkType.ROUTING, {"routing_hops": 3}, "30"),
        (WorkType.VALIDATION, {"validation_checks": 7}, "35"),
        (WorkType.LEARNING, {"learning_samples": 255}, "25.5"),
        (WorkType.LEARNING, {"learning_samples": 10, "compute_ms": 3_600_000}, "1"),
    ],
)
def test_work_is_scored_by_the_metric_of_its_type(tx, agent, work_type, metrics, score):
    recorded = proven(tx, agent, work_type, **metrics)

    assert recorded.usefulness_score == Decimal(score)
    assert queries.usefulness_proofs(tx, agent).items == [recorded]
    assert recorded.metrics == metrics
    assert told(tx, "proof.useful_work_proven")[-1]["proof"] == str(recorded.id)


@pytest.mark.parametrize(
    ("work_type", "metrics"),
    [
        (WorkType.COMPUTE, {"memory_bytes": MiB}),
        (WorkType.COMPUTE, {"compute_ms": "5000"}),
        (WorkType.COMPUTE, {"compute_ms": None}),
        (WorkType.COMPUTE, {"compute_ms": 0}),
        (WorkType.COMPUTE, {"compute_ms": -1}),
        (WorkType.COMPUTE, {"compute_ms": 3_600_001}),
        (WorkType.MEMORY, {"memory_bytes": 2**30 + 1}),
        (WorkType.ROUTING, {"routing_hops": 101}),
        (WorkType.VALIDATION, {"validation_checks": 10_001}),
        (WorkType.LEARNING, {"learning_samples": 1_000_001}),
        (WorkType.LEARNING, {"learning_samples": [10]}),
    ],
)
def test_work_without_a_possible_metric_of_its_type_is_refused_with_the_metric_that_it_needs(
    tx, agent, work_type, metrics
):
    with pytest.raises(errors.MetricUnfit) as refused, tx.savepoint():
        proven(tx, agent, work_type, **metrics)

    assert refused.value.facts["metric"].startswith(str(work_type.value))
    assert refused.value.facts["amount_max"] > 0
    assert queries.usefulness_proofs(tx, agent).items == []


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"work_type": "sleeping"}, errors.WorkTypeUnknown),
        ({"trace": "t" * 201}, errors.TraceMalformed),
        ({"compute_ms": 1, "note": "n" * 10_000}, errors.MetricsMalformed),
        ({"attestations": ["one"] * 6}, errors.AttestationsTooMany),
        ({"attestations": ["not a credential"]}, sd_jwt_errors.CredentialMalformed),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_other_wrong_input_has_its_own_refusal(tx, agent, changes, refusal):
    with pytest.raises(refusal), tx.savepoint():
        proven(tx, agent, house=HOUSE.did, **changes)

    assert queries.usefulness_proofs(tx, agent).items == []


def test_an_agent_that_nobody_registered_proves_nothing(tx):
    with pytest.raises(errors.AgentNotRegistered):
        proven(tx, AgentKey.generate().did)


def test_a_trace_proves_work_once_whatever_the_second_proof_says_of_it(tx, agent):
    proven(tx, agent, trace="the trace")

    with pytest.raises(errors.UsefulWorkProvenBefore), tx.savepoint():
        proven(tx, agent, WorkType.ROUTING, trace="the trace", routing_hops=9)
    other = proven(tx, registry.agent(tx).did, trace="the trace")

    assert other.trace == "the trace"
    assert len(queries.usefulness_proofs(tx, agent).items) == 1


def test_of_many_copies_at_once_one_is_stored(db):
    with db.transaction() as tx:
        agent = registry.agent(tx).did

    def attempt(_):
        try:
            with db.transaction() as tx:
                proven(tx, agent, trace="the trace")
        except Refusal as refusal:
            return type(refusal)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(8)))

    assert answers.count(None) == 1
    assert answers.count(errors.UsefulWorkProvenBefore) == 7


def test_settled_work_behind_a_proof_makes_it_a_tenth_more(tx, ring, key, agent):
    attested = [attestation(tx, ring, key, trace="the trace")]
    other = AgentKey.generate()
    registry.agent(tx, other)
    most_attested = [attestation(tx, ring, other, trace="most")]

    recorded = proven(tx, agent, trace="the trace", attestations=attested, house=HOUSE.did)
    most = proven(tx, other.did, trace="most", attestations=most_attested, house=HOUSE.did, compute_ms=9999)

    assert (recorded.usefulness_score, recorded.attestations) == (Decimal(55), 1)
    assert most.usefulness_score == 100


def test_an_attestation_of_another_agent_or_for_another_proof_is_refused(tx, ring, key, agent):
    other = AgentKey.generate()
    registry.agent(tx, other)
    foreign = attestation(tx, ring, other, trace="the trace")
    elsewhere = attestation(tx, ring, key, trace="another trace")
    for_others = attestation(tx, ring, key, trace="the trace", audience=other.did)

    refusals = {
        foreign: errors.WorkOfAnotherAgent,
        elsewhere: sd_jwt_errors.NonceForeign,
        for_others: sd_jwt_errors.AudienceForeign,
    }

    for presentation, refusal in refusals.items():
        with pytest.raises(refusal), tx.savepoint():
            proven(tx, agent, trace="the trace", attestations=[presentation], house=HOUSE.did)
    assert queries.usefulness_proofs(tx, agent).items == []


def test_nobody_proves_the_usefulness_of_another_agent(tx, agent):
    other = registry.agent(tx).did

    with acting_as(tx, other), pytest.raises(psycopg.errors.InsufficientPrivilege), tx.savepoint():
        proven(tx, agent)
    with acting_as(tx, agent):
        own = proven(tx, agent)
    with acting_as(tx, "", "anonymous"):
        seen = queries.usefulness_proofs(tx, agent).items

    assert seen == [own]


@pytest.mark.parametrize("change", ["UPDATE {} SET usefulness_score = 100", "DELETE FROM {}"])
def test_what_was_proven_stays_as_it_was_scored(db, owner, change):
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        recorded = proven(tx, agent)

    with pytest.raises(psycopg.errors.CheckViolation, match="stay as they were scored"):
        owner.execute(change.format("proof.usefulness_proofs"))

    with db.transaction() as tx:
        assert queries.usefulness_proofs(tx, agent).items == [recorded]


@pytest.fixture
def worker(db):
    """DID of an agent that is registered for good, in a database of this test's own."""
    with db.transaction() as tx:
        return registry.agent(tx).did


def test_the_average_is_the_plain_mean_of_thirty_days(db, owner, worker):
    bygone(owner, worker, 100, ago=timedelta(days=31))
    bygone(owner, worker, 10, ago=timedelta(days=29))
    bygone(owner, worker, 10, ago=timedelta(minutes=1), work_type="routing")
    with db.transaction() as tx:
        best = proven(tx, worker)

    with db.transaction() as tx:
        found = queries.usefulness_of(tx, worker)

    assert (found.score, found.proofs) == (Decimal("23.33"), 3)
    assert [(one.work_type, one.score, one.proofs, one.best_score) for one in found.by_work_type] == [
        (WorkType.COMPUTE, Decimal(30), 2, Decimal(50)),
        (WorkType.ROUTING, Decimal(10), 1, Decimal(10)),
    ]
    assert found.by_work_type[0].best_proof == best.id
    assert (found.published, found.published_at) == (0, None)


def test_of_two_equally_good_proofs_of_a_type_the_first_is_the_best(db, owner, worker):
    for days in (3, 2, 1):
        bygone(owner, worker, 20 if days > 1 else 10, ago=timedelta(days=days), trace=f"{days} days ago")

    with db.transaction() as tx:
        (found,) = queries.usefulness_of(tx, worker).by_work_type
        first = next(one for one in queries.usefulness_proofs(tx, worker).items if one.trace == "3 days ago")

    assert (found.best_score, found.best_proof) == (20, first.id)


def test_the_refresh_brings_the_average_beside_the_agent_and_tells_it_once(tx, agent):
    proven(tx, agent)
    idle = registry.agent(tx).did

    brought = commands.refresh_usefulness(tx, at=tx.at)
    again = commands.refresh_usefulness(tx, at=tx.at)
    later = commands.refresh_usefulness(tx, at=tx.at + timedelta(minutes=61))

    assert (brought, again, later) == (1, 0, 1)
    assert agent_of(tx, agent).usefulness_score_cached == 50
    assert agent_of(tx, agent).usefulness_last_updated == tx.at + timedelta(minutes=61)
    assert agent_of(tx, idle).usefulness_last_updated is None
    assert [(event["agent"], event["score"]) for event in told(tx, "proof.usefulness_changed")] == [(agent, "50.00")]


def test_an_agent_whose_proofs_are_too_old_falls_back_to_nothing(db, owner, worker):
    bygone(owner, worker, 80, ago=timedelta(days=31))
    with db.transaction() as tx:
        registry.usefulness_cached(tx, {worker: Decimal(80)}, at=tx.at - timedelta(days=1))

    with db.transaction() as tx:
        brought = commands.refresh_usefulness(tx, at=tx.at)

        assert brought == 1
        assert agent_of(tx, worker).usefulness_score_cached == 0
        assert told(tx, "proof.usefulness_changed") == [{"agent": worker, "score": "0.00"}]


class CountingTx(Tx):
    """A transaction that counts the statements that commands run in it."""

    ran = 0

    def all(self, query, **params):
        self.ran += 1
        return super().all(query, **params)

    def run(self, query, **params):
        self.ran += 1
        return super().run(query, **params)


def rows_of_agents(owner):
    """Which version of its row each agent has, and what stands there."""
    return dict(owner.execute("SELECT did, (ctid, usefulness_score_cached) FROM registry.agents").fetchall())


def test_five_hundred_agents_are_brought_by_one_statement_that_writes_no_other_row(db, owner):
    agents = registry.crowd(owner, 500)
    owner.execute(
        """
        INSERT INTO proof.usefulness_proofs
               (intent_id, agent_did, work_type, metrics, trace_id, usefulness_score, created_at, worked_at)
        SELECT uuidv7(), did, (ARRAY['compute', 'memory', 'learning'])[1 + number %% 3], '{}', did || number,
               (position * 7 + number * 13) %% 98, past.at, past.at
          FROM unnest(%s::text[]) WITH ORDINALITY AS useful (did, position)
         CROSS JOIN generate_series(1, 3) AS number
         CROSS JOIN LATERAL (SELECT now() - number * interval '11 days' AS at) AS past
        """,
        [agents[:400]],
    )
    with db.transaction() as tx:
        commands.refresh_usefulness(tx, at=tx.at)
    for did in agents[:3]:
        bygone(owner, did, 98, ago=timedelta(minutes=1))
    before = rows_of_agents(owner)

    with db.transaction() as tx:
        counting = CountingTx(tx.connection, tx.actor, tx.at)
        brought = commands.refresh_usefulness(counting, at=tx.at)

    after = rows_of_agents(owner)
    recounted = owner.execute(
        """
        SELECT agent.did
          FROM registry.agents AS agent
          LEFT JOIN proof.usefulness_proofs AS recent
                 ON recent.agent_did = agent.did AND recent.created_at > now() - interval '30 days'
         GROUP BY agent.did, agent.usefulness_score_cached
        HAVING round(coalesce(avg(recent.usefulness_score), 0), 2) <> agent.usefulness_score_cached
        """
    ).fetchall()
    assert recounted == []
    assert brought == 3
    assert counting.ran == 2  # the scores in one statement, what is told of them in another
    assert {did for did in agents if before[did] != after[did]} == set(agents[:3])
    assert len({after[did] for did in agents[:400]}) > 90


def test_pages_of_proofs_leave_nothing_out(db, owner, worker):
    for days in range(5, 0, -1):
        bygone(owner, worker, ago=timedelta(days=days), trace=f"{days} days ago")

    with db.transaction() as tx:
        first = queries.usefulness_proofs(tx, worker, limit=3)
        second = queries.usefulness_proofs(tx, worker, limit=3, before=first.after)

    assert [one.trace for one in first.items + second.items] == [f"{days} days ago" for days in range(1, 6)]
    assert second.after is None
