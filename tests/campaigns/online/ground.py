"""A server of its own, durable as PostgreSQL ships it, with processes that work on it and can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from campaigns.online.migration import fill, write_revisions
from campaigns.stage import TESTS, environment, runs
from hansa.infra.embedded import EmbeddedPostgres, Server

TEMPLATE = "campaign_start"
PROC = Path("/proc")


@dataclass
class Ground:
    """The server, its databases, and the folder with everything."""

    folder: Path
    rows: int
    """How many transfers there are at the beginning."""
    server: Server
    started: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def revisions(self) -> Path:
        return self.folder / "migrations"

    def dsn(self, database: str) -> str:
        return self.server.dsn(role="postgres", database=database)

    def prepare(self, *, seed: int) -> None:
        """Make the database that every round begins with, and the revisions."""
        write_revisions(self.revisions)
        self.do(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        with psycopg.connect(self.dsn(TEMPLATE), autocommit=True) as connection:
            fill(connection, rows=self.rows, seed=seed)

    def database(self, name: str) -> str:
        """A database as at the beginning; returns its connection string."""
        self.do(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
        return self.dsn(name)

    def drop(self, name: str) -> None:
        self.do(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def do(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def start(self, module: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """A process of the round, whose output is added to `log`."""
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**environment({}), "PYTHONPATH": path},
                stdout=file,
                stderr=file,
            )
        self.started.append(process)
        return process

    def kill_server(self) -> None:
        """The postmaster first, so that it starts nothing any more, then all of its children."""
        postmaster = self.server.pid
        children = children_of(postmaster)
        send(postmaster, signal.SIGKILL)
        for child in children:
            send(child, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while any(runs(pid) for pid in (postmaster, *children)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def start_server(self) -> None:
        self.server = EmbeddedPostgres(self.folder / "home").start()

    def close(self) -> None:
        for process in self.started:
            end(process)
        EmbeddedPostgres(self.folder / "home").destroy()


@contextmanager
def opened(*, rows: int, seed: int) -> Generator[Ground]:
    """A ground with the tables as they are before the migration; gone at the end, whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-online-kills-"))
    folder.chmod(0o755)  # the account under which root runs the server must reach its data
    cluster = EmbeddedPostgres(folder / "home")
    try:
        ground = Ground(folder=folder, rows=rows, server=cluster.start())
        try:
            ground.prepare(seed=seed)
            yield ground
        finally:
            ground.close()
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that still runs, and bury it."""
    if process.poll() is None:
        process.kill()
    process.wait()


def children_of(parent: int) -> Sequence[int]:
    found: list[int] = []
    for entry in PROC.iterdir():
        with suppress(OSError, ValueError, IndexError):
            # The name in brackets may hold anything; state and parent follow the last bracket.
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
