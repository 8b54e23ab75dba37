"""Folders and files that root and an ordinary user share without one being able to trick the other.

The server's account owns the data folder, so it could plant links there for root to follow: everything root
writes below it is a new file that is renamed into place, and everything root reads there is not a link.
"""

import errno
import os
import secrets
import stat
from pathlib import Path

from hansa.infra.embedded.account import Account
from hansa.infra.embedded.errors import FolderNotOurs


def own_folder(path: Path, *, mode: int) -> Path:
    """Make a folder that only we can change, or accept the one we made before.

    The mode is set on what we made and only checked on what was there. Raises FolderNotOurs.
    """
    try:
        path.mkdir()
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise FolderNotOurs(f"{path} is not a folder that only we can write to") from None
    else:
        path.chmod(mode)
    return path


def server_folder(path: Path, account: Account) -> Path:
    """Make a folder for the server's account alone, or accept the one it has. Raises FolderNotOurs."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o022:
            raise FolderNotOurs(f"{path} is not a folder of the server's account (uid {account.uid})") from None
    else:
        account.give(path)
    return path


def write_file(path: Path, text: str, *, uid: int, gid: int) -> None:
    """Replace `path` by a file that only `uid` can read, in one step that leaves the old or the new one."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                os.fchown(file.fileno(), uid, gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def read_text(path: Path, *, start: int = 0) -> str:
    """What `path` holds from byte `start`; nothing when it is missing, a link, or of a process that just ended."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            file.seek(start)
            return file.read().decode("utf-8", errors="replace")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESRCH):
            return ""
        raise
