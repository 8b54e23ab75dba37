"""Whole deals per second: initiate, propose, accept, settle, by 1, 8 and 32 clients, durable.

Two variants in one run, interleaved: the commands in threads of one process, and the same commands over HTTP with
signed requests against one API process. Compare the ratio, not the numbers: machines differ.

    python benchmarks/deal.py [--seconds 4] [--rounds 3]
"""

import argparse
import json
import shutil
import socket
import statistics
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path

import httpx
import uvicorn
from pydantic_core import to_jsonable_python

from hansa import migrate
from hansa.chain.client import ChainRpc
from hansa.client import Hansa
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.entry.api import create_app
from hansa.infra.database import embedded
from hansa.infra.db import Actor, Db
from hansa.infra.embedded import EmbeddedPostgres
from hansa.infra.keys import AgentKey
from hansa.infra.seal import LocalKeyRing
from hansa.infra.services import Services
from hansa.infra.settings import Settings
from hansa.migrations import DIRECTORY
from hansa.negotiation import commands
from hansa.negotiation.models import Split, Terms
from hansa.registry import commands as registry
from hansa.registry.cards import read_card, sign_card

CLIENTS = (1, 8, 32)
STATED = {"delivery_s": 3600, "quality": Decimal("0.90"), "split": Split()}
"""What every proposal states beside its price, so that convergence has all four terms to compare."""
CARD = {
    "description": "Works for the benchmark.",
    "version": "1.0.0",
    "supportedInterfaces": [
        {"url": "https://bench.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    ],
    "capabilities": {},
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "skills": [{"id": "work", "name": "Work", "description": "Does it.", "tags": ["work"]}],
}


class Pair:
    """A buyer and a seller of one client."""

    def __init__(self, db, url, number):
        self.db, self.keys = db, (AgentKey.generate(), AgentKey.generate())
        self.dids = [key.did for key in self.keys]
        with db.transaction() as tx:
            for side, key in zip(("Buyer", "Seller"), self.keys, strict=True):
                card = sign_card({**CARD, "name": f"{side} {number} {key.wallet[:6]}"}, key)
                registry.register_agent(tx, read_card(json.dumps(card).encode()), by=key.did, at=tx.at)
            ledger.open_with_faucet(tx, self.dids[0], 10**12)
        self.hansa = [Hansa(url, key) for key in self.keys]

    def by_commands(self, ring):
        buyer, seller = self.dids
        payer, worker = (Actor(kind="agent", did=did) for did in self.dids)
        with self.db.transaction(payer) as tx:
            intent = commands.intend(tx, buyer, description="bench", budget=1100).id
            offer = Terms(price=1000, **STATED)
            deal = commands.initiate(tx, by=buyer, responder=seller, intent=intent, terms=offer, at=tx.at)
        with self.db.transaction(worker) as tx:
            commands.propose(tx, deal.id, by=seller, terms=Terms(price=1100, **STATED))
        with self.db.transaction(payer) as tx:
            commands.accept(tx, deal.id, by=buyer, at=tx.at)
        with self.db.transaction(payer) as tx:
            commands.settle(tx, ring, deal.id, by=buyer)

    def over_http(self, _):
        buyer, seller = self.hansa
        intent = buyer.intend("bench", budget=1100)["id"]
        stated = to_jsonable_python(STATED)
        deal = buyer.negotiate(self.dids[1], intent=intent, terms={"price": 1000, **stated})["id"]
        seller.propose(deal, {"price": 1100, **stated})
        buyer.accept(deal)
        buyer.settle(deal)


def measure(pairs, act, ring, seconds):
    """Deals per second and the time of each deal."""
    stop, times = time.monotonic() + seconds, []

    def client(pair):
        while time.monotonic() < stop:
            began = time.monotonic()
            act(pair, ring)
            times.append(time.monotonic() - began)

    threads = [threading.Thread(target=client, args=(pair,)) for pair in pairs]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) / (time.monotonic() - began), sorted(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    folder.chmod(0o755)
    cluster = EmbeddedPostgres(folder / "home")
    try:
        database = embedded(cluster.start())
        migrate.up(database.owner_dsn, DIRECTORY)
        with Db(database.app_dsn, size=40) as db:
            run(db, folder, options)
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def run(db, folder, options):
    ring = LocalKeyRing.create(folder / "ring.json")
    with httpx.Client() as http, socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(home=folder, database_pool=40, requests_per_minute=0)
        services = Services(db=db, settings=settings, http=http, chain=ChainRpc("http://127.0.0.1:9"), keys=ring)
        server = uvicorn.Server(uvicorn.Config(create_app(services), log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        pairs = [Pair(db, f"http://127.0.0.1:{listener.getsockname()[1]}", n) for n in range(max(CLIENTS))]
        print(f"{'clients':>7}  {'variant':<9}{'deals/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
        for clients in CLIENTS:
            rates = {"commands": [], "HTTP": []}
            times = {"commands": [], "HTTP": []}
            for number in range(options.rounds):
                variants = [("commands", Pair.by_commands), ("HTTP", Pair.over_http)]
                for name, act in variants if number % 2 == 0 else variants[::-1]:
                    rate, spent = measure(pairs[:clients], act, ring, options.seconds)
                    rates[name].append(rate)
                    times[name] += spent
            for name, found in rates.items():
                spent = sorted(times[name])
                p50, p99 = statistics.median(spent), spent[min(len(spent) - 1, int(len(spent) * 0.99))]
                rate = statistics.median(found)
                print(f"{clients:>7}  {name:<9}{rate:>9.1f}{p50 * 1000:>9.1f}{p99 * 1000:>9.1f}")
        with db.transaction() as tx:
            assert books.reconcile(tx) == [], "the books must balance after a benchmark too"
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
