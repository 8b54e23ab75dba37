"""Whole deals per second: initiate, propose, accept, settle, by 1, 8 and 32 clients, durable.

Four variants run in turn in each round:

    original   the original's statements for a deal (benchmarks/original.py), which hold and pay credits and do no more
    commands   our commands in threads of one process: with the hire gate, its audit row, the work record and the events
    HTTP       the same commands over HTTP with signed requests, against one API process
    pgbench    the statements of `commands`, recorded and sent by pgbench (benchmarks/recorded.py)

Compare the ratios, not the numbers: machines differ.

    python benchmarks/deal.py [--seconds 1.5] [--rounds 4] [--json FILE]
"""

import argparse
import json
import socket
import threading
from decimal import Decimal
from pathlib import Path

import httpx
import psycopg
import uvicorn
from original import SCHEMA, Original
from pydantic_core import to_jsonable_python
from recorded import Recorder
from side_by_side import by_pgbench, by_threads, cluster, flush_ms, in_turn, markdown, ratio, table, verdicts

from hansa.chain.client import ChainRpc
from hansa.client import Hansa
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.entry.api import create_app
from hansa.infra.db import Actor, Db
from hansa.infra.keys import AgentKey
from hansa.infra.seal import LocalKeyRing
from hansa.infra.services import Services
from hansa.infra.settings import Settings
from hansa.negotiation import commands
from hansa.negotiation.models import Split, Terms
from hansa.registry import commands as registry
from hansa.registry.cards import read_card, sign_card

CLIENTS = (1, 8, 32)
STATED = {"delivery_s": 3600, "quality": Decimal("0.90"), "split": Split()}
"""What every proposal states beside its price, so that convergence has all four terms to compare."""
BARS = {"original": 4.0, "pgbench": 0.7}
"""With 32 clients, the commands do at least so many times as much as these."""
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


def prepare(at, pairs):
    """Accounts of the original for the same agents, and the pair of each client of pgbench."""
    with psycopg.connect(at.owner, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute(
            "CREATE TABLE bench.pairs (n integer PRIMARY KEY, buyer text NOT NULL, seller text NOT NULL)"
        )
        for number, pair in enumerate(pairs):
            connection.execute("INSERT INTO bench.pairs VALUES (%s, %s, %s)", [number, *pair.dids])
            for did in pair.dids:
                connection.execute("INSERT INTO bench.credit_accounts (agent_did, balance) VALUES (%s, 10^12)", [did])


def script_of(pair, ring):
    """One deal of the commands as pgbench sends it."""
    pair.by_commands(ring)
    recorder = Recorder(dict(zip(pair.dids, ("buyer", "seller"), strict=True)))
    with recorder.on():
        pair.by_commands(ring)
    return recorder.script("SELECT buyer, seller FROM bench.pairs WHERE n = :client_id \\gset")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path, help="keep the numbers in this file")
    parser.add_argument("--render", type=Path, help="print the table of kept numbers, run nothing")
    options = parser.parse_args()
    if options.render:
        print(rendered(json.loads(options.render.read_text())))
        return
    with cluster() as at, Db(at.app, size=40) as db:
        results = run(at, db, options)
    columns = ["clients", "variant", "per_s", "p50_ms", "p99_ms", "of_original", "of_pgbench"]
    print(table(columns, [[row[column] for column in columns] for row in results["rows"]]))
    print("\n".join(verdicts("32 clients: commands", bars(results))))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def run(at, db, options):
    """Every number of clients; the rows of the table."""
    ring = LocalKeyRing.create(at.folder / "ring.json")
    rows = []
    with httpx.Client() as http, socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(home=at.folder, database_pool=40, requests_per_minute=0)
        services = Services(db=db, settings=settings, http=http, chain=ChainRpc("http://127.0.0.1:9"), keys=ring)
        server = uvicorn.Server(uvicorn.Config(create_app(services), log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        pairs = [Pair(db, f"http://127.0.0.1:{listener.getsockname()[1]}", n) for n in range(max(CLIENTS))]
        prepare(at, pairs)
        script = script_of(pairs[0], ring)
        original = Original(at.app)
        for clients in CLIENTS:
            acts = {
                "original": lambda client, _: original.deal(*pairs[client].dids),
                "commands": lambda client, _: pairs[client].by_commands(ring),
                "HTTP": lambda client, _: pairs[client].over_http(ring),
            }
            variants = {
                name: lambda act=act, clients=clients: by_threads(act, clients, options.seconds)
                for name, act in acts.items()
            }
            variants["pgbench"] = lambda clients=clients: by_pgbench(
                at.app, script, clients=clients, seconds=options.seconds
            )
            measured = in_turn(variants, options.rounds)
            for name, found in measured.items():
                against = {f"of_{other}": ratio(found, measured[other]) for other in ("original", "pgbench")}
                rows.append({"clients": clients, "variant": name, **found.row(), **against})
        with db.transaction() as tx:
            assert books.reconcile(tx) == [], "the books must balance after a benchmark too"
        original.close()
        server.should_exit = True
        thread.join()
    return {"seconds": options.seconds, "rounds": options.rounds, "flush_ms": flush_ms(at.folder), "rows": rows}


def bars(results):
    """What the commands reach with 32 clients, and what is asked: name -> (found, bar)."""
    (most,) = [row for row in results["rows"] if (row["clients"], row["variant"]) == (32, "commands")]
    return {name: (most[f"of_{name}"], bar) for name, bar in BARS.items()}


def rendered(results):
    """The ratios as a table of the page that tells of them."""
    rows = []
    for clients in CLIENTS:
        ours = {row["variant"]: row for row in results["rows"] if row["clients"] == clients}
        found = ours["commands"]
        rows.append(
            [clients, found["of_original"], found["of_pgbench"], ours["HTTP"]["of_original"],
             f"{found['p50_ms']} / {found['p99_ms']}"]
        )  # fmt: skip
    headings = ["clients", "commands / original", "commands / pgbench", "HTTP / original", "commands p50 / p99 ms"]
    return "\n".join(
        [markdown(headings, rows), "", f"A flush of this disk took {results['flush_ms']} ms.", ""]
        + [f"- {line}" for line in verdicts("32 clients: commands", bars(results))]
    )


if __name__ == "__main__":
    main()
