"""Agents with credits, and deals in every state, made by the commands that make real ones."""

from datetime import timedelta

from given import registry
from hansa.credits import commands as ledger
from hansa.negotiation import commands
from hansa.negotiation.models import Terms


def rich_agent(tx, name, *, units=1_000_000):
    """A registered agent with opening credits; returns its DID."""
    did = registry.agent(tx, name=name).did
    if units:
        ledger.open_with_faucet(tx, did, units)
    return did


def pair(tx, *, units=1_000_000):
    """An agent that pays and one that works."""
    return rich_agent(tx, "Buyer", units=units), rich_agent(tx, "Seller", units=0)


def intent(tx, by, *, budget=1_000_000):
    return commands.intend(tx, by, description="a brief", budget=budget).id


def opened(tx, buyer, seller, *, price=90_000, **options):
    """A negotiation with the opening offer on the table, for an intent of its own unless one is given."""
    terms = options.pop("terms", None) or Terms(price=price)
    serves = options.pop("intent", None) or intent(tx, buyer, budget=options.pop("budget", 1_000_000))
    return commands.initiate(tx, by=buyer, responder=seller, intent=serves, terms=terms, at=tx.at, **options)


def accepted(tx, buyer, seller, *, price=90_000, **options):
    """A deal: the price is held."""
    return commands.accept(tx, opened(tx, buyer, seller, price=price, **options).id, by=seller, at=tx.at)


def past(seconds=1):
    return timedelta(seconds=-seconds)
