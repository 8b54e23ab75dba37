"""Committees: drawn from trust and a seed so that anybody can draw them again, and never from the parties."""

import hashlib
import json
from collections import Counter
from decimal import Context, Decimal
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given as for_all
from hypothesis import settings, strategies

from given import proof, receipts, registry
from given.governance import acting_as
from hansa.infra.keys import AgentKey
from hansa.proof import commands, queries
from hansa.proof.drawing import FIRST, Candidate, draw
from hansa.proof.errors import ReceiptUnknown
from hansa.proof.models import ReceiptState
from hansa.registry.commands import retire_agent


def candidates(*trusts):
    return [Candidate(agent=f"did:web:{n}.example", trust=str(trust)) for n, trust in enumerate(trusts)]


def seeds(number):
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(number)]


def drawn_by_hand(document):
    """A committee from what the API shows of its draw, with nothing of Hansa."""
    exact = Context(prec=50)
    seed = hashlib.sha256(
        "|".join([document["receipt"], document["work_hash"], document["previous"]]).encode()
    ).hexdigest()
    waiting = {}
    for candidate in document["candidates"]:
        number = int(hashlib.sha256(f"{seed}|{candidate['agent']}".encode()).hexdigest(), 16)
        uniform = exact.divide(Decimal(number + 1), Decimal(2**256))
        waiting[candidate["agent"]] = exact.divide(-exact.ln(uniform), Decimal(candidate["trust"]))
    return seed, sorted(waiting, key=waiting.__getitem__)[: len(document["members"])]


def test_a_committee_can_be_drawn_again_from_what_is_shown_of_it(tx, ring):
    receipts.attesters(tx, 9)
    first, second = receipts.a_receipt(tx, ring), receipts.a_receipt(tx, ring)

    shown = [queries.committee_draw(tx, deal.id) for deal in (first, second)]
    documents = [
        {
            "receipt": str(found.receipt),
            "work_hash": found.work_hash,
            "previous": found.previous,
            "candidates": [{"agent": one.agent, "trust": one.trust} for one in found.candidates],
            "members": found.members,
        }
        for found in shown
    ]

    for found, document, deal in zip(shown, documents, (first, second), strict=True):
        assert drawn_by_hand(document) == (found.seed, deal.committee)
        assert len(deal.committee) == 5
        content = {name: document[name] for name in ("candidates", "members")} | {"seed": found.seed}
        canonical = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
        assert found.digest == hashlib.sha256(canonical).hexdigest()
    assert shown[0].work_hash == queries.work_log(tx, first.receipt.log).zkp_hash
    assert shown[1].previous == shown[0].digest


def test_the_first_draw_of_all_begins_the_chain(db, ring):
    with db.transaction() as tx:
        receipts.attesters(tx, 3)
        deal = receipts.a_receipt(tx, ring)

        assert queries.committee_draw(tx, deal.id).previous == FIRST


def test_who_is_trusted_more_sits_more_often_in_proportion():
    pool = candidates("0.2", "0.4", "0.6", "0.8")

    first = Counter(draw(seed, pool, 1)[0] for seed in seeds(8000))

    # The first seat goes to each with its part of all trust; 3.9 standard deviations of the largest part is 170.
    expected = {candidate.agent: 8000 * float(candidate.trust) / 2 for candidate in pool}
    assert {agent: round(abs(first[agent] - expected[agent])) < 175 for agent in expected} == dict.fromkeys(
        expected, True
    )


@settings(max_examples=60, deadline=None)
@for_all(
    seed=strategies.text("0123456789abcdef", min_size=64, max_size=64),
    trusts=strategies.lists(strategies.decimals("0.000001", "1", places=6), max_size=12),
    seats=strategies.integers(1, 8),
)
def test_a_draw_is_the_same_in_any_order_and_leaves_nobody_twice(seed, trusts, seats):
    pool = candidates(*trusts)

    drawn = draw(seed, pool, seats)

    assert drawn == draw(seed, pool[::-1], seats)
    assert len(set(drawn)) == len(drawn) == min(seats, len(pool))
    assert set(drawn) <= {candidate.agent for candidate in pool}
    assert draw(seed, pool, max(1, seats - 1)) == drawn[: max(1, seats - 1)]


def test_neither_the_parties_nor_their_other_agents_ever_sit(tx, ring):
    others = receipts.attesters(tx, 3)
    worker, client = receipts.attester(tx), receipts.attester(tx)
    sibling = receipts.attester(tx)
    owner = tx.connection.execute("SELECT creator_user_id FROM registry.agents WHERE did = %s", [client.did]).fetchone()
    tx.connection.execute("UPDATE registry.agents SET creator_user_id = %s WHERE did = %s", [*owner, sibling.did])

    committees = [receipts.a_receipt(tx, ring, worker=worker, client=client).committee for _ in range(8)]

    assert {frozenset(committee) for committee in committees} == {frozenset(others)}


def test_a_client_that_is_no_agent_has_its_other_names_and_its_agents_kept_out(tx, ring):
    others = receipts.attesters(tx, 3)
    key = receipts.attester(tx)
    known_as = key.did_sol
    tx.connection.execute(
        """
        INSERT INTO identity.user_dids (did, user_id)
        SELECT %s, creator_user_id FROM registry.agents WHERE did = %s ON CONFLICT DO NOTHING
        """,
        [known_as, key.did],
    )

    _, log = proof.recorded(tx, registry.agent(tx).did, ring, payer=known_as)
    receipt = commands.draw_committee(tx, log.id, at=tx.at)

    assert set(receipt.committee) == set(others)


def test_an_account_has_one_seat_however_many_agents_it_has(tx, ring):
    first = receipts.attesters(tx, 2)
    many = receipts.attesters(tx, 6)
    owner = tx.connection.execute(
        "SELECT creator_user_id FROM registry.agents WHERE did = %s", [next(iter(many))]
    ).fetchone()
    tx.connection.execute("UPDATE registry.agents SET creator_user_id = %s WHERE did = ANY (%s)", [*owner, list(many)])

    deal = receipts.a_receipt(tx, ring)

    assert len(deal.committee) == 3
    assert set(first) < set(deal.committee)
    assert len(queries.committee_draw(tx, deal.id).candidates) == 3


def test_who_retired_staked_too_little_asked_back_or_lost_trust_does_not_sit(tx, ring):
    able = receipts.attesters(tx, 3)
    retired, poor, leaving, mistrusted = (
        receipts.attester(tx),
        receipts.attester(tx, stake=9_999),
        receipts.attester(tx),
        receipts.attester(tx),
    )
    retire_agent(tx, retired.did, at=tx.at)
    commands.unlock_stake(tx, by=leaving.did)
    failed, _ = proof.recorded(tx, mistrusted.did, ring, outcome=0)
    commands.fold_trust(tx, failed.ref)

    deal = receipts.a_receipt(tx, ring)

    assert poor.did not in deal.committee
    assert set(deal.committee) == set(able)


def test_with_too_few_that_could_sit_there_is_no_committee_and_the_receipt_says_so(tx, ring):
    receipts.attesters(tx, 2)

    deal = receipts.a_receipt(tx, ring)

    assert (deal.receipt.state, deal.committee) == (ReceiptState.UNATTESTED, None)
    assert deal.receipt.ended_at is not None
    with pytest.raises(ReceiptUnknown):
        queries.committee_draw(tx, deal.id)


def test_failed_work_has_no_receipt_and_a_second_delivery_draws_nothing(tx, ring):
    receipts.attesters(tx, 4)
    worker = registry.agent(tx).did
    _, failed = proof.recorded(tx, worker, ring, outcome=0)
    _, done = proof.recorded(tx, worker, ring)

    drawn = [commands.draw_committee(tx, log.id, at=tx.at) for log in (failed, done, done)]

    assert [receipt and len(receipt.committee) for receipt in drawn] == [None, 4, None]


def test_parties_and_committee_see_how_it_was_drawn_and_nobody_else_does(tx, ring):
    receipts.attesters(tx, 3)
    deal = receipts.a_receipt(tx, ring)
    stranger = registry.agent(tx).did

    seen = {}
    for name, did in {"worker": deal.worker.did, "client": deal.client.did, "member": deal.committee[0]}.items():
        with acting_as(tx, did):
            seen[name] = queries.committee_draw(tx, deal.id).members
    with acting_as(tx, stranger), pytest.raises(ReceiptUnknown):
        queries.committee_draw(tx, deal.id)

    assert seen == dict.fromkeys(("worker", "client", "member"), deal.committee)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("UPDATE proof.task_receipts SET committee = committee[2:]", "committee_is_drawn_once"),
        ("UPDATE proof.task_receipts SET due_at = due_at + interval '1 day'", "committee_is_drawn_once"),
        ("UPDATE proof.task_receipts SET k = 1", "evidence_is_append_only"),
        ("UPDATE proof.committee_draws SET candidates = '[]'", "evidence_is_append_only"),
        ("UPDATE proof.receipted_deals SET client_did = 'did:web:other.example'", "evidence_is_append_only"),
        ("DELETE FROM proof.task_receipts", "evidence_is_append_only"),
    ],
)
def test_a_drawn_committee_stays_even_for_the_owner_of_the_database(db, owner, ring, change, rule):
    with db.transaction() as tx:
        receipts.attesters(tx, 3)
        deal = receipts.a_receipt(tx, ring)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(change)

    assert refused.value.diag.constraint_name == rule
    with db.transaction() as tx:
        assert queries.receipt_of(tx, deal.id) == deal.receipt


def test_no_routine_seats_a_party_or_a_stranger(tx, ring):
    receipts.attesters(tx, 3)
    worker, client = receipts.party(tx), receipts.party(tx)
    _, log = proof.recorded(tx, worker.did, ring, payer=client.did)
    (receipt,) = tx.connection.execute("SELECT id FROM proof.task_receipts WHERE log_id = %s", [log.id]).fetchone()

    for member in (worker.did, client.did, AgentKey.generate().did):
        with pytest.raises(psycopg.errors.CheckViolation), tx.connection.transaction():
            tx.connection.execute(
                "SELECT proof.seat_committee(%s, %s, %s, %s, %s, %s, %s)",
                [
                    receipt,
                    "0" * 64,
                    "1" * 64,
                    "0" * 64,
                    json.dumps([{"agent": worker.did}, {"agent": client.did}]),
                    [member, uuid4().hex, uuid4().hex],
                    "0" * 64,
                ],
            )

    assert commands.draw_committee(tx, log.id, at=tx.at).state is ReceiptState.PENDING
