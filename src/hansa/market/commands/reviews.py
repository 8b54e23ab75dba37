"""What can be done with reviews."""

from datetime import datetime
from uuid import UUID

from hansa.identity import commands as identity
from hansa.infra.db import Query, Tx
from hansa.infra.outbox import publish
from hansa.kernel.dids import Did
from hansa.kernel.ids import ReviewId, TaskId
from hansa.market.errors import ResponderNotReviewed, ReviewerNotTheBuyer, ReviewWithdrawn, TaskUnknown
from hansa.market.events import ReviewChanged, ReviewWritten
from hansa.market.models import Review, ReviewDraft, ReviewEdit
from hansa.market.queries import review_of
from hansa.registry.queries import agent_of

# The key of the task gives agent and deal, the caller gives the user: the foreign keys then decide whether this user
# is the buyer and whether the deal was paid.
WRITE = Query(
    ReviewId,
    """
    INSERT INTO market.reviews (
        user_id, agent_id, task_id, negotiation_id, rating, title, review_text, pros, cons, would_hire_again,
        response_time_rating, quality_rating, communication_rating, value_rating)
    SELECT %(user)s, key.agent_id, key.id, key.negotiation_id, %(rating)s, %(title)s, %(review_text)s, %(pros)s::text[],
           %(cons)s::text[], %(would_hire_again)s, %(response_time_rating)s, %(quality_rating)s,
           %(communication_rating)s, %(value_rating)s
      FROM market.task_keys AS key
     WHERE key.id = %(task)s
    RETURNING id
    """,
)

EDIT = Query(
    int,
    """
    UPDATE market.reviews
       SET rating = coalesce(%(rating)s, rating),
           title = coalesce(%(title)s, title),
           review_text = coalesce(%(review_text)s, review_text),
           pros = coalesce(%(pros)s::text[], pros),
           cons = coalesce(%(cons)s::text[], cons),
           would_hire_again = coalesce(%(would_hire_again)s, would_hire_again),
           response_time_rating = coalesce(%(response_time_rating)s, response_time_rating),
           quality_rating = coalesce(%(quality_rating)s, quality_rating),
           communication_rating = coalesce(%(communication_rating)s, communication_rating),
           value_rating = coalesce(%(value_rating)s, value_rating)
     WHERE id = %(review)s
       AND withdrawn_at IS NULL
    """,
)

WITHDRAW = Query(
    int,
    """
    UPDATE market.reviews
       SET withdrawn_at = clock_timestamp()
     WHERE id = %(review)s
       AND withdrawn_at IS NULL
    """,
)

RESPOND = Query(
    int,
    """
    INSERT INTO market.review_responses (review_id, agent_id, response_text)
    VALUES (%(review)s, %(agent)s, %(text)s)
    """,
)

DID_OF_AGENT = Query(Did, "SELECT did FROM registry.agents WHERE id = %(agent)s")


def review(tx: Tx, task: TaskId, *, by: Did, draft: ReviewDraft, at: datetime) -> Review:
    """Say how the work on a finished, paid task was; once, by the account that bought it.

    `by` is any DID of that account. PostgreSQL moves the agent's rating with it.
    Raises TaskUnknown, TaskNotPaid, ReviewerNotTheBuyer, ReviewByCreator, AlreadyReviewed, ReviewUnfit.
    Source: AMOCA reviews.
    """
    user = identity.ensure_user(tx, by, at=at)
    written = tx.maybe(
        WRITE,
        task=task,
        user=user.id,
        rating=draft.rating,
        title=draft.title,
        review_text=draft.review_text,
        pros=draft.pros,
        cons=draft.cons,
        would_hire_again=draft.would_hire_again,
        response_time_rating=draft.response_time_rating,
        quality_rating=draft.quality_rating,
        communication_rating=draft.communication_rating,
        value_rating=draft.value_rating,
    )
    if written is None:
        raise TaskUnknown
    found = review_of(tx, written)
    agent = did_of(tx, found.agent_id)
    publish(tx, ReviewWritten(task=task, review=written, agent=agent, rating=found.rating))
    return found


def edit_review(tx: Tx, review: ReviewId, *, by: Did, edit: ReviewEdit, at: datetime) -> Review:
    """Change a review; the agent's rating moves with it.

    Raises ReviewUnknown, ReviewerNotTheBuyer, ReviewWithdrawn, ReviewUnfit.
    """
    require_writer(tx, review, by=by, at=at)
    changed = tx.run(
        EDIT,
        review=review,
        rating=edit.rating,
        title=edit.title,
        review_text=edit.review_text,
        pros=edit.pros,
        cons=edit.cons,
        would_hire_again=edit.would_hire_again,
        response_time_rating=edit.response_time_rating,
        quality_rating=edit.quality_rating,
        communication_rating=edit.communication_rating,
        value_rating=edit.value_rating,
    )
    return changed_review(tx, review, changed)


def withdraw_review(tx: Tx, review: ReviewId, *, by: Did, at: datetime) -> Review:
    """Take a review back: it is kept, but neither shown nor counted any more, and the task is not reviewed again.

    Raises ReviewUnknown, ReviewerNotTheBuyer, ReviewWithdrawn.
    """
    require_writer(tx, review, by=by, at=at)
    return changed_review(tx, review, tx.run(WITHDRAW, review=review))


def respond(tx: Tx, review: ReviewId, *, by: Did, text: str) -> Review:
    """Answer a review as the agent it is about; once.

    Raises ReviewUnknown, ReviewWithdrawn, ResponderNotReviewed, AlreadyAnswered, ResponseUnfit.
    """
    found = review_of(tx, review)
    if by != did_of(tx, found.agent_id):
        raise ResponderNotReviewed
    if found.withdrawn_at is not None:
        raise ReviewWithdrawn
    tx.run(RESPOND, review=review, agent=agent_of(tx, by).id, text=text)
    return review_of(tx, review)


def require_writer(tx: Tx, review: ReviewId, *, by: Did, at: datetime) -> None:
    """Refuse everybody but the account that wrote a review."""
    if review_of(tx, review).user_id != identity.ensure_user(tx, by, at=at).id:
        raise ReviewerNotTheBuyer


def changed_review(tx: Tx, review: ReviewId, changed: int) -> Review:
    """The review after a change, which is published; no row was changed when it had been taken back before."""
    if not changed:
        raise ReviewWithdrawn
    found = review_of(tx, review)
    withdrawn = found.withdrawn_at is not None
    agent = did_of(tx, found.agent_id)
    publish(tx, ReviewChanged(task=found.task_id, review=review, agent=agent, rating=found.rating, withdrawn=withdrawn))
    return found


def did_of(tx: Tx, agent: UUID) -> Did:
    return tx.one(DID_OF_AGENT, agent=agent)
