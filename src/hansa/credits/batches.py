"""Many ledger operations in one statement: each gets its own movement, or its own refusal.

    outcomes = apply(tx, [reserving(...), releasing(...)])

An operation is written down as the JSON document of a `credits.operation`. What it does, and in which order it is
refused, is `credits.decide_batch`, which a test compares with the single routines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic_core import PydanticSerializationError, to_json

from hansa.credits.models import MINT, HoldState, OperationKind, Outcome, Share
from hansa.infra.db import Actor, Db, NumberOutOfRange, Query, TextUnstorable, Tx
from hansa.kernel.errors import REFUSALS, Refusal
from hansa.kernel.ids import HoldId
from hansa.kernel.money import Credits

UNITS_MAX = 2**63 - 1
"""Largest number that a bigint holds."""

ZERO = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The character NUL in a JSON text: its escape, unless the backslash is itself escaped."""

APPLY = Query(
    Outcome,
    """
    SELECT entry.n, (entry.operation).hold AS hold, entry.movement, entry.at, entry.refusal, entry.message, entry.facts
      FROM credits.apply_batch(ARRAY(
           SELECT operation
             FROM jsonb_populate_recordset(NULL::credits.operation, %(operations)s::jsonb) AS operation)) AS entry
     ORDER BY entry.n
    """,
)


def apply(tx: Tx, operations: Sequence[str]) -> list[Outcome]:
    """Do all operations in their order; one outcome for each. What is refused leaves the others alone."""
    return tx.all(APPLY, operations=listed(operations)) if operations else []


def commit(db: Db, actor: Actor, operations: Sequence[str]) -> list[Outcome]:
    """As `apply`, in a transaction of its own and one round trip."""
    return db.at_once(APPLY, actor, operations=listed(operations))


def listed(operations: Sequence[str]) -> str:
    return f"[{','.join(operations)}]"


def depositing(account: str, amount: Credits, *, key: str, reason: str, source: str = MINT) -> str:
    """`commands.deposit` as one operation of a batch."""
    return document(
        OperationKind.DEPOSIT, account=account, amount=bounded(amount), source=source, key=key, reason=reason
    )


def reserving(
    account: str, amount: Credits, *, purpose_kind: str, purpose_id: str, expires_at: datetime, intent: UUID | None
) -> str:
    """`commands.reserve` as one operation of a batch."""
    return document(
        OperationKind.RESERVE,
        account=account,
        amount=bounded(amount),
        purpose_kind=purpose_kind,
        purpose_id=purpose_id,
        expires_at=expires_at,
        intent=intent,
    )


def releasing(hold: HoldId, state: HoldState = HoldState.RELEASED) -> str:
    """`commands.release` as one operation of a batch."""
    return document(OperationKind.RELEASE, hold=hold, state=state)


def capturing(hold: HoldId, shares: Sequence[Share], *, intent: UUID | None) -> str:
    """`commands.capture` as one operation of a batch."""
    return document(
        OperationKind.CAPTURE,
        hold=hold,
        accounts=[share.account for share in shares],
        amounts=[bounded(share.amount) for share in shares],
        intent=intent,
    )


def document(kind: OperationKind, **values: object) -> str:
    """What PostgreSQL cannot store is refused here, before it is in one statement with what others want.

    Raises TextUnstorable.
    """
    try:
        text = to_json({"kind": kind, **values}).decode()
    except (UnicodeEncodeError, PydanticSerializationError):
        raise TextUnstorable from None
    if r"\u0000" in text and ZERO.search(text):
        raise TextUnstorable
    return text


def bounded(units: int) -> int:
    """Raises NumberOutOfRange for what no column holds."""
    if abs(units) > UNITS_MAX:
        raise NumberOutOfRange
    return units


def refusal_of(outcome: Outcome) -> Refusal | None:
    """What an operation was refused with, as the single routine would have said it; None: it was done."""
    if outcome.refusal is None:
        return None
    return REFUSALS[outcome.refusal](outcome.message, **outcome.facts or {})
