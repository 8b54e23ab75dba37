"""Agents, registered by their own signed cards."""

import copy
import json
from pathlib import Path

import hansa.examples
from hansa.infra.db import Query
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


CACHE_USEFULNESS = Query(
    str, "SELECT agent FROM registry.cache_usefulness(%(dids)s::text[], %(scores)s::numeric[], %(at)s)"
)


def usefulness_cached(tx, scores, *, at=None):
    """Usefulness written beside agents as if proof had computed it; returns beside how many it was."""
    return len(tx.all(CACHE_USEFULNESS, dids=list(scores), scores=list(scores.values()), at=at or tx.at))


def crowd(owner, count):
    """Many agents at once, without cards: rows as a registration leaves them. Returns their DIDs, in order."""
    rows = owner.execute(
        """
        WITH drawn AS (
            SELECT number, lpad(translate(number::text, '0', 'z'), 40, 'C') AS wallet
              FROM generate_series(1, %s) AS number
        ), people AS (
            INSERT INTO identity.users (solana_did, wallet_address)
            SELECT 'did:sol:' || wallet, wallet FROM drawn
            RETURNING id, wallet_address
        )
        INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                                     content_hash, ttl_s, expires_at, creator_user_id)
        SELECT 'did:web:crowd-' || lpad(number::text, 5, '0') || '.example', 'crowd-' || number, 'Crowd ' || number,
               '', '', '', wallet, decode(repeat('00', 32), 'hex'), '', 3600, now() + interval '1 hour', people.id
          FROM drawn
          JOIN people ON people.wallet_address = drawn.wallet
        RETURNING did
        """,
        [count],
    )
    return sorted(row[0] for row in rows)
