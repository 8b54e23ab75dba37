"""All evidence counted again from the start gives what is kept; what was changed behind its back is found."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given import proof, registry
from hansa.infra import outbox
from hansa.infra.keys import AgentKey
from hansa.kernel.money import Asset
from hansa.proof import commands, queries, reactions
from hansa.proof.cli import app
from hansa.proof.models import Evidence

PAYERS = [AgentKey.generate().did for _ in range(4)]
WORKERS = [AgentKey.generate() for _ in range(3)]

settlements = st.lists(
    st.fixed_dictionaries(
        {
            "worker": st.integers(0, len(WORKERS) - 1),
            "payer": st.integers(0, len(PAYERS) - 1),
            "payer_verified": st.booleans(),
            "payer_related": st.sampled_from([False] * 5 + [True]),
            "outcome": st.sampled_from([Decimal(1), Decimal("0.5"), Decimal(0)]),
            "fee": st.integers(0, 3000),
            "asset": st.sampled_from(list(Asset)),
            "days_ago": st.integers(0, 900),
            "late_s": st.integers(-600, 1200),
            "promised": st.booleans(),
            "audited": st.one_of(st.none(), st.floats(0, 1)),
            "disputed": st.one_of(st.none(), st.booleans()),
            "attested_first": st.booleans(),
        }
    ),
    min_size=1,
    max_size=25,
)


SAID_BY_OTHERS = {"audited", "disputed", "attested_first"}


def happened(tx, ring, story):
    """One settlement of a random story with what attesters and arbiters say about it, all of it counted."""
    facts = told(tx, story)
    work, _ = proof.recorded(tx, facts.pop("agent"), ring, **facts)
    about = {"agent": work.agent, "work": work.ref, "occurred_at": work.settled_at}
    said = []
    if story["audited"] is not None:
        said.append(
            Evidence.of_audit(ref=f"audit:{work.ref}", passed=story["audited"] > 0.5, score=story["audited"], **about)
        )
    if story["disputed"] is not None:
        said.append(Evidence.of_dispute(ref=f"dispute:{work.ref}", upheld=story["disputed"], **about))
    for evidence in said:
        commands.note_evidence(tx, evidence)
    refs = [work.ref, *(evidence.ref for evidence in said)]
    for ref in refs[::-1] if story["attested_first"] else refs:
        commands.fold_trust(tx, ref)
    commands.fold_reputation(tx, work.ref, at=tx.at)
    return len(said)


def told(tx, story):
    """One settlement of a random story."""
    step = {name: value for name, value in story.items() if name not in SAID_BY_OTHERS}
    at = tx.at - timedelta(days=step.pop("days_ago"))
    late = timedelta(seconds=step.pop("late_s"))
    step["due_at"] = at - timedelta(hours=1) if step.pop("promised") else None
    return step | {
        "agent": WORKERS[step.pop("worker")].did,
        "payer": PAYERS[step.pop("payer")],
        "started_at": at - timedelta(hours=2),
        "delivered_at": at - timedelta(hours=1) + late,
        "at": at,
    }


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories=settlements)
def test_counting_again_gives_what_was_counted_along_the_way(tx, ring, stories):
    with tx.connection.transaction(force_rollback=True):
        for worker in WORKERS:
            registry.agent(tx, worker)

        others = sum(happened(tx, ring, story) for story in stories)

        assert queries.recompute(tx) == []
        assert queries.counted(tx) == len(stories)
        counts = [queries.trust_of(tx, worker.did, tx.at).evidence for worker in WORKERS]
        assert sum(count.work for count in counts) == len(stories)
        assert sum(count.attestations + count.disputes for count in counts) == others


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories=settlements)
def test_working_it_all_out_anew_changes_nothing(tx, ring, stories):
    with tx.connection.transaction(force_rollback=True):
        for worker in WORKERS:
            registry.agent(tx, worker)
        for story in stories:
            happened(tx, ring, story)
        before = {worker.did: queries.reputation_of(tx, worker.did) for worker in WORKERS}

        commands.adopt_policy(tx, "devnet", at=tx.at)

        for worker in WORKERS:
            after = queries.reputation_of(tx, worker.did)
            assert after.score == before[worker.did].score
            assert after.exact == pytest.approx(before[worker.did].exact, abs=1e-9)


def committed(db, ring, *, settlements, workers=1):
    """Agents with settlements that are on record and not counted."""
    with db.transaction() as tx:
        agents = [registry.agent(tx).did for _ in range(workers)]
        refs = [proof.recorded(tx, agent, ring)[0].ref for agent in agents for _ in range(settlements)]
    return agents, refs


def dispatch_all(db):
    while outbox.dispatch(db):
        pass


def test_settlements_are_counted_by_reactions_once_each(db, ring):
    (agent,), refs = committed(db, ring, settlements=5)

    dispatch_all(db)
    with db.transaction() as tx:
        for ref in refs:
            commands.fold_reputation(tx, ref, at=tx.at)
            commands.fold_trust(tx, ref)

    with db.transaction() as tx:
        assert queries.reputation_of(tx, agent).score == Decimal("0.05")
        assert queries.pending(tx) == 0
        assert queries.recompute(tx) == []
    assert {reactions.fold_reputation, reactions.fold_trust} <= {
        reaction.run for reaction in outbox.REACTIONS["proof.outcome_recorded"]
    }


def test_a_session_waits_for_the_other_one_that_counts_for_the_same_agent(db, ring):
    old, new = timedelta(days=50), timedelta(0)
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        refs = [proof.recorded(tx, agent, ring, at=tx.at - age)[0].ref for age in (old, new, old)]
    folds = (lambda tx, ref: commands.fold_reputation(tx, ref, at=tx.at), commands.fold_trust)
    for fold in folds:
        with db.transaction() as tx:
            fold(tx, refs[0])

    def count(fold, ref):
        with db.transaction() as tx:
            fold(tx, ref)

    # The second session looks while the first has counted and not committed; what it saw before must not count.
    for fold in folds:
        with ThreadPoolExecutor(1) as pool:
            with db.transaction() as tx:
                fold(tx, refs[1])
                second = pool.submit(count, fold, refs[2])
                with pytest.raises(TimeoutError):
                    second.result(timeout=0.3)
            second.result(timeout=10)

    with db.transaction() as tx:
        assert queries.reputation_of(tx, agent).metadata["task_count"] == 3
        assert queries.recompute(tx) == []


def test_two_sessions_that_count_the_same_settlements_count_each_once(db, ring):
    (agent,), refs = committed(db, ring, settlements=20)
    together = threading.Barrier(2)

    def fold(mine):
        together.wait()
        for ref in mine:
            with db.transaction() as tx:
                commands.fold_reputation(tx, ref, at=tx.at)
            with db.transaction() as tx:
                commands.fold_trust(tx, ref)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fold, [refs, refs[::-1]]))

    with db.transaction() as tx:
        assert queries.reputation_of(tx, agent).score == Decimal("0.20")
        assert queries.recompute(tx) == []


def test_one_payer_of_many_agents_at_once_vouches_for_its_capacity_only(db, ring):
    payer = proof.a_payer()
    with db.transaction() as tx:
        agents = [registry.agent(tx).did for _ in range(44)]
        refs = [proof.recorded(tx, agent, ring, payer=payer)[0].ref for agent in agents]

    def fold(ref):
        with db.transaction() as tx:
            commands.fold_reputation(tx, ref, at=tx.at)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fold, refs))

    with db.transaction() as tx:
        scores = [queries.reputation_of(tx, agent).score for agent in agents]
        assert sum(scores) == Decimal("0.40")
        assert queries.recompute(tx) == []


CORRUPTIONS = {
    "score": "UPDATE proof.reputation_scores SET score = 0.99 WHERE agent_did = %(agent)s",
    "state": "UPDATE proof.reputation_state SET success_verified = success_verified + 1e-6 WHERE agent_did = %(agent)s",
    "pair": "DELETE FROM proof.reputation_pairs WHERE agent_did = %(agent)s",
    "capacity": "UPDATE proof.payer_capacity SET used = 0",
    "trust": "UPDATE proof.trust_scores SET honesty = 1 WHERE agent_did = %(agent)s",
    "trust count": "UPDATE proof.trust_scores SET attestation_count = 1 WHERE agent_did = %(agent)s",
}


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_one_corrupted_number_is_found(db, owner, ring, kind):
    agents, _ = committed(db, ring, settlements=1, workers=2)
    dispatch_all(db)

    owner.execute(CORRUPTIONS[kind], {"agent": agents[0]})

    with db.transaction() as tx:
        found = queries.recompute(tx)
    assert {difference.kind for difference in found} == {kind.split()[0]}
    if kind not in {"capacity", "pair"}:
        assert [difference.subject for difference in found] == [agents[0]]


def test_evidence_cannot_be_changed_even_by_the_owner_of_the_table(db, owner, ring):
    committed(db, ring, settlements=1)
    dispatch_all(db)

    for statement in (
        "UPDATE proof.reputation_events SET fee = fee + 1",
        "UPDATE proof.reputation_events SET fold_position = NULL",
        "DELETE FROM proof.reputation_events",
        "UPDATE proof.trust_events SET outcome = 0",
        "UPDATE proof.trust_events SET weight = 1",
        "UPDATE proof.trust_events SET honesty = 1",
        "DELETE FROM proof.trust_events",
        "UPDATE proof.work_history_logs SET agent_did = 'did:web:elsewhere.example'",
        "DELETE FROM proof.work_history_logs",
    ):
        with pytest.raises(Exception, match="append only") as refused:
            owner.execute(statement)
        assert refused.value.diag.constraint_name == "evidence_is_append_only"


class Console:
    """What the command line hands to its commands."""

    def __init__(self, services):
        self._services = services

    def services(self):
        from contextlib import nullcontext

        return nullcontext(self._services)


def test_the_operator_sees_a_corrupted_score_and_repairs_it(services, owner):
    from typer.testing import CliRunner

    (agent,), _ = committed(services.db, services.keys, settlements=3)
    dispatch_all(services.db)
    console = Console(services)
    healthy = CliRunner().invoke(app, ["verify"], obj=console)
    owner.execute("UPDATE proof.reputation_scores SET score = 0.90")

    broken = CliRunner().invoke(app, ["verify"], obj=console)
    repaired = CliRunner().invoke(app, ["rebuild", "--policy", "devnet"], obj=console)
    again = CliRunner().invoke(app, ["verify"], obj=console)

    assert healthy.exit_code == 0
    assert "3 settlements counted again, 0 differences, 0 wait" in healthy.output
    assert broken.exit_code == 1
    assert f"score of {agent}: published 0.90" in broken.output
    assert f"{agent}: 0.90 -> 0.03" in repaired.output
    assert again.exit_code == 0
