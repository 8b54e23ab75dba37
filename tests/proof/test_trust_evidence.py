"""What attestations and disputes do to trust, and what each piece of evidence weighs."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from given import proof, registry
from given.identity import as_agent
from hansa.infra import outbox
from hansa.infra.keys import AgentKey
from hansa.proof import commands, queries
from hansa.proof.errors import AgentNotRegistered, EvidenceImpossible, OutcomeImpossible, WorkNotSettled
from hansa.proof.models import Evidence, EvidenceKind

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "trust.md"
NEUTRAL = 0.5
FIFTH = 0.2


def counted(tx, evidence):
    """Evidence that is noted and counted; the trust that it led to."""
    commands.note_evidence(tx, evidence)
    commands.fold_trust(tx, evidence.ref)
    return queries.trust_of(tx, evidence.agent, tx.at)


def audit(tx, agent, *, ref="attestation:1", passed=True, score=0.8, work=None):
    return Evidence.of_audit(ref=ref, agent=agent, passed=passed, score=score, work=work, occurred_at=tx.at)


def dispute(tx, agent, *, ref="dispute:1", work=None, **decision):
    return Evidence.of_dispute(ref=ref, agent=agent, work=work, occurred_at=tx.at, **decision)


def moved(sample, weight=1.0):
    """Where a neutral dimension comes to lie after one sample."""
    return pytest.approx(NEUTRAL + FIFTH * weight * (sample - NEUTRAL), abs=1e-6)


@pytest.mark.parametrize(("passed", "honesty"), [(True, 0.95), (False, 0.05)])
def test_an_audit_speaks_of_honesty_and_its_score_of_competence(tx, agent, passed, honesty):
    trust = counted(tx, audit(tx, agent, passed=passed, score=0.3))

    assert trust.honesty == moved(honesty)
    assert trust.competence == moved(0.3)
    assert (trust.reliability, trust.timeliness) == (NEUTRAL, NEUTRAL)


@pytest.mark.parametrize(
    ("decision", "honesty", "reliability"),
    [
        ({"upheld": True}, 0.95, None),
        ({"upheld": False}, 0.05, None),
        ({"upheld": False, "work_failed": True}, 0.05, 0.05),
    ],
    ids=["for the agent", "against the agent", "against the agent, and the work failed"],
)
def test_a_decided_dispute_speaks_of_honesty_and_of_failed_work(tx, agent, decision, honesty, reliability):
    trust = counted(tx, dispute(tx, agent, **decision))

    assert trust.honesty == moved(honesty)
    assert trust.reliability == (NEUTRAL if reliability is None else moved(reliability))
    assert (trust.competence, trust.timeliness) == (NEUTRAL, NEUTRAL)


def test_the_same_evidence_told_again_counts_once(tx, agent):
    trust = counted(tx, audit(tx, agent))

    again = counted(tx, audit(tx, agent, passed=False))

    assert again == trust
    told = tx.connection.execute("SELECT count(*) FROM ops.outbox WHERE name = 'proof.evidence_noted'").fetchone()
    assert told == (1,)


def test_evidence_is_counted_by_its_reaction(db):
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        commands.note_evidence(tx, audit(tx, agent))

    while outbox.dispatch(db):
        pass

    with db.transaction() as tx:
        assert queries.trust_of(tx, agent, tx.at).honesty == moved(0.95)


def test_whoever_attests_can_note_evidence_about_another_agent(db):
    with db.transaction() as tx:
        agent = registry.agent(tx).did
    attester = AgentKey.generate()

    for _ in range(2):
        with db.transaction(as_agent(attester)) as tx:
            commands.note_evidence(tx, audit(tx, agent))

    with db.transaction() as tx:
        commands.fold_trust(tx, "attestation:1")
        assert queries.trust_of(tx, agent, tx.at).honesty == moved(0.95)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, EvidenceImpossible),
        ({"honesty": 1.01}, EvidenceImpossible),
        ({"competence": float("nan")}, EvidenceImpossible),
        ({"reliability": -0.01}, EvidenceImpossible),
        ({"honesty": 0.5, "kind": EvidenceKind.WORK}, EvidenceImpossible),
        ({"honesty": 0.5, "work": "negotiation:never settled"}, WorkNotSettled),
        ({"honesty": 0.5, "ahead": timedelta(hours=1)}, OutcomeImpossible),
        ({"honesty": 0.5, "agent": AgentKey.generate().did}, AgentNotRegistered),
    ],
    ids=["nothing", "above 1", "no number", "below 0", "work", "unsettled work", "future", "unknown agent"],
)
def test_evidence_that_cannot_be_is_refused(tx, agent, changes, refusal):
    given = {"agent": agent, "kind": EvidenceKind.ATTESTATION, "occurred_at": tx.at + changes.pop("ahead", timedelta())}

    with pytest.raises(refusal):
        commands.note_evidence(tx, Evidence(ref="attestation:1", **(given | changes)))


def test_work_weighs_what_it_cost(tx, ring, agent):
    proof.settled(tx, agent, ring, fee=250)

    trust = queries.trust_of(tx, agent, tx.at)
    assert trust.reliability == moved(0.95, weight=0.25)
    assert trust.timeliness == moved(1.0, weight=0.25)


def test_each_repetition_of_a_pair_weighs_half_of_the_one_before(tx, ring, agent):
    payer = proof.a_payer()

    for _ in range(16):
        proof.settled(tx, agent, ring, payer=payer)

    left = 1.0
    for repetition in range(16):
        left *= 1 - FIFTH / 2**repetition
    assert queries.trust_of(tx, agent, tx.at).reliability == pytest.approx(0.95 - 0.45 * left)


def test_an_agent_cannot_talk_its_trust_up_by_deals_with_itself(tx, ring, agent):
    for _ in range(16):
        proof.settled(tx, agent, ring, payer=agent, fee=100_000)
        proof.settled(tx, agent, ring, payer_related=True, fee=100_000)

    trust = queries.trust_of(tx, agent, tx.at)
    assert trust.score == pytest.approx(NEUTRAL, abs=1e-12)
    assert queries.recompute(tx) == []


def test_sixteen_tiny_deals_with_invented_payers_move_next_to_nothing(tx, ring, agent):
    for _ in range(16):
        proof.settled(tx, agent, ring, fee=1, payer_verified=False)

    trust = queries.trust_of(tx, agent, tx.at)
    assert NEUTRAL < trust.score < NEUTRAL + 0.002


@pytest.mark.parametrize(
    ("work", "weight"),
    [({}, 1.0), ({"fee": 100}, 0.1), ({"payer_related": True}, 0.0)],
    ids=["a dear deal", "a cheap deal", "a deal with itself"],
)
def test_an_attestation_weighs_what_the_work_weighs_that_it_is_about(tx, ring, agent, work, weight):
    told, _ = proof.recorded(tx, agent, ring, **work)
    commands.fold_trust(tx, told.ref)

    trust = counted(tx, audit(tx, agent, work=told.ref))

    assert trust.honesty == moved(0.95, weight=weight)


def test_an_attestation_that_is_counted_before_its_work_weighs_the_same(tx, ring, agent):
    told, _ = proof.recorded(tx, agent, ring, fee=100)

    trust = counted(tx, audit(tx, agent, work=told.ref))

    assert trust.honesty == moved(0.95, weight=0.1)


def test_another_policy_leaves_trust_as_it_was_weighed(tx, ring, agent):
    proof.settled(tx, agent, ring)
    before = queries.trust_of(tx, agent, tx.at)

    commands.adopt_policy(tx, "mainnet", at=tx.at)
    after = queries.trust_of(tx, agent, tx.at)
    proof.settled(tx, agent, ring)

    assert after == before
    assert queries.recompute(tx) == []
    dearer = queries.trust_of(tx, agent, tx.at)
    assert dearer.reliability == pytest.approx(0.59 + FIFTH * 0.01 * (0.95 - 0.59))


def test_the_example_in_the_documentation_is_what_happens(tx, ring, agent):
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().partition("| what happened |")[2].partition("\n\n")[0].splitlines()[2:]
    ]
    payer = proof.a_payer()
    first, second = (proof.outcome(tx, agent, payer=payer, fee=fee) for fee in (1000, 400))
    steps = [
        lambda: None,
        lambda: commands.record_outcome(tx, first, ring) and commands.fold_trust(tx, first.ref),
        lambda: commands.record_outcome(tx, second, ring) and commands.fold_trust(tx, second.ref),
        lambda: counted(tx, audit(tx, agent, score=0.8, work=second.ref)),
        lambda: counted(tx, dispute(tx, agent, upheld=False, work_failed=True, work=first.ref)),
        lambda: None,
    ]

    for number, (row, step) in enumerate(zip(rows, steps, strict=True), start=1):
        step()

        trust = queries.trust_of(tx, agent, tx.at + (timedelta(days=30) if number == len(rows) else timedelta()))
        found = (trust.reliability, trust.honesty, trust.competence, trust.timeliness, trust.score)
        assert [f"{value:.4f}" for value in found] == row[2:], row[0]
    weights = [move.weight for move in queries.trust_moves(tx, agent, reader="").items]
    assert weights[::-1] == pytest.approx([float(row[1]) for row in rows if row[1]])


def test_failed_work_weighs_like_accepted_work(tx, ring, agent):
    proof.settled(tx, agent, ring, outcome=Decimal(0), fee=500)

    trust = queries.trust_of(tx, agent, tx.at)
    assert trust.reliability == moved(0.05, weight=0.5)
    assert trust.competence == moved(0.05, weight=0.5)
