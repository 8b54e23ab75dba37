"""Stakes: money of the agent that only its own failure takes, in bounds, and with balanced books."""

from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis import given as for_all

from given import receipts, registry
from given.governance import acting_as
from hansa import migrate
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.credits.errors import AmountNotPositive, InsufficientFunds
from hansa.credits.models import POOL
from hansa.infra.keys import AgentKey
from hansa.migrate.errors import StatementFailed
from hansa.migrations import DIRECTORY
from hansa.proof import commands, errors, queries
from hansa.proof.commands.stakes import slash, take_stake
from hansa.proof.models import AttestationKind, SeatFinding

ACCEPTED, PASS, FAIL, SAFETY = AttestationKind


def pool_units(tx):
    return next(row.balance for row in books.system_balances(tx) if row.account == POOL)


def money(tx, agent):
    """What an agent owns, and what of it is held."""
    found = books.account_of(tx, agent)
    return found.balance, found.reserved


def test_a_stake_is_held_grows_and_never_exceeds_what_is_there(tx):
    key = receipts.attester(tx, stake=0)

    first = commands.lock_stake(tx, 30_000, by=key.did)
    more = commands.lock_stake(tx, 20_000, by=key.did)
    with pytest.raises(InsufficientFunds) as refused, tx.savepoint():
        commands.lock_stake(tx, 50_001, by=key.did)

    assert (first.amount, more.amount, more.seats, more.unbonding_until) == (30_000, 50_000, 0, None)
    assert refused.value.facts["missing"] == 1
    assert queries.stake_of(tx, key.did) == more
    assert money(tx, key.did) == (100_000, 50_000)
    assert books.hold_of(tx, more.hold).amount == 50_000
    assert books.account_of(tx, key.did).earned == 0
    assert books.reconcile(tx) == []


@pytest.mark.parametrize("amount", [0, -1, -100_000])
def test_nothing_or_less_cannot_be_staked(tx, amount):
    key = receipts.attester(tx)

    with pytest.raises(AmountNotPositive), tx.savepoint():
        commands.lock_stake(tx, amount, by=key.did)

    assert queries.stake_of(tx, key.did).amount == receipts.STAKE


def test_only_registered_agents_stake_and_only_stakes_can_be_asked_back(tx):
    stranger, idle = AgentKey.generate().did, registry.agent(tx).did

    with pytest.raises(errors.AgentNotRegistered), tx.savepoint():
        commands.lock_stake(tx, 1, by=stranger)
    with pytest.raises(errors.StakeUnknown), tx.savepoint():
        commands.unlock_stake(tx, by=idle)

    assert queries.stake_of(tx, stranger).amount == queries.stake_of(tx, idle).amount == 0


def test_a_stake_comes_back_after_its_time_and_not_before(tx):
    key = receipts.attester(tx)
    asked = commands.unlock_stake(tx, by=key.did)
    again = commands.unlock_stake(tx, by=key.did)

    early = commands.tend_stakes(tx, at=tx.at)
    tx.connection.execute("UPDATE proof.agent_stakes SET unbonding_until = clock_timestamp()")
    due = commands.tend_stakes(tx, at=tx.at)

    assert asked.unbonding_until - tx.at > timedelta(minutes=59)
    assert again == asked
    assert (early, due) == (0, 1)
    assert queries.stake_of(tx, key.did).amount == 0
    assert money(tx, key.did) == (100_000, 0)
    assert books.reconcile(tx) == []


def test_a_seat_keeps_the_stake_although_its_agent_asked_for_it(tx, ring):
    keys = receipts.attesters(tx, 3)
    deal = receipts.a_receipt(tx, ring)
    member = deal.committee[0]
    commands.unlock_stake(tx, by=member)
    tx.connection.execute(
        "UPDATE proof.agent_stakes SET unbonding_until = clock_timestamp() WHERE agent_did = %s", [member]
    )

    seated = queries.stake_of(tx, member).seats
    kept = commands.tend_stakes(tx, at=tx.at)
    receipts.accept(tx, deal)
    receipts.audits(tx, deal, keys, PASS, PASS, PASS)
    commands.finalise(tx, deal.id, at=tx.at)
    free = commands.tend_stakes(tx, at=tx.at)

    assert (seated, kept, free) == (1, 0, 1)
    assert money(tx, member) == (100_000, 0)


def test_locking_more_takes_the_wish_to_leave_back(tx):
    key = receipts.attester(tx)
    commands.unlock_stake(tx, by=key.did)

    stake = commands.lock_stake(tx, 1, by=key.did)

    assert (stake.amount, stake.unbonding_until) == (receipts.STAKE + 1, None)


def test_the_hold_behind_a_stake_is_renewed_long_before_it_lapses(tx):
    key = receipts.attester(tx)
    before = queries.stake_of(tx, key.did)
    commands.unlock_stake(tx, by=key.did)

    touched = commands.tend_stakes(tx, at=tx.at + timedelta(days=340))
    after = queries.stake_of(tx, key.did)

    assert touched == 1
    assert after.expires_at - before.expires_at == timedelta(days=340)
    assert (after.amount, after.unbonding_until is not None) == (before.amount, True)
    assert money(tx, key.did) == (100_000, receipts.STAKE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@for_all(stake=strategies.integers(0, 100_000), parts=strategies.lists(strategies.integers(0, 10_000), max_size=4))
def test_slashing_takes_what_it_says_and_never_more_than_there_is(tx, ring, stake, parts):
    with tx.connection.transaction(force_rollback=True):
        key = receipts.attester(tx, stake=stake)
        tx.connection.execute(
            "INSERT INTO proof.agent_stakes (agent_did) VALUES (%s) ON CONFLICT DO NOTHING", [key.did]
        )
        left, pool = stake, pool_units(tx)

        for number, bps in enumerate(parts):
            taken = slash(tx, take_stake(tx, key.did), bps, receipt=f"receipt-{number}", at=tx.at)

            assert taken == left * bps // 10_000
            left -= taken
            assert queries.stake_of(tx, key.did).amount == left
            assert money(tx, key.did) == (100_000 - stake + left, left)
        assert pool_units(tx) == pool + stake - left
        assert books.account_of(tx, key.did).earned == 0
        assert books.reconcile(tx) == []


def test_who_audits_against_the_verdict_pays_and_who_agrees_is_paid_from_the_pool(tx, ring):
    keys = receipts.attesters(tx, 5)
    receipts.fill_the_pool(tx)
    deal = receipts.a_receipt(tx, ring)
    receipts.accept(tx, deal)
    receipts.audits(tx, deal, keys, FAIL, PASS, PASS, PASS)
    wrong, *right, silent = deal.committee
    pool = pool_units(tx)

    commands.finalise(tx, deal.id, at=tx.at)
    paid = commands.pay_attesters(tx)
    again = commands.pay_attesters(tx)

    findings = {one.member: one for one in queries.findings_of(tx, deal.id)}
    assert findings[wrong].finding is SeatFinding.DISAGREED
    assert findings[wrong].slashed_units == 10_000
    assert {findings[member].finding for member in right} == {SeatFinding.AGREED}
    assert (findings[silent].finding, findings[silent].slashed_units) == (SeatFinding.UNJUDGED, 0)
    assert (paid, again) == (3, 0)
    assert money(tx, wrong) == (90_000, 40_000)
    assert [money(tx, member) for member in right] == [(100_500, 50_000)] * 3
    assert money(tx, silent) == (100_000, 50_000)
    assert pool_units(tx) == pool + 10_000 - 3 * 500
    assert books.reconcile(tx) == []


def test_silence_costs_a_tenth_of_a_wrong_audit_and_a_word_without_a_verdict_nothing(db, owner, ring):
    with db.transaction() as tx:
        keys = receipts.attesters(tx, 3)
        deal = receipts.a_receipt(tx, ring)
        receipts.audits(tx, deal, keys, PASS, FAIL)
    receipts.time_over(owner, deal.id)

    with db.transaction() as tx:
        ended = commands.finalise(tx, deal.id, at=tx.at)

    with db.transaction() as tx:
        amounts = [queries.stake_of(tx, member).amount for member in deal.committee]
        findings = {one.member: one.finding for one in queries.findings_of(tx, deal.id)}
        told = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = 'proof.stake_slashed'").fetchall()
        assert books.reconcile(tx) == []
        assert pool_units(tx) == 1_000
    assert (ended.state, ended.verdict) == ("expired", None)
    assert [findings[member] for member in deal.committee] == ["unjudged", "unjudged", "silent"]
    assert amounts == [50_000, 50_000, 49_000]
    assert [(row[0]["agent"], row[0]["units"]) for row in told] == [(deal.committee[2], 1_000)]


def test_a_stake_that_is_gone_is_slashed_by_nothing(db, owner, ring):
    with db.transaction() as tx:
        receipts.attesters(tx, 3)
        deal = receipts.a_receipt(tx, ring)
        ledger.release(tx, queries.stake_of(tx, deal.committee[0]).hold)
    receipts.time_over(owner, deal.id)

    with db.transaction() as tx:
        commands.finalise(tx, deal.id, at=tx.at)
        slashed = {one.member: (one.stake_units, one.slashed_units) for one in queries.findings_of(tx, deal.id)}
        assert books.reconcile(tx) == []

    assert slashed[deal.committee[0]] == (0, 0)
    assert {slashed[member] for member in deal.committee[1:]} == {(50_000, 1_000)}


def test_rewards_wait_for_a_pool_that_has_too_little_and_are_paid_once(tx, ring):
    keys = receipts.attesters(tx, 3)
    deal = receipts.a_receipt(tx, ring)
    receipts.accept(tx, deal)
    receipts.audits(tx, deal, keys, PASS, PASS, PASS)
    commands.finalise(tx, deal.id, at=tx.at)
    short = 1_499 - pool_units(tx)
    if short > 0:
        receipts.fill_the_pool(tx, short)

    paid = [commands.pay_attesters(tx)]
    receipts.fill_the_pool(tx, 1)
    paid += [commands.pay_attesters(tx), commands.pay_attesters(tx)]

    assert paid == [2, 1, 0]
    assert [books.account_of(tx, member).balance for member in deal.committee] == [100_500] * 3
    assert all(one.reward_movement for one in queries.findings_of(tx, deal.id))


@pytest.mark.parametrize(("fee", "reward"), [(0, 0), (4, 0), (1_000, 200), (2_500, 500), (10_000, 500)])
def test_audits_never_cost_the_pool_more_than_the_deal_brought_it(tx, ring, fee, reward):
    keys = receipts.attesters(tx, 5)
    receipts.fill_the_pool(tx)
    deal = receipts.a_receipt(tx, ring, fee=fee)
    receipts.accept(tx, deal)
    receipts.audits(tx, deal, keys, PASS, PASS, PASS, PASS, PASS)

    commands.finalise(tx, deal.id, at=tx.at)

    assert commands.pay_attesters(tx) == (5 if reward else 0)
    assert deal.receipt.reward_units == reward
    assert {books.account_of(tx, member).balance for member in deal.committee} == {100_000 + reward}


def test_nobody_stakes_money_of_another_or_sees_its_stake(tx):
    one, other = receipts.attester(tx), receipts.attester(tx)
    foreign = queries.stake_of(tx, other.did).hold

    with acting_as(tx, one.did):
        with pytest.raises(psycopg.errors.CheckViolation) as refused, tx.connection.transaction():
            tx.connection.execute("UPDATE proof.agent_stakes SET hold_id = %s", [foreign])
        seen = queries.stake_of(tx, other.did)

    assert refused.value.diag.constraint_name == "stake_is_a_hold_of_its_agent"
    assert seen.amount == 0
    assert queries.stake_of(tx, other.did).amount == receipts.STAKE


def test_the_tables_of_stakes_are_not_taken_away_from_under_them(db, database, postgres):
    with db.transaction() as tx:
        key = receipts.attester(tx)
    dsn = postgres.dsn(role="postgres", database=database)

    with pytest.raises(StatementFailed, match="agents have stakes"):
        migrate.down(dsn, DIRECTORY, to="20261121T010500_trust_evidence")

    with db.transaction() as tx:
        assert queries.stake_of(tx, key.did).amount == receipts.STAKE
