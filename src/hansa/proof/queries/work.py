"""What can be read of the work of agents."""

from typing import LiteralString
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.infra.seal import KeyRing
from hansa.kernel.dids import Did
from hansa.kernel.ids import WorkLogId
from hansa.proof.errors import WorkUnknown
from hansa.proof.models import DisclosureLevel, SealedWork, WorkEntry, WorkLog
from hansa.proof.records import open_record

WORK_COLUMNS: LiteralString = """
    id, agent_did AS agent, task_hash, zkp_hash, attestation_source, disclosure_level, revocable_key_hash,
    tee_enclave_id, created_at
"""

WORK = Query(SealedWork, f"SELECT {WORK_COLUMNS}, encrypted_data FROM proof.work_history_logs WHERE id = %(log)s")

WORK_OF_SUBJECT = Query(
    WorkLog,
    f"""
    SELECT {WORK_COLUMNS}
      FROM proof.work_history_logs
     WHERE subject_kind = %(subject_kind)s
       AND subject_id = %(subject_id)s
    """,
)

WORK_OF_AGENT = Query(
    SealedWork,
    f"""
    SELECT {WORK_COLUMNS}, encrypted_data
      FROM proof.work_history_logs
     WHERE agent_did = %(agent)s
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

WORK_BY_HASH = Query(
    WorkLog,
    f"""
    SELECT {WORK_COLUMNS}
      FROM proof.work_history_logs
     WHERE ARRAY[zkp_hash] @> ARRAY[%(zkp_hash)s::text]
     ORDER BY id
    """,
)


def sealed_work(tx: Tx, log: WorkLogId) -> SealedWork:
    """A work log with its sealed content. Raises WorkUnknown."""
    found = tx.maybe(WORK, log=log)
    if found is None:
        raise WorkUnknown
    return found


def work_log(tx: Tx, log: WorkLogId) -> WorkLog:
    """A work log by its id. Raises WorkUnknown."""
    return sealed_work(tx, log).log()


def work_entry(tx: Tx, keys: KeyRing, log: WorkLogId, *, reader: str) -> WorkEntry:
    """A work log, opened if it is public or the reader's own. Raises WorkUnknown."""
    return entry_for(keys, sealed_work(tx, log), reader)


def work_of(
    tx: Tx, keys: KeyRing, agent: Did, *, reader: str, before: UUID | None = None, limit: int = 50
) -> Page[WorkEntry]:
    """The work history of an agent, newest first; `reader` is the DID proven by the request, or empty."""
    rows = tx.all(WORK_OF_AGENT, agent=agent, before=before, limit=limit)
    entries = [entry_for(keys, row, reader) for row in rows]
    return Page.of(entries, limit=limit, after=lambda last: last.log.id)


def entry_for(keys: KeyRing, work: SealedWork, reader: str) -> WorkEntry:
    readable = work.disclosure_level is DisclosureLevel.PUBLIC or work.agent == reader
    return WorkEntry(log=work.log(), record=open_record(keys, work) if readable else None)


def work_by_hash(tx: Tx, zkp_hash: str) -> list[WorkLog]:
    """The logs that a proof with this hash is about."""
    return tx.all(WORK_BY_HASH, zkp_hash=zkp_hash)


def work_of_subject(tx: Tx, subject_kind: str, subject_id: str) -> list[WorkLog]:
    """The log of what was settled, e.g. a negotiation; empty when nothing was."""
    return tx.all(WORK_OF_SUBJECT, subject_kind=subject_kind, subject_id=subject_id)
