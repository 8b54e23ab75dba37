"""Statements: what is on them, the balance after each line, totals of a month, and files for spreadsheets."""

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from given.credits import as_operator, issued
from hansa.credits import commands, queries
from hansa.credits.models import POOL, Filters, HoldState, Share, TxType
from hansa.credits.queries import month
from hansa.credits.routes.statements import csv_text, harmless, wants_csv

ALICE, BOB = "did:key:alice", "did:key:bob"


def deal(tx, payer, shares, *, purpose, intent=None):
    made = commands.reserve(
        tx,
        payer,
        sum(share.amount for share in shares),
        purpose_kind="test",
        purpose_id=purpose,
        intent=intent,
        expires_at=tx.at + timedelta(days=1),
    )
    return commands.capture(tx, made.id, shares, intent=intent)


@pytest.fixture
def busy(tx):
    """Accounts on which everything has happened; gives the intent of one deal."""
    intent = uuid4()
    issued(tx, ALICE, 10_000)
    issued(tx, BOB, 5)
    for number in range(4):
        commands.transfer(tx, ALICE, BOB, 10 + number)
        deal(tx, ALICE, [Share(account=ALICE, amount=7), Share(account=BOB, amount=90)], purpose=f"{number}")
    deal(tx, ALICE, [Share(account=BOB, amount=500), Share(account=POOL, amount=100)], purpose="i", intent=intent)
    commands.reward(tx, ALICE, {TxType.POU_COMPUTE: 30, TxType.POU_MEMORY: 20}, key="r", reason="usefulness")
    commands.transfer(tx, BOB, ALICE, 1)
    return intent


def recounted(lines):
    """The balance after each line, added up from the oldest."""
    balance, after = 0, []
    for line in reversed(lines):
        balance += line.amount
        after.append(balance)
    return after[::-1]


def pages(tx, account, *, filters=queries.EVERYTHING, limit=50):
    found, before = [], None
    while True:
        page = queries.statement(tx, account, filters=filters, before=before, limit=limit)
        found += page.items
        if page.after is None:
            return found
        before = page.after


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 500])
@pytest.mark.parametrize("account", [ALICE, BOB])
def test_the_balance_after_each_line_is_right_on_every_page(tx, busy, account, limit):
    lines = pages(tx, account, limit=limit)

    assert len(lines) > 10
    assert [line.balance_after for line in lines] == recounted(lines)
    assert lines[0].balance_after == queries.account_of(tx, account).balance
    assert lines == pages(tx, account)


FILTERS = [
    Filters(tx_type=TxType.SPEND),
    Filters(tx_type=TxType.EARN),
    Filters(tx_type=TxType.POU_MEMORY),
    Filters(since=datetime(2020, 1, 1, tzinfo=UTC)),
    Filters(until=datetime(2020, 1, 1, tzinfo=UTC)),
    Filters(since=datetime(1, 1, 1, tzinfo=UTC), until=datetime(9999, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("limit", [1, 3, 500])
@pytest.mark.parametrize("filters", FILTERS)
def test_filters_choose_lines_and_leave_their_balances_alone(tx, busy, filters, limit):
    everything = pages(tx, ALICE)

    found = pages(tx, ALICE, filters=filters, limit=limit)

    assert found == [
        line
        for line in everything
        if (filters.tx_type is None or line.tx_type is filters.tx_type)
        and (filters.since is None or line.at >= filters.since)
        and (filters.until is None or line.at < filters.until)
    ]


def test_a_moment_between_two_lines_divides_them(tx, busy):
    everything = pages(tx, ALICE)
    middle = everything[7].at

    later = pages(tx, ALICE, filters=Filters(since=middle), limit=2)
    earlier = pages(tx, ALICE, filters=Filters(until=middle), limit=2)

    assert later + earlier == everything
    assert everything[7] in later
    assert len(earlier) > 3


def test_the_lines_of_an_intent_are_found(tx, busy):
    found = pages(tx, ALICE, filters=Filters(intent=busy))

    assert [(line.tx_type, line.amount) for line in found] == [
        (TxType.SPEND, -600),
        (TxType.RESERVE, 600),
        (TxType.RESERVE, -600),
    ]
    assert pages(tx, ALICE, filters=Filters(intent=uuid4())) == []


@pytest.mark.parametrize("limit", [1, 4])
@pytest.mark.parametrize("filters", [queries.EVERYTHING, Filters(tx_type=TxType.EARN)])
def test_a_balance_that_is_handed_on_from_page_to_page_is_the_right_one(tx, busy, filters, limit):
    found, before, balance = [], None, None
    while True:
        page = queries.statement(tx, ALICE, filters=filters, before=before, balance=balance, limit=limit)
        found += page.items
        if page.after is None:
            break
        balance = queries.balance_before(tx, ALICE, page.after, before=before, balance=balance)
        before = page.after

    assert found == pages(tx, ALICE, filters=filters)


def test_an_account_that_never_held_a_credit_has_an_empty_statement(tx):
    since, until = month("2026-11")

    found = queries.summary(tx, "did:key:nobody", since=since, until=until)

    assert queries.statement(tx, "did:key:nobody").items == []
    assert (found.opening, found.came, found.went, found.closing, found.by_type) == (0, 0, 0, 0, [])


def test_the_totals_of_a_period_say_what_came_what_went_and_of_which_type(tx, busy):
    since, until = month(f"{tx.at:%Y-%m}")

    found = queries.summary(tx, ALICE, since=since, until=until)

    lines = pages(tx, ALICE)
    moved = [line.amount for line in lines if line.tx_type not in {TxType.RESERVE, TxType.RELEASE}]
    assert (found.opening, found.closing) == (0, queries.account_of(tx, ALICE).balance)
    assert found.came == sum(amount for amount in moved if amount > 0)
    assert found.went == -sum(amount for amount in moved if amount < 0)
    assert found.opening + found.came - found.went == found.closing
    by_type = {one.tx_type: (one.lines, one.came, one.went) for one in found.by_type}
    assert by_type[TxType.POU_COMPUTE] == (1, 30, 0)
    assert by_type[TxType.RESERVE][1] == by_type[TxType.RESERVE][2] > 0
    assert sum(one.lines for one in found.by_type) == len(lines)


def test_each_month_opens_with_what_the_one_before_closed_with(db, owner):
    with db.transaction() as tx:
        for amount in (100, 20, 3):
            issued(tx, ALICE, amount)
    owner.execute("SET session_replication_role = replica")
    for amount, at in ((100, "2026-09-30 23:59:59.999999Z"), (20, "2026-10-01 00:00Z"), (3, "2026-11-01 00:00Z")):
        owner.execute(
            """
            WITH moved AS (
                SELECT transaction_id AS id, overlay(transaction_id::text PLACING
                           substr(credits.first_id_at(%(at)s)::text, 1, 13) FROM 1 FOR 13)::uuid AS earlier
                  FROM credits.postings WHERE account = %(account)s AND amount = %(amount)s
            ), headers AS (
                UPDATE credits.credit_transactions AS header SET id = moved.earlier FROM moved WHERE header.id = moved.id
            )
            UPDATE credits.postings AS posting SET transaction_id = moved.earlier, created_at = %(at)s
              FROM moved WHERE posting.transaction_id = moved.id
            """,
            {"at": at, "account": ALICE, "amount": amount},
        )

    with db.transaction() as tx:
        found = [queries.summary(tx, ALICE, since=a, until=b) for a, b in map(month, ("2026-09", "2026-10", "2026-11"))]

    assert [(one.opening, one.came, one.closing) for one in found] == [(0, 100, 100), (100, 20, 120), (120, 3, 123)]


def test_a_month_is_one_of_utc_and_december_ends_with_the_year():
    assert month("2026-11") == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert month("2026-12") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-", "+", "-1e5", "- 5", "-12.", "=5"]
)
def test_a_cell_that_a_spreadsheet_would_calculate_becomes_text(cell):
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-12.345", "+5", "0.000", "plain", "", "2026-11-20T10:00:00+00:00", "a=b", "1-2"])
def test_numbers_and_plain_text_stay_as_they_are(cell):
    assert harmless(cell) == cell


def test_a_reason_with_quotes_and_newlines_is_one_cell():
    reason = '=HYPERLINK("http://x", "y"),\r\n2'

    text = csv_text([("1", reason)])

    assert list(csv.reader(io.StringIO(text, newline=""))) == [["1", f"'{reason}"]]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/csv", True),
        ("text/CSV; header=present, */*;q=0.1", True),
        ("text/csv, application/json", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_csv_is_given_to_who_asks_for_it_by_name(accept, wanted):
    assert wants_csv(accept) is wanted


def test_holds_are_listed_newest_first_by_state_and_in_pages(tx):
    issued(tx, ALICE, 1000)
    made = [
        commands.set_aside(tx, ALICE, 10 + n, purpose=f"p{n}", lasts=timedelta(hours=1), at=tx.at) for n in range(5)
    ]
    commands.release_own(tx, made[1].id, by=ALICE)

    first = queries.holds_of(tx, ALICE, limit=3)
    rest = queries.holds_of(tx, ALICE, before=first.after, limit=3)

    assert [hold.id for hold in first.items + rest.items] == [hold.id for hold in reversed(made)]
    assert rest.after is None
    assert [hold.id for hold in queries.holds_of(tx, ALICE, state=HoldState.RELEASED).items] == [made[1].id]
    assert len(queries.holds_of(tx, ALICE, state=HoldState.HELD).items) == 4
    assert queries.holds_of(tx, BOB).items == []


def test_an_operators_reason_stands_on_the_statement_as_it_was_written(tx):
    with as_operator(tx) as operator:
        commands.deposit(operator, ALICE, 5, key="k", reason="=1+1")

    assert queries.statement(tx, ALICE).items[0].reason == "=1+1"
