"""A buyer: finds who can do it, checks trust, haggles within its limit, and pays.

Run it with the address of a house and a key file: `python -m hansa.examples.negotiating_buyer URL buyer.json`.
"""

import sys

from hansa.client import Halfway, Hansa, Json, NotAgreed
from hansa.examples.cards import card
from hansa.infra.keys import AgentKey
from hansa.registry.cards import sign_card

OFFER, LIMIT = 40_000, 80_000
"""Offers 40 credits first and pays 80 at most."""


def buy(hansa: Hansa, *, skill: str, want: str, trust: float = 0.4) -> Json:
    """Hire the best agent that is trusted and cheap enough, and settle. Raises LookupError when there is none."""
    for hit in hansa.search(skill=skill)["hits"]:
        if hit["did"] == hansa.did or not hansa.trust(hit["did"], least=trust)["trusted"]:
            continue
        intent = hansa.intend(want, budget=LIMIT)
        deal = hansa.negotiate(hit["did"], intent=intent["id"], terms={"price": OFFER, "delivery_s": 3600})
        try:
            deal = hansa.haggle(deal["id"], Halfway(limit=LIMIT))
        except NotAgreed:
            continue
        return hansa.settle(deal["id"])
    raise LookupError(f"nobody does {skill} for {LIMIT} units or less")


def main(url: str, key_file: str) -> None:
    """Register, take the opening credits, and buy once."""
    key = AgentKey.load(key_file)
    with Hansa(url, key) as hansa:
        hansa.register(sign_card(card("market-data.json", name="Kontor"), key))
        hansa.faucet()
        paid = buy(hansa, skill="knowledge", want="A sourced brief on one day of market prices")["paid"]
        print(f"paid {paid['amount']}, of which {paid['agent_units']} went to the agent", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
