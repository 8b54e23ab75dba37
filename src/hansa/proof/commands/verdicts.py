"""Verdicts: a receipt ends, its committee is judged, slashed and rewarded, and trust hears of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from hansa.credits import commands as ledger
from hansa.credits.errors import PoolTooSmall
from hansa.credits.models import TxType
from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.dids import Did
from hansa.kernel.ids import MovementId
from hansa.kernel.money import Credits
from hansa.proof.commands.evidence import note_evidence
from hansa.proof.commands.stakes import slash, take_stake
from hansa.proof.events import ReceiptFinalized, StakeSlashed
from hansa.proof.models import (
    AttestationKind,
    AttestationPolicy,
    Evidence,
    EvidenceKind,
    Receipt,
    ReceiptId,
    ReceiptState,
    SeatFinding,
)
from hansa.proof.queries import attestation_policy, attestations_of, receipt_of

HONEST, DISHONEST = 0.95, 0.05
"""Samples of honesty: of work that passed and of a member who agreed; of work that failed and of one who did not."""
SILENCE = 10
"""A silent member loses this part of what a wrong audit costs."""

FINALISE = Query(ReceiptId, "SELECT id FROM proof.finalise_receipt(%(receipt)s)")

DUE = Query(
    ReceiptId,
    """
    SELECT id
      FROM proof.task_receipts
     WHERE state = 'pending'
       AND due_at <= clock_timestamp()
       AND id <> ALL (%(tried)s::uuid[])
     ORDER BY due_at
     LIMIT 1
       FOR NO KEY UPDATE SKIP LOCKED
    """,
)

SUBJECT = Query(str, "SELECT subject_kind || ':' || subject_id FROM proof.work_history_logs WHERE id = %(log)s")

WRITE_FINDING = Query(
    int,
    """
    INSERT INTO proof.committee_findings
           (receipt_id, member_did, finding, stake_units, slashed_units, reward_units)
    VALUES (%(receipt)s, %(member)s, %(finding)s::proof.seat_finding, %(stake_units)s, %(slashed_units)s,
            %(reward_units)s)
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What a member of a committee is still to be paid."""

    receipt: ReceiptId
    member: Did
    units: Credits


UNPAID = Query(
    Reward,
    """
    SELECT receipt_id AS receipt, member_did AS member, reward_units AS units
      FROM proof.committee_findings
     WHERE reward_units > 0
       AND reward_movement IS NULL
     ORDER BY created_at, receipt_id, member_did
     LIMIT %(limit)s
       FOR NO KEY UPDATE SKIP LOCKED
    """,
)

REWARDED = Query(
    int,
    """
    UPDATE proof.committee_findings
       SET reward_movement = %(movement)s
     WHERE receipt_id = %(receipt)s
       AND member_did = %(member)s
    """,
)

BEGIN_POLICY = Query(
    int,
    """
    INSERT INTO proof.attestation_policy
           (k, m, window_s, min_trust, stake_min, reward_units, slash_bps, unbonding_s)
    SELECT k, m, window_s, min_trust, stake_min, reward_units, slash_bps, unbonding_s
      FROM proof.attestation_rules
    ON CONFLICT (id) DO NOTHING
    """,
)

SET_POLICY = Query(
    int,
    """
    UPDATE proof.attestation_policy
       SET k = coalesce(%(k)s, k),
           m = coalesce(%(m)s, m),
           window_s = coalesce(%(window_s)s, window_s),
           min_trust = coalesce(%(min_trust)s, min_trust),
           stake_min = coalesce(%(stake_min)s, stake_min),
           reward_units = coalesce(%(reward_units)s, reward_units),
           slash_bps = coalesce(%(slash_bps)s, slash_bps),
           unbonding_s = coalesce(%(unbonding_s)s, unbonding_s)
    """,
)


def finalise(tx: Tx, receipt: ReceiptId, *, at: datetime) -> Receipt | None:
    """End a receipt that has its verdict or whose time is over; None when it is not due or ended before.

    The same transaction slashes who failed, says what each member earned, and notes the evidence for trust.
    Raises ReceiptUnknown. Source: AINP, finalizer of proofs of usefulness.
    """
    if tx.maybe(FINALISE, receipt=receipt) is None:
        return None
    ended = receipt_of(tx, receipt)
    work = tx.one(SUBJECT, log=ended.log)
    audits = audits_of(tx, ended)
    for member in sorted(ended.committee or []):  # in the order of their names: nobody waits in a circle
        judge(tx, ended, member, finding_of(ended, audits.get(member)), work=work, at=at)
    note_work(tx, ended, work=work, at=at)
    publish(tx, ReceiptFinalized(receipt=ended.id, log=ended.log, agent=ended.agent, state=ended.state))
    return ended


def due_receipt(tx: Tx, tried: Sequence[ReceiptId]) -> ReceiptId | None:
    """The receipt whose time has been over for longest, but for those tried before; None: there is none."""
    return tx.maybe(DUE, tried=list(tried))


def audits_of(tx: Tx, receipt: Receipt) -> dict[Did, AttestationKind]:
    """What each member found."""
    found = attestations_of(tx, receipt.id)
    return {one.by: one.kind for one in found if one.kind in {AttestationKind.AUDIT_PASS, AttestationKind.AUDIT_FAIL}}


def finding_of(receipt: Receipt, audit: AttestationKind | None) -> SeatFinding:
    """How a member did. Silence counts against it only when the whole time has passed without a verdict."""
    if audit is None:
        return SeatFinding.SILENT if receipt.state is ReceiptState.EXPIRED else SeatFinding.UNJUDGED
    if receipt.verdict is None:
        return SeatFinding.UNJUDGED
    says = {AttestationKind.AUDIT_PASS: ReceiptState.FINALIZED, AttestationKind.AUDIT_FAIL: ReceiptState.REJECTED}
    return SeatFinding.AGREED if says[audit] is receipt.state else SeatFinding.DISAGREED


def judge(tx: Tx, receipt: Receipt, member: Did, finding: SeatFinding, *, work: str, at: datetime) -> None:
    """Write down how a member did, take what it loses and note what this says of its honesty.

    Silence says nothing of honesty, so it costs money alone.
    """
    stake = take_stake(tx, member)
    slashed = slash(tx, stake, slash_bps_of(receipt, finding), receipt=receipt.id, at=at)
    tx.run(
        WRITE_FINDING,
        receipt=receipt.id,
        member=member,
        finding=finding,
        stake_units=stake.amount,
        slashed_units=slashed,
        reward_units=receipt.reward_units if finding is SeatFinding.AGREED else 0,
    )
    if slashed:
        publish(tx, StakeSlashed(agent=member, receipt=receipt.id, finding=finding, units=slashed))
    honesty = {SeatFinding.AGREED: HONEST, SeatFinding.DISAGREED: DISHONEST}.get(finding)
    if honesty is not None:
        note(tx, receipt, member, honesty=honesty, competence=None, work=work, at=at)


def slash_bps_of(receipt: Receipt, finding: SeatFinding) -> int:
    """What a finding costs, in basis points of the stake."""
    match finding:
        case SeatFinding.DISAGREED:
            return receipt.slash_bps
        case SeatFinding.SILENT:
            return receipt.slash_bps // SILENCE
        case _:
            return 0


def note_work(tx: Tx, receipt: Receipt, *, work: str, at: datetime) -> None:
    """Note what a verdict says of the agent that did the work; without one nothing is said."""
    if receipt.state is ReceiptState.FINALIZED:
        scores = [
            said.score
            for said in attestations_of(tx, receipt.id)
            if said.kind is AttestationKind.AUDIT_PASS and said.score is not None
        ]
        competence = fmean(scores) if scores else None
        note(tx, receipt, receipt.agent, honesty=HONEST, competence=competence, work=work, at=at)
    elif receipt.state is ReceiptState.REJECTED:
        note(tx, receipt, receipt.agent, honesty=DISHONEST, competence=None, work=work, at=at)


def note(
    tx: Tx, receipt: Receipt, agent: Did, *, honesty: float, competence: float | None, work: str, at: datetime
) -> None:
    note_evidence(
        tx,
        Evidence(
            ref=f"receipt:{receipt.id}:{agent}",
            agent=agent,
            kind=EvidenceKind.ATTESTATION,
            honesty=honesty,
            competence=competence,
            work=work,
            occurred_at=at,
        ),
    )


def pay_attesters(tx: Tx, *, limit: int = 100) -> int:
    """Pay members whose audits were the verdict, as far as the pool reaches; returns how many were paid.

    What the pool cannot pay now stays due. Once for each receipt and member.
    """
    paid = 0
    for reward in tx.all(UNPAID, limit=limit):
        movement = rewarded(tx, reward)
        if movement is None:
            break
        tx.run(REWARDED, receipt=reward.receipt, member=reward.member, movement=movement)
        paid += 1
    return paid


def rewarded(tx: Tx, reward: Reward) -> MovementId | None:
    """The movement that paid a reward; None when the pool has too little."""
    try:
        with tx.savepoint():
            return ledger.reward(
                tx,
                reward.member,
                {TxType.POU_VALIDATION: reward.units},
                key=f"attested:{reward.receipt}:{reward.member}",
                reason=f"audit of receipt {reward.receipt}",
            )
    except PoolTooSmall:
        return None


def set_attestation_policy(
    tx: Tx,
    *,
    k: int | None = None,
    m: int | None = None,
    window_s: int | None = None,
    min_trust: float | None = None,
    stake_min: int | None = None,
    reward_units: int | None = None,
    slash_bps: int | None = None,
    unbonding_s: int | None = None,
) -> AttestationPolicy:
    """Change how work is attested from now on; what is left out stays. Raises AttestationPolicyImpossible."""
    tx.run(BEGIN_POLICY)
    tx.run(
        SET_POLICY,
        k=k,
        m=m,
        window_s=window_s,
        min_trust=min_trust,
        stake_min=stake_min,
        reward_units=reward_units,
        slash_bps=slash_bps,
        unbonding_s=unbonding_s,
    )
    return attestation_policy(tx)
