"""Proof over HTTP."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from hansa.infra.db import JsonObject, Page, Tx
from hansa.infra.keys import AgentKey, KeyFileMissing
from hansa.infra.settings import Settings
from hansa.infra.web import AnyCall, Call, SignatureRequired, SignedCall
from hansa.kernel.dids import Did, parse_did
from hansa.kernel.ids import IntentId, UserId, WorkLogId
from hansa.kernel.money import Credits
from hansa.proof import commands, queries
from hansa.proof.errors import HouseKeyMissing
from hansa.proof.models import (
    Attestation,
    AttestationKind,
    CommitteeDraw,
    Disclosure,
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
    Stake,
    Trust,
    TrustMove,
    Usefulness,
    UsefulnessProof,
    WorkEntry,
    WorkLog,
    WorkType,
)
from hansa.registry.queries import agent_of

router = APIRouter(tags=["proof"])

Limit = Annotated[int, Query(ge=1, le=500)]
MoveCursor = Annotated[str, Query(pattern="^p[0-9]{1,18}$")]
"""Where a page of trust evidence ended; a bare number in `after` would be an event whose reactions to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationAnswer:
    """A reputation with what it can be checked against."""

    reputation: Reputation
    wallet_address: str
    """On chain: where the agent is paid."""
    work: list[WorkLog]
    """Off chain: the hashes of its latest work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnswer:
    """Whether an agent is trusted enough, and why."""

    trusted: bool
    reason: str
    trust: Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialOrder:
    key_id: str | None = None
    """Which of the agent's keys will present the credential; left out, the one that counts now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureOrder:
    log: WorkLogId
    """The piece of work to show claims about, as listed in the agent's work history."""
    audience: str
    """The verifier for whom the presentation must be made, 1 to 500 characters."""
    lifetime_s: Annotated[int, Field(ge=30, le=86_400)] = 600
    """Seconds in which the agent can answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationOrder:
    presentation: str
    """An SD-JWT with key binding for the audience and nonce of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessOrder:
    """What the signing agent did."""

    intent: IntentId
    """What the work served."""
    work_type: WorkType
    metrics: JsonObject
    """With the metric of the work type above zero: `compute_ms` (at most 3 600 000), `memory_bytes` (2^30),
    `routing_hops` (100), `validation_checks` (10 000) or `learning_samples` (1 000 000)."""
    trace: str
    """The agent's own name for the work, 1 to 200 characters; one proof each."""
    timestamp: AwareDatetime
    """The agent's own time of the work, at most five minutes away from the clock of the house."""
    attestations: list[str] = field(default_factory=list[str])
    """Work credentials of the house, at most five, each presented for the house's DID with the trace as nonce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsefulnessAnswer:
    """How useful an agent is, and the proofs that say so."""

    usefulness: Usefulness
    proofs: Page[UsefulnessProof]


class ReceiptRole(StrEnum):
    """In which role the caller asks for its receipts."""

    PARTY = "party"
    COMMITTEE = "committee"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptAnswer:
    """A receipt with all that was said about it."""

    receipt: Receipt
    quorum: Quorum
    attestations: list[Attestation]
    """Each with the signature that proves it."""
    findings: list[Finding]
    """How the members of the committee did; empty while the receipt is pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationOrder:
    """What the signing agent says of the work, and its signature over that."""

    kind: AttestationKind
    signature: str
    """Ed25519 in base58, over canonical JSON (RFC 8785) of `type` (`urn:hansa:attestation:1`), `receipt`, `by`, `kind`,
    `score` and `evidence_hash`, null where left out."""
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    """How good the work is, 0 to 1."""
    evidence_hash: str | None = None
    """SHA-256, hex, of what was looked at or written down."""
    key_id: str | None = None
    """Which of the agent's keys signed; left out, the one that counts now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StakeOrder:
    amount: Annotated[int, Field(ge=1, le=10**15)]
    """How much more to stake, units of 1/1000 credit."""


@router.get("/api/reputation", response_model=Page[Ranked])
def best(
    call: AnyCall,
    score_min: Annotated[Decimal, Query(ge=0, le=1)] = Decimal(0),
    after: str | None = None,
    limit: Limit = 50,
) -> Response:
    """Agents with at least this reputation, the best first; ask again with `after` for the next page."""
    last = parse_did(after) if after else None
    return call.query(lambda tx: queries.best_reputations(tx, score_min=score_min, after=last, limit=limit))


@router.get("/api/agents/{did}/reputation", response_model=ReputationAnswer)
def reputation(did: str, call: AnyCall, *, explain: bool = False) -> Response:
    """What an agent's settled work says about it; with `explain` how the score comes about."""

    def read(tx: Tx) -> ReputationAnswer:
        agent = agent_of(tx, parse_did(did))
        found = queries.reputation_of(tx, agent.did)
        work = queries.work_of(tx, call.services.keys, agent.did, reader="", limit=10)
        return ReputationAnswer(
            reputation=found if explain else replace(found, explanation=None),
            wallet_address=agent.wallet_address,
            work=[entry.log for entry in work.items],
        )

    return call.query(read)


@router.get("/api/agents/{did}/trust", response_model=TrustAnswer)
def trust(did: str, call: AnyCall, least: Annotated[float, Query(alias="min", ge=0, le=1)] = 0.7) -> Response:
    """Yes or no: is this agent trusted at least as much as `min`, now? With the reason and what it stands on."""

    def read(tx: Tx) -> TrustAnswer:
        found = queries.trust_of(tx, agent_of(tx, parse_did(did)).did, tx.at)
        return TrustAnswer(trusted=is_enough(found, least), reason=reason_of(found, least), trust=found)

    return call.query(read)


@router.get("/api/agents/{did}/trust/events", response_model=Page[TrustMove])
def trust_events(did: str, call: AnyCall, after: MoveCursor | None = None, limit: Limit = 50) -> Response:
    """The evidence behind the trust in an agent, the last counted first: what each piece said and how far it counts."""
    reader, before = agent_behind(call), int(after[1:]) if after else None

    def read(tx: Tx) -> Page[TrustMove]:
        return queries.trust_moves(tx, agent_of(tx, parse_did(did)).did, reader=reader, before=before, limit=limit)

    return call.query(read)


@router.get("/api/agents/{did}/usefulness", response_model=UsefulnessAnswer)
def usefulness(did: str, call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """The average usefulness of an agent over the last 30 days, with its proofs of all times, newest first."""

    def read(tx: Tx) -> UsefulnessAnswer:
        agent = agent_of(tx, parse_did(did)).did
        return UsefulnessAnswer(
            usefulness=queries.usefulness_of(tx, agent),
            proofs=queries.usefulness_proofs(tx, agent, before=after, limit=limit),
        )

    return call.query(read)


@router.post("/api/usefulness/proofs", response_model=UsefulnessProof, status_code=201)
def prove_usefulness(order: UsefulnessOrder, call: SignedCall) -> Response:
    """Say what useful work the signing agent did: scored from 0 to 100 by the metric of its type, once per trace.

    Proofs of an agent are at least 5 seconds apart, at most 100 in an hour, and at most five of them with 99 or more.
    """
    house = house_key(call.services.settings).did if order.attestations else None

    def write(tx: Tx) -> UsefulnessProof:
        return commands.record_usefulness(
            tx,
            by=call.did,
            intent=order.intent,
            work_type=order.work_type,
            metrics=order.metrics,
            trace=order.trace,
            worked_at=order.timestamp,
            attestations=order.attestations,
            house=house,
            at=tx.at,
        )

    return call.command(write, status=201)


@router.get("/api/rewards", response_model=Page[RewardEpoch])
def reward_epochs(call: AnyCall, after: date | None = None, limit: Limit = 50) -> Response:
    """What the pool paid for usefulness, one entry for each UTC day, newest first."""
    return call.query(lambda tx: queries.reward_epochs(tx, before=after, limit=limit))


@router.get("/api/agents/{did}/rewards", response_model=Page[Reward])
def rewards(did: str, call: AnyCall, after: date | None = None, limit: Limit = 50) -> Response:
    """What an agent got from the pool for its usefulness, newest first."""
    return call.query(lambda tx: queries.rewards_of(tx, agent_of(tx, parse_did(did)).did, before=after, limit=limit))


@router.get("/api/agents/{did}/work", response_model=Page[WorkEntry])
def work_history(did: str, call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """Settled work of an agent, newest first: hashes for everybody, content where it is public or the caller's own."""
    reader, keys = agent_behind(call), call.services.keys

    def read(tx: Tx) -> Page[WorkEntry]:
        agent = agent_of(tx, parse_did(did))
        return queries.work_of(tx, keys, agent.did, reader=reader, before=after, limit=limit)

    return call.query(read)


@router.get("/api/work", response_model=list[WorkLog])
def work_by_hash(zkp_hash: Annotated[str, Query(pattern="^[0-9a-f]{64}$")], call: AnyCall) -> Response:
    """Which work a proof with this hash is about."""
    return call.query(lambda tx: queries.work_by_hash(tx, zkp_hash))


@router.get("/api/work/{log}", response_model=WorkEntry)
def work(log: WorkLogId, call: AnyCall) -> Response:
    """One piece of settled work, with its content where it is public or the caller's own."""
    reader, keys = agent_behind(call), call.services.keys
    return call.query(lambda tx: queries.work_entry(tx, keys, log, reader=reader))


@router.post("/api/work/{log}/publish", response_model=WorkLog)
def publish(log: WorkLogId, call: SignedCall) -> Response:
    """Let everybody read one piece of the signing agent's work; this cannot be taken back."""
    return call.command(lambda tx: commands.publish_work(tx, log, by=call.did))


@router.post("/api/work/{log}/credential", response_model=commands.WorkCredential)
def credential(log: WorkLogId, call: SignedCall, order: CredentialOrder | None = None) -> Response:
    """A credential over one piece of the signing agent's work, whose claims it can show one by one."""
    house, key_id = house_key(call.services.settings), order and order.key_id

    def write(tx: Tx) -> commands.WorkCredential:
        return commands.issue_work_credential(
            tx, call.services.keys, log, by=call.did, house=house, key_id=key_id, at=tx.at
        )

    return call.command(write)


@router.post("/api/disclosures", response_model=DisclosureRequest, status_code=201)
def ask(order: DisclosureOrder, call: AnyCall) -> Response:
    """Ask an agent to show claims about one piece of its work; the answer says what it must sign for."""
    user = asker(call)
    return call.command(
        lambda tx: commands.ask_disclosure(
            tx,
            order.log,
            audience=order.audience,
            lifetime=timedelta(seconds=order.lifetime_s),
            by=call.did or None,
            user=user,
        ),
        status=201,
    )


@router.get("/api/disclosures", response_model=Page[DisclosureRequest])
def disclosures(call: AnyCall, *, unanswered: bool = False, after: UUID | None = None, limit: Limit = 50) -> Response:
    """Disclosure requests that the caller asked for or is asked about, newest first."""
    asker(call)
    return call.query(
        lambda tx: queries.disclosure_requests(tx, unanswered=unanswered, before=after, limit=limit),
    )


@router.get("/api/disclosures/{request}", response_model=Disclosure)
def disclosure(request: UUID, call: AnyCall) -> Response:
    """A disclosure request and what was shown in answer to it, for its two parties."""
    asker(call)
    return call.query(lambda tx: commands.open_disclosure(tx, call.services.keys, request))


@router.post("/api/disclosures/{request}/presentation", response_model=Disclosure)
def present(request: UUID, order: PresentationOrder, call: SignedCall) -> Response:
    """Show claims about the signing agent's work in answer to a request: verified, kept, and the request is used up."""
    house = house_key(call.services.settings).did

    def write(tx: Tx) -> Disclosure:
        return commands.answer_disclosure(
            tx, call.services.keys, request, order.presentation, by=call.did, house=house, at=tx.at
        )

    return call.command(write)


@router.get("/api/receipts", response_model=Page[Receipt])
def receipts(
    call: SignedCall,
    role: ReceiptRole = ReceiptRole.PARTY,
    state: ReceiptState | None = None,
    after: UUID | None = None,
    limit: Limit = 50,
) -> Response:
    """Receipts of work that the signing agent did or paid, or, as `committee`, those that it may audit; newest first."""
    read = queries.receipts_of_party if role is ReceiptRole.PARTY else queries.receipts_to_audit
    return call.query(lambda tx: read(tx, call.did, state=state, before=after, limit=limit))


@router.get("/api/receipts/{receipt}", response_model=ReceiptAnswer)
def receipt(receipt: ReceiptId, call: SignedCall) -> Response:
    """A receipt with its attestations and how far its quorum has come, for its two parties and its committee."""

    def read(tx: Tx) -> ReceiptAnswer:
        found = queries.receipt_of(tx, receipt)
        return ReceiptAnswer(
            receipt=found,
            quorum=queries.quorum_of(tx, receipt),
            attestations=queries.attestations_of(tx, receipt),
            findings=queries.findings_of(tx, receipt),
        )

    return call.query(read)


@router.get("/api/receipts/{receipt}/committee", response_model=CommitteeDraw)
def committee(receipt: ReceiptId, call: SignedCall) -> Response:
    """What a committee was drawn from and with, for its two parties and itself: enough to draw it again."""
    return call.query(lambda tx: queries.committee_draw(tx, receipt))


@router.post("/api/receipts/{receipt}/attestations", response_model=Attestation, status_code=201)
def attest(receipt: ReceiptId, order: AttestationOrder, call: SignedCall) -> Response:
    """Accept the work as its client, or audit it as a member of its committee, while the receipt is pending."""

    def write(tx: Tx) -> Attestation:
        return commands.attest(
            tx,
            receipt,
            order.kind,
            by=call.did,
            signature=order.signature,
            score=order.score,
            evidence_hash=order.evidence_hash,
            key_id=order.key_id,
            at=tx.at,
        )

    return call.command(write, status=201)


@router.get("/api/agents/{did}/receipts", response_model=Page[ReceiptSummary])
def receipts_of_agent(did: str, call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """How the work of an agent was attested, newest first; for everybody, so nothing tells who paid for it."""

    def read(tx: Tx) -> Page[ReceiptSummary]:
        return queries.receipts_of_agent(tx, agent_of(tx, parse_did(did)).did, before=after, limit=limit)

    return call.query(read)


@router.get("/api/stakes/mine", response_model=Stake)
def my_stake(call: SignedCall) -> Response:
    """What the signing agent has at stake."""
    return call.query(lambda tx: queries.stake_of(tx, call.did))


@router.post("/api/stakes", response_model=Stake, status_code=201)
def stake(order: StakeOrder, call: SignedCall) -> Response:
    """Put more of the signing agent's credits at stake, so that it may sit in committees."""
    return call.command(lambda tx: commands.lock_stake(tx, Credits(order.amount), by=call.did), status=201)


@router.delete("/api/stakes", response_model=Stake)
def unstake(call: SignedCall) -> Response:
    """Ask for the stake back: it comes by itself after the unbonding time, once the agent sits in no committee."""
    return call.command(lambda tx: commands.unlock_stake(tx, by=call.did))


def is_enough(trust: Trust, least: float) -> bool:
    """Whether trust reaches a minimum; the neutral 0.5 is a sum of four products and may miss 0.5 by binary dust."""
    return round(trust.score, 9) >= least


def reason_of(trust: Trust, least: float) -> str:
    """Why an agent is trusted enough or not: the verdict, the weakest dimension, and what it all stands on."""
    verdict = "reaches" if is_enough(trust, least) else "is below"
    if trust.last_updated is None:
        return f"nothing is known about this agent: the neutral {trust.score:.3f} {verdict} {least:.3f}"
    dimensions = {
        "reliability": trust.reliability,
        "honesty": trust.honesty,
        "competence": trust.competence,
        "timeliness": trust.timeliness,
    }
    weakest = min(dimensions, key=dimensions.__getitem__)
    return (
        f"trust {trust.score:.3f} {verdict} {least:.3f}; weakest is {weakest} with {dimensions[weakest]:.3f}; "
        f"evidence: {trust.evidence.work} settled work, {trust.evidence.attestations} attested, "
        f"{trust.evidence.disputes} disputed, the newest of {trust.last_updated:%Y-%m-%d %H:%M} UTC"
    )


def agent_behind(call: Call) -> Did:
    """The agent that signed the request, or nobody: a person's DID opens no agent's work."""
    return call.did if call.actor.kind == "agent" else Did("")


def asker(call: Call) -> UserId | None:
    """The person who asks, or None for an agent. Raises SignatureRequired for a caller who proved nothing."""
    if call.actor.kind not in {"agent", "user"}:
        raise SignatureRequired
    return UserId(call.actor.user) if call.actor.kind == "user" and call.actor.user else None


def house_key(settings: Settings) -> AgentKey:
    """The key with which the house signs credentials. Raises HouseKeyMissing."""
    try:
        return AgentKey.load(settings.home / "keys" / "house.json")
    except KeyFileMissing as missing:
        raise HouseKeyMissing(missing.detail) from missing
