"""A batch of ledger operations is the same operations one by one, in one commit."""

from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.credits import batches, commands, queries
from hansa.credits.errors import HoldEnded, HoldUnknown, InsufficientFunds, MovementAlreadyMade
from hansa.credits.models import POOL, HoldState, Share
from hansa.infra import outbox
from hansa.infra.db import NumberOutOfRange, TextUnstorable
from hansa.kernel.errors import Refusal
from hansa.kernel.ids import HoldId

PEOPLE = ["did:key:alice", "did:key:bob", "did:key:carol"]
ALICE, BOB, CAROL = PEOPLE
FAR, PAST = datetime(2100, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
NOWHERE = HoldId("01a1fc5b-5f3d-774d-b1a7-8ea8f1967750")


class Operations:
    """The two ways to do the same: as one operation of a batch, or by its command."""

    def __init__(self, way):
        self.way, self.calls = way, []

    def add(self, what, *arguments, **details):
        self.calls.append((what, arguments, details))

    def done(self, tx):
        """What each call gave: `done`, or its refusal's class, words and facts."""
        return self.in_a_batch(tx) if self.way == "batch" else [self.alone(tx, *call) for call in self.calls]

    def in_a_batch(self, tx):
        documents = {
            "deposit": batches.depositing,
            "reserve": batches.reserving,
            "release": batches.releasing,
            "capture": batches.capturing,
        }
        asked = [documents[what](*arguments, **details) for what, arguments, details in self.calls]
        return [spoken(batches.refusal_of(outcome)) for outcome in batches.apply(tx, asked)]

    def alone(self, tx, what, arguments, details):
        try:
            with tx.savepoint():
                getattr(commands, what)(tx, *arguments, **details)
        except Refusal as refusal:
            return spoken(refusal)
        return spoken(None)


def spoken(refusal):
    return "done" if refusal is None else (type(refusal).__name__, refusal.detail, refusal.facts)


def rich(tx, account=ALICE, amount=1000):
    commands.deposit(tx, account, amount, key=f"faucet:{account}", reason="for the test")


def reserving(purpose, amount=100, account=ALICE):
    return batches.reserving(account, amount, purpose_kind="test", purpose_id=purpose, expires_at=FAR, intent=None)


def names(outcomes):
    return [outcome.refusal or "done" for outcome in outcomes]


def test_a_batch_does_what_can_be_done_and_refuses_the_rest(tx):
    rich(tx)

    outcomes = batches.apply(tx, [reserving("1", 600), reserving("2", 600), reserving("3", 400), reserving("1", 0)])

    assert names(outcomes) == ["done", "funds_available_to_reserve", "done", "hold_amount_positive"]
    assert isinstance(refused := batches.refusal_of(outcomes[1]), InsufficientFunds)
    assert refused.facts == {"available": 400, "needed": 600, "missing": 200}
    assert queries.account_of(tx, ALICE).reserved == 1000
    assert queries.hold_of(tx, outcomes[2].hold).amount == 400
    assert queries.reconcile(tx) == []


def test_an_operation_finds_what_the_ones_before_it_left(tx):
    rich(tx, amount=100)
    held = commands.reserve(tx, ALICE, 100, purpose_kind="test", purpose_id="old", expires_at=FAR)

    outcomes = batches.apply(
        tx,
        [
            reserving("early"),
            batches.releasing(held.id),
            reserving("late"),
            batches.releasing(held.id),
            batches.depositing(BOB, 5, key="faucet:twice", reason="r"),
            batches.depositing(BOB, 5, key="faucet:twice", reason="r"),
            reserving("his", 5, BOB),
        ],
    )

    assert names(outcomes) == [
        "funds_available_to_reserve", "done", "done", "hold_ends_once", "done", "one_movement_per_key", "done",
    ]  # fmt: skip
    assert batches.refusal_of(outcomes[3]).facts == {"state": "released"}
    assert queries.reconcile(tx) == []


def test_a_capture_pays_accounts_that_never_held_a_credit(tx):
    rich(tx)
    held = commands.reserve(tx, ALICE, 600, purpose_kind="test", purpose_id="1", expires_at=FAR)

    (outcome,) = batches.apply(
        tx, [batches.capturing(held.id, [Share(account=BOB, amount=500), Share(account=POOL, amount=100)], intent=None)]
    )

    assert outcome.refusal is None
    assert (queries.account_of(tx, BOB).earned, queries.account_of(tx, ALICE).spent) == (500, 600)
    assert queries.hold_of(tx, held.id).state is HoldState.CAPTURED
    assert queries.reconcile(tx) == []


def test_what_is_unknown_or_made_before_is_refused_as_by_the_commands(tx):
    rich(tx)

    outcomes = batches.apply(
        tx, [batches.releasing(NOWHERE), batches.depositing(ALICE, 1, key=f"faucet:{ALICE}", reason="again")]
    )

    assert [type(batches.refusal_of(outcome)) for outcome in outcomes] == [HoldUnknown, MovementAlreadyMade]


def test_a_batch_of_nothing_is_nothing(tx):
    assert batches.apply(tx, []) == []


@pytest.mark.parametrize(
    ("refusal", "make"),
    [
        (NumberOutOfRange, lambda: reserving("1", 2**63)),
        (NumberOutOfRange, lambda: batches.capturing(NOWHERE, [Share(account=BOB, amount=2**64)], intent=None)),
        (TextUnstorable, lambda: reserving("a\0b")),
        (TextUnstorable, lambda: batches.depositing("did:\ud800", 1, key="k", reason="r")),
        (TextUnstorable, lambda: batches.capturing(NOWHERE, [Share(account="\0", amount=1)], intent=None)),
    ],
)
def test_what_no_column_holds_is_refused_before_it_is_among_others(refusal, make):
    with pytest.raises(refusal):
        make()


def test_a_text_that_only_looks_like_a_zero_byte_is_stored(tx):
    rich(tx)

    (outcome,) = batches.apply(tx, [reserving(r"\u0000")])

    assert queries.hold_of(tx, outcome.hold).purpose_id == r"\u0000"


def test_a_hot_account_is_written_once_for_a_whole_batch(db, owner):
    with db.transaction() as tx:
        rich(tx)
    before = updates(owner)

    with db.transaction() as tx:
        batches.apply(tx, [reserving(str(number), 1) for number in range(100)])

    assert updates(owner) - before == 1


def updates(owner):
    """How often a row of an account was changed, by the statistics of PostgreSQL."""
    owner.execute("SELECT pg_stat_clear_snapshot()")
    for (pid,) in owner.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchall():
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    (count,) = owner.execute(
        "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relid = 'credits.credit_accounts'::regclass"
    ).fetchone()
    return count


def test_lapsed_holds_of_many_accounts_go_back_in_one_batch_with_an_event_each(tx):
    for person in PEOPLE:
        rich(tx, person)
        for number in range(3):
            commands.reserve(tx, person, 100, purpose_kind="test", purpose_id=f"{person}{number}", expires_at=PAST)
    alive = commands.reserve(tx, ALICE, 100, purpose_kind="test", purpose_id="alive", expires_at=FAR)
    before = outbox.undelivered(tx)

    assert commands.expire_holds(tx) == 9

    assert [queries.account_of(tx, person).reserved for person in PEOPLE] == [100, 0, 0]
    assert outbox.undelivered(tx) == before + 9
    assert queries.hold_of(tx, alive.id).state is HoldState.HELD
    assert queries.reconcile(tx) == []
    with pytest.raises(HoldEnded):
        commands.release(tx, expired_hold(tx))


def expired_hold(tx):
    return tx.connection.execute("SELECT id FROM credits.holds WHERE state = 'expired' LIMIT 1").fetchone()[0]


HALF = """
    INSERT INTO credits.postings (transaction_id, line, account, bucket, tx_type, amount)
    SELECT id, {line}, 'system:pool', 'available', 'deposit', {amount}
      FROM credits.credit_transactions WHERE key = 'faucet:did:key:alice'
"""


def test_nothing_is_added_to_a_movement_after_it_was_written_however_well_it_sums(db, owner):
    with db.transaction() as tx:
        rich(tx)

    with pytest.raises(psycopg.errors.CheckViolation, match="written by one statement"):
        owner.execute(HALF.format(line=3, amount=5))
    with pytest.raises(psycopg.errors.UniqueViolation):
        owner.execute(HALF.format(line=1, amount=5))

    assert owner.execute("SELECT count(*) FROM credits.postings").fetchone() == (2,)


Step = st.tuples(
    st.sampled_from(["deposit", "reserve", "reserve", "release", "capture", "crooked", "late"]),
    st.sampled_from([*PEOPLE, "did:key:newcomer", POOL]),
    st.integers(min_value=-20, max_value=900),
    st.integers(min_value=0, max_value=7),
)


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(Step, min_size=1, max_size=14))
def test_a_batch_is_its_operations_one_by_one(tx, steps):
    """Same answers, refusals with their words and facts, accounts, holds and statements."""
    seen = {way: carried_out(tx, way, steps) for way in ("batch", "alone")}

    assert seen["batch"] == seen["alone"]


def carried_out(tx, way, steps):
    """What a batch of these steps gave and left, undone afterwards."""
    with tx.connection.transaction(force_rollback=True):
        holds = old_holds(tx)
        operations = Operations(way)
        for what, who, amount, which in steps:
            hold, held = holds[which % len(holds)]
            match what:
                case "deposit":
                    operations.add("deposit", who, abs(amount) + 1, key=f"faucet:key{which % 3}", reason=f"{amount}")
                case "reserve":
                    operations.add(
                        "reserve", who, amount, purpose_kind="test", purpose_id=f"{which}", expires_at=FAR, intent=None
                    )
                case "release":
                    operations.add("release", hold)
                case "late":
                    operations.add("capture", holds[0][0], [Share(account=who, amount=holds[0][1])], intent=None)
                case _:
                    tenth = held // 10 if what == "capture" else amount
                    shares = [Share(account=who, amount=held - tenth), Share(account=BOB, amount=tenth)]
                    operations.add("capture", hold, shares, intent=None)
        answers = operations.done(tx)
        assert queries.reconcile(tx) == []
        return anonymous(answers, holds), accounts(tx), left(tx), [lines(tx, who) for who in (*PEOPLE, POOL)]


def old_holds(tx):
    """Holds with their amounts as earlier transactions left them: one is over, one has ended, one never was."""
    for person in PEOPLE:
        rich(tx, person)
    made = [
        commands.reserve(
            tx, person, 100 + number, purpose_kind="test", purpose_id=f"{number}", expires_at=FAR if number else PAST
        )
        for number, person in enumerate([ALICE, ALICE, ALICE, BOB, CAROL])
    ]
    commands.release(tx, made[1].id)
    return [(hold.id, hold.amount) for hold in made] + [(NOWHERE, 100)]


def anonymous(answers, holds):
    """Ids are drawn anew each time, so they are replaced by what they name."""
    text = repr(answers)
    for number, (hold, _) in enumerate(holds):
        text = text.replace(str(hold), f"hold {number}")
    return text


def accounts(tx):
    return [queries.account_of(tx, who) for who in (*PEOPLE, "did:key:newcomer")] + queries.system_balances(tx)


def left(tx):
    return tx.connection.execute(
        "SELECT account, amount, purpose_id, state, expires_at, ended_at IS NULL FROM credits.holds ORDER BY purpose_id"
    ).fetchall()


def lines(tx, who):
    """A statement without its ids; a reason ends with what a hold was made for, never with an id."""
    found = queries.statement(tx, who, limit=500).items
    return [(line.line, line.tx_type, line.bucket, line.amount, line.reason, line.intent) for line in found]


def test_an_account_of_a_batch_is_charged_until_it_is_empty_and_not_further(tx):
    rich(tx, amount=50)

    outcomes = batches.apply(tx, [reserving(str(number), 7) for number in range(10)])

    assert names(outcomes) == ["done"] * 7 + ["funds_available_to_reserve"] * 3
    assert queries.account_of(tx, ALICE).available == 1


def test_the_time_of_a_hold_is_kept_to_the_microsecond(tx):
    rich(tx)
    until = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)

    (outcome,) = batches.apply(
        tx, [batches.reserving(ALICE, 1, purpose_kind="t", purpose_id="1", expires_at=until, intent=None)]
    )

    made = queries.hold_of(tx, outcome.hold)
    assert (made.expires_at, made.created_at) == (until, outcome.at)
