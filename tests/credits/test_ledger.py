"""The books: balances, holds and postings."""

from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given.credits import as_operator
from hansa.credits import commands, queries
from hansa.credits.errors import (
    AmountNotPositive,
    FaucetClosed,
    HoldAlreadyMade,
    HoldEnded,
    HoldExpired,
    HoldUnknown,
    InsufficientFunds,
    LedgerBroken,
    MovementAlreadyMade,
)
from hansa.credits.models import POOL, HoldState, Share
from hansa.infra import outbox

ALICE, BOB = "did:key:alice", "did:key:bob"
DAY = timedelta(days=1)


def rich(tx, account=ALICE, amount=1000):
    return commands.open_with_faucet(tx, account, amount)


def hold(tx, amount, purpose="1", *, account=ALICE, for_time=DAY):
    return commands.reserve(tx, account, amount, purpose_kind="test", purpose_id=purpose, expires_at=tx.at + for_time)


def numbers(tx, account):
    found = queries.account_of(tx, account)
    return found.balance, found.reserved, found.earned, found.spent


def test_opening_credits_are_a_posting_from_the_mint_and_come_once(tx):
    rich(tx)

    again = rich(tx)

    assert again.balance == 1000
    assert {a.account: a.balance for a in queries.system_balances(tx)}["system:mint"] == -1000
    assert queries.reconcile(tx) == []


def test_a_closed_faucet_gives_nothing(tx):
    with pytest.raises(FaucetClosed):
        commands.open_with_faucet(tx, ALICE, 0)


def test_an_account_that_never_held_a_credit_has_zeros(tx):
    assert numbers(tx, "did:key:nobody") == (0, 0, 0, 0)


def test_a_hold_takes_money_out_of_what_is_available_and_leaves_the_balance(tx):
    rich(tx)

    made = hold(tx, 600)

    assert made.state is HoldState.HELD
    assert numbers(tx, ALICE) == (1000, 600, 0, 0)
    assert queries.account_of(tx, ALICE).available == 400


def test_missing_funds_are_refused_with_the_amount_missing(tx):
    rich(tx)
    hold(tx, 600)

    with pytest.raises(InsufficientFunds) as refused, tx.savepoint():
        hold(tx, 500, "2")

    assert refused.value.facts == {"available": 400, "needed": 500, "missing": 100}
    assert numbers(tx, ALICE) == (1000, 600, 0, 0)


def test_a_hold_on_an_account_that_never_existed_lacks_the_whole_amount(tx):
    with pytest.raises(InsufficientFunds) as refused:
        hold(tx, 5, account="did:key:nobody")

    assert refused.value.facts["missing"] == 5


def test_one_purpose_has_one_hold(tx):
    rich(tx)
    hold(tx, 100)

    with pytest.raises(HoldAlreadyMade):
        hold(tx, 100)


@pytest.mark.parametrize("amount", [0, -1, -1000])
def test_amounts_that_are_not_positive_are_refused_by_name(tx, amount):
    rich(tx)

    with pytest.raises(AmountNotPositive):
        hold(tx, amount)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_deposit_of_nothing_is_refused(tx, amount):
    with pytest.raises(AmountNotPositive):
        commands.deposit(tx, ALICE, amount, key="x", reason="x")


def test_a_deposit_happens_once_per_key(tx):
    with as_operator(tx) as operator:
        commands.deposit(operator, ALICE, 10, key="invoice:1", reason="top-up")

        with pytest.raises(MovementAlreadyMade), operator.savepoint():
            commands.deposit(operator, ALICE, 10, key="invoice:1", reason="top-up")

    assert numbers(tx, ALICE)[0] == 10


def test_a_captured_hold_pays_its_shares_and_nothing_else(tx):
    rich(tx)
    made = hold(tx, 600)

    commands.capture(tx, made.id, [Share(account=BOB, amount=500), Share(account=POOL, amount=100)])

    assert numbers(tx, ALICE) == (400, 0, 0, 600)
    assert numbers(tx, BOB) == (500, 0, 500, 0)
    assert {a.account: a.balance for a in queries.system_balances(tx)}[POOL] == 100
    assert queries.hold_of(tx, made.id).state is HoldState.CAPTURED
    assert queries.reconcile(tx) == []


def test_a_payer_can_be_paid_by_his_own_hold(tx):
    rich(tx)
    made = hold(tx, 600)

    commands.capture(tx, made.id, [Share(account=ALICE, amount=100), Share(account=BOB, amount=500)])

    assert numbers(tx, ALICE) == (500, 0, 100, 600)
    assert queries.reconcile(tx) == []


@pytest.mark.parametrize("shares", [[500], [700], [600, 0], [-100, 700], []])
def test_shares_that_are_not_the_whole_hold_are_refused(tx, shares):
    rich(tx)
    made = hold(tx, 600)

    with pytest.raises(LedgerBroken):
        commands.capture(tx, made.id, [Share(account=f"{BOB}{n}", amount=s) for n, s in enumerate(shares)])


def test_released_money_is_available_again(tx):
    rich(tx)
    made = hold(tx, 600)

    commands.release(tx, made.id)

    assert numbers(tx, ALICE) == (1000, 0, 0, 0)
    assert queries.hold_of(tx, made.id).state is HoldState.RELEASED


@pytest.mark.parametrize("first", ["capture", "release"])
@pytest.mark.parametrize("second", ["capture", "release"])
def test_a_hold_ends_once(tx, first, second):
    rich(tx)
    made = hold(tx, 600)
    ends = {
        "capture": lambda: commands.capture(tx, made.id, [Share(account=BOB, amount=600)]),
        "release": lambda: commands.release(tx, made.id),
    }
    ends[first]()

    with pytest.raises(HoldEnded), tx.savepoint():
        ends[second]()

    assert queries.reconcile(tx) == []


def test_a_hold_that_never_was_is_unknown(tx):
    rich(tx)
    made = hold(tx, 1)
    nowhere = made.id.__class__(int=made.id.int ^ 1)

    with pytest.raises(HoldUnknown):
        commands.release(tx, nowhere)


def test_an_expired_hold_cannot_be_captured_and_gives_its_money_back(tx):
    rich(tx)
    made = hold(tx, 600, for_time=timedelta(seconds=-1))

    with pytest.raises(HoldExpired), tx.savepoint():
        commands.capture(tx, made.id, [Share(account=BOB, amount=600)])
    before = outbox.undelivered(tx)
    assert commands.expire_holds(tx) == 1

    assert numbers(tx, ALICE) == (1000, 0, 0, 0)
    assert queries.hold_of(tx, made.id).state is HoldState.EXPIRED
    assert outbox.undelivered(tx) == before + 1
    assert commands.expire_holds(tx) == 0


def test_a_statement_shows_the_newest_first_and_pages_without_gaps(tx):
    rich(tx)
    for number in range(5):
        commands.release(tx, hold(tx, 10 + number, str(number)).id)

    whole = queries.statement(tx, ALICE, limit=500).items
    first = queries.statement(tx, ALICE, limit=7)
    rest = queries.statement(tx, ALICE, before=first.after, limit=500)

    assert [line.movement for line in first.items + rest.items] == [line.movement for line in whole]
    assert sum(line.amount for line in whole) == 1000
    assert rest.after is None


def test_amounts_to_ten_to_the_fifteenth_are_exact(tx):
    rich(tx, amount=10**15)
    made = hold(tx, 10**15)

    commands.capture(tx, made.id, [Share(account=BOB, amount=10**15 - 1), Share(account=POOL, amount=1)])

    assert numbers(tx, BOB)[0] == 10**15 - 1
    assert queries.reconcile(tx) == []


HALF_A_MOVEMENT = """
    INSERT INTO credits.credit_accounts (account) VALUES ('did:key:x');
    INSERT INTO credits.credit_transactions (tx_type, key, reason) VALUES ('deposit', 'k', 'r');
    INSERT INTO credits.postings (transaction_id, line, account, bucket, tx_type, amount)
    SELECT id, 1, 'did:key:x', 'available', 'deposit', 5 FROM credits.credit_transactions WHERE key = 'k';
"""


def test_psql_cannot_write_half_a_movement(owner):
    with pytest.raises(psycopg.errors.CheckViolation, match="do not sum to zero"):
        owner.execute(HALF_A_MOVEMENT)

    assert owner.execute("SELECT count(*) FROM credits.postings").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement", ["UPDATE credits.postings SET amount = amount + 1", "DELETE FROM credits.postings"]
)
def test_nobody_changes_a_posting_not_even_the_owner(db, owner, statement):
    with db.transaction() as tx:
        rich(tx)

    with pytest.raises(psycopg.errors.CheckViolation, match="append only"):
        owner.execute(statement)


def test_reconcile_names_a_corrupted_account_movement_and_hold(db, owner):
    with db.transaction() as tx:
        rich(tx)
        made = hold(tx, 10)
    owner.execute("SET session_replication_role = replica")
    owner.execute("UPDATE credits.credit_accounts SET balance = balance + 7 WHERE account = %s", [ALICE])
    owner.execute("UPDATE credits.postings SET amount = amount + 1 WHERE tx_type = 'deposit' AND amount > 0")
    owner.execute("UPDATE credits.holds SET amount = 11 WHERE id = %s", [made.id])

    with db.transaction() as tx:
        wrong = {one.kind: one.subject for one in queries.reconcile(tx)}

    assert wrong["account"] == ALICE
    assert wrong["hold"] == str(made.id)
    assert "movement" in wrong


Step = st.tuples(
    st.sampled_from(["faucet", "reserve", "capture", "release", "expire"]),
    st.sampled_from([ALICE, BOB, "did:key:carol"]),
    st.integers(min_value=1, max_value=1500),
    st.integers(min_value=0, max_value=11),
)


@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(Step, max_size=25))
def test_whatever_happens_the_books_stay_right(tx, steps):
    with tx.connection.transaction(force_rollback=True):
        holds = []
        for what, who, amount, which in steps:
            try:
                with tx.savepoint():
                    if what == "faucet":
                        rich(tx, who)
                    elif what == "reserve":
                        holds.append(hold(tx, amount, f"p{len(holds)}-{which}", account=who).id)
                    elif what == "expire":
                        commands.expire_holds(tx)
                    elif holds and what == "release":
                        commands.release(tx, holds[which % len(holds)])
                    elif holds:
                        made = queries.hold_of(tx, holds[which % len(holds)])
                        tenth = made.amount // 10
                        shares = [Share(account=who, amount=made.amount - tenth), Share(account=POOL, amount=tenth)]
                        commands.capture(tx, made.id, [share for share in shares if share.amount])
            except (InsufficientFunds, HoldEnded, HoldAlreadyMade):
                pass

        assert queries.reconcile(tx) == []
        assert (
            sum(numbers(tx, who)[0] for who in [ALICE, BOB, "did:key:carol"])
            + sum(account.balance for account in queries.system_balances(tx))
            == 0
        )
