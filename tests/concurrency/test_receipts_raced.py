"""Many at once on one receipt: every word counts once, it ends once, and everybody is paid and slashed once."""

import threading
from collections import Counter

import pytest

from given import receipts
from hansa.credits import queries as books
from hansa.infra import outbox
from hansa.kernel.errors import Refusal
from hansa.proof import commands, queries
from hansa.proof.models import AttestationKind

ACCEPTED, PASS, FAIL, SAFETY = AttestationKind


def race(db, *attempts):
    """Run all attempts at once, each in its own transaction; what each gave or was refused with."""
    barrier, results = threading.Barrier(len(attempts)), [None] * len(attempts)

    def run(number, attempt):
        try:
            with db.transaction() as tx:
                barrier.wait()
                results[number] = attempt(tx)
        except Refusal as refusal:
            results[number] = refusal

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def names(results):
    """How often each refusal was given; what had an effect counts as `done`, what found nothing to do as `nothing`."""
    return Counter(
        type(one).__name__ if isinstance(one, Refusal) else "nothing" if one in {None, 0} else "done" for one in results
    )


@pytest.fixture
def keys(db):
    with db.transaction() as tx:
        receipts.fill_the_pool(tx)
        return receipts.attesters(tx, 5)


@pytest.fixture
def deal(db, keys, services_keys):
    del keys
    with db.transaction() as tx:
        return receipts.a_receipt(tx, services_keys)


def test_five_audits_at_once_end_the_receipt_once_and_are_rewarded_once(db, deal, keys):
    says = [PASS, PASS, PASS, PASS, FAIL]
    with db.transaction() as tx:
        receipts.accept(tx, deal)

    audits = race(
        db,
        *[
            lambda tx, m=member, k=kind: receipts.attest(tx, deal.id, keys[m], k).id
            for member, kind in zip(deal.committee, says, strict=True)
        ],
    )
    ends = race(db, *[lambda tx: commands.finalise(tx, deal.id, at=tx.at) and 1] * 6)
    payments = race(db, *[commands.pay_attesters] * 6)
    while outbox.dispatch(db):
        pass

    assert names(audits) == {"done": 5}
    assert names(ends) == {"done": 1, "nothing": 5}
    assert sum(payments) == 4
    with db.transaction() as tx:
        told = tx.connection.execute(
            "SELECT name, count(*) FROM ops.outbox WHERE name ~ 'receipt_finalized|stake_slashed' GROUP BY name"
        ).fetchall()
        balances = [books.account_of(tx, member).balance for member in deal.committee]
        assert queries.receipt_of(tx, deal.id).state == "finalized"
        assert queries.quorum_of(tx, deal.id).passes == 4
        assert books.reconcile(tx) == []
    assert dict(told) == {"proof.receipt_finalized": 1, "proof.stake_slashed": 1}
    assert balances == [100_500] * 4 + [90_000]


def test_a_member_that_says_pass_and_fail_at_once_says_one_of_them(db, deal, keys):
    member = keys[deal.committee[0]]

    results = race(
        db, *[lambda tx, k=kind: receipts.attest(tx, deal.id, member, k).id for kind in (PASS, FAIL, PASS, FAIL)]
    )

    assert names(results) == {"done": 1, "AttestedBefore": 3}
    with db.transaction() as tx:
        assert len(queries.attestations_of(tx, deal.id)) == 1


@pytest.mark.parametrize("attempt", range(5))
def test_a_word_that_comes_while_the_receipt_ends_is_judged_or_refused(db, deal, keys, attempt):
    del attempt
    with db.transaction() as tx:
        receipts.accept(tx, deal)
        receipts.audits(tx, deal, keys, PASS, PASS, PASS)
    last = deal.committee[3]

    said, _ = race(
        db,
        lambda tx: receipts.attest(tx, deal.id, keys[last], FAIL).id,
        lambda tx: commands.finalise(tx, deal.id, at=tx.at) and 1,
    )

    with db.transaction() as tx:
        commands.finalise(tx, deal.id, at=tx.at)
        finding = next(one.finding for one in queries.findings_of(tx, deal.id) if one.member == last)
        assert len(queries.attestations_of(tx, deal.id)) == (4 if isinstance(said, Refusal) else 5)
    assert finding == ("unjudged" if isinstance(said, Refusal) else "disagreed")


def test_committees_drawn_at_once_are_one_chain(db, keys, services_keys):
    from given import proof, registry

    del keys
    with db.transaction() as tx:
        logs = [proof.recorded(tx, registry.agent(tx).did, services_keys)[1].id for _ in range(6)]

    results = race(db, *[lambda tx, one=log: commands.draw_committee(tx, one, at=tx.at) and 1 for log in logs * 2])

    assert names(results) == {"done": 6, "nothing": 6}
    with db.transaction() as tx:
        chain = tx.connection.execute(
            "SELECT previous, digest, position FROM proof.committee_draws ORDER BY position"
        ).fetchall()
    assert [row[0] for row in chain[1:]] == [row[1] for row in chain[:-1]]
    assert [row[2] for row in chain] == list(range(1, len(chain) + 1))
    assert len(chain) == 6


def test_a_stake_locked_many_times_at_once_is_the_sum_and_no_more_than_there_is(db):
    with db.transaction() as tx:
        key = receipts.attester(tx, stake=0)

    results = race(db, *[lambda tx: commands.lock_stake(tx, 30_000, by=key.did) and 1] * 6)

    assert names(results) == {"done": 3, "InsufficientFunds": 3}
    with db.transaction() as tx:
        assert queries.stake_of(tx, key.did).amount == 90_000
        assert books.account_of(tx, key.did).reserved == 90_000
        assert books.live_holds(tx) == 1
        assert books.reconcile(tx) == []
