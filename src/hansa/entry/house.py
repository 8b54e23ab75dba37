"""`hansa up`: database, schema, chain, API and worker of one home, as processes that are watched and started again.

    home/run.json     who runs here: pid of this process, URLs, pids of the children; gone when nobody does
    home/chain.url    where the local chain answers, also after it was started again on another port

The parent holds a lock on the home, so that a second `hansa up` finds the first one instead of fighting it. A child
that dies is started again; so is the embedded server. Ctrl-C, SIGTERM, a closed terminal or `hansa down` stop all,
last started first. What a parent that was killed has left running is ended by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

import httpx

from hansa import migrate
from hansa.entry.runtime import CHAIN_URL_FILE, house_key
from hansa.infra.database import Database, check_version, resolve
from hansa.infra.embedded import EmbeddedPostgres, EmbeddedRefused
from hansa.infra.embedded.postmaster import alive
from hansa.infra.log import logger
from hansa.infra.settings import Settings
from hansa.kernel.errors import Conflict, ServiceUnavailable
from hansa.migrations import DIRECTORY

log = logger(__name__)

READY_WITHIN_S = 60
WATCH_S = 0.2
REST_S_MAX = 10.0
"""The longest pause before a child that keeps dying at once is started again."""
ORPHANS_WITHIN_S = 5.0
NAMELESS_WITHIN_S = 1.0
"""A process that starts is without arguments for microseconds; a second is for a machine that stands still."""
STABLE_S = 10.0
"""A child that lived so long did not die of its start."""
Report = Callable[[str], None]
"""Told what is being done, for a person who waits."""


class HouseRunning(Conflict):
    """This home is already up."""


class HouseDown(Conflict):
    """Nothing runs in this home; start it with `hansa up`."""


class PortInUse(Conflict):
    """Another program listens on this port; choose one with --port, or 0 for a free one."""


class NotReady(ServiceUnavailable):
    """The house did not become ready; the log lines above say why."""


class DiskFull(ServiceUnavailable):
    """The disk is full; free some space and start again. Nothing is lost: what was committed is on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What `home/run.json` says."""

    pid: int
    url: str
    chain: str
    home: str
    children: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class Child:
    """One watched process."""

    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[str] | None = None
    first_line: str = ""
    starts: int = 0
    started_at: float = 0.0
    """By the monotonic clock."""
    early_deaths: int = 0
    """Deaths soon after a start, one after the other."""

    def start(self, *, read_line: bool = False) -> None:
        """Start it in its own session, so that Ctrl-C reaches only the parent, which stops them in order."""
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdout=subprocess.PIPE if read_line else subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        died_early = self.starts > 0 and time.monotonic() - self.started_at < STABLE_S
        self.early_deaths = self.early_deaths + 1 if died_early else 0
        self.started_at = time.monotonic()
        self.starts += 1
        if read_line:
            assert self.process.stdout is not None, "a pipe was asked for"
            self.first_line = self.process.stdout.readline()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def may_start(self) -> bool:
        """Whether a dead child has rested enough: one that dies of its start must not keep the machine busy."""
        rest_s = min(WATCH_S * 2.0**self.early_deaths, REST_S_MAX) if self.early_deaths else 0.0
        return time.monotonic() - self.started_at >= rest_s

    def stop(self, *, within_s: float = 15) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class House:
    """All processes of one home."""

    def __init__(self, settings: Settings, *, slot_ms: int = 400, report: Report = lambda _: None) -> None:
        self.settings, self.slot_ms, self.report = settings, slot_ms, report
        self.stopping = threading.Event()
        self.children: list[Child] = []
        self.url = ""
        self.chain = settings.solana_rpc_url

    def run(self, on_ready: Callable[[Running], None]) -> None:
        """Start everything, say when it is ready, and watch it until somebody says stop.

        Raises HouseRunning, PortInUse, DiskFull, NotReady, and what the database refuses.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.stop)
        with home_lock(self.settings.home):
            try:
                self.start()
                running = self.note()
                on_ready(running)
                while not self.stopping.wait(WATCH_S):
                    self.watch()
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise DiskFull from error
                raise
            finally:
                self.shut()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        del number, frame
        self.stopping.set()

    def start(self) -> None:
        """Database, schema, chain, API, worker: each when what it needs is there."""
        port = self.choose_port()
        self.url = self.settings.public_url or f"http://{self.settings.host}:{port}"
        self.report("database")
        database = resolve(self.settings)
        check_version(database.owner_dsn)
        house_key(self.settings.home, "house")
        self.report("schema")
        migrate.up(database.owner_dsn, DIRECTORY)
        if not self.settings.solana_rpc_url:
            self.report("local chain")
            self.start_chain()
        environment = self.environment(database, port)
        self.report("API and worker")
        for name in ("serve", "worker"):
            command = [sys.executable, "-m", "hansa.entry.cli", "--home", str(self.settings.home), name]
            child = Child(name, command, environment)
            child.start()
            self.children.append(child)
            self.note()
        self.wait_until_ready(port)

    def choose_port(self) -> int:
        """The configured port or a free one; a killed parent's is free a moment after its children. Raises PortInUse."""
        deadline = time.monotonic() + (ORPHANS_WITHIN_S if stop_orphans(self.settings.home) else 0)
        while True:
            try:
                return free_port(self.settings.host, self.settings.port)
            except PortInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def environment(self, database: Database, port: int) -> dict[str, str]:
        """Settings of the children; the database of an embedded server is found by each of them anew."""
        del database
        return {
            **os.environ,
            "HANSA_HOME": str(self.settings.home),
            "HANSA_HOST": self.settings.host,
            "HANSA_PORT": str(port),
            "HANSA_PUBLIC_URL": self.url,
            "HANSA_SOLANA_RPC_URL": self.settings.solana_rpc_url,
        }

    def start_chain(self) -> None:
        """The local chain on its old port when that is free, so that clients find it again."""
        noted = self.settings.home / CHAIN_URL_FILE
        old = noted.read_text().strip().rpartition(":")[2] if noted.exists() else "0"
        port = old if old.isdigit() and port_is_free("127.0.0.1", int(old)) else "0"
        chain = next((child for child in self.children if child.name == "chain"), None)
        if chain is None:
            chain = Child("chain", [], dict(os.environ))
            self.children.append(chain)
        home = self.settings.home / "chain"
        chain.command = [sys.executable, "-m", "hansa.chain", "--home", str(home), "--port", port]
        chain.command += ["--slot-ms", str(self.slot_ms)]
        chain.start(read_line=True)
        if not chain.first_line:
            raise NotReady("the local chain did not start")
        self.chain = str(json.loads(chain.first_line)["url"])
        write(noted, self.chain)
        self.note()

    def wait_until_ready(self, port: int) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        address = f"http://{self.settings.host}:{port}/readyz"
        while time.monotonic() < deadline and not self.stopping.is_set():
            with suppress(httpx.HTTPError):
                if httpx.get(address, timeout=2).status_code == 200:
                    return
            if any(child.starts == 1 and not child.alive() for child in self.children):
                raise NotReady("a process of the house ended before it was ready")
            time.sleep(0.05)
        raise NotReady

    def watch(self) -> None:
        """Start again what died: first the database, on which the others stand. What fails is tried again later."""
        try:
            self.watch_server()
            for child in self.children:
                if not child.alive() and child.may_start():
                    log.warning("a process is gone and is started again", process=child.name, starts=child.starts)
                    self.start_again(child)
        except (EmbeddedRefused, NotReady) as refusal:
            log.error("it does not start; it is tried again", error=str(refusal))  # noqa: TRY400 - no traceback for people
            self.stopping.wait(1.0)

    def watch_server(self) -> None:
        if self.settings.database_url:
            return
        cluster = EmbeddedPostgres(self.settings.home)
        if cluster.status() is None:
            log.warning("the embedded server is gone and is started again")
            cluster.start()

    def start_again(self, child: Child) -> None:
        if child.name != "chain":
            child.start()
            self.note()
            return
        before = self.chain
        self.start_chain()
        if self.chain != before:
            # Its port was taken meanwhile; the others read the address when they start.
            for other in self.children:
                if other is not child:
                    other.stop()

    def note(self) -> Running:
        pids = {child.name: child.process.pid for child in self.children if child.process}
        running = Running(pid=os.getpid(), url=self.url, chain=self.chain, home=str(self.settings.home), children=pids)
        write(self.settings.home / "run.json", json.dumps(asdict(running)))
        return running

    def shut(self) -> None:
        """Stop the children, last started first, then the embedded server."""
        for child in reversed(self.children):
            child.stop()
        (self.settings.home / "run.json").unlink(missing_ok=True)
        if not self.settings.database_url:
            EmbeddedPostgres(self.settings.home).stop()


def running_in(home: Path) -> Running | None:
    """Who runs in this home; None when nobody does, whatever a left-over file says."""
    try:
        found = Running(**json.loads((home / "run.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if lock_is_held(home) else None


def stop_orphans(home: Path) -> int:
    """End the children of a parent that was killed, which still hold the port and the chain; returns how many.

    At once, since each of them is made to be killed at any moment, and a polite end would wait for their requests.
    """
    try:
        left = Running(**json.loads((home / "run.json").read_text()))
    except (OSError, ValueError, TypeError):
        return 0
    orphans = [pid for pid in left.children.values() if str(home) in command_of(pid)]
    for pid in orphans:
        log.warning("a process of a parent that was killed is ended", pid=pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + ORPHANS_WITHIN_S
    while any(alive(pid) for pid in orphans) and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(orphans)


def command_of(pid: int) -> str:
    """The command line of a process; empty when there is none, or when it is dead and waits to be buried."""
    if not Path("/proc/self/cmdline").exists():
        ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()
    deadline = time.monotonic() + NAMELESS_WITHIN_S
    command = _arguments_of(pid)
    while not command and alive(pid) and time.monotonic() < deadline:
        # In the middle of its exec a process lives and has no arguments yet.
        time.sleep(0.005)
        command = _arguments_of(pid)
    return command


def _arguments_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def down(home: Path, *, within_s: float = 60) -> Running:
    """Stop what runs in this home and wait for it. Raises HouseDown."""
    found = running_in(home)
    if found is None:
        raise HouseDown
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + within_s
    while lock_is_held(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@contextmanager
def home_lock(home: Path) -> Generator[None]:
    """One house per home. Raises HouseRunning."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "house.lock").open("w") as file:
        if not try_lock(file):
            found = running_in(home)
            raise HouseRunning(f"already up at {found.url}" if found else None, url=found.url if found else None)
        yield


def lock_is_held(home: Path) -> bool:
    try:
        with (home / "house.lock").open("w") as file:
            return not try_lock(file)
    except OSError:
        return False


def try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def free_port(host: str, port: int) -> int:
    """The port itself, or a free one for 0. Raises PortInUse."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(f"port {port} on {host} is in use: choose another with --port", port=port) from error
        return int(probe.getsockname()[1])


def port_is_free(host: str, port: int) -> bool:
    try:
        free_port(host, port)
    except PortInUse:
        return False
    return True


def write(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new one."""
    scratch = path.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(path)
