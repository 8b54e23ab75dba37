"""Receipts of settled work, from the settlement to the verdict, by commands, reactions, jobs and over HTTP."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from given import deals, proof, receipts, registry
from given.identity import as_agent, client_as
from hansa.credits import queries as books
from hansa.infra import outbox
from hansa.infra.db import Actor
from hansa.infra.keys import AgentKey
from hansa.negotiation import commands as negotiation
from hansa.negotiation.queries import negotiation_of
from hansa.proof import commands, errors, jobs, queries, reactions
from hansa.proof.cli import attestations
from hansa.proof.models import AttestationKind, ReceiptState, Verdict
from hansa.proof.routes import router

ACCEPTED, PASS, FAIL, SAFETY = AttestationKind
NOBODY = Actor(kind="anonymous")


def dispatch_all(db):
    """Let everybody react; which of it is ours is known once the module of our reactions is."""
    assert {reaction.run for reaction in outbox.REACTIONS["proof.attestation_made"]} == {reactions.finalise_receipt}
    while outbox.dispatch(db):
        pass


def client(services, key=None):
    return client_as(services, as_agent(key) if key else NOBODY, router)


def post(services, key, deal, kind, **said):
    """Attest over HTTP."""
    signed = receipts.signature(key, deal.id, kind, **said)
    body = {"kind": kind, "signature": signed} | said
    return client(services, key).post(f"/api/receipts/{deal.id}/attestations", json=body)


@pytest.mark.parametrize(
    ("accepted", "audits", "state", "verdict"),
    [
        (True, [PASS, PASS, PASS], ReceiptState.FINALIZED, Verdict.PASS),
        (True, [FAIL, FAIL, PASS, PASS, PASS], ReceiptState.FINALIZED, Verdict.PASS),
        (False, [FAIL, FAIL, FAIL], ReceiptState.REJECTED, Verdict.FAIL),
        (True, [FAIL, FAIL, FAIL], ReceiptState.REJECTED, Verdict.FAIL),
        (False, [PASS, PASS, PASS, PASS, PASS], None, None),
        (True, [PASS, PASS, FAIL, FAIL], None, None),
        (True, [PASS, PASS, SAFETY, SAFETY, SAFETY], None, None),
        (True, [], None, None),
    ],
)
def test_a_receipt_ends_when_its_quorum_says_so_and_not_before(tx, ring, accepted, audits, state, verdict):
    keys = receipts.attesters(tx, 5)
    deal = receipts.a_receipt(tx, ring)
    if accepted:
        receipts.accept(tx, deal)
    receipts.audits(tx, deal, keys, *audits)

    ended = commands.finalise(tx, deal.id, at=tx.at)

    found = queries.receipt_of(tx, deal.id)
    assert (ended and ended.state) == state
    assert (found.state, found.verdict) == (state or ReceiptState.PENDING, verdict)
    assert queries.quorum_of(tx, deal.id).verdict == verdict
    assert commands.finalise(tx, deal.id, at=tx.at) is None


def test_one_member_of_a_committee_with_empty_seats_decides_nothing_alone(tx, ring):
    keys = receipts.attesters(tx, 3)
    deal = receipts.a_receipt(tx, ring)
    receipts.accept(tx, deal)
    receipts.audits(tx, deal, keys, FAIL, FAIL)

    undecided = commands.finalise(tx, deal.id, at=tx.at)
    receipts.attest(tx, deal.id, keys[deal.committee[2]], FAIL)
    decided = commands.finalise(tx, deal.id, at=tx.at)

    assert (undecided, decided.state) == (None, ReceiptState.REJECTED)


def test_a_settled_negotiation_has_a_receipt_and_its_reactions_draw_the_committee(db, ring):
    with db.transaction() as tx:
        keys = receipts.attesters(tx, 5)
        buyer, seller = deals.pair(tx)
        deal = deals.accepted(tx, buyer, seller)
        negotiation.settle(tx, ring, deal.id, by=buyer)
        seller_sees = queries.receipts_of_party(tx, seller).items
    dispatch_all(db)

    with db.transaction() as tx:
        (receipt,) = queries.receipts_of_party(tx, buyer).items
        events = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = 'proof.receipt_opened'").fetchall()
        assert receipt.intent == negotiation_of(tx, deal.id).intent_id
    assert [one.committee for one in seller_sees] == [None]
    assert (receipt.agent, receipt.client, receipt.amount, receipt.asset) == (seller, buyer, 90_000, "CREDIT")
    assert (receipt.state, receipt.k, receipt.m) == (ReceiptState.PENDING, 3, 5)
    assert set(receipt.committee) == set(keys)
    assert [row[0]["committee"] for row in events] == [receipt.committee]


def test_the_reaction_to_the_last_audit_ends_the_receipt_and_trust_follows(services, ring):
    db = services.db
    with db.transaction() as tx:
        keys = receipts.attesters(tx, 5)
        deal = receipts.a_receipt(tx, ring)
        receipts.fill_the_pool(tx)
        receipts.accept(tx, deal)
        receipts.audits(tx, deal, keys, FAIL)
        receipts.attest(tx, deal.id, keys[deal.committee[1]], PASS, score=1.0)
        receipts.attest(tx, deal.id, keys[deal.committee[2]], PASS, score=0.8)
        receipts.attest(tx, deal.id, keys[deal.committee[3]], PASS)

    dispatch_all(db)
    paid = jobs.pay_attesters(services)

    with db.transaction() as tx:
        worker, *members = [queries.trust_of(tx, did, tx.at) for did in (deal.worker.did, *deal.committee)]
        assert queries.receipt_of(tx, deal.id).state is ReceiptState.FINALIZED
        assert queries.recompute(tx) == []
        assert books.reconcile(tx) == []
    assert paid == 3
    assert worker.honesty == pytest.approx(0.5 + 0.2 * 0.45, abs=1e-3)
    assert worker.competence == pytest.approx(0.8 * (0.5 + 0.2 * 0.45) + 0.2 * 0.9, abs=1e-3)
    assert [round(member.honesty, 2) for member in members] == [0.41, 0.59, 0.59, 0.59, 0.5]


def test_a_rejected_piece_of_work_makes_its_agent_look_dishonest_and_takes_no_money_back(tx, ring):
    keys = receipts.attesters(tx, 5)
    deal = receipts.a_receipt(tx, ring)
    before = books.account_of(tx, deal.worker.did)
    receipts.audits(tx, deal, keys, FAIL, FAIL, FAIL)

    commands.finalise(tx, deal.id, at=tx.at)
    commands.fold_trust(tx, f"receipt:{deal.id}:{deal.worker.did}")

    trust = queries.trust_of(tx, deal.worker.did, tx.at)
    assert trust.honesty == pytest.approx(0.5 - 0.2 * 0.45, abs=1e-3)
    assert trust.competence == pytest.approx(0.5)
    assert books.account_of(tx, deal.worker.did) == before


def test_the_job_ends_what_is_overdue_and_one_that_cannot_end_holds_up_no_other(services, owner, ring):
    with services.db.transaction() as tx:
        receipts.attesters(tx, 3)
        broken, overdue, fresh = (receipts.a_receipt(tx, ring) for _ in range(3))
    receipts.time_over(owner, broken.id)
    receipts.time_over(owner, overdue.id)
    owner.execute(
        "INSERT INTO proof.committee_findings VALUES (%s, %s, 'unjudged', 0, 0, 0)", [broken.id, broken.committee[0]]
    )

    tried = jobs.finalise_receipts(services)

    with services.db.transaction() as tx:
        states = [queries.receipt_of(tx, deal.id).state for deal in (broken, overdue, fresh)]
    assert tried == 2
    assert states == ["pending", "expired", "pending"]


def test_the_policy_is_changed_on_the_command_line_and_receipts_keep_the_numbers_they_began_with(services, ring):
    with services.db.transaction() as tx:
        receipts.attesters(tx, 3)
        before = receipts.a_receipt(tx, ring).receipt
    runner, context = CliRunner(), SimpleNamespace(services=lambda: nullcontext(services))

    changed = runner.invoke(attestations, ["change", "--k", "2", "--m", "2", "--window-s", "60"], obj=context)
    wrong = runner.invoke(attestations, ["change", "--k", "3"], obj=context)
    shown = runner.invoke(attestations, ["policy"], obj=context)

    with services.db.transaction() as tx:
        after = receipts.a_receipt(tx, ring).receipt
        kept = queries.receipt_of(tx, before.id)
    assert "k 2\nm 2\nwindow_s 60\nmin_trust 0.5\n" in shown.output
    assert changed.output == shown.output
    assert isinstance(wrong.exception, errors.AttestationPolicyImpossible)
    assert (kept.k, len(kept.committee)) == (3, 3)
    assert (after.k, len(after.committee), (after.due_at - after.created_at).seconds) == (2, 2, 60)


def test_over_http_parties_and_committee_attest_and_everybody_sees_the_verdict(services, ring):
    with services.db.transaction() as tx:
        keys = receipts.attesters(tx, 3)
        deal = receipts.a_receipt(tx, ring)
    member = keys[deal.committee[0]]

    listed = client(services, member).get("/api/receipts?role=committee&state=pending").json()["items"]
    made = [post(services, deal.client, deal, ACCEPTED).status_code]
    made += [post(services, keys[did], deal, PASS, score=0.9).status_code for did in deal.committee]
    dispatch_all(services.db)
    answer = client(services, deal.worker).get(f"/api/receipts/{deal.id}").json()
    public = client(services).get(f"/api/agents/{deal.worker.did}/receipts")
    draw = client(services, deal.client).get(f"/api/receipts/{deal.id}/committee").json()

    assert [one["id"] for one in listed] == [str(deal.id)]
    assert made == [201] * 4
    assert answer["quorum"] == {
        "passes": 3,
        "fails": 0,
        "accepted": True,
        "k": 3,
        "m": 5,
        "reached": True,
        "verdict": "pass",
    }
    assert [one["kind"] for one in answer["attestations"]] == ["ACCEPTED", *["AUDIT_PASS"] * 3]
    assert {one["finding"] for one in answer["findings"]} == {"agreed"}
    assert [(one["state"], one["k"], one["m"], one["verdict"]) for one in public.json()["items"]] == [
        ("finalized", 3, 5, "pass")
    ]
    assert deal.client.did not in public.text
    assert draw["members"] == deal.committee
    assert client(services, deal.client).get("/api/receipts?state=finalized").json()["items"] == [answer["receipt"]]
    assert client(services, deal.client).get("/api/receipts?state=pending").json()["items"] == []


def test_what_is_wrong_with_an_attestation_is_answered_by_name(services, ring):
    with services.db.transaction() as tx:
        keys = receipts.attesters(tx, 3)
        deal = receipts.a_receipt(tx, ring)
        outsider = receipts.party(tx)
    member = keys[deal.committee[0]]
    unsigned = {"kind": "AUDIT_PASS", "signature": ""}
    path = f"/api/receipts/{deal.id}/attestations"

    answers = [
        client(services).post(path, json=unsigned),
        client(services, member).post(path, json=unsigned),
        post(services, outsider, deal, PASS),
        post(services, deal.client, deal, PASS),
        post(services, member, deal, PASS),
        post(services, member, deal, FAIL),
        client(services, member).post(path, json={"kind": "AUDIT_PASS", "signature": "x", "score": 2}),
        client(services, outsider).get(f"/api/receipts/{deal.id}/committee"),
    ]

    assert [(one.status_code, one.json().get("code")) for one in answers] == [
        (401, "signature_required"),
        (403, "attestation_forged"),
        (404, "receipt_unknown"),
        (403, "not_on_the_committee"),
        (201, None),
        (409, "attested_before"),
        (422, None),
        (404, "receipt_unknown"),
    ]


def test_an_agent_keeps_its_stake_over_http(services):
    with services.db.transaction() as tx:
        key = receipts.attester(tx, stake=0)
    own = client(services, key)

    locked = own.post("/api/stakes", json={"amount": 60_000})
    too_much = own.post("/api/stakes", json={"amount": 60_000})
    mine = own.get("/api/stakes/mine")
    asked = own.delete("/api/stakes")
    jobs.tend_stakes(services)

    assert (locked.status_code, locked.json()["amount"]) == (201, 60_000)
    assert (too_much.status_code, too_much.json()["missing"]) == (402, 20_000)
    assert mine.json() == locked.json()
    assert asked.json()["unbonding_until"] is not None
    assert own.get("/api/stakes/mine").json()["amount"] == 60_000
    assert client(services).delete("/api/stakes").status_code == 401


def test_pages_of_receipts_leave_nothing_out(tx, ring):
    worker, payer = receipts.party(tx), receipts.party(tx)
    made = [receipts.a_receipt(tx, ring, worker=worker, client=payer).id for _ in range(5)]

    for read, agent in ((queries.receipts_of_agent, worker), (queries.receipts_of_party, payer)):
        first = read(tx, agent.did, limit=3)
        second = read(tx, agent.did, limit=3, before=first.after)

        assert [one.id for one in first.items + second.items] == made[::-1]
        assert second.after is None


def test_a_receipt_tells_the_public_nothing_of_an_unknown_agent(services):
    answer = client(services).get(f"/api/agents/{AgentKey.generate().did}/receipts")

    assert (answer.status_code, answer.json()["code"]) == (404, "agent_unknown")


def test_the_same_work_recorded_twice_has_one_receipt(tx, ring):
    told, log = proof.recorded(tx, registry.agent(tx).did, ring)

    again = commands.record_outcome(tx, told, ring)

    count = tx.connection.execute("SELECT count(*) FROM proof.task_receipts WHERE log_id = %s", [log.id]).fetchone()
    assert (again, json.dumps(count)) == (log, "[1]")
