"""What can be read of attestations: what was said on a receipt, how far its quorum is, and the numbers of today."""

from typing import LiteralString

from hansa.infra.db import Query, Tx
from hansa.proof.models import Attestation, AttestationPolicy, Quorum, ReceiptId

ATTESTATION_COLUMNS: LiteralString = """
    id, receipt_id AS receipt, by_did AS by, kind, score, evidence_hash, key_id, statement_hash, signature, created_at
"""

QUORUM = Query(Quorum, "SELECT passes, fails, accepted, k, m, reached, verdict FROM proof.quorum(%(receipt)s)")

ATTESTATIONS = Query(
    Attestation,
    f"SELECT {ATTESTATION_COLUMNS} FROM proof.task_attestations WHERE receipt_id = %(receipt)s ORDER BY id",
)

ATTESTATION_POLICY = Query(
    AttestationPolicy,
    """
    SELECT k, m, window_s, min_trust, stake_min, reward_units, slash_bps, unbonding_s
      FROM proof.attestation_rules
    """,
)


def quorum_of(tx: Tx, receipt: ReceiptId) -> Quorum:
    """How far the attestations of a receipt have come."""
    return tx.one(QUORUM, receipt=receipt)


def attestations_of(tx: Tx, receipt: ReceiptId) -> list[Attestation]:
    """What was said on a receipt, in that order."""
    return tx.all(ATTESTATIONS, receipt=receipt)


def attestation_policy(tx: Tx) -> AttestationPolicy:
    """How settled work is attested now."""
    return tx.one(ATTESTATION_POLICY)
