"""What can be read of work, reputation, trust, disclosures, proofs of useful work and their rewards."""

from datetime import date, datetime
from decimal import Decimal
from typing import LiteralString
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.infra.seal import KeyRing
from hansa.kernel.dids import Did
from hansa.kernel.ids import WorkLogId
from hansa.proof.errors import AgentNotRegistered, DisclosureUnknown, EpochUnknown, ReceiptUnknown, WorkUnknown
from hansa.proof.models import (
    Attestation,
    AttestationPolicy,
    CommitteeDraw,
    Difference,
    DisclosureLevel,
    DisclosureRequest,
    Finding,
    Quorum,
    Ranked,
    Receipt,
    ReceiptId,
    ReceiptState,
    ReceiptSummary,
    Reputation,
    Reward,
    RewardEpoch,
    SealedPresentation,
    SealedWork,
    Stake,
    Trust,
    TrustMove,
    Usefulness,
    UsefulnessProof,
    WorkEntry,
    WorkLog,
)
from hansa.proof.records import open_record

WORK_COLUMNS: LiteralString = """
    id, agent_did AS agent, task_hash, zkp_hash, attestation_source, disclosure_level, revocable_key_hash,
    tee_enclave_id, created_at
"""
REQUEST_COLUMNS: LiteralString = """
    id, log_id AS log, agent_did AS agent, requested_by_did, requested_by_user, audience, nonce, created_at,
    expires_at, used_at
"""
USEFULNESS_COLUMNS: LiteralString = """
    id, intent_id AS intent, agent_did AS agent, work_type, metrics, cardinality(attestations) AS attestations,
    trace_id AS trace, usefulness_score, worked_at, created_at
"""
EPOCH_COLUMNS: LiteralString = """
    epoch, share_bps, score_min, pool_units, offered_units, score_sum, agents, reward_units, opened_at, closed_at
"""
REWARD_COLUMNS: LiteralString = """
    epoch, agent_did AS agent, score, units,
    jsonb_strip_nulls(jsonb_build_object(
        'compute', nullif(compute_units, 0), 'memory', nullif(memory_units, 0), 'routing', nullif(routing_units, 0),
        'validation', nullif(validation_units, 0), 'learning', nullif(learning_units, 0)
    )) AS by_work_type,
    movement_id AS movement, paid_at
"""
ATTESTATION_COLUMNS: LiteralString = """
    id, receipt_id AS receipt, by_did AS by, kind, score, evidence_hash, key_id, statement_hash, signature, created_at
"""
SUMMARY_COLUMNS: LiteralString = """
    receipt.id, receipt.log_id AS log, receipt.state, receipt.k, receipt.m, receipt.created_at, receipt.ended_at,
    CASE receipt.state WHEN 'finalized' THEN 'pass' WHEN 'rejected' THEN 'fail' END::proof.verdict AS verdict
"""
RECEIPT_COLUMNS: LiteralString = f"""
    {SUMMARY_COLUMNS}, receipt.agent_did AS agent, deal.client_did AS client, deal.intent_id AS intent, deal.amount,
    deal.asset, receipt.committee, receipt.slash_bps, receipt.reward_units, receipt.due_at
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

REPUTATION = Query(
    Reputation,
    """
    SELECT asked.agent, coalesce(known.score, 0.00) AS score, coalesce(known.exact, 0) AS exact,
           known.update_trigger, known.last_updated, known.scored_on, coalesce(known.metadata, '{}') AS metadata,
           coalesce(known.policy_id, (proof.adopted_policy()).id) AS policy, known.explanation
      FROM (SELECT %(agent)s::text AS agent) AS asked
      LEFT JOIN proof.reputations AS known ON known.agent_did = asked.agent
    """,
)

BEST_REPUTATIONS = Query(
    Ranked,
    """
    SELECT agent_did AS agent, score, update_trigger, last_updated, metadata
      FROM proof.reputation_scores
     WHERE score >= %(score_min)s
       AND (%(after)s::text IS NULL
            OR score < (SELECT last.score FROM proof.reputation_scores AS last WHERE last.agent_did = %(after)s)
            OR (score = (SELECT last.score FROM proof.reputation_scores AS last WHERE last.agent_did = %(after)s)
                AND agent_did > %(after)s))
     ORDER BY score DESC, agent_did
     LIMIT %(limit)s
    """,
)

TRUST = Query(
    Trust,
    """
    SELECT asked.agent,
           coalesce(proof.towards_neutral(known.score, idle.days, known.decay_rate), 0.5) AS score,
           coalesce(proof.towards_neutral(known.reliability, idle.days, known.decay_rate), 0.5) AS reliability,
           coalesce(proof.towards_neutral(known.honesty, idle.days, known.decay_rate), 0.5) AS honesty,
           coalesce(proof.towards_neutral(known.competence, idle.days, known.decay_rate), 0.5) AS competence,
           coalesce(proof.towards_neutral(known.timeliness, idle.days, known.decay_rate), 0.5) AS timeliness,
           coalesce(known.decay_rate, 0.977) AS decay_rate, known.last_updated, %(at)s::timestamptz AS as_of,
           jsonb_build_object('work', coalesce(known.work_count, 0),
                              'attestations', coalesce(known.attestation_count, 0),
                              'disputes', coalesce(known.dispute_count, 0)) AS evidence,
           coalesce(proof.apply_trust_decay(known.score, idle.days, known.decay_rate), 0.5) AS literal_score
      FROM (SELECT %(agent)s::text AS agent) AS asked
      LEFT JOIN proof.trust_scores AS known ON known.agent_did = asked.agent
     CROSS JOIN LATERAL (SELECT proof.days_between(known.last_updated, %(at)s) AS days) AS idle
    """,
)

TRUST_MOVES = Query(
    TrustMove,
    """
    SELECT event.fold_position AS position, event.kind,
           CASE WHEN event.agent_did = %(reader)s THEN event.ref END AS ref,
           said.reliability, said.honesty, said.competence, said.timeliness, event.weight, event.occurred_at
      FROM proof.trust_events AS event
     CROSS JOIN LATERAL proof.trust_samples(event) AS said
     WHERE event.agent_did = %(agent)s
       AND event.fold_position < coalesce(%(before)s, 9223372036854775807)
     ORDER BY event.fold_position DESC
     LIMIT %(limit)s
    """,
)

DIFFERENCES = Query(Difference, "SELECT kind, subject, finding FROM proof.differences ORDER BY kind, subject")

COUNTED = Query(int, "SELECT count(*) FROM proof.reputation_events WHERE fold_position IS NOT NULL")

PENDING = Query(int, "SELECT count(*) FROM proof.reputation_events WHERE fold_position IS NULL")

DISCLOSURE_REQUEST = Query(
    DisclosureRequest, f"SELECT {REQUEST_COLUMNS} FROM proof.disclosure_requests WHERE id = %(request)s"
)

# Row security shows each caller its own: the ones it asked for and the ones it is asked about.
DISCLOSURE_REQUESTS = Query(
    DisclosureRequest,
    f"""
    SELECT {REQUEST_COLUMNS}
      FROM proof.disclosure_requests
     WHERE (%(before)s::uuid IS NULL OR id < %(before)s)
       AND (NOT %(open)s OR (used_at IS NULL AND expires_at > clock_timestamp()))
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

PRESENTATION = Query(
    SealedPresentation,
    """
    SELECT id, claims, presentation_hash, encrypted_data, verified_at
      FROM proof.credential_presentations
     WHERE request_id = %(request)s
    """,
)

USEFULNESS = Query(
    Usefulness,
    """
    SELECT agent.did AS agent, coalesce(recent.score, 0.00) AS score, coalesce(recent.proofs, 0) AS proofs,
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                'work_type', by_type.work_type, 'score', by_type.score::text, 'proofs', by_type.proofs,
                                'best_score', by_type.best_score::text, 'best_proof', by_type.best_proof
                            ) ORDER BY proof.work_type_position(by_type.work_type)), '[]')
              FROM proof.recent_usefulness_by_type AS by_type
             WHERE by_type.agent_did = agent.did) AS by_work_type,
           agent.usefulness_score_cached AS published, agent.usefulness_last_updated AS published_at
      FROM registry.agents AS agent
      LEFT JOIN proof.recent_usefulness AS recent ON recent.agent_did = agent.did
     WHERE agent.did = %(agent)s
    """,
)

USEFULNESS_PROOFS = Query(
    UsefulnessProof,
    f"""
    SELECT {USEFULNESS_COLUMNS}
      FROM proof.usefulness_proofs
     WHERE agent_did = %(agent)s
       AND (%(before)s::uuid IS NULL OR id < %(before)s)
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

# Row security shows the deal, and with it the receipt, to the two parties and the committee.
RECEIPT = Query(
    Receipt,
    f"""
    SELECT {RECEIPT_COLUMNS}
      FROM proof.task_receipts AS receipt
      JOIN proof.receipted_deals AS deal ON deal.receipt_id = receipt.id
     WHERE receipt.id = %(receipt)s
    """,
)

RECEIPTS_OF_PARTY = Query(
    Receipt,
    f"""
    SELECT {RECEIPT_COLUMNS}
      FROM proof.task_receipts AS receipt
      JOIN proof.receipted_deals AS deal ON deal.receipt_id = receipt.id
     WHERE (receipt.agent_did = %(agent)s OR deal.client_did = %(agent)s)
       AND (%(state)s::text IS NULL OR receipt.state::text = %(state)s)
       AND (%(before)s::uuid IS NULL OR receipt.id < %(before)s)
     ORDER BY receipt.id DESC
     LIMIT %(limit)s
    """,
)

RECEIPTS_TO_AUDIT = Query(
    Receipt,
    f"""
    SELECT {RECEIPT_COLUMNS}
      FROM proof.task_receipts AS receipt
      JOIN proof.receipted_deals AS deal ON deal.receipt_id = receipt.id
     WHERE receipt.committee @> ARRAY[%(agent)s::text]
       AND (%(state)s::text IS NULL OR receipt.state::text = %(state)s)
       AND (%(before)s::uuid IS NULL OR receipt.id < %(before)s)
     ORDER BY receipt.id DESC
     LIMIT %(limit)s
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

QUORUM = Query(Quorum, "SELECT passes, fails, accepted, k, m, reached, verdict FROM proof.quorum(%(receipt)s)")

ATTESTATIONS = Query(
    Attestation,
    f"SELECT {ATTESTATION_COLUMNS} FROM proof.task_attestations WHERE receipt_id = %(receipt)s ORDER BY id",
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

STAKE = Query(
    Stake,
    """
    SELECT asked.agent, coalesce(live.amount, 0) AS amount, live.hold_id AS hold, live.expires_at,
           live.unbonding_until,
           (SELECT count(*)
              FROM proof.task_receipts AS receipt
             WHERE receipt.state = 'pending'
               AND receipt.committee @> ARRAY[asked.agent]) AS seats
      FROM (SELECT %(agent)s::text AS agent) AS asked
      LEFT JOIN proof.live_stakes AS live ON live.agent_did = asked.agent
    """,
)

ATTESTATION_POLICY = Query(
    AttestationPolicy,
    """
    SELECT k, m, window_s, min_trust, stake_min, reward_units, slash_bps, unbonding_s
      FROM proof.attestation_rules
    """,
)


REWARD_EPOCH = Query(RewardEpoch, f"SELECT {EPOCH_COLUMNS} FROM proof.reward_epochs WHERE epoch = %(epoch)s")

REWARD_EPOCHS = Query(
    RewardEpoch,
    f"""
    SELECT {EPOCH_COLUMNS}
      FROM proof.reward_epochs
     WHERE (%(before)s::date IS NULL OR epoch < %(before)s)
     ORDER BY epoch DESC
     LIMIT %(limit)s
    """,
)

OPEN_REWARD_EPOCHS = Query(date, "SELECT epoch FROM proof.reward_epochs WHERE closed_at IS NULL ORDER BY epoch")

REWARDS_OF_AGENT = Query(
    Reward,
    f"""
    SELECT {REWARD_COLUMNS}
      FROM proof.rewards
     WHERE agent_did = %(agent)s
       AND (%(before)s::date IS NULL OR epoch < %(before)s)
     ORDER BY epoch DESC
     LIMIT %(limit)s
    """,
)

UNPAID_REWARDS = Query(
    Reward,
    f"""
    SELECT {REWARD_COLUMNS}
      FROM proof.rewards
     WHERE epoch = %(epoch)s
       AND movement_id IS NULL
     ORDER BY agent_did
     LIMIT %(limit)s
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
    return Page(items=entries, after=str(rows[-1].id) if len(rows) == limit else None)


def entry_for(keys: KeyRing, work: SealedWork, reader: str) -> WorkEntry:
    readable = work.disclosure_level is DisclosureLevel.PUBLIC or work.agent == reader
    return WorkEntry(log=work.log(), record=open_record(keys, work) if readable else None)


def work_by_hash(tx: Tx, zkp_hash: str) -> list[WorkLog]:
    """The logs that a proof with this hash is about."""
    return tx.all(WORK_BY_HASH, zkp_hash=zkp_hash)


def work_of_subject(tx: Tx, subject_kind: str, subject_id: str) -> list[WorkLog]:
    """The log of what was settled, e.g. a negotiation; empty when nothing was."""
    return tx.all(WORK_OF_SUBJECT, subject_kind=subject_kind, subject_id=subject_id)


def reputation_of(tx: Tx, agent: Did) -> Reputation:
    """What an agent's settled work says about it; 0 without evidence. Source: Proof-of-Service registry."""
    return tx.one(REPUTATION, agent=agent)


def best_reputations(tx: Tx, *, score_min: Decimal, after: Did | None = None, limit: int = 50) -> Page[Ranked]:
    """Agents with at least this reputation, the best first; `after` is the last agent of the page before."""
    rows = tx.all(BEST_REPUTATIONS, score_min=score_min, after=after, limit=limit)
    return Page(items=rows, after=rows[-1].agent if len(rows) == limit else None)


def trust_of(tx: Tx, agent: Did, at: datetime) -> Trust:
    """Trust in an agent at one instant; neutral without evidence. Source: AINP trust vector."""
    return tx.one(TRUST, agent=agent, at=at)


def trust_moves(tx: Tx, agent: Did, *, reader: str, before: int | None = None, limit: int = 50) -> Page[TrustMove]:
    """The evidence that was counted about an agent, the last first; `reader` is the DID proven by the request, or empty.

    `before` is the position where the page before ended.
    """
    rows = tx.all(TRUST_MOVES, agent=agent, reader=reader, before=before, limit=limit)
    return Page(items=rows, after=f"p{rows[-1].position}" if len(rows) == limit else None)


def recompute(tx: Tx) -> list[Difference]:
    """Count all evidence again: every way in which reputation and trust are not what it says; empty when right."""
    return tx.all(DIFFERENCES)


def counted(tx: Tx) -> int:
    """How many settlements the reputations stand on."""
    return tx.one(COUNTED)


def pending(tx: Tx) -> int:
    """How many settlements wait to be counted."""
    return tx.one(PENDING)


def disclosure_request(tx: Tx, request: UUID) -> DisclosureRequest:
    """A disclosure request that the caller asked for or is asked about. Raises DisclosureUnknown."""
    found = tx.maybe(DISCLOSURE_REQUEST, request=request)
    if found is None:
        raise DisclosureUnknown
    return found


def disclosure_requests(
    tx: Tx, *, unanswered: bool, before: UUID | None = None, limit: int = 50
) -> Page[DisclosureRequest]:
    """Disclosure requests that the caller asked for or is asked about, newest first."""
    rows = tx.all(DISCLOSURE_REQUESTS, open=unanswered, before=before, limit=limit)
    return Page(items=rows, after=str(rows[-1].id) if len(rows) == limit else None)


def sealed_presentation(tx: Tx, request: UUID) -> SealedPresentation | None:
    """What was shown in answer to a request; None: nothing yet."""
    return tx.maybe(PRESENTATION, request=request)


def usefulness_of(tx: Tx, agent: Did) -> Usefulness:
    """What the proofs of a registered agent over the last 30 days say; 0 without any. Raises AgentNotRegistered."""
    found = tx.maybe(USEFULNESS, agent=agent)
    if found is None:
        raise AgentNotRegistered
    return found


def usefulness_proofs(tx: Tx, agent: Did, *, before: UUID | None = None, limit: int = 50) -> Page[UsefulnessProof]:
    """The useful work that an agent has proven, newest first."""
    rows = tx.all(USEFULNESS_PROOFS, agent=agent, before=before, limit=limit)
    return Page(items=rows, after=str(rows[-1].id) if len(rows) == limit else None)


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
    return Page(items=rows, after=str(rows[-1].id) if len(rows) == limit else None)


def receipts_to_audit(
    tx: Tx, agent: Did, *, state: ReceiptState | None = None, before: UUID | None = None, limit: int = 50
) -> Page[Receipt]:
    """Receipts in whose committee an agent sits, newest first."""
    rows = tx.all(RECEIPTS_TO_AUDIT, agent=agent, state=state, before=before, limit=limit)
    return Page(items=rows, after=str(rows[-1].id) if len(rows) == limit else None)


def receipts_of_agent(tx: Tx, agent: Did, *, before: UUID | None = None, limit: int = 50) -> Page[ReceiptSummary]:
    """What everybody may know of the receipts for an agent's work, newest first."""
    rows = tx.all(RECEIPTS_OF_AGENT, agent=agent, before=before, limit=limit)
    return Page(items=rows, after=str(rows[-1].id) if len(rows) == limit else None)


def quorum_of(tx: Tx, receipt: ReceiptId) -> Quorum:
    """How far the attestations of a receipt have come."""
    return tx.one(QUORUM, receipt=receipt)


def attestations_of(tx: Tx, receipt: ReceiptId) -> list[Attestation]:
    """What was said on a receipt, in that order."""
    return tx.all(ATTESTATIONS, receipt=receipt)


def findings_of(tx: Tx, receipt: ReceiptId) -> list[Finding]:
    """How the members of a committee did; empty while the receipt is pending."""
    return tx.all(FINDINGS, receipt=receipt)


def committee_draw(tx: Tx, receipt: ReceiptId) -> CommitteeDraw:
    """What a committee was drawn from. Raises ReceiptUnknown, also when there was no draw."""
    found = tx.maybe(DRAW, receipt=receipt)
    if found is None:
        raise ReceiptUnknown("there is no such receipt for this caller, or no committee was drawn for it")
    return found


def stake_of(tx: Tx, agent: Did) -> Stake:
    """What an agent has at stake; 0 without any."""
    return tx.one(STAKE, agent=agent)


def attestation_policy(tx: Tx) -> AttestationPolicy:
    """How settled work is attested now."""
    return tx.one(ATTESTATION_POLICY)


def reward_epoch(tx: Tx, epoch: date) -> RewardEpoch:
    """The rewards of one UTC day. Raises EpochUnknown."""
    found = tx.maybe(REWARD_EPOCH, epoch=epoch)
    if found is None:
        raise EpochUnknown
    return found


def reward_epochs(tx: Tx, *, before: date | None = None, limit: int = 50) -> Page[RewardEpoch]:
    """The rewards of every day, newest first."""
    rows = tx.all(REWARD_EPOCHS, before=before, limit=limit)
    return Page(items=rows, after=rows[-1].epoch.isoformat() if len(rows) == limit else None)


def open_reward_epochs(tx: Tx) -> list[date]:
    """The days whose rewards are fixed and not all paid, oldest first."""
    return tx.all(OPEN_REWARD_EPOCHS)


def rewards_of(tx: Tx, agent: Did, *, before: date | None = None, limit: int = 50) -> Page[Reward]:
    """What an agent got from the pool, newest first."""
    rows = tx.all(REWARDS_OF_AGENT, agent=agent, before=before, limit=limit)
    return Page(items=rows, after=rows[-1].epoch.isoformat() if len(rows) == limit else None)


def unpaid_rewards(tx: Tx, epoch: date, *, limit: int) -> list[Reward]:
    """Rewards of a day that wait to be paid, in the order of the agents."""
    return tx.all(UNPAID_REWARDS, epoch=epoch, limit=limit)
