"""Who the server runs as. PostgreSQL refuses to run as root, so root lends it to somebody with fewer rights."""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hansa.infra.embedded.errors import AccountMissing

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user of the server processes and of everything they write."""

    uid: int
    gid: int
    switched: bool
    """We are root and hand over to this user; otherwise it is ourselves."""

    def run(self, command: Sequence[str | Path], *, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `command` as this user, away from our terminal, working folder, groups and environment."""
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=env,
            umask=0o077,
            start_new_session=True,
            user=self.uid if self.switched else None,
            group=self.gid if self.switched else None,
            extra_groups=[] if self.switched else None,
        )

    def may(self, right: str, *paths: Path) -> bool:
        """Whether the kernel lets this user read (`r`), write (`w`) or execute and enter (`x`) all of `paths`.

        Asked as that user instead of computed from mode bits: access lists, network file systems and `noexec`
        have a say too.
        """
        script = 'for path; do test "-$0" "$path" || exit 1; done'
        return self.run(["/bin/sh", "-c", script, right, *paths], env={"PATH": "/usr/bin:/bin"}).returncode == 0

    def give(self, made: Path | int) -> None:
        """Hand a file or folder that we just made to this user; an open descriptor cannot be swapped meanwhile."""
        if self.switched:
            os.chown(made, self.uid, self.gid)


def choose_account(home: Path, data: Path) -> Account:
    """Ourselves, or as root: the owner of the data, else of the home, else `postgres`, else `nobody`.

    A home that belongs to a user keeps working for that user after a start as root.
    Raises AccountMissing.
    """
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), switched=False)
    for folder in (data, home):
        if folder.exists() and folder.lstat().st_uid != 0:
            owner = folder.lstat()
            return Account(uid=owner.st_uid, gid=owner.st_gid, switched=True)
    for name in _CANDIDATES:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=user.pw_uid, gid=user.pw_gid, switched=True)
    raise AccountMissing("PostgreSQL does not run as root, and there is no user " + " or ".join(_CANDIDATES))
