"""The house that a campaign plays in: started as users start it, seen from outside through its files and its server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg

from campaigns.record import Json
from hansa.entry.house import Running, running_in, stop_orphans
from hansa.infra.embedded import EmbeddedPostgres, EmbeddedRefused, Server

T = TypeVar("T")

RECOVERY_S = 120.0
"""A house that has not recovered after so long will not."""
TESTS = Path(__file__).parents[1]


class StageFailed(Exception):
    """The house did not open, did not recover, or ended; the message carries the end of its log."""


@dataclass
class Stage:
    """One house in a folder of its own."""

    folder: Path
    settings: Mapping[str, str]
    url: str = ""
    supervisor: subprocess.Popen[str] | None = None
    connection: psycopg.Connection[Any] | None = None

    def open(self) -> None:
        """`hansa up`, ready; on the port of the last time, as users who know the URL expect. Raises StageFailed."""
        port = self.url.rpartition(":")[2] or "0"
        command = [
            sys.executable,
            "-m",
            "hansa.entry.cli",
            "--home",
            str(self.home),
            "up",
            "--port",
            port,
            "-o",
            "json",
        ]
        with (self.folder / "house.log").open("a") as log:
            self.supervisor = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment(self.settings)
            )
        assert self.supervisor.stdout is not None, "a pipe was asked for"
        with self.supervisor.stdout as ready:
            line = ready.readline()
        if not line:
            raise StageFailed(f"the house did not open:\n{self.log[-5000:]}")
        self.url = json.loads(line)["url"]

    def wait_for_end(self) -> None:
        """Until the supervisor that was killed is gone."""
        assert self.supervisor is not None, "it was open"
        self.supervisor.wait(10)

    def close(self) -> None:
        """Stop the house and remove its data; what still runs of it is stopped too."""
        if self.connection is not None:
            self.connection.close()
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGTERM)
            try:
                self.supervisor.wait(60)
            except subprocess.TimeoutExpired:
                self.supervisor.kill()
                self.supervisor.wait()
        stop_orphans(self.home)
        EmbeddedPostgres(self.home).destroy()

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def log(self) -> str:
        return (self.folder / "house.log").read_text(errors="replace")

    @property
    def running(self) -> Running:
        """Who runs in the house now. Raises StageFailed when the supervisor is gone."""
        found = running_in(self.home)
        if found is None or self.supervisor is None or self.supervisor.poll() is not None:
            raise StageFailed(f"the supervisor has ended:\n{self.log[-5000:]}")
        return found

    def server(self) -> Server | None:
        """The embedded server, when it answers."""
        with suppress(EmbeddedRefused, psycopg.Error):
            return EmbeddedPostgres(self.home).status()
        return None

    def pid_of(self, child: str) -> int:
        """Process id of serve, worker or chain; waits while it is being started again."""

        def look() -> int | None:
            pid = self.running.children.get(child)
            return pid if pid and runs(pid) else None

        return self.wait_for(look, f"a running {child}")

    def postmaster(self) -> int:
        return self.wait_for(lambda: (found := self.server()) and found.pid, "the embedded server")

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a statement gives to the superuser; connects again when the server was away meanwhile."""

        def look() -> list[tuple[Any, ...]] | None:
            try:
                return self.rows_now(statement, *parameters)
            except psycopg.OperationalError:
                return None

        return self.wait_for(look, "an answer of the embedded server", present=lambda found: found is not None)

    def rows_now(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The same, once. Raises psycopg.OperationalError."""
        if self.connection is None or self.connection.closed:
            server = self.server()
            if server is None:
                raise psycopg.OperationalError("the embedded server is away")
            dsn = server.dsn(role="postgres", database="hansa")
            self.connection = psycopg.connect(dsn, autocommit=True, application_name="campaign")
        try:
            return self.connection.execute(statement, parameters or None).fetchall()
        except psycopg.OperationalError:
            self.connection.close()
            raise

    def wait_for(self, look: Callable[[], T | None], what: str, *, present: Callable[[T | None], object] = bool) -> T:
        """Look until there is something. Raises StageFailed."""
        deadline = time.monotonic() + RECOVERY_S
        while time.monotonic() < deadline:
            found = look()
            if present(found):
                return found  # type: ignore[return-value]
            time.sleep(0.02)
        raise StageFailed(f"no {what} after {RECOVERY_S:.0f} s:\n{self.log[-5000:]}")

    def serves(self) -> bool:
        """Whether everything is there: the server, the children, the API, and the worker that runs now."""
        pids = self.running.children
        if not all(runs(pid) for pid in pids.values()):
            return False
        try:
            ready = httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
            beats = self.rows_now("SELECT process FROM ops.heartbeats WHERE process LIKE %s", f"% {pids['worker']}")
        except (httpx.TransportError, psycopg.OperationalError):
            return False
        return ready and bool(beats)

    def operator(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """An operator's command on this home."""
        command = [sys.executable, "-m", "hansa.entry.cli", "--home", str(self.home), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment(self.settings), timeout=120
        )

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """A process of the campaign itself, in a session of its own."""
        path = [str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        env = {**environment(self.settings), "PYTHONPATH": os.pathsep.join(filter(None, path))}
        with (self.folder / "driver.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments], env=env, stderr=log, text=True, start_new_session=True
            )

    def logged(self) -> list[Json]:
        """The lines of the house's log that are JSON."""
        found: list[Json] = []
        for line in self.log.splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]


@contextmanager
def opened(settings: Mapping[str, str]) -> Generator[Stage]:
    """A house with these settings in a folder of its own; gone at the end, whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-campaign-"))
    folder.chmod(0o755)  # the account under which root runs the server must reach its data
    stage = Stage(folder=folder, settings=settings)
    try:
        stage.open()
        yield stage
    finally:
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """A campaign has its own home, database and settings, whatever is set around it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HANSA_") and "DATABASE_URL" not in name
    }
    return {**kept, **settings}


def runs(pid: int) -> bool:
    """Whether a process runs; one that is dead and not buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in ("Z", "X")


def background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
