"""What the benchmarks of the ledger and of deals share: a durable server, clients in threads, rounds in turn, pgbench."""

import math
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hansa import migrate
from hansa.infra.database import embedded
from hansa.infra.embedded import EmbeddedPostgres
from hansa.infra.embedded.binaries import find_binaries
from hansa.migrations import DIRECTORY

WARM_S = 1.5


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A migrated server with the settings of `hansa up`: fsync and synchronous_commit are on."""

    folder: Path
    owner: str
    app: str


@contextmanager
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "home")
    try:
        database = embedded(server.start())
        migrate.up(database.owner_dsn, DIRECTORY)
        yield Cluster(folder=folder, owner=database.owner_dsn, app=database.app_dsn)
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Measured:
    """What one variant did over all rounds."""

    rates: list[float] = field(default_factory=list)
    """Things done per second, one number for each round."""
    times: list[float] = field(default_factory=list)
    """Seconds of each thing, as its client waited for it."""

    def row(self):
        spent = sorted(self.times) or [0.0]
        return {
            "per_s": round(statistics.median(self.rates), 1),
            "p50_ms": round(statistics.median(spent) * 1000, 2),
            "p99_ms": round(spent[min(len(spent) - 1, int(len(spent) * 0.99))] * 1000, 2),
        }


def in_turn(variants, rounds):
    """Run all variants in each round, every second round backwards (A/B, B/A); name -> Measured, and each round's rates.

    A variant is a function that returns (things per second, seconds of each thing).
    """
    measured = {name: Measured() for name in variants}
    for number in range(rounds):
        names = list(variants)
        for name in names if number % 2 == 0 else reversed(names):
            rate, times = variants[name]()
            measured[name].rates.append(rate)
            measured[name].times += times
    return measured


def ratio(one, other):
    """How many times as much one variant does as another: the median over the rounds in which both ran."""
    return round(statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=True)), 2)


def by_threads(act, clients, seconds):
    """Let so many clients call `act(client, count)` again and again; things per second, and the time of each."""
    stop, times = time.monotonic() + seconds, []

    def client(number):
        count = 0
        while time.monotonic() < stop:
            began = time.monotonic()
            act(number, count)
            times.append(time.monotonic() - began)
            count += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) / (time.monotonic() - began), times


def by_pgbench(dsn, script, *, clients, seconds, each=1, variables=None):
    """Run a script in pgbench; things per second when one run of it does `each`, and the time of each run.

    Only the last `seconds` count: until then every connection has prepared its statements, as those of a pool have.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        command = [
            pgbench(), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(clients, 2)}",
            f"--time={math.ceil(seconds + WARM_S)}", f"--file={path}", "--log", f"--log-prefix={folder}/log",
            *[f"--define={name}={value}" for name, value in (variables or {}).items()], dsn,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or "aborted" in done.stderr:
            raise RuntimeError(done.stderr)
        ends = sorted(
            (int(epoch) + int(us) / 1e6, int(spent) / 1e6)
            for log in Path(folder).glob("log*")
            for _, _, spent, _, epoch, us in (line.split() for line in log.read_text().splitlines())
        )
    counted = [(end, spent) for end, spent in ends if end >= ends[-1][0] - seconds]
    return len(counted) * each / seconds, [spent for _, spent in counted]


def pgbench():
    """The program beside the server's own."""
    return os.fspath(find_binaries().bin / "pgbench")


def flush_ms(folder):
    """How long this disk takes to make 8 kB durable: the median of a hundred, in milliseconds.

    A commit that carries one operation takes at least this; the longer it is, the more a batch saves.
    """
    spent = []
    with (folder / "flush").open("wb") as file:
        for _ in range(100):
            file.write(b"\0" * 8192)
            file.flush()
            began = time.monotonic()
            os.fdatasync(file.fileno())
            spent.append(time.monotonic() - began)
    return round(statistics.median(spent) * 1000, 2)


def verdicts(ours, found_and_asked):
    """One line for each bar."""
    return [
        f"{ours} / {name}: {found}, asked for {bar}: {'met' if found >= bar else 'missed'}"
        for name, (found, bar) in found_and_asked.items()
    ]


def table(headings, rows):
    """Lines of a table for a terminal, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    )


def markdown(headings, rows):
    """The same as a table of a page."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (headings, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(headings), *lines[1:]])
