"""Attestations: signed by who may say it, once, in time, and verifiable by anybody afterwards."""

import hashlib
import json

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from given import receipts
from given.governance import acting_as
from hansa.identity import commands as identity
from hansa.identity.models import KeyEnd
from hansa.infra.keys import AgentKey
from hansa.kernel import base58
from hansa.kernel.dids import did_public_key
from hansa.proof import commands, errors, queries
from hansa.proof.models import AttestationKind

ACCEPTED, PASS, FAIL, SAFETY = AttestationKind


@pytest.fixture
def keys(tx):
    """Five agents that may sit."""
    return receipts.attesters(tx, 5)


@pytest.fixture
def deal(tx, ring, keys):
    del keys
    return receipts.a_receipt(tx, ring)


def said(tx, deal):
    return [(one.by, one.kind) for one in queries.attestations_of(tx, deal.id)]


def test_anybody_can_check_an_attestation_long_after_the_request(tx, deal, keys):
    member = deal.committee[0]
    receipts.attest(tx, deal.id, keys[member], PASS, score=0.75, evidence_hash="ab" * 32)

    (found,) = queries.attestations_of(tx, deal.id)
    statement = json.dumps(
        {
            "by": member,
            "evidence_hash": found.evidence_hash,
            "kind": "AUDIT_PASS",
            "receipt": str(deal.id),
            "score": found.score,
            "type": "urn:hansa:attestation:1",
        },
        separators=(",", ":"),
    ).encode()

    Ed25519PublicKey.from_public_bytes(did_public_key(member)).verify(
        base58.decode(found.signature, size=64), statement
    )
    assert found.statement_hash == hashlib.sha256(statement).hexdigest()
    assert (found.by, found.kind, found.score) == (member, PASS, 0.75)


def test_the_client_accepts_and_members_audit_once_each(tx, deal, keys):
    receipts.accept(tx, deal)
    receipts.audits(tx, deal, keys, PASS, FAIL, SAFETY)
    receipts.attest(tx, deal.id, keys[deal.committee[2]], PASS)

    for key, kind in (
        (deal.client, ACCEPTED),
        (keys[deal.committee[0]], PASS),
        (keys[deal.committee[0]], FAIL),
        (keys[deal.committee[2]], SAFETY),
    ):
        with pytest.raises(errors.AttestedBefore), tx.savepoint():
            receipts.attest(tx, deal.id, key, kind)

    quorum = queries.quorum_of(tx, deal.id)
    assert (quorum.passes, quorum.fails, quorum.accepted, quorum.k, quorum.m) == (2, 1, True, 3, 5)
    assert (quorum.reached, quorum.verdict) == (False, None)


def test_nobody_says_what_is_not_for_it_to_say(tx, deal, keys):
    member, outsider = keys[deal.committee[0]], receipts.party(tx)

    for key, kind, refusal in (
        (deal.client, PASS, errors.NotOnTheCommittee),
        (deal.client, SAFETY, errors.NotOnTheCommittee),
        (deal.worker, PASS, errors.NotOnTheCommittee),
        (outsider, PASS, errors.NotOnTheCommittee),
        (member, ACCEPTED, errors.OnlyTheClientAccepts),
        (deal.worker, ACCEPTED, errors.OnlyTheClientAccepts),
        (outsider, ACCEPTED, errors.OnlyTheClientAccepts),
    ):
        with pytest.raises(refusal), tx.savepoint():
            receipts.attest(tx, deal.id, key, kind)

    assert said(tx, deal) == []


def test_an_outsider_does_not_even_see_the_receipt(tx, deal):
    outsider = receipts.party(tx)

    with acting_as(tx, outsider.did):
        with pytest.raises(errors.ReceiptUnknown), tx.savepoint():
            receipts.attest(tx, deal.id, outsider, PASS)
        with pytest.raises(errors.ReceiptUnknown):
            queries.receipt_of(tx, deal.id)
        assert queries.attestations_of(tx, deal.id) == []
        (summary,) = queries.receipts_of_agent(tx, deal.worker.did).items

    assert (summary.id, summary.state, summary.k, summary.m, summary.verdict) == (deal.id, "pending", 3, 5, None)
    assert not hasattr(summary, "client")


def test_a_signature_counts_for_its_author_and_its_statement_alone(tx, ring, deal, keys):
    member, other = keys[deal.committee[0]], keys[deal.committee[1]]
    elsewhere = receipts.a_receipt(tx, ring)
    good = receipts.signature(member, deal.id, PASS, score=0.5)
    forged = {
        "unsigned": {"signature": ""},
        "noise": {"signature": base58.encode(bytes(range(64)))},
        "not base58": {"signature": "0" * 88},
        "signed by another member": {"signature": receipts.signature(other, deal.id, PASS, score=0.5)},
        "by another member in this one's name": {
            "signature": receipts.signature(other, deal.id, PASS, by=member.did, score=0.5)
        },
        "for another receipt": {"signature": receipts.signature(member, elsewhere.id, PASS, score=0.5)},
        "for another kind": {"signature": receipts.signature(member, deal.id, FAIL, score=0.5)},
        "for another score": {"signature": good, "score": 0.6},
        "for no score": {"signature": good, "score": None},
        "for other evidence": {"signature": good, "evidence_hash": "00" * 32},
        "under a key of another": {"signature": good, "key_id": other.key_id},
        "under an unknown key": {"signature": good, "key_id": f"{member.did}#other"},
    }

    for changes in forged.values():
        with pytest.raises(errors.AttestationForged), tx.savepoint():
            commands.attest(tx, deal.id, PASS, by=member.did, at=tx.at, **({"score": 0.5} | changes))
    assert said(tx, deal) == []
    commands.attest(tx, deal.id, PASS, by=member.did, at=tx.at, signature=good, score=0.5)

    assert said(tx, deal) == [(member.did, PASS)]


def test_a_key_that_was_revoked_attests_nothing_more(tx, deal, keys):
    member = keys[deal.committee[0]]
    signed = receipts.signature(member, deal.id, PASS)
    identity.revoke_key(tx, member.did, member.key_id, reason=KeyEnd.RETIRED, at=tx.at)

    with pytest.raises(errors.AttestationForged), tx.savepoint():
        commands.attest(tx, deal.id, PASS, by=member.did, signature=signed, at=tx.at)

    assert said(tx, deal) == []


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"score": 1.01}, errors.AttestedScoreImpossible),
        ({"score": -0.01}, errors.AttestedScoreImpossible),
        ({"score": float("nan")}, errors.AttestedScoreImpossible),
        ({"evidence_hash": "AB" * 32}, errors.EvidenceHashMalformed),
        ({"evidence_hash": "the report"}, errors.EvidenceHashMalformed),
    ],
)
def test_impossible_statements_are_refused_by_name_although_they_are_signed(tx, deal, keys, values, refusal):
    member = keys[deal.committee[0]]
    signable = {name: value for name, value in values.items() if value == value}

    with pytest.raises(refusal), tx.savepoint():
        signed = receipts.signature(member, deal.id, PASS, **signable)
        commands.attest(tx, deal.id, PASS, by=member.did, signature=signed, at=tx.at, **values)

    assert said(tx, deal) == []


def test_after_its_time_or_its_end_nothing_is_attested(db, owner, ring):
    with db.transaction() as tx:
        keys = receipts.attesters(tx, 5)
        late, ended = receipts.a_receipt(tx, ring), receipts.a_receipt(tx, ring)
    receipts.time_over(owner, late.id)
    receipts.time_over(owner, ended.id)
    with db.transaction() as tx:
        assert commands.finalise(tx, ended.id, at=tx.at).state == "expired"

    for deal, refusal in ((late, errors.AttestationLate), (ended, errors.ReceiptEnded)):
        with pytest.raises(refusal), db.transaction() as tx:
            receipts.attest(tx, deal.id, keys[deal.committee[0]], PASS)
        with pytest.raises(refusal), db.transaction() as tx:
            receipts.accept(tx, deal)

    with db.transaction() as tx:
        assert said(tx, late) == said(tx, ended) == []


@pytest.mark.parametrize("state", ["finalized", "rejected", "expired", "unattested"])
def test_psql_ends_no_receipt_without_its_quorum(db, owner, ring, state):
    with db.transaction() as tx:
        keys = receipts.attesters(tx, 5)
        deal = receipts.a_receipt(tx, ring)
        receipts.accept(tx, deal)
        receipts.audits(tx, deal, keys, PASS, PASS, FAIL)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute("UPDATE proof.task_receipts SET state = %s, ended_at = clock_timestamp()", [state])

    assert refused.value.diag.constraint_name == "receipt_ends_by_its_quorum"
    with db.transaction() as tx:
        assert commands.finalise(tx, deal.id, at=tx.at) is None
        assert queries.receipt_of(tx, deal.id) == deal.receipt


@pytest.mark.parametrize("change", ["UPDATE {} SET kind = 'AUDIT_FAIL'", "DELETE FROM {}"])
def test_what_was_attested_stays(db, owner, ring, change):
    with db.transaction() as tx:
        keys = receipts.attesters(tx, 3)
        deal = receipts.a_receipt(tx, ring)
        receipts.audits(tx, deal, keys, PASS)

    with pytest.raises(psycopg.errors.CheckViolation, match="stays as it was"):
        owner.execute(change.format("proof.task_attestations"))

    with db.transaction() as tx:
        assert said(tx, deal) == [(deal.committee[0], PASS)]


def test_an_agent_adds_no_attestation_of_another_past_the_commands(tx, deal):
    one, other = deal.committee[:2]
    forged = (
        "INSERT INTO proof.task_attestations (receipt_id, by_did, kind, key_id, statement_hash, signature)"
        " VALUES (%s, %s, 'AUDIT_PASS', %s, %s, %s)"
    )

    with acting_as(tx, one), pytest.raises(psycopg.errors.InsufficientPrivilege), tx.connection.transaction():
        tx.connection.execute(forged, [deal.id, other, f"{other}#key", "0" * 64, "1" * 64])

    assert said(tx, deal) == []


def test_a_stranger_with_a_key_of_its_own_fills_no_quorum(tx, deal):
    for key in [AgentKey.generate() for _ in range(3)]:
        with pytest.raises(errors.NotOnTheCommittee), tx.savepoint():
            receipts.attest(tx, deal.id, key, PASS)

    assert queries.quorum_of(tx, deal.id).passes == 0
