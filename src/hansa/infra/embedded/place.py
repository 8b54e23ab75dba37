"""Where the cluster of a home lives, and what the home remembers about it.

Normally everything lies side by side in the home: the data, the socket, the password, a record, a lock. As root
the home may be closed to the server's account (below /root, say). Then the data goes to a folder of our own in
`vault`, which survives a reboot as the home does, and the record in the home says where.
"""

import json
import os
import re
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hansa.infra.embedded.account import Account, choose_account
from hansa.infra.embedded.binaries import MAJOR
from hansa.infra.embedded.errors import FolderNotOurs, FolderUnreachable, named
from hansa.infra.embedded.folders import own_folder, read_text, write_file

NAME = f"pg{MAJOR}"
VAULT = Path("/var/lib/hansa")

# The kernel's limit for the whole socket path, less the longest name in it and the closing zero byte.
_SOCKET_DIR_BYTES_MAX = (104 if sys.platform == "darwin" else 108) - len("/.s.PGSQL.65535") - 1
# Both the setting and the connection URL read a comma as the start of a second folder.
_PLAIN = re.compile(r"[\w./+@~ -]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders of one cluster and the account that owns them."""

    home: Path
    folder: Path
    """The home itself, or a folder in the vault."""
    account: Account
    port: int | None
    """Of the last start; None before the first."""

    @property
    def data(self) -> Path:
        return self.folder / NAME

    @property
    def unfinished(self) -> Path:
        """The data folder until it is complete, so that an interrupted creation is never taken for a cluster."""
        return self.folder / f"{NAME}.new"

    @property
    def socket_dir(self) -> Path:
        """Beside the data, or where that path is too long for the kernel, in a short temporary folder.

        That one is named for the identity of the data folder: a moved home finds it again, a copied one does not
        take it from the original. Not in the caller's temporary folder, which may be long or closed as well.
        """
        beside = self.folder / f"{NAME}.socket"
        if len(os.fsencode(beside)) <= _SOCKET_DIR_BYTES_MAX and _PLAIN.fullmatch(str(beside)):
            return beside
        data = self.data.stat()
        return Path("/tmp") / f"hansa-{data.st_dev:x}-{data.st_ino:x}"  # noqa: S108 - refused unless it is ours

    @property
    def password(self) -> str:
        """Of the superuser; empty when the file is missing."""
        return read_text(self.home / f"{NAME}.password").strip()

    def keep_password(self, password: str) -> None:
        self._keep(f"{NAME}.password", password)

    def keep_record(self, *, port: int | None) -> None:
        """Note in the home where the cluster is, so that the next start finds it."""
        # Relative where possible, so that a home may be moved.
        folder = "." if self.folder == self.home else str(self.folder)
        record = {"folder": folder, "port": port}
        self._keep(f"{NAME}.json", json.dumps(record, indent=2) + "\n")

    def remove_socket_dir(self) -> None:
        if self.data.exists():
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def remove(self) -> None:
        """Remove all that was ever made for this cluster but the home and its lock file."""
        self.remove_socket_dir()
        for path in (self.data, self.unfinished):
            shutil.rmtree(path, ignore_errors=True)
        if self.folder != self.home:
            shutil.rmtree(self.folder, ignore_errors=True)
        for name in (f"{NAME}.password", f"{NAME}.json"):
            (self.home / name).unlink(missing_ok=True)

    def _keep(self, name: str, text: str) -> None:
        owner = self.home.stat()
        write_file(self.home / name, text, uid=owner.st_uid, gid=owner.st_gid)


def find_place(home: Path) -> Place | None:
    """Where the cluster of `home` is, or None when there is none yet. Changes nothing. Raises FolderNotOurs."""
    try:
        record = _record(home)
        if record is None and not (home / NAME).exists():
            return None
    except PermissionError as error:
        raise FolderNotOurs(f"{home} is closed to uid {os.geteuid()}: {error}") from error
    record = record or {}
    return _place(home, home / record.get("folder", "."), record)


def choose_place(home: Path, vault: Path) -> Place:
    """Where the cluster of `home` is or shall be. Raises FolderUnreachable, FolderNotOurs."""
    found = find_place(home)
    if found is not None:
        return found
    place = _place(home, home, {})
    if place.account.may("x", home):
        return place
    try:
        # Everybody may pass through, nobody may look around. A random name, so that a home that was deleted and
        # made anew does not meet data whose password went with it.
        clusters = own_folder(own_folder(vault, mode=0o755) / "clusters", mode=0o711)
        folder = own_folder(clusters / secrets.token_hex(6), mode=0o711)
    except OSError as error:
        raise _unreachable(place, home) from error
    (folder / "home").write_text(f"{home}\n", encoding="utf-8")  # tells an operator whose data this is
    place = _place(home, folder, {})
    if not place.account.may("x", folder):
        shutil.rmtree(folder)
        raise _unreachable(place, home)
    place.keep_record(port=None)
    return place


def make_home(home: Path) -> None:
    """Make the home when it is missing, such that a server account can get through it to the data."""
    with named(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        try:
            home.mkdir()
        except FileExistsError:
            if not home.is_dir():
                raise
        else:
            home.chmod(0o711 if os.geteuid() == 0 else 0o700)


def require_reached(place: Place) -> None:
    """Refuse unless the server's account owns its data folder and gets to it. Raises FolderNotOurs, -Unreachable."""
    if place.account.may("x", place.data):
        return
    owner = place.data.lstat().st_uid
    if owner != place.account.uid:
        raise FolderNotOurs(f"{place.data} belongs to uid {owner}, and the server would run as uid {place.account.uid}")
    raise _unreachable(place, place.data)


def _place(home: Path, folder: Path, record: dict[str, Any]) -> Place:
    return Place(
        home=home,
        folder=folder,
        account=choose_account(home, folder / NAME),
        port=record.get("port"),
    )


def _record(home: Path) -> dict[str, Any] | None:  # Any: the fields are text, numbers and null
    text = read_text(home / f"{NAME}.json")
    if not text:
        return None
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise FolderNotOurs(f"{home / NAME}.json is not a record of ours: {error}") from error


def _unreachable(place: Place, folder: Path) -> FolderUnreachable:
    return FolderUnreachable(f"uid {place.account.uid}, who runs the server, cannot get to {folder}")
