"""What can be done with credits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hansa.credits import batches
from hansa.credits.errors import AmountNotPositive, FaucetClosed, MovementAlreadyMade
from hansa.credits.events import HoldLapsed
from hansa.credits.models import MINT, Account, Hold, HoldState, Share
from hansa.credits.queries import account_of
from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish_all
from hansa.kernel.dids import InvalidDid, did_public_key, parse_did, wallet_address
from hansa.kernel.ids import HoldId, MovementId
from hansa.kernel.money import Credits

DEPOSIT = Query(
    MovementId,
    """
    SELECT credits.post('deposit', %(key)s, %(reason)s, NULL, NULL,
                        ARRAY[%(source)s, %(account)s]::text[],
                        ARRAY['available', 'available']::credits.bucket[],
                        ARRAY['deposit', 'deposit']::credits.tx_type[],
                        ARRAY[-%(amount)s::bigint, %(amount)s::bigint])
    """,
)

RESERVE = Query(
    Hold,
    """
    SELECT id, account, amount, purpose_kind, purpose_id, state, created_at, expires_at, ended_at
      FROM credits.reserve(%(account)s, %(amount)s, %(purpose_kind)s, %(purpose_id)s, %(intent)s, %(expires_at)s)
    """,
)

CAPTURE = Query(MovementId, "SELECT credits.capture(%(hold)s, %(accounts)s, %(amounts)s::bigint[], %(intent)s)")

RELEASE = Query(MovementId, "SELECT credits.release(%(hold)s, %(state)s::credits.hold_state)")

LAPSED = Query(
    Hold,
    """
    SELECT id, account, amount, purpose_kind, purpose_id, state, created_at, expires_at, ended_at
      FROM credits.holds
     WHERE state = 'held'
       AND expires_at <= clock_timestamp()
     ORDER BY expires_at
     LIMIT %(limit)s
       FOR NO KEY UPDATE SKIP LOCKED
    """,
)


def deposit(tx: Tx, account: str, amount: Credits, *, key: str, reason: str, source: str = MINT) -> MovementId:
    """Put credits on an account from a system account; once per key.

    Raises AmountNotPositive, MovementAlreadyMade. Source: AINP deposit.
    """
    if amount <= 0:
        raise AmountNotPositive
    return tx.one(DEPOSIT, account=account, amount=amount, key=key, reason=reason, source=source)


def open_with_faucet(tx: Tx, account: str, amount: Credits) -> Account:
    """Give a new agent its opening credits: a posting from the mint, once for each key, never in production.

    The second time changes nothing, also under another DID of the same key. An `amount` of 0 means that the faucet is closed: raises FaucetClosed.
    """
    if amount <= 0:
        raise FaucetClosed
    try:
        with tx.savepoint():
            deposit(
                tx,
                account,
                amount,
                key=f"faucet:{holder_of(account)}",
                reason="opening credits of the development faucet",
            )
    except MovementAlreadyMade:
        pass
    return account_of(tx, account)


def holder_of(account: str) -> str:
    """Who holds an account, under all DIDs of one key the same: its wallet, or the account where no key is inside."""
    try:
        public_key = did_public_key(parse_did(account))
    except InvalidDid:
        return account
    return wallet_address(public_key) if public_key else account


def reserve(
    tx: Tx,
    account: str,
    amount: Credits,
    *,
    purpose_kind: str,
    purpose_id: str,
    expires_at: datetime,
    intent: UUID | None = None,
) -> Hold:
    """Set money of an account aside for one purpose, until a time.

    Raises InsufficientFunds (with the amount missing), AmountNotPositive, HoldAlreadyMade. Source: AINP reserve.
    """
    return tx.one(
        RESERVE,
        account=account,
        amount=amount,
        purpose_kind=purpose_kind,
        purpose_id=purpose_id,
        intent=intent,
        expires_at=expires_at,
    )


def capture(tx: Tx, hold: HoldId, shares: Sequence[Share], *, intent: UUID | None = None) -> MovementId:
    """Pay a hold out in shares that sum to it; once.

    Raises HoldUnknown, HoldEnded, HoldExpired. Source: AINP settlement.
    """
    accounts, amounts = [share.account for share in shares], [share.amount for share in shares]
    return tx.one(CAPTURE, hold=hold, accounts=accounts, amounts=amounts, intent=intent)


def release(tx: Tx, hold: HoldId) -> MovementId:
    """Give held money back before its time; once. Raises HoldUnknown, HoldEnded. Source: AINP release."""
    return tx.one(RELEASE, hold=hold, state=HoldState.RELEASED)


def expire_holds(tx: Tx, *, limit: int = 100) -> int:
    """Give back the money of holds whose time is over, and tell the owners of their purposes; returns how many.

    All of them in one batch: their accounts are locked in one order and written once each.
    """
    lapsed = tx.all(LAPSED, limit=limit)
    outcomes = batches.apply(tx, [batches.releasing(hold.id, HoldState.EXPIRED) for hold in lapsed])
    assert all(outcome.movement for outcome in outcomes), "a hold that is held and locked can be released"
    publish_all(
        tx,
        [
            HoldLapsed(
                hold=hold.id,
                account=hold.account,
                amount=hold.amount,
                purpose_kind=hold.purpose_kind,
                purpose_id=hold.purpose_id,
            )
            for hold in lapsed
        ],
    )
    return len(lapsed)
