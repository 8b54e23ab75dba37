"""The examples do what they say: two agents find each other, negotiate and settle; so does the code of the guides."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.test_migration_docs import StrictShell
from e2e.test_tutorials import missing, steps
from hansa.client import AsyncHansa, Halfway, NotAgreed
from hansa.examples.cards import card
from hansa.infra import outbox
from hansa.infra.keys import AgentKey
from hansa.registry.cards import sign_card

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def example(name, url, key_file):
    command = [sys.executable, "-m", f"hansa.examples.{name}", url, str(key_file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)


def deliver(services):
    """Let the index hear of everybody, as the worker does."""
    while outbox.dispatch(services.db):
        pass


def test_the_example_agents_negotiate_and_settle(server, services, tmp_path):
    keys = {name: AgentKey.generate() for name in ("buyer", "seller")}
    for name, key in keys.items():
        key.save(tmp_path / f"{name}.json")

    with example("negotiating_seller", server.url, tmp_path / "seller.json") as seller:
        ready = seller.stdout.readline()
        deliver(services)
        with example("negotiating_buyer", server.url, tmp_path / "buyer.json") as buyer:
            bought = buyer.stdout.read()
        sold = seller.stdout.read()

    price, share = map(int, re.fullmatch(r"paid (\d+), of which (\d+) went to the agent\n", bought).groups())
    assert ready == "waiting for offers\n"
    assert (buyer.returncode, seller.returncode) == (0, 0)
    assert sold == f"sold for {price}, earned {share}\n"
    assert 50_000 <= price <= 80_000
    assert share == price * 7 // 10


@pytest.fixture
def guide(server):
    """The code of the guide, block by block, in one namespace."""
    return {"URL": server.url}, PYTHON.findall((HOWTO / "negotiate-with-the-sdk.md").read_text())


@pytest.mark.parametrize(("asked", "said"), [(50_000, "paid 5"), (90_000, "no deal: rejected")])
def test_the_guide_to_the_sdk_buys_within_its_limit(server, services, agent, guide, capsys, asked, said):
    names, blocks = guide
    buyer, seller = agent("Buyer"), agent(registered=False)
    seller.register(sign_card(card("knowledge.json"), seller.key))
    deliver(services)

    async def sell():
        async with asyncio.timeout(20):
            async with AsyncHansa(server.url, seller.key) as selling:
                offer = await anext(selling.events())
                return await selling.haggle(offer.data["negotiation"], Halfway(limit=asked, opening=asked))

    async def both():
        work = asyncio.create_task(sell())
        await asyncio.to_thread(exec, blocks[0], names | {"key": buyer.key})
        return (await asyncio.gather(work, return_exceptions=True))[0]

    sold = asyncio.run(both())

    assert capsys.readouterr().out.startswith(said)
    assert isinstance(sold, NotAgreed) == (asked == 90_000)


def test_the_strategy_of_the_guide_is_stubborn(guide):
    names, blocks = guide
    exec(blocks[1], names)  # the guide is ours

    def at(price, n):
        return {"negotiation": {"current_proposal": {"price": price}, "round": n}}

    assert names["stubborn"](at(60_000, 3), "me") == names["accepted"]()
    assert names["stubborn"](at(50_000, 3), "me").terms == {"price": 60_000}
    assert names["stubborn"](at(50_000, 9), "me").kind == "reject"


def test_the_seller_of_the_guide_takes_every_offer_at_its_price(server, agent, guide):
    names, blocks = guide
    buyer, seller = agent("Buyer"), agent("Seller")
    exec("".join(blocks[1:]), names)
    intent = buyer.intend("two briefs", budget=200_000)["id"]
    deals = [buyer.negotiate(seller.key.did, intent=intent, terms={"price": price})["id"] for price in (40_000, 60_000)]

    async def sell():
        work = asyncio.create_task(names["sell"](seller.key))
        bought = await asyncio.to_thread(buyer.haggle, deals[0], Halfway(limit=60_000))
        taken = await asyncio.to_thread(buyer.wait_accepted, deals[1], timeout_s=10)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return [bought["final_proposal"]["price"], taken["final_proposal"]["price"]]

    prices = asyncio.run(sell())

    assert prices == [60_000, 60_000]


def test_the_guide_to_watching_shows_what_is_seen(server, agent, tmp_path):
    buyer, seller = agent("Buyer"), agent("Seller")
    buyer.key.save(tmp_path / "buyer.json")
    intent = buyer.intend("a brief", budget=60_000)["id"]
    deal = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 40_000})["id"]
    seller.propose(deal, {"price": 50_000})
    buyer.accept(deal)
    shell = StrictShell(tmp_path)
    shell.run(f"export HANSA_URL={server.url} HANSA_HOME={tmp_path}/home DEAL={deal}")
    written = steps((HOWTO / "watch-a-negotiation.md").read_text())

    seen = [(step, *shell.run(step.command)) for step in written]

    shell.close()
    assert len(seen) == 2
    for step, status, begins in seen:
        assert status == 0, shell.said[begins:]
        assert missing(step.shown, shell.said[begins:]) is None, shell.said[begins:]
