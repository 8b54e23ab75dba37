"""The temporary folder of a rehearsal, and what a killed rehearsal left of one: found by its name, told by its lock.

The operating system lets go of a file lock when its process dies, however it dies; so a folder whose lock can be taken
belongs to nobody, whatever process ids say.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "mig_rehearsal_"
"""Begins the name of everything that a rehearsal makes and must not leave behind."""
DATA = "data"
_LOCK = "owner.lock"
# A folder gets its lock within a moment of its birth; until then nobody may take it for a leftover.
_UNLOCKED_S = 60.0
_END_LIMIT_S = 20.0
_PROC = Path("/proc")


@contextmanager
def workplace() -> Generator[Path]:
    """A folder that is removed at the end, by us or by the next rehearsal. The server's account may pass through it."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        descriptor = _locked_file(folder)
        try:
            folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
            yield folder
        finally:
            os.close(descriptor)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> tuple[Path, ...]:
    """Stop the servers and remove the folders of rehearsals that were killed; returns those folders."""
    left = [folder for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if _is_leftover(folder)]
    for folder in left:
        _end_server(folder / DATA)
        shutil.rmtree(folder, ignore_errors=True)
    return tuple(left)


def _locked_file(folder: Path) -> int:
    """Take the lock before the file has its name: whoever finds the file finds it locked."""
    fresh = folder / f"{_LOCK}.new"
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    fresh.rename(folder / _LOCK)
    return descriptor


def _is_leftover(folder: Path) -> bool:
    try:
        found = folder.lstat()
        if found.st_uid != os.geteuid() or not folder.is_dir() or folder.is_symlink():
            return False
        if not (folder / _LOCK).exists():
            return time.time() - found.st_mtime > _UNLOCKED_S
        return _can_lock(folder / _LOCK)
    except FileNotFoundError:  # its owner removed it meanwhile
        return False


def _can_lock(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _end_server(data: Path) -> None:
    pid = _postmaster(data)
    for last_word in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + _END_LIMIT_S
        if pid is not None and _serves(pid, data):
            with suppress(ProcessLookupError):
                os.kill(pid, last_word)
        while pid is not None and _serves(pid, data) and time.monotonic() < deadline:
            time.sleep(0.02)


def _postmaster(data: Path) -> int | None:
    try:
        line = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return None
    return int(line) if line.strip().isdecimal() else None


def _serves(pid: int, data: Path) -> bool:
    """Whether the process is the server of this folder, and not a zombie or a stranger with its number."""
    if _PROC.joinpath("self/cwd").exists():
        try:
            return os.path.samestat(_PROC.joinpath(str(pid), "cwd").stat(), data.stat())
        except OSError:
            return False
    answer = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f"-D {data}" in answer.stdout
