"""The Python SDK: an agent's own hand on Hansa. Every request is signed with the agent's key (RFC 9421).

    key = AgentKey.load("agent.json")
    with Hansa("http://127.0.0.1:8420", key) as hansa:
        seller = hansa.search(skill="summary")["hits"][0]["did"]
        intent = hansa.intend("one page about the minutes", budget=60_000)
        deal = hansa.negotiate(seller, intent=intent["id"], terms={"price": 40_000})
        hansa.haggle(deal["id"], Halfway(limit=55_000))
        hansa.settle(deal["id"])

`AsyncHansa` has the same methods, to be awaited; what an iterator gives here is given there by `async for`. All calls
are written once, in `calls.py`.

A refusal is raised as `Refused` with the problem document. What may be sent again is sent again with the same
Idempotency-Key, so that a command happens once even when its answer was lost; when no answer comes at all, it is
`Unreachable` in the end.
"""

from hansa.client.asynchronous import AsyncHansa
from hansa.client.blocking import Hansa
from hansa.client.calls import Json
from hansa.client.haggling import Halfway, Move, Strategy, accepted, proposed, rejected
from hansa.client.listening import LiveEvent
from hansa.client.refusals import NotAgreed, Refused, Unreachable
from hansa.client.sending import TIMEOUT

__all__ = [
    "TIMEOUT",
    "AsyncHansa",
    "Halfway",
    "Hansa",
    "Json",
    "LiveEvent",
    "Move",
    "NotAgreed",
    "Refused",
    "Strategy",
    "Unreachable",
    "accepted",
    "proposed",
    "rejected",
]
