"""Evidence counted by many sessions at once gives the trust that one session would have given it."""

import pytest

from concurrency.test_deals_raced import race
from given import proof, registry
from hansa.proof import commands, queries
from hansa.proof.models import Evidence


def recorded(db, keys, count, **facts):
    """An agent with settled work of one instant that nobody has counted: its DID, the references, the instant."""
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        refs = [proof.recorded(tx, agent, keys, **facts)[0].ref for _ in range(count)]
        return agent, refs, tx.at


def counting(ref):
    return lambda tx: commands.fold_trust(tx, ref)


def test_sixteen_successes_counted_at_once_are_sixteen_successes(db, services_keys):
    agent, refs, at = recorded(db, services_keys, 16)

    race(db, *map(counting, refs))

    with db.transaction() as tx:
        trust = queries.trust_of(tx, agent, at)
        assert trust.reliability == pytest.approx(0.95 - 0.45 * 0.8**16, abs=1e-12)
        assert trust.evidence.work == 16
        assert queries.recompute(tx) == []


def test_one_success_counted_by_sixteen_sessions_is_one_success(db, services_keys):
    agent, [ref], at = recorded(db, services_keys, 1)

    results = race(db, *[counting(ref)] * 16)

    assert sum(result is not None for result in results) == 1
    with db.transaction() as tx:
        assert queries.trust_of(tx, agent, at).reliability == pytest.approx(0.59)


def test_settlements_of_one_pair_counted_at_once_do_not_all_weigh_like_the_first(db, services_keys):
    agent, refs, _ = recorded(db, services_keys, 8, payer=proof.a_payer())

    race(db, *map(counting, refs))

    with db.transaction() as tx:
        weights = [move.weight for move in queries.trust_moves(tx, agent, reader="").items]
    assert weights[::-1] == [2.0**-repetition for repetition in range(8)]


def test_evidence_noted_by_many_at_once_is_noted_once(db, services_keys):
    agent, [work], at = recorded(db, services_keys, 1)
    found = Evidence.of_audit(ref="attestation:1", agent=agent, passed=True, score=1, work=work, occurred_at=at)

    race(db, *[lambda tx: commands.note_evidence(tx, found)] * 8)

    with db.transaction() as tx:
        noted = tx.connection.execute("SELECT count(*) FROM ops.outbox WHERE name = 'proof.evidence_noted'").fetchone()
        commands.fold_trust(tx, work)
        commands.fold_trust(tx, "attestation:1")
        assert noted == (1,)
        assert queries.trust_of(tx, agent, at).honesty == pytest.approx(0.59)
