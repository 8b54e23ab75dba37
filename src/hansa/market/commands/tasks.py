"""What can be done with a task, from its making to its payment."""

from collections.abc import Sequence
from datetime import datetime

from hansa.credits.commands import release
from hansa.credits.events import HoldLapsed
from hansa.credits.queries import hold_of
from hansa.identity import commands as identity
from hansa.infra.db import JsonObject, Query, Tx
from hansa.infra.outbox import publish
from hansa.infra.seal import KeyRing
from hansa.kernel.dids import Did
from hansa.kernel.ids import NegotiationId, TaskId
from hansa.market.errors import NothingDelivered, OnlyTheBuyer
from hansa.market.events import TaskCreated, TaskDelivered, TaskEnded, TaskSettled, TaskStarted
from hansa.market.models import AcceptedTask, DeliveredFile, Task, TaskDetails, text_hash
from hansa.market.queries import TASK_COLUMNS
from hansa.negotiation import commands as negotiations
from hansa.negotiation.commands import Fulfilment
from hansa.negotiation.errors import DealNotAccepted
from hansa.negotiation.queries import negotiation_of
from hansa.registry.queries import agent_of

FILES_MAX = 50

CREATE = Query(
    Task,
    f"""
    INSERT INTO market.tasks (
        user_id, agent_id, negotiation_id, buyer_did, seller_did, domain_id, title, description, task_type, priority,
        budget, payment_type, estimated_hours, due_date, expires_at, metadata)
    VALUES (%(user)s, %(agent)s, %(negotiation)s, %(buyer)s, %(seller)s, %(domain)s, %(title)s, %(description)s,
            %(task_type)s, %(priority)s::market.task_priority, %(budget)s, %(payment_type)s::market.payment_type,
            %(estimated_hours)s, %(due_date)s, %(expires_at)s, %(metadata)s)
    RETURNING {TASK_COLUMNS}
    """,
)

START = Query(Task, f"SELECT {TASK_COLUMNS} FROM market.start_task(%(task)s, %(by)s)")

DELIVER = Query(Task, f"SELECT {TASK_COLUMNS} FROM market.deliver_task(%(task)s, %(by)s)")

HAND_OVER = Query(
    int,
    """
    INSERT INTO market.task_deliverables (task_id, file_url, file_name, file_type, description, content_hash)
    VALUES (%(task)s, %(file_url)s, %(file_name)s, %(file_type)s, %(description)s, %(content_hash)s)
    """,
)

ACCEPT = Query(Task, f"SELECT {TASK_COLUMNS} FROM market.accept_delivery(%(task)s, %(by)s)")

CANCEL = Query(Task, f"SELECT {TASK_COLUMNS} FROM market.cancel_task(%(task)s, %(by)s)")

END_TASK_OF_DEAL = Query(Task, f"SELECT {TASK_COLUMNS} FROM market.end_task_of_deal(%(negotiation)s)")

NO_DETAILS = TaskDetails()


def create_task(
    tx: Tx,
    *,
    negotiation: NegotiationId,
    by: Did,
    title: str,
    description: str,
    domain: int | None = None,
    details: TaskDetails = NO_DETAILS,
    at: datetime,
) -> Task:
    """Make a task of an accepted deal; from now on the deal is settled by accepting the task's delivery only.

    Price, seller and due date are those of the deal; a deal that promises no delivery time makes a task without one.
    Raises NegotiationUnknown, NotAParticipant, OnlyTheBuyer, DealNotAccepted, DealHasATask, DealBound,
    TaskDomainUnknown, TaskUnfit. Source: AMOCA tasks.
    """
    deal = negotiation_of(tx, negotiation, seen_by=by)
    if by != deal.initiator_did:
        raise OnlyTheBuyer
    if deal.accepted_at is None or deal.hold_id is None:
        raise DealNotAccepted
    task = tx.one(
        CREATE,
        user=identity.ensure_user(tx, by, at=at).id,
        agent=agent_of(tx, deal.responder_did).id,
        negotiation=negotiation,
        buyer=deal.initiator_did,
        seller=deal.responder_did,
        domain=domain,
        title=title,
        description=description,
        task_type=details.task_type,
        priority=details.priority,
        budget=deal.price,
        payment_type=details.payment_type,
        estimated_hours=details.estimated_hours,
        due_date=deal.due_at,
        expires_at=hold_of(tx, deal.hold_id).expires_at,
        metadata=details.metadata,
    )
    # The unique key has made a second task of this deal wait and fail; binding also shuts out a direct settlement.
    negotiations.bind(tx, negotiation, kind="task", ident=str(task.id))
    publish(tx, TaskCreated(**facts(task), title=title))
    return task


def start(tx: Tx, task: TaskId, *, by: Did) -> Task:
    """Begin to work; from now on the buyer cannot call the task off.

    Raises TaskUnknown, OnlyTheSeller, TaskEnded, TaskAlreadyStarted, TaskOverdue.
    """
    started = tx.one(START, task=task, by=by)
    publish(tx, TaskStarted(**facts(started)))
    return started


def deliver(
    tx: Tx, task: TaskId, *, by: Did, files: Sequence[DeliveredFile] = (), notes: str | None = None, at: datetime
) -> Task:
    """Hand the work over: files by URL and hash, a text, or both; once. It then waits for its buyer.

    Raises TaskUnknown, OnlyTheSeller, TaskEnded, TaskNotStarted, TaskAlreadyDelivered, TaskOverdue, NothingDelivered,
    DeliverableUnfit.
    """
    if not (files or notes) or len(files) > FILES_MAX:
        raise NothingDelivered
    delivered = tx.one(DELIVER, task=task, by=by)
    tx.many(HAND_OVER, [{"task": task, **row} for row in deliverables(files, notes)])
    publish(tx, TaskDelivered(**facts(delivered), delivered_at=delivered.delivered_at or at))
    return delivered


def accept_delivery(
    tx: Tx,
    keys: KeyRing,
    task: TaskId,
    *,
    by: Did,
    broker: Did | None = None,
    validator: Did | None = None,
    at: datetime,
) -> AcceptedTask:
    """Take the work: the task is completed, its deal settled and its outcome on record, all in `tx`; once.

    Raises TaskUnknown, OnlyTheBuyer, TaskEnded, NothingToAccept, and what `negotiation.commands.settle` raises.
    """
    completed = tx.one(ACCEPT, task=task, by=by)
    settlement = negotiations.settle(
        tx,
        keys,
        completed.negotiation_id,
        by=by,
        fulfilment=Fulfilment(kind="task", id=str(task), delivered_at=completed.delivered_at or at),
        broker=broker,
        validator=validator,
    )
    publish(
        tx,
        TaskSettled(**facts(completed), work_log=settlement.work_log, settled_at=settlement.paid.settled_at),
    )
    return AcceptedTask(task=completed, settlement=settlement)


def cancel(tx: Tx, task: TaskId, *, by: Did) -> Task:
    """Call a task off before its delivery; the held money goes back to the buyer and the deal ends.

    The buyer may until the seller has started: after that the buyer cannot take the money back alone. The seller may
    until the delivery; giving up work that was begun makes the task failed, which its success rate shows. After the
    delivery nobody cancels: the buyer accepts, or the money goes back when its time is over.
    Raises TaskUnknown, NotAPartyOfTheTask, TaskEnded, TaskAlreadyDelivered, WorkHasBegun, HoldEnded.
    """
    ended = tx.one(CANCEL, task=task, by=by)
    give_money_back(tx, ended)
    publish(tx, TaskEnded(**facts(ended), status=ended.status))
    return ended


def end_task_of_deal(tx: Tx, negotiation: NegotiationId) -> None:
    """End the task of a deal whose money has gone back: failed when it was begun and not delivered, else cancelled."""
    for ended in tx.all(END_TASK_OF_DEAL, negotiation=negotiation):
        publish(tx, TaskEnded(**facts(ended), status=ended.status))


def give_money_back(tx: Tx, task: Task) -> None:
    """Release the hold of a task's deal, and let the deal end as one whose money has gone back."""
    deal = negotiation_of(tx, task.negotiation_id)
    assert deal.hold_id is not None, "a deal with a task was accepted"
    release(tx, deal.hold_id)
    negotiations.lapse(
        tx,
        HoldLapsed(
            hold=deal.hold_id,
            account=deal.initiator_did,
            amount=deal.price,
            purpose_kind="negotiation",
            purpose_id=str(deal.id),
        ),
    )


def deliverables(files: Sequence[DeliveredFile], notes: str | None) -> list[JsonObject]:
    """What is handed over as rows: each file with the hash its maker states, and the notes with their own."""
    rows: list[JsonObject] = [
        {
            "file_url": file.file_url,
            "file_name": file.file_name,
            "file_type": file.file_type,
            "description": file.description,
            "content_hash": file.content_hash,
        }
        for file in files
    ]
    if notes:
        text: JsonObject = {"file_url": None, "file_name": None, "file_type": None}
        rows.append({**text, "description": notes, "content_hash": text_hash(notes)})
    return rows


def facts(task: Task) -> JsonObject:
    """What every event of a task carries."""
    return {
        "task": task.id,
        "negotiation": task.negotiation_id,
        "buyer": task.buyer_did,
        "seller": task.seller_did,
        "amount": task.budget,
        "domain": task.domain_id,
    }
