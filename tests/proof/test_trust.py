"""The trust vector: what work does to it, how it fades, and that it has one formula."""

from datetime import timedelta
from decimal import Decimal

import pytest

from given import proof
from hansa.proof import commands, queries


def test_an_unknown_agent_is_neutral(tx, agent):
    trust = queries.trust_of(tx, agent, tx.at)

    assert trust.score == 0.5
    assert trust.last_updated is None


def test_the_score_weighs_reliability_and_honesty_most(db, owner, ring):
    from given import registry

    with db.transaction() as tx:
        agent = registry.agent(tx).did
        proof.settled(tx, agent, ring)

    owner.execute(
        "UPDATE proof.trust_scores SET reliability = 0.9, honesty = 0.85, competence = 0.8, timeliness = 0.85"
    )

    score = owner.execute("SELECT score FROM proof.trust_scores WHERE agent_did = %s", [agent]).fetchone()[0]
    assert score == pytest.approx(0.8575, abs=1e-12)


def test_work_accepted_on_time_moves_all_but_honesty_by_a_fifth(tx, ring, agent):
    proof.settled(tx, agent, ring)

    trust = queries.trust_of(tx, agent, tx.at)
    assert trust.reliability == pytest.approx(0.5 + 0.2 * (0.95 - 0.5))
    assert trust.competence == pytest.approx(0.5 + 0.2 * (0.95 - 0.5))
    assert trust.timeliness == pytest.approx(0.6)
    assert trust.honesty == 0.5
    assert trust.score == pytest.approx(0.35 * 0.59 + 0.35 * 0.5 + 0.2 * 0.59 + 0.1 * 0.6)


def test_a_payer_whom_nobody_verified_says_nothing_about_competence(tx, ring, agent):
    proof.settled(tx, agent, ring, payer_verified=False)

    trust = queries.trust_of(tx, agent, tx.at)
    assert trust.reliability == pytest.approx(0.59)
    assert trust.competence == 0.5


def test_sixteen_successes_make_an_agent_reliable(tx, ring, agent):
    for _ in range(16):
        proof.settled(tx, agent, ring)

    assert queries.trust_of(tx, agent, tx.at).reliability == pytest.approx(0.95 - 0.45 * 0.8**16)


@pytest.mark.parametrize(
    ("took", "timeliness", "reliability"),
    [
        (timedelta(minutes=5), 1.0, 0.95),
        (timedelta(minutes=10), 1.0, 0.95),
        (timedelta(minutes=15), 0.5, 0.95),
        (timedelta(minutes=19, seconds=30), 0.05, 0.5),
        (timedelta(minutes=60), 0.0, 0.5),
    ],
    ids=["early", "just in time", "half as long again", "nearly twice as long", "six times as long"],
)
def test_timeliness_compares_the_work_with_what_was_promised(tx, ring, agent, took, timeliness, reliability):
    started = tx.at - timedelta(hours=2)

    proof.settled(
        tx, agent, ring, started_at=started, due_at=started + timedelta(minutes=10), delivered_at=started + took
    )

    trust = queries.trust_of(tx, agent, tx.at)
    assert trust.timeliness == pytest.approx(0.5 + 0.2 * (timeliness - 0.5))
    assert trust.reliability == pytest.approx(0.5 + 0.2 * (reliability - 0.5))


@pytest.mark.parametrize(("outcome", "sample"), [(Decimal(0), 0.05), (Decimal("0.5"), 0.5)])
def test_work_that_failed_or_half_failed_says_so(tx, ring, agent, outcome, sample):
    proof.settled(tx, agent, ring, outcome=outcome)

    assert queries.trust_of(tx, agent, tx.at).reliability == pytest.approx(0.5 + 0.2 * (sample - 0.5))


def test_without_a_promise_timeliness_is_not_judged(tx, ring, agent):
    proof.settled(tx, agent, ring, due_at=None)

    assert queries.trust_of(tx, agent, tx.at).timeliness == 0.5


def test_work_that_was_promised_and_never_came_is_as_late_as_can_be(tx, ring, agent):
    proof.settled(tx, agent, ring, outcome=Decimal(0), delivered_at=None)

    assert queries.trust_of(tx, agent, tx.at).timeliness == pytest.approx(0.4)


def test_trust_fades_towards_the_neutral_at_every_read(tx, ring, agent):
    for _ in range(10):
        proof.settled(tx, agent, ring)
    known = queries.trust_of(tx, agent, tx.at)

    later = queries.trust_of(tx, agent, tx.at + timedelta(days=30))
    much_later = queries.trust_of(tx, agent, tx.at + timedelta(days=3650))

    assert later.reliability == pytest.approx(0.5 + (known.reliability - 0.5) * 0.49755, abs=1e-5)
    assert later.score == pytest.approx(
        0.35 * later.reliability + 0.35 * later.honesty + 0.20 * later.competence + 0.10 * later.timeliness
    )
    assert much_later.score == pytest.approx(0.5, abs=1e-6)


def test_the_literal_rule_is_shown_beside_ours_and_falls_to_nothing(tx, ring, agent):
    proof.settled(tx, agent, ring)
    known = queries.trust_of(tx, agent, tx.at)

    later = queries.trust_of(tx, agent, tx.at + timedelta(days=30))

    assert later.literal_score == pytest.approx(known.score * 0.977**30)
    assert later.literal_score < later.score


def test_new_work_builds_on_what_had_faded_until_then(tx, ring, agent):
    proof.settled(tx, agent, ring, at=tx.at - timedelta(days=100))

    proof.settled(tx, agent, ring)

    faded = 0.5 + 0.09 * 0.977**100
    assert queries.trust_of(tx, agent, tx.at).reliability == pytest.approx(faded + 0.2 * (0.95 - faded))


def test_old_work_reported_late_moves_trust_by_what_it_is_still_worth(tx, ring, agent):
    proof.settled(tx, agent, ring)
    before = queries.trust_of(tx, agent, tx.at)

    proof.settled(tx, agent, ring, outcome=Decimal(0), at=tx.at - timedelta(days=365))

    after = queries.trust_of(tx, agent, tx.at)
    assert after.last_updated == before.last_updated
    assert after.reliability == pytest.approx(before.reliability, abs=1e-3)
    assert after.reliability < before.reliability


def test_each_piece_of_work_tells_the_new_trust_once(tx, ring, agent):
    told, _ = proof.recorded(tx, agent, ring)

    first, second = commands.fold_trust(tx, told.ref), commands.fold_trust(tx, told.ref)

    published = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = 'proof.trust_changed'").fetchall()
    assert second is None
    assert len(published) == 1
    assert published[0][0]["agent"] == agent
    assert published[0][0]["score"] == pytest.approx(first.score)
