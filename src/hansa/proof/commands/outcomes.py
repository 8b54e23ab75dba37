"""Recording how work ended, and letting everybody read it."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from hansa.identity.queries import keys_of
from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
from hansa.infra.seal import KeyRing
from hansa.kernel.dids import Did, did_public_key
from hansa.kernel.ids import WorkLogId
from hansa.proof import records
from hansa.proof.commands.receipts import open_receipt
from hansa.proof.errors import OutcomeOfAnotherAgent, WorkOfAnotherAgent
from hansa.proof.events import OutcomeRecorded, WorkPublished
from hansa.proof.models import Outcome, UpdateTrigger, WorkLog
from hansa.proof.queries import work_log, work_of_subject

SALT_BYTES = 32


NEW_LOG = Query(UUID, "SELECT uuidv7()")

WRITE_LOG = Query(
    int,
    """
    INSERT INTO proof.work_history_logs
           (id, agent_did, subject_kind, subject_id, task_hash, zkp_hash, encrypted_data, revocable_key_hash)
    VALUES (%(log)s, %(agent)s, %(subject_kind)s, %(subject_id)s, %(task_hash)s, %(zkp_hash)s, %(encrypted_data)s,
            %(key_hash)s)
    ON CONFLICT (subject_kind, subject_id) DO NOTHING
    """,
)

# Whoever pays himself proves nothing: the same DID, the same owner, or what the caller knows about it.
WRITE_REPUTATION_EVENT = Query(
    int,
    """
    INSERT INTO proof.reputation_events
           (ref, log_id, agent_did, payer_did, payer_verified, payer_related, outcome, fee, asset, speed_ms,
            update_trigger, settled_at)
    SELECT %(ref)s, %(log)s, %(agent)s, %(payer)s, %(payer_verified)s,
           %(payer_related)s OR %(payer)s::text = %(agent)s::text
           OR EXISTS (SELECT
                        FROM registry.agents AS own
                       WHERE own.did = %(agent)s
                         AND own.creator_user_id IN (SELECT other.creator_user_id
                                                       FROM registry.agents AS other
                                                      WHERE other.did = %(payer)s
                                                     UNION ALL
                                                     SELECT account.user_id
                                                       FROM identity.user_dids AS account
                                                      WHERE account.did = %(payer)s)),
           %(outcome)s, %(fee)s, %(asset)s::proof.asset, %(speed_ms)s, %(update_trigger)s::proof.update_trigger,
           %(settled_at)s
    """,
)

# Whether work was good is what its payer says by accepting it, whenever it came; a payer nobody knows says nothing.
WRITE_TRUST_EVENT = Query(
    int,
    """
    INSERT INTO proof.trust_events
           (ref, agent_did, kind, outcome, started_at, due_at, delivered_at, competence, occurred_at)
    SELECT %(ref)s, %(agent)s, 'work', %(outcome)s, %(started_at)s, %(due_at)s, %(delivered_at)s,
           CASE WHEN %(payer_verified)s THEN proof.reliability_sample(%(outcome)s, NULL) END, %(settled_at)s
    """,
)

PUBLISH_LOG = Query(
    int,
    """
    UPDATE proof.work_history_logs
       SET disclosure_level = 'public'
     WHERE id = %(log)s
       AND disclosure_level <> 'public'
    """,
)


def record_outcome(tx: Tx, outcome: Outcome, keys: KeyRing) -> WorkLog:
    """Write down how a piece of work ended: its sealed log, and its evidence for reputation and trust; once.

    Work that did not fail also gets a receipt, on which client and committee can attest it.

    Belongs into the transaction that settles, so that settled work without a log cannot exist. The numbers follow
    in a reaction to `OutcomeRecorded`. The same subject again changes nothing and gives the log that exists.
    Raises AgentNotRegistered, OutcomeImpossible, OutcomeOfAnotherAgent. Source: Proof-of-Service registry.
    """
    log = WorkLogId(tx.one(NEW_LOG))
    if not write_log(tx, log, outcome, keys):
        return log_of_subject(tx, outcome)
    write_evidence(tx, log, outcome)
    if outcome.outcome > 0:
        open_receipt(tx, log, outcome)
    publish(tx, OutcomeRecorded(ref=outcome.ref, agent=outcome.agent, log=log))
    return work_log(tx, log)


def publish_work(tx: Tx, log: WorkLogId, *, by: Did) -> WorkLog:
    """Let everybody read one piece of work, at the wish of the agent that did it; for good.

    The second time changes nothing. Raises WorkUnknown, WorkOfAnotherAgent.
    """
    if work_log(tx, log).agent != by:
        raise WorkOfAnotherAgent
    if tx.run(PUBLISH_LOG, log=log):
        publish(tx, WorkPublished(log=log, agent=by))
    return work_log(tx, log)


def write_log(tx: Tx, log: WorkLogId, outcome: Outcome, keys: KeyRing) -> int:
    salt = secrets.token_bytes(SALT_BYTES)
    record = records.record_of(outcome, salt)
    return tx.run(
        WRITE_LOG,
        log=log,
        agent=outcome.agent,
        subject_kind=outcome.subject_kind,
        subject_id=outcome.subject_id,
        task_hash=records.task_hash(outcome.ref, salt),
        zkp_hash=records.content_hash(record),
        encrypted_data=records.seal_record(keys, record, log=log, agent=outcome.agent),
        key_hash=key_hash_of(tx, outcome.agent),
    )


def write_evidence(tx: Tx, log: WorkLogId, outcome: Outcome) -> None:
    tx.run(
        WRITE_REPUTATION_EVENT,
        ref=outcome.ref,
        log=log,
        agent=outcome.agent,
        payer=outcome.payer,
        payer_verified=outcome.payer_verified,
        payer_related=outcome.payer_related,
        outcome=outcome.outcome,
        fee=outcome.fee,
        asset=outcome.asset,
        speed_ms=speed_ms(outcome),
        update_trigger=UpdateTrigger.X402_SETTLEMENT,
        settled_at=outcome.settled_at,
    )
    tx.run(
        WRITE_TRUST_EVENT,
        ref=outcome.ref,
        agent=outcome.agent,
        outcome=outcome.outcome,
        started_at=outcome.started_at,
        due_at=outcome.due_at,
        delivered_at=outcome.delivered_at,
        payer_verified=outcome.payer_verified,
        settled_at=outcome.settled_at,
    )


def log_of_subject(tx: Tx, outcome: Outcome) -> WorkLog:
    [known] = work_of_subject(tx, outcome.subject_kind, outcome.subject_id)
    if known.agent != outcome.agent:
        raise OutcomeOfAnotherAgent
    return known


def key_hash_of(tx: Tx, agent: Did) -> str | None:
    """Which key the agent has now: the last one on record that counts, or else the one inside its DID."""
    recorded = keys_of(tx, agent)
    if recorded:
        active = [key.key_hash for key in recorded if key.revoked_at is None]
        return active[-1] if active else None
    inside = did_public_key(agent)
    return hashlib.sha256(inside).hexdigest() if inside else None


def speed_ms(outcome: Outcome) -> int | None:
    if outcome.started_at is None or outcome.delivered_at is None:
        return None
    return (outcome.delivered_at - outcome.started_at) // timedelta(milliseconds=1)
