"""Organizations, role agents and sellers for tests, made by the commands that make them in life."""

import json
from contextlib import contextmanager
from itertools import count

from hansa.governance import commands
from hansa.infra.db import Actor, announce
from hansa.infra.keys import AgentKey
from hansa.registry import commands as registry
from hansa.registry.cards import read_card, sign_card

_numbers = count(1)


def a_did():
    """An agent that nobody has heard of."""
    return AgentKey.generate().did


def a_seller(tx):
    """A registered agent, by its DID."""
    key = AgentKey.generate()
    name = f"Seller {next(_numbers)} {key.wallet[:8]}"
    card = {
        "name": name,
        "description": "Sells weather forecasts.",
        "version": "1.0.0",
        "supportedInterfaces": [
            {"url": "https://seller.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        ],
        "capabilities": {},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "forecast", "name": "Forecast", "description": "Forecasts.", "tags": ["weather"]}],
    }
    profile = read_card(json.dumps(sign_card(card, key)).encode())
    registry.register_agent(tx, profile, by=key.did, at=tx.at)
    return key.did


def an_organization(tx, *, by, domain=None):
    """An organization founded by an agent."""
    domain = domain or f"org-{next(_numbers)}-{AgentKey.generate().wallet[:8].lower()}.example"
    return commands.found_organization(tx, name="Acme", domain=domain, by=by)


def a_role_agent(tx, organization, *, by, did, role_title="supplier", accepted=True):
    """A role agent of an organization, whose agent has taken the role unless told otherwise."""
    agent = commands.name_role_agent(
        tx, organization.id, name="Runner", role_title=role_title, assigned_to_did=did, by=by, at=tx.at
    )
    return commands.accept_role(tx, agent.id, by=did) if accepted else agent


@contextmanager
def acting_as(tx, did, kind="agent"):
    """Let somebody else act in a part of this transaction, as the policies see it."""
    announce(tx.connection, Actor(kind=kind, did=did))
    yield
    announce(tx.connection, tx.actor)
