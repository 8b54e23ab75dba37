"""What settlements do to a reputation: the numbers of the policy, and what does not move it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from psycopg import sql

from given import proof, registry
from hansa.identity import commands as identity
from hansa.infra.keys import AgentKey
from hansa.kernel.money import Asset
from hansa.proof import commands, errors, queries
from hansa.proof.models import AttestationSource, DisclosureLevel, UpdateTrigger


def score(tx, agent):
    return queries.reputation_of(tx, agent).score


def outbox(tx, name):
    rows = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = %s ORDER BY id", [name]).fetchall()
    return [payload for (payload,) in rows]


def test_an_agent_without_evidence_has_reputation_zero_and_no_trigger(tx, agent):
    found = queries.reputation_of(tx, agent)

    assert found.score == Decimal("0.00")
    assert found.update_trigger is None
    assert found.explanation is None
    assert found.policy == "devnet"


def test_the_first_full_weight_settlement_gives_one_hundredth(tx, ring, agent):
    proof.settled(tx, agent, ring)

    found = queries.reputation_of(tx, agent)
    assert found.score == Decimal("0.01")
    assert found.update_trigger is UpdateTrigger.X402_SETTLEMENT
    assert found.last_updated == tx.at
    assert found.metadata == {"task_count": 1, "success_rate": 1.0, "avg_speed_ms": 300_000}


def test_each_full_weight_settlement_adds_one_hundredth_until_the_evidence_bounds_it(tx, ring, agent):
    scores = [proof.settled(tx, agent, ring) for _ in range(98)]

    assert scores[:95] == [Decimal(n) / 100 for n in range(1, 96)]
    assert scores[49] == Decimal("0.50")
    assert scores[95:] == [Decimal("0.96")] * 3
    explained = queries.reputation_of(tx, agent).explanation
    assert explained.success == pytest.approx(98)
    assert (explained.events, explained.payers, explained.verified_payers) == (98, 98, 98)
    assert explained.uncertainty == pytest.approx(4 / 102)


def test_one_failure_takes_two_hundredths_from_an_excellent_agent(tx, ring, agent):
    while proof.settled(tx, agent, ring) < Decimal("0.97"):
        pass

    after = proof.settled(tx, agent, ring, outcome=Decimal(0))

    assert after == Decimal("0.95")


def test_the_same_payer_again_and_again_adds_next_to_nothing(tx, ring, agent):
    payer = proof.a_payer()

    scores = [proof.settled(tx, agent, ring, payer=payer) for _ in range(5)]

    assert scores == [Decimal("0.01")] * 5
    assert queries.reputation_of(tx, agent).explanation.success == pytest.approx(1.9375)


def test_two_hundred_anonymous_wallets_are_worth_three_hundredths(tx, ring, agent):
    for _ in range(200):
        proof.settled(tx, agent, ring, payer_verified=False)

    found = queries.reputation_of(tx, agent)
    assert found.score == Decimal("0.03")
    assert found.explanation.anchor == pytest.approx(3 / 200)


def test_verified_payers_vouch_for_four_times_their_evidence(tx, ring, agent):
    for _ in range(2):
        proof.settled(tx, agent, ring)

    for _ in range(20):
        proof.settled(tx, agent, ring, payer_verified=False)

    explained = queries.reputation_of(tx, agent).explanation
    assert explained.anchor == pytest.approx((4 * 2 + 3) / 20)
    assert explained.success == pytest.approx(2 + 11)


def test_a_small_fee_weighs_in_proportion(tx, ring, agent):
    for _ in range(3):
        proof.settled(tx, agent, ring, fee=500)
    proof.settled(tx, agent, ring, fee=0)

    assert queries.reputation_of(tx, agent).explanation.success == pytest.approx(1.5)
    assert score(tx, agent) == Decimal("0.01")


def test_a_partial_outcome_counts_half_each_way(tx, ring, agent):
    proof.settled(tx, agent, ring, outcome=Decimal("0.5"))

    explained = queries.reputation_of(tx, agent).explanation
    assert explained.success == pytest.approx(0.5)
    assert explained.failure == pytest.approx(0.5)


def test_who_pays_himself_proves_nothing(tx, ring, agent):
    friend = proof.a_payer()

    proof.settled(tx, agent, ring, payer=agent)
    proof.settled(tx, agent, ring, payer=friend, payer_related=True)

    found = queries.reputation_of(tx, agent)
    assert found.score == 0
    assert found.explanation.success == 0
    assert found.metadata["task_count"] == 2


def test_another_name_of_the_owner_proves_nothing_either(tx, ring):
    key = AgentKey.generate()
    agent = registry.agent(tx, key).did
    identity.ensure_user(tx, key.did_sol, at=tx.at)

    proof.settled(tx, agent, ring, payer=key.did_sol)

    assert queries.reputation_of(tx, agent).explanation.success == 0
    assert score(tx, agent) == 0


def test_a_verified_payer_vouches_for_no_more_than_its_capacity(tx, ring):
    payer = proof.a_payer()
    agents = [registry.agent(tx).did for _ in range(42)]

    scores = [proof.settled(tx, agent, ring, payer=payer) for agent in agents]

    assert scores[:40] == [Decimal("0.01")] * 40
    assert scores[40:] == [Decimal("0.00")] * 2


def test_capacity_comes_back_in_the_next_window(tx, ring):
    payer = proof.a_payer()
    early = tx.at - timedelta(days=800)
    for _ in range(40):
        proof.settled(tx, registry.agent(tx).did, ring, payer=payer, at=early)

    newcomer = registry.agent(tx).did
    proof.settled(tx, newcomer, ring, payer=payer)

    assert score(tx, newcomer) == Decimal("0.01")


def test_the_same_settlement_reported_again_changes_nothing(tx, ring, agent):
    told, log = proof.recorded(tx, agent, ring)
    commands.fold_reputation(tx, told.ref, at=tx.at)

    again = commands.record_outcome(tx, told, ring)
    refolded = commands.fold_reputation(tx, told.ref, at=tx.at)

    assert again == log
    assert refolded is None
    assert score(tx, agent) == Decimal("0.01")
    assert len(outbox(tx, "proof.outcome_recorded")) == 1
    assert queries.recompute(tx) == []


def test_a_settlement_cannot_be_the_work_of_two_agents(tx, ring, agent):
    told, _ = proof.recorded(tx, agent, ring)
    other = registry.agent(tx).did

    with pytest.raises(errors.OutcomeOfAnotherAgent):
        proof.recorded(tx, other, ring, subject_id=told.subject_id)


def test_work_of_an_agent_that_nobody_registered_is_refused(tx, ring):
    with pytest.raises(errors.AgentNotRegistered):
        proof.recorded(tx, proof.a_payer(), ring)


@pytest.mark.parametrize(
    "impossible",
    [
        {"outcome": Decimal("0.7")},
        {"fee": -1},
        {"settled_at": None, "later": timedelta(hours=1)},
        {"delivered_at": None, "early": True},
    ],
    ids=["an outcome in between", "a negative fee", "settled in the future", "delivered before it began"],
)
def test_an_impossible_outcome_is_refused_by_name(tx, ring, agent, impossible):
    changes = dict(impossible)
    if changes.pop("early", False):
        changes["delivered_at"] = tx.at - timedelta(hours=1)
    if later := changes.pop("later", None):
        changes["settled_at"] = tx.at + later

    with pytest.raises(errors.OutcomeImpossible):
        proof.recorded(tx, agent, ring, **changes)


def test_evidence_ages_by_the_day_and_an_idle_agent_is_not_called_bad(tx, ring, agent):
    for _ in range(50):
        proof.settled(tx, agent, ring, at=tx.at - timedelta(days=90))

    found = queries.reputation_of(tx, agent)

    kept = 0.95**3
    assert found.explanation.success == pytest.approx(50 * kept)
    assert found.score == Decimal("0.42")
    assert found.explanation.recent == pytest.approx(found.explanation.mean, abs=0.05)
    assert found.explanation.lower_bound > 0.9


def test_the_daily_job_brings_idle_scores_to_the_day_and_tells_which_changed(tx, ring, agent):
    for _ in range(10):
        proof.settled(tx, agent, ring)
    in_a_month = tx.at + timedelta(days=30)

    brought = commands.age_reputations(tx, at=in_a_month)

    assert brought == 1
    assert score(tx, agent) == Decimal("0.09")
    assert outbox(tx, "proof.reputation_changed")[-1] == {
        "agent": agent,
        "score": "0.09",
        "trigger": "x402_settlement",
    }
    assert commands.age_reputations(tx, at=in_a_month) == 0
    assert queries.recompute(tx) == []


def test_evidence_that_comes_late_gives_the_same_as_evidence_in_order(tx, ring):
    days = [0, 40, 3, 200, 7, 90]
    in_order, shuffled = registry.agent(tx).did, registry.agent(tx).did

    for day in sorted(days, reverse=True):
        proof.settled(tx, in_order, ring, at=tx.at - timedelta(days=day))
    for day in days:
        proof.settled(tx, shuffled, ring, at=tx.at - timedelta(days=day))

    first, second = queries.reputation_of(tx, in_order), queries.reputation_of(tx, shuffled)
    assert second.exact == pytest.approx(first.exact, abs=1e-12)
    assert second.score == first.score
    assert second.explanation.recent == pytest.approx(first.explanation.recent, abs=1e-12)


def test_recent_failures_show_before_the_long_record_does(tx, ring, agent):
    for _ in range(100):
        proof.settled(tx, agent, ring, at=tx.at - timedelta(days=60))
    before = queries.reputation_of(tx, agent)

    for _ in range(9):
        proof.settled(tx, agent, ring, outcome=Decimal(0))

    after = queries.reputation_of(tx, agent)
    assert before.score - after.score >= Decimal("0.09")
    assert after.explanation.recent < after.explanation.lower_bound


def test_another_policy_works_every_score_out_anew(tx, ring, agent):
    for _ in range(10):
        proof.settled(tx, agent, ring, asset=Asset.USDC, fee=50_000)

    rescored = commands.adopt_policy(tx, "mainnet", at=tx.at)

    assert [(row.agent, row.previous, row.score) for row in rescored] == [(agent, Decimal("0.10"), Decimal("0.05"))]
    assert queries.reputation_of(tx, agent).policy == "mainnet"
    assert queries.recompute(tx) == []
    with pytest.raises(errors.PolicyUnknown):
        commands.adopt_policy(tx, "no such policy", at=tx.at)


def test_the_best_come_first_and_pages_leave_nobody_out(tx, ring):
    counts = {registry.agent(tx).did: count for count in (3, 1, 2, 2)}
    for agent, count in counts.items():
        for _ in range(count):
            proof.settled(tx, agent, ring)

    first = queries.best_reputations(tx, score_min=Decimal("0.02"), limit=2)
    second = queries.best_reputations(tx, score_min=Decimal("0.02"), limit=2, after=first.after)

    ranked = [(row.score, row.agent) for row in first.items + second.items]
    expected = [(Decimal(count) / 100, agent) for agent, count in counts.items() if count > 1]
    assert ranked == sorted(expected, key=lambda row: (-row[0], row[1]))
    assert second.after is None


@pytest.mark.parametrize(
    ("enum", "labels"),
    [
        ("update_trigger", UpdateTrigger),
        ("attestation_source", AttestationSource),
        ("disclosure_level", DisclosureLevel),
        ("asset", Asset),
    ],
)
def test_closed_sets_are_the_same_in_postgresql_and_here(tx, enum, labels):
    statement = sql.SQL("SELECT enum_range(NULL::proof.{})::text[]").format(sql.Identifier(enum))

    found = tx.connection.execute(statement).fetchone()[0]

    assert found == [label.value for label in labels]
