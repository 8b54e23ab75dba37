"""What can be read of the books."""

from datetime import UTC, datetime
from uuid import UUID

from hansa.credits.errors import HoldUnknown
from hansa.credits.models import (
    Account,
    AccountLimits,
    Allowance,
    Discrepancy,
    Filters,
    Hold,
    HoldState,
    Limits,
    Reconciliation,
    StatementLine,
    Summary,
)
from hansa.infra.db import Page, Query, Tx
from hansa.kernel.ids import HoldId
from hansa.kernel.money import Credits

ACCOUNT = Query(
    Account,
    """
    SELECT account, balance, reserved, earned, spent
      FROM credits.credit_accounts
     WHERE account = %(account)s
    """,
)

HOLD = Query(
    Hold,
    """
    SELECT id, account, amount, purpose_kind, purpose_id, state, created_at, expires_at, ended_at
      FROM credits.holds
     WHERE id = %(hold)s
    """,
)

HOLDS = Query(
    Hold,
    """
    SELECT id, account, amount, purpose_kind, purpose_id, state, created_at, expires_at, ended_at
      FROM credits.holds
     WHERE account = %(account)s
       AND (%(state)s::credits.hold_state IS NULL OR state = %(state)s::credits.hold_state)
       AND (%(before)s::uuid IS NULL
            OR (created_at, id) < (SELECT mark.created_at, mark.id FROM credits.holds AS mark WHERE mark.id = %(before)s))
     ORDER BY created_at DESC, id DESC
     LIMIT %(limit)s
    """,
)

# What an account owned after a line is what it owns now, minus all that is newer. Pages that follow each other hand on
# where the last one ended, so that a whole account is read once; a page that stands alone adds up what is newer.
STATEMENT = Query(
    StatementLine,
    """
    WITH page AS (
        SELECT posting.transaction_id, posting.line, posting.tx_type, posting.bucket, posting.amount,
               posting.created_at, movement.reason, movement.intent_id
          FROM credits.postings AS posting
          JOIN credits.credit_transactions AS movement ON movement.id = posting.transaction_id
         WHERE posting.account = %(account)s
           AND (%(before)s::uuid IS NULL OR posting.transaction_id < %(before)s)
           AND (%(tx_type)s::credits.tx_type IS NULL OR posting.tx_type = %(tx_type)s::credits.tx_type)
           AND (%(intent)s::uuid IS NULL OR movement.intent_id = %(intent)s)
           AND (%(since)s::timestamptz IS NULL
                OR (posting.created_at >= %(since)s
                    AND posting.transaction_id >= credits.first_id_at(%(since)s::timestamptz - interval '1 hour')))
           AND (%(until)s::timestamptz IS NULL
                OR (posting.created_at < %(until)s
                    AND posting.transaction_id < credits.first_id_at(%(until)s::timestamptz + interval '1 hour')))
         ORDER BY posting.transaction_id DESC
         FETCH FIRST %(limit)s ROWS WITH TIES
    ), newer AS (
        SELECT posting.transaction_id, posting.line,
               coalesce(sum(posting.amount) OVER (ORDER BY posting.transaction_id DESC, posting.line DESC
                                                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS amount
          FROM credits.postings AS posting
         WHERE posting.account = %(account)s
           AND (%(before)s::uuid IS NULL OR posting.transaction_id < %(before)s)
           AND posting.transaction_id >= (SELECT oldest.transaction_id
                                            FROM page AS oldest
                                           ORDER BY oldest.transaction_id
                                           LIMIT 1)
    )
    SELECT page.transaction_id AS movement, page.line::integer AS line, page.tx_type, page.bucket, page.amount,
           (start.balance - newer.amount)::bigint AS balance_after, page.reason, page.intent_id AS intent,
           page.created_at AS at
      FROM page
      JOIN newer ON newer.transaction_id = page.transaction_id AND newer.line = page.line
     CROSS JOIN (SELECT coalesce(%(balance)s::bigint, account.balance - coalesce(
                                 (SELECT sum(newest.amount)
                                    FROM credits.postings AS newest
                                   WHERE newest.account = account.account
                                     AND newest.transaction_id >= %(before)s::uuid), 0)) AS balance
                   FROM credits.credit_accounts AS account
                  WHERE account.account = %(account)s) AS start
     ORDER BY page.transaction_id DESC, page.line DESC
    """,
)

BALANCE_BEFORE = Query(
    Credits,
    """
    SELECT (coalesce(%(balance)s::bigint, account.balance) - coalesce(
            (SELECT sum(posting.amount)
               FROM credits.postings AS posting
              WHERE posting.account = account.account
                AND posting.transaction_id >= %(movement)s
                AND (%(before)s::uuid IS NULL OR posting.transaction_id < %(before)s)), 0))::bigint
      FROM credits.credit_accounts AS account
     WHERE account.account = %(account)s
    """,
)

SUMMARY = Query(
    Summary,
    """
    WITH recent AS (
        SELECT posting.tx_type, posting.amount, posting.created_at < %(until)s AS within
          FROM credits.postings AS posting
         WHERE posting.account = %(account)s
           AND posting.created_at >= %(since)s
           AND posting.transaction_id >= credits.first_id_at(%(since)s::timestamptz - interval '1 hour')
    ), typed AS (
        SELECT recent.tx_type, count(*) AS lines,
               coalesce(sum(recent.amount) FILTER (WHERE recent.amount > 0), 0) AS came,
               coalesce(-sum(recent.amount) FILTER (WHERE recent.amount < 0), 0) AS went
          FROM recent
         WHERE recent.within
         GROUP BY recent.tx_type
    ), period AS (
        SELECT coalesce(sum(typed.came) FILTER (WHERE typed.tx_type NOT IN ('reserve', 'release')), 0) AS came,
               coalesce(sum(typed.went) FILTER (WHERE typed.tx_type NOT IN ('reserve', 'release')), 0) AS went,
               coalesce(jsonb_agg(to_jsonb(typed) ORDER BY typed.tx_type), '[]') AS by_type
          FROM typed
    ), opened AS (
        SELECT coalesce((SELECT account.balance FROM credits.credit_accounts AS account
                          WHERE account.account = %(account)s), 0)
               - coalesce((SELECT sum(recent.amount) FROM recent), 0) AS balance
    )
    SELECT %(account)s::text AS account, %(since)s::timestamptz AS since, %(until)s::timestamptz AS until,
           opened.balance::bigint AS opening, period.came::bigint AS came, period.went::bigint AS went,
           (opened.balance + period.came - period.went)::bigint AS closing, period.by_type
      FROM opened
     CROSS JOIN period
    """,
)

ALLOWANCE = Query(
    Allowance,
    """
    SELECT transfer_max, day_max, used, greatest(0, day_max - used) AS left, resets_at
      FROM credits.limits_of(%(account)s)
    """,
)

# Nobody is called '', so these are the limits of whoever has none of its own.
LIMITS = Query(Limits, "SELECT transfer_max, day_max FROM credits.limits_of('')")

ACCOUNT_LIMITS = Query(
    AccountLimits,
    """
    SELECT account, transfer_max, day_max, changed_at, changed_by
      FROM credits.account_limits
     ORDER BY account
    """,
)

RECONCILIATIONS = Query(
    Reconciliation,
    """
    SELECT at, accounts, movements, holds, discrepancies, balanced
      FROM credits.reconciliations
     ORDER BY at DESC
     LIMIT %(limit)s
    """,
)

DISCREPANCIES = Query(
    Discrepancy,
    """
    SELECT kind, subject, finding
      FROM credits.discrepancies
     ORDER BY kind, subject
     LIMIT %(limit)s
    """,
)

LIVE_HOLDS = Query(int, "SELECT count(*) FROM credits.holds WHERE state = 'held'")

SYSTEM_BALANCES = Query(
    Account,
    """
    SELECT account, balance, 0::bigint AS reserved, 0::bigint AS earned, 0::bigint AS spent
      FROM credits.system_balances
     ORDER BY account
    """,
)


def account_of(tx: Tx, account: str) -> Account:
    """What a holder has; zeros for one who never held a credit."""
    nothing = Credits(0)
    empty = Account(account=account, balance=nothing, reserved=nothing, earned=nothing, spent=nothing)
    return tx.maybe(ACCOUNT, account=account) or empty


def hold_of(tx: Tx, hold: HoldId) -> Hold:
    """A hold by its id. Raises HoldUnknown."""
    found = tx.maybe(HOLD, hold=hold)
    if found is None:
        raise HoldUnknown
    return found


def holds_of(
    tx: Tx, account: str, *, state: HoldState | None = None, before: UUID | None = None, limit: int = 50
) -> Page[Hold]:
    """Holds on an account, newest first."""
    found = tx.all(HOLDS, account=account, state=state, before=before, limit=limit)
    return Page(items=found, after=str(found[-1].id) if len(found) >= limit else None)


EVERYTHING = Filters()


def statement(
    tx: Tx,
    account: str,
    *,
    filters: Filters = EVERYTHING,
    before: UUID | None = None,
    balance: Credits | None = None,
    limit: int = 50,
) -> Page[StatementLine]:
    """Postings of an account, newest first, each with the balance after it; lines of one movement stay on one page.

    `balance`: what the account owned just before the movement `before`, where the caller knows it (`balance_before`).
    """
    lines = tx.all(
        STATEMENT,
        account=account,
        tx_type=filters.tx_type,
        since=filters.since,
        until=filters.until,
        intent=filters.intent,
        before=before,
        balance=balance,
        limit=limit,
    )
    return Page(items=lines, after=str(lines[-1].movement) if len(lines) >= limit else None)


def balance_before(
    tx: Tx, account: str, movement: UUID, *, before: UUID | None = None, balance: Credits | None = None
) -> Credits:
    """What an account owned just before a movement; quicker when it is known before a later one."""
    return tx.one(BALANCE_BEFORE, account=account, movement=movement, before=before, balance=balance)


def summary(tx: Tx, account: str, *, since: datetime, until: datetime) -> Summary:
    """A period of an account in totals."""
    return tx.one(SUMMARY, account=account, since=since, until=until)


def month(text: str) -> tuple[datetime, datetime]:
    """The first moment of a month such as `2026-11`, in UTC, and that of the next month."""
    year, number = int(text[:4]), int(text[5:])
    first = datetime(year, number, 1, tzinfo=UTC)
    return first, datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def allowance(tx: Tx, account: str) -> Allowance:
    """What an account may pay outside of holds, and what is left of it today."""
    return tx.one(ALLOWANCE, account=account)


def limits(tx: Tx) -> Limits:
    """What every account may pay that has no limits of its own."""
    return tx.one(LIMITS)


def account_limits(tx: Tx) -> list[AccountLimits]:
    """Accounts with limits of their own."""
    return tx.all(ACCOUNT_LIMITS)


def reconciliations(tx: Tx, *, limit: int = 24) -> list[Reconciliation]:
    """What the latest comparisons of the books found, newest first."""
    return tx.all(RECONCILIATIONS, limit=limit)


def reconcile(tx: Tx, *, limit: int = 100) -> list[Discrepancy]:
    """Every way in which the books are wrong; empty when they are right."""
    return tx.all(DISCREPANCIES, limit=limit)


def live_holds(tx: Tx) -> int:
    """How many holds have not ended."""
    return tx.one(LIVE_HOLDS)


def system_balances(tx: Tx) -> list[Account]:
    """What the mint, treasury, pool and escrow hold."""
    return tx.all(SYSTEM_BALANCES)
