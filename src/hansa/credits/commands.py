"""What can be done with credits."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from hansa.credits.errors import (
    AmountNotPositive,
    FaucetClosed,
    IssuingForbidden,
    LimitsForbidden,
    MovementAlreadyMade,
    PaidToOneself,
)
from hansa.credits.events import HoldLapsed
from hansa.credits.models import (
    MANUAL,
    MINT,
    POOL,
    TREASURY,
    Account,
    AccountLimits,
    Hold,
    HoldState,
    Limits,
    Reconciliation,
    Share,
    Transfer,
    TxType,
)
from hansa.credits.queries import account_of, hold_of
from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
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
      FROM credits.reserve(%(account)s, %(amount)s::bigint, %(purpose_kind)s, %(purpose_id)s, %(intent)s, %(expires_at)s)
    """,
)

CAPTURE = Query(MovementId, "SELECT credits.capture(%(hold)s, %(accounts)s, %(amounts)s::bigint[], %(intent)s)")

RELEASE = Query(MovementId, "SELECT credits.release(%(hold)s, %(state)s::credits.hold_state)")

RELEASE_OWN = Query(MovementId, "SELECT credits.release_own(%(hold)s, %(account)s)")

SPEND = Query(
    MovementId,
    "SELECT id FROM credits.pay(%(account)s, %(to)s, %(amount)s::bigint, %(key)s, %(reason)s, %(intent)s)",
)

TRANSFER = Query(
    Transfer,
    """
    SELECT id AS movement, %(sender)s::text AS sender, %(receiver)s::text AS receiver, %(amount)s::bigint AS amount,
           reason, created_at AS at
      FROM credits.transfer(%(sender)s, %(receiver)s, %(amount)s::bigint, %(key)s, %(reason)s)
    """,
)

DISBURSE = Query(
    MovementId,
    """
    SELECT credits.disburse(%(source)s, %(account)s, %(tx_types)s::credits.tx_type[], %(amounts)s::bigint[], %(key)s,
                            %(reason)s, %(intent)s)
    """,
)

REQUIRE_ACCOUNT = Query(str, "SELECT credits.require_account(%(account)s)::text")

SET_LIMITS = Query(
    Limits,
    """
    INSERT INTO credits.limits AS house (transfer_max, day_max, changed_by)
    SELECT coalesce(%(transfer_max)s::bigint, current.transfer_max), coalesce(%(day_max)s::bigint, current.day_max), %(by)s
      FROM credits.limits_of('') AS current
    ON CONFLICT (only_row) DO UPDATE
       SET transfer_max = coalesce(%(transfer_max)s::bigint, house.transfer_max),
           day_max = coalesce(%(day_max)s::bigint, house.day_max),
           changed_at = clock_timestamp(),
           changed_by = excluded.changed_by
    RETURNING transfer_max, day_max
    """,
)

OPEN_ACCOUNT = Query(
    int, "INSERT INTO credits.credit_accounts (account) VALUES (%(account)s) ON CONFLICT (account) DO NOTHING"
)

SET_ACCOUNT_LIMITS = Query(
    AccountLimits,
    """
    INSERT INTO credits.account_limits AS own (account, transfer_max, day_max, changed_by)
    VALUES (%(account)s, %(transfer_max)s::bigint, %(day_max)s::bigint, %(by)s)
    ON CONFLICT (account) DO UPDATE
       SET transfer_max = coalesce(excluded.transfer_max, own.transfer_max),
           day_max = coalesce(excluded.day_max, own.day_max),
           changed_at = clock_timestamp(),
           changed_by = excluded.changed_by
    RETURNING account, transfer_max, day_max, changed_at, changed_by
    """,
)

CLEAR_ACCOUNT_LIMITS = Query(int, "DELETE FROM credits.account_limits WHERE account = %(account)s")

RECONCILE = Query(
    Reconciliation,
    """
    INSERT INTO credits.reconciliations (accounts, movements, holds, discrepancies)
    SELECT (SELECT count(*) FROM credits.credit_accounts),
           (SELECT count(*) FROM credits.credit_transactions),
           (SELECT count(*) FROM credits.holds),
           (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', wrong.kind, 'subject', wrong.subject,
                                                         'finding', wrong.finding)), '[]')
              FROM (SELECT kind, subject, finding FROM credits.discrepancies ORDER BY kind, subject LIMIT 100) AS wrong)
    RETURNING at, accounts, movements, holds, discrepancies, balanced
    """,
)

FORGET_RECONCILIATIONS = Query(
    int, "DELETE FROM credits.reconciliations WHERE at < clock_timestamp() - interval '90 days'"
)

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
    """Put credits on an account from a system account; once per key. Only operators deposit from the mint.

    Raises AmountNotPositive, MovementAlreadyMade, IssuingForbidden. Source: AINP deposit.
    """
    if amount <= 0:
        raise AmountNotPositive
    return tx.one(DEPOSIT, account=account, amount=amount, key=key, reason=reason, source=source)


def mint(tx: Tx, account: str, amount: Credits, *, key: str, reason: str) -> MovementId:
    """Issue new credits to an account that is known, or to a system account, once per key; the movement says who did.

    Raises IssuingForbidden unless an operator acts, AccountUnknown, AmountNotPositive, MovementAlreadyMade.
    """
    if tx.actor.kind != "operator":
        raise IssuingForbidden
    if account == MINT:
        raise PaidToOneself
    tx.run(REQUIRE_ACCOUNT, account=account)
    return deposit(tx, account, amount, key=f"mint:{key}", reason=f"issued by {tx.actor.did}: {reason}")


def spend(
    tx: Tx, account: str, amount: Credits, *, to: str = TREASURY, key: str, reason: str, intent: UUID | None = None
) -> MovementId:
    """Pay from what an account has available, without a hold: a fee to the house, or any other account; once per key.

    Raises AmountNotPositive, PaidToOneself, InsufficientFunds (with the amount missing), TransferAboveLimit,
    DailyLimitReached, MovementAlreadyMade. Source: AINP spend.
    """
    return tx.one(SPEND, account=account, to=to, amount=amount, key=key, reason=reason, intent=intent)


def transfer(
    tx: Tx, sender: str, receiver: str, amount: Credits, *, reason: str = "", key: str | None = None
) -> Transfer:
    """Give money to another agent, who must be known; with a key, once.

    Raises AmountNotPositive, PaidToOneself, TransferToTheHouse, AccountUnknown, InsufficientFunds, TransferAboveLimit
    and DailyLimitReached (with limit, used, amount), MovementAlreadyMade. Source: AINP spend and earn.
    """
    key = f"transfer:{key or uuid4()}"
    return tx.one(TRANSFER, sender=sender, receiver=receiver, amount=amount, key=key, reason=reason)


def earn(
    tx: Tx, account: str, amount: Credits, *, source: str = TREASURY, key: str, reason: str, intent: UUID | None = None
) -> MovementId:
    """Pay an account from the treasury, the pool or the escrow, which must have it; once per key.

    Raises AmountNotPositive, HouseFundsTooSmall, PoolTooSmall, MovementAlreadyMade. Source: AINP earn.
    """
    return disburse(tx, account, {TxType.EARN: amount}, source=source, key=key, reason=reason, intent=intent)


def reward(tx: Tx, account: str, parts: Mapping[TxType, Credits], *, key: str, reason: str) -> MovementId:
    """Pay an account the sum of its parts from the pool, one posting for each `pou_*` type; once per key.

    Parts of 0 are left out. Raises PoolTooSmall (with what is missing), AmountNotPositive, MovementAlreadyMade.
    Source: AINP proofs of usefulness.
    """
    parts = {tx_type: part for tx_type, part in parts.items() if part}
    return disburse(tx, account, parts, source=POOL, key=key, reason=reason)


def disburse(
    tx: Tx,
    account: str,
    parts: Mapping[TxType, Credits],
    *,
    source: str,
    key: str,
    reason: str,
    intent: UUID | None = None,
) -> MovementId:
    return tx.one(
        DISBURSE,
        source=source,
        account=account,
        tx_types=[tx_type.value for tx_type in parts],
        amounts=list(parts.values()),
        key=key,
        reason=reason,
        intent=intent,
    )


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


def set_aside(tx: Tx, account: str, amount: Credits, *, purpose: str, lasts: timedelta, at: datetime) -> Hold:
    """Hold money of an agent for a purpose of its own, under a name that the agent uses once.

    Raises as `reserve` does.
    """
    return reserve(tx, account, amount, purpose_kind=MANUAL, purpose_id=f"{account}#{purpose}", expires_at=at + lasts)


def release_own(tx: Tx, hold: HoldId, *, by: str) -> Hold:
    """Give an agent back what it has set aside by itself; returns the hold as it ended.

    Raises HoldUnknown, HoldForeign, HoldNotManual, HoldEnded.
    """
    tx.one(RELEASE_OWN, hold=hold, account=by)
    return hold_of(tx, hold)


def expire_holds(tx: Tx, *, limit: int = 100) -> int:
    """Give back the money of holds whose time is over, and tell the owners of their purposes; returns how many."""
    lapsed = tx.all(LAPSED, limit=limit)
    for hold in lapsed:
        tx.one(RELEASE, hold=hold.id, state=HoldState.EXPIRED)
        publish(
            tx,
            HoldLapsed(
                hold=hold.id,
                account=hold.account,
                amount=hold.amount,
                purpose_kind=hold.purpose_kind,
                purpose_id=hold.purpose_id,
            ),
        )
    return len(lapsed)


def set_limits(tx: Tx, *, transfer_max: Credits | None = None, day_max: Credits | None = None) -> Limits:
    """Say what every account may pay outside of holds that has no limits of its own; None leaves a limit as it is.

    Raises LimitsForbidden unless an operator acts, LimitsNegative.
    """
    if tx.actor.kind != "operator":
        raise LimitsForbidden
    return tx.one(SET_LIMITS, transfer_max=transfer_max, day_max=day_max, by=tx.actor.did)


def set_account_limits(
    tx: Tx, account: str, *, transfer_max: Credits | None = None, day_max: Credits | None = None
) -> AccountLimits:
    """Say what one account may pay outside of holds; None leaves a limit as it is.

    Raises LimitsForbidden unless an operator acts, AccountUnknown, LimitsNegative.
    """
    if tx.actor.kind != "operator":
        raise LimitsForbidden
    tx.run(REQUIRE_ACCOUNT, account=account)
    tx.run(OPEN_ACCOUNT, account=account)
    return tx.one(SET_ACCOUNT_LIMITS, account=account, transfer_max=transfer_max, day_max=day_max, by=tx.actor.did)


def clear_account_limits(tx: Tx, account: str) -> bool:
    """Let the limits of the house hold for an account again; False: they did already. Raises LimitsForbidden."""
    if tx.actor.kind != "operator":
        raise LimitsForbidden
    return tx.run(CLEAR_ACCOUNT_LIMITS, account=account) > 0


def reconcile(tx: Tx) -> Reconciliation:
    """Compare the books with their postings and keep what was found, for 90 days."""
    tx.run(FORGET_RECONCILIATIONS)
    return tx.one(RECONCILE)
