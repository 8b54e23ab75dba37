"""Agents to be found, and the delivery of the news about them."""

from pydantic import TypeAdapter

import hansa.discovery.reactions
import hansa.negotiation.reactions
import hansa.proof.reactions  # noqa: F401 - the reactions of a real process
from given import registry
from hansa.discovery import commands
from hansa.discovery.models import SearchRequest
from hansa.infra import outbox
from hansa.kernel.events import EVENTS


def deliver(tx):
    """Run all reactions to what was published in this transaction, and to what the reactions publish."""
    while rows := tx.all(outbox.CLAIM, lease=outbox.LEASE, batch=outbox.BATCH):
        for row in sorted(rows, key=lambda row: row.id):
            event = event_of(row)
            for reaction in outbox.REACTIONS.get(row.name, []):
                if tx.run(outbox.BEGIN_EFFECT, event=row.id, reaction=reaction.name):
                    reaction.run(tx, event, row.id)
            tx.run(outbox.DELIVERED, event=row.id)


def event_of(row):
    return TypeAdapter(EVENTS[row.name]).validate_python(row.payload)


def skill(name, *tags, description="Does it."):
    return {"id": name.lower().replace(" ", "-"), "name": name, "description": description, "tags": list(tags)}


def described(tx, name, *skills, key=None, domains=(), pricing=None, description="An agent."):
    """A registered agent that declares just this; it is in the index once its event is delivered."""
    return registry.agent(
        tx,
        key,
        name=name,
        description=description,
        skills=list(skills) or [skill("Listening")],
        params={"skills": {}, "domains": list(domains), "pricing": pricing or {}},
    ).did


def indexed(tx, name, *skills, **facts):
    """The same, in the index."""
    did = described(tx, name, *skills, **facts)
    deliver(tx)
    return did


def found(tx, *, by=None, **request):
    """The result of a search that nobody has made before."""
    return commands.search(tx, SearchRequest(**request), by=by, at=tx.at, age_max=commands.timedelta(0))


def names(tx, **request):
    """Names of the agents that a search finds, the best first."""
    return [hit.name for hit in found(tx, **request).hits]
