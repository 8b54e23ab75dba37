"""Starting, finding and stopping the server of one home."""

import fcntl
import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from hansa.infra.embedded.binaries import MAJOR, Binaries, reachable_binaries
from hansa.infra.embedded.configuration import CONF, checked, conf_text
from hansa.infra.embedded.errors import (
    DataGone,
    DataOfAnotherVersion,
    DiskFull,
    FolderNotOurs,
    PasswordLost,
    PortTaken,
    StartFailed,
    StopFailed,
    from_log,
    named,
)
from hansa.infra.embedded.folders import read_text, server_folder, write_file
from hansa.infra.embedded.place import NAME, VAULT, Place, choose_place, find_place, make_home, require_reached
from hansa.infra.embedded.postmaster import alive, read_claim, serves, void_claim
from hansa.infra.embedded.server import SUPERUSER, Server

# Crash recovery replays what was written since the last checkpoint: seconds as a rule, minutes at worst.
_START_LIMIT_S = 600.0
_STOP_LIMIT_S = 600.0
# How long backends of a server that was killed may take to notice it.
_ORPHANS_LIMIT_S = 30.0
_LAST_WORDS_LIMIT_S = 2.0
_NEW_CLUSTER_BYTES = 80 * 2**20
# Below what Linux and macOS hand out for outgoing connections, so that a port stays free between two starts.
_PORTS = range(20_000, 32_000)
_PORT_TRIES = 20

# What a living server says when it has no place left for us.
_BUSY = ("too many clients already", "remaining connection slots")

log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """The PostgreSQL server of one home: at most one runs, and everybody who asks gets that one.

    `settings` are PostgreSQL settings on top of the launcher's; they count from the next real start.
    `vault` is where root keeps what the home or the virtual environment hides from the server's account.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] = {}, vault: Path = VAULT) -> None:
        self._home = Path(os.path.abspath(home))  # noqa: PTH100 - resolve() would follow a link that may be moved
        self._settings = checked(settings)
        self._vault = vault

    def start(self) -> Server:
        """The running server, started if need be: created at first, recovered after a crash.

        It outlives this process. Waits while another process starts it. Raises EmbeddedRefused.
        """
        return self.status() or self._start()

    def status(self) -> Server | None:
        """The server if it answers a connection; changes nothing. Raises EmbeddedRefused."""
        place = find_place(self._home)
        return _answering(place) if place else None

    def stop(self) -> None:
        """Stop the server and wait for its end: transactions in progress roll back. Raises StopFailed."""
        if find_place(self._home) is None:
            return
        with self._locked():
            place = find_place(self._home)
            if place is not None:
                _stop(place)

    def destroy(self) -> None:
        """Stop the server and remove its data, wherever it lies. There is no way back. Raises StopFailed."""
        if find_place(self._home) is None:
            return
        with self._locked():
            place = find_place(self._home)
            if place is not None:
                _stop(place)
                place.remove()

    def _start(self) -> Server:
        make_home(self._home)
        with self._locked():
            with named(self._home):
                place = choose_place(self._home, self._vault)
            server = _answering(place)  # another process may have been faster
            if server is not None:
                return server
            with named(place.folder):
                binaries = reachable_binaries(place.account, self._vault)
                if not _has_data(place):
                    _create(place, binaries, synced=self._settings.get("fsync") != "off")
                _check(place)
                return _recovering(place) or self._launch(place, binaries)

    def _launch(self, place: Place, binaries: Binaries) -> Server:
        """Start, on another port when the one of the last time is taken. Raises PortTaken, StartFailed, DiskFull."""
        asked = self._settings.get("port")
        port = int(asked) if asked else place.port or secrets.choice(_PORTS)
        for _ in range(_PORT_TRIES):
            self._configure(place, port)
            server, lines = _run_alone(place, binaries)
            if server is not None:
                return server
            if "Address already in use" not in "".join(lines):
                raise from_log(f"the server on {place.data} ended while starting:", lines)
            if asked:
                raise PortTaken(f"port {port} is in use by another program")
            port = secrets.choice(_PORTS)
        raise PortTaken(f"no free port found from {_PORTS.start} to {_PORTS.stop}")

    def _configure(self, place: Place, port: int) -> None:
        server_folder(place.socket_dir, place.account)
        text = conf_text(self._settings, port=port, socket_dir=place.socket_dir)
        write_file(place.data / CONF, text, uid=place.account.uid, gid=place.account.gid)
        place.keep_record(port=port)  # before the start: whoever comes after a crash must find it

    @contextmanager
    def _locked(self) -> Generator[None, None, None]:
        """One starter or stopper per home at a time; the operating system lets go when a process dies."""
        path = self._home / f"{NAME}.lock"
        with named(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            owner = self._home.stat()
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            _lock(descriptor, self._home)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, home: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StartFailed(f"another process has been starting {home} for {_START_LIMIT_S:.0f} s") from None
            time.sleep(0.05)
        else:
            return


def _has_data(place: Place) -> bool:
    if not place.folder.exists():
        raise DataGone(f"the data of {place.home} was in {place.folder}, which is gone")
    if not place.data.exists():
        return False
    require_reached(place)
    return any(place.data.iterdir())


def _create(place: Place, binaries: Binaries, *, synced: bool) -> None:
    """Make a new cluster beside its final name and move it there once it is complete."""
    free = shutil.disk_usage(place.folder).free
    if free < _NEW_CLUSTER_BYTES:
        raise DiskFull(f"a new cluster needs {_NEW_CLUSTER_BYTES >> 20} MB, {place.folder} has {free >> 20} MB")
    log.info("creating a PostgreSQL %s cluster in %s", MAJOR, place.data)
    password = secrets.token_urlsafe(32)
    if place.unfinished.exists():
        shutil.rmtree(place.unfinished)
    server_folder(place.unfinished, place.account)
    try:
        _initdb(place, binaries, password, synced=synced)
        with (place.unfinished / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(f"\ninclude '{CONF}'\n")
        place.keep_password(password)
        place.keep_record(port=None)
        place.unfinished.rename(place.data)
    finally:
        shutil.rmtree(place.unfinished, ignore_errors=True)


def _initdb(place: Place, binaries: Binaries, password: str, *, synced: bool) -> None:
    # initdb reads the password as the server's account, to which a pipe of ours is closed.
    handed = place.folder / f"{NAME}.initial"
    write_file(handed, password + "\n", uid=place.account.uid, gid=place.account.gid)
    command = [
        binaries.bin / "initdb",
        f"--pgdata={place.unfinished}",
        f"--username={SUPERUSER}",
        f"--pwfile={handed}",
        "--auth-local=scram-sha-256",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        # The same order of text on every platform, whatever its C library thinks.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *([] if synced else ["--no-sync"]),
    ]
    try:
        done = place.account.run(command, env=binaries.env)
    finally:
        handed.unlink()
    if done.returncode != 0:
        raise from_log(f"initdb could not create {place.data}:", done.stdout.splitlines())


def _check(place: Place) -> None:
    """Refuse data that is not ours to start, before anything is written to it."""
    version = read_text(place.data / "PG_VERSION").strip()
    if not version:
        raise FolderNotOurs(f"{place.data} is not a PostgreSQL data folder")
    if version != MAJOR:
        raise DataOfAnotherVersion(f"{place.data} was written by PostgreSQL {version}; this is {MAJOR}")
    if not place.password:
        raise PasswordLost(f"{place.home / NAME}.password is missing")


def _recovering(place: Place) -> Server | None:
    """Wait for a server that runs but does not answer yet; forget one that is dead."""
    claim = read_claim(place.data)
    if claim is not None and serves(claim.pid, place.data):
        server = _await(place, claim.pid)
        if server is not None:
            return server
    void_claim(place.data, place.account)
    if place.socket_dir.exists():
        for leftover in place.socket_dir.glob(".s.PGSQL.*"):
            leftover.unlink()
    return None


def _run_alone(place: Place, binaries: Binaries) -> tuple[Server | None, list[str]]:
    """Start the server, and again while backends of a killed one still hold its memory: they are about to notice."""
    deadline = time.monotonic() + _ORPHANS_LIMIT_S
    while True:
        server, lines = _run(place, binaries)
        held = server is None and "pre-existing shared memory block" in "".join(lines)
        if not held or time.monotonic() > deadline:
            return server, lines
        time.sleep(0.2)


def _run(place: Place, binaries: Binaries) -> tuple[Server | None, list[str]]:
    """Start the server once; without a server, the lines say what it wrote before it ended."""
    seen = {path: path.stat().st_size for path in _logs(place)}
    server = _await(place, _spawn(place, binaries))
    return server, [] if server is not None else _last_words(place, seen)


def _last_words(place: Place, seen: Mapping[Path, int]) -> list[str]:
    """What a server that ended while starting wrote, to its first log and to the others from byte `seen` on.

    The process that writes the others ends a moment later than the server, so the closing line is waited for.
    """
    first = read_text(_start_log(place))
    deadline = time.monotonic() + _LAST_WORDS_LIMIT_S
    while True:
        later = "".join(read_text(path, start=seen.get(path, 0)) for path in _logs(place))
        complete = "redirecting log output" not in first or "database system is shut down" in later
        if complete or time.monotonic() > deadline:
            return (first + later).splitlines()
        time.sleep(0.02)


def _spawn(place: Place, binaries: Binaries) -> int:
    """Start the postmaster as nobody's child: it outlives us, and whoever adopts it also buries it.

    A shell in between instead of pg_ctl, which builds its command line by pasting paths into one string.
    """
    script = 'log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $!'
    command = ["/bin/sh", "-c", script, "sh", _start_log(place), binaries.bin / "postgres", "-D", place.data]
    done = place.account.run(command, env=binaries.env)
    if done.returncode != 0 or not done.stdout.strip().isdecimal():
        raise from_log(f"the server on {place.data} could not be started:", done.stdout.splitlines())
    return int(done.stdout)


def _await(place: Place, pid: int) -> Server | None:
    """Wait until the server answers, or None as soon as its process has ended. Raises StartFailed.

    A server that takes too long is left alone: it is recovering, and killing it would only start that anew.
    """
    began = reported = time.monotonic()
    while time.monotonic() - began < _START_LIMIT_S:
        ended = not alive(pid)
        server = _answering(place)
        if server is not None or ended:
            return server
        if time.monotonic() - reported > 3:
            reported = time.monotonic()
            log.info("waiting for %s for %.0f s: %s", place.data, reported - began, _last_line(place))
        time.sleep(0.02)
    raise StartFailed(f"the server on {place.data} is not ready after {_START_LIMIT_S:.0f} s: {_last_line(place)}")


def _stop(place: Place) -> None:
    claim = read_claim(place.data)
    if claim is not None and serves(claim.pid, place.data):
        with suppress(ProcessLookupError):
            os.kill(claim.pid, signal.SIGINT)  # to the postmaster this is a fast shutdown
        deadline = time.monotonic() + _STOP_LIMIT_S
        while serves(claim.pid, place.data):
            if time.monotonic() > deadline:
                raise StopFailed(f"the server on {place.data} still runs after {_STOP_LIMIT_S:.0f} s")
            time.sleep(0.02)
    place.remove_socket_dir()


def _answering(place: Place) -> Server | None:
    """The server of this place, if a connection to it succeeds. Raises PasswordLost, FolderNotOurs."""
    try:
        claim = read_claim(place.data)
        password = place.password
    except PermissionError as error:
        raise FolderNotOurs(f"{place.home} is closed to uid {os.geteuid()}: {error}") from error
    if claim is None or claim.status not in ("ready", "standby"):
        return None
    if not password:
        raise PasswordLost(f"{place.home / NAME}.password is missing")
    server = Server(data=place.data, socket_dir=place.socket_dir, port=claim.port, pid=claim.pid, password=password)
    return server if _answers_locally(server) or _answers_remotely(server) else None


def _answers_locally(server: Server) -> bool:
    """Whether our own socket answers. Only a server of ours can listen there, so its refusals count too."""
    if not server.socket.exists():
        return False
    try:
        served = _connect(server.dsn(role=SUPERUSER, database=SUPERUSER))
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise PasswordLost(f"the server on {server.data} no longer accepts its password") from error
        return any(words in str(error) for words in _BUSY)
    # After its home was moved, the server still reports the old folder.
    return not served.exists() or served.samefile(server.data)


def _answers_remotely(server: Server) -> bool:
    """Whether our port answers, for the case that the socket was swept away. Anybody may listen there.

    Even with the right password it may be another: a copied home has the password and, in its stale lock file,
    the address of the original.
    """
    try:
        served = _connect(server.tcp_dsn(role=SUPERUSER, database=SUPERUSER))
    except psycopg.Error:
        return False
    return served.samefile(server.data) if served.exists() else serves(server.pid, server.data)


def _connect(dsn: str) -> Path:
    """The data folder of the server behind `dsn`, by its own account. Raises psycopg.OperationalError.

    The method is fixed, so that a stranger cannot ask us for the password in clear.
    """
    with psycopg.connect(
        dsn, connect_timeout=10, autocommit=True, require_auth="scram-sha-256", application_name="hansa launcher"
    ) as connection:
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    assert row is not None
    return Path(row[0])


def _start_log(place: Place) -> Path:
    """What the server says before it writes to its own log."""
    return place.data / "start.log"


def _logs(place: Place) -> list[Path]:
    return sorted((place.data / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)


def _last_line(place: Place) -> str:
    lines = [line for path in (_start_log(place), *_logs(place)) for line in read_text(path).splitlines()[-1:]]
    return lines[-1] if lines else "it has said nothing yet"
