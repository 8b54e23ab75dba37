"""Receipts: a settled deal gets one, a committee is drawn for it, client and committee attest the work."""

import hashlib
import json
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidSignature

from hansa.identity.queries import signing_key
from hansa.infra.db import Query, Tx
from hansa.infra.keys import WeakKey, verification_key
from hansa.infra.outbox import publish
from hansa.kernel import base58
from hansa.kernel.dids import Did
from hansa.kernel.ids import WorkLogId
from hansa.kernel.money import Asset
from hansa.proof.commands.credentials import current_key_id
from hansa.proof.drawing import FIRST, Candidate, digest_of, documents, draw, seed_of
from hansa.proof.errors import AttestationForged, AttestedScoreImpossible
from hansa.proof.events import AttestationMade, ReceiptOpened
from hansa.proof.models import (
    Attestation,
    AttestationKind,
    AttestationPolicy,
    Outcome,
    Receipt,
    ReceiptId,
    attestation_statement,
)
from hansa.proof.queries import ATTESTATION_COLUMNS, attestation_policy, receipt_of, work_log

CANDIDATES_MAX = 500
"""Who has more trust comes first into this number; the list is stored with every draw."""

NEW_RECEIPT = Query(UUID, "SELECT uuidv7()")

# What a member can earn is at most its part of what the deal brought the pool: deals of nothing must not drain it.
OPEN = Query(
    int,
    """
    INSERT INTO proof.task_receipts (id, log_id, agent_did, k, m, slash_bps, reward_units)
    SELECT %(receipt)s, %(log)s, %(agent)s, policy.k, policy.m, policy.slash_bps,
           least(policy.reward_units, %(pool_units)s::bigint / policy.m)
      FROM proof.attestation_rules AS policy
    """,
)

ADD_DEAL = Query(
    int,
    """
    INSERT INTO proof.receipted_deals (receipt_id, client_did, intent_id, amount, asset)
    VALUES (%(receipt)s, %(client)s, %(intent)s, %(amount)s, %(asset)s::proof.asset)
    """,
)

UNDRAWN = Query(
    ReceiptId,
    """
    SELECT id
      FROM proof.task_receipts
     WHERE log_id = %(log)s
       AND state = 'pending'
       AND committee IS NULL
       FOR NO KEY UPDATE
    """,
)

# Every draw names the one before it, so two at once would name the same one.
LOCK_DRAWS = Query(str, "SELECT pg_advisory_xact_lock(hashtextextended('proof.committee_draws', 0))::text")

LAST_DIGEST = Query(str, "SELECT digest FROM proof.committee_draws ORDER BY position DESC LIMIT 1")

# Of each account its most trusted agent, none of the accounts of the two parties; a DID and an agent each show one.
CANDIDATES = Query(
    Candidate,
    """
    WITH parties AS (
        SELECT %(agent)s::text AS did
         UNION
        SELECT %(client)s
    ),
    accounts AS (
        SELECT own.creator_user_id AS id
          FROM registry.agents AS own
          JOIN parties ON parties.did = own.did
         UNION
        SELECT owned.user_id
          FROM identity.user_dids AS owned
          JOIN parties ON parties.did = owned.did
    ),
    able AS (
        SELECT DISTINCT ON (agent.creator_user_id) agent.did, trusted.trust
          FROM proof.live_stakes AS stake
          JOIN registry.agents AS agent ON agent.did = stake.agent_did AND agent.retired_at IS NULL
          LEFT JOIN proof.trust_scores AS known ON known.agent_did = agent.did
         CROSS JOIN LATERAL (
               SELECT round(coalesce(proof.towards_neutral(known.score,
                                                           proof.days_between(known.last_updated, %(at)s),
                                                           known.decay_rate), 0.5)::numeric, 6) AS trust) AS trusted
         WHERE stake.amount >= %(stake_min)s
           AND stake.unbonding_until IS NULL
           AND trusted.trust >= round(%(min_trust)s::double precision::numeric, 6)
           AND trusted.trust > 0
           AND agent.did NOT IN (SELECT did FROM parties)
           AND agent.creator_user_id NOT IN (SELECT id FROM accounts)
         ORDER BY agent.creator_user_id, trusted.trust DESC, agent.did
    )
    SELECT able.did AS agent, able.trust::text AS trust
      FROM able
     ORDER BY able.trust DESC, able.did
     LIMIT %(limit)s
    """,
)

SEAT = Query(
    int,
    """
    SELECT count(*)
      FROM proof.seat_committee(%(receipt)s, %(work_hash)s, %(previous)s, %(seed)s, %(candidates)s::jsonb,
                                %(members)s::text[], %(digest)s)
    """,
)

LEAVE_UNATTESTED = Query(
    int,
    """
    UPDATE proof.task_receipts
       SET state = 'unattested', ended_at = clock_timestamp()
     WHERE id = %(receipt)s
    """,
)

ATTEST = Query(
    Attestation,
    f"""
    INSERT INTO proof.task_attestations
           (receipt_id, by_did, kind, score, evidence_hash, key_id, statement_hash, signature)
    VALUES (%(receipt)s, %(by)s, %(kind)s::proof.attestation_kind, %(score)s, %(evidence_hash)s, %(key_id)s,
            %(statement_hash)s, %(signature)s)
    RETURNING {ATTESTATION_COLUMNS}
    """,
)


def open_receipt(tx: Tx, log: WorkLogId, outcome: Outcome) -> ReceiptId:
    """Give a settled piece of work its receipt; the committee is drawn in a reaction to `OutcomeRecorded`.

    Belongs into the transaction that settles: work that was paid and cannot be attested does not exist.
    """
    receipt = ReceiptId(tx.one(NEW_RECEIPT))
    pool_units = outcome.fee if outcome.asset is Asset.CREDIT else 0
    tx.run(OPEN, receipt=receipt, log=log, agent=outcome.agent, pool_units=pool_units)
    tx.run(
        ADD_DEAL,
        receipt=receipt,
        client=outcome.payer,
        intent=outcome.intent,
        amount=outcome.amount,
        asset=outcome.asset,
    )
    return receipt


def draw_committee(tx: Tx, log: WorkLogId, *, at: datetime) -> Receipt | None:
    """Draw the committee for the receipt of a piece of work; None when there is no receipt, or it was drawn before.

    With fewer candidates than audits that must pass there is no committee: the receipt is left unattested, and
    nothing else changes. Source: AINP, selection by trust and a seed.
    """
    undrawn = tx.maybe(UNDRAWN, log=log)
    if undrawn is None:
        return None
    receipt, policy = receipt_of(tx, undrawn), attestation_policy(tx)
    candidates = candidates_for(tx, receipt, policy, at=at)
    if len(candidates) < receipt.k:
        tx.run(LEAVE_UNATTESTED, receipt=receipt.id)
    else:
        seat(tx, receipt, candidates)
    opened = receipt_of(tx, receipt.id)
    publish(
        tx,
        ReceiptOpened(
            receipt=opened.id,
            log=opened.log,
            agent=opened.agent,
            state=opened.state,
            committee=opened.committee or [],
            due_at=opened.due_at,
        ),
    )
    return opened


def candidates_for(tx: Tx, receipt: Receipt, policy: AttestationPolicy, *, at: datetime) -> list[Candidate]:
    """Who could sit: here, trusted and staked enough, and in no way one of the parties."""
    return tx.all(
        CANDIDATES,
        agent=receipt.agent,
        client=receipt.client,
        at=at,
        stake_min=policy.stake_min,
        min_trust=policy.min_trust,
        limit=CANDIDATES_MAX,
    )


def seat(tx: Tx, receipt: Receipt, candidates: list[Candidate]) -> None:
    tx.one(LOCK_DRAWS)
    work_hash = work_log(tx, receipt.log).zkp_hash
    previous = tx.maybe(LAST_DIGEST) or FIRST
    seed = seed_of(str(receipt.id), work_hash, previous)
    members = draw(seed, candidates, receipt.m)
    tx.one(
        SEAT,
        receipt=receipt.id,
        work_hash=work_hash,
        previous=previous,
        seed=seed,
        candidates=json.dumps(documents(candidates)),
        members=members,
        digest=digest_of(seed, candidates, members),
    )


def attest(
    tx: Tx,
    receipt: ReceiptId,
    kind: AttestationKind,
    *,
    by: Did,
    signature: str,
    score: float | None = None,
    evidence_hash: str | None = None,
    key_id: str | None = None,
    at: datetime,
) -> Attestation:
    """Say something of a piece of work as its client or as a member of its committee, signed over the statement.

    The signature stays in the row, so that anybody can check it later; the one of the request does not.
    Raises ReceiptUnknown, AttestedScoreImpossible, AttestationForged, OnlyTheClientAccepts, NotOnTheCommittee,
    ReceiptEnded, AttestationLate, AttestedBefore, EvidenceHashMalformed. Source: AINP task attestations.
    """
    if score is not None and not 0 <= score <= 1:  # before it is written as JSON, which has no infinity
        raise AttestedScoreImpossible
    statement = attestation_statement(receipt_of(tx, receipt).id, kind, by=by, score=score, evidence_hash=evidence_hash)
    signer = key_id or current_key_id(tx, by)
    require_signature(tx, by, signer, statement, signature, at=at)
    made = tx.one(
        ATTEST,
        receipt=receipt,
        by=by,
        kind=kind,
        score=score,
        evidence_hash=evidence_hash,
        key_id=signer,
        statement_hash=hashlib.sha256(statement).hexdigest(),
        signature=signature,
    )
    publish(tx, AttestationMade(receipt=receipt, kind=kind))
    return made


def require_signature(tx: Tx, by: Did, key_id: str | None, statement: bytes, signature: str, *, at: datetime) -> None:
    """Raises AttestationForged unless a key of the DID that counts now signed the statement."""
    public_key = signing_key(tx, by, key_id, at=at) if key_id else None
    if public_key is None:
        raise AttestationForged(key_id=key_id)
    try:
        verification_key(public_key).verify(base58.decode(signature, size=64), statement)
    except (InvalidSignature, WeakKey, ValueError) as wrong:
        raise AttestationForged(key_id=key_id) from wrong
