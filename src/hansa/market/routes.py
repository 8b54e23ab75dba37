"""The market over HTTP."""

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from hansa.infra.db import JsonObject, Page
from hansa.infra.web import AnyCall, Limit, SignedCall
from hansa.kernel.dids import Did, parse_did
from hansa.kernel.ids import NegotiationId, ReviewId, TaskId
from hansa.market import commands, queries
from hansa.market.models import (
    AcceptedTask,
    AgentStats,
    Board,
    DeliveredFile,
    PaymentType,
    Period,
    Review,
    ReviewDraft,
    ReviewEdit,
    Standing,
    Task,
    TaskDetails,
    TaskPriority,
    TaskStatus,
    TaskWithWork,
)
from hansa.registry.queries import agent_by_ref

router = APIRouter(tags=["market"])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """The work that shall fulfil an accepted deal; price, seller and due date come from the deal."""

    negotiation: NegotiationId
    title: str
    """1 to 200 characters."""
    description: str
    """1 to 20 000 characters."""
    domain: int | None = None
    """Domain of work in whose leaderboards the task counts; None: it counts overall only."""
    task_type: str | None = None
    priority: TaskPriority = TaskPriority.MEDIUM
    payment_type: PaymentType = PaymentType.TASK_BASED
    estimated_hours: Decimal | None = None
    metadata: JsonObject = field(default_factory=dict[str, object])

    @property
    def details(self) -> TaskDetails:
        return TaskDetails(
            task_type=self.task_type,
            priority=self.priority,
            payment_type=self.payment_type,
            estimated_hours=self.estimated_hours,
            metadata=self.metadata,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is handed over: files, notes, or both."""

    files: list[DeliveredFile] = field(default_factory=list[DeliveredFile])
    """At most 50."""
    notes: str | None = None
    """A text, up to 20 000 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAccepted:
    """Who else earned a share."""

    validator: Did | None = None
    """DID of the validator; None: the validator's share goes to the pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewAnswer:
    text: str
    """1 to 5000 characters."""


@router.post("/api/tasks", response_model=Task, status_code=201)
def create_task(body: NewTask, call: SignedCall) -> Response:
    """Make a task of a deal that the signing agent pays; the deal is then settled through the task only."""
    return call.command(
        lambda tx: commands.create_task(
            tx,
            negotiation=body.negotiation,
            by=call.did,
            title=body.title,
            description=body.description,
            domain=body.domain,
            details=body.details,
            at=tx.at,
        ),
        status=201,
    )


@router.get("/api/tasks", response_model=Page[Task])
def my_tasks(
    call: SignedCall, status: TaskStatus | None = None, after: UUID | None = None, limit: Limit = 50
) -> Response:
    """Tasks that the signing agent bought or works on, newest first."""
    return call.query(lambda tx: queries.tasks_of(tx, call.did, status=status, before=after, limit=limit))


@router.get("/api/tasks/{task}", response_model=TaskWithWork)
def one_task(task: TaskId, call: SignedCall) -> Response:
    """A task with what was delivered for it, for its parties."""
    return call.query(lambda tx: queries.task_with_work(tx, task, seen_by=call.did))


@router.post("/api/tasks/{task}/start", response_model=Task)
def start(task: TaskId, call: SignedCall) -> Response:
    """Begin to work on a task, as the agent that was hired."""
    return call.command(lambda tx: commands.start(tx, task, by=call.did))


@router.post("/api/tasks/{task}/deliver", response_model=Task)
def deliver(task: TaskId, body: Delivery, call: SignedCall) -> Response:
    """Hand the work over; once."""
    return call.command(
        lambda tx: commands.deliver(tx, task, by=call.did, files=body.files, notes=body.notes, at=tx.at)
    )


@router.post("/api/tasks/{task}/accept", response_model=AcceptedTask)
def accept(task: TaskId, call: SignedCall, body: DeliveryAccepted | None = None) -> Response:
    """Take the work and pay for it, as the agent that bought it; `settlement.event` can be waited for with `?after=`."""
    validator = parse_did(body.validator) if body and body.validator is not None else None
    broker = Did(call.services.settings.broker_did) if call.services.settings.broker_did else None
    return call.command(
        lambda tx: commands.accept_delivery(
            tx, call.services.keys, task, by=call.did, broker=broker, validator=validator, at=tx.at
        )
    )


@router.post("/api/tasks/{task}/cancel", response_model=Task)
def cancel(task: TaskId, call: SignedCall) -> Response:
    """Call a task off: the buyer until it was started, the seller until it was delivered. The money goes back."""
    return call.command(lambda tx: commands.cancel(tx, task, by=call.did))


@router.post("/api/tasks/{task}/review", response_model=Review, status_code=201)
def review(task: TaskId, body: ReviewDraft, call: SignedCall) -> Response:
    """Say how the work was, after the task was paid; once."""
    return call.command(lambda tx: commands.review(tx, task, by=call.did, draft=body, at=tx.at), status=201)


@router.patch("/api/reviews/{review}", response_model=Review)
def edit_review(review: ReviewId, body: ReviewEdit, call: SignedCall) -> Response:
    """Change a review; what is left out stays as it is."""
    return call.command(lambda tx: commands.edit_review(tx, review, by=call.did, edit=body, at=tx.at))


@router.delete("/api/reviews/{review}", response_model=Review)
def withdraw_review(review: ReviewId, call: SignedCall) -> Response:
    """Take a review back: it is neither shown nor counted any more."""
    return call.command(lambda tx: commands.withdraw_review(tx, review, by=call.did, at=tx.at))


@router.post("/api/reviews/{review}/response", response_model=Review, status_code=201)
def respond(review: ReviewId, body: ReviewAnswer, call: SignedCall) -> Response:
    """Answer a review as the agent it is about; once."""
    return call.command(lambda tx: commands.respond(tx, review, by=call.did, text=body.text), status=201)


@router.get("/api/agents/{ref}/reviews", response_model=Page[Review])
def reviews(ref: str, call: AnyCall, after: UUID | None = None, limit: Limit = 50) -> Response:
    """Reviews of an agent, by its DID or its name in URLs, newest first."""
    return call.query(lambda tx: queries.reviews_of(tx, agent_by_ref(tx, ref), before=after, limit=limit))


@router.get("/api/agents/{ref}/stats", response_model=AgentStats)
def stats(ref: str, call: AnyCall) -> Response:
    """Lifetime numbers of an agent, by its DID or its name in URLs."""
    return call.query(lambda tx: queries.stats_of(tx, agent_by_ref(tx, ref)))


@router.get("/api/leaderboard", response_model=Board)
def leaderboard(
    call: AnyCall, domain: int | None = None, period: Period = Period.ALL_TIME, limit: Limit = 100
) -> Response:
    """The board of a domain and period, best first; without a domain the one over all domains."""
    return call.query(lambda tx: queries.leaderboard(tx, domain=domain, period=period, limit=limit))


@router.get("/api/leaderboard/agents/{ref}", response_model=list[Standing])
def standings(ref: str, call: AnyCall) -> Response:
    """Where an agent stands on each board that ranks it."""
    return call.query(lambda tx: queries.standings_of(tx, agent_by_ref(tx, ref)))
