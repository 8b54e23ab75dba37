"""Movements outside of deals: issuing, paying, earning, rewards, and what system accounts may never do."""

from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given import registry
from given.credits import as_operator, issued, numbers, on_system_accounts, unlimited
from hansa.credits import commands, queries
from hansa.credits.errors import (
    AccountUnknown,
    AmountNotPositive,
    HouseFundsTooSmall,
    InsufficientFunds,
    IssuingForbidden,
    LedgerBroken,
    MovementAlreadyMade,
    PaidToOneself,
    PoolTooSmall,
    TransferToTheHouse,
)
from hansa.credits.models import ESCROW, MINT, POOL, TREASURY, Share, TxType
from hansa.infra.db import NumberOutOfRange
from hansa.kernel.errors import Refusal

ALICE, BOB, CAROL = "did:key:alice", "did:key:bob", "did:key:carol"
LARGEST = 2**63 - 1


def held(tx, account, amount, purpose="1"):
    return commands.reserve(
        tx, account, amount, purpose_kind="test", purpose_id=purpose, expires_at=tx.at + timedelta(days=1)
    )


def lines(tx, account):
    """Type and amount of every posting of an account, newest first."""
    return [(line.tx_type, line.amount) for line in queries.statement(tx, account).items]


def test_an_operator_issues_credits_once_per_key_and_the_statement_says_who(tx):
    agent = registry.agent(tx).did

    with as_operator(tx) as operator:
        commands.mint(operator, agent, 500, key="invoice 7", reason="top-up")
        with pytest.raises(MovementAlreadyMade), operator.savepoint():
            commands.mint(operator, agent, 500, key="invoice 7", reason="top-up")

    (line,) = queries.statement(tx, agent).items
    assert (line.tx_type, line.amount, line.balance_after) == (TxType.DEPOSIT, 500, 500)
    assert line.reason == "issued by operator:tester: top-up"
    assert on_system_accounts(tx)["mint"] == -500


def test_nobody_but_an_operator_issues_credits(tx):
    with pytest.raises(IssuingForbidden), tx.savepoint():
        commands.mint(tx, TREASURY, 1, key="1", reason="by a job")

    with pytest.raises(IssuingForbidden), tx.savepoint():
        commands.deposit(tx, ALICE, 1, key="1", reason="by a job")

    assert on_system_accounts(tx)["mint"] == 0


def test_credits_are_not_issued_to_a_misspelt_account(tx):
    with as_operator(tx) as operator:
        with pytest.raises(AccountUnknown), operator.savepoint():
            commands.mint(operator, "did:key:nobody", 5, key="1", reason="typo")
        with pytest.raises(PaidToOneself), operator.savepoint():
            commands.mint(operator, MINT, 5, key="1", reason="a circle")


def test_spending_takes_from_what_is_available_and_counts_as_spent(tx):
    issued(tx, ALICE, 1000)

    commands.spend(tx, ALICE, 300, key="fee:1", reason="listing fee")

    assert numbers(tx, ALICE) == (700, 0, 0, 300)
    assert on_system_accounts(tx)["treasury"] == 300
    assert lines(tx, ALICE)[0] == (TxType.SPEND, -300)
    assert queries.reconcile(tx) == []


def test_what_is_held_cannot_be_spent(tx):
    issued(tx, ALICE, 1000)
    held(tx, ALICE, 600)

    with pytest.raises(InsufficientFunds) as refused:
        commands.spend(tx, ALICE, 500, key="fee:1", reason="fee")

    assert refused.value.facts == {"available": 400, "needed": 500, "missing": 100}


@pytest.mark.parametrize("pay", ["spend", "transfer", "earn", "reward"])
@pytest.mark.parametrize("amount", [-1, 0])
def test_amounts_that_are_not_positive_are_refused_by_name(tx, pay, amount):
    issued(tx, ALICE, 10)
    issued(tx, POOL, 10)
    issued(tx, BOB, 10)

    with pytest.raises(AmountNotPositive), tx.savepoint():
        {
            "spend": lambda: commands.spend(tx, ALICE, amount, key="k", reason="r"),
            "transfer": lambda: commands.transfer(tx, ALICE, BOB, amount),
            "earn": lambda: commands.earn(tx, ALICE, amount, source=POOL, key="k", reason="r"),
            "reward": lambda: commands.reward(tx, ALICE, {TxType.POU_MEMORY: amount}, key="k", reason="r"),
        }[pay]()

    assert numbers(tx, ALICE) == (10, 0, 0, 0)


@pytest.mark.parametrize("source", [TREASURY, POOL, ESCROW])
def test_earnings_come_from_what_the_house_has_once_per_key(tx, source):
    issued(tx, source, 100)

    commands.earn(tx, ALICE, 60, source=source, key="bounty:1", reason="bounty")

    assert numbers(tx, ALICE) == (60, 0, 60, 0)
    assert on_system_accounts(tx)[source.removeprefix("system:")] == 40
    with pytest.raises(MovementAlreadyMade), tx.savepoint():
        commands.earn(tx, ALICE, 1, source=source, key="bounty:1", reason="bounty")
    assert queries.reconcile(tx) == []


@pytest.mark.parametrize(
    ("source", "refusal"), [(TREASURY, HouseFundsTooSmall), (ESCROW, HouseFundsTooSmall), (POOL, PoolTooSmall)]
)
def test_no_system_account_but_the_mint_goes_below_zero(tx, source, refusal):
    issued(tx, source, 100)

    with pytest.raises(refusal) as refused, tx.savepoint():
        commands.earn(tx, ALICE, 101, source=source, key="bounty:1", reason="bounty")

    assert refused.value.facts == {"available": 100, "needed": 101, "missing": 1}
    assert on_system_accounts(tx)[source.removeprefix("system:")] == 100


@pytest.mark.parametrize("source", [MINT, BOB, "system:nothing"])
def test_earnings_come_from_nobody_else(tx, source):
    issued(tx, BOB, 100)

    with pytest.raises(LedgerBroken):
        commands.earn(tx, ALICE, 1, source=source, key="bounty:1", reason="bounty")


def test_a_reward_is_one_movement_with_a_posting_for_each_kind_of_work(tx):
    issued(tx, POOL, 1000)

    commands.reward(
        tx,
        ALICE,
        {TxType.POU_COMPUTE: 300, TxType.POU_ROUTING: 0, TxType.POU_LEARNING: 50},
        key="epoch 1 alice",
        reason="usefulness of epoch 1",
    )

    assert lines(tx, ALICE) == [(TxType.POU_LEARNING, 50), (TxType.POU_COMPUTE, 300)]
    assert len({line.movement for line in queries.statement(tx, ALICE).items}) == 1
    assert numbers(tx, ALICE) == (350, 0, 350, 0)
    assert on_system_accounts(tx)["pool"] == 650
    assert queries.reconcile(tx) == []


def test_a_reward_is_paid_once_per_key(tx):
    issued(tx, POOL, 1000)
    commands.reward(tx, ALICE, {TxType.POU_COMPUTE: 300}, key="epoch 1 alice", reason="usefulness")

    with pytest.raises(MovementAlreadyMade), tx.savepoint():
        commands.reward(tx, ALICE, {TxType.POU_COMPUTE: 300}, key="epoch 1 alice", reason="usefulness")

    assert numbers(tx, ALICE)[0] == 300


def test_a_reward_that_the_pool_does_not_have_is_refused_as_a_whole(tx):
    issued(tx, POOL, 100)

    with pytest.raises(PoolTooSmall) as refused, tx.savepoint():
        commands.reward(tx, ALICE, {TxType.POU_COMPUTE: 60, TxType.POU_MEMORY: 60}, key="1", reason="usefulness")

    assert refused.value.facts == {"available": 100, "needed": 120, "missing": 20}
    assert numbers(tx, ALICE) == (0, 0, 0, 0)


@pytest.mark.parametrize("tx_type", [TxType.DEPOSIT, TxType.SPEND, TxType.RELEASE])
def test_the_house_pays_earnings_and_rewards_and_nothing_else(tx, tx_type):
    issued(tx, POOL, 100)

    with pytest.raises(LedgerBroken):
        commands.reward(tx, ALICE, {tx_type: 1}, key="1", reason="mislabelled")


def test_money_that_came_after_the_last_count_is_there_to_be_paid(tx):
    issued(tx, ALICE, 1000)
    for number, amount in enumerate((100, 200, 300)):
        commands.capture(tx, held(tx, ALICE, amount, str(number)).id, [Share(account=POOL, amount=amount)])
        commands.reward(tx, BOB, {TxType.POU_COMPUTE: amount - 10}, key=f"{number}", reason="usefulness")

    commands.reward(tx, BOB, {TxType.POU_COMPUTE: 30}, key="rest", reason="usefulness")

    assert on_system_accounts(tx)["pool"] == 0
    with pytest.raises(PoolTooSmall), tx.savepoint():
        commands.reward(tx, BOB, {TxType.POU_COMPUTE: 1}, key="more", reason="usefulness")
    assert queries.reconcile(tx) == []


TAKE_FROM_THE_POOL = """
    INSERT INTO credits.credit_transactions (tx_type, key, reason) VALUES ('earn', 'by hand', 'by hand');
    INSERT INTO credits.postings (transaction_id, line, account, bucket, tx_type, amount)
    SELECT movement.id, by_hand.line, by_hand.account, 'available', 'earn', by_hand.amount
      FROM credits.credit_transactions AS movement, (VALUES (1, 'system:pool', -5), (2, 'system:treasury', 5))
           AS by_hand (line, account, amount)
     WHERE movement.key = 'by hand';
"""


def test_psql_cannot_overdraw_the_pool_either(owner):
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(TAKE_FROM_THE_POOL)

    assert refused.value.diag.constraint_name == "pool_covers_rewards"


def test_reconcile_names_a_system_account_below_zero(db, owner):
    owner.execute("SET session_replication_role = replica")
    owner.execute(TAKE_FROM_THE_POOL)

    with db.transaction() as tx:
        wrong = queries.reconcile(tx)

    assert [(one.kind, one.subject) for one in wrong] == [("system", POOL)]
    assert "postings say -5" in wrong[0].finding


def test_a_transfer_moves_money_and_both_see_from_whom_to_whom(tx):
    issued(tx, ALICE, 1000)
    agent = registry.agent(tx).did

    made = commands.transfer(tx, ALICE, agent, 250, reason="thanks")

    assert (made.sender, made.receiver, made.amount) == (ALICE, agent, 250)
    assert numbers(tx, ALICE) == (750, 0, 0, 250)
    assert numbers(tx, agent) == (250, 0, 250, 0)
    for account in (ALICE, agent):
        assert queries.statement(tx, account).items[0].reason == f"transfer from {ALICE} to {agent}: thanks"
    assert queries.reconcile(tx) == []


@pytest.mark.parametrize(
    ("receiver", "refusal"),
    [(ALICE, PaidToOneself), (TREASURY, TransferToTheHouse), (MINT, TransferToTheHouse), (CAROL, AccountUnknown)],
)
def test_a_transfer_goes_to_another_agent_who_is_known(tx, receiver, refusal):
    issued(tx, ALICE, 1000)

    with pytest.raises(refusal), tx.savepoint():
        commands.transfer(tx, ALICE, receiver, 1)

    assert numbers(tx, ALICE) == (1000, 0, 0, 0)
    assert numbers(tx, CAROL) == (0, 0, 0, 0)


def test_a_transfer_under_a_key_happens_once(tx):
    issued(tx, ALICE, 1000)
    issued(tx, BOB, 1)
    commands.transfer(tx, ALICE, BOB, 10, key="rent")

    with pytest.raises(MovementAlreadyMade), tx.savepoint():
        commands.transfer(tx, ALICE, BOB, 10, key="rent")

    assert numbers(tx, BOB)[0] == 11


def test_what_was_ever_issued_fits_and_one_unit_more_is_refused(tx):
    issued(tx, ALICE, LARGEST - 1)
    issued(tx, BOB, 1)

    for account in (ALICE, BOB):
        with pytest.raises(NumberOutOfRange), tx.savepoint():
            issued(tx, account, 2)

    assert numbers(tx, ALICE)[0] == LARGEST - 1
    assert on_system_accounts(tx)["mint"] == -LARGEST
    assert queries.reconcile(tx) == []


def test_a_turnover_that_no_longer_fits_is_refused_and_not_wrapped_around(tx):
    unlimited(tx)
    issued(tx, ALICE, LARGEST - 1)
    issued(tx, BOB, 1)
    commands.transfer(tx, ALICE, BOB, LARGEST - 1)
    commands.transfer(tx, BOB, ALICE, LARGEST - 1)

    once_more = held(tx, ALICE, 2)

    with pytest.raises(NumberOutOfRange), tx.savepoint():
        commands.capture(tx, once_more.id, [Share(account=BOB, amount=2)])

    assert numbers(tx, ALICE) == (LARGEST - 1, 2, LARGEST - 1, LARGEST - 1)
    assert queries.reconcile(tx) == []


@pytest.mark.parametrize("amount", [2**63, 10**30])
def test_amounts_that_no_column_holds_are_refused_wherever_they_are_given(tx, amount):
    issued(tx, ALICE, 10)
    issued(tx, BOB, 10)
    attempts = [
        lambda: held(tx, ALICE, amount),
        lambda: commands.spend(tx, ALICE, amount, key="k", reason="r"),
        lambda: commands.transfer(tx, ALICE, BOB, amount),
        lambda: commands.earn(tx, ALICE, amount, key="k", reason="r"),
    ]

    for attempt in attempts:
        with pytest.raises(NumberOutOfRange), tx.savepoint():
            attempt()


BACK = "UPDATE credits.holds SET state = 'held', ended_at = NULL"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (BACK, "ended_holds_stay_ended"),
        ("UPDATE credits.holds SET state = 'captured'", "ended_holds_stay_ended"),
        ("UPDATE credits.holds SET ended_at = ended_at - interval '1 day'", "ended_holds_stay_ended"),
        ("UPDATE credits.holds SET amount = amount + 1", "holds_stay_what_they_are"),
        ("UPDATE credits.holds SET account = 'system:mint'", "holds_stay_what_they_are"),
        ("DELETE FROM credits.holds", "holds_stay_what_they_are"),
    ],
)
def test_an_ended_hold_stays_as_it_is_also_for_the_owner_of_the_table(db, owner, change, refusal):
    with db.transaction() as tx:
        commands.open_with_faucet(tx, ALICE, 1000)
        commands.release(tx, held(tx, ALICE, 10).id)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(change)

    assert refused.value.diag.constraint_name == refusal


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE credits.holds SET expires_at = now()",
        "UPDATE credits.holds SET amount = 1",
        "UPDATE credits.credit_accounts SET kind = 'system'",
        "UPDATE credits.credit_accounts SET created_at = now()",
        "UPDATE credits.postings SET amount = 1",
        "DELETE FROM credits.credit_accounts",
    ],
)
def test_the_application_may_change_only_what_its_routines_change(tx, change):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tx.connection.execute(change)


AGENTS = [ALICE, BOB, CAROL]
Step = st.tuples(
    st.sampled_from(["issue", "transfer", "spend", "earn", "reward", "hold", "release", "capture"]),
    st.sampled_from(AGENTS),
    st.sampled_from([*AGENTS, POOL, TREASURY, ESCROW]),
    st.integers(min_value=1, max_value=1500),
)


@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(Step, max_size=25))
def test_whatever_moves_the_books_stay_right_and_nothing_is_made_or_lost(tx, steps):
    with tx.connection.transaction(force_rollback=True):
        total, holds, refused = 0, [], []
        for number, (what, who, other, amount) in enumerate(steps):
            about = {"key": f"step {number}", "reason": what}
            try:
                with tx.savepoint():
                    if what == "issue":
                        issued(tx, other, amount)
                        total += amount
                    elif what == "transfer":
                        commands.transfer(tx, who, other, amount)
                    elif what == "spend":
                        commands.spend(tx, who, amount, to=other, **about)
                    elif what == "earn" and other not in AGENTS:
                        commands.earn(tx, who, amount, source=other, **about)
                    elif what == "reward":
                        commands.reward(tx, who, {TxType.POU_COMPUTE: amount, TxType.POU_MEMORY: 1}, **about)
                    elif what == "hold":
                        holds.append(held(tx, who, amount, str(number)))
                    elif what == "release" and holds:
                        commands.release(tx, holds[amount % len(holds)].id)
                    elif holds:
                        taken = holds[amount % len(holds)]
                        commands.capture(tx, taken.id, [Share(account=other, amount=taken.amount)])
            except Refusal as refusal:
                refused.append(refusal)

        system = on_system_accounts(tx)
        assert [refusal for refusal in refused if refusal.status >= 500] == []
        assert queries.reconcile(tx) == []
        assert -system.pop("mint") == total == sum(numbers(tx, who)[0] for who in AGENTS) + sum(system.values())
        assert min(system.values()) >= 0
