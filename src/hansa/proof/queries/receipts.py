"""What can be read of receipts, their committees and how the members did."""

from typing import LiteralString
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.kernel.dids import Did
from hansa.proof.errors import ReceiptUnknown
from hansa.proof.models import CommitteeDraw, Finding, Receipt, ReceiptId, ReceiptState, ReceiptSummary

SUMMARY_COLUMNS: LiteralString = """
    receipt.id, receipt.log_id AS log, receipt.state, receipt.k, receipt.m, receipt.created_at, receipt.ended_at,
    CASE receipt.state WHEN 'finalized' THEN 'pass' WHEN 'rejected' THEN 'fail' END::proof.verdict AS verdict
"""

# Row security shows the deal, and with it the receipt, to the two parties and the committee.
RECEIPTS: LiteralString = f"""
    SELECT {SUMMARY_COLUMNS}, receipt.agent_did AS agent, deal.client_did AS client, deal.intent_id AS intent,
           deal.amount, deal.asset, receipt.committee, receipt.slash_bps, receipt.reward_units, receipt.due_at
      FROM proof.task_receipts AS receipt
      JOIN proof.receipted_deals AS deal ON deal.receipt_id = receipt.id
"""

NEWEST_IN_STATE: LiteralString = """
       AND (%(state)s::text IS NULL OR receipt.state::text = %(state)s)
       AND (%(before)s::uuid IS NULL OR receipt.id < %(before)s)
     ORDER BY receipt.id DESC
     LIMIT %(limit)s
"""

RECEIPT = Query(
    Receipt,
    f"""
    {RECEIPTS}
     WHERE receipt.id = %(receipt)s
    """,
)

RECEIPTS_OF_PARTY = Query(
    Receipt,
    f"""
    {RECEIPTS}
     WHERE (receipt.agent_did = %(agent)s OR deal.client_did = %(agent)s)
       {NEWEST_IN_STATE}
    """,
)

RECEIPTS_TO_AUDIT = Query(
    Receipt,
    f"""
    {RECEIPTS}
     WHERE receipt.committee @> ARRAY[%(agent)s::text]
       {NEWEST_IN_STATE}
    """,
)

RECEIPTS_OF_AGENT = Query(
    ReceiptSummary,
    f"""
    SELECT {SUMMARY_COLUMNS}
      FROM proof.task_receipts AS receipt
     WHERE receipt.agent_did = %(agent)s
       AND (%(before)s::uuid IS NULL OR receipt.id < %(before)s)
     ORDER BY receipt.id DESC
     LIMIT %(limit)s
    """,
)

FINDINGS = Query(
    Finding,
    """
    SELECT member_did AS member, finding, stake_units, slashed_units, reward_units, reward_movement
      FROM proof.committee_findings
     WHERE receipt_id = %(receipt)s
     ORDER BY member_did
    """,
)

DRAW = Query(
    CommitteeDraw,
    """
    SELECT draw.receipt_id AS receipt, draw.work_hash, draw.previous, draw.seed, draw.candidates,
           receipt.committee AS members, draw.digest
      FROM proof.committee_draws AS draw
      JOIN proof.task_receipts AS receipt ON receipt.id = draw.receipt_id
     WHERE draw.receipt_id = %(receipt)s
    """,
)


def receipt_of(tx: Tx, receipt: ReceiptId) -> Receipt:
    """A receipt, for its parties, its committee and the house. Raises ReceiptUnknown."""
    found = tx.maybe(RECEIPT, receipt=receipt)
    if found is None:
        raise ReceiptUnknown
    return found


def receipts_of_party(
    tx: Tx, agent: Did, *, state: ReceiptState | None = None, before: UUID | None = None, limit: int = 50
) -> Page[Receipt]:
    """Receipts of work that an agent did or paid, newest first."""
    rows = tx.all(RECEIPTS_OF_PARTY, agent=agent, state=state, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.id)


def receipts_to_audit(
    tx: Tx, agent: Did, *, state: ReceiptState | None = None, before: UUID | None = None, limit: int = 50
) -> Page[Receipt]:
    """Receipts in whose committee an agent sits, newest first."""
    rows = tx.all(RECEIPTS_TO_AUDIT, agent=agent, state=state, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.id)


def receipts_of_agent(tx: Tx, agent: Did, *, before: UUID | None = None, limit: int = 50) -> Page[ReceiptSummary]:
    """What everybody may know of the receipts for an agent's work, newest first."""
    rows = tx.all(RECEIPTS_OF_AGENT, agent=agent, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.id)


def findings_of(tx: Tx, receipt: ReceiptId) -> list[Finding]:
    """How the members of a committee did; empty while the receipt is pending."""
    return tx.all(FINDINGS, receipt=receipt)


def committee_draw(tx: Tx, receipt: ReceiptId) -> CommitteeDraw:
    """What a committee was drawn from. Raises ReceiptUnknown, also when there was no draw."""
    found = tx.maybe(DRAW, receipt=receipt)
    if found is None:
        raise ReceiptUnknown("there is no such receipt for this caller, or no committee was drawn for it")
    return found
