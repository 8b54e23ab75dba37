"""Rows and values of negotiation."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from hansa.infra.db import JsonObject
from hansa.kernel.dids import Did
from hansa.kernel.ids import DecisionId, GroupId, HoldId, IntentId, MovementId, NegotiationId, WorkLogId
from hansa.kernel.money import BasisPoints, Credits

PRICE_MAX = 10**15
YEAR_S = 365 * 24 * 3600


class NegotiationState(StrEnum):
    """AINP's six states; settlement is a row of its own."""

    INITIATED = "initiated"
    PROPOSED = "proposed"
    COUNTER_PROPOSED = "counter_proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"


OPEN_STATES = (NegotiationState.INITIATED, NegotiationState.PROPOSED, NegotiationState.COUNTER_PROPOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who gets which part of the price, in basis points that sum to 10 000."""

    agent: int = 7000
    """The agent that works."""
    broker: int = 1000
    validator: int = 1000
    pool: int = 1000
    """The pool also takes remainders and shares that nobody claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one side proposes: a price, and whatever else it wants to state."""

    price: Annotated[Credits, Field(strict=True)]
    """Units of 1/1000 credit; a whole number from 1 to 10^15."""
    delivery_s: Annotated[int, Field(strict=True)] | None = None
    """Seconds from acceptance to delivery, 1 to one year; None: no delivery time is promised."""
    quality: Decimal | None = None
    """Promised quality, 0 to 1, two decimals; None: none is promised."""
    split: Split | None = None
    """Shares of the price; None: not stated, and a deal that states none is paid 7000, 1000, 1000, 1000."""
    custom: JsonObject = field(default_factory=dict[str, object])
    """Anything else the parties agree on, at most 10 000 characters of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What an agent wants done."""

    id: IntentId
    requester_did: Did
    description: str
    budget: Credits
    """Most the requester would pay, units of 1/1000 credit."""
    terms: JsonObject
    status: str
    """open, agreed, fulfilled or abandoned."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiation:
    """One haggle between the agent that pays (initiator) and the one that works (responder)."""

    id: NegotiationId
    intent_id: IntentId
    initiator_did: Did
    responder_did: Did
    state: NegotiationState
    round: int
    """Number of the last round; the opening offer is round 1."""
    max_rounds: int
    turn_did: Did
    """Who may propose or accept next."""
    convergence_score: Decimal
    """Similarity of the last two proposals, 0 to 1, two decimals."""
    current_proposal: JsonObject
    final_proposal: JsonObject | None
    """The accepted proposal; None: nothing is accepted yet."""
    incentive_split: JsonObject
    """Shares that settling pays, in basis points: those of the accepted proposal, or the default; before, the offer's."""
    created_at: datetime
    expires_at: datetime
    updated_at: datetime
    accepted_at: datetime | None
    hold_id: HoldId | None
    """The hold of the price; None: nothing is accepted yet."""
    decision_id: DecisionId
    """Decision of the hire gate under which this was opened."""
    bound_kind: str | None
    """What fulfils the deal, e.g. task; None: it is settled directly."""
    bound_id: str | None
    round_s: int | None
    """Seconds that each party has to answer a proposal; None: only `expires_at` counts."""
    round_due_at: datetime | None
    """Until when the proposal on the table can be answered; None: until `expires_at`."""
    standing_did: Did | None
    """Who accepts the proposal on the table unasked, as it said before; None: nobody."""
    not_accepted: str | None
    """Code of the refusal that kept that party from accepting it; None: nothing did."""
    ended_by: Did | None
    """Who rejected; None: not rejected. Of an accepted deal, `turn_did` is who accepted."""
    reject_reason: str | None
    """What the rejecting party said; None: nothing, or not rejected."""

    @property
    def price(self) -> Credits:
        """The price on the table, units of 1/1000 credit."""
        return Credits(int(self.current_proposal["price"]))

    @property
    def delivery(self) -> timedelta | None:
        """The delivery time on the table; None: none is promised."""
        seconds = self.current_proposal.get("delivery_s")
        return None if seconds is None else timedelta(seconds=int(seconds))

    @property
    def due_at(self) -> datetime | None:
        """When the work is promised; None: nothing is accepted yet, or no delivery time is promised."""
        return None if self.accepted_at is None or self.delivery is None else self.accepted_at + self.delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One proposal of a negotiation."""

    n: int
    by_did: Did
    price: Credits
    delivery_s: int | None
    quality: Decimal | None
    agent_bps: BasisPoints | None
    """The four shares are stated together, or not at all."""
    broker_bps: BasisPoints | None
    validator_bps: BasisPoints | None
    pool_bps: BasisPoints | None
    custom: JsonObject
    convergence_delta: Decimal
    """Similarity to the round before, 0 to 1, full precision."""
    proposed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """The shares of a settled deal."""

    negotiation_id: NegotiationId
    movement_id: MovementId
    amount: Credits
    agent_units: Credits
    broker_units: Credits
    validator_units: Credits
    pool_units: Credits
    """The pool's share, remainders, and shares that nobody claims."""
    broker_did: Did | None
    validator_did: Did | None
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A settled deal: who was paid what, and the work record that it left."""

    paid: Paid
    work_log: WorkLogId
    event: int
    """Event id; read with `?after=<event>` to see reputation and rank moved."""


class VotingRule(StrEnum):
    """Whose approval makes an agreement of a group; that of its payer is always among it."""

    UNANIMOUS = "unanimous"
    """All members."""
    MAJORITY = "majority"
    """More than half of all members."""
    TRUST_WEIGHTED = "trust_weighted"
    """Members with more than half of the weight of all."""


class GroupState(StrEnum):
    """Where a group stands; every state but open is its end."""

    OPEN = "open"
    AGREED = "agreed"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTerms:
    """What a member proposes to its group."""

    parts: dict[str, Annotated[Credits, Field(strict=True)]]
    """DID of each worker that is included -> its price, units of 1/1000 credit; the sum is at most 10^15."""
    delivery_s: Annotated[int | None, Field(strict=True)] = None
    """Seconds from the agreement to delivery, 1 to one year, the same for everybody; None: not stated."""
    quality: Decimal | None = None
    """Promised quality, 0 to 1, two decimals; None: not stated."""
    custom: JsonObject = field(default_factory=dict[str, object])
    """Anything else, at most 10 000 characters of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A haggle of three and more: one member pays, the others work, and a vote decides."""

    id: GroupId
    intent_id: IntentId
    payer_did: Did
    rule: VotingRule
    state: GroupState
    round: int
    """Number of the last proposal; 0: nobody has proposed yet."""
    on_table: int | None
    """Round of the proposal that can be voted on; None: nobody proposed yet, or a worker left since."""
    max_rounds: int
    round_s: int | None
    """Seconds in which a proposal must come, and be agreed on or replaced; None: only the whole time counts."""
    convergence_score: Decimal
    """Similarity of the last two proposals, 0 to 1, two decimals."""
    created_at: datetime
    expires_at: datetime
    deadline_at: datetime
    """When the group expires unless somebody acts: the end of the round or of the whole time."""
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Who takes part in a group."""

    did: Did
    weight: Decimal
    """Trust in the member when the group opened, 0.05 to 1; counts under the rule trust_weighted."""
    left_at: datetime | None
    """None: it takes part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProposal:
    """One proposal made to a group."""

    n: int
    by_did: Did
    price: Credits
    """Sum of the parts, units of 1/1000 credit."""
    parts: dict[str, int]
    """DID of each worker that is included -> its price."""
    delivery_s: int | None
    quality: Decimal | None
    custom: JsonObject
    convergence_delta: Decimal
    """Similarity to the proposal before, 0 to 1, full precision."""
    proposed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupVote:
    """What a member said of a proposal."""

    n: int
    member_did: Did
    approves: bool
    voted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The votes on the table, counted under the group's rule."""

    members: int
    approving: int
    opposing: int
    weight: Decimal
    """Of all members."""
    approving_weight: Decimal
    payer_approves: bool
    bound: list[Did]
    """Workers who approve and have a part: whom an agreement binds."""
    agreed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDeal:
    """The deal by which an agreed group binds one worker; from here on it is a negotiation like any other."""

    worker_did: Did
    negotiation_id: NegotiationId
    price: Credits
