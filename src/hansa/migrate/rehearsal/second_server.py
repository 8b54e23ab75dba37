"""A second server beside the live one: its own folder, port and socket, reachable from this machine alone.

It is made to be thrown away, so nothing is synced to disk; and it must never act on the outside world as the original
would: it archives nothing, streams nothing and does not follow the original's subscriptions.
"""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from hansa.migrate.rehearsal.errors import CannotClone
from hansa.migrate.rehearsal.programs import Binaries
from hansa.migrate.rehearsal.workplaces import DATA

# Recovery replays what was written while the copy was made: seconds as a rule, minutes at worst.
_START_LIMIT_S = 600.0
_STOP_LIMIT_S = 30.0
_PORT_TRIES = 5
_SOCKET_PATH_MAX = 100
_OURS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "cluster_name": "mig_rehearsal",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "archive_mode": "off",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "lc_messages": "C",
}
# The folder of the socket is closed to everybody else; whoever comes by TCP needs the password of the live server.
_ACCESS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondServer:
    """A server that answers."""

    socket_dir: Path
    port: int

    def dsn(self, *, user: str, database: str) -> str:
        return make_conninfo("", host=str(self.socket_dir), port=self.port, user=user, dbname=database)


@contextmanager
def second_server(
    place: Path, binaries: Binaries, *, user: str, database: str, settings: Mapping[str, str]
) -> Generator[SecondServer]:
    """Run a server on the folder `data` in `place`, which is given to the server's account; it is stopped at the end.

    It counts as ready when `user` can connect to `database`. Raises CannotClone when it does not start.
    """
    sockets = place / "s"
    if len(str(sockets)) > _SOCKET_PATH_MAX:
        raise CannotClone(f"{sockets} is too long for the path of a socket; set TMPDIR to a shorter one")
    try:
        sockets.mkdir(mode=0o700)
        _prepare(place / DATA)
        binaries.account.give(place / DATA)
        binaries.account.give(sockets)
        process, server = _started(place, sockets, binaries, user, database, settings)
        try:
            yield server
        finally:
            _stop(process)
    finally:
        for folder in (place / DATA, sockets):
            shutil.rmtree(folder, ignore_errors=True)


def _prepare(data: Path) -> None:
    """Take away what the original's folder says about files, archives, standbys and other people's access."""
    for name in ("standby.signal", "recovery.signal"):
        (data / name).unlink(missing_ok=True)
    (data / "postgresql.auto.conf").write_text("", encoding="utf-8")
    (data / "pg_ident.conf").write_text("", encoding="utf-8")
    (data / "pg_hba.conf").write_text(_ACCESS, encoding="utf-8")
    data.chmod(0o700)


def _started(
    place: Path, sockets: Path, binaries: Binaries, user: str, database: str, settings: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], SecondServer]:
    for _ in range(_PORT_TRIES):
        port = _free_port()
        _configure(place / DATA, {**settings, **_OURS, "port": str(port), "unix_socket_directories": str(sockets)})
        log = place / "server.log"
        process = binaries.account.start([binaries.program("postgres"), "-D", place / DATA], log=log)
        server = SecondServer(socket_dir=sockets, port=port)
        try:
            answered = _await(process, server.dsn(user=user, database=database))
        except BaseException:
            _stop(process)
            raise
        if answered:
            return process, server
        said = log.read_text(encoding="utf-8", errors="replace")
        if "Address already in use" not in said:
            raise CannotClone(f"the second server ended while starting: {' '.join(said.splitlines()[-3:])}")
        log.unlink()
    raise CannotClone("no free port was found for the second server")


def _configure(data: Path, settings: Mapping[str, str]) -> None:
    quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in settings.items()}
    lines = [f"{name} = '{value}'\n" for name, value in quoted.items()]
    path = data / "postgresql.conf"
    path.unlink(missing_ok=True)  # it may be a link to the original's
    path.write_text("".join(lines), encoding="utf-8")
    path.chmod(0o644)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _await(process: subprocess.Popen[bytes], dsn: str) -> bool:
    """Wait until the server answers; False when it ended instead. Raises CannotClone when it takes too long."""
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        try:
            psycopg.connect(dsn, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None:
                return False
            if "does not exist" in str(error):
                raise CannotClone(f"the second server does not let us in: {error}") from error
            time.sleep(0.02)
        else:
            return True
    raise CannotClone(f"the second server was not ready after {_START_LIMIT_S:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
