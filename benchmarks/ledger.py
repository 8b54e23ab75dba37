"""Reserving and releasing credits: the original broker's service, our commands, our ledger writer, and pgbench.

One thing is a pair: money is held and given back, each with a durable commit of its own to the caller. Five variants run
in turn in each round, on one account that everybody uses and on 1000:

    original   the original's statements (benchmarks/original.py)
    commands   `credits.reserve` and `credits.release`, each in its transaction
    writer     the same calls of the same threads through `LedgerWriter`
    pgbench    the SQL function that the writer calls, called by pgbench: `credits.apply_batch` with as many operations
               as there are clients, by one connection (with one client: the two single functions)

Compare the ratios, not the numbers: machines differ.

    python benchmarks/ledger.py [--seconds 1] [--rounds 4] [--json FILE]
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
from original import SCHEMA, Original
from side_by_side import by_pgbench, by_threads, cluster, flush_ms, in_turn, markdown, ratio, table, verdicts

from hansa.credits import commands, queries
from hansa.credits.writer import LedgerWriter
from hansa.infra.db import Db

CLIENTS = (1, 8, 32)
ACCOUNTS = (1, 1000)
AMOUNT = 5
FAR = datetime(2100, 1, 1, tzinfo=UTC)
BARS = {"original": 30.0, "pgbench": 0.8}
"""On one hot account with 32 clients, the writer does at least so many times as much as these."""

ACCOUNT_OF_BENCH = """
CREATE FUNCTION bench.account(accounts integer, number integer) RETURNS text LANGUAGE sql STABLE
AS $$ SELECT 'did:bench:' || number % accounts $$;
CREATE FUNCTION bench.asked(accounts integer, size integer) RETURNS credits.operation[] LANGUAGE sql VOLATILE
AS $$ SELECT array_agg(ROW('reserve', bench.account(accounts, (random() * 1000)::integer), 5, 'pgbench', gen_random_uuid(),
                           '2100-01-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::credits.operation)
        FROM generate_series(1, size) $$;
CREATE FUNCTION bench.ended(holds uuid[]) RETURNS credits.operation[] LANGUAGE sql STABLE
AS $$ SELECT array_agg(ROW('release', NULL, NULL, NULL, NULL, NULL, hold, 'released', NULL, NULL, NULL, NULL, NULL,
                           NULL)::credits.operation)
        FROM unnest(holds) AS hold $$;
"""
BATCHES = """
SELECT array_agg((operation).hold) AS holds FROM credits.apply_batch(bench.asked(:accounts, :size)) \\gset
SELECT count(movement) AS ended FROM credits.apply_batch(bench.ended(:holds)) \\gset
"""
SINGLE = """
SELECT id FROM credits.reserve(bench.account(:accounts, (random() * 1000)::integer), 5, 'pgbench', gen_random_uuid()::text, NULL, '2100-01-01') \\gset
SELECT credits.release(:id, 'released') \\gset
"""


def prepare(at):
    """The original's schema with its accounts, and ours with the same money."""
    with psycopg.connect(at.owner, autocommit=True) as connection:
        connection.execute("GRANT CREATE ON DATABASE hansa TO hansa_app")
        connection.execute(SCHEMA)
        connection.execute("RESET ROLE")
        connection.execute(ACCOUNT_OF_BENCH)
        connection.execute(
            "INSERT INTO bench.credit_accounts (agent_did, balance) SELECT 'did:bench:' || n, 10^12 FROM generate_series(0, 999) AS n"
        )
    with Db(at.app) as db, db.transaction() as tx:
        for number in range(1000):
            commands.deposit(tx, f"did:bench:{number}", 10**12, key=f"faucet:bench:{number}", reason="benchmark")


def variants_of(at, db, ledger, original, accounts, clients, seconds):
    """The four ways to do the same; each remembers nothing of the others."""

    def account(client, count):
        return f"did:bench:{(client * 31 + count * 7) % accounts}"

    def by_original(client, count):
        who, intent = account(client, count), str(uuid4())
        original.reserve(who, AMOUNT, intent)
        original.release(who, AMOUNT, 0, intent)

    def by_commands(client, count):
        purpose = {"purpose_kind": "bench", "purpose_id": str(uuid4()), "expires_at": FAR}
        with db.transaction() as tx:
            held = commands.reserve(tx, account(client, count), AMOUNT, **purpose)
        with db.transaction() as tx:
            commands.release(tx, held.id)

    def by_writer(client, count):
        held = ledger.reserve(
            account(client, count), AMOUNT, purpose_kind="bench", purpose_id=str(uuid4()), expires_at=FAR
        )
        ledger.release(held.id)

    def by_function():
        script, each = (SINGLE, 1) if clients == 1 else (BATCHES, clients)
        return by_pgbench(
            at.app, script, clients=1, seconds=seconds, each=each, variables={"accounts": accounts, "size": clients}
        )

    return {
        "original": lambda: by_threads(by_original, clients, seconds),
        "commands": lambda: by_threads(by_commands, clients, seconds),
        "writer": lambda: by_threads(by_writer, clients, seconds),
        "pgbench": by_function,
    }


def run(at, options):
    """Every number of clients and accounts; the rows of the table."""
    prepare(at)
    rows = []
    original = Original(at.app)
    with Db(at.app, size=40) as db:
        ledger = LedgerWriter(db)
        for accounts in ACCOUNTS:
            for clients in CLIENTS:
                variants = variants_of(at, db, ledger, original, accounts, clients, options.seconds)
                measured = in_turn(variants, options.rounds)
                for name, found in measured.items():
                    against = {f"of_{other}": ratio(found, measured[other]) for other in ("original", "pgbench")}
                    rows.append({"accounts": accounts, "clients": clients, "variant": name, **found.row(), **against})
        ledger.close()
        with db.transaction() as tx:
            assert queries.reconcile(tx) == [], "the books must balance after a benchmark too"
            assert queries.live_holds(tx) == 0
    original.close()
    return {"seconds": options.seconds, "rounds": options.rounds, "flush_ms": flush_ms(at.folder), "rows": rows}


def bars(results):
    """What the writer reaches on the hot account with 32 clients, and what is asked: name -> (found, bar)."""
    (hot,) = [row for row in results["rows"] if (row["accounts"], row["clients"], row["variant"]) == (1, 32, "writer")]
    return {name: (hot[f"of_{name}"], bar) for name, bar in BARS.items()}


def rendered(results):
    """The ratios as a table of the page that tells of them."""
    headings = [
        "accounts",
        "clients",
        "commands / original",
        "writer / original",
        "writer / pgbench",
        "writer p50 / p99 ms",
    ]
    rows = []
    for accounts in ACCOUNTS:
        for clients in CLIENTS:
            ours = {
                row["variant"]: row
                for row in results["rows"]
                if (row["accounts"], row["clients"]) == (accounts, clients)
            }
            writer = ours["writer"]
            rows.append(
                [accounts, clients, ours["commands"]["of_original"], writer["of_original"], writer["of_pgbench"],
                 f"{writer['p50_ms']} / {writer['p99_ms']}"]
            )  # fmt: skip
    return "\n".join(
        [markdown(headings, rows), "", f"A flush of this disk took {results['flush_ms']} ms.", ""]
        + [f"- {line}" for line in verdicts("hot account, 32 clients: writer", bars(results))]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path, help="keep the numbers in this file")
    parser.add_argument("--render", type=Path, help="print the table of kept numbers, run nothing")
    options = parser.parse_args()
    if options.render:
        print(rendered(json.loads(options.render.read_text())))
        return
    with cluster() as at:
        results = run(at, options)
    columns = ["accounts", "clients", "variant", "per_s", "p50_ms", "p99_ms", "of_original", "of_pgbench"]
    print(table(columns, [[row[column] for column in columns] for row in results["rows"]]))
    print("\n".join(verdicts("hot account, 32 clients: writer", bars(results))))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
