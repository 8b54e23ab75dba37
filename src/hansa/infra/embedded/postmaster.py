"""What the lock file of a data folder claims, and whether the process it names is really its server."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hansa.infra.embedded.account import Account
from hansa.infra.embedded.folders import read_text, write_file

_PROC = Path("/proc")
# Above every system's largest process id: PostgreSQL finds it dead and goes on to its other checks.
_NOBODY = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The lock file `postmaster.pid`; a server that died hard leaves it behind."""

    pid: int
    port: int
    """0 while the server has not got that far."""
    status: str
    """`starting`, `ready`, `standby` or `stopping`; empty at first."""


def read_claim(data: Path) -> Claim | None:
    """What `postmaster.pid` says, or None when there is none or its first line is not written yet."""
    lines = read_text(data / "postmaster.pid").splitlines()
    if not lines or not lines[0].strip().isdecimal():
        return None
    port = lines[3].strip() if len(lines) > 3 else ""
    return Claim(
        pid=int(lines[0]),
        port=int(port) if port.isdecimal() else 0,
        status=lines[7].strip() if len(lines) > 7 else "",
    )


def void_claim(data: Path, account: Account) -> None:
    """Make the lock file of a dead server harmless: it may name a zombie or, by now, a stranger.

    Removing it would also remove the key of the old shared memory, one of the ways by which PostgreSQL notices
    that backends of the dead server still write to this folder. So only the process id is replaced, by one that
    nobody can have.
    """
    path = data / "postmaster.pid"
    lines = read_text(path).splitlines(keepends=True)
    if not lines or not lines[0].strip().isdecimal():
        path.unlink(missing_ok=True)
        return
    write_file(path, "".join([f"{_NOBODY}\n", *lines[1:]]), uid=account.uid, gid=account.gid)


def alive(pid: int) -> bool:
    """Whether `pid` is a process that runs; a zombie does not."""
    return _state(pid) not in ("", "Z", "X")


def serves(pid: int, data: Path) -> bool:
    """Whether `pid` is the running server of this data folder, and not a zombie or a stranger with its number."""
    if not alive(pid):
        return False
    if not _PROC.joinpath("self/stat").exists():
        command = _ps(pid, "command")
        return "postgres" in command and f"-D {data}" in command
    arguments = read_text(_PROC / str(pid) / "cmdline").split("\0")
    if Path(arguments[0]).name != "postgres":
        return False
    try:
        # A server works inside its data folder, also after the home was moved.
        return os.path.samestat(_PROC.joinpath(str(pid), "cwd").stat(), data.stat())
    except OSError:  # a container may forbid even root to look there
        return str(data) in arguments


def _state(pid: int) -> str:
    if not _PROC.joinpath("self/stat").exists():
        return _ps(pid, "stat")[:1]
    try:
        # The name in brackets may hold anything; the state follows the last bracket.
        return read_text(_PROC / str(pid) / "stat").rpartition(")")[2].split()[0]
    except IndexError:
        return ""


def _ps(pid: int, column: str) -> str:
    answer = subprocess.run(
        ["/bin/ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()
