"""A status column of a large live table becomes an enum: the plan's literal SQL, ALTER TYPE, and ours, side by side.

Two clients go on reading and writing meanwhile, in an open loop: a statement's response time counts from the moment it
was due, so waiting is not hidden by fewer statements. Each client owns half of the keys and knows what it wrote last,
so lost writes are counted exactly. Every run starts from a fresh copy of the same database; the variants take turns,
and the second repetition takes them in the reverse order.

    .venv/bin/python benchmarks/online_enum.py --rows 5000000 --reps 2 --write docs/explanation/online-operations.json
    .venv/bin/python benchmarks/online_enum.py --render docs/explanation/online-operations.{json,md}
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from hansa import migrate
from hansa.infra.embedded import EmbeddedPostgres, Server
from hansa.migrate import testing
from hansa.migrate.catalog import differences, snapshot
from hansa.migrate.digests import table_digests

TABLE = "blockchain_transactions"
STATES = ("pending", "confirmed", "failed")
STALE_PLAN = ("0A000", "42804")
REVISION = "20260101T000000_status"

SCHEMA = f"""
CREATE TABLE {TABLE} (
    id bigint PRIMARY KEY,
    transaction_hash text NOT NULL,
    network text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    writes integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO {TABLE} (id, transaction_hash, network, status, created_at)
SELECT n, md5(n::text), 'devnet', (ARRAY['pending', 'confirmed', 'confirmed', 'failed', 'success', 'CONFIRMED', 'reverted'])[1 + n % 7],
       timestamptz '2026-01-01' + n * interval '1 second'
FROM generate_series(1, %(rows)s) AS n;
CREATE INDEX idx_blockchain_tx_status ON {TABLE} (status);
"""

LITERAL = (
    "CREATE TYPE tx_status AS ENUM ('pending', 'confirmed', 'failed')",
    f"ALTER TABLE {TABLE} ADD COLUMN status_new tx_status DEFAULT 'pending'",
    f"""UPDATE {TABLE} SET status_new = CASE
            WHEN status = 'pending' THEN 'pending'::tx_status
            WHEN status = 'confirmed' THEN 'confirmed'::tx_status
            WHEN status = 'failed' THEN 'failed'::tx_status
            ELSE 'pending'::tx_status END""",
    f"ALTER TABLE {TABLE} DROP COLUMN status",
    f"ALTER TABLE {TABLE} RENAME COLUMN status_new TO status",
)
ALTER_TYPE = (
    "CREATE TYPE tx_status AS ENUM ('pending', 'confirmed', 'failed')",
    f"ALTER TABLE {TABLE} ALTER COLUMN status DROP DEFAULT",
    f"""ALTER TABLE {TABLE} ALTER COLUMN status TYPE tx_status USING (CASE lower(status)
            WHEN 'success' THEN 'confirmed' WHEN 'reverted' THEN 'failed' ELSE lower(status) END)::tx_status""",
    f"ALTER TABLE {TABLE} ALTER COLUMN status SET DEFAULT 'pending'",
)
META = f"""
[[operation]]
kind = "convert_to_enum"
table = "public.{TABLE}"
column = "status"
type = "public.tx_status"
map = "tx_status"
"""
MAP = """
[tx_status]
fold = ["trim", "lower"]
[tx_status.values]
pending = "pending"
confirmed = "confirmed"
success = "confirmed"
failed = "failed"
reverted = "failed"
"""


@dataclass
class Felt:
    """What the clients felt, and what is true of the table afterwards."""

    seconds: float = 0.0
    statements: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    worst_ms: float = 0.0
    over_1s: int = 0
    failed: int = 0
    reconnected: int = 0
    lost_writes: int = 0
    wal_mb: float = 0.0
    table_mb: float = 0.0
    not_null_kept: bool = False
    index_kept: bool = False
    coerced_rows: int = 0
    down: str = "-"
    errors: dict[str, int] = field(default_factory=dict)


def client(dsn: str, number: int, rows: int, rate: float, stop: Any, out: Any) -> None:
    """One client: reads and writes its own keys at its own pace until told to stop."""
    rng = random.Random(number)
    connection = psycopg.connect(dsn, autocommit=True)
    waits: list[float] = []
    errors: dict[str, int] = {}
    written: dict[int, tuple[str, int]] = {}
    reconnected = 0
    due = time.monotonic()
    while not stop.is_set():
        due += rng.expovariate(rate)
        time.sleep(max(0.0, due - time.monotonic()))
        key = rng.randrange(1, rows // 2) * 2 + number
        for attempt in (1, 2):
            try:
                if rng.random() < 0.5 or (attempt == 2 and key in written):
                    connection.execute(f"SELECT status, writes FROM {TABLE} WHERE id = %s", [key]).fetchone()
                else:
                    state = rng.choice(STATES)
                    counted = connection.execute(
                        f"UPDATE {TABLE} SET status = %s, writes = writes + 1 WHERE id = %s RETURNING writes",
                        [state, key],
                    ).fetchone()
                    written[key] = (state, counted[0])
                break
            except psycopg.Error as error:
                if error.sqlstate in STALE_PLAN and attempt == 1:
                    reconnected += 1
                    connection.close()
                    connection = psycopg.connect(dsn, autocommit=True)
                    continue
                name = f"{error.sqlstate} {error.diag.message_primary}"
                errors[name] = errors.get(name, 0) + 1
                break
        waits.append(time.monotonic() - due)
    connection.close()
    out.put((waits, errors, written, reconnected))


def measure(server: Server, template: str, rows: int, rate: float, variant: str, scratch: Path) -> Felt:
    name = f"bench_{variant}_{time.time_ns()}"
    owner = server.dsn(role="postgres", database="postgres")
    dsn = testing.clone(owner, template, name)
    felt = Felt()
    folder = scratch / name
    if variant == "ours":
        write_revision(folder)
    with psycopg.connect(dsn, autocommit=True) as watch:
        watch.execute("VACUUM ANALYZE")
        watch.execute("CHECKPOINT")
        before_catalog, before_data = snapshot(watch), table_digests(watch)
        context = multiprocessing.get_context("spawn")
        stop, out = context.Event(), context.Queue()
        clients = [
            context.Process(target=client, args=(dsn, number, rows, rate, stop, out), daemon=True) for number in (0, 1)
        ]
        for process in clients:
            process.start()
        time.sleep(3)
        wal = watch.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        started = time.monotonic()
        migrate_by(variant, dsn, folder)
        felt.seconds = round(time.monotonic() - started, 1)
        time.sleep(2)
        stop.set()
        heard = [out.get() for _ in clients]
        for process in clients:
            process.join()
        account(felt, heard, watch, wal)
        if variant == "ours":
            felt.down = proven_down(watch, dsn, folder, heard, before_catalog, before_data)
    testing.drop(owner, name)
    return felt


def migrate_by(variant: str, dsn: str, folder: Path) -> None:
    if variant == "ours":
        migrate.up(dsn, folder)
        return
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in {"literal": LITERAL, "alter type": ALTER_TYPE}[variant]:
            connection.execute(statement)


def account(felt: Felt, heard: list[Any], watch: psycopg.Connection[Any], wal: Any) -> None:
    waits = sorted(wait * 1000 for waits, *_ in heard for wait in waits)
    felt.statements = len(waits)
    felt.p50_ms = round(statistics.median(waits), 1)
    felt.p99_ms = round(waits[int(len(waits) * 0.99)], 1)
    felt.worst_ms = round(waits[-1], 1)
    felt.over_1s = sum(wait > 1000 for wait in waits)
    for _, errors, _, reconnected in heard:
        felt.reconnected += reconnected
        for name, count in errors.items():
            felt.errors[name] = felt.errors.get(name, 0) + count
    felt.failed = sum(felt.errors.values())
    felt.lost_writes = sum(lost(watch, written) for _, _, written, _ in heard)
    felt.wal_mb = round(one(watch, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s) / 1e6", wal[0]))
    felt.table_mb = round(one(watch, f"SELECT pg_table_size('{TABLE}') / 1e6"))
    felt.not_null_kept = one(
        watch, "SELECT attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'status'", TABLE
    )
    felt.index_kept = one(watch, "SELECT to_regclass('idx_blockchain_tx_status') IS NOT NULL")
    felt.coerced_rows = one(
        watch,
        f"SELECT count(*) FROM {TABLE} WHERE id %% 7 IN (4, 5, 6) AND writes = 0 AND status::text = 'pending'",
    )


def lost(watch: psycopg.Connection[Any], written: dict[int, tuple[str, int]]) -> int:
    rows = watch.execute(f"SELECT id, status::text, writes FROM {TABLE} WHERE id = ANY(%s)", [list(written)]).fetchall()
    return sum(written[key] != (state, count) for key, state, count in rows)


def proven_down(
    watch: psycopg.Connection[Any], dsn: str, folder: Path, heard: list[Any], before_catalog: Any, before_data: Any
) -> str:
    """Take it back and compare: the catalog as it was, and every row that no client wrote to as it was."""
    migrate.down(dsn, folder, everything=True)
    changed = [one.sentence for one in differences(before_catalog, snapshot(watch)) if not one.soft]
    mine = sorted({key for _, _, written, _ in heard for key in written})
    # What the clients wrote stays; give these rows their first values, and the whole table must be as it was.
    watch.execute(
        f"""UPDATE {TABLE} SET writes = 0,
            status = (ARRAY['pending', 'confirmed', 'confirmed', 'failed', 'success', 'CONFIRMED', 'reverted'])[1 + id %% 7]
            WHERE id = ANY(%s)""",
        [mine],
    )
    after = table_digests(watch)
    name = f"public.{TABLE}"
    if changed:
        return "; ".join(changed)
    return "lossless" if after[name] == before_data[name] else "data differs"


def write_revision(folder: Path) -> None:
    revision = folder / REVISION
    revision.mkdir(parents=True)
    (revision / "meta.toml").write_text(META)
    (revision / "map.toml").write_text(MAP)
    (revision / "up.sql").write_text("CREATE TYPE public.tx_status AS ENUM ('pending', 'confirmed', 'failed');\n")
    (revision / "down.sql").write_text("DROP TYPE public.tx_status;\n")


BEGIN, END = "<!-- benchmark -->", "<!-- end of benchmark -->"


def rendered(results: dict[str, Any]) -> str:
    """The table of the documentation: one row for each variant, its repetitions side by side."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in results["runs"]:
        runs.setdefault(run["variant"], []).append(run)
    head = ("", "migration s", "p50 ms", "p99 ms", "longest stall ms", "over 1 s", "failed", "lost writes")
    tail = ("rows coerced", "log MB", "table MB", "NOT NULL, index kept", "down")
    lines = ["| " + " | ".join((*head, *tail)) + " |", "|---" * (len(head) + len(tail)) + "|"]
    for variant, found in runs.items():
        found.sort(key=lambda run: run["repetition"])
        cells = (
            [f"{run['seconds']:,}" for run in found],
            *(
                [f"{run[key]:,}" for run in found]
                for key in (
                    "p50_ms",
                    "p99_ms",
                    "worst_ms",
                    "over_1s",
                    "failed",
                    "lost_writes",
                    "coerced_rows",
                    "wal_mb",
                    "table_mb",
                )
            ),
        )
        kept = ["yes" if run["not_null_kept"] and run["index_kept"] else "no" for run in found]
        downs = sorted({run["down"] for run in found})
        row = [variant, *(" / ".join(cell) for cell in cells), " / ".join(kept), ", ".join(downs)]
        lines.append("| " + " | ".join(row) + " |")
    words = (
        f"{results['rows']:,} rows, {results['rate']:g} statements a second of two clients in an open loop, both repetitions "
        "side by side. Response times count from the moment a statement was due. Numbers of one machine with two cores; "
        "`benchmarks/online_enum.py` measures yours."
    )
    return "\n".join((BEGIN, "", *lines, "", words, "", END))


def render(numbers: Path, page: Path) -> None:
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if END in rest else rest
    page.write_text(before + rendered(json.loads(numbers.read_text())) + after)


def one(watch: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    return (
        watch.execute(query, values or None).fetchone()[0]
        if values
        else watch.execute(query.replace("%%", "%")).fetchone()[0]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--rate", type=float, default=40.0, help="statements a second of each of the two clients")
    parser.add_argument("--variants", nargs="+", default=["literal", "alter type", "ours"])
    parser.add_argument("--write", type=Path, help="keep the numbers as JSON")
    parser.add_argument("--render", nargs=2, type=Path, metavar=("JSON", "PAGE"), help="put kept numbers into a page")
    asked = parser.parse_args()
    if asked.render:
        render(*asked.render)
        return
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    cluster = EmbeddedPostgres(home / "pg", settings={"max_wal_size": "8GB", "shared_buffers": "512MB"})
    results: list[dict[str, Any]] = []
    try:
        server = cluster.start()
        owner = server.dsn(role="postgres", database="postgres")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench_template")
        with psycopg.connect(server.dsn(role="postgres", database="bench_template"), autocommit=True) as connection:
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    connection.execute(statement.replace("%(rows)s", str(asked.rows)))
            connection.execute("VACUUM ANALYZE")
        for rep in range(asked.reps):
            order = asked.variants if rep % 2 == 0 else list(reversed(asked.variants))
            for variant in order:
                felt = measure(server, "bench_template", asked.rows, asked.rate, variant, home / "revisions")
                results.append({"variant": variant, "repetition": rep + 1, **asdict(felt)})
                print(json.dumps(results[-1]), flush=True)
        if asked.write:
            asked.write.write_text(
                json.dumps({"rows": asked.rows, "rate": asked.rate * 2, "runs": results}, indent=2) + "\n"
            )
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
