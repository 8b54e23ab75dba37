"""Deals and tasks at every stage of their life, made by the commands that make them in life."""

from given import registry
from hansa.credits.commands import open_with_faucet
from hansa.infra.outbox import dispatch
from hansa.market import commands
from hansa.market.models import ReviewDraft
from hansa.negotiation import commands as negotiations
from hansa.negotiation.models import Terms

PRICE = 10_000


def an_agent(tx):
    """A registered agent with the opening credits of the faucet, by its DID."""
    did = registry.agent(tx).did
    open_with_faucet(tx, did, 1_000_000)
    return did


def a_deal(tx, *, buyer=None, seller=None, price=PRICE):
    """An accepted negotiation: its price is held, nothing fulfils it yet."""
    buyer, seller = buyer or an_agent(tx), seller or an_agent(tx)
    intent = negotiations.intend(tx, buyer, description="Forecast the weather", budget=price)
    offer = negotiations.initiate(tx, by=buyer, responder=seller, intent=intent.id, terms=Terms(price=price), at=tx.at)
    return negotiations.accept(tx, offer.id, by=seller, at=tx.at)


def a_task(tx, *, deal=None, domain=None, **parties):
    """A task that nobody has started."""
    deal = deal or a_deal(tx, **parties)
    return commands.create_task(
        tx,
        negotiation=deal.id,
        by=deal.initiator_did,
        title="Forecast",
        description="The weather of next week, by the hour.",
        domain=domain,
        at=tx.at,
    )


def a_started_task(tx, **facts):
    task = a_task(tx, **facts)
    return commands.start(tx, task.id, by=task.seller_did)


def a_delivered_task(tx, **facts):
    """A task whose delivery waits for its buyer."""
    task = a_started_task(tx, **facts)
    return commands.deliver(tx, task.id, by=task.seller_did, notes="Sunny, all week.", at=tx.at)


def a_paid_task(tx, keys, *, rating=None, **facts):
    """A completed task, reviewed when a rating is given."""
    task = a_delivered_task(tx, **facts)
    accepted = commands.accept_delivery(tx, keys, task.id, by=task.buyer_did, at=tx.at).task
    if rating is not None:
        a_review(tx, accepted, rating=rating)
    return accepted


def a_failed_task(tx, **facts):
    """A task that its agent began and gave up."""
    task = a_started_task(tx, **facts)
    return commands.cancel(tx, task.id, by=task.seller_did)


def a_review(tx, task, *, rating=5, **words):
    """What the buyer of a task says about it."""
    draft = ReviewDraft(rating=rating, **words)
    return commands.review(tx, task.id, by=task.buyer_did, draft=draft, at=tx.at)


def deliver_events(db):
    """Run every reaction that is due, and those to what the reactions publish."""
    while dispatch(db):
        pass
