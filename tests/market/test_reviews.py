"""Reviews: who may write one, and what each of them does to an agent's rating."""

import psycopg
import pytest

from given import registry
from given.market import a_delivered_task, a_paid_task, a_review, an_agent
from hansa.credits.commands import open_with_faucet
from hansa.identity.commands import ensure_user
from hansa.infra.keys import AgentKey
from hansa.kernel.dids import did_sol
from hansa.kernel.ids import ReviewId, TaskId
from hansa.market import commands, queries
from hansa.market.errors import (
    AlreadyAnswered,
    AlreadyReviewed,
    ResponderNotReviewed,
    ReviewByCreator,
    ReviewerNotTheBuyer,
    ReviewUnfit,
    ReviewUnknown,
    ReviewWithdrawn,
    TaskNotPaid,
    TaskUnknown,
)
from hansa.market.models import ReviewDraft, ReviewEdit
from hansa.registry.queries import agent_of

NOWHERE = "00000000-0000-7000-8000-000000000000"


def ratings(tx, seller):
    stats = queries.stats_of(tx, agent_of(tx, seller))
    assert stats.rating == stats.avg_rating
    return float(stats.rating), stats.review_count, float(stats.bayesian_rating)


def make_creator(connection, *, agent, user):
    """Let an account have created an agent; agents register themselves, so no command does this to another's."""
    connection.execute("UPDATE registry.agents SET creator_user_id = %s WHERE id = %s", [user, agent])


def test_a_review_says_everything_and_moves_the_rating(tx, keys):
    task = a_paid_task(tx, keys)

    review = a_review(
        tx,
        task,
        rating=4,
        title="Right most days",
        review_text="Rain came on Tuesday.",
        pros=["quick", "polite"],
        cons=["Tuesday"],
        would_hire_again=True,
        response_time_rating=5,
        quality_rating=3,
        communication_rating=4,
        value_rating=4,
    )

    assert (review.user_id, review.agent_id, review.task_id) == (task.user_id, task.agent_id, task.id)
    assert (review.response_time_rating, review.quality_rating, review.communication_rating, review.value_rating) == (
        5,
        3,
        4,
        4,
    )
    assert (review.pros, review.cons, review.would_hire_again) == (["quick", "polite"], ["Tuesday"], True)
    assert ratings(tx, task.seller_did) == (4.0, 1, 3.6)
    assert queries.reviews_of(tx, agent_of(tx, task.seller_did)).items == [review]


def test_every_name_of_the_buyers_key_is_the_buyer(tx, keys):
    key = AgentKey.generate()
    buyer = registry.agent(tx, key).did
    open_with_faucet(tx, buyer, 1_000_000)
    task = a_paid_task(tx, keys, buyer=buyer)

    review = commands.review(tx, task.id, by=did_sol(key.public_key), draft=ReviewDraft(rating=5), at=tx.at)

    assert review.user_id == task.user_id


def test_a_task_that_is_not_paid_is_not_reviewed(tx):
    task = a_delivered_task(tx)

    with pytest.raises(TaskNotPaid), tx.savepoint():
        a_review(tx, task)

    assert ratings(tx, task.seller_did) == (0.0, 0, 3.5)


def test_only_the_buyer_reviews(tx, keys):
    task, stranger = a_paid_task(tx, keys), an_agent(tx)

    for by in (task.seller_did, stranger):
        with pytest.raises((ReviewerNotTheBuyer, ReviewByCreator)) as refusal, tx.savepoint():
            commands.review(tx, task.id, by=by, draft=ReviewDraft(rating=5), at=tx.at)
        assert refusal.type is (ReviewByCreator if by == task.seller_did else ReviewerNotTheBuyer)
    with pytest.raises(TaskUnknown), tx.savepoint():
        commands.review(tx, TaskId(NOWHERE), by=stranger, draft=ReviewDraft(rating=5), at=tx.at)

    assert ratings(tx, task.seller_did)[1] == 0


def test_the_creator_does_not_review_an_agent_even_as_its_paying_buyer(tx, keys):
    task = a_paid_task(tx, keys)
    make_creator(tx.connection, agent=task.agent_id, user=task.user_id)

    with pytest.raises(ReviewByCreator), tx.savepoint():
        a_review(tx, task)

    assert ratings(tx, task.seller_did)[1] == 0


def test_postgresql_itself_refuses_a_review_that_nobody_may_write(db, owner, keys):
    with db.transaction() as tx:
        paid, unpaid = a_paid_task(tx, keys), a_delivered_task(tx)
        stranger = ensure_user(tx, an_agent(tx), at=tx.at).id
    write = "INSERT INTO market.reviews (user_id, agent_id, task_id, negotiation_id, rating) VALUES (%s, %s, %s, %s, 5)"

    refused = {}
    for name, values in {
        "unpaid": [unpaid.user_id, unpaid.agent_id, unpaid.id, unpaid.negotiation_id],
        "another agent": [paid.user_id, unpaid.agent_id, paid.id, paid.negotiation_id],
        "another deal": [unpaid.user_id, unpaid.agent_id, unpaid.id, paid.negotiation_id],
        "stranger": [stranger, paid.agent_id, paid.id, paid.negotiation_id],
    }.items():
        with pytest.raises(psycopg.errors.IntegrityError) as refusal:
            owner.execute(write, values)
        refused[name] = refusal.value.diag.constraint_name
    make_creator(owner, agent=paid.agent_id, user=paid.user_id)
    with pytest.raises(psycopg.errors.CheckViolation, match="creator"):
        owner.execute(write, [paid.user_id, paid.agent_id, paid.id, paid.negotiation_id])

    assert refused == {
        "unpaid": "reviewed_task_is_paid",
        "another agent": "review_by_the_buyer_of_its_task",
        "another deal": "review_by_the_buyer_of_its_task",
        "stranger": "review_by_the_buyer_of_its_task",
    }


def test_two_reviews_of_one_task_at_the_same_moment_become_one(db, at_once, keys):
    with db.transaction() as tx:
        task = a_paid_task(tx, keys)

    written, refused = at_once(lambda tx: a_review(tx, task, rating=3), kind="agent", did=task.buyer_did)

    assert isinstance(refused, AlreadyReviewed)
    with db.transaction() as tx:
        assert [review.id for review in queries.reviews_of(tx, agent_of(tx, task.seller_did)).items] == [written.id]
        assert ratings(tx, task.seller_did)[:2] == (3.0, 1)


def test_an_edit_moves_the_rating_and_keeps_what_it_leaves_out(tx, keys):
    task = a_paid_task(tx, keys)
    a_paid_task(tx, keys, seller=task.seller_did, rating=5)
    review = a_review(tx, task, rating=2, title="Late", pros=["polite"])

    edited = commands.edit_review(tx, review.id, by=task.buyer_did, edit=ReviewEdit(rating=4, cons=["late"]), at=tx.at)

    assert (edited.rating, edited.title, edited.pros, edited.cons) == (4, "Late", ["polite"], ["late"])
    assert edited.updated_at > review.updated_at
    assert ratings(tx, task.seller_did)[:2] == (4.5, 2)


def test_a_review_that_is_taken_back_counts_no_more_and_stays_taken_back(tx, keys):
    task = a_paid_task(tx, keys)
    a_paid_task(tx, keys, seller=task.seller_did, rating=5)
    review = a_review(tx, task, rating=1)

    withdrawn = commands.withdraw_review(tx, review.id, by=task.buyer_did, at=tx.at)

    assert withdrawn.withdrawn_at is not None
    assert ratings(tx, task.seller_did)[:2] == (5.0, 1)
    assert review.id not in [shown.id for shown in queries.reviews_of(tx, agent_of(tx, task.seller_did)).items]
    for again in (commands.withdraw_review, lambda *a, **k: commands.edit_review(*a, edit=ReviewEdit(rating=5), **k)):
        with pytest.raises(ReviewWithdrawn), tx.savepoint():
            again(tx, review.id, by=task.buyer_did, at=tx.at)
    with pytest.raises(AlreadyReviewed), tx.savepoint():
        a_review(tx, task)
    assert ratings(tx, task.seller_did)[:2] == (5.0, 1)


def test_a_review_that_an_operator_deletes_counts_no_more(db, owner, keys):
    with db.transaction() as tx:
        task = a_paid_task(tx, keys, rating=1)

    owner.execute("DELETE FROM market.reviews")

    with db.transaction() as tx:
        assert ratings(tx, task.seller_did) == (0.0, 0, 3.5)
        assert queries.stats_that_differ(tx, with_deals=False) == []


def test_only_its_writer_changes_a_review(tx, keys):
    task = a_paid_task(tx, keys)
    review = a_review(tx, task, rating=2)

    for by in (task.seller_did, an_agent(tx)):
        with pytest.raises(ReviewerNotTheBuyer), tx.savepoint():
            commands.edit_review(tx, review.id, by=by, edit=ReviewEdit(rating=5), at=tx.at)
        with pytest.raises(ReviewerNotTheBuyer), tx.savepoint():
            commands.withdraw_review(tx, review.id, by=by, at=tx.at)
    with pytest.raises(ReviewUnknown), tx.savepoint():
        commands.withdraw_review(tx, ReviewId(NOWHERE), by=task.buyer_did, at=tx.at)

    assert queries.review_of(tx, review.id) == review


@pytest.mark.parametrize(
    "words",
    [
        {"rating": 0},
        {"rating": 6},
        {"value_rating": 6},
        {"title": "x" * 201},
        {"pros": ["yes"] * 11},
        {"review_text": ""},
    ],
)
def test_an_impossible_review_is_refused_by_name(tx, keys, words):
    task = a_paid_task(tx, keys)

    with pytest.raises(ReviewUnfit), tx.savepoint():
        a_review(tx, task, **({"rating": 5} | words))

    assert ratings(tx, task.seller_did)[1] == 0


def test_the_reviewed_agent_answers_once(tx, keys):
    task = a_paid_task(tx, keys)
    review = a_review(tx, task, rating=3)

    with pytest.raises(ResponderNotReviewed), tx.savepoint():
        commands.respond(tx, review.id, by=task.buyer_did, text="Me again.")
    answered = commands.respond(tx, review.id, by=task.seller_did, text="We try to do better.")
    with pytest.raises(AlreadyAnswered), tx.savepoint():
        commands.respond(tx, review.id, by=task.seller_did, text="And better.")

    assert answered.response_text == "We try to do better."
    assert queries.review_of(tx, review.id) == answered
