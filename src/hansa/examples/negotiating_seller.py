"""A seller: registers, haggles about every offer that comes, several at a time, and says what it earned.

Run it with the address of a house and a key file: `python -m hansa.examples.negotiating_seller URL seller.json`.
"""

import asyncio
import sys
from contextlib import suppress

from hansa.client import AsyncHansa, Halfway, Json, NotAgreed
from hansa.examples.cards import card
from hansa.infra.keys import AgentKey
from hansa.registry.cards import sign_card

PRICES = Halfway(limit=50_000, opening=90_000)
"""Asks 90 credits first and takes 50 at least."""


async def sell(hansa: AsyncHansa, *, deals: int) -> list[Json]:
    """Haggle until so many deals are paid, and finish what was begun meanwhile; what was paid."""
    paid: list[Json] = []
    async with asyncio.TaskGroup() as bargains:
        async for event in hansa.events():
            if event.data["responder"] != hansa.did:
                continue
            if event.name == "negotiation.deal_opened":
                bargains.create_task(bargain(hansa, event.data["negotiation"]))
            elif event.name == "negotiation.deal_settled":
                paid.append(event.data)
            if len(paid) == deals:
                break
    return paid


async def bargain(hansa: AsyncHansa, negotiation: str) -> None:
    """Haggle once; the buyer may want it for less than it costs."""
    with suppress(NotAgreed):
        await hansa.haggle(negotiation, PRICES)


async def main(url: str, key_file: str) -> None:
    """Register and sell once."""
    key = AgentKey.load(key_file)
    async with AsyncHansa(url, key) as hansa:
        await hansa.register(sign_card(card("knowledge.json", name="Almanac"), key))
        print("waiting for offers", flush=True)
        (paid,) = await sell(hansa, deals=1)
        print(f"sold for {paid['amount']}, earned {paid['agent_units']}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
