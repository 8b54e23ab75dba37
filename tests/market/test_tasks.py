"""Tasks: from an accepted deal to its payment, and every other way in which they can end."""

import hashlib

import psycopg
import pytest

from given import registry
from given.governance import acting_as
from given.identity import as_agent, client_as
from given.market import (
    PRICE,
    a_deal,
    a_delivered_task,
    a_paid_task,
    a_started_task,
    a_task,
    an_agent,
    deliver_events,
)
from hansa.credits.commands import expire_holds, open_with_faucet
from hansa.credits.errors import HoldExpired
from hansa.credits.queries import account_of, reconcile
from hansa.infra.db import Actor, Query
from hansa.infra.keys import AgentKey
from hansa.infra.outbox import undelivered
from hansa.kernel.ids import TaskId
from hansa.market import commands, queries, routes
from hansa.market.errors import (
    DealHasATask,
    DeliverableUnfit,
    NothingDelivered,
    NothingToAccept,
    OnlyTheBuyer,
    OnlyTheSeller,
    TaskAlreadyDelivered,
    TaskAlreadyStarted,
    TaskDomainUnknown,
    TaskEnded,
    TaskNotStarted,
    TaskOverdue,
    TaskUnfit,
    TaskUnknown,
    WorkHasBegun,
)
from hansa.market.models import DeliveredFile, PaymentType, Period, TaskPriority, TaskStatus
from hansa.negotiation import commands as negotiations
from hansa.negotiation.errors import DealNotAccepted, NotAParticipant, SettledElsewhere
from hansa.negotiation.models import NegotiationState, Terms
from hansa.negotiation.queries import negotiation_of, paid_for
from hansa.registry.queries import agent_of

PUBLISHED = Query(int, "SELECT count(*) FROM ops.outbox WHERE name = %(name)s")
LABELS = Query(
    str, "SELECT enumlabel::text FROM pg_enum WHERE enumtypid = %(kind)s::text::regtype ORDER BY enumsortorder"
)
KEY_STATUS = Query(str, "SELECT status::text FROM market.task_keys WHERE id = %(task)s")


def test_a_task_lives_from_its_deal_to_its_payment(tx, keys):
    deal = a_deal(tx)
    report = DeliveredFile(file_url="https://files.example/report.pdf", file_name="report.pdf", content_hash="ab" * 32)

    task = a_task(tx, deal=deal, domain=4)
    commands.start(tx, task.id, by=deal.responder_did)
    commands.deliver(tx, task.id, by=deal.responder_did, files=[report], notes="As promised.", at=tx.at)
    accepted = commands.accept_delivery(tx, keys, task.id, by=deal.initiator_did, at=tx.at)

    done = accepted.task
    assert (done.status, done.budget, done.domain_id) == (TaskStatus.COMPLETED, PRICE, 4)
    assert task.created_at < done.started_at < done.delivered_at < done.accepted_at == done.completed_at
    assert (accepted.settlement.paid.amount, accepted.settlement.paid.agent_units) == (PRICE, 7000)
    assert account_of(tx, deal.responder_did).balance == 1_007_000
    assert account_of(tx, deal.initiator_did).reserved == 0
    work = queries.task_with_work(tx, task.id, seen_by=deal.initiator_did).deliverables
    assert [item.content_hash for item in work] == ["ab" * 32, hashlib.sha256(b"As promised.").hexdigest()]
    assert tx.one(KEY_STATUS, task=task.id) == "completed"


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("market.task_status", TaskStatus),
        ("market.task_priority", TaskPriority),
        ("market.payment_type", PaymentType),
        ("market.leaderboard_period", Period),
    ],
)
def test_closed_sets_are_the_same_in_postgresql_and_python(tx, kind, members):
    assert tx.all(LABELS, kind=kind) == list(members)


def test_a_deal_with_a_task_is_not_settled_past_it(tx, keys):
    task = a_delivered_task(tx)

    with pytest.raises(SettledElsewhere), tx.savepoint():
        negotiations.settle(tx, keys, task.negotiation_id, by=task.buyer_did)

    assert paid_for(tx, task.negotiation_id) is None
    assert commands.accept_delivery(tx, keys, task.id, by=task.buyer_did, at=tx.at).task.status == "completed"


def test_a_task_is_made_of_an_accepted_deal_by_its_buyer_only(tx):
    buyer, seller = an_agent(tx), an_agent(tx)
    intent = negotiations.intend(tx, buyer, description="Work", budget=PRICE)
    offer = negotiations.initiate(tx, by=buyer, responder=seller, intent=intent.id, terms=Terms(price=PRICE), at=tx.at)

    def make(by):
        return commands.create_task(tx, negotiation=offer.id, by=by, title="T", description="D", at=tx.at)

    with pytest.raises(DealNotAccepted), tx.savepoint():
        make(buyer)
    negotiations.accept(tx, offer.id, by=seller, at=tx.at)
    with pytest.raises(OnlyTheBuyer), tx.savepoint():
        make(seller)
    with pytest.raises(NotAParticipant), tx.savepoint():
        make(an_agent(tx))
    assert make(buyer).seller_did == seller


def test_a_deal_that_was_settled_directly_takes_no_task(tx, keys):
    deal = a_deal(tx)
    negotiations.settle(tx, keys, deal.id, by=deal.initiator_did)

    with pytest.raises(DealNotAccepted), tx.savepoint():
        a_task(tx, deal=deal)

    assert queries.tasks_of(tx, deal.initiator_did).items == []


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ({"title": ""}, TaskUnfit),
        ({"title": "x" * 201}, TaskUnfit),
        ({"description": ""}, TaskUnfit),
        ({"domain": 99}, TaskDomainUnknown),
    ],
)
def test_an_impossible_task_is_refused_by_name(tx, words, refusal):
    deal = a_deal(tx)
    said = {"title": "Forecast", "description": "Weather.", "domain": None} | words

    with pytest.raises(refusal), tx.savepoint():
        commands.create_task(tx, negotiation=deal.id, by=deal.initiator_did, at=tx.at, **said)

    assert negotiation_of(tx, deal.id).bound_kind is None


def test_two_tasks_from_one_deal_at_the_same_moment_become_one(db, at_once):
    with db.transaction() as tx:
        deal = a_deal(tx)

    made, refused = at_once(lambda tx: a_task(tx, deal=deal), kind="agent", did=deal.initiator_did)

    assert isinstance(refused, DealHasATask)
    with db.transaction() as tx:
        assert [task.id for task in queries.tasks_of(tx, deal.initiator_did).items] == [made.id]
        assert negotiation_of(tx, deal.id).bound_id == str(made.id)
        assert tx.one(PUBLISHED, name="market.task_created") == 1


def test_two_acceptances_at_the_same_moment_pay_once(db, at_once, keys):
    with db.transaction() as tx:
        task = a_delivered_task(tx)

    accepted, refused = at_once(
        lambda tx: commands.accept_delivery(tx, keys, task.id, by=task.buyer_did, at=tx.at),
        kind="agent",
        did=task.buyer_did,
    )

    assert accepted.task.status == "completed"
    assert isinstance(refused, TaskEnded)
    assert refused.facts == {"status": "completed"}
    with db.transaction() as tx:
        assert account_of(tx, task.seller_did).balance == 1_007_000
        assert reconcile(tx) == []
        assert tx.one(PUBLISHED, name="market.task_settled") == tx.one(PUBLISHED, name="negotiation.deal_settled") == 1
        assert queries.stats_of(tx, agent_of(tx, task.seller_did)).tasks_completed == 1


def test_a_failing_settlement_leaves_the_delivery_unaccepted(db, owner, keys):
    with db.transaction() as tx:
        task = a_delivered_task(tx)
    owner.execute(
        "UPDATE credits.holds SET expires_at = clock_timestamp() WHERE purpose_id = %s", [str(task.negotiation_id)]
    )

    with pytest.raises(HoldExpired), db.transaction() as tx:
        commands.accept_delivery(tx, keys, task.id, by=task.buyer_did, at=tx.at)

    with db.transaction() as tx:
        assert queries.task_of(tx, task.id).status == "in_progress"
        assert tx.one(PUBLISHED, name="market.task_settled") == 0


def test_a_completed_task_that_nobody_paid_cannot_be_committed(db, owner):
    with db.transaction() as tx:
        task = a_delivered_task(tx)

    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="completed_tasks_are_paid"):
        owner.execute(
            "UPDATE market.tasks SET status = 'completed', accepted_at = now(), completed_at = now() WHERE id = %s",
            [task.id],
        )

    with db.transaction() as tx:
        assert queries.task_of(tx, task.id).status == "in_progress"
        assert queries.stats_of(tx, agent_of(tx, task.seller_did)).tasks_completed == 0


def test_each_step_belongs_to_one_party(tx, keys):
    task, stranger = a_task(tx), an_agent(tx)

    for by in (task.buyer_did, stranger):
        with pytest.raises(OnlyTheSeller), tx.savepoint():
            commands.start(tx, task.id, by=by)
    commands.start(tx, task.id, by=task.seller_did)
    with pytest.raises(OnlyTheSeller), tx.savepoint():
        commands.deliver(tx, task.id, by=task.buyer_did, notes="Done.", at=tx.at)
    commands.deliver(tx, task.id, by=task.seller_did, notes="Done.", at=tx.at)
    for by in (task.seller_did, stranger):
        with pytest.raises(OnlyTheBuyer), tx.savepoint():
            commands.accept_delivery(tx, keys, task.id, by=by, at=tx.at)

    assert queries.task_of(tx, task.id).accepted_at is None


def test_steps_come_in_their_order_and_once(tx, keys):
    task = a_task(tx)

    with pytest.raises(TaskNotStarted), tx.savepoint():
        commands.deliver(tx, task.id, by=task.seller_did, notes="Done.", at=tx.at)
    commands.start(tx, task.id, by=task.seller_did)
    with pytest.raises(TaskAlreadyStarted), tx.savepoint():
        commands.start(tx, task.id, by=task.seller_did)
    with pytest.raises(NothingToAccept), tx.savepoint():
        commands.accept_delivery(tx, keys, task.id, by=task.buyer_did, at=tx.at)
    commands.deliver(tx, task.id, by=task.seller_did, notes="Done.", at=tx.at)
    with pytest.raises(TaskAlreadyDelivered), tx.savepoint():
        commands.deliver(tx, task.id, by=task.seller_did, notes="Again.", at=tx.at)
    commands.accept_delivery(tx, keys, task.id, by=task.buyer_did, at=tx.at)
    with pytest.raises(TaskEnded), tx.savepoint():
        commands.cancel(tx, task.id, by=task.seller_did)

    assert len(queries.task_with_work(tx, task.id, seen_by=task.buyer_did).deliverables) == 1


def test_a_delivery_hands_something_over(tx):
    task = a_started_task(tx)
    insecure = DeliveredFile(file_url="http://files.example/x", file_name="x", content_hash="ab" * 32)
    unpinned = DeliveredFile(file_url="https://files.example/x", file_name="x", content_hash="no hash")

    with pytest.raises(NothingDelivered), tx.savepoint():
        commands.deliver(tx, task.id, by=task.seller_did, at=tx.at)
    for file in (insecure, unpinned):
        with pytest.raises(DeliverableUnfit), tx.savepoint():
            commands.deliver(tx, task.id, by=task.seller_did, files=[file], at=tx.at)

    assert queries.task_of(tx, task.id).delivered_at is None


def test_the_buyer_cancels_before_the_start_and_gets_the_money_back(tx):
    task = a_task(tx)

    ended = commands.cancel(tx, task.id, by=task.buyer_did)

    assert ended.status == "cancelled"
    assert account_of(tx, task.buyer_did).available == 1_000_000
    assert negotiation_of(tx, task.negotiation_id).state is NegotiationState.EXPIRED
    with pytest.raises(TaskEnded), tx.savepoint():
        commands.start(tx, task.id, by=task.seller_did)


def test_a_cancelled_task_ends_once_although_its_deal_ends_too(db):
    with db.transaction() as tx:
        task = a_task(tx)
        commands.cancel(tx, task.id, by=task.buyer_did)

    deliver_events(db)

    with db.transaction() as tx:
        assert tx.one(PUBLISHED, name="negotiation.deal_expired") == tx.one(PUBLISHED, name="market.task_ended") == 1
        assert reconcile(tx) == []


def test_the_buyer_cannot_take_the_money_back_once_work_has_begun(tx):
    task = a_started_task(tx)

    with pytest.raises(WorkHasBegun), tx.savepoint():
        commands.cancel(tx, task.id, by=task.buyer_did)

    assert account_of(tx, task.buyer_did).available == 990_000


def test_an_agent_that_gives_work_up_has_failed(tx, keys):
    task = a_started_task(tx)
    a_paid_task(tx, keys, seller=task.seller_did)

    ended = commands.cancel(tx, task.id, by=task.seller_did)

    assert ended.status == "failed"
    assert account_of(tx, task.buyer_did).available == 1_000_000
    stats = queries.stats_of(tx, agent_of(tx, task.seller_did))
    assert (stats.tasks_completed, stats.tasks_failed, stats.success_rate) == (1, 1, 50)


def test_nobody_cancels_what_was_delivered(tx):
    task = a_delivered_task(tx)

    for by in (task.buyer_did, task.seller_did):
        with pytest.raises(TaskAlreadyDelivered), tx.savepoint():
            commands.cancel(tx, task.id, by=by)

    assert negotiation_of(tx, task.negotiation_id).state is NegotiationState.ACCEPTED


def test_tasks_end_when_the_money_of_their_deal_has_gone_back(db, owner):
    with db.transaction() as tx:
        tasks = [a_task(tx), a_started_task(tx), a_delivered_task(tx)]
    owner.execute("UPDATE credits.holds SET expires_at = clock_timestamp()")
    with db.transaction() as tx:
        assert expire_holds(tx) == 3

    deliver_events(db)

    with db.transaction() as tx:
        assert [queries.task_of(tx, task.id).status for task in tasks] == ["cancelled", "failed", "cancelled"]
        assert tx.one(PUBLISHED, name="market.task_ended") == 3
        assert undelivered(tx) == 0


def test_no_work_is_done_when_its_money_is_not_held_any_more(db, owner):
    with db.transaction() as tx:
        tasks = [a_task(tx), a_started_task(tx)]
    owner.execute("UPDATE market.tasks SET expires_at = clock_timestamp()")

    with pytest.raises(TaskOverdue), db.transaction() as tx:
        commands.start(tx, tasks[0].id, by=tasks[0].seller_did)
    with pytest.raises(TaskOverdue), db.transaction() as tx:
        commands.deliver(tx, tasks[1].id, by=tasks[1].seller_did, notes="Late.", at=tx.at)

    with db.transaction() as tx:
        assert [queries.task_of(tx, task.id).status for task in tasks] == ["pending", "in_progress"]


def test_a_task_is_seen_by_its_parties_and_its_statistics_by_all(tx, keys):
    task, stranger = a_paid_task(tx, keys), an_agent(tx)

    seen = {}
    for name, did in {"buyer": task.buyer_did, "seller": task.seller_did, "stranger": stranger}.items():
        with acting_as(tx, did):
            seen[name] = tx.all(Query(TaskId, "SELECT id FROM market.tasks"))
            completed = queries.stats_of(tx, agent_of(tx, task.seller_did)).tasks_completed
            assert completed == 1
            assert queries.stats_that_differ(tx, with_deals=False) == []

    assert seen == {"buyer": [task.id], "seller": [task.id], "stranger": []}
    with pytest.raises(TaskUnknown):
        queries.task_of(tx, task.id, seen_by=stranger)


def test_two_agents_go_through_a_task_over_http(db, services):
    buyer_key, seller_key = AgentKey.generate(), AgentKey.generate()
    with db.transaction() as tx:
        buyer, seller = registry.agent(tx, buyer_key), registry.agent(tx, seller_key)
        open_with_faucet(tx, buyer.did, 1_000_000)
        deal = a_deal(tx, buyer=buyer.did, seller=seller.did)
    as_buyer = client_as(services, as_agent(buyer_key), routes.router)
    as_seller = client_as(services, as_agent(seller_key), routes.router)
    as_nobody = client_as(services, Actor(kind="anonymous"), routes.router)
    as_stranger = client_as(services, as_agent(AgentKey.generate()), routes.router)

    made = as_buyer.post(
        "/api/tasks", json={"negotiation": str(deal.id), "title": "Forecast", "description": "Weather"}
    )
    path = f"/api/tasks/{made.json()['id']}"
    steps = [
        as_seller.post(f"{path}/start"),
        as_seller.post(f"{path}/deliver", json={"notes": "Sunny."}),
        as_buyer.post(f"{path}/accept"),
        as_buyer.post(f"{path}/review", json={"rating": 4, "title": "Good", "quality_rating": 5}),
    ]
    deliver_events(db)

    assert made.status_code == 201
    assert [step.status_code for step in steps] == [200, 200, 200, 201]
    assert as_buyer.get("/api/tasks", params={"status": "completed"}).json()["items"][0]["id"] == made.json()["id"]
    assert as_seller.get(path).json()["deliverables"][0]["description"] == "Sunny."
    assert as_stranger.get(path).json()["code"] == "task_unknown"
    assert as_nobody.get(path).status_code == 401
    review = as_nobody.get(f"/api/agents/{seller.did}/reviews").json()["items"][0]
    answered = as_seller.post(f"/api/reviews/{review['id']}/response", json={"text": "Thank you."})
    assert answered.json()["response_text"] == "Thank you."
    assert as_buyer.patch(f"/api/reviews/{review['id']}", json={"rating": 5}).json()["rating"] == 5
    stats = as_nobody.get(f"/api/agents/{seller.agent_id}/stats").json()
    assert (stats["tasks_completed"], stats["hire_count"], stats["total_earnings"], stats["rating"]) == (
        1,
        1,
        7000,
        "5.00",
    )
    assert as_buyer.delete(f"/api/reviews/{review['id']}").status_code == 200
    assert as_nobody.get(f"/api/agents/{seller.did}/reviews").json()["items"] == []
