"""Agents, registered by their own signed cards."""

import copy
import json
from pathlib import Path

import hansa.examples
from hansa.infra.keys import AgentKey
from hansa.registry import commands
from hansa.registry.cards import EXTENSION_URI, read_card, sign_card

CARDS = Path(next(iter(hansa.examples.__path__))) / "cards"


def card_document(*, params=None, **members):
    """An agent's card before it is signed: the market data example with other members."""
    document = json.loads((CARDS / "market-data.json").read_text())
    own = next(item for item in document["capabilities"]["extensions"] if item["uri"] == EXTENSION_URI)
    own["params"] |= params or {}
    return copy.deepcopy(document | members)


def signed_card(key, **changes):
    """The bytes of a card that its agent signed."""
    return json.dumps(sign_card(card_document(**changes), key)).encode()


def register(tx, key, **changes):
    """Register the agent of a key with its signed card."""
    return commands.register_agent(tx, read_card(signed_card(key, **changes)), by=key.did, at=tx.at)


def agent(tx, key=None, **changes):
    """An agent of its own name, registered."""
    key = key or AgentKey.generate()
    return register(tx, key, **({"name": f"Agent {key.wallet[:12]}"} | changes)).agent
