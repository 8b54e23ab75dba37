"""What can be read of the books."""

from uuid import UUID

from hansa.credits.errors import HoldUnknown
from hansa.credits.models import Account, Discrepancy, Hold, StatementLine
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

STATEMENT = Query(
    StatementLine,
    """
    SELECT posting.transaction_id AS movement, posting.line::integer AS line, posting.tx_type, posting.bucket,
           posting.amount, movement.reason, movement.intent_id AS intent, posting.created_at AS at
      FROM (SELECT transaction_id, line, tx_type, bucket, amount, created_at
              FROM credits.postings
             WHERE account = %(account)s
               AND (%(before)s::uuid IS NULL OR transaction_id < %(before)s)
             ORDER BY transaction_id DESC
             FETCH FIRST %(limit)s ROWS WITH TIES) AS posting
      JOIN credits.credit_transactions AS movement ON movement.id = posting.transaction_id
     ORDER BY posting.transaction_id DESC, posting.line
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


def statement(tx: Tx, account: str, *, before: UUID | None = None, limit: int = 50) -> Page[StatementLine]:
    """Postings of an account, newest first; lines of one movement stay on one page."""
    lines = tx.all(STATEMENT, account=account, before=before, limit=limit)
    return Page(items=lines, after=str(lines[-1].movement) if len(lines) >= limit else None)


def reconcile(tx: Tx, *, limit: int = 100) -> list[Discrepancy]:
    """Every way in which the books are wrong; empty when they are right."""
    return tx.all(DISCREPANCIES, limit=limit)


def live_holds(tx: Tx) -> int:
    """How many holds have not ended."""
    return tx.one(LIVE_HOLDS)


def system_balances(tx: Tx) -> list[Account]:
    """What the mint, treasury, pool and escrow hold."""
    return tx.all(SYSTEM_BALANCES)
