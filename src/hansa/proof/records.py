"""The sealed record of a piece of work: what is in it, which hashes stand for it, where it opens.

The record is canonical JSON (RFC 8785) with a random salt. `zkp_hash` is its SHA-256, so whoever is shown the record
can check it against the log, and nobody can guess it. `task_hash` blinds the reference of what was settled with the
same salt: on its own that reference would lead to payer, payee and amount on chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime

import rfc8785

from hansa.infra.db import JsonObject
from hansa.infra.seal import KeyRing, SealBroken, open_sealed, seal
from hansa.kernel.ids import WorkLogId
from hansa.proof.models import Outcome, SealedWork

TABLE, COLUMN = "proof.work_history_logs", "encrypted_data"


def record_of(outcome: Outcome, salt: bytes) -> bytes:
    """The record of an outcome; amounts are decimal text, because JSON numbers end at 2^53."""
    return rfc8785.dumps(
        {
            "agent": outcome.agent,
            "payer": outcome.payer,
            "subject_kind": outcome.subject_kind,
            "subject_id": outcome.subject_id,
            "outcome": str(outcome.outcome),
            "amount": str(outcome.amount),
            "fee": str(outcome.fee),
            "asset": outcome.asset.value,
            "started_at": text_of(outcome.started_at),
            "due_at": text_of(outcome.due_at),
            "delivered_at": text_of(outcome.delivered_at),
            "settled_at": text_of(outcome.settled_at),
            "facts": outcome.facts,
            "salt": salt.hex(),
        }
    )


def task_hash(ref: str, salt: bytes) -> str:
    """The reference of what was settled, blinded."""
    return hmac.digest(salt, ref.encode(), "sha256").hex()


def content_hash(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()


def seal_record(keys: KeyRing, record: bytes, *, log: WorkLogId, agent: str) -> bytes:
    """Seal a record for the one log it belongs to."""
    return seal(keys, record, table=TABLE, column=COLUMN, row=str(log), scope=agent)


def open_record(keys: KeyRing, work: SealedWork) -> JsonObject | None:
    """The record of a log; None for one published without content.

    Raises SealBroken when the sealed value was made for another log, or is not the one that the log's hash names.
    """
    if work.encrypted_data is None:
        return None
    record = open_sealed(keys, work.encrypted_data, table=TABLE, column=COLUMN, row=str(work.id), scope=work.agent)
    if content_hash(record) != work.zkp_hash:
        raise SealBroken("the sealed record is not the one that its log names")
    return json.loads(record)


def text_of(moment: datetime | None) -> str | None:
    return moment and moment.isoformat()
