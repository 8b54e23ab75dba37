"""Attacks on what an agent is said to be worth: usefulness, trust, reputation, attestations, stakes, rewards."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest

from given import deals, proof, receipts, registry
from given.books import committed, house, money, nothing_lost, refusal_of
from given.credits import issued
from given.defects import defect
from given.market import deliver_events
from given.racing import names, race
from hansa.credits.errors import AmountNotPositive
from hansa.credits.models import POOL
from hansa.identity import commands as people
from hansa.infra import outbox
from hansa.infra.db import SYSTEM
from hansa.kernel import base58
from hansa.proof import commands, jobs, queries
from hansa.proof.commands.stakes import slash, take_stake
from hansa.proof.models import AttestationKind, SeatFinding

ACCEPTED, PASS, FAIL, SAFETY = AttestationKind
JSON = {"content-type": "application/json"}


# ---------------------------------------------------------------------------------------------------------------
# Trust and reputation


@defect(
    "reputation_never_updates",
    "Settled work is counted in a reaction whose errors are kept and tried again: after a deal over HTTP reputation and"
    " trust have moved, and nothing is left undelivered.",
)
def test_a_settled_deal_moves_reputation_and_trust(api, agent, db):
    buyer, seller = agent("Buyer"), agent("Seller")
    committed(db, people.verify_account, buyer.key.did)
    intent = buyer.intend("work", budget=90_000)["id"]
    offer = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 90_000})["id"]
    seller.accept(offer)

    def worth():
        reputation = api.get(f"/api/agents/{seller.key.did}/reputation").json()["reputation"]
        trust = api.get(f"/api/agents/{seller.key.did}/trust").json()["trust"]
        return Decimal(reputation["score"]), reputation["metadata"].get("task_count"), trust["score"], trust["evidence"]

    before = worth()
    buyer.settle(offer)
    deliver_events(db)
    after = worth()

    assert before == (0, None, 0.5, {"work": 0, "attestations": 0, "disputes": 0})
    assert after[:2] == (Decimal("0.01"), 1)
    assert after[2] == pytest.approx(0.35 * 0.59 + 0.35 * 0.5 + 0.2 * 0.59 + 0.1 * 0.5)
    assert after[3]["work"] == 1
    assert committed(db, outbox.undelivered) == 0


@defect(
    "reputation_formula_if_repaired",
    "Good work never lowers trust, however good it was before, and timeliness measures the work against its promise: two"
    " hours of three promised are in time.",
)
def test_one_more_good_deal_does_not_lower_the_trust_in_a_good_agent(tx, services_keys):
    agent = registry.agent(tx).did
    for _ in range(40):
        proof.settled(tx, agent, services_keys)
    tx.connection.execute("UPDATE proof.trust_scores SET honesty = 0.95")
    before = queries.trust_of(tx, agent, tx.at)

    began = tx.at - timedelta(hours=2)
    slow = {"started_at": began, "due_at": began + timedelta(hours=3), "delivered_at": tx.at}
    for _ in range(2):
        proof.settled(tx, agent, services_keys, **slow)

    after = queries.trust_of(tx, agent, tx.at)
    assert before.score > 0.94
    assert after.score >= before.score
    assert [after.reliability, after.competence] >= [before.reliability, before.competence]
    assert after.timeliness >= before.timeliness > 0.99
    assert after.honesty == before.honesty == 0.95


@defect("trust_lost_update", "Evidence is appended and counted under a lock: sixteen at once are sixteen in a row.")
def test_sixteen_successes_at_once_give_the_trust_of_sixteen_in_a_row(db, services_keys):
    with db.transaction() as tx:
        serial, parallel = (registry.agent(tx).did for _ in range(2))
        told = {
            agent: [proof.recorded(tx, agent, services_keys)[0].ref for _ in range(16)] for agent in (serial, parallel)
        }
        at = tx.at

    for ref in told[serial]:
        committed(db, commands.fold_trust, ref)
    race(db, *[lambda tx, ref=ref: commands.fold_trust(tx, ref) for ref in told[parallel]])
    one, other = (committed(db, queries.trust_of, agent, at) for agent in (serial, parallel))

    assert other.reliability == pytest.approx(one.reliability, abs=1e-12)
    assert other.reliability == pytest.approx(0.9373, abs=1e-4)
    assert other.evidence.work == 16
    assert committed(db, queries.recompute) == []


@defect(
    "trust_no_read_decay",
    "Trust is stored as of an instant and fades with every read, by the database's clock: after a year of silence the"
    " evidence is gone and the neutral .5 is read; AINP's literal rule, beside it, is at .0002.",
)
def test_trust_that_was_earned_a_year_ago_is_not_read_as_of_today(api, db, services_keys):
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        for _ in range(40):
            proof.settled(tx, agent, services_keys, at=tx.at - timedelta(days=365))
        then = queries.trust_of(tx, agent, tx.at - timedelta(days=365))

    read = api.get(f"/api/agents/{agent}/trust?min=0.6").json()

    assert then.reliability > 0.94
    assert not read["trusted"]
    assert read["trust"]["reliability"] == pytest.approx(0.5 + (then.reliability - 0.5) * 0.977**365, abs=1e-6)
    assert read["trust"]["score"] == pytest.approx(0.5, abs=1e-4)
    assert read["trust"]["literal_score"] == pytest.approx(then.score * 0.977**365, abs=1e-6)
    assert read["trust"]["literal_score"] < 0.0003


# ---------------------------------------------------------------------------------------------------------------
# Proofs of usefulness


@defect("proof_duplicate_race", "Agent and trace are unique in the database: of twenty copies at once one is stored.")
def test_of_twenty_copies_of_a_proof_one_counts(db, owner):
    agent = committed(db, deals.rich_agent, "Worker")

    results = race(db, *[lambda tx: proof.proven(tx, agent, trace="the same")] * 20)

    assert names(results) == {"done": 1, "UsefulWorkProvenBefore": 19}
    assert owner.execute("SELECT count(*) FROM proof.usefulness_proofs").fetchone() == (1,)
    found = committed(db, queries.usefulness_of, agent)
    assert (found.proofs, found.score) == (1, 50)


def order(**changes):
    return {
        "intent": str(uuid4()),
        "work_type": "compute",
        "metrics": {"compute_ms": 5000},
        "trace": str(uuid4()),
        "timestamp": datetime.now(UTC).isoformat(),
    } | changes


def proven(agent, body):
    """Status and code of a proof sent as these bytes."""
    answer = agent.http.post("/api/usefulness/proofs", content=body, headers=JSON)
    return answer.status_code, answer.json().get("code")


@defect("proof_without_intent", "The intent is required by API and table alike: without one a proof is a 422.")
def test_a_proof_without_its_intent_is_refused_by_name(agent, written):
    worker = agent("Worker")
    before = written()

    without = order()
    del without["intent"]
    bodies = [without, *(order(intent=nothing) for nothing in (None, "", "none", 7, {}, []))]
    answers = [proven(worker, json.dumps(body)) for body in bodies]

    assert answers == [(422, "request_malformed")] * 7
    assert written() == before
    assert proven(worker, json.dumps(order()))[0] == 201


WRONG_METRICS = [
    '{"compute_ms": "5000"}',
    '{"compute_ms": "; DROP"}',
    '{"compute_ms": null}',
    '{"compute_ms": true}',
    '{"compute_ms": [5000]}',
    '{"compute_ms": {"ms": 5000}}',
    '{"compute_ms": 0}',
    '{"compute_ms": -5000}',
    '{"compute_ms": 3600001}',
    '{"compute_ms": 1e400}',
    '{"compute_ms": NaN}',
    '{"memory_bytes": 5000}',
    "{}",
    "[]",
    '"5000"',
    "null",
]


@defect(
    "proof_wrong_metric",
    "The metric of the stated type of work is a number above zero within its bound, or the proof is a 422.",
)
def test_a_metric_that_is_no_number_in_its_range_proves_nothing(agent, written):
    worker = agent("Worker")
    before = written()

    answers = {
        metrics: proven(worker, json.dumps(order(metrics="HERE")).replace('"HERE"', metrics))
        for metrics in WRONG_METRICS
    }

    assert {metrics: answer for metrics, answer in answers.items() if answer[0] != 422 or not answer[1]} == {}
    assert written() == before
    assert proven(worker, json.dumps(order()))[0] == 201


@defect(
    "rewards_not_idempotent",
    "An epoch is one row per day and a reward one row per epoch and agent: replicas that run at once pay each once, out of"
    " the pool, and who is not useful is not counted.",
)
def test_replicas_that_pay_the_same_rewards_pay_them_once_and_from_the_pool(db, owner):
    with db.transaction() as tx:
        useful = [registry.agent(tx).did for _ in range(3)]
        registry.agent(tx)
        issued(tx, POOL, 100_000)
        day = commands.epoch_before(tx.at)
    for agent, score in zip(useful, (10, 20, 50), strict=True):
        proof.bygone(owner, agent, score, ago=timedelta(days=1))
    minted = house(db, "mint")

    paid = sum(at_once(4, lambda: commands.reward(db, SYSTEM, day)))
    again = commands.reward(db, SYSTEM, day)

    assert (paid, again) == (3, 0)
    assert [money(db, agent) for agent in useful] == [(1250, 0), (2500, 0), (6250, 0)]
    assert house(db, "pool") == 90_000
    assert house(db, "mint") == minted
    assert owner.execute("SELECT count(*), sum(units) FROM proof.rewards").fetchone() == (3, 10_000)
    assert nothing_lost(db, owner)


def at_once(count, act):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: act(), range(count)))


# ---------------------------------------------------------------------------------------------------------------
# Receipts, attestations, stakes


@pytest.fixture
def deal(db, services_keys):
    """A receipt of settled work with a committee of five, each with a stake; keys of all, and a pool that can pay."""
    with db.transaction() as tx:
        keys = receipts.attesters(tx, 5)
        receipts.fill_the_pool(tx)
        made = receipts.a_receipt(tx, services_keys)
    return SimpleNamespace(**vars(made), keys=keys)


def quorum(db, deal):
    return committed(db, queries.quorum_of, deal.id)


@defect(
    "attestation_forgery",
    "Every attestation is signed with the key of its author over its statement, sent in a request that its author"
    " signed: one caller speaks for one seat.",
)
def test_one_caller_cannot_fill_a_quorum(api, agent, db, owner, deal):
    mallory = agent("Mallory")
    path = f"/api/receipts/{deal.id}/attestations"
    member, *others = (deal.keys[did] for did in deal.committee)
    honest = agent(registered=False, key=member)

    def said(key, kind, **changes):
        return {"kind": kind, "signature": receipts.signature(key, deal.id, kind)} | changes

    unsigned = [api.post(path, json=said(mallory.key, PASS, by=did)).status_code for did in deal.committee]
    stranger = [mallory.http.post(path, json=said(mallory.key, PASS, by=did)).status_code for did in deal.committee]
    copied = mallory.http.post(path, json=said(member, PASS)).status_code
    for_others = [
        honest.http.post(path, json=said(member, PASS, by=other.did, key_id=other.key_id)).json()["code"]
        for other in others
    ]
    in_their_words = [
        honest.http.post(
            path,
            json={"kind": PASS, "signature": receipts.signature(member, deal.id, PASS, by=other.did)},
        ).json()["code"]
        for other in others
    ]
    noise = honest.http.post(path, json={"kind": PASS, "signature": base58.encode(bytes(range(64)))}).json()["code"]
    own = honest.http.post(path, json=said(member, PASS)).status_code
    twice = [honest.http.post(path, json=said(member, kind)).json()["code"] for kind in (PASS, FAIL)]

    assert unsigned == [401] * 5
    assert {*stranger, copied} <= {403, 404}
    assert {*for_others, *in_their_words, noise} == {"attestation_forged"}
    assert own == 201
    assert twice == ["attested_before"] * 2
    found = quorum(db, deal)
    assert (found.passes, found.fails, found.accepted, found.reached) == (1, 0, False, False)
    assert owner.execute("SELECT by_did FROM proof.task_attestations").fetchall() == [(member.did,)]


@defect(
    "finalizer_ignores_committee",
    "One quorum, in SQL: only members of the drawn committee are counted, in the job and in every answer. Whoever else"
    " gets a row written does not move it.",
)
def test_a_crowd_outside_the_committee_finalises_nothing(db, owner, services, deal):
    with db.transaction() as tx:
        crowd = [receipts.party(tx) for _ in range(6)]
    refused = [refusal_of(db, receipts.attest, deal.id, key, PASS) for key in (*crowd, deal.worker, deal.client)]
    committed(db, receipts.accept, deal)
    committed(db, receipts.audits, deal, deal.keys, PASS, PASS)
    smuggle(owner, deal, [key.did for key in crowd])

    early = committed(db, lambda tx: commands.finalise(tx, deal.id, at=tx.at))
    counted = quorum(db, deal)
    receipts.time_over(owner, deal.id)
    jobs.finalise_receipts(services)
    ended = committed(db, queries.receipt_of, deal.id)

    assert {status for status, _ in refused} == {403}
    assert early is None
    assert (counted.passes, counted.accepted, counted.reached) == (2, True, False)
    assert (ended.state, ended.verdict) == ("expired", None)
    assert nothing_lost(db, owner)


def smuggle(owner, deal, dids):
    """Write audits of agents without a seat, past every check, as only the superuser can."""
    owner.execute("SET session_replication_role = replica")
    for did in dids:
        owner.execute(
            "INSERT INTO proof.task_attestations SELECT (jsonb_populate_record(said, %s)).*"
            " FROM proof.task_attestations AS said WHERE kind = 'AUDIT_PASS' AND by_did = %s",
            [psycopg.types.json.Jsonb({"id": str(uuid4()), "by_did": did, "key_id": f"{did}#key"}), deal.committee[0]],
        )
    owner.execute("SET session_replication_role = origin")
    assert owner.execute("SELECT count(*) FROM proof.task_attestations").fetchone() == (3 + len(dids),)


@defect(
    "slash_never_works",
    "An audit against the verdict costs a part of the stake, which the pool gets, in the transaction that ends the"
    " receipt; whoever agreed is paid.",
)
def test_who_audits_against_the_verdict_loses_a_part_of_its_stake(db, owner, services, deal):
    wrong, *right = deal.committee
    committed(db, receipts.accept, deal)
    committed(db, receipts.audits, deal, deal.keys, FAIL, PASS, PASS, PASS, PASS)
    pool = house(db, "pool")

    committed(db, lambda tx: commands.finalise(tx, deal.id, at=tx.at))
    slashed = house(db, "pool") - pool
    jobs.pay_attesters(services)

    found = {one.member: one for one in committed(db, queries.findings_of, deal.id)}
    lost = receipts.STAKE * deal.receipt.slash_bps // 10_000
    assert (found[wrong].finding, found[wrong].slashed_units) == (SeatFinding.DISAGREED, lost)
    assert lost == slashed > 0
    assert money(db, wrong) == (100_000 - lost, receipts.STAKE - lost)
    earned = deal.receipt.reward_units
    assert [money(db, member) for member in right] == [(100_000 + earned, receipts.STAKE)] * 4
    told = owner.execute("SELECT payload ->> 'agent' FROM ops.outbox WHERE name = 'proof.stake_slashed'").fetchall()
    assert told == [(wrong,)]
    assert nothing_lost(db, owner)


@defect(
    "slash_formula_if_repaired",
    "A slash takes a share of what is at stake at that moment: nothing from nothing, never more than there is, never less"
    " than zero.",
)
def test_a_slash_takes_no_more_than_the_stake_and_gives_none(db, owner):
    with db.transaction() as tx:
        bare, staked, poor = (receipts.attester(tx, stake=stake) for stake in (0, 300, 300))

    def slashed(key, bps, receipt):
        with db.transaction() as tx:
            tx.connection.execute(
                "INSERT INTO proof.agent_stakes (agent_did) VALUES (%s) ON CONFLICT DO NOTHING", [key.did]
            )
            return slash(tx, take_stake(tx, key.did), bps, receipt=receipt, at=tx.at)

    nothing = slashed(bare, 10_000, "r0")
    with pytest.raises(AmountNotPositive):
        slashed(staked, -1000, "r1")
    everything = slashed(poor, 20_000, "r2")
    still = committed(db, queries.stake_of, staked.did).amount
    race_of = Counter(at_once(4, lambda: slashed(staked, 5000, str(uuid4()))))

    assert (nothing, still, everything) == (0, 300, 300)
    assert race_of == {150: 1, 75: 1, 37: 1, 19: 1}
    assert committed(db, queries.stake_of, staked.did).amount == 19
    assert [money(db, key.did) for key in (bare, staked, poor)] == [(100_000, 0), (99_719, 19), (99_700, 0)]
    assert house(db, "pool") == 581
    assert refusal_of(db, commands.lock_stake, -300, by=staked.did) == (422, "amount_not_positive")
    assert nothing_lost(db, owner)
